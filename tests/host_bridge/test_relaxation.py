"""What phonopy and other processes may do with a trained ``Phono3py.mlp``."""

import copy
import pickle

import numpy as np
import phono3py
import pytest
from phonopy.interface.pypolymlp import relax_atomic_positions

from small_model import MODEL

# Wurtzite: symmetry leaves the height of nitrogen free.
ALN = "example/AlN-rd/phonopy_params_mp-661.yaml.xz"


@pytest.fixture(scope="module")
def crystal(host_source):
    return phono3py.load(host_source / ALN, produce_fc=False, log_level=0)


@pytest.fixture(scope="module", params=["native", "pypolymlp"])
def mlp(request, crystal):
    """Trained on ten supercells by either engine."""
    if request.param == "pypolymlp":
        pytest.importorskip("pypolymlp")
    crystal.mlp_dataset = crystal.dataset
    model = MODEL.replace("cutoff=5.0", "cutoff=4.0")
    crystal.develop_mlp(f"{model}, ntrain=10, ntest=2, engine={request.param}")
    return crystal.mlp


def sent(mlp):
    """A copy as another process gets it."""
    return pickle.loads(pickle.dumps(mlp))


@pytest.mark.parametrize("copied", [sent, copy.deepcopy])
def test_copy_of_a_trained_potential_evaluates_the_same(mlp, crystal, copied):
    cells = [crystal.unitcell.copy()]
    cells[0].positions = cells[0].positions + 0.01 * np.eye(4, 3)
    expected = mlp.evaluate(cells)
    # Before and after the compiled evaluator is there.
    for found in (copied(mlp).evaluate(cells), copied(copied(mlp)).evaluate(cells)):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    assert copied(mlp).provenance == mlp.provenance


def test_relaxation_of_phonopy_takes_a_trained_potential(mlp, crystal):
    cell = crystal.unitcell.copy()
    moved = cell.scaled_positions
    moved[2:, 2] += 0.003
    cell.scaled_positions = moved
    relaxed = relax_atomic_positions(cell, mlp.mlp)
    _, forces, _ = mlp.evaluate([relaxed])
    # pypolymlp's own minimiser stops at 1e-4 eV/angstrom.
    assert np.abs(forces).max() < 1e-3
    back = relaxed.scaled_positions - crystal.unitcell.scaled_positions
    height = back[2, 2] - back[0, 2]
    assert abs(height) < 0.002
