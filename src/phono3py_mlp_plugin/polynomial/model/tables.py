"""What the kernels read: features as real polynomials of the expansion coefficients.

The neighbours of type t of a centre are expanded into real sums ``c_lm`` and ``s_lm``
(cosine and sine part of the spherical harmonics) per radial function n. An invariant is
a polynomial of those of one n, and always the same one: a *pattern* is an invariant
with a partner type in each slot, and a linear feature is a pattern at an n. All that
depends on patterns alone is made here, once per model.

The coefficients of one centre and one n are numbered ``v = t (L + 1)^2 + l^2 + mu``,
with ``mu = 0`` for ``c_l0``, ``2 m - 1`` for ``c_lm`` and ``2 m`` for ``s_lm``; one
more, always 1, lets orders share their kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.kernels.basis import pad
from phono3py_mlp_plugin.polynomial.kernels.records import DerivativeTable
from phono3py_mlp_plugin.polynomial.model.feature_list import FeatureList

# Coefficients that cancel to rounding, in tables whose entries are of order one.
_CANCELLED = 1e-14


@dataclass(frozen=True, eq=False)
class Monomials:
    """Terms ``coefficient * product of factors``, grouped into the rows they add to.

    Attributes
    ----------
    start : ndarray
        Terms of row r are ``start[r]`` to ``start[r + 1]``, shape ``(n_rows + 1,)``.
    coefficients : ndarray
        Shape ``(n_terms,)``.
    factors : ndarray
        Numbers of coefficients, ascending, shape ``(n_terms, n_factors)``; unused
        places hold the number of the one.
    """

    start: IntArray
    coefficients: FloatArray
    factors: IntArray


@dataclass(frozen=True, eq=False)
class Products:
    """Polynomial features of one order.

    Attributes
    ----------
    factors : ndarray
        Places among the multiplied features, shape ``(n_products, order)``.
    features : ndarray
        The features that they are, shape ``(n_products,)``.
    """

    factors: IntArray
    features: IntArray

    @cached_property
    def by_factor(self) -> tuple[IntArray, IntArray, IntArray]:
        """Every factor of every product, sorted by the factor.

        The factor, the others, shape ``(n, order - 1)``, and the product's feature. A
        square comes twice, as its derivative does.
        """
        order = self.factors.shape[1]
        one = self.factors.T.ravel()
        others = np.concatenate(
            [np.delete(self.factors, slot, axis=1) for slot in range(order)]
        )
        sort = np.argsort(one, kind="stable")
        return one[sort], others[sort], np.tile(self.features, order)[sort]


@dataclass(frozen=True, eq=False)
class PatternRows:
    """The derivatives of some patterns by the expansion coefficients.

    Attributes
    ----------
    variables, patterns : ndarray
        A row is the derivative of a pattern by one coefficient: these two of each row,
        shape ``(n_rows,)``. Rows are sorted by partner type, pattern, coefficient.
    type_rows : ndarray
        First row of each partner type and pattern, and the end of the type's, shape
        ``(n_types, n_patterns + 1)``.
    orders : ndarray
        Order of each pattern.
    derivatives : Monomials
        What the rows are.
    """

    variables: IntArray
    patterns: IntArray
    type_rows: IntArray
    orders: IntArray
    derivatives: Monomials

    def table(self, n_lm: int) -> DerivativeTable:
        """Return the rows as kernels take them; ``n_lm`` harmonics of each type."""
        n_patterns = len(self.orders)
        padding = ((0, 0), (0, pad(n_patterns) - n_patterns))
        return DerivativeTable(
            self.variables,
            self.patterns,
            self.variables % n_lm,
            1.0 / self.orders,
            np.pad(self.type_rows, padding, mode="edge"),
            self.derivatives.start,
            self.derivatives.coefficients,
            self.derivatives.factors,
        )

    def of(self, chosen: IntArray) -> PatternRows:
        """Return the rows of some patterns, given by ascending numbers."""
        place = np.full(len(self.orders), -1)
        place[chosen] = np.arange(len(chosen))
        rows = np.flatnonzero(place[self.patterns] >= 0)
        terms = self.derivatives
        counts = np.diff(terms.start)[rows]
        start = np.cumsum([0, *counts])
        members = np.arange(start[-1]) + np.repeat(
            terms.start[rows] - start[:-1], counts
        )
        return PatternRows(
            self.variables[rows],
            place[self.patterns[rows]],
            np.searchsorted(rows, self.type_rows[:, [*chosen, -1]]),
            self.orders[chosen],
            Monomials(
                start,
                terms.coefficients[members],
                np.ascontiguousarray(terms.factors[members]),
            ),
        )


@dataclass(frozen=True, eq=False)
class CentreTables:
    """Tables of one centre type.

    Attributes
    ----------
    features : ndarray
        Linear feature of a radial function and a pattern, -1 where there is none,
        shape ``(n_radial, n_patterns)``.
    rows : PatternRows
        Of all patterns.
    multiplied : ndarray
        (n, pattern) of the linear features that polynomials are made of, shape
        ``(n_multiplied, 2)``.
    quadratic, cubic : Products
    """

    features: IntArray
    rows: PatternRows
    multiplied: IntArray
    quadratic: Products
    cubic: Products


@dataclass(frozen=True, eq=False)
class _Pattern:
    """An invariant with a partner type in each slot."""

    invariant: int
    slots: tuple[tuple[int, int], ...]

    @cached_property
    def blocks(self) -> list[tuple[int, int]]:
        """The different (partner type, l), in order."""
        return sorted(set(self.slots))


# Potentials of an ensemble share one feature list.
@lru_cache(maxsize=1)
def centre_tables(feature_list: FeatureList) -> tuple[CentreTables, ...]:
    """Return the tables of every centre type."""
    expansions: dict[tuple[int, tuple[int, ...]], tuple[FloatArray, IntArray]] = {}
    return tuple(
        _centre(feature_list, centre, expansions)
        for centre in range(feature_list.parameters.n_types)
    )


def _centre(
    feature_list: FeatureList,
    centre: int,
    expansions: dict[tuple[int, tuple[int, ...]], tuple[FloatArray, IntArray]],
) -> CentreTables:
    parameters = feature_list.parameters
    features = np.flatnonzero(feature_list.centres[:, centre])
    numbers: dict[tuple[int, tuple[int, ...]], int] = {}
    of_feature = np.empty(len(features), dtype=np.int64)
    invariants = feature_list.invariant[features].tolist()
    for place, feature in enumerate(features.tolist()):
        key = (invariants[place], feature_list.type_pairs[feature])
        of_feature[place] = numbers.setdefault(key, len(numbers))
    by_pattern = np.full((parameters.n_radial, len(numbers)), -1, dtype=np.int64)
    by_pattern[feature_list.radial[features], of_feature] = features
    partner = {
        pair: (i + j - centre)
        for pair, (i, j) in enumerate(parameters.type_pairs)
        if centre in (i, j)
    }
    patterns = [
        _Pattern(
            invariant,
            tuple(
                (partner[pair], l)
                for pair, l in zip(
                    pairs, feature_list.invariants.l[invariant], strict=True
                )
            ),
        )
        for invariant, pairs in numbers
    ]
    return _tables(feature_list, patterns, by_pattern, features, of_feature, expansions)


def _tables(
    feature_list: FeatureList,
    patterns: Sequence[_Pattern],
    by_pattern: IntArray,
    features: IntArray,
    of_feature: IntArray,
    expansions: dict[tuple[int, tuple[int, ...]], tuple[FloatArray, IntArray]],
) -> CentreTables:
    parameters = feature_list.parameters
    n_lm = (parameters.max_l + 1) ** 2
    one = parameters.n_types * n_lm
    width = max(max(len(p.slots) for p in patterns) - 1, 2)
    place, type_rows, variables, owners = _number_rows(
        patterns, parameters.n_types, parameters.max_l
    )
    terms: dict[int, list[tuple[FloatArray, IntArray, IntArray]]] = {}
    for number, pattern in enumerate(patterns):
        labels = tuple(pattern.slots.index(slot) for slot in pattern.slots)
        key = (pattern.invariant, labels)
        if key not in expansions:
            expansions[key] = _real_monomials(
                feature_list.invariants.coefficients[pattern.invariant],
                feature_list.invariants.m[pattern.invariant],
                labels,
            )
        coefficients, mu = expansions[key]
        v = mu + np.array([t * n_lm + l * l for t, l in pattern.slots])
        r = mu + np.array([place[number, slot] for slot in pattern.slots])
        terms.setdefault(len(pattern.slots), []).append((coefficients, v, r))
    multiplied, quadratic, cubic = _products(feature_list, features)
    return CentreTables(
        features=by_pattern,
        rows=PatternRows(
            variables,
            owners,
            type_rows,
            np.array([len(p.slots) for p in patterns]),
            _derivatives(terms, len(variables), one, width),
        ),
        multiplied=np.column_stack(
            (feature_list.radial[features[multiplied]], of_feature[multiplied])
        ),
        quadratic=quadratic,
        cubic=cubic,
    )


def _number_rows(
    patterns: Sequence[_Pattern], n_types: int, max_l: int
) -> tuple[dict[tuple[int, tuple[int, int]], int], IntArray, IntArray, IntArray]:
    """Number the rows: those of one partner type together, by pattern.

    Returns the first row of each (pattern, (type, l)), that of each type and pattern,
    and coefficient and pattern of each row.
    """
    place = {}
    type_rows = np.zeros((n_types, len(patterns) + 1), dtype=np.int64)
    variables: list[int] = []
    owners: list[int] = []
    for t in range(n_types):
        for number, pattern in enumerate(patterns):
            type_rows[t, number] = len(variables)
            for l in (l for partner, l in pattern.blocks if partner == t):
                place[number, (t, l)] = len(variables)
                first = t * (max_l + 1) ** 2 + l * l
                variables.extend(range(first, first + 2 * l + 1))
                owners.extend([number] * (2 * l + 1))
        type_rows[t, -1] = len(variables)
    return place, type_rows, np.array(variables), np.array(owners)


def _real_monomials(
    coefficients: FloatArray, m: IntArray, labels: tuple[int, ...]
) -> tuple[FloatArray, IntArray]:
    """Return an invariant as real monomials: coefficients and mu of each slot.

    The complex sums are ``a_(l,-m) = c_lm - i s_lm`` and ``a_(l,m) = (-1)^m (c_lm + i
    s_lm)``; of the product only the real part stays. Slots of one label hold the same
    kind of coefficient and may be exchanged.
    """
    magnitude = np.abs(m)
    sign = np.where((m > 0) & (magnitude % 2 == 1), -1.0, 1.0)
    imaginary = np.where(m == 0, 0.0, np.where(m > 0, sign, -1.0))
    cosine, sine = np.maximum(2 * magnitude - 1, 0), 2 * magnitude
    parts, places = [], []
    for choice in product((False, True), repeat=m.shape[1]):
        # An even number of i is real: i^0 = 1, i^2 = -1, ...
        if sum(choice) % 2:
            continue
        factors = np.where(choice, imaginary, sign).prod(axis=1)
        value = coefficients * factors * (-1.0) ** (sum(choice) // 2)
        present = value != 0
        parts.append(value[present])
        places.append(np.where(choice, sine, cosine)[present])
    values, mu = np.concatenate(parts), np.concatenate(places)
    for label in set(labels):
        same = [slot for slot, other in enumerate(labels) if other == label]
        mu[:, same] = np.sort(mu[:, same], axis=1)
    distinct, where = np.unique(mu, axis=0, return_inverse=True)
    merged = np.zeros(len(distinct))
    np.add.at(merged, where.ravel(), values)
    stay = np.abs(merged) > _CANCELLED
    return merged[stay], distinct[stay]


def _derivatives(
    terms: dict[int, list[tuple[FloatArray, IntArray, IntArray]]],
    n_rows: int,
    one: int,
    width: int,
) -> Monomials:
    """Differentiate all monomials by each of their factors and merge equal terms."""
    rows, coefficients, factors = [], [], []
    for order, parts in terms.items():
        c, v, r = (np.concatenate(part) for part in zip(*parts, strict=True))
        for slot in range(order):
            others = np.full((len(c), width), one)
            others[:, : order - 1] = np.delete(v, slot, axis=1)
            rows.append(r[:, slot])
            coefficients.append(c)
            factors.append(np.sort(others, axis=1))
    row, c = np.concatenate(rows), np.concatenate(coefficients)
    return merge_terms(row, c, np.concatenate(factors), n_rows)


def merge_terms(
    rows: IntArray, coefficients: FloatArray, factors: IntArray, n_rows: int
) -> Monomials:
    """Sort terms by row and factors, and add up those that are equal."""
    order = np.lexsort((*factors.T[::-1], rows))
    key = np.column_stack((rows, factors))[order]
    first = np.flatnonzero(np.append(True, (key[1:] != key[:-1]).any(axis=1)))
    return Monomials(
        np.searchsorted(rows[order][first], np.arange(n_rows + 1)),
        np.add.reduceat(coefficients[order], first),
        np.ascontiguousarray(factors[order][first]),
    )


def _products(
    feature_list: FeatureList, features: IntArray
) -> tuple[NDArray[np.bool_], Products, Products]:
    """Return which of a centre's features are multiplied, and their products."""
    multiplied = np.zeros(feature_list.n_linear, dtype=bool)
    multiplied[feature_list.quadratic.ravel()] = True
    multiplied[feature_list.cubic.ravel()] = True
    here = multiplied[features]
    place = np.full(feature_list.n_linear, -1, dtype=np.int64)
    place[features[here]] = np.arange(here.sum())
    products = []
    first = feature_list.n_linear
    for factors in (feature_list.quadratic, feature_list.cubic):
        local = place[factors]
        exist = np.flatnonzero((local >= 0).all(axis=1))
        products.append(Products(local[exist], first + exist))
        first += len(factors)
    quadratic, cubic = products
    return here, quadratic, cubic
