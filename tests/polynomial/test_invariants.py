"""Invariants are those of pypolymlp's tables, and no rotation changes them."""

from collections import defaultdict
from fractions import Fraction
from math import factorial, prod, sqrt

import numpy as np
import pytest
import scipy.special
from scipy.spatial.transform import Rotation

from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.polynomial.model.invariants import (
    degrees,
    invariants,
    pair_invariants,
)
from phono3py_mlp_plugin.polynomial.model.parameters import MAXL_LIMITS

LIMITS = {version: (limits[2], limits[3]) for version, limits in MAXL_LIMITS.items()}

TABLES = [
    (order, maxl, version)
    for version in (1, 2)
    for order, maxl in [
        (1, ()),
        (2, (0,)),
        (2, (8,)),
        (3, (0, 0)),
        (3, (8, 8)),
        (3, (4, 8)),
        (3, (8, 4)),
        (3, (3, 11)),
        (3, LIMITS[version]),
    ]
]


def harmonics(l, m, vectors):
    """Complex spherical harmonics with Condon-Shortley phase."""
    theta = np.arccos(vectors[:, 2])
    phi = np.arctan2(vectors[:, 1], vectors[:, 0])
    if hasattr(scipy.special, "sph_harm_y"):
        return scipy.special.sph_harm_y(l, m, theta, phi)
    return scipy.special.sph_harm(m, l, phi, theta)


def unit_vectors(n, seed):
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def values_of(table, vectors):
    """Complex value of each invariant, its slots summing over the same vectors."""
    max_l = max(map(max, table.l))
    sums = {
        (l, m): harmonics(l, m, vectors).sum()
        for l in range(max_l + 1)
        for m in range(-l, l + 1)
    }
    return np.array(
        [
            sum(
                c * np.prod([sums[l, m] for l, m in zip(ls, ms, strict=True)])
                for c, ms in zip(coefficients, numbers.tolist(), strict=True)
            )
            for ls, numbers, coefficients in zip(
                table.l, table.m, table.coefficients, strict=True
            )
        ]
    )


@pytest.mark.parametrize(("order", "maxl", "version"), TABLES)
def test_tables_are_those_of_pypolymlp(order, maxl, version):
    pytest.importorskip("pypolymlp")
    from pypolymlp.cxx.lib import libmlpcpp

    table = invariants(order, maxl, version)
    expected = libmlpcpp.Readgtinv(order, list(maxl), version)
    assert [tuple(ls) for ls in expected.get_l_comb()] == list(table.l)
    for ls, lm, theirs, m, ours in zip(
        table.l,
        expected.get_lm_seq(),
        expected.get_lm_coeffs(),
        table.m,
        table.coefficients,
        strict=True,
    ):
        # Terms that are exactly zero are there in pypolymlp as rounding noise, which
        # grows with l; ours are exact, see below.
        difference = defaultdict(float)
        for numbers, c in zip(np.reshape(lm, (-1, len(ls))), theirs, strict=True):
            difference[tuple(numbers)] += c
        for numbers, c in zip(np.array(ls) * (np.array(ls) + 1) + m, ours, strict=True):
            difference[tuple(numbers)] -= c
        tolerance = 1e-14 if max(ls) < 12 else 1e-12
        assert max(map(abs, difference.values())) < tolerance


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("version", [1, 2])
def test_terms_are_in_the_order_of_pypolymlp(order, version):
    pytest.importorskip("pypolymlp")
    from pypolymlp.cxx.lib import libmlpcpp

    table = invariants(order, (6, 6), version)
    theirs = libmlpcpp.Readgtinv(order, [6, 6], version).get_lm_seq()
    for ls, lm, m in zip(table.l, theirs, table.m, strict=True):
        centre = np.array(ls) * (np.array(ls) + 1)
        ours = (centre + m).tolist()
        assert [row for row in np.array(lm).tolist() if row in ours] == ours


@pytest.mark.parametrize("version", [1, 2])
def test_no_rotation_changes_them(version):
    table = invariants(3, (8, 7), version)
    vectors = unit_vectors(5, seed=1)
    values = values_of(table, vectors)
    for rotation in Rotation.random(2, random_state=2):
        rotated = values_of(table, rotation.apply(vectors))
        np.testing.assert_allclose(rotated, values, rtol=0, atol=1e-12)
    inverted = values_of(table, -vectors)
    np.testing.assert_allclose(inverted, values, rtol=0, atol=1e-12)
    # That only the real part is taken loses nothing.
    np.testing.assert_allclose(values.imag, 0, atol=1e-12)
    assert (np.abs(values.real) > 1e-6).all()


def test_order_two_is_the_addition_theorem():
    one, other = unit_vectors(2, seed=3)
    table = invariants(2, (20,), 2)
    for (l, _), m, c in zip(
        table.l[1:], table.m[1:], table.coefficients[1:], strict=True
    ):
        y = np.array(
            [[harmonics(l, k, v[None])[0] for k in m[:, 0]] for v in (one, other)]
        )
        value = (c * y[0] * y[1][::-1]).sum()
        legendre = scipy.special.eval_legendre(l, one @ other)
        expected = np.sqrt(2 * l + 1) / (4 * np.pi) * legendre
        assert value == pytest.approx((-1) ** l * expected, abs=1e-13)


