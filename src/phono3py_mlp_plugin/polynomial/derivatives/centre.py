"""A centre with its neighbours: all that potentials of one model share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.derivatives.expansion import Expansion
from phono3py_mlp_plugin.polynomial.derivatives.patterns import PatternDerivatives
from phono3py_mlp_plugin.polynomial.kernels.basis import pad
from phono3py_mlp_plugin.polynomial.model.tables import CentreTables


class Centre:
    """A centre and its neighbours: all that does not depend on the coefficients.

    Parameters
    ----------
    tables : CentreTables
    patterns : PatternDerivatives
    expansion : Expansion
    order : int
        Highest order of the derivatives, 2 or 3.

    Attributes
    ----------
    columns : tuple of ndarray
        Derivatives of the coefficients of each type by the coordinates of its atoms,
        shape ``(n_radial, n_lm, 3 M_t)``.
    contracted : tuple of ndarray
        The first of the ``n_lm`` alone, as many as third derivatives depend on.
    slices : list of slice
        Place of the coordinates of each type among all, of which there are 3 M.
    first, second, third : list of sparse matrix
        Derivatives of patterns for each radial function; see `PatternDerivatives`.
    gradients : ndarray
        Derivatives of the multiplied features by coordinates, those of the centre
        last, shape ``(K, 3 M + 3)``.
    """

    def __init__(
        self,
        tables: CentreTables,
        patterns: PatternDerivatives,
        expansion: Expansion,
        order: int,
    ) -> None:
        self.tables, self.patterns, self.expansion = tables, patterns, expansion
        a = expansion.values
        self.n_lm = expansion.first[0].shape[1]
        self.columns = tuple(
            np.ascontiguousarray(b.reshape(len(a), self.n_lm, 3 * b.shape[2]))
            for b in expansion.first
        )
        ends = np.cumsum([0, *(b.shape[2] for b in self.columns)])
        self.slices = [slice(i, j) for i, j in pairwise(ends.tolist())]
        self.n_coordinates = int(ends[-1])
        self.first = [patterns.first(row) for row in a]
        self.second = [patterns.second(row) for row in a]
        self.third = [patterns.third(row) for row in a] if order == 3 else []
        radial, pattern = tables.multiplied.T
        has_products = len(tables.quadratic.features) or len(tables.cubic.features)
        # Multiplied features of each radial function, and their patterns.
        self.multiplied: list[tuple[IntArray, IntArray]] = [
            (
                places := np.flatnonzero((radial == n) & bool(has_products)),
                pattern[places],
            )
            for n in range(len(a))
        ]
        self.values = np.zeros(len(radial))
        self.gradients = np.zeros((len(radial), self.n_coordinates + 3))
        for n, (places, chosen) in enumerate(self.multiplied):
            gradient = self.first[n][:, chosen].T
            self.values[places] = gradient @ a[n] / patterns.orders[chosen]
            self.gradients[places, :-3] = self.times_columns(gradient, n)
        add_centre(self.gradients)
        self.hessians = [self._hessians(n) for n in range(len(a))]
        has_hessians = any(hessians is not None for hessians in self.hessians)
        n_third = self.n_lm if has_hessians else patterns.n_third
        self.contracted = tuple(
            np.ascontiguousarray(b[:, :n_third]) for b in self.columns
        )

    @property
    def n_atoms(self) -> int:
        """Number of neighbouring atoms."""
        return self.n_coordinates // 3

    def times_columns(self, matrix: Any, n: int) -> FloatArray:
        """Return ``matrix @ b`` for rows of coefficients of one radial function."""
        n_lm = self.n_lm
        result = np.empty((matrix.shape[0], self.n_coordinates))
        for t, (b, place) in enumerate(zip(self.columns, self.slices, strict=True)):
            result[:, place] = matrix[:, t * n_lm : (t + 1) * n_lm] @ b[n]
        return result

    def of(self, places: Sequence[int]) -> list[FloatArray | None]:
        """Return b of some atoms by type, padded; None where all are zero."""
        columns: list[FloatArray | None] = []
        atoms = np.array(places)
        for b, part in zip(self.columns, self.slices, strict=True):
            wanted = coordinates(atoms) - part.start
            here = np.flatnonzero((wanted >= 0) & (wanted < b.shape[2]))
            if not len(here):
                columns.append(None)
                continue
            chosen = np.zeros((*b.shape[:2], pad(len(wanted))))
            chosen[:, :, here] = b[:, :, wanted[here]]
            columns.append(chosen)
        return columns

    def third_of(self, weights: FloatArray) -> FloatArray:
        """Return third derivatives of weighted patterns, ``(n_radial, n_triples)``.

        Parameters
        ----------
        weights : ndarray
            Of the patterns, shape ``(n_radial, n_patterns)``.
        """
        if self.patterns.is_cubic:
            # The same matrix for all radial functions is read once.
            return np.ascontiguousarray((self.third[0] @ weights.T).T)
        return np.array([d @ w for d, w in zip(self.third, weights, strict=True)])

    def times_vectors(
        self, hessians: Any, columns: Sequence[FloatArray | None], n: int
    ) -> FloatArray:
        """Return the products of second derivatives of features with b of atoms.

        Parameters
        ----------
        hessians : sparse matrix
            Of K features of the radial function n, shape ``(K n_v, n_v)``.
        columns : sequence
            See `of`.
        n : int

        Returns
        -------
        ndarray
            Shape ``(W, K, n_v)``.
        """
        n_v = self.n_lm * len(self.columns)
        width = next(b.shape[2] for b in columns if b is not None)
        vectors = np.zeros((n_v, width))
        for t, b in enumerate(columns):
            if b is not None:
                vectors[t * self.n_lm : (t + 1) * self.n_lm] = b[n]
        along = (hessians @ vectors).reshape(-1, n_v, width)
        return np.ascontiguousarray(along.transpose(2, 0, 1))

    def of_type(self, places: Sequence[int], t: int) -> IntArray:
        """Return those places that are of a type, counted from its first atom."""
        local = np.array(places, dtype=np.int64) - self.slices[t].start // 3
        here = (local >= 0) & (local < self.columns[t].shape[2] // 3)
        return np.asarray(local[here])

    def _hessians(self, n: int) -> Any:
        """Return second derivatives of multiplied features, ``(K_n n_v, n_v)``.

        None if they are linear in the coefficients.
        """
        _, chosen = self.multiplied[n]
        if not (self.patterns.orders[chosen] > 1).any():
            return None
        matrix = self.second[n][:, chosen].tocoo()
        v, x = self.pair_variables
        row, feature = matrix.coords
        off = v[row] != x[row]
        n_v = self.n_lm * len(self.columns)
        rows = np.concatenate((v[row], x[row[off]]))
        columns = np.concatenate((x[row], v[row[off]]))
        features = np.concatenate((feature, feature[off]))
        data = np.concatenate((matrix.data, matrix.data[off]))
        return sparse.coo_array(
            (data, (features * n_v + rows, columns)), shape=(len(chosen) * n_v, n_v)
        ).tocsr()

    @property
    def pair_variables(self) -> tuple[IntArray, IntArray]:
        """Both coefficients of each pair."""
        pairs = self.patterns.pairs
        t1, t2 = np.divmod(pairs.block, len(self.columns))
        return t1 * self.n_lm + pairs.v, t2 * self.n_lm + pairs.x


def add_centre(derivatives: FloatArray) -> None:
    """Write the derivatives by the centre's coordinates, the last three."""
    by_atom = derivatives[..., :-3]
    by_atom = by_atom.reshape(*by_atom.shape[:-1], by_atom.shape[-1] // 3, 3)
    derivatives[..., -3:] = -by_atom.sum(axis=-2)


def coordinates(atoms: IntArray) -> IntArray:
    """Return the numbers of the coordinates of atoms, ``(3 n,)``."""
    return np.asarray((3 * atoms[:, None] + np.arange(3)).ravel())
