"""Potentials in workers: loaded from what the run names, or sent."""

import dataclasses
import os
import pickle
import threading

import pytest

pytest.importorskip("ase")

from phono3py_mlp_plugin.errors import WorkerError
from phono3py_mlp_plugin.parallel import Chunk, Stage, distribution_of
from phono3py_mlp_plugin.reference import RigidIonNaCl
from phono3py_mlp_plugin.workflow import read_potential, request_calculator
from phono3py_mlp_plugin.workflow.potential_source import SentPotential


@pytest.fixture
def lennard_jones():
    """A potential that is loaded by its name, as by --force-calculator ase."""
    options = "calculator = ase.calculators.lj:LennardJones, sigma = 2.4"
    return read_potential(request_calculator("ase", options), None)


def sent_and_received(sent):
    return pickle.loads(pickle.dumps(sent))


def test_a_worker_loads_the_potential_and_writes_in_a_folder_of_its_own(lennard_jones):
    assert lennard_jones.source is not None
    sent = SentPotential("ase", lennard_jones.potential, lennard_jones.source)
    # Never pickled: it could not be.
    lennard_jones.potential.calculator.lock = threading.Lock()
    with sent.in_use() as here:
        assert here is lennard_jones.potential
    with sent_and_received(sent).in_use() as potential:
        assert potential is not lennard_jones.potential
        assert potential.calculator.directory.endswith(str(os.getpid()))
        assert potential.calculator.parameters.sigma == 2.4
    with sent.in_use() as here:
        assert here.calculator.directory == "."


def test_a_worker_that_finds_another_potential_is_refused(lennard_jones):
    source = dataclasses.replace(lennard_jones.source, origin="another")
    received = sent_and_received(SentPotential("ase", lennard_jones.potential, source))
    with (
        pytest.raises(WorkerError, match="loads another potential of ase"),
        received.in_use(),
    ):
        pass


def test_a_potential_without_a_name_is_sent():
    received = sent_and_received(SentPotential("mine", RigidIonNaCl()))
    with received.in_use() as potential:
        assert potential == RigidIonNaCl()


def test_what_cannot_be_sent_is_told_with_a_remedy():
    class Local:
        handle = property(lambda self: None)

        def __reduce__(self):
            raise TypeError("it holds a device")

    stage = Stage("evaluation", len, SentPotential("mine", Local()))
    with (
        pytest.raises(WorkerError, match=r"cannot be sent to workers .*--jobs"),
        distribution_of(2) as distribution,
    ):
        list(distribution.compute(stage, [Chunk("supercell 1", 1, {})]))
