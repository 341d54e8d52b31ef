"""Invariants and features by themselves; pypolymlp's lists are compared elsewhere."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.polynomial.kernels.basis import (
    aligned,
    expand,
    make_segments,
    normalisation,
    pad,
)
from phono3py_mlp_plugin.polynomial.model.feature_list import (
    count_features,
    list_features,
)
from phono3py_mlp_plugin.polynomial.model.invariants import invariants
from phono3py_mlp_plugin.polynomial.model.parameters import (
    MAXL_LIMITS,
    ModelParameters,
    gaussian_pair_params,
)

DEFAULT = gaussian_pair_params((1, 1, 1), (0, 7, 10))


@pytest.mark.parametrize(
    ("elements", "number"),
    [
        (("Na", "Cl"), 8_283),
        (("Sr", "Ti", "O"), 38_511),
        (("Sr", "Ba", "Ti", "O"), 116_930),
    ],
)
def test_default_models_have_the_documented_number_of_features(elements, number):
    parameters = ModelParameters(elements, 8.0, DEFAULT)
    assert count_features(parameters) == list_features(parameters).n_features == number


def test_a_model_far_too_large_is_counted():
    parameters = ModelParameters(("Na", "Cl"), 8.0, DEFAULT, model_type=2, max_p=3)
    n = list_features(ModelParameters(("Na", "Cl"), 8.0, DEFAULT, 1, 1)).n_features
    # Not all factors share a centre: fewer than all triples, many more than pairs.
    assert n**3 / 24 < count_features(parameters) < n**3 / 6 + n**2


def neighbour_sums(vectors, max_l):
    """Real expansion coefficients of some neighbours, and the one."""
    n = len(vectors)
    start = np.array([[0, pad(n)]])
    segments = make_segments(start, np.arange(n), vectors, [(0.0, 0.0)], 10.0)
    ones = np.where(np.isfinite(segments.distances), 1.0, 0.0)
    coefficients = aligned(1, (max_l + 1) ** 2 + 1, 16)
    expand(
        segments._replace(functions=ones[None]), normalisation(max_l), 0, coefficients
    )
    return coefficients[0, :-1, 0]


def test_harmonics_are_scipys():
    from scipy.special import sph_harm_y

    (vector,) = np.random.default_rng(1).normal(size=(1, 3))
    found = neighbour_sums(vector[None], 8)
    x, y, z = vector / np.linalg.norm(vector)
    for l in range(9):
        for m in range(l + 1):
            value = sph_harm_y(l, m, np.arccos(z), np.arctan2(y, x)) * (-1) ** m
            place = l * l + max(2 * m - 1, 0)
            assert found[place] == pytest.approx(value.real, abs=1e-14)
            if m:
                assert found[place + 1] == pytest.approx(value.imag, abs=1e-14)


@pytest.mark.parametrize("version", [1, 2])
def test_no_rotation_changes_an_invariant(version):
    found = invariants(3, (6, 6), version)
    random = np.random.default_rng(2)
    vectors = random.normal(size=(7, 3))
    turned = Rotation.random(random_state=3).apply(vectors)
    for ls, m, coefficients in zip(found.l, found.m, found.coefficients, strict=True):
        values = []
        for some in (vectors, turned):
            real = neighbour_sums(some, 6)
            terms = coefficients.astype(complex)
            for slot, l in enumerate(ls):
                number = np.abs(m[:, slot])
                cosine = real[l * l + np.maximum(2 * number - 1, 0)]
                sine = np.where(number > 0, real[l * l + 2 * number], 0.0)
                # a_(l,-m) = c - i s, a_(l,m) = (-1)^m (c + i s).
                up = (-1.0) ** number * (cosine + 1j * sine)
                terms = terms * np.where(m[:, slot] > 0, up, cosine - 1j * sine)
            values.append(terms.sum().real)
        assert values[0] == pytest.approx(values[1], abs=1e-12)


def test_higher_orders_need_pypolymlp():
    with pytest.raises(ParameterError, match="need pypolymlp"):
        invariants(4, (2, 2, 1), 1)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", [2, 3, 4, 5, 6])
def test_a_larger_l_than_the_table_has_is_refused(version, order):
    # pypolymlp leaves it out without a word.
    maxl = [0] * (order - 2) + [MAXL_LIMITS[version][order] + 1]
    with pytest.raises(ParameterError, match=f"gtinv_maxl of order {order}"):
        ModelParameters(
            ("Si",), 5.0, DEFAULT, gtinv_order=order, gtinv_maxl=tuple(maxl),
            gtinv_version=version,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"elements": ("Na", "Na")}, "elements"),
        ({"cutoff": 0.0}, "cutoff"),
        ({"pair_params": ()}, "pair_params"),
        ({"max_p": 4}, "max_p"),
        ({"model_type": 5}, "model_type"),
        ({"model_type": 3, "feature_type": "pair"}, "model_type"),
        ({"gtinv_version": 3}, "gtinv_version"),
        ({"gtinv_maxl": (4,)}, "gtinv_maxl has 1 values"),
        ({"atomic_energies": (1.0,)}, "atomic_energies"),
        ({"conditional_pair_params": {(0, 5): (0,)}}, "pair_params of types 0, 5"),
    ],
)
def test_impossible_models_are_refused(change, message):
    possible = {"elements": ("Na", "Cl"), "cutoff": 5.0, "pair_params": DEFAULT}
    with pytest.raises(ParameterError, match=message):
        ModelParameters(**{**possible, **change})
