"""Fourier transform of force constants to selected points of a mesh.

Force constants have a finite range: along each axis there are fewer differences of
lattice vectors than points of a converged mesh. Each axis is therefore transformed by a
product with a small matrix, from the differences that occur to the points needed. This
takes fewer operations than a fast Fourier transform of the whole mesh (for nine
differences and 15 points; four times fewer for 19 points), and the number of operations
does not depend on the prime factors of the mesh.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.scattering.records import ComplexArray, Differences


@dataclass(frozen=True, eq=False)
class Support:
    """Differences of lattice vectors, modulo the mesh.

    Attributes
    ----------
    mesh : ndarray of int, shape (3,)
    vectors : ndarray of int, shape (n_vectors, 3)
        Lattice vectors.
    differences : Differences
    values : tuple of ndarray of int
        Components of the differences along each axis, ascending and without repetition.
    places : ndarray of int, shape (3, n_differences)
        Index of the component of each difference among these, for each axis.
    """

    mesh: IntArray
    vectors: IntArray
    differences: Differences
    values: tuple[IntArray, ...]
    places: IntArray

    @classmethod
    def of(cls, translations: IntArray, mesh: IntArray) -> Support:
        """Return the support of all pairs of lattice vectors.

        Parameters
        ----------
        translations : ndarray of int, shape (n_shortest_vectors, 3)
            The lattice vector of each shortest vector between atoms.
        mesh : ndarray of int, shape (3,)
        """
        origin = np.zeros((1, 3), dtype=np.int64)
        vectors, which = np.unique(
            np.concatenate([origin, translations]) % mesh, axis=0, return_inverse=True
        )
        pairs = (vectors[:, None] - vectors[None, :]).reshape(-1, 3) % mesh
        numbers = np.ravel_multi_index(tuple(pairs.T), tuple(mesh))
        present, places = np.unique(numbers, return_inverse=True)
        components = np.unravel_index(present, tuple(mesh))
        axes = [np.unique(c, return_inverse=True) for c in components]
        which = which.reshape(-1)
        differences = Differences(
            which[1:],
            places.reshape(len(vectors), len(vectors)),
            int(which[0]),
            len(present),
        )
        return cls(
            mesh,
            vectors,
            differences,
            tuple(values for values, _ in axes),
            np.array([place for _, place in axes]),
        )

    def sizes(self, order: tuple[int, ...]) -> tuple[int, ...]:
        """Return the number of values along each axis."""
        return tuple(len(self.values[axis]) for axis in order)

    def spread(self, folded: FloatArray, order: tuple[int, ...]) -> FloatArray:
        """Return an array over all axes, with zeros for combinations that do not occur.

        Parameters
        ----------
        folded : ndarray of shape (n_rows, n_differences, n_channels)
        order : tuple of int
            Order of the axes.

        Returns
        -------
        ndarray of shape (n_rows, *sizes, n_channels)
        """
        sizes = self.sizes(order)
        place = np.ravel_multi_index(tuple(self.places[list(order)]), sizes)
        spread = np.zeros((len(folded), int(np.prod(sizes)), folded.shape[2]))
        for row, values in zip(spread, folded, strict=True):
            row[place] = values
        return spread.reshape(len(folded), *sizes, folded.shape[2])

    def matrix(self, axis: int, points: IntArray) -> FloatArray:
        """Return the transform of one axis to some points, as a real matrix.

        Parameters
        ----------
        axis : int
        points : ndarray of int, shape (n,)

        Returns
        -------
        ndarray of shape (2 n, 2 n_D)
            Rows: real and imaginary part of each point in turn. Columns: all real
            parts, then all imaginary parts.
        """
        return as_real(self.phases(axis, points))

    def phases(self, axis: int, points: IntArray) -> ComplexArray:
        """Return exp(2 pi i q D) of one axis, shape (n, n_D)."""
        n = self.mesh[axis]
        roots = np.exp(2j * np.pi * np.arange(n) / n)
        return np.asarray(roots[np.outer(points, self.values[axis]) % n])

    def best_order(self, points: IntArray) -> tuple[int, ...]:
        """Return the order of axes with the fewest operations.

        Parameters
        ----------
        points : ndarray of int, shape (n, 3)
            Points of the transform, modulo the mesh.
        """
        sizes = self.sizes((0, 1, 2))

        def cost(order: tuple[int, ...]) -> int:
            first, second, third = order
            n_rows = len(np.unique(points[:, first]))
            columns = points[:, first] * self.mesh[second] + points[:, second]
            n_columns = len(np.unique(columns))
            return int(
                sizes[first] * sizes[second] * sizes[third] * n_rows
                + sizes[second] * sizes[third] * n_columns
                + sizes[third] * len(points)
            )

        return min(itertools.permutations(range(3)), key=cost)


def as_real(matrix: ComplexArray) -> FloatArray:
    """Return the real matrix whose product equals that of a complex matrix.

    Parameters
    ----------
    matrix : ndarray of complex, shape (m, n)

    Returns
    -------
    ndarray of shape (2 m, 2 n)
        Rows: real and imaginary part of each row in turn. Columns: all real parts, then
        all imaginary parts.
    """
    rows = np.empty((len(matrix), 2, 2, matrix.shape[1]))
    rows[:, 0, 0], rows[:, 0, 1] = matrix.real, -matrix.imag
    rows[:, 1, 0], rows[:, 1, 1] = matrix.imag, matrix.real
    return rows.reshape(2 * len(matrix), -1)
