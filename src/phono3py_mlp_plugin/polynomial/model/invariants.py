"""Invariants of the rotation group up to order 3, from Wigner 3j symbols.

Up to order 3, an invariant is determined by its l except for norm and sign. Signs,
order and range of the list are those of the tables of pypolymlp (A. Seko, J. Appl.
Phys. 133, 011101 (2023)), determined with version 0.22.1, so that potentials are
interchangeable. pypolymlp: copyright (c) 2024, pypolymlp, BSD-3-Clause. Above order 3,
the basis of each space of invariants is arbitrary, and the tables of pypolymlp are
required.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from math import comb, pi, sqrt
from typing import TypeAlias

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.polynomial.model.parameters import MAXL_LIMITS

# Signs in version 1 of the table, by l for order 2, and in the order of the list for
# order 3.
_SIGNS_2 = "+-+--+-+-+--+--++----"
_SIGNS_3 = (
    "+----++-++++-+-++++++--+-++-+++-----+---++--+-+-+-------+-+-++-------+"
    "++++--+++--++++-------+--++-++-++-+--+--+-++++++-+-++-++--++-+++--+---"
)

# Invariants of order 3 with a minus sign in version 2.
_NEGATIVE_3 = frozenset(
    {
        (7, 18, 19), (7, 19, 20), (8, 16, 18), (9, 14, 17), (10, 12, 20),
        (10, 13, 17), (10, 13, 19), (10, 14, 16), (10, 15, 15), (11, 11, 18),
        (11, 11, 20), (11, 13, 14), (11, 13, 16), (12, 13, 13), (16, 18, 20),
        (16, 20, 20), (17, 17, 20), (17, 18, 19), (18, 18, 20), (18, 19, 19),
        (18, 20, 20), (19, 19, 20), (20, 20, 20),
    }
)  # fmt: skip

# In version 1, invariants up to this l are listed first.
_FIRST_LIST = 10

HIGHEST_ORDER = 3
"""Highest order of the invariants implemented in this package."""


@dataclass(frozen=True, eq=False)
class Invariants:
    """Polynomials of sums over neighbours that are invariant under rotations.

    With ``a_lm = sum_j f(r_j) Y_lm(r_j)``, an invariant is ``Re sum_k c_k prod_s
    a_(l_s, m_ks)``.

    Attributes
    ----------
    l : tuple of tuple of int
        l of each slot, for each invariant.
    m : tuple of ndarray
        m of each term and slot, for each invariant, shape ``(n_terms, order)``.
    coefficients : tuple of ndarray
        c of each term, for each invariant, shape ``(n_terms,)``.
    """

    l: tuple[tuple[int, ...], ...]
    m: tuple[IntArray, ...]
    coefficients: tuple[FloatArray, ...]


Table: TypeAlias = Callable[[int, Sequence[int], int], Invariants]
"""``table(order, maxl, version)`` returns all invariants up to an order."""


def invariants(order: int, maxl: Sequence[int], version: int) -> Invariants:
    """Return all invariants up to an order, listed as in the tables of pypolymlp.

    Parameters
    ----------
    order : int
        1 to 3.
    maxl : sequence of int
        Highest l for orders 2 and 3.
    version : {1, 2}
        Version of the table.

    Raises
    ------
    ParameterError
        If the order is above 3.
    """
    l = degrees(order, maxl, version)
    m, coefficients = [], []
    for ls in l:
        numbers, values = _unsigned(ls)
        m.append(numbers)
        coefficients.append(-values if _is_negative(ls, version) else values)
    return Invariants(l, tuple(m), tuple(coefficients))


def degrees(
    order: int, maxl: Sequence[int], version: int
) -> tuple[tuple[int, ...], ...]:
    """Return the l of each slot of all invariants up to an order.

    For parameters and exceptions see `invariants`.
    """
    if order > HIGHEST_ORDER:
        raise ParameterError(
            f"gtinv_order = {order}; orders 4 to 6 need pypolymlp, whose tables define "
            "them. Install it, or use gtinv_order = 3."
        )
    listed: list[tuple[int, ...]] = [(0,)]
    if order > 1:
        listed += [(l, l) for l in range(maxl[0] + 1)]
    if order > 2:
        listed += _triples(maxl[1], version)
    return tuple(listed)


def pair_invariants() -> Invariants:
    """Return the only invariant of pair features, ``sum_j f(r_j)`` without Y_00."""
    constant = np.array([sqrt(4 * pi)])
    return Invariants(((0,),), (np.zeros((1, 1), dtype=np.int64),), (constant,))


def _triples(maxl: int, version: int) -> list[tuple[int, int, int]]:
    """Return all l1 <= l2 <= l3 that couple to an invariant of even parity."""
    triples = [
        (a, b, c)
        for a, b, c in combinations_with_replacement(range(maxl + 1), 3)
        if (a + b + c) % 2 == 0 and c <= a + b
    ]
    if version == 1:
        triples.sort(key=lambda ls: ls[2] > _FIRST_LIST)
    return triples


def _unsigned(ls: tuple[int, ...]) -> tuple[IntArray, FloatArray]:
    """Return m and coefficients of an invariant, without the sign of the table."""
    if len(ls) == 1:
        return np.zeros((1, 1), dtype=np.int64), np.ones(1)
    if len(ls) == 2:
        l = ls[0]
        m = np.arange(-l, l + 1)
        signs = np.where((l - m) % 2 == 0, 1.0, -1.0)
        return np.column_stack((m, -m)), signs / sqrt(2 * l + 1)
    return _wigner_3j(*ls)


def _is_negative(ls: tuple[int, ...], version: int) -> bool:
    if len(ls) == 1:
        return False
    if version == 2:
        return ls in _NEGATIVE_3
    if len(ls) == 2:
        return _SIGNS_2[ls[0]] == "-"
    return _signs_of_first_version()[ls] == "-"


@cache
def _signs_of_first_version() -> dict[tuple[int, ...], str]:
    return dict(zip(_triples(MAXL_LIMITS[1][3], 1), _SIGNS_3, strict=True))


def _wigner_3j(l1: int, l2: int, l3: int) -> tuple[IntArray, FloatArray]:
    """Return all (m1, m2, m3) with zero sum and their non-zero 3j symbols.

    The sum in Racah's formula is smaller than ``2^(l1 + l2 + l3)`` and is computed with
    integers, so that zeros are exact up to l1 + l2 + l3 = 62.

    Returns
    -------
    m : ndarray
        In lexicographic order, shape ``(n, 3)``.
    values : ndarray
        Shape ``(n,)``; the sum of their squares is 1.
    """
    choose = _binomials()
    m1, m2 = np.indices((2 * l1 + 1, 2 * l2 + 1)).reshape(2, -1)
    m1, m2 = m1 - l1, m2 - l2
    possible = np.abs(m1 + m2) <= l3
    m1, m2 = m1[possible], m2[possible]
    m3 = -m1 - m2
    # Indices out of range, including negative ones, refer to the padding with zeros.
    a, c, d = l1 + l2 - l3, choose[l1 - l2 + l3], choose[l2 + l3 - l1]
    sums = np.zeros(len(m1), dtype=np.int64)
    for k in range(a + 1):
        sums += (-1) ** k * choose[a, k] * c[l1 - m1 - k] * d[l2 + m2 - k]
    squares = choose[2 * l1, l1 + m1].astype(np.float64)
    squares *= choose[2 * l2, l2 + m2]
    squares *= choose[2 * l3, l3 + m3]
    values = (-1.0) ** (l1 - l2 - m3) * sums / np.sqrt(squares)
    present = sums != 0
    values = values[present]
    return np.column_stack((m1, m2, m3))[present], values / np.sqrt(values @ values)


@cache
def _binomials() -> IntArray:
    """Return the binomials needed for 3j symbols, with columns padded with zeros."""
    size = 2 * max(limits[3] for limits in MAXL_LIMITS.values()) + 1
    return np.array([[comb(n, k) for k in range(2 * size)] for n in range(size)])
