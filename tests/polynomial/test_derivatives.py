"""fc2 and fc3 are the derivatives of the energy, with all that follows from that."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.symmetry import Symmetry
from scipy.spatial.transform import Rotation

from chunk_functions import by_workers
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial.derivatives import force_constants
from phono3py_mlp_plugin.polynomial.derivatives.expansion import Basis
from phono3py_mlp_plugin.polynomial.derivatives.force_constants import (
    ForceConstantsOfModel,
)
from phono3py_mlp_plugin.polynomial.derivatives.symmetry import (
    Operations,
    SiteSymmetry,
    operations_of,
)
from phono3py_mlp_plugin.polynomial.derivatives.triples import (
    places,
    representative_triples,
)
from phono3py_mlp_plugin.polynomial.evaluator import Evaluator
from phono3py_mlp_plugin.polynomial.model.feature_list import list_features
from phono3py_mlp_plugin.polynomial.model.invariants import invariants
from phono3py_mlp_plugin.polynomial.structures.structure import Structure
from polynomial.models import Case

# Every kind of features and products, cells larger and smaller than the cutoff. No atom
# crosses the cutoff, where second derivatives jump, within the steps of differences.
CASES = [
    Case(1, 1, 1, 3, (3, 2), cutoff=4.8),
    Case(2, 3, 2, 3, (4, 4), cell="skewed", cutoff=4.8),
    Case(1, 3, 3, 3, (3, 2), cell="skewed"),
    Case(1, 2, 2, 3, (2, 2), cell="skewed"),
    Case(2, 2, 3, 2, (2,), n_gaussians=1, cell="skewed"),
    Case(2, 4, 2, 3, (3, 2), cell="skewed"),
    Case(2, 4, 3, 2, (1,), n_gaussians=2, cell="skewed"),
    Case(3, 3, 2, 3, (2, 2), cell="single"),
    Case(3, 4, 2, 3, (3, 2), conditional=True, cell="skewed"),
    Case(2, 3, 2, 1, (4,), n_gaussians=5, cell="skewed"),
    Case(2, 1, 1, 1, (4,), 5, "pair", cell="skewed"),
    Case(2, 2, 3, 1, (4,), 5, "pair", cell="skewed"),
    Case(2, 1, 1, 6, (3, 2, 2, 1, 1), n_gaussians=1, cell="skewed", cutoff=4.9),
    Case(2, 4, 2, 5, (3, 2, 1, 1), n_gaussians=1, cell="skewed"),
    Case(1, 2, 2, 4, (2, 2, 1), n_gaussians=1, version=2, cell="skewed"),
]


def model_of(case, seed=3):
    table = invariants
    if case.order > 3:
        pytest.importorskip("pypolymlp")
        from phono3py_mlp_plugin.calculators.pypolymlp import library

        table = library.invariants
    feature_list = list_features(case.parameters(), table)
    coefficients = np.random.default_rng(seed).normal(size=feature_list.n_features)
    coefficients[feature_list.n_linear :] *= 0.01
    return feature_list, coefficients


def no_symmetry(n):
    return Operations(np.eye(3)[None], np.arange(n)[None])


def derivatives(feature_list, coefficients, structure, operations=None, **options):
    n = len(structure)
    options = {"rows": range(n), "orders": (2, 3), **options}
    operations = operations or no_symmetry(n)
    model = ForceConstantsOfModel(feature_list, structure, operations, **options)
    return next(model.compute(coefficients[None]))


def moved_forces(evaluator, structure, displacements):
    cells = [
        dataclasses.replace(structure, positions=structure.positions + u)
        for u in displacements
    ]
    return np.array(evaluator.evaluate(cells).forces)


def extrapolated(estimate, step):
    """Richardson: errors of second and fourth order in the step are removed."""
    a, b, c = (estimate(step / k) for k in (1, 2, 4))
    first, second = (4 * b - a) / 3, (4 * c - b) / 3
    return (16 * second - first) / 15


def differences(evaluator, structure, one, other, step=0.004):
    """Return minus the second derivative of the forces by two coordinates."""
    u, v = np.zeros((2, len(structure), 3))
    u[one], v[other] = 1.0, 1.0

    def estimate(h):
        moves = [s * h * u + t * h * v for s in (1, -1) for t in (1, -1)]
        pp, pm, mp, mm = moved_forces(evaluator, structure, moves)
        return -(pp - pm - mp + mm) / (4 * h**2)

    return extrapolated(estimate, step)


def first_differences(evaluator, structure, one, step=0.004):
    u = np.zeros((len(structure), 3))
    u[one] = 1.0

    def estimate(h):
        plus, minus = moved_forces(evaluator, structure, [h * u, -h * u])
        return -(plus - minus) / (2 * h)

    return extrapolated(estimate, step)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_force_constants_are_derivatives_of_the_forces(case):
    """Differences are known to 1e-8: rounding of forces over the square of the step."""
    feature_list, coefficients = model_of(case)
    structure = case.structures()[0]
    found = derivatives(feature_list, coefficients, structure)
    evaluator = Evaluator(feature_list, coefficients)
    last = len(structure) - 1
    np.testing.assert_allclose(
        found[2][0, :, 1],
        first_differences(evaluator, structure, (0, 1)),
        atol=1e-9 * np.abs(found[2]).max(),
    )
    for one, other in [((0, 1), (0, 1)), ((0, 1), (0, 2)), ((last, 2), (0, 0))]:
        np.testing.assert_allclose(
            found[3][one[0], other[0], :, one[1], other[1]],
            differences(evaluator, structure, one, other),
            atol=1e-8 * np.abs(found[3]).max(),
        )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_sums_vanish_and_indices_may_be_exchanged(case):
    feature_list, coefficients = model_of(case)
    structure = case.structures()[0]
    found = derivatives(feature_list, coefficients, structure)
    fc2, fc3 = found[2], found[3]
    scale2, scale3 = np.abs(fc2).max(), np.abs(fc3).max()
    for axis in (0, 1):
        assert np.abs(fc2.sum(axis=axis)).max() < 1e-12 * scale2
    for axis in (0, 1, 2):
        assert np.abs(fc3.sum(axis=axis)).max() < 1e-12 * scale3
    np.testing.assert_allclose(fc2, fc2.transpose(1, 0, 3, 2), atol=1e-12 * scale2)
    for atoms, axes in (((1, 0, 2), (4, 3, 5)), ((2, 1, 0), (5, 4, 3))):
        np.testing.assert_allclose(
            fc3, fc3.transpose(*atoms, *axes), atol=1e-12 * scale3
        )


def test_force_constants_rotate_with_the_cell():
    case = CASES[5]
    feature_list, coefficients = model_of(case)
    structure = case.structures()[0]
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    turned = Structure(
        structure.lattice @ turn.T, structure.positions @ turn.T, structure.types
    )
    found = derivatives(feature_list, coefficients, structure)
    other = derivatives(feature_list, coefficients, turned)
    for order, indices in ((2, "ai,bj,xyij->xyab"), (3, "ai,bj,ck,xyzijk->xyzabc")):
        expected = np.einsum(indices, *[turn] * order, found[order], optimize=True)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(other[order], expected, atol=1e-11 * scale)


ROCK_SALT = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2


def _crystal(kind):
    """Return cells of several lattices; numbers of types are for two elements."""
    if kind == "rock salt":
        # Twice along one axis: symmetry leaves no fc3 in the cubic cell.
        points = np.concatenate([ROCK_SALT, ROCK_SALT + 0.5])
        points = np.concatenate([points, points + np.array([1, 0, 0])]) / [2, 1, 1]
        return np.diag([10.0, 5.0, 5.0]), points, [0, 0, 0, 0, 1, 1, 1, 1] * 2
    if kind == "wurtzite":
        points = [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5]]
        points += [[1 / 3, 2 / 3, 0.38], [2 / 3, 1 / 3, 0.88]]
        lattice = np.array([[3.1, 0, 0], [-1.55, 1.55 * 3**0.5, 0], [0, 0, 5.0]])
        return lattice, np.array(points), [0, 0, 1, 1]
    points = np.array([[0.1, 0.2, 0.15], [-0.1, -0.2, -0.15]])
    lattice = np.array([[3.0, 0, 0], [0.3, 3.4, 0], [-0.2, 0.5, 3.8]])
    return lattice, points, [0, 1] if kind == "triclinic" else [0, 0]


@pytest.mark.parametrize("kind", ["rock salt", "wurtzite", "triclinic", "inversion"])
def test_symmetry_changes_nothing_but_the_work(kind):
    lattice, points, types = _crystal(kind)
    structure = Structure(lattice, points @ lattice, np.array(types))
    cell = PhonopyAtoms(
        symbols=[("Na", "Cl")[t] for t in types], cell=lattice, scaled_positions=points
    )
    feature_list, coefficients = model_of(Case(2, 4, 2, 3, (3, 2), cutoff=4.6))
    operations = operations_of(Symmetry(cell), lattice, np.arange(len(cell)))
    assert len(operations.rotations) > 1 or kind == "triclinic"
    found = derivatives(feature_list, coefficients, structure, operations)
    plain = derivatives(feature_list, coefficients, structure)
    for order in (2, 3):
        scale = np.abs(plain[order]).max()
        np.testing.assert_allclose(found[order], plain[order], atol=1e-10 * scale)


def test_compact_force_constants_are_rows_of_full_ones():
    case = CASES[5]
    feature_list, coefficients = model_of(case)
    structure = case.structures()[0]
    full = derivatives(feature_list, coefficients, structure)
    compact = derivatives(feature_list, coefficients, structure, rows=[1])
    second = derivatives(feature_list, coefficients, structure, orders=(2,))
    assert sorted(second) == [2]
    np.testing.assert_array_equal(second[2], full[2])
    for order in (2, 3):
        np.testing.assert_array_equal(compact[order], full[order][[1]])


def test_many_potentials_at_once_are_each_of_them(monkeypatch):
    case = CASES[5]
    feature_list, coefficients = model_of(case)
    structure = case.structures()[0]
    many = np.array([coefficients, model_of(case, 4)[1], model_of(case, 5)[1]])
    n = len(structure)
    model = ForceConstantsOfModel(
        feature_list, structure, no_symmetry(n), range(n), (2, 3)
    )
    together = list(model.compute(many))
    # One at a time, as where memory is short.
    monkeypatch.setattr(force_constants, "_SUMS", 1.0)
    for found, alone in zip(together, model.compute(many), strict=True):
        for order in (2, 3):
            np.testing.assert_array_equal(found[order], alone[order])


@pytest.mark.parametrize("orders", [(2,), (2, 3)])
@pytest.mark.parametrize("number", [1, 6])
def test_workers_compute_the_same_bits(number, orders):
    """By centre for one potential, by a few potentials for many."""
    case = CASES[5]
    feature_list, _ = model_of(case)
    structure = case.structures()[0]
    many = np.array([model_of(case, seed)[1] for seed in range(number)])
    n = len(structure)
    model = ForceConstantsOfModel(
        feature_list, structure, no_symmetry(n), range(n), orders
    )
    alone = list(model.compute(many))
    shared = list(model.compute(many, map_chunks=by_workers))
    for one, other in zip(alone, shared, strict=True):
        assert sorted(one) == sorted(other) == list(orders)
        for order in orders:
            assert one[order].tobytes() == other[order].tobytes()


@pytest.mark.parametrize("kind", ["rock salt", "wurtzite", "triclinic"])
def test_representative_triples_count_all_triples(kind):
    lattice, points, types = _crystal(kind)
    cell = PhonopyAtoms(
        symbols=[("Na", "Cl")[t] for t in types], cell=lattice, scaled_positions=points
    )
    operations = operations_of(Symmetry(cell), lattice, np.arange(len(cell)))
    symmetry = SiteSymmetry(operations)
    for centre in symmetry.inequivalent.tolist():
        place = places(symmetry, centre)
        neighbours = np.delete(np.argsort(place), place[centre])
        found = representative_triples(symmetry, centre, neighbours)
        # Six permutations of each; all numbers are sums of small fractions.
        counted = 6 * sum(triples.weights.sum() for triples in found)
        n_all = len(neighbours) ** 3 * symmetry.per_primitive_cell(centre)
        assert counted == pytest.approx(n_all, rel=1e-13)
        computed = sum((triples.weights > 0).sum() for triples in found)
        assert computed < len(neighbours) ** 3 or kind == "triclinic"


@pytest.mark.parametrize("number", [1, 3])
def test_progress_ends_at_its_total(number):
    case = CASES[5]
    feature_list, coefficients = model_of(case)
    structure = case.structures()[0]
    n = len(structure)
    model = ForceConstantsOfModel(
        feature_list, structure, no_symmetry(n), range(n), (2, 3)
    )
    totals, done = [], []

    @contextmanager
    def progress(task, total):
        assert task == f"Derivatives of {number} potential{'s' * (number > 1)}"
        totals.append(total)
        yield done.append

    list(model.compute(np.tile(coefficients, (number, 1)), progress))
    assert totals == [sum(done)] and totals[0] > 0


def test_threads_do_not_change_a_bit():
    lattice, points, types = _crystal("wurtzite")
    structure = Structure(lattice, points @ lattice, np.array(types))
    feature_list, coefficients = model_of(Case(2, 3, 2, 3, (3, 2), cutoff=4.6))
    one, three = (
        derivatives(feature_list, coefficients, structure, n_threads=n) for n in (1, 3)
    )
    for order in (2, 3):
        np.testing.assert_array_equal(one[order], three[order])


def test_atoms_at_the_cutoff_are_refused():
    """The second derivative of the cutoff function jumps there."""
    structure = Structure(np.eye(3) * 3.0, np.zeros((1, 3)), np.array([0]))
    feature_list, _ = model_of(Case(1, 1, 1, 3, (2, 2), cutoff=3.0))
    with pytest.raises(PotentialError, match=r"neighbours at the cutoff, 3 angstrom"):
        ForceConstantsOfModel(feature_list, structure, no_symmetry(1), [0], (2,))


def test_derivatives_of_sums_are_those_of_each_other():
    """Each order is the gradient of the one before, by five-point differences."""
    basis = Basis(((1.0, 2.0), (0.7, 1.0), (0.0, 0.0)), 6.0, 6)
    vectors = np.random.default_rng(0).normal(loc=(0.5, 1.0, 0.4), size=(5, 3))
    orders = basis._derivatives(vectors, 3)
    step = 1e-3
    for order in range(3):
        for axis, unit in enumerate(step * np.eye(3)):
            near, far = (
                basis._derivatives(vectors + k * unit, 3)[order]
                - basis._derivatives(vectors - k * unit, 3)[order]
                for k in (1, 2)
            )
            found = orders[order + 1][..., axis, :]
            scale = np.abs(orders[order + 1]).max()
            np.testing.assert_allclose(
                (8 * near - far) / (12 * step), found, atol=1e-8 * scale
            )
