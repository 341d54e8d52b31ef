"""The regression is ridge regression as pypolymlp defines it, in both forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits

from chunk_functions import by_workers
from phono3py_mlp_plugin.contracts import Dataset
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial.regression import form as form_module
from phono3py_mlp_plugin.polynomial.regression import problem as problem_module
from phono3py_mlp_plugin.polynomial.regression.dual import Dual
from phono3py_mlp_plugin.polynomial.regression.path import (
    curve,
    regression,
    ridge_paths,
)
from phono3py_mlp_plugin.polynomial.regression.primal import Primal
from phono3py_mlp_plugin.polynomial.regression.problem import Problem
from phono3py_mlp_plugin.polynomial.regression.targets import (
    Targets,
    column_scales,
    targets_of,
)
from phono3py_mlp_plugin.reference import nacl_dataset

ALPHAS = 10.0 ** np.linspace(-2, 1, 4)
N_ATOMS = 3
SIZE = 1 + 3 * N_ATOMS
FORMS = pytest.mark.parametrize("primal", [True, False], ids=["primal", "dual"])


@pytest.fixture(autouse=True)
def one_thread():
    """BLAS threads cost more than they bring where matrices are this small."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(autouse=True, params=[False, True], ids=["alone", "shared"])
def shared(request, monkeypatch):
    """All hold where one factor serves several penalties, as with many unknowns."""
    if request.param:
        monkeypatch.setattr(form_module, "_KRYLOV_FROM", 0)
    return request.param


class Known:
    """A design matrix that is known, and counts how often it is asked."""

    def __init__(self, rows, asked=None):
        self.rows = rows
        self.asked = np.zeros(len(rows), dtype=int) if asked is None else asked

    @property
    def n_features(self):
        return self.rows.shape[2]

    def fill(self, matrix, column, supercells):
        size = self.rows.shape[1]
        for k, s in enumerate(supercells):
            place = slice(column + k * size, column + (k + 1) * size)
            assert not matrix[:, place].any()
            matrix[:, place] = self.rows[s].T
            self.asked[s] += 1

    def part(self, supercells):
        here = slice(supercells.start, supercells.stop)
        return Known(self.rows[here], self.asked[here])

    def first(self, n):
        return Known(self.rows[:n])


class Example:
    """Random features over twelve orders of magnitude, and targets they can mostly fit.

    Energies vary little about large means, as those of displaced supercells.
    """

    def __init__(self, n_features, n, n_test, seed=0, energies=(-4.0, 0.01)):
        random = np.random.default_rng(seed)
        total = n + n_test
        rows = random.normal(size=(total, SIZE, n_features))
        rows[:, 0] += 30 * random.normal(size=n_features)
        rows *= 10 ** random.uniform(-6, 6, size=n_features)
        spread = rows[:, 0].std(axis=0)
        values = rows @ (random.normal(size=n_features) / spread)
        values += 0.1 * random.normal(size=values.shape)
        mean, scatter = np.array(energies) * N_ATOMS
        self.random, self.rows, self.n = random, rows, n
        self.energies = mean + scatter * random.normal(size=total)
        self.forces = values[:, 1:].reshape(total, 3, N_ATOMS)

    def training(self, n=None):
        n = n or self.n
        return Problem(
            Known(self.rows[:n]), Targets(self.energies[:n], self.forces[:n])
        )

    def test(self):
        n = self.n
        return Problem(
            Known(self.rows[n:]), Targets(self.energies[n:], self.forces[n:])
        )

    def paths(self, n=None, **options):
        return ridge_paths(self.training(n), self.test(), ALPHAS, **options)


OVER = {"n_features": 25, "n": 12, "n_test": 4}
UNDER = {"n_features": 150, "n": 8, "n_test": 4}


def weights_of(targets, lowest):
    """Weights, one number after the other."""
    table = []
    for s, forces in enumerate(targets.forces):
        row = [0.0]
        if targets.energies is not None:
            per_atom = targets.energies[s] / forces.shape[1]
            row = [1.0]
            if per_atom > 0.75 * lowest:
                row = [0.5]
            if per_atom > 0.5 * lowest:
                row = [0.3]
            if per_atom > 0:
                row = [0.1]
        row += [min(1.0, 1.0 / max(abs(f), 1e-12)) for f in forces.reshape(-1)]
        table.append(row)
    return np.array(table)


