"""Derivatives of the energy of one centre by the positions of atoms around it.

The derivatives of the polynomial are contracted with those of the sums: ``T_uvw =
D3[b_u, b_v, b_w] + D2[b_uv, b_w] + D2[b_uw, b_v] + D2[b_vw, b_u] + D1[b_uvw]``

with ``b_u``, ``b_uv`` and ``b_uvw`` the derivatives of the expansion coefficients. b_uv
is not zero only for coordinates of the same atom, or where one is the centre's.
Polynomials of features f enter by the chain rule: their derivatives by the features
are ``W_k``, ``W_kl`` and ``W_klm``, and with ``q_k,w = sum_l W_kl f_l,w`` the terms
``f_k,uv q_k,w`` are second derivatives of the patterns with the weights q.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import linalg, sparse

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.derivatives.expansion import Expansion
from phono3py_mlp_plugin.polynomial.derivatives.patterns import PatternDerivatives
from phono3py_mlp_plugin.polynomial.kernels.basis import pad
from phono3py_mlp_plugin.polynomial.kernels.tensors import contract_triples
from phono3py_mlp_plugin.polynomial.model.tables import CentreTables

# Least inner dimension of products of matrices.
_INNER = 80


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

    def columns_of(self, wanted: IntArray) -> list[FloatArray | None]:
        """Return b of some coordinates by type, padded; None where all are zero."""
        columns: list[FloatArray | None] = []
        width = pad(len(wanted))
        of_centre = np.flatnonzero(wanted >= self.n_coordinates)
        for b, place in zip(self.columns, self.slices, strict=True):
            here = np.flatnonzero((wanted >= place.start) & (wanted < place.stop))
            if not (len(here) or len(of_centre)):
                columns.append(None)
                continue
            part = np.zeros((*b.shape[:2], width))
            part[:, :, here] = b[:, :, wanted[here] - place.start]
            direction = wanted[of_centre] - self.n_coordinates
            whole = -b.reshape(*b.shape[:2], b.shape[2] // 3, 3).sum(axis=2)
            part[:, :, of_centre] = whole[:, :, direction]
            columns.append(part)
        return columns

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


class CentreEnergy:
    """The energy of a centre by one potential, differentiated.

    Parameters
    ----------
    centre : Centre
    coefficients : ndarray
        Of the features, shape ``(n_features,)``.
    order : int
        Highest order of the derivatives, 2 or 3.
    """

    def __init__(self, centre: Centre, coefficients: FloatArray, order: int) -> None:
        self._centre = centre
        tables = centre.tables
        weights = np.append(coefficients, 0.0)[tables.features]
        by_feature, self._twice, self._thrice = product_weights(centre, coefficients)
        weights[tuple(tables.multiplied.T)] += by_feature
        self._q = self._twice @ centre.gradients
        self._weights = weights
        self._d1 = np.array([g @ w for g, w in zip(centre.first, weights, strict=True)])
        self._tangents = self._gradient_tangents()
        if order == 3:
            self._prepare_third()

    def _gradient_tangents(self) -> FloatArray:
        """Return ``D2[., b_w]``, shape ``(n_radial, n_v, 3 M + 3)``."""
        centre = self._centre
        v, x = centre.pair_variables
        n_radial, n_v = self._d1.shape
        tangents = np.empty((n_radial, n_v, centre.n_coordinates + 3))
        for n in range(n_radial):
            matrix = np.zeros((n_v, n_v))
            values = centre.second[n] @ self._weights[n]
            matrix[v, x] = values
            matrix[x, v] = values
            tangents[n, :, :-3] = centre.times_columns(matrix, n)
            places, chosen = centre.multiplied[n]
            if len(places):
                tangents[n, :, :-3] += centre.first[n][:, chosen] @ self._q[places, :-3]
        add_centre(tangents)
        return tangents

    def _of_type(self, array: FloatArray, t: int) -> FloatArray:
        """Return rows of the coefficients of a type, ``(n_radial n_lm, ...)``."""
        n_lm = self._centre.n_lm
        part = array[:, t * n_lm : (t + 1) * n_lm]
        return part.reshape(-1, *part.shape[2:])

    def second(self) -> FloatArray:
        """Return second derivatives, the centre last, ``(M + 1, 3, M + 1, 3)``."""
        centre = self._centre
        n = centre.n_atoms
        parts, own = [], []
        for t, (b, h) in enumerate(
            zip(centre.columns, centre.expansion.second, strict=True)
        ):
            tangents = self._of_type(self._tangents, t)
            parts.append(b.reshape(len(tangents), b.shape[2]).T @ tangents)
            d1 = self._of_type(self._d1, t)
            own.append((d1 @ h.reshape(len(d1), h[0, 0].size)).reshape(-1, 3, 3))
        result = np.zeros((n + 1, 3, n + 1, 3))
        result[:n] = np.concatenate(parts).reshape(n, 3, n + 1, 3)
        same = np.concatenate(own)
        every = np.arange(n)
        result[every, :, every] += same
        result[:n, :, n] -= same
        result[n] = -result[:n].sum(axis=0)
        return result

    def _prepare_third(self) -> None:
        """Compute what the third derivatives by all coordinates share."""
        centre = self._centre
        n = centre.n_atoms
        same, thrice = [], []
        for t, (h, g) in enumerate(
            zip(centre.expansion.second, centre.expansion.third, strict=True)
        ):
            tangents = self._of_type(self._tangents, t)
            product = h.reshape(len(tangents), h[0, 0].size).T @ tangents
            same.append(product.reshape(h.shape[2], 3, 3, n + 1, 3))
            d1 = self._of_type(self._d1, t)
            thrice.append((d1 @ g.reshape(len(d1), g[0, 0].size)).reshape(-1, 3, 3, 3))
        self._same_atom = np.concatenate(same)
        self._same_atom_twice = np.concatenate(thrice)
        self._third = [
            third @ weights
            for third, weights in zip(centre.third, self._weights, strict=True)
        ]

    def third(self, atoms: Sequence[int]) -> FloatArray:
        """Return third derivatives by all coordinates and those of some atoms.

        Parameters
        ----------
        atoms : sequence of int
            Places among the neighbours, M for the centre.

        Returns
        -------
        ndarray
            By atom and direction, and both of the others, the centre last, shape
            ``(n_atoms, 3, M + 1, 3, M + 1, 3)``.
        """
        centre = self._centre
        n = centre.n_atoms
        wanted = (3 * np.array(atoms)[:, None] + np.arange(3)).ravel()
        columns = centre.columns_of(wanted)
        whole = np.empty((len(wanted), 3 * n + 3, 3 * n + 3))
        plain = whole[:, :-3, :-3]
        self._contract(columns, wanted, plain)
        self._add_products(plain, columns, wanted)
        result = whole.reshape(len(atoms), 3, n + 1, 3, n + 1, 3)
        every = np.arange(n)
        s, g = self._same_atom, self._same_atom_twice
        for place, atom in enumerate(atoms):
            t = result[place]
            # The same atom for both others: b_uv with b_w.
            t[:, every, :, every] += s[:, :, :, atom].transpose(0, 3, 1, 2)
            if atom < n:
                own = s[atom, :, :, :n]
                t[:, atom, :, :n] += own.transpose(1, 0, 2, 3)
                t[:, :n, :, atom] += own.transpose(1, 2, 3, 0)
                t[:, atom, :, atom] += g[atom]
            else:
                # The centre's move is the opposite one of every atom's.
                t[:, :n, :, :n] -= s[:, :, :, :n].transpose(2, 0, 1, 3, 4)
                t[:, :n, :, :n] -= s[:, :, :, :n].transpose(2, 3, 4, 0, 1)
                t[:, every, :, every] -= g.transpose(0, 3, 1, 2)
        # The derivatives by two others are symmetric.
        result[:, :, n, :, :n] = -result[:, :, :n, :, :n].sum(axis=2)
        result[:, :, :n, :, n] = result[:, :, n, :, :n].transpose(0, 1, 3, 4, 2)
        result[:, :, n, :, n] = -result[:, :, :n, :, n].sum(axis=2)
        return result

    def _contract(
        self,
        columns: Sequence[FloatArray | None],
        wanted: IntArray,
        result: FloatArray,
    ) -> None:
        """Write ``D3[b_u, b_v, b_w]`` of patterns, shape ``(W, 3 M, 3 M)``."""
        centre = self._centre
        n_lm, n_types, width = centre.n_lm, len(centre.columns), len(wanted)
        blocks = [(i, j) for i in range(n_types) for j in range(i, n_types)]
        sizes = [b.shape[2] for b in centre.columns]
        parts = {(i, j): np.zeros((sizes[i], width * sizes[j])) for i, j in blocks}
        # Several radial functions at a time where there are few harmonics.
        n_radial = len(self._d1)
        step = min(n_radial, -(-_INNER // n_lm))
        halves = [np.empty((step, n_lm * width, size)) for size in sizes]
        matrices = np.empty((step, n_types**2, n_lm, width, n_lm))
        for first in range(0, n_radial, step):
            here = range(first, min(first + step, n_radial))
            matrices[:] = 0.0
            for matrix, n in zip(matrices, here, strict=False):
                self._add_patterns(n, columns, matrix)
                self._add_pattern_products(n, wanted, matrix)
            for i, j in blocks:
                half = halves[j][: len(here)]
                for k, n in enumerate(here):
                    matrix = matrices[k, i * n_types + j].reshape(n_lm * width, n_lm)
                    np.matmul(matrix, centre.columns[j][n], out=half[k])
                left = centre.columns[i][here.start : here.stop]
                _add_product(
                    left.reshape(len(here) * n_lm, sizes[i]),
                    half.reshape(len(here) * n_lm, width * sizes[j]),
                    parts[i, j],
                )
        for (i, j), part in parts.items():
            by_column = part.reshape(sizes[i], width, sizes[j])
            rows, others = centre.slices[i], centre.slices[j]
            result[:, rows, others] = by_column.transpose(1, 0, 2)
            if i != j:
                result[:, others, rows] = by_column.transpose(1, 2, 0)

    def _add_patterns(
        self, n: int, columns: Sequence[FloatArray | None], matrices: FloatArray
    ) -> None:
        """Add ``D3[., ., b_w]`` of patterns with their weights."""
        first = 0
        for table, column in zip(self._centre.patterns.triples, columns, strict=True):
            values = self._third[n][first : first + len(table.y)]
            first += len(table.y)
            if column is not None:
                contract_triples(table, values, column[n], matrices)

    def _add_pattern_products(
        self, n: int, wanted: IntArray, matrices: FloatArray
    ) -> None:
        """Add the second derivatives of multiplied features, weighted by ``q_w``."""
        centre = self._centre
        if centre.hessians[n] is None:
            return
        places, chosen = centre.multiplied[n]
        pairs = centre.patterns.pairs
        added = centre.second[n][:, chosen] @ self._q[np.ix_(places, wanted)]
        n_types = len(centre.columns)
        matrices[pairs.block, pairs.v, :, pairs.x] += added
        mirrored = (pairs.v != pairs.x) & (pairs.block % (n_types + 1) == 0)
        matrices[
            pairs.block[mirrored],
            pairs.x[mirrored],
            :,
            pairs.v[mirrored],
        ] += added[mirrored]

    def _add_products(
        self,
        result: FloatArray,
        columns: Sequence[FloatArray | None],
        wanted: IntArray,
    ) -> None:
        """Add the other terms of polynomials of features to ``(W, 3 M, 3 M)``."""
        centre = self._centre
        n_v = self._d1.shape[1]
        for n, hessians in enumerate(centre.hessians):
            if hessians is None:
                continue
            places, _ = centre.multiplied[n]
            b = np.zeros((n_v, len(wanted)))
            for t, column in enumerate(columns):
                if column is not None:
                    rows = slice(t * centre.n_lm, (t + 1) * centre.n_lm)
                    b[rows] = column[n][:, : len(wanted)]
            along = (hessians @ b).reshape(len(places), n_v, len(wanted))
            for w in range(len(wanted)):
                # f_k,uw q_k,v and the same with u and v exchanged.
                mixed = centre.times_columns(along[:, :, w], n)
                term = mixed.T @ self._q[places, :-3]
                result[w] += term + term.T
        k, l, m, c = self._thrice
        if len(c):
            gradients = centre.gradients[:, :-3]
            n_features = len(gradients)
            for w, coordinate in enumerate(wanted):
                weight = sparse.coo_array(
                    (c * centre.gradients[m, coordinate], (k, l)),
                    shape=(n_features, n_features),
                ).tocsr()
                result[w] += gradients.T @ (weight @ gradients)


def _add_product(left: FloatArray, right: FloatArray, target: FloatArray) -> None:
    """Add ``left.T @ right`` to ``target`` in its place."""
    if target.size:
        # In Fortran's order all are transposed, without copies.
        linalg.blas.dgemm(
            1.0, right.T, left.T, 1.0, target.T, trans_b=True, overwrite_c=True
        )


def product_weights(
    centre: Centre, coefficients: FloatArray
) -> tuple[FloatArray, Any, tuple[IntArray, IntArray, IntArray, FloatArray]]:
    """Return the derivatives of polynomials by the features that they are made of.

    Returns
    -------
    first : ndarray
        ``W_k``, shape ``(K,)``.
    second : sparse matrix
        ``W_kl``, shape ``(K, K)``.
    third : tuple of ndarray
        k, l, m and value of the terms of ``W_klm``.
    """
    f = centre.values
    n = len(f)
    first = np.zeros(n)
    one, others, features = centre.tables.quadratic.by_factor
    c = coefficients[features]
    np.add.at(first, one, c * f[others[:, 0]])
    rows, columns, values = [one], [others[:, 0]], [c]
    one, others, features = centre.tables.cubic.by_factor
    c = coefficients[features]
    np.add.at(first, one, c * f[others].prod(axis=1))
    for slot in (0, 1):
        rows.append(one)
        columns.append(others[:, slot])
        values.append(c * f[others[:, 1 - slot]])
    second = sparse.coo_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(n, n),
    ).tocsr()
    third = (
        np.tile(one, 2),
        np.concatenate((others[:, 0], others[:, 1])),
        np.concatenate((others[:, 1], others[:, 0])),
        np.tile(c, 2),
    )
    return first, second, third


def add_centre(derivatives: FloatArray) -> None:
    """Write the derivatives by the centre's coordinates, the last three."""
    by_atom = derivatives[..., :-3]
    by_atom = by_atom.reshape(*by_atom.shape[:-1], by_atom.shape[-1] // 3, 3)
    derivatives[..., -3:] = -by_atom.sum(axis=-2)
