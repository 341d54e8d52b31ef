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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.derivatives.centre import (
    Centre,
    add_centre,
    coordinates,
)
from phono3py_mlp_plugin.polynomial.derivatives.triples import Triples
from phono3py_mlp_plugin.polynomial.derivatives.weights import product_weights
from phono3py_mlp_plugin.polynomial.kernels.tensors import contract_triples

# Second atoms whose products with the third ones are computed at a time: the third
# ones before the first of them are left out.
_SECOND = 12


class CentreEnergy:
    """The energy of a centre by one potential, differentiated.

    Parameters
    ----------
    centre : Centre
    coefficients : ndarray
        Of the features, shape ``(n_features,)``.
    firsts : sequence of int
        Places of the first atoms of triples, for third derivatives.
    """

    def __init__(
        self, centre: Centre, coefficients: FloatArray, firsts: Sequence[int] = ()
    ) -> None:
        self._centre = centre
        tables = centre.tables
        weights = np.append(coefficients, 0.0)[tables.features]
        by_feature, self._twice, self._thrice = product_weights(centre, coefficients)
        weights[tuple(tables.multiplied.T)] += by_feature
        self._has_products = bool(len(self._thrice[-1])) or any(
            hessians is not None for hessians in centre.hessians
        )
        self._q = self._twice @ centre.gradients
        self._weights = weights
        self._d1 = np.array([g @ w for g, w in zip(centre.first, weights, strict=True)])
        self._tangents = self._gradient_tangents()
        if firsts:
            self._prepare_third(firsts)

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

    def second(self) -> FloatArray:
        """Return second derivatives, the centre last, ``(M + 1, 3, M + 1, 3)``."""
        centre = self._centre
        n = centre.n_atoms
        parts, own = [], []
        for t, (b, h) in enumerate(
            zip(centre.columns, centre.expansion.second, strict=True)
        ):
            tangents = _of_type(self._tangents, t, centre.n_lm)
            parts.append(b.reshape(len(tangents), b.shape[2]).T @ tangents)
            d1 = _of_type(self._d1, t, centre.n_lm)
            own.append((d1 @ h.reshape(len(d1), h[0, 0].size)).reshape(-1, 3, 3))
        result = np.zeros((n + 1, 3, n + 1, 3))
        result[:n] = np.concatenate(parts).reshape(n, 3, n + 1, 3)
        same = np.concatenate(own)
        every = np.arange(n)
        result[every, :, every] += same
        result[:n, :, n] -= same
        result[n] = -result[:n].sum(axis=0)
        return result

    def _prepare_third(self, firsts: Sequence[int]) -> None:
        """Compute the terms of two and three coordinates of the same atom."""
        centre = self._centre
        n, wanted = centre.n_atoms, coordinates(np.array(firsts))
        same, own, thrice = [], [], []
        for t, (h, g) in enumerate(
            zip(centre.expansion.second, centre.expansion.third, strict=True)
        ):
            tangents = _of_type(self._tangents, t, centre.n_lm)
            product = h.reshape(len(tangents), h[0, 0].size).T @ tangents[:, wanted]
            same.append(product.reshape(h.shape[2], 3, 3, len(firsts), 3))
            here = centre.of_type(firsts, t)
            chosen = h[:, :, here].reshape(len(tangents), 9 * len(here))
            product = chosen.T @ tangents[:, :-3]
            own.append(product.reshape(len(here), 3, 3, n, 3))
            d1 = _of_type(self._d1, t, centre.n_lm)
            chosen = g[:, :, here].reshape(len(d1), 27 * len(here))
            thrice.append((d1 @ chosen).reshape(-1, 3, 3, 3))
        self._number = {first: number for number, first in enumerate(firsts)}
        self._same_atom = np.concatenate(same)
        self._own = np.concatenate(own)
        self._thrice_own = np.concatenate(thrice)
        self._third = centre.third_of(self._weights)

    def third(self, chunk: Sequence[Triples]) -> list[FloatArray]:
        """Return third derivatives by the atoms of triples.

        Parameters
        ----------
        chunk : sequence of Triples
            Their first atoms are of one type.

        Returns
        -------
        list of ndarray
            For each first atom: by second atom and direction, its own directions, third
            atom and direction, shape ``(B, 3, 3, C, 3)``. Elements of weight zero have
            no meaning.
        """
        n = 3 * self._centre.n_atoms
        make = np.zeros if self._has_products else np.empty
        parts = [make((3 * len(t.second), 3, n - 3 * t.first)) for t in chunk]
        columns = self._centre.of([triples.first for triples in chunk])
        self._contract(chunk, columns, parts)
        if self._has_products:
            self._add_products(chunk, columns, parts)
        return [
            self._with_same_atoms(triples, part)
            for triples, part in zip(chunk, parts, strict=True)
        ]

    def _with_same_atoms(self, triples: Triples, part: FloatArray) -> FloatArray:
        """Return ``(B, 3, 3, C, 3)`` with the terms of several indices of one atom."""
        first, second = triples.first, triples.second
        result = part.reshape(len(second), 3, 3, -1, 3)
        number = self._number[first]
        # The same atom for both others: b_uv with b_w.
        same = self._same_atom[second, :, :, number]
        result[np.arange(len(second)), :, :, second - first] += same.swapaxes(2, 3)
        # The first atom is the first of the second ones, too.
        own = self._own[number, :, :, first:]
        result[0] += own
        result[0, :, :, 0] += own[:, :, 0].transpose(2, 0, 1)
        result[0, :, :, 0] += self._thrice_own[number]
        return result

    def _contract(
        self,
        chunk: Sequence[Triples],
        columns: Sequence[FloatArray | None],
        parts: Sequence[FloatArray],
    ) -> None:
        """Write ``D3[b_u, b_v, b_w]`` of patterns, shape ``(3 B, 3, 3 C)``."""
        centre = self._centre
        n_types, (n_radial, n_lm) = len(centre.columns), centre.contracted[0].shape[:2]
        lowest = next(t for t, b in enumerate(columns) if b is not None)
        groups = list(_second_by_type(centre, chunk))
        chosen = [
            centre.contracted[g.type][:, :, coordinates(g.atoms)].transpose(0, 2, 1)
            for g in groups
        ]
        halves = [
            [
                np.empty((3 * len(g.atoms), 3, n_radial, n_lm))
                for _ in range(g.type, n_types)
            ]
            for g in groups
        ]
        matrices = np.empty((len(chunk), n_types**2, 3, n_lm, n_lm))
        later = range(lowest, n_types)
        used = [i * n_types + j for i in later for j in later if i <= j]
        for n in range(n_radial):
            for block in used:
                matrices[:, block] = 0.0
            self._add_patterns(n, columns, lowest, matrices)
            self._add_pattern_products(n, chunk, matrices)
            for group, b, of_group in zip(groups, chosen, halves, strict=True):
                for j, half in enumerate(of_group, start=group.type):
                    matrix = matrices[group.number, group.type * n_types + j]
                    np.matmul(b[n], matrix, out=half[:, :, n].swapaxes(0, 1))
        for group, of_group in zip(groups, halves, strict=True):
            for j, half in enumerate(of_group, start=group.type):
                _write_products(
                    centre,
                    half.reshape(-1, n_radial * n_lm),
                    group,
                    j,
                    chunk[group.number].first,
                    parts[group.number],
                )

    def _add_patterns(
        self,
        n: int,
        columns: Sequence[FloatArray | None],
        lowest: int,
        matrices: FloatArray,
    ) -> None:
        """Add ``D3[., ., b_w]`` of patterns with their weights."""
        first = 0
        for table, column in zip(self._centre.patterns.triples, columns, strict=True):
            values = self._third[n][first : first + len(table.y)]
            first += len(table.y)
            if column is not None:
                contract_triples(table, values, column[n], lowest, matrices)

    def _add_pattern_products(
        self, n: int, chunk: Sequence[Triples], matrices: FloatArray
    ) -> None:
        """Add the second derivatives of multiplied features, weighted by ``q_w``."""
        centre = self._centre
        if centre.hessians[n] is None:
            return
        places, chosen = centre.multiplied[n]
        pairs = centre.patterns.pairs
        wanted = coordinates(np.array([triples.first for triples in chunk]))
        added = centre.second[n][:, chosen] @ self._q[np.ix_(places, wanted)]
        added = added.reshape(len(added), len(chunk), 3)
        n_types = len(centre.columns)
        matrices[:, pairs.block, :, pairs.v, pairs.x] += added
        mirrored = (pairs.v != pairs.x) & (pairs.block % (n_types + 1) == 0)
        matrices[:, pairs.block[mirrored], :, pairs.x[mirrored], pairs.v[mirrored]] += (
            added[mirrored]
        )

    def _add_products(
        self,
        chunk: Sequence[Triples],
        columns: Sequence[FloatArray | None],
        parts: Sequence[FloatArray],
    ) -> None:
        """Add the other terms of polynomials of features, shape ``(3 B, 3, 3 C)``."""
        centre = self._centre
        for n, hessians in enumerate(centre.hessians):
            if hessians is None:
                continue
            q = self._q[centre.multiplied[n][0], :-3]
            along = centre.times_vectors(hessians, columns, n)
            for place, (triples, part) in enumerate(zip(chunk, parts, strict=True)):
                rows, others = (
                    coordinates(triples.second),
                    slice(3 * triples.first, None),
                )
                for direction in range(3):
                    # f_k,uw q_k,v and the same with u and v exchanged.
                    mixed = centre.times_columns(along[3 * place + direction], n)
                    part[:, direction] += mixed[:, rows].T @ q[:, others]
                    part[:, direction] += q[:, rows].T @ mixed[:, others]
        k, l, m, c = self._thrice
        if not len(c):
            return
        gradients = centre.gradients[:, :-3]
        shape = (len(gradients), len(gradients))
        for triples, part in zip(chunk, parts, strict=True):
            rows, others = coordinates(triples.second), slice(3 * triples.first, None)
            for direction in range(3):
                along = gradients[m, 3 * triples.first + direction]
                weight = sparse.coo_array((c * along, (k, l)), shape=shape).tocsr()
                part[:, direction] += gradients[:, rows].T @ (
                    weight @ gradients[:, others]
                )