class Reference:
    """Dense least squares with the penalty as further rows; nothing is squared."""

    def __init__(self, rows, targets, scales=None):
        self.rows, self.targets = rows, targets
        self.lowest = None
        energies = np.zeros(len(rows))
        if targets.energies is not None:
            energies = targets.energies
            self.lowest = energies.min() / targets.n_atoms
        self.weights = weights_of(targets, self.lowest)
        values = np.column_stack([energies, targets.forces.reshape(len(rows), -1)])
        self.scales = rows[:, 0].std(axis=0) if scales is None else scales
        self.kept = self.scales >= 1e-10
        scaled = rows[:, :, self.kept] / self.scales[self.kept]
        self.x = scaled * self.weights[:, :, None]
        self.y = values * self.weights

    def coefficients(self, alpha, without=()):
        some = [s for s in range(len(self.rows)) if s not in without]
        x = self.x[some].reshape(-1, self.x.shape[2])
        rows = np.vstack([x, np.sqrt(alpha) * np.eye(x.shape[1])])
        right = np.append(self.y[some].reshape(-1), np.zeros(x.shape[1]))
        found = np.zeros(len(self.scales))
        solved = np.linalg.lstsq(rows, right, rcond=None)[0]
        found[self.kept] = solved / self.scales[self.kept]
        return found

    def residuals(self, coefficients):
        fitted = (self.rows @ coefficients) * self.weights
        return self.y - fitted

    def rmse(self, coefficients, lowest=None):
        if lowest is not None:
            again = Reference(self.rows, self.targets)
            again.weights = weights_of(self.targets, lowest)
            again.y = self.y / self.weights * again.weights
            return again.rmse(coefficients)
        residuals = self.residuals(coefficients)
        return np.linalg.norm(residuals) / np.linalg.norm(self.weights)


def without_energies(problem):
    return replace(problem, targets=Targets(None, problem.targets.forces))


def predicted(rows, coefficients):
    return np.asarray(rows @ coefficients)


def assert_same_predictions(rows, one, other, tolerance=1e-8):
    """Coefficients are not compared: many predict the same."""
    expected = predicted(rows, other)
    difference = np.abs(predicted(rows, one) - expected)
    assert difference.max() <= tolerance * np.abs(expected).max()


def assert_same_path(one, other, rows, tolerance=1e-8):
    np.testing.assert_array_equal(one.alphas, other.alphas)
    for name in ("rmse_training", "rmse_test"):
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=tolerance
        )
    for a, b in zip(one.coefficients, other.coefficients, strict=True):
        assert_same_predictions(rows, a, b, tolerance)


@FORMS
@pytest.mark.parametrize("shape", [OVER, UNDER], ids=["over", "under"])
@pytest.mark.parametrize("energies", [(-4.0, 0.01), (-1.0, 2.0)], ids=["near", "far"])
def test_every_penalty_is_least_squares(shape, primal, energies):
    """Far: energies in all four classes of weights, the lowest in the training set."""
    problem = Example(**shape, energies=energies)
    reference = Reference(problem.rows[: problem.n], problem.training().targets)
    on_test = Reference(problem.rows[problem.n :], problem.test().targets)
    (path,) = problem.paths(is_primal=lambda _n: primal)
    for k, alpha in enumerate(ALPHAS):
        expected = reference.coefficients(alpha)
        assert_same_predictions(problem.rows, path.coefficients[k], expected)
        assert path.rmse_training[k] == pytest.approx(reference.rmse(expected), 1e-7)
        error = on_test.rmse(expected, reference.lowest)
        assert path.rmse_test[k] == pytest.approx(error, 1e-7)
    assert path.best == np.argmin(path.rmse_test)


@FORMS
def test_penalties_share_factors(monkeypatch, primal, shared):
    """Four within three decades: one in the middle serves all."""
    factorised = []
    form = Primal if primal else Dual
    factorise = form._factorised
    monkeypatch.setattr(
        form,
        "_factorised",
        lambda self, alpha: (factorised.append(alpha), factorise(self, alpha))[1],
    )
    Example(**OVER).paths(is_primal=lambda _n: primal)
    assert len(factorised) == (1 if shared else 4)


