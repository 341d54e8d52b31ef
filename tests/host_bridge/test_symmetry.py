"""The search for symmetry of runs with fast scattering gives what phonopy gives."""

import numpy as np
import pytest
from ase.build import bulk
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import get_supercell
from phonopy.structure.symmetry import Symmetry

from phono3py_mlp_plugin import enable_fast_scattering


def supercell(atoms, matrix):
    cell = PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(),
    )
    return get_supercell(cell, np.diag(matrix))


def moved(atoms, distance):
    """Displace all atoms at random; the symmetry is lost beyond the tolerance."""
    atoms = atoms.copy()
    atoms.rattle(distance, seed=1)
    return atoms


ROCKSALT = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
WURTZITE = bulk("AlN", "wurtzite", a=3.1, c=4.98, u=0.382)


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        (supercell(ROCKSALT, (2, 2, 2)), {}),
        (supercell(ROCKSALT, (1, 1, 3)), {}),
        (supercell(WURTZITE, (3, 3, 2)), {}),
        (supercell(bulk("Si"), (2, 3, 4)), {}),
        (supercell(bulk("Cu"), (3, 3, 3)), {}),
        (supercell(ROCKSALT, (1, 1, 1)), {}),
        (supercell(moved(WURTZITE, 0.1), (2, 2, 1)), {}),
        (supercell(ROCKSALT, (2, 2, 1)), {"is_symmetry": False}),
        # Positions as other programs write them, at a tolerance of users.
        (supercell(moved(ROCKSALT, 1e-5), (2, 2, 2)), {"symprec": 1e-4}),
        (supercell(moved(WURTZITE, 1e-4), (3, 3, 2)), {"symprec": 1e-3}),
    ],
)
def test_permutations_and_point_group_are_those_of_phonopy(cell, options):
    expected = Symmetry(cell, **options)
    with enable_fast_scattering():
        found = Symmetry(cell, **options)
    for name in (
        "atomic_permutations",
        "pointgroup_operations",
        "reciprocal_operations",
    ):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
