"""The Fourier transform of force constants to some points of a mesh.

Force constants have a finite range: along each axis there are fewer differences of
lattice vectors than points of a mesh for which kappa converges. So each axis is
transformed by a product with a small matrix, over the differences that occur and to the
points that are needed. That is cheaper than a fast transform of the whole mesh (nine
differences to 15 points: a fast transform needs more operations for these 15 alone,
four times more for 19), and it does not depend on the factors of the mesh.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from phono3py_mlp_plugin.scattering.records import Box, FloatArray, IntArray


@dataclass(frozen=True)
class Support:
    """Differences of lattice vectors along each axis, modulo the mesh.

    Attributes
    ----------
    mesh : ndarray of int, shape (3,)
    values : tuple of ndarray of int
        For each axis in ascending order.
    """

    mesh: IntArray
    values: tuple[IntArray, ...]

    @classmethod
    def of(cls, translations: IntArray, mesh: IntArray) -> Support:
        """Return the support of all pairs of lattice vectors.

        Parameters
        ----------
        translations : ndarray of int, shape (n_vectors, 3)
            Modulo the mesh.
        mesh : ndarray of int, shape (3,)
        """
        values = []
        for axis in range(3):
            found = np.unique(np.append(translations[:, axis], 0))
            differences = (found[:, None] - found[None, :]) % mesh[axis]
            values.append(np.unique(differences))
        return cls(mesh, tuple(values))

    def box(self, order: tuple[int, ...]) -> Box:
        """Return the places of differences, with axes in the given order."""
        places = np.full((3, self.mesh.max()), -1, dtype=np.int64)
        for axis, values in enumerate(self.values):
            places[axis, values] = np.arange(len(values))
        sizes = np.array([len(self.values[axis]) for axis in order], dtype=np.int64)
        return Box(self.mesh, places, sizes, np.array(order, dtype=np.int64))

    def matrix(self, axis: int, points: IntArray) -> FloatArray:
        """Return the transform of one axis to some points, as a real matrix.

        Parameters
        ----------
        axis : int
        points : ndarray of int, shape (n,)

        Returns
        -------
        ndarray of shape (2 n, 2 n_D)
            Rows: point by point real and imaginary part. Columns: first all real, then
            all imaginary parts.
        """
        phases = self.phases(axis, points)
        rows = np.empty((len(points), 2, 2, phases.shape[1]))
        rows[:, 0, 0], rows[:, 0, 1] = phases.real, -phases.imag
        rows[:, 1, 0], rows[:, 1, 1] = phases.imag, phases.real
        return rows.reshape(2 * len(points), -1)

    def phases(self, axis: int, points: IntArray) -> np.ndarray:
        """Return exp(2 pi i q D) of one axis, shape (n, n_D)."""
        n = self.mesh[axis]
        roots = np.exp(2j * np.pi * np.arange(n) / n)
        return np.asarray(roots[np.outer(points, self.values[axis]) % n])

    def best_order(self, points: IntArray) -> tuple[int, ...]:
        """Return the order of axes with the fewest operations.

        Parameters
        ----------
        points : ndarray of int, shape (n, 3)
            What is transformed to, modulo the mesh.
        """
        sizes = [len(values) for values in self.values]

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
