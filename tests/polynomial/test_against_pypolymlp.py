"""The engine gives pypolymlp's numbers, over a grid of models and cells."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from phono3py_mlp_plugin.calculators.pypolymlp.native import invariants_table
from phono3py_mlp_plugin.polynomial.design_matrix import Features
from phono3py_mlp_plugin.polynomial.evaluator import Evaluator
from phono3py_mlp_plugin.polynomial.file.read import parse_potential
from phono3py_mlp_plugin.polynomial.file.write import format_potential
from phono3py_mlp_plugin.polynomial.model.feature_list import (
    count_features,
    list_features,
)
from polynomial.library import library_parameters, library_structures
from polynomial.models import CASES, RECORDED, coefficients_of
from polynomial.record import RECORD

pytest.importorskip("pypolymlp")

# Of the largest entry of a column, or of 1e-3 of the largest of all: columns that
# nearly cancel have the rounding of what they are made of, summed in another order.
X_TOLERANCE = 1e-12
# Of the largest energy or force component.
TOLERANCE = 1e-11


# pypolymlp takes half a minute for the first.
SLOW = ("3el t2 p2 o3 3-2 v1 cubic", "3el t4 p2 o3 3-3 v1 long")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(case, marks=[pytest.mark.slow] if str(case) in SLOW else [])
        for case in CASES
    ],
    ids=str,
)
def model(request):
    case = request.param
    return case, list_features(case.parameters(), invariants_table)


def test_features_are_listed_alike(model):
    from pypolymlp.cxx.lib import libmlpcpp

    case, feature_list = model
    listed = libmlpcpp.FeaturesAttr(library_parameters(case).as_dict())
    assert listed.get_radial_ids() == feature_list.radial.tolist()
    assert [tuple(x) for x in listed.get_tcomb_ids()] == list(feature_list.type_pairs)
    products = feature_list.quadratic.tolist() + feature_list.cubic.tolist()
    assert [list(x) for x in listed.get_polynomial_ids()] == products
    if case.feature_type == "gtinv":
        assert listed.get_gtinv_ids() == feature_list.invariant.tolist()
    counted = count_features(case.parameters(), invariants_table)
    assert counted == feature_list.n_features


def test_design_matrix(model):
    from pypolymlp.core.params import PolymlpParams
    from pypolymlp.mlp_dev.core.features import compute_features

    case, feature_list = model
    structures = case.structures()
    found = Features(feature_list).design_matrix(structures)
    parameters = PolymlpParams(library_parameters(case))
    parameters.include_force = True
    theirs = library_structures(case)
    expected = compute_features(parameters, structures=[s for s, _ in theirs]).x
    n, n_atoms = len(structures), len(structures[0])
    assert_same_with_virials(feature_list, structures, found, expected)
    scale = np.abs(found).max(axis=1)
    floor = 1e-3 * scale.max()
    for k, (_, order) in enumerate(theirs):
        forces = expected[7 * n + 3 * n_atoms * k :][: 3 * n_atoms]
        rows = np.empty((1 + 3 * n_atoms, feature_list.n_features))
        rows[0] = expected[k]
        by_atom = np.empty((n_atoms, 3, feature_list.n_features))
        by_atom[order] = forces.reshape(n_atoms, 3, -1)
        rows[1:] = by_atom.transpose(1, 0, 2).reshape(3 * n_atoms, -1)
        size = 1 + 3 * n_atoms
        difference = np.abs(found[:, k * size : (k + 1) * size] - rows.T).max(axis=1)
        assert (difference <= X_TOLERANCE * np.maximum(scale, floor)).all()


def assert_same_with_virials(feature_list, structures, found, expected):
    """Check virials of the first one, and that the rest is the same with them."""
    n, size = len(structures), 1 + 3 * len(structures[0])
    wide = Features(feature_list).design_matrix(structures[:1], virials=True)
    wide = wide.reshape(len(wide), 1, size + 6)
    # pypolymlp gives them under compression.
    virials = -expected[n : n + 6].reshape(1, 6, -1)
    scale = np.abs(virials).max(axis=(0, 1))
    scale = np.maximum(scale, 1e-3 * scale.max())
    difference = np.abs(wide[:, :, size:] - virials.transpose(2, 0, 1))
    assert (difference.max(axis=(1, 2)) <= 1e-11 * scale).all()
    plain = found[:, :size].reshape(len(found), 1, size)
    scale = np.abs(plain).max(axis=(1, 2), keepdims=True)
    scale = np.maximum(scale, 1e-3 * scale.max())
    assert (np.abs(wide[:, :, :size] - plain) <= X_TOLERANCE * scale).all()


def assert_found_alike(found, expected, orders):
    """Compare energies, forces and virials with those of pypolymlp."""
    energies, forces, virials = map(np.array, expected)
    assert np.abs(found.energies - energies).max() <= TOLERANCE * np.abs(energies).max()
    largest = np.abs(forces).max()
    for k, order in enumerate(orders):
        difference = found.forces[k][order] - forces[k].T
        assert np.abs(difference).max() <= TOLERANCE * largest
    six = -found.virials[:, (0, 1, 2, 0, 1, 2), (0, 1, 2, 1, 2, 0)]
    assert np.abs(six - virials).max() <= TOLERANCE * np.abs(virials).max()


@pytest.mark.parametrize(
    "model", [case for case in CASES if case != RECORDED], ids=str, indirect=True
)
def test_energies_forces_and_virials(model):
    from pypolymlp.calculator.properties import Properties
    from pypolymlp.core.io_polymlp import load_mlp
    from pypolymlp.core.params import PolymlpParams

    case, feature_list = model
    structures = case.structures()
    matrix = Features(feature_list).design_matrix(structures)
    coefficients = coefficients_of(feature_list, matrix)
    found = Evaluator(feature_list, coefficients).evaluate(structures)
    # Through the file, whose numbers are exact.
    text = format_potential(case.parameters(), coefficients)
    read, read_coefficients = load_mlp(filename=io.StringIO(text))
    np.testing.assert_array_equal(read_coefficients, coefficients)
    library = Properties(params=PolymlpParams(read), coeffs=read_coefficients)
    theirs = library_structures(case)
    expected = library.eval_multiple([s for s, _ in theirs])
    assert_found_alike(found, expected, [order for _, order in theirs])


@pytest.mark.slow
def test_energies_forces_and_virials_of_the_largest_model():
    """As above, with what pypolymlp gave once: reading it takes minutes there."""
    recorded = json.loads(RECORD.read_text())
    assert recorded["model"] == str(RECORDED)
    feature_list = list_features(RECORDED.parameters(), invariants_table)
    assert recorded["n_features"] == feature_list.n_features
    structures = RECORDED.structures()
    matrix = Features(feature_list).design_matrix(structures)
    coefficients = coefficients_of(feature_list, matrix)
    read = parse_potential(
        format_potential(RECORDED.parameters(), coefficients),
        "polymlp.yaml",
        invariants_table,
    )
    np.testing.assert_array_equal(read.coefficients, coefficients)
    found = Evaluator(feature_list, read.coefficients).evaluate(structures)
    expected = [recorded[name] for name in ("energies", "forces", "virials")]
    assert_found_alike(found, expected, [o for _, o in library_structures(RECORDED)])


def test_files_of_pypolymlp_are_read(model):
    from pypolymlp.core.io_polymlp_yaml import save_mlp_yaml

    case, feature_list = model
    parameters = library_parameters(case)
    coefficients = np.random.default_rng(4).normal(size=feature_list.n_features)
    buffer = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.open", lambda *_: buffer)
        patch.setattr(buffer, "close", lambda: None)
        save_mlp_yaml(parameters, coefficients, 1.0, "polymlp.yaml")
    read = parse_potential(buffer.getvalue(), "polymlp.yaml", invariants_table)
    assert list_features(read.parameters, invariants_table).n_features == len(
        coefficients
    )
    assert read.parameters.pair_params == case.parameters().pair_params
    # pypolymlp writes 16 digits.
    np.testing.assert_allclose(read.coefficients, coefficients, rtol=1e-15)