def test_the_smaller_form_is_taken(monkeypatch):
    taken = []
    for form in (Primal, Dual):
        prepare = form.prepare
        monkeypatch.setattr(
            form,
            "prepare",
            lambda self, prepare=prepare: (taken.append(type(self)), prepare(self)),
        )
    for shape in (OVER, UNDER):
        Example(**shape).paths()
    assert taken == [Primal, Dual]


@FORMS
def test_the_mean_of_energies_does_not_drown_the_rest(primal):
    """Displaced supercells: energies differ by 1e-5 of their mean.

    Then the energy rows give X X^T an eigenvalue of 1e13, whose rounding is larger than
    the smallest of these penalties.
    """
    problem = Example(**OVER)
    problem.rows[:, 0] += 1e5 * problem.rows[:, 0].std(axis=0)
    training = problem.training()
    # The formula leaves six digits here and the order of the sum decides the rest:
    # scales are not in question.
    scales = column_scales(np.ascontiguousarray(training.design.rows[:, 0].T))
    reference = Reference(training.design.rows, training.targets, scales)
    alphas = (1e-4, 1e-2, 1.0)
    (path,) = ridge_paths(training, problem.test(), alphas, is_primal=lambda _n: primal)
    for k, alpha in enumerate(alphas):
        expected = reference.coefficients(alpha)
        forces = problem.rows[:, 1:]
        assert_same_predictions(forces, path.coefficients[k], expected)
        assert path.rmse_training[k] == pytest.approx(reference.rmse(expected), 1e-6)


@FORMS
def test_without_energies_only_forces_count(primal):
    problem = Example(**OVER)
    training = problem.training()
    training = without_energies(training)
    test = without_energies(problem.test())
    (path,) = ridge_paths(training, test, ALPHAS, is_primal=lambda _n: primal)
    reference = Reference(training.design.rows, training.targets)
    for k, alpha in enumerate(ALPHAS):
        expected = reference.coefficients(alpha)
        # What the forces leave open is not compared: the energy.
        forces = problem.rows[:, 1:]
        assert_same_predictions(forces, path.coefficients[k], expected)
        assert path.rmse_training[k] == pytest.approx(reference.rmse(expected), 1e-7)


@FORMS
def test_columns_without_scatter_have_no_coefficient(primal):
    problem = Example(**OVER)
    problem.rows[:, :, [3, 7]] = 0.0
    # Constant energies: the rounding of their variance decides in pypolymlp as well,
    # but zero is zero whatever the forces are.
    problem.rows[:, 0, 11] = 0.0
    (path,) = problem.paths(is_primal=lambda _n: primal)
    assert not path.coefficients[:, [3, 7, 11]].any()
    reference = Reference(problem.rows[: problem.n], problem.training().targets)
    expected = reference.coefficients(ALPHAS[0])
    assert_same_predictions(problem.rows, path.coefficients[0], expected)


def test_a_column_that_scatters_late_is_not_lost(monkeypatch):
    """The first block had left it out: everything is computed once more."""
    problem = Example(**OVER)
    problem.rows[:4, 0, 5] = 7.0
    problem.rows[:, :, 9] = 0.0
    monkeypatch.setattr(problem_module, "BLOCK_BYTES", 8 * 25 * SIZE * 2)
    training = problem.training()
    (path,) = ridge_paths(training, problem.test(), ALPHAS)
    np.testing.assert_array_equal(training.design.asked, 2)
    reference = Reference(training.design.rows, training.targets)
    for k, alpha in enumerate(ALPHAS):
        expected = reference.coefficients(alpha)
        assert_same_predictions(problem.rows, path.coefficients[k], expected)
    assert path.coefficients[:, 5].all()


@FORMS
def test_blocks_do_not_matter(monkeypatch, primal):
    problem = Example(**OVER)
    (whole,) = problem.paths(is_primal=lambda _n: primal)
    for supercells in (1, 2, 5):
        monkeypatch.setattr(problem_module, "BLOCK_BYTES", 8 * 25 * SIZE * supercells)
        (path,) = problem.paths(is_primal=lambda _n: primal)
        assert_same_path(path, whole, problem.rows)


