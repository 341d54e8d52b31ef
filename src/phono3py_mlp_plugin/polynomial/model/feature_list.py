"""List of the features of a polynomial potential.

The order of the features is that of ``FeaturesAttr`` in pypolymlp, so that potentials
are interchangeable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain, combinations, combinations_with_replacement, groupby
from math import comb, prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import IntArray
from phono3py_mlp_plugin.polynomial.model.invariants import (
    HIGHEST_ORDER,
    Invariants,
    Table,
    degrees,
    invariants,
    pair_invariants,
)
from phono3py_mlp_plugin.polynomial.model.parameters import ModelParameters

Runs: TypeAlias = tuple[int, ...]
"""Lengths of the runs of slots with equal l, which may be exchanged."""

# Highest order of the features that are multiplied, by model_type.
_MULTIPLIED_ORDER = {1: 0, 2: 6, 3: 1, 4: 2}


@dataclass(frozen=True, eq=False)
class _Assignments:
    """Possible assignments of pairs of types to slots.

    Attributes
    ----------
    type_pairs : list of tuple of int
    centres : ndarray
        Centre types common to the pairs of an assignment, as bits.
    active : ndarray
        Whether all pairs have a radial function, shape ``(n, n_radial)``.
    """

    type_pairs: list[tuple[int, ...]]
    centres: IntArray
    active: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class FeatureList:
    """The features of a model.

    A linear feature is an invariant of the sums over neighbours of one radial function,
    with a pair of element types in each slot. It exists at centres whose type is in all
    of its pairs. Polynomial features are products of linear features at one centre.

    Attributes
    ----------
    parameters : ModelParameters
    invariants : Invariants
    radial : ndarray
        Radial function of each linear feature, shape ``(n_linear,)``.
    invariant : ndarray
        Invariant of each linear feature, shape ``(n_linear,)``.
    type_pairs : tuple of tuple of int
        Pair of types in each slot of each linear feature, numbered as in
        ``parameters.type_pairs``.
    centres : ndarray
        Whether a linear feature exists at a centre type, shape ``(n_linear, n_types)``.
    quadratic, cubic : ndarray
        Factors of the polynomial features, shapes ``(n_2, 2)`` and ``(n_3, 3)``.
    """

    parameters: ModelParameters
    invariants: Invariants
    radial: IntArray
    invariant: IntArray
    type_pairs: tuple[tuple[int, ...], ...]
    centres: NDArray[np.bool_]
    quadratic: IntArray
    cubic: IntArray

    @property
    def n_linear(self) -> int:
        """Number of linear features."""
        return len(self.radial)

    @property
    def n_features(self) -> int:
        """Number of all features, linear, quadratic and cubic."""
        return self.n_linear + len(self.quadratic) + len(self.cubic)


def list_features(
    parameters: ModelParameters, table: Table = invariants
) -> FeatureList:
    """Return the features of a model.

    Parameters
    ----------
    parameters : ModelParameters
    table : callable
        Table of invariants. That of this package contains orders up to 3.

    Raises
    ------
    ParameterError
        If the order of the invariants is too high for the table.
    """
    basis = _invariants(parameters, table)
    radial, invariant, type_pairs, masks = _linear(parameters, basis)
    orders = np.array([len(ls) for ls in basis.l])[invariant]
    chosen = np.flatnonzero(orders <= _MULTIPLIED_ORDER[parameters.model_type])
    quadratic, cubic = _polynomials(parameters.max_p, masks, chosen)
    types = np.arange(parameters.n_types)
    return FeatureList(
        parameters=parameters,
        invariants=basis,
        radial=radial,
        invariant=invariant,
        type_pairs=type_pairs,
        centres=(masks[:, None] >> types & 1).astype(bool),
        quadratic=quadratic,
        cubic=cubic,
    )


def count_features(parameters: ModelParameters, table: Table = invariants) -> int:
    """Return the number of features without listing them.

    For parameters and exceptions see `list_features`.
    """
    kinds = Counter(_runs(ls) for ls in _degrees(parameters, table))
    highest = _MULTIPLIED_ORDER[parameters.model_type]
    factors = {runs: n for runs, n in kinds.items() if sum(runs) <= highest}
    active = _active(parameters)
    total = 0
    # Inclusion-exclusion principle for the centre types of a feature, which are at most
    # two, because a pair has two types.
    for size, sign in ((1, 1), (2, -1)):
        for types in combinations(range(parameters.n_types), size):
            shared = [set(types) <= set(pair) for pair in parameters.type_pairs]
            choices = active[shared].sum(axis=0)
            n = _count_linear(factors, choices)
            products = [comb(n + p - 1, p) for p in range(2, parameters.max_p + 1)]
            total += sign * (_count_linear(kinds, choices) + sum(products))
    return total


def _count_linear(kinds: Mapping[Runs, int], choices: IntArray) -> int:
    """Return the number of linear features at given centre types.

    Parameters
    ----------
    kinds : mapping
        Number of invariants by their runs.
    choices : ndarray
        Number of possible type pairs of a slot, by radial function.
    """
    return sum(
        n_functions * n_invariants * prod(comb(k + r - 1, r) for r in runs)
        for k, n_functions in Counter(choices.tolist()).items()
        for runs, n_invariants in kinds.items()
    )


def _invariants(parameters: ModelParameters, table: Table) -> Invariants:
    if parameters.feature_type == "pair":
        return pair_invariants()
    return table(
        parameters.gtinv_order, parameters.gtinv_maxl, parameters.gtinv_version
    )


def _degrees(parameters: ModelParameters, table: Table) -> tuple[tuple[int, ...], ...]:
    """Return the l of all invariants, from the table only if necessary."""
    if parameters.feature_type == "pair" or parameters.gtinv_order > HIGHEST_ORDER:
        return _invariants(parameters, table).l
    return degrees(
        parameters.gtinv_order, parameters.gtinv_maxl, parameters.gtinv_version
    )


def _runs(ls: tuple[int, ...]) -> Runs:
    return tuple(len(list(run)) for _, run in groupby(ls))


def _active(parameters: ModelParameters) -> NDArray[np.bool_]:
    """Return whether type pairs have radial functions, ``(n_pairs, n_radial)``."""
    active = np.zeros((len(parameters.type_pairs), parameters.n_radial), dtype=bool)
    for number, pair in enumerate(parameters.type_pairs):
        active[number, list(parameters.active_pair_params(pair))] = True
    return active


def _linear(
    parameters: ModelParameters, basis: Invariants
) -> tuple[IntArray, IntArray, tuple[tuple[int, ...], ...], IntArray]:
    """Return radial functions, invariants, type pairs and centres (bits)."""
    masks = [(1 << i) | (1 << j) for i, j in parameters.type_pairs]
    active = _active(parameters)
    kinds = [_runs(ls) for ls in basis.l]
    assigned = {runs: _assign(runs, masks, active) for runs in set(kinds)}
    choices = [assigned[runs] for runs in kinds]
    invariant = np.repeat(np.arange(len(kinds)), [len(c.centres) for c in choices])
    centres = np.concatenate([c.centres for c in choices])
    exists = np.concatenate([c.active for c in choices])
    if parameters.feature_type == "pair":
        which, radial = np.nonzero(exists)
    else:
        radial, which = np.nonzero(exists.T)
    type_pairs = list(chain.from_iterable(c.type_pairs for c in choices))
    return (
        radial,
        invariant[which],
        tuple(map(type_pairs.__getitem__, which.tolist())),
        centres[which],
    )


def _assign(
    runs: Runs, masks: Sequence[int], active: NDArray[np.bool_]
) -> _Assignments:
    """Return the assignments of type pairs to slots that have a common centre type.

    Slots of one run may be exchanged, so that only ascending pairs are included.
    """
    assigned: list[tuple[tuple[int, ...], int]] = [((), -1)]
    for length in runs:
        candidates = [
            (pairs, reduce(int.__and__, (masks[pair] for pair in pairs)))
            for pairs in combinations_with_replacement(range(len(masks)), length)
        ]
        assigned = [
            (before + pairs, shared & mask)
            for before, shared in assigned
            for pairs, mask in candidates
            if shared & mask
        ]
    type_pairs = [pairs for pairs, _ in assigned]
    centres = np.array([shared for _, shared in assigned])
    return _Assignments(type_pairs, centres, active[np.array(type_pairs)].all(axis=1))


def _polynomials(
    max_p: int, masks: IntArray, chosen: IntArray
) -> tuple[IntArray, IntArray]:
    """Return the factors of quadratic and cubic features, in ascending order.

    Parameters
    ----------
    max_p : int
        Highest order of the polynomials.
    masks : ndarray
        Centre types of the linear features, as bits.
    chosen : ndarray
        Linear features that are multiplied.
    """
    shared = masks[chosen]
    quadratic = np.empty((0, 2), dtype=np.int64)
    cubic = np.empty((0, 3), dtype=np.int64)
    if max_p > 1:
        high, low = np.tril_indices(len(chosen))
        exist = (shared[high] & shared[low]) != 0
        high, low = high[exist], low[exist]
        quadratic = np.column_stack((chosen[low], chosen[high]))
    if max_p > 2:
        both = shared[high] & shared[low]
        # Pairs of factors up to i are at the beginning of the list.
        ends = np.searchsorted(high, np.arange(len(chosen)), side="right")
        triples = []
        for i, end in enumerate(ends.tolist()):
            pairs = np.flatnonzero(both[:end] & shared[i])
            third = np.full(len(pairs), chosen[i])
            triples.append(
                np.column_stack((chosen[low[pairs]], chosen[high[pairs]], third))
            )
        cubic = np.concatenate([cubic, *triples])
    return quadratic, cubic
