"""Records of arrays, the arguments of the kernels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import FloatArray, IntArray

ComplexArray = NDArray[np.complex128]


class RealSpace(NamedTuple):
    """Third-order force constants and the atoms that they belong to.

    Attributes
    ----------
    fc3 : ndarray of shape (n, N, N, 27)
        In eV/angstrom^3; n is the number of atoms of the primitive cell (N_p) or of the
        supercell (N).
    used : ndarray of int8, shape (n, N, N)
        Zero for blocks that are not used.
    rows : ndarray of int, shape (N_p,)
        First index of fc3 of each atom of the primitive cell.
    sublattices : ndarray of int, shape (N,)
        Atom of the primitive cell that each atom of the supercell repeats.
    vectors : ndarray of int, shape (N, N_p, 2)
        Number of shortest lattice vectors from a primitive atom to an atom of the
        supercell, and the index of the first of them.
    all_shortest : ndarray of int8, shape (N_p, N, N)
        Whether all three distances of a triplet of atoms are the shortest ones.
    averaged : bool
        Whether each of the three atoms in turn is the origin of a triplet.
    """

    fc3: FloatArray
    used: Any
    rows: IntArray
    sublattices: IntArray
    vectors: IntArray
    all_shortest: Any
    averaged: bool


class Differences(NamedTuple):
    """Lattice vectors and their differences, modulo the mesh.

    Attributes
    ----------
    vectors : ndarray of int, shape (n_shortest_vectors,)
        Index of the lattice vector of each shortest vector between atoms.
    places : ndarray of int, shape (n_vectors, n_vectors)
        Index of the difference of the first and the second lattice vector.
    origin : int
        Index of the lattice vector zero.
    number : int
        Number of differences.
    """

    vectors: IntArray
    places: IntArray
    origin: int
    number: int


class Phonons(NamedTuple):
    """Phonons at the points of the grid.

    Attributes
    ----------
    frequencies : ndarray of shape (n_q, n_bands)
        In THz.
    eigenvectors : ndarray of complex, shape (n_q, n_bands, n_bands)
        Components first, then bands.
    factors : ndarray of complex, shape (n_q, n_bands)
        Factor of each component: the phase of its atom divided by the square root of
        its mass.
    cutoff : float
        Modes of lower frequency are not used.
    """

    frequencies: FloatArray
    eigenvectors: ComplexArray
    factors: ComplexArray
    cutoff: float


class Tetrahedra(NamedTuple):
    """Tetrahedra around a point of the grid.

    Attributes
    ----------
    points : ndarray of int, shape (n_points, 3)
        Corners of all tetrahedra, relative to the point.
    corners : ndarray of int, shape (n, 4)
        Indices of corners; the first is the point itself.
    addresses : ndarray of int, shape (n_q, 3)
    grid_map : ndarray of int, shape (prod(mesh) + 1,)
        Index of the first of the grid points that are equivalent to each mesh point.
    mesh : ndarray of int, shape (3,)
    """

    points: IntArray
    corners: IntArray
    addresses: IntArray
    grid_map: IntArray
    mesh: IntArray