@dataclass(frozen=True, eq=False)
class _Second:
    """Second atoms of one type in one item of a chunk of triples.

    Attributes
    ----------
    number : int
        Of the item.
    type : int
    atoms : ndarray
        Places among the atoms of the type.
    begin : int
        How many second atoms come before them.
    """

    number: int
    type: int
    atoms: IntArray
    begin: int


def _second_by_type(centre: Centre, chunk: Sequence[Triples]) -> Iterator[_Second]:
    for number, triples in enumerate(chunk):
        for t, part in enumerate(centre.slices):
            local = triples.second - part.start // 3
            here = np.flatnonzero((local >= 0) & (3 * local < part.stop - part.start))
            if len(here):
                yield _Second(number, t, local[here], int(here[0]))


def _write_products(
    centre: Centre,
    half: FloatArray,
    group: _Second,
    j: int,
    first: int,
    part: FloatArray,
) -> None:
    """Write the products of second atoms of one type and third ones of type j."""
    b = centre.contracted[j]
    b = b.reshape(half.shape[1], b.shape[2])
    start = centre.slices[j].start - 3 * first
    target = part.reshape(-1, part.shape[2])[9 * group.begin :]
    step = _SECOND if group.type == j else len(group.atoms)
    for at in range(0, len(group.atoms), step):
        # Those before are third atoms of earlier second ones.
        begin = 3 * int(group.atoms[at]) if group.type == j else 0
        rows = slice(9 * at, 9 * min(at + step, len(group.atoms)))
        columns = slice(start + begin, start + b.shape[1])
        np.matmul(half[rows], b[:, begin:], out=target[rows, columns])


def _of_type(array: FloatArray, t: int, n_lm: int) -> FloatArray:
    """Return rows of the coefficients of a type, ``(n_radial n_lm, ...)``."""
    part = array[:, t * n_lm : (t + 1) * n_lm]
    return part.reshape(-1, *part.shape[2:])
