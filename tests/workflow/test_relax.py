"""Atomic positions are relaxed within the symmetry of the crystal."""

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.contracts import Evaluation
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
from phono3py_mlp_plugin.workflow import relax_positions


def test_no_position_of_rock_salt_is_free():
    unitcell, _ = nacl_dataset(1, repeats=1)
    assert relax_positions("rigid ions", RigidIonNaCl(), unitcell) is None


def test_displaced_atoms_go_back():
    unitcell, _ = nacl_dataset(1, repeats=1)
    displaced = unitcell.copy()
    random = np.random.default_rng(1)
    displaced.positions = unitcell.positions + random.normal(scale=0.02, size=(8, 3))
    relaxed = relax_positions("rigid ions", RigidIonNaCl(), displaced)
    change = relaxed.positions - unitcell.positions
    change -= change.mean(axis=0)
    # The softest mode: forces of 1e-5 eV/angstrom mean positions within 1e-5 angstrom.
    assert np.abs(change).max() < 1e-5
    np.testing.assert_array_equal(relaxed.cell, unitcell.cell)


class Spring:
    """Two atoms on a line that want a distance of their own."""

    elements = ()

    def __init__(self, sign=1.0):
        self.sign = sign

    def evaluate(self, supercells):
        energies, forces = [], []
        for cell in supercells:
            stretch = cell.positions[1, 2] - cell.positions[0, 2] - 1.1
            energies.append(self.sign * stretch**2)
            force = np.zeros((2, 3))
            force[:, 2] = 2 * self.sign * stretch, -2 * self.sign * stretch
            forces.append(force)
        return Evaluation(np.array(energies), np.array(forces))


def dimer():
    return PhonopyAtoms(
        symbols=["Na", "Cl"],
        cell=np.diag([3.0, 3.0, 6.0]),
        positions=[[0, 0, 0], [0, 0, 1]],
    )


def test_only_what_symmetry_leaves_free_is_moved():
    relaxed = relax_positions("spring", Spring(), dimer())
    distance = relaxed.positions[1] - relaxed.positions[0]
    np.testing.assert_allclose(distance, [0, 0, 1.1], atol=1e-5)


def test_a_potential_without_a_minimum_is_said_so():
    with pytest.raises(PotentialError, match="relaxation: the largest force"):
        relax_positions("spring", Spring(-1.0), dimer())
