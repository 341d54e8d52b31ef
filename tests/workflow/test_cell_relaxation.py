"""Relaxation of lattice and positions, compared with ASE alone."""

import numpy as np
import pytest

pytest.importorskip("ase")

from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import Evaluation
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.workflow import (
    cell_relaxation,
    relax_cell,
    request_calculator,
)


def potential():
    spec = request_calculator("emt")
    return plugins.load(spec.calculator, None, spec.options)


def alloy():
    """Cu3Au, tetragonally distorted, with one free coordinate."""
    positions = [[0, 0, 0], [0, 0.5, 0.52], [0.5, 0, 0.52], [0.5, 0.5, 0.01]]
    return PhonopyAtoms(
        symbols=["Au", "Cu", "Cu", "Cu"],
        cell=np.diag([3.8, 3.8, 3.9]),
        scaled_positions=positions,
    )


def test_lattice_and_positions_are_those_of_ase_with_symmetry_kept():
    found = relax_cell("emt", potential(), alloy())
    assert found.is_converged and found.is_lattice_relaxed
    atoms = bulk("Cu", cubic=True)
    atoms.symbols[0] = "Au"
    atoms.set_cell(alloy().cell)
    atoms.set_scaled_positions(alloy().scaled_positions)
    atoms.calc = EMT()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-6)
    # Forces of 1e-5 eV/angstrom over force constants of a few eV/angstrom^2.
    np.testing.assert_allclose(
        np.linalg.norm(found.cell.cell, axis=1),
        np.linalg.norm(atoms.cell, axis=1),
        atol=1e-4,
    )
    a, b, _ = np.linalg.norm(found.cell.cell, axis=1)
    assert a == pytest.approx(b, rel=1e-12)
    heights = found.cell.scaled_positions[:, 2]
    assert heights[1] == pytest.approx(heights[2], abs=1e-12)


class WithoutStress:
    elements = ()

    def evaluate(self, supercells):
        result = potential().evaluate(supercells)
        return Evaluation(result.energies, result.forces, None)


def test_lattice_is_unchanged_without_stress():
    found = relax_cell("mine", WithoutStress(), alloy())
    assert not found.is_lattice_relaxed
    np.testing.assert_array_equal(found.cell.cell, alloy().cell)
    forces = potential().evaluate([found.cell]).forces
    assert np.abs(forces).max() < 1e-5


class Unbound(WithoutStress):
    def evaluate(self, supercells):
        result = super().evaluate(supercells)
        forces = result.forces + np.array([0, 0, 0.01])
        return Evaluation(result.energies, forces, None)


def test_forces_that_do_not_vanish_are_told(monkeypatch):
    monkeypatch.setattr(cell_relaxation, "_STEPS", 3)
    with pytest.raises(PotentialError, match="largest force is"):
        relax_cell("mine", Unbound(), alloy())


class Expanding:
    """The stress of a gas, which no lattice balances."""

    elements = ()

    def evaluate(self, supercells):
        volumes = np.array([cell.volume for cell in supercells])
        forces = np.zeros((len(supercells), len(supercells[0]), 3))
        stresses = np.tile(-np.eye(3), (len(supercells), 1, 1))
        return Evaluation(-volumes, forces, stresses)


def test_crystal_that_is_not_bound_is_told_without_warnings():
    with pytest.raises(PotentialError, match=r"volume = .*binds this crystal"):
        relax_cell("gas", Expanding(), alloy())


def test_object_that_is_no_potential_is_told():
    with pytest.raises(PotentialError, match=r"a str is no potential.*load_potential"):
        relax_cell("emt", "polymlp.yaml", alloy())