def test_3j_symbols_are_orthonormal():
    """Of one (l1, l2), summed over m1 and m2: delta_(l3, l3') / (2 l3 + 1)."""
    table = invariants(3, (0, 20), 2)
    symbols = defaultdict(dict)
    for ls, m, c in zip(table.l, table.m, table.coefficients, strict=True):
        if len(ls) == 3 and ls[:2] in ((3, 5), (4, 4), (6, 11), (12, 13), (20, 20)):
            dense = np.zeros([2 * l + 1 for l in ls])
            dense[tuple((m + np.array(ls)).T)] = c
            symbols[ls[:2]][ls[2]] = dense
    assert len(symbols) == 5
    for of_pair in symbols.values():
        for l3, one in of_pair.items():
            for other_l3, other in of_pair.items():
                m3 = np.arange(-min(l3, other_l3), min(l3, other_l3) + 1)
                product = (one[:, :, l3 + m3] * other[:, :, other_l3 + m3]).sum((0, 1))
                expected = (l3 == other_l3) / (2 * l3 + 1)
                np.testing.assert_allclose(product, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("version", [1, 2])
def test_norm_is_one_over_the_whole_table(version):
    table = invariants(3, LIMITS[version], version)
    for ls, m, c in zip(table.l, table.m, table.coefficients, strict=True):
        assert c @ c == pytest.approx(1, abs=1e-14)
        assert (m.sum(axis=1) == 0).all() and (np.abs(m) <= ls).all()
        assert (c != 0).all()


def racah(l, m):
    """3j symbol by Racah's formula, exact but for the last square root."""
    (l1, l2, l3), (m1, m2, m3) = l, m
    total = 0
    for k in range(l1 + l2 - l3 + 1):
        below = (
            *(k, l3 - l2 + k + m1, l3 - l1 + k - m2),
            *(l1 + l2 - l3 - k, l1 - k - m1, l2 - k + m2),
        )
        if min(below) >= 0:
            total += Fraction((-1) ** k, prod(map(factorial, below)))
    above = (l1 + l2 - l3, l1 - l2 + l3, l2 + l3 - l1)
    above += tuple(a + b for a, b in zip(l, m, strict=True))
    above += tuple(a - b for a, b in zip(l, m, strict=True))
    square = Fraction(prod(map(factorial, above)), factorial(l1 + l2 + l3 + 1))
    return (-1) ** (l1 - l2 - m3) * (1 if total > 0 else -1) * sqrt(square * total**2)


def test_3j_symbols_are_exact():
    # Among those whose sign in the table is that of the symbol.
    table = invariants(3, (0, 20), 2)
    n_checked = 0
    for ls, m, c in zip(
        table.l[3::40], table.m[3::40], table.coefficients[3::40], strict=True
    ):
        step = max(1, len(c) // 20)
        for numbers, value in zip(m[::step].tolist(), c[::step], strict=True):
            assert abs(value - racah(ls, numbers)) < 5e-16
            n_checked += 1
    assert n_checked > 100


def test_known_3j_symbols():
    table = invariants(3, (0, 4), 2)
    values = {
        (*ls, *numbers): c
        for ls, m, coefficients in zip(
            table.l, table.m, table.coefficients, strict=True
        )
        for numbers, c in zip(m.tolist(), coefficients, strict=True)
    }
    assert values[1, 1, 2, 0, 0, 0] == pytest.approx(np.sqrt(2 / 15))
    assert values[1, 1, 2, 1, 1, -2] == pytest.approx(np.sqrt(1 / 5))
    assert values[1, 1, 2, 1, -1, 0] == pytest.approx(np.sqrt(1 / 30))
    assert values[2, 2, 2, 0, 0, 0] == pytest.approx(-np.sqrt(2 / 35))
    assert values[2, 2, 4, 1, 1, -2] == pytest.approx(np.sqrt(4 / 63))


def test_versions_differ_in_sign_and_order_alone():
    tables = [invariants(3, (12, 12), version) for version in (1, 2)]
    first, second = (dict(zip(t.l, t.coefficients, strict=True)) for t in tables)
    assert first.keys() == second.keys() and tables[0].l != tables[1].l
    for ls, coefficients in first.items():
        np.testing.assert_array_equal(abs(coefficients), abs(second[ls]))


@pytest.mark.parametrize(("order", "maxl", "version"), TABLES)
def test_degrees_without_coefficients(order, maxl, version):
    assert degrees(order, maxl, version) == invariants(order, maxl, version).l


@pytest.mark.parametrize("order", [4, 5, 6])
def test_higher_orders_are_refused(order):
    with pytest.raises(ParameterError, match="orders 4 to 6 need pypolymlp"):
        invariants(order, (2,) * 5, 1)


def test_pair_feature_is_the_sum_without_its_harmonic():
    table = pair_invariants()
    values = values_of(table, unit_vectors(7, seed=4))
    np.testing.assert_allclose(values, [7], rtol=1e-15)
