"""Force constants in a supercell whose edges are multiples of the primitive vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.exports.terms import Pairs, Triplets

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms


def box_of(primitive: PhonopyAtoms, supercell: PhonopyAtoms) -> tuple[int, int, int]:
    """Return the smallest multiples of primitive vectors that repeat a supercell.

    A supercell that is not of this shape, such as 2 x 2 x 2 of a cubic cell with a
    face-centred lattice, is repeated in a larger one. The nearest images of its atoms
    are the nearest ones there, too, and phonons are the same.
    """
    matrix = np.rint(supercell.cell @ np.linalg.inv(primitive.cell))
    volume = round(abs(np.linalg.det(matrix)))
    adjugate = np.rint(np.linalg.inv(matrix) * volume).astype(int)
    a, b, c = (volume // math.gcd(volume, *map(int, row)) for row in adjugate)
    return a, b, c


def cells_of(box: tuple[int, int, int]) -> IntArray:
    """Return all cells of a box, the last index fastest, shape ``(n, 3)``."""
    return np.indices(box).reshape(3, -1).T


def pairs_in_box(pairs: Pairs, n_atoms: int, box: tuple[int, int, int]) -> FloatArray:
    """Return fc2 from atoms of the first cell to those of all cells of a box.

    Returns
    -------
    ndarray of shape (n_atoms, n_cells, n_atoms, 3, 3)
        In eV/angstrom^2, cells as in `cells_of`.
    """
    array = np.zeros((n_atoms, math.prod(box), n_atoms, 3, 3))
    place = _cell_number(pairs.cells, box)
    np.add.at(array, (pairs.atoms[:, 0], place, pairs.atoms[:, 1]), pairs.values)
    return array


def triplet_places(triplets: Triplets, box: tuple[int, int, int]) -> IntArray:
    """Return the numbers of the cells of second and third atoms, shape ``(n, 2)``."""
    return _cell_number(triplets.cells, box)


def _cell_number(cells: IntArray, box: tuple[int, int, int]) -> IntArray:
    wrapped = np.moveaxis(cells % np.array(box), -1, 0)
    return np.asarray(np.ravel_multi_index(tuple(wrapped), box))