@pytest.mark.parametrize("sizes", [None, (3, 7, 20)], ids=["all", "curve"])
@pytest.mark.parametrize(
    "form",
    [None, lambda _n: True, lambda _n: False],
    ids=["smaller", "primal", "dual"],
)
@pytest.mark.parametrize("late", [False, True], ids=["", "late scatter"])
def test_workers_compute_the_same_bits(monkeypatch, form, sizes, late):
    """Whoever computes a group, and whatever comes first."""
    problem = Example(60, n=20, n_test=4)
    if late:
        problem.rows[:4, 0, 5] = 7.0
    monkeypatch.setattr(problem_module, "BLOCK_BYTES", 8 * 60 * SIZE * 2)
    monkeypatch.setattr(problem_module, "_GROUP_ROWS", 3 * SIZE)
    here = problem.paths(sizes=sizes, is_primal=form)
    there = problem.paths(sizes=sizes, is_primal=form, map_chunks=by_workers)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.coefficients, other.coefficients)
        np.testing.assert_array_equal(one.rmse_training, other.rmse_training)
        np.testing.assert_array_equal(one.rmse_test, other.rmse_test)


def test_a_feature_that_is_not_finite_is_named_by_its_supercell_in_workers(monkeypatch):
    monkeypatch.setattr(problem_module, "BLOCK_BYTES", 8 * 25 * SIZE)
    monkeypatch.setattr(problem_module, "_GROUP_ROWS", 3 * SIZE)
    for place, name in ((8, "^supercell 9: "), (13, "^test supercell 2: ")):
        problem = Example(**OVER)
        problem.rows[place, 3, 4] = np.nan
        with pytest.raises(PotentialError, match=name):
            problem.paths(map_chunks=by_workers)


def test_features_are_computed_once():
    problem = Example(**OVER)
    for sizes in (None, (2, 6, 12)):
        training = problem.training()
        test = problem.test()
        done = []
        ridge_paths(training, test, ALPHAS, sizes=sizes, advance=done.append)
        np.testing.assert_array_equal(training.design.asked, 1)
        np.testing.assert_array_equal(test.design.asked, 1)
        assert sum(done) == len(problem.rows)


@pytest.mark.parametrize(
    "form",
    [None, lambda _n: True, lambda _n: False],
    ids=["smaller", "primal", "dual"],
)
@pytest.mark.parametrize("energies", [(-4.0, 0.01), (-1.0, 2.0)], ids=["near", "far"])
def test_first_supercells_as_if_they_were_all(form, energies):
    """Scales, lowest energy and weights are those of each size."""
    problem = Example(60, n=20, n_test=4, energies=energies)
    problem.energies[10] = 1.5 * problem.energies.min()
    sizes = (3, 5, 10, 11, 20)
    paths = problem.paths(sizes=sizes, is_primal=form)
    for n, path in zip(sizes, paths, strict=True):
        (alone,) = ridge_paths(
            problem.training(n), problem.test(), ALPHAS, is_primal=form
        )
        assert_same_path(path, alone, problem.rows)


def test_late_scatter_within_a_learning_curve(monkeypatch):
    problem = Example(**OVER)
    problem.rows[:5, 0, 5] = 7.0
    monkeypatch.setattr(problem_module, "BLOCK_BYTES", 8 * 25 * SIZE * 2)
    sizes = (4, 8, 12)
    paths = problem.paths(sizes=sizes, is_primal=lambda _n: True)
    for n, path in zip(sizes, paths, strict=True):
        reference = Reference(problem.rows[:n], problem.training(n).targets)
        expected = reference.coefficients(ALPHAS[1])
        assert_same_predictions(problem.rows, path.coefficients[1], expected)


@FORMS
def test_a_penalty_below_rounding_fails_and_the_others_do_not(primal):
    problem = Example(**UNDER if primal else OVER)
    problem.rows[:, 1:] *= 1e7
    alphas = np.array([1e-8, 1e4])
    training = problem.training()
    (path,) = ridge_paths(training, problem.test(), alphas, is_primal=lambda _n: primal)
    assert np.isnan(path.rmse_training[0]) and np.isnan(path.rmse_test[0])
    assert np.isnan(path.coefficients[0]).all()
    assert np.isfinite(path.coefficients[1]).all()
    assert path.best == 1
    with pytest.raises(PotentialError, match="singular"):
        regression(training, primal).leave_one_out(1e-8)


