"""Force constants as sums over lattice vectors: what programs read and write.

Force constants of a supercell are sums over the periodic images of its atoms. phono3py
assigns each to the nearest image, and shares it equally among images at the same
distance; of fc3, it takes the mean of the three choices of the atom from which
distances are measured. The terms are those of phono3py, so that phonons and scattering
interpolated between the wave vectors of the supercell are the same in other programs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.errors import SolverError

if TYPE_CHECKING:
    from phonopy.structure.cells import Primitive

# Deviation of lattice vectors from integers, from the accuracy of positions.
_TOLERANCE = 1e-3

# Size of a term, relative to the largest one, below which it is a rounding error.
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True, eq=False)
class Pairs:
    """Second-order force constants between atoms of the crystal.

    Attributes
    ----------
    atoms : ndarray of int, shape (n, 2)
        Atoms of the primitive cell.
    cells : ndarray of int, shape (n, 3)
        Lattice vector of the second atom; that of the first one is zero.
    values : ndarray of shape (n, 3, 3)
        In eV/angstrom^2.
    """

    atoms: IntArray
    cells: IntArray
    values: FloatArray


@dataclass(frozen=True, eq=False)
class Triplets:
    """Third-order force constants between atoms of the crystal.

    Attributes
    ----------
    atoms : ndarray of int, shape (n, 3)
        Atoms of the primitive cell.
    cells : ndarray of int, shape (n, 2, 3)
        Lattice vectors of the second and third atom; that of the first one is zero.
    values : ndarray of shape (n, 3, 3, 3)
        In eV/angstrom^3.
    """

    atoms: IntArray
    cells: IntArray
    values: FloatArray


@dataclass(frozen=True, eq=False)
class Images:
    """Nearest images of all atoms of the supercell around one of the primitive cell.

    Attributes
    ----------
    supercell_atoms : ndarray of int, shape (n,)
        Atoms of the supercell.
    atoms : ndarray of int, shape (n,)
        Atoms of the primitive cell that are equivalent to them.
    cells : ndarray of int, shape (n, 3)
        Lattice vectors of the images.
    weights : ndarray of shape (n,)
        One divided by the number of images of the atom.
    """

    supercell_atoms: IntArray
    atoms: IntArray
    cells: IntArray
    weights: FloatArray


def pair_terms(
    primitive: Primitive, fc2: FloatArray, positions: FloatArray | None = None
) -> Pairs:
    """Return fc2 as a sum over lattice vectors.

    Parameters
    ----------
    primitive : Primitive
        With the supercell of the force constants.
    fc2 : ndarray of shape (N_p or N, N, 3, 3)
        In eV/angstrom^2.
    positions : ndarray of shape (N_p, 3), optional
        Fractional coordinates from which lattice vectors are counted, by default those
        of the primitive cell.

    Raises
    ------
    SolverError
        If atoms are not where the positions are.
    """
    parts = []
    for i, row in enumerate(first_indices(primitive, fc2)):
        images = nearest_images(primitive, i, positions)
        values = fc2[row, images.supercell_atoms] * images.weights[:, None, None]
        keys = np.column_stack([np.full(len(values), i), images.atoms, images.cells])
        parts.append((keys, values))
    keys, values = _merged(parts)
    return Pairs(keys[:, :2], keys[:, 2:], values)


def triplet_terms(primitive: Primitive, fc3: FloatArray) -> Triplets:
    """Return fc3 as a sum over lattice vectors.

    Parameters
    ----------
    primitive : Primitive
        With the supercell of the force constants.
    fc3 : ndarray of shape (N_p or N, N, N, 3, 3, 3)
        In eV/angstrom^3.

    Raises
    ------
    SolverError
        If atoms are not on the sites of a lattice.
    """
    parts = []
    for i, row in enumerate(first_indices(primitive, fc3)):
        images = nearest_images(primitive, i)
        a, b = (x.ravel() for x in np.indices((len(images.weights),) * 2))
        weights = images.weights[a] * images.weights[b] / 3
        atoms = images.supercell_atoms
        values = fc3[row, atoms[a], atoms[b]] * weights[:, None, None, None]
        j, k = images.atoms[a, None], images.atoms[b, None]
        first = np.full_like(j, i)
        to_j, to_k = images.cells[a], images.cells[b]
        # The atom from which distances are measured is the first, second and third.
        parts += [
            (np.hstack([first, j, k, to_j, to_k]), values),
            (np.hstack([j, first, k, -to_j, to_k - to_j]), values.swapaxes(1, 2)),
            (np.hstack([k, j, first, to_j - to_k, -to_k]), values.swapaxes(1, 3)),
        ]
    keys, values = _merged(parts)
    return Triplets(keys[:, :3], keys[:, 3:].reshape(-1, 2, 3), values)


def first_indices(primitive: Primitive, force_constants: FloatArray) -> IntArray:
    """Return the first index of force constants of each atom of the primitive cell."""
    if force_constants.shape[0] == force_constants.shape[1]:
        return np.asarray(primitive.p2s_map)
    return np.arange(len(primitive))


def nearest_images(
    primitive: Primitive, i: int, positions: FloatArray | None = None
) -> Images:
    """Return the nearest images around an atom of the primitive cell.

    Parameters
    ----------
    primitive : Primitive
    i : int
        The atom.
    positions : ndarray of shape (N_p, 3), optional
        See `pair_terms`.

    Raises
    ------
    SolverError
        If atoms are not where the positions are.
    """
    vectors, multiplicity = primitive.get_smallest_vectors()
    counts, starts = multiplicity[:, i, 0], multiplicity[:, i, 1]
    supercell_atoms = np.repeat(np.arange(len(counts)), counts)
    places = np.concatenate(
        [np.arange(s, s + n) for n, s in zip(counts, starts, strict=True)]
    )
    index = primitive.p2p_map
    sublattices = np.array([index[atom] for atom in primitive.s2p_map])
    atoms = sublattices[supercell_atoms]
    if positions is None:
        positions = primitive.scaled_positions
    cells = vectors[places] - (positions[atoms] - positions[i])
    integers = np.rint(cells).astype(int)
    if not np.abs(cells - integers).max() < _TOLERANCE:
        raise SolverError(
            "the force constants: their atoms are up to "
            f"{np.abs(cells - integers).max():.2g} lattice vectors from those of the "
            "primitive cell; expected the same places and order. Use one "
            "phono3py.yaml-like file for the crystal and its force constants."
        )
    weights = 1 / counts[supercell_atoms]
    return Images(supercell_atoms, atoms, integers, weights)


def _merged(parts: list[tuple[IntArray, FloatArray]]) -> tuple[IntArray, FloatArray]:
    """Return sums of the values with the same key, without those that are zero."""
    keys = np.concatenate([keys for keys, _ in parts])
    lowest = keys.min(axis=0)
    spans = tuple(keys.max(axis=0) - lowest + 1)
    # One number for each key, which sorts faster.
    numbers = np.ravel_multi_index(tuple((keys - lowest).T), spans)
    numbers, inverse = np.unique(numbers, return_inverse=True)
    keys = np.column_stack(np.unravel_index(numbers, spans)) + lowest
    sums = np.zeros((len(keys), *parts[0][1].shape[1:]))
    start = 0
    for part, values in parts:
        # Each part may contain a key more than once.
        np.add.at(sums, inverse[start : start + len(part)], values)
        start += len(part)
    sizes = np.abs(sums).reshape(len(sums), -1).max(axis=1)
    kept = sizes > _NEGLIGIBLE * sizes.max(initial=0.0)
    return keys[kept], sums[kept]
