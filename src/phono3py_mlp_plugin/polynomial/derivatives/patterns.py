"""Derivatives of patterns by expansion coefficients, as sparse matrices.

A matrix has a column for each pattern, so that its product with the weights of the
patterns is the derivative of the energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from scipy import sparse

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.kernels.tensors import TripleTable
from phono3py_mlp_plugin.polynomial.model.tables import PatternRows


class _Monomials:
    """A sparse matrix whose entries are sums of monomials of the coefficients.

    Parameters
    ----------
    rows, columns : ndarray
        Of each monomial.
    shape : (int, int)
    coefficients : ndarray
    factors : ndarray
        Numbers of expansion coefficients; that of the one where there are fewer.
    one : int
    """

    def __init__(
        self,
        rows: IntArray,
        columns: IntArray,
        shape: tuple[int, int],
        coefficients: FloatArray,
        factors: IntArray,
        one: int,
    ) -> None:
        key = rows * shape[1] + columns
        order = np.argsort(key, kind="stable")
        key = key[order]
        new = np.flatnonzero(np.diff(key, prepend=-1))
        self._shape = shape
        self._first = new
        self._coefficients = coefficients[order]
        self._factors = factors[order][:, (factors != one).any(axis=0)]
        self._indices = key[new] % shape[1]
        counts = np.bincount(key[new] // shape[1], minlength=shape[0])
        self._indptr = np.concatenate(([0], np.cumsum(counts)))
        self.is_constant = self._factors.shape[1] == 0

    def at(self, a: FloatArray) -> Any:
        """Return the matrix at expansion coefficients of one n, followed by a one."""
        data = self._coefficients * a[self._factors].prod(axis=1)
        if len(data):
            data = np.add.reduceat(data, self._first)
        return sparse.csr_array((data, self._indices, self._indptr), shape=self._shape)


@dataclass(frozen=True, eq=False)
class PairRows:
    """Pairs v <= x of coefficients, by the block of their types."""

    block: IntArray
    v: IntArray
    x: IntArray


class PatternDerivatives:
    """First to third derivatives of all patterns of a centre type.

    Parameters
    ----------
    rows : PatternRows
    n_types, n_lm : int

    Attributes
    ----------
    pairs : PairRows
        Rows of the second derivatives.
    triples : list of TripleTable
        Rows of the third derivatives, by the type of the last coefficient, one after
        the other.
    """

    def __init__(self, rows: PatternRows, n_types: int, n_lm: int) -> None:
        self.orders = rows.orders
        self._n_v = one = n_types * n_lm
        self._n_lm = n_lm
        self._n_types = n_types
        terms = rows.derivatives
        row = np.repeat(np.arange(len(rows.variables)), np.diff(terms.start))
        v, pattern = rows.variables[row], rows.patterns[row]
        n_patterns = len(rows.orders)
        self._first = _Monomials(
            v, pattern, (one, n_patterns), terms.coefficients, terms.factors, one
        )
        parts = [
            _differentiated(v, (slot,), terms.factors, one)
            for slot in range(terms.factors.shape[1])
        ]
        which, keys, rest = (np.concatenate(part) for part in zip(*parts, strict=True))
        pairs, place = np.unique(keys, return_inverse=True)
        self.pairs = PairRows(*self._pair(pairs))
        self._second = _Monomials(
            place,
            pattern[which],
            (len(pairs), n_patterns),
            terms.coefficients[which],
            rest,
            one,
        )
        parts = [
            _differentiated(v, slots, terms.factors, one)
            for slots in permutations(range(terms.factors.shape[1]), 2)
        ]
        which, keys, rest = (np.concatenate(part) for part in zip(*parts, strict=True))
        # Terms are sorted by the type of y, then by pair and y.
        pair, y = np.divmod(keys, one)
        keys = (y // n_lm * one**2 + pair) * n_lm + y % n_lm
        triples, place = np.unique(keys, return_inverse=True)
        self.triples = self._triple_tables(triples)
        self._third = _Monomials(
            place,
            pattern[which],
            (len(triples), n_patterns),
            terms.coefficients[which],
            rest,
            one,
        )
        self._constant_third: Any = None
        if self._third.is_constant:
            self._constant_third = self._third.at(np.ones(one + 1))

    @property
    def n_third(self) -> int:
        """How many of the ``n_lm`` coefficients of a type third derivatives are by."""
        return max(
            (int(max(t.v.max(), t.x.max())) + 1 for t in self.triples if len(t.v)),
            default=1,
        )

    @property
    def is_cubic(self) -> bool:
        """Whether third derivatives do not depend on the coefficients."""
        return self._constant_third is not None

    def first(self, a: FloatArray) -> Any:
        """Return ``dP/da_v``, shape ``(n_v, n_patterns)``."""
        return self._first.at(np.append(a, 1.0))

    def second(self, a: FloatArray) -> Any:
        """Return ``d^2 P / da_v da_x``, shape ``(n_pairs, n_patterns)``."""
        return self._second.at(np.append(a, 1.0))

    def third(self, a: FloatArray) -> Any:
        """Return ``d^3 P / da_v da_x da_y``, shape ``(n_triples, n_patterns)``."""
        if self._constant_third is not None:
            return self._constant_third
        return self._third.at(np.append(a, 1.0))

    def _pair(self, pairs: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Return block of types and numbers within the types of ``v n_v + x``."""
        v, x = np.divmod(pairs, self._n_v)
        n_lm = self._n_lm
        return v // n_lm * self._n_types + x // n_lm, v % n_lm, x % n_lm

    def _triple_tables(self, triples: IntArray) -> list[TripleTable]:
        group, y = np.divmod(triples, self._n_lm)
        tables = []
        for t in range(self._n_types):
            here = group // self._n_v**2 == t
            pair = group[here] % self._n_v**2
            first = np.flatnonzero(np.diff(pair, prepend=-1))
            start = np.append(first, len(pair))
            tables.append(TripleTable(*self._pair(pair[first]), start, y[here]))
        return tables


def _differentiated(
    v: IntArray, slots: tuple[int, ...], factors: IntArray, one: int
) -> tuple[IntArray, IntArray, IntArray]:
    """Differentiate terms of rows v by the factors in some slots.

    Returns
    -------
    which : ndarray
        The terms that are left, those with v <= x for the first slot x.
    keys : ndarray
        The variables as one number, in base ``one``.
    rest : ndarray
        The other factors.
    """
    x = factors[:, slots[0]]
    stay = (v <= x) & (factors[:, slots] != one).all(axis=1)
    which = np.flatnonzero(stay)
    keys = v[which]
    for slot in slots:
        keys = keys * one + factors[which, slot]
    return which, keys, np.delete(factors[which], slots, axis=1)
