"""Feature lists are those of pypolymlp, and those that the model defines."""

from dataclasses import replace
from itertools import combinations_with_replacement, groupby, product
from math import comb

import numpy as np
import pytest

from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.polynomial.model.feature_list import (
    count_features,
    list_features,
)
from phono3py_mlp_plugin.polynomial.model.invariants import Invariants
from phono3py_mlp_plugin.polynomial.model.parameters import (
    ModelParameters,
    gaussian_pair_params,
)

ELEMENTS = ("Sr", "Ba", "Ti", "O")
DEFAULT = ModelParameters(
    ("Na", "Cl"), 8.0, gaussian_pair_params((1.0, 1.0, 1), (0.0, 7.0, 10))
)


def model(n_types, model_type, max_p, maxl=(3, 2), *, n=3, conditional=False, **others):
    """A small model; gtinv_maxl also gives the order of the invariants."""
    parameters = ModelParameters(
        ELEMENTS[:n_types],
        6.0,
        gaussian_pair_params((1.0, 1.0, 1), (0.0, 5.0, n)),
        model_type=model_type,
        max_p=max_p,
        gtinv_order=len(maxl) + 1,
        gtinv_maxl=maxl,
        **others,
    )
    if not conditional:
        return parameters
    random = np.random.default_rng(n_types)
    active = {
        pair: (*sorted(random.permutation(n)[: max(1, n // 2)].tolist()), n)
        for pair in parameters.type_pairs
    }
    return replace(parameters, conditional_pair_params=active)


MODELS = [
    *(
        model(n_types, model_type, max_p, conditional=conditional)
        for n_types in (1, 2)
        for model_type in (1, 2, 3, 4)
        for max_p in (1, 2, 3)
        for conditional in (False, True)
        if not (n_types == 2 and model_type == 2 and max_p == 3)
    ),
    *(
        model(n_types, model_type, max_p, n=6, feature_type="pair", conditional=c)
        for n_types in (1, 2, 3, 4)
        for model_type, max_p in ((1, 1), (2, 2), (2, 3))
        for c in (False, True)
    ),
    *(
        model(3, model_type, max_p, (2, 2), n=2, conditional=conditional)
        for model_type, max_p in ((1, 1), (2, 2), (3, 2), (3, 3), (4, 2))
        for conditional in (False, True)
    ),
    *(
        model(4, model_type, max_p, (2, 2), n=2, conditional=conditional)
        for model_type, max_p in ((1, 1), (3, 2), (3, 3), (4, 2))
        for conditional in (False, True)
    ),
    *(
        model(n_types, 4, 2, (4, 4), gtinv_version=2, conditional=n_types > 1)
        for n_types in (1, 2, 3)
    ),
    model(2, 2, 3, (2,), n=2),
    model(2, 2, 3, (2, 2), n=1, conditional=True),
    model(2, 3, 3, (), n=5),
    model(3, 4, 3, (1,), n=2),
    model(2, 3, 2, (0, 0)),
    model(2, 3, 2, (2, 6)),
    model(1, 3, 2, (20, 12), n=1),
    model(1, 1, 1, (12, 14), n=1, gtinv_version=2),
    DEFAULT,
    replace(DEFAULT, elements=ELEMENTS[1:]),
]

HIGHER = [
    model(1, 4, 2, (4, 4, 2, 1, 1)),
    model(2, 1, 1, (3, 2, 2, 1, 1), n=2, conditional=True),
    model(2, 3, 2, (4, 3, 3), n=2, gtinv_version=2),
    model(3, 3, 2, (2, 1, 1, 1), n=1),
    model(1, 2, 2, (2, 2, 1, 1, 1), n=1, gtinv_version=2),
]


def name(parameters):
    maxl = ("", *parameters.gtinv_maxl)[: parameters.gtinv_order]
    return " ".join(
        [
            f"{parameters.n_types} types",
            f"type {parameters.model_type}",
            f"p {parameters.max_p}",
            parameters.feature_type + "-".join(map(str, maxl)),
            f"v{parameters.gtinv_version}",
            *(["conditional"] if parameters.conditional_pair_params else []),
        ]
    )


def pypolymlp_table(order, maxl, version):
    from pypolymlp.cxx.lib import libmlpcpp

    table = libmlpcpp.Readgtinv(order, list(maxl), version)
    l = tuple(map(tuple, table.get_l_comb()))
    terms = [
        np.reshape(lm, (-1, len(ls))) - np.array(ls) * (np.array(ls) + 1)
        for ls, lm in zip(l, table.get_lm_seq(), strict=True)
    ]
    return Invariants(l, tuple(terms), tuple(map(np.array, table.get_lm_coeffs())))


def assert_as_in_pypolymlp(feature_list):
    from pypolymlp.core.params_utils import set_all_params
    from pypolymlp.cxx.lib import libmlpcpp

    parameters = feature_list.parameters
    theirs = set_all_params(
        elements=parameters.elements,
        cutoff=parameters.cutoff,
        model_type=parameters.model_type,
        max_p=parameters.max_p,
        feature_type=parameters.feature_type,
        gaussian_params1=(1.0, 1.0, 1),
        gaussian_params2=(0.0, 5.0, parameters.n_radial - 1),
        gtinv_order=parameters.gtinv_order,
        # It takes the largest of them, also where there are none.
        gtinv_maxl=parameters.gtinv_maxl or (0,),
        gtinv_version=parameters.gtinv_version,
    )
    for pair in parameters.type_pairs:
        active = list(parameters.active_pair_params(pair))
        theirs.model.pair_params_conditional[pair] = active
    listed = libmlpcpp.FeaturesAttr(theirs.as_dict())
    assert listed.get_radial_ids() == feature_list.radial.tolist()
    assert list(map(tuple, listed.get_tcomb_ids())) == list(feature_list.type_pairs)
    if parameters.feature_type == "gtinv":
        assert listed.get_gtinv_ids() == feature_list.invariant.tolist()
    products = feature_list.quadratic.tolist() + feature_list.cubic.tolist()
    assert list(map(list, listed.get_polynomial_ids())) == products
    for number, (i, j) in enumerate(parameters.type_pairs):
        assert listed.get_type_pairs()[i][j] == number


@pytest.mark.parametrize("parameters", MODELS, ids=name)
def test_lists_are_those_of_pypolymlp(parameters):
    pytest.importorskip("pypolymlp")
    assert_as_in_pypolymlp(list_features(parameters))


@pytest.mark.parametrize("parameters", HIGHER, ids=name)
def test_higher_orders_from_a_table(parameters):
    pytest.importorskip("pypolymlp")
    feature_list = list_features(parameters, pypolymlp_table)
    assert_as_in_pypolymlp(feature_list)
    assert count_features(parameters, pypolymlp_table) == feature_list.n_features


@pytest.mark.parametrize("parameters", MODELS, ids=name)
def test_count_is_the_length_of_the_list(parameters):
    feature_list = list_features(parameters)
    assert count_features(parameters) == feature_list.n_features
    assert feature_list.n_linear == len(feature_list.invariant)
    assert feature_list.n_linear == len(feature_list.type_pairs)
    assert feature_list.centres.shape == (feature_list.n_linear, parameters.n_types)


def assignments(ls, n_pairs):
    """Type pairs of the slots, each set of exchangeable slots counted once."""
    runs = [len(list(run)) for _, run in groupby(ls)]
    choices = [combinations_with_replacement(range(n_pairs), r) for r in runs]
    return [sum(choice, ()) for choice in product(*choices)]


def linear_by_definition(parameters, degrees):
    """(radial function, invariant, type pairs, centre types) of each feature."""
    pairs = parameters.type_pairs
    return [
        (n, g, slots, tuple(sorted(centres)))
        for n in range(parameters.n_radial)
        for g, ls in enumerate(degrees)
        for slots in assignments(ls, len(pairs))
        if (centres := set.intersection(*(set(pairs[k]) for k in slots)))
        and all(n in parameters.active_pair_params(pairs[k]) for k in slots)
    ]


def products_by_definition(feature_list, order, highest):
    """Combinations of features up to an order that exist at one centre type."""
    chosen = [
        f
        for f in range(feature_list.n_linear)
        if len(feature_list.type_pairs[f]) <= highest
    ]
    # The highest factor is the outermost loop, each one from the first on.
    found = sorted(tuple(reversed(c)) for c in product(chosen, repeat=order))
    return [
        list(reversed(c))
        for c in found
        if list(c) == sorted(c, reverse=True)
        and feature_list.centres[list(c)].all(axis=0).any()
    ]


@pytest.mark.parametrize(
    "parameters",
    [p for p in MODELS if p.feature_type == "gtinv" and p.n_radial * p.n_types < 10],
    ids=name,
)
def test_linear_features_by_their_definition(parameters):
    feature_list = list_features(parameters)
    centres = [tuple(np.flatnonzero(row).tolist()) for row in feature_list.centres]
    found = zip(
        feature_list.radial.tolist(),
        feature_list.invariant.tolist(),
        feature_list.type_pairs,
        centres,
        strict=True,
    )
    expected = linear_by_definition(parameters, feature_list.invariants.l)
    assert list(found) == expected


@pytest.mark.parametrize(
    ("parameters", "highest"),
    [
        (model(2, 2, 3, (1,), n=1), 2),
        (model(2, 3, 3, (1, 1), n=3), 1),
        (model(3, 3, 3, (), n=2, conditional=True), 1),
        (model(2, 4, 3, (1, 1), n=1), 2),
        (model(2, 2, 3, n=5, feature_type="pair"), 1),
    ],
    ids=str,
)
def test_products_by_their_definition(parameters, highest):
    feature_list = list_features(parameters)
    expected = products_by_definition(feature_list, 2, highest)
    assert feature_list.quadratic.tolist() == expected
    expected = products_by_definition(feature_list, 3, highest)
    assert feature_list.cubic.tolist() == expected


def test_pair_features_go_through_pairs_first():
    feature_list = list_features(model(2, 1, 1, n=2, feature_type="pair"))
    assert feature_list.type_pairs == ((0,),) * 3 + ((1,),) * 3 + ((2,),) * 3
    assert feature_list.radial.tolist() == [0, 1, 2] * 3
    assert not feature_list.invariant.any()
    assert feature_list.centres[::3].tolist() == [
        [True, False],
        [True, True],
        [False, True],
    ]


@pytest.mark.parametrize(
    ("elements", "n_linear", "n_features"),
    [
        (("Na", "Cl"), 7843, 8283),
        (("Sr", "Ti", "O"), 37026, 38511),
        (("Sr", "Ba", "Ti", "O"), 113366, 116930),
    ],
)
def test_sizes_of_the_default_model(elements, n_linear, n_features):
    parameters = replace(DEFAULT, elements=elements)
    feature_list = list_features(parameters)
    assert feature_list.n_linear == n_linear
    assert feature_list.n_features == count_features(parameters) == n_features


def test_model_that_could_not_be_listed_is_counted():
    alone = replace(DEFAULT, elements=("Si",), model_type=2, max_p=3)
    n = list_features(replace(alone, max_p=1)).n_linear
    assert count_features(alone) == n + comb(n + 1, 2) + comb(n + 2, 3) > 1e7
    ten = ("H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne")
    largest = replace(alone, elements=ten, gtinv_maxl=(30, 20), gtinv_version=2)
    assert count_features(largest) > 1e20


def test_type_without_radial_functions_has_no_features():
    parameters = model(2, 2, 3, (1, 1), n=1)
    nothing = dict.fromkeys(parameters.type_pairs, ())
    some = replace(parameters, conditional_pair_params={**nothing, (0, 0): (0,)})
    feature_list = list_features(some)
    assert feature_list.centres.tolist() == [[True, False]] * feature_list.n_linear
    assert feature_list.n_features == count_features(some)
    empty = replace(parameters, conditional_pair_params=nothing)
    assert list_features(empty).n_features == count_features(empty) == 0


def test_higher_order_without_a_table_is_refused():
    for function in (list_features, count_features):
        with pytest.raises(ParameterError, match="orders 4 to 6 need pypolymlp"):
            function(HIGHER[0])


@pytest.mark.parametrize("active", [(1, 0), (0, 0), (4,), (-1,)])
def test_radial_functions_of_a_pair_ascend(active):
    with pytest.raises(ParameterError, match="expected known indices, ascending"):
        replace(
            DEFAULT,
            pair_params=DEFAULT.pair_params[:4],
            conditional_pair_params={(0, 1): active},
        )