@FORMS
def test_all_penalties_failed(primal):
    problem = Example(**UNDER if primal else OVER)
    problem.rows[:, 1:] *= 1e7
    training = problem.training()
    (path,) = ridge_paths(
        training, problem.test(), [1e-8, 1e-7], is_primal=lambda _n: primal
    )
    with pytest.raises(PotentialError, match="reg_alpha_params"):
        _ = path.best


@FORMS
@pytest.mark.parametrize("row", [0, 4], ids=["energy", "force"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite(primal, row, value):
    problem = Example(**OVER)
    problem.rows[6, row, 2] = value
    with pytest.raises(PotentialError, match="supercell 7"):
        problem.paths(is_primal=lambda _n: primal)


@pytest.mark.parametrize("row", [0, 4], ids=["energy", "force"])
def test_test_features_that_are_not_finite(row):
    problem = Example(**OVER)
    problem.rows[problem.n + 1, row, 2] = np.nan
    with pytest.raises(PotentialError, match="test supercell 2"):
        problem.paths()


def test_targets_that_are_not_finite():
    forces = np.zeros((3, N_ATOMS, 3))
    forces[1, 0, 2] = np.nan
    with pytest.raises(PotentialError, match="supercell 2: the force"):
        targets_of(Dataset(None, np.zeros_like(forces), forces, np.zeros(3)), {})
    energies = np.array([0.0, 0.0, np.inf])
    with pytest.raises(PotentialError, match="supercell 3: the energy"):
        targets_of(Dataset(None, forces * 0, np.zeros_like(forces), energies), {})


def test_forces_are_taken_by_direction():
    forces = np.arange(2 * N_ATOMS * 3, dtype=float).reshape(2, N_ATOMS, 3)
    dataset = Dataset(molecule(), forces, forces, np.array([5.0, 6.0]))
    targets = targets_of(dataset, {"H": 0.25, "O": 0.5})
    np.testing.assert_array_equal(targets.forces[1, 2], forces[1, :, 2])
    np.testing.assert_array_equal(targets.energies, [4.0, 5.0])


def molecule():
    positions = np.arange(9.0).reshape(3, 3) / 10
    return PhonopyAtoms(symbols=["H", "O", "H"], cell=np.eye(3), positions=positions)


@FORMS
@pytest.mark.parametrize("shape", [OVER, UNDER], ids=["over", "under"])
def test_leaving_one_out_is_fitting_again(shape, primal):
    problem = Example(**shape)
    training = problem.training()
    reference = Reference(training.design.rows, training.targets)
    for alpha in (0.1, 10.0):
        found = regression(training, primal).leave_one_out(alpha, changes=True)
        whole = reference.coefficients(alpha)
        weighted = []
        for s in range(problem.n):
            refitted = reference.coefficients(alpha, without={s})
            errors = predicted(training.design.rows[s], refitted)
            errors[0] -= training.targets.energies[s]
            errors[1:] -= training.targets.forces[s].reshape(-1)
            assert found.energies[s] == pytest.approx(errors[0], abs=1e-7)
            np.testing.assert_allclose(
                found.forces[s].reshape(-1), errors[1:], atol=1e-7
            )
            change = predicted(problem.rows, found.changes[s])
            expected = predicted(problem.rows, refitted - whole)
            np.testing.assert_allclose(change, expected, atol=1e-7)
            weighted.append(errors * reference.weights[s])
        norm = np.linalg.norm(weighted)
        rmse = norm / np.linalg.norm(reference.weights)
        assert found.weighted_rmse == pytest.approx(rmse, 1e-7)
        assert found.noise == pytest.approx(norm / np.sqrt(reference.y.size), 1e-7)


@FORMS
def test_leaving_one_out_without_energies(primal):
    problem = Example(**OVER)
    training = problem.training()
    training = without_energies(training)
    reference = Reference(training.design.rows, training.targets)
    found = regression(training, primal).leave_one_out(0.1)
    assert np.isnan(found.energies).all() and found.changes is None
    weighted = []
    for s in range(problem.n):
        errors = reference.residuals(reference.coefficients(0.1, without={s}))[s]
        weighted.append(errors[1:])
        np.testing.assert_allclose(
            -found.forces[s].reshape(-1) * reference.weights[s, 1:],
            errors[1:],
            atol=1e-7,
        )
    # Energies are no data here, so that they do not thin out the noise.
    assert found.noise == pytest.approx(np.sqrt(np.mean(np.square(weighted))), 1e-7)


@FORMS
def test_samples_have_the_covariance_of_the_posterior(primal):
    problem = Example(12 if primal else 60, n=4, n_test=2)
    training = problem.training()
    reference = Reference(training.design.rows, training.targets)
    alpha, size = 1.0, 20_000
    fitted = regression(training, primal)
    drawn = fitted.samples(alpha, size, seed=3)
    assert drawn.shape == (size, problem.rows.shape[2])
    noise = fitted.leave_one_out(alpha).noise
    x = reference.x.reshape(-1, reference.x.shape[2])
    factor = cho_factor(x.T @ x + alpha * np.eye(x.shape[1]))
    scaled = problem.rows.reshape(-1, problem.rows.shape[2]) / reference.scales
    expected = noise**2 * np.einsum("ij,ji->i", scaled, cho_solve(factor, scaled.T))
    predictions = drawn @ problem.rows.reshape(-1, problem.rows.shape[2]).T
    # The variance of a variance of normal samples is 2 / size of its square.
    five = 5 * np.sqrt(2 / size)
    np.testing.assert_allclose(predictions.var(axis=0), expected, rtol=five)
    mean = predicted(problem.rows, reference.coefficients(alpha)).reshape(-1)
    deviation = np.abs(predictions.mean(axis=0) - mean)
    assert (deviation < 5 * np.sqrt(expected / size)).all()
    correlation = np.corrcoef(predictions.T)
    covariance = scaled @ cho_solve(factor, scaled.T)
    scatter = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(
        correlation, covariance / np.outer(scatter, scatter), atol=5 / np.sqrt(size)
    )


@pytest.mark.parametrize("form", [Primal, Dual])
def test_a_learning_curve_is_the_fits_and_errors_of_each_size(form):
    """The choice of the form is not the caller's: both answer alike."""
    problem = Example(**OVER if form is Primal else UNDER)
    alphas = ALPHAS.tolist()
    sizes = (problem.n // 2, problem.n)
    for point in curve(problem.training(), problem.test(), alphas, sizes):
        (alone,) = ridge_paths(problem.training(point.size), problem.test(), alphas)
        assert_same_path(point.path, alone, problem.rows)
        assert isinstance(point.form, form) or point.size < problem.n
        alpha = alphas[alone.best]
        again = regression(problem.training(point.size))
        expected = again.leave_one_out(alpha)
        np.testing.assert_allclose(
            point.left_out.forces, expected.forces, rtol=1e-7, atol=1e-7
        )
        # Random numbers are the same, so that only rounding is left.
        drawn = point.form.samples(alpha, 2, seed=1)
        for one, other in zip(drawn, again.samples(alpha, 2, seed=1), strict=True):
            assert_same_predictions(problem.rows, one, other, 1e-7)
        assert len(point.alternatives) == 2


@FORMS
def test_samples_are_drawn_from_a_seed(primal):
    training = Example(**OVER).training()
    one = regression(training, primal)
    first = one.samples(1.0, 3, seed=5)
    np.testing.assert_array_equal(one.samples(1.0, 3, seed=5), first)
    assert not np.allclose(one.samples(1.0, 3, seed=6), first)


@FORMS
def test_what_was_asked_before_does_not_matter(primal):
    """The factors of all penalties are made in the same array."""
    training = Example(**OVER).training()
    fitted = regression(training, primal)
    first = fitted.leave_one_out(0.1)
    fitted.samples(10.0, 2, seed=1)
    again = fitted.leave_one_out(0.1)
    np.testing.assert_array_equal(again.energies, first.energies)
    np.testing.assert_array_equal(again.forces, first.forces)


@FORMS
def test_threads_do_not_matter(primal):
    problem = Example(200, n=40, n_test=2)
    paths = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            paths.extend(problem.paths(is_primal=lambda _n: primal))
    assert_same_path(*paths, problem.rows)


# Supercells of the training and test set, and log10 of the penalties.
N_LIBRARY = 40, 8
LIBRARY_ALPHAS = (-1.0, 2.0, 4)
NOISE = 1e-3  # eV and eV/angstrom


@pytest.fixture(scope="module")
def library_fit():
    """pypolymlp's fit of the analytic crystal, its design matrix, and the targets."""
    pytest.importorskip("pypolymlp")
    from pypolymlp.mlp_dev.pypolymlp import Pypolymlp
    from pypolymlp.utils.phonopy_utils import phonopy_cell_to_structure

    n, n_test = N_LIBRARY
    _, dataset = nacl_dataset(n + n_test, repeats=1)
    # Without it errors would be 2e-6 and pypolymlp's own figures rounding: they are
    # differences of large numbers.
    random = np.random.default_rng(0)
    dataset = replace(
        dataset,
        forces=dataset.forces + NOISE * random.normal(size=dataset.forces.shape),
        energies=dataset.energies + NOISE * random.normal(size=n + n_test),
    )
    energy = {"Na": -0.25, "Cl": -0.5}
    polymlp = Pypolymlp()
    polymlp.set_params(
        elements=tuple(energy),
        cutoff=5.0,
        gtinv_maxl=(2, 2),
        gaussian_params2=(0.0, 4.0, 3),
        reg_alpha_params=LIBRARY_ALPHAS,
        atomic_energy=tuple(energy.values()),
    )
    arrays = []
    for some in (slice(n), slice(n, None)):
        arrays += [
            dataset.displacements[some].transpose(0, 2, 1),
            dataset.forces[some].transpose(0, 2, 1),
            dataset.energies[some],
        ]
    polymlp.set_datasets_displacements(
        *arrays, phonopy_cell_to_structure(dataset.supercell)
    )
    polymlp.fit(verbose=False)
    return polymlp, library_rows(polymlp, dataset), targets_of(dataset, energy)


def library_rows(polymlp, dataset):
    """pypolymlp's design matrix in this package's order of rows."""
    from pypolymlp.mlp_dev.core.features import compute_features
    from pypolymlp.utils.phonopy_utils import phonopy_cell_to_structure

    parameters = polymlp.parameters
    parameters.include_force = True
    structures = [phonopy_cell_to_structure(cell) for cell in dataset.supercells()]
    matrix = compute_features(parameters, structures=structures).x
    n, n_atoms, _ = dataset.displacements.shape
    # Six rows of virials for each supercell lie between energies and forces.
    forces = matrix[7 * n :].reshape(n, n_atoms, 3, -1).transpose(0, 2, 1, 3)
    return np.concatenate(
        [matrix[:n, None], forces.reshape(n, 3 * n_atoms, -1)], axis=1
    )


@FORMS
def test_pypolymlp_fits_the_same(library_fit, primal):
    """Errors to six digits, forces of every penalty to 1e-8 eV/angstrom.

    The latter is pypolymlp's rounding: its X^T X has a condition number of 1e12, and
    it is 3e-9 eV/angstrom from dense least squares at the smallest penalty.
    """
    polymlp, rows, targets = library_fit
    n, _ = N_LIBRARY
    (path,) = ridge_paths(
        Problem(Known(rows[:n]), Targets(targets.energies[:n], targets.forces[:n])),
        Problem(Known(rows[n:]), Targets(targets.energies[n:], targets.forces[n:])),
        10.0 ** np.linspace(*LIBRARY_ALPHAS),
        is_primal=lambda _n: primal,
    )
    models = polymlp._mlp_all_models
    for k, model in enumerate(models):
        assert path.alphas[k] == pytest.approx(model.alpha)
        assert path.rmse_training[k] == pytest.approx(model.rmse_train, 1e-6)
        assert path.rmse_test[k] == pytest.approx(model.rmse_test, 1e-6)
        found = predicted(rows[:, 1:], path.coefficients[k])
        expected = predicted(rows[:, 1:], model.coeffs / model.scales)
        assert np.abs(found - expected).max() < 1e-8
    assert path.alphas[path.best] == pytest.approx(polymlp.summary.alpha)
