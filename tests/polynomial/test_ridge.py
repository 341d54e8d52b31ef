"""The regression against slow and obvious algebra, and against pypolymlp's."""

import numpy as np
import pytest

from phono3py_mlp_plugin.contracts import no_progress
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial import regression
from phono3py_mlp_plugin.polynomial.regression import Regression, ridge_paths
from phono3py_mlp_plugin.polynomial.rows import Targets, column_scales
from polynomial.problems import ALPHAS, Given, model, nacl, problem, random_problem

FORMS = pytest.mark.parametrize("primal", [True, False], ids=["primal", "dual"])


def dense(design, targets, n):
    """Scaled weighted rows, targets, scales, and weights of the first n supercells."""
    size = targets.n_rows
    matrix = np.zeros((design.n_features, n * size))
    design.fill(matrix, 0, range(n))
    scales = column_scales(matrix[:, ::size])
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales > 0)
    weights, values = targets.weighted(range(n), targets.lowest_energy(n))
    x = (matrix * inverse[:, None] * weights.reshape(-1)).T
    return x, values.reshape(-1), inverse, weights.reshape(-1)


def solved(x, y, alpha):
    return np.linalg.solve(x.T @ x + alpha * np.eye(x.shape[1]), x.T @ y)


@FORMS
@pytest.mark.parametrize("n_features", [15, 90])
def test_coefficients_and_errors_are_those_of_dense_algebra(primal, n_features):
    design, targets = random_problem(20, n_features)
    test_design, test = random_problem(20, n_features, seed=2)
    (path,) = ridge_paths(
        design, targets, ALPHAS, test_design, test, primal=lambda _n: primal
    )
    x, y, inverse, weights = dense(design, targets, 20)
    for k, alpha in enumerate(ALPHAS):
        scaled = solved(x, y, alpha)
        np.testing.assert_allclose(path.coefficients[k], scaled * inverse, rtol=1e-7)
        error = np.linalg.norm(x @ scaled - y) / np.linalg.norm(weights)
        assert path.rmse_training[k] == pytest.approx(error, rel=1e-5)
        # The test set has weights by the lowest energy of the training set.
        w, values = test.weighted(range(20), targets.lowest_energy(20))
        predicted = (path.coefficients[k] @ test_design.matrix) * w.reshape(-1)
        error = np.linalg.norm(predicted - values.reshape(-1)) / np.linalg.norm(w)
        assert path.rmse_test[k] == pytest.approx(error, rel=1e-10)


@FORMS
def test_prefixes_are_the_fits_of_independent_trainings(primal, monkeypatch):
    monkeypatch.setattr(regression, "BLOCK", 8.0 * 40 * 4 * 3)
    design, targets = random_problem(24, 40)
    # Weights of energies belong to the lowest one of each prefix.
    targets.energies[20] = -400.0
    test = random_problem(5, 40, seed=2)
    sizes = (4, 9, 15, 24)
    paths = ridge_paths(
        design, targets, ALPHAS, *test, sizes=sizes, primal=lambda n: primal or n > 9
    )
    assert sum(map(len, design.asked)) == 24
    for n, path in zip(sizes, paths, strict=True):
        some = Targets(targets.energies[:n], targets.forces[:n])
        (alone,) = ridge_paths(Given(design.matrix[:, : 4 * n]), some, ALPHAS, *test)
        np.testing.assert_allclose(path.rmse_test, alone.rmse_test, rtol=1e-7)
        np.testing.assert_allclose(path.rmse_training, alone.rmse_training, rtol=1e-4)
        np.testing.assert_allclose(
            path.coefficients, alone.coefficients, rtol=1e-5, atol=1e-9
        )


@FORMS
def test_left_out_supercells_are_those_of_explicit_refits(primal):
    n = 12
    design, targets = random_problem(n, 30)
    alpha = 0.3
    found = Regression(design, targets, primal).leave_one_out(alpha, changes=True)
    x, y, inverse, weights = dense(design, targets, n)
    whole = solved(x, y, alpha)
    squares = 0.0
    for s in range(n):
        rows = np.ones(len(y), dtype=bool)
        rows[4 * s : 4 * s + 4] = False
        refit = solved(x[rows], y[rows], alpha)
        errors = (x[~rows] @ refit - y[~rows]) / weights[~rows]
        assert found.energies[s] == pytest.approx(errors[0], rel=1e-8)
        np.testing.assert_allclose(found.forces[s].ravel(), errors[1:], rtol=1e-8)
        np.testing.assert_allclose(
            found.changes[s], (refit - whole) * inverse, rtol=1e-6, atol=1e-12
        )
        squares += ((errors * weights[~rows]) ** 2).sum()
    expected = np.sqrt(squares / (weights**2).sum())
    assert found.weighted_rmse == pytest.approx(expected, rel=1e-9)


@FORMS
def test_samples_have_the_covariance_of_the_posterior(primal):
    design, targets = random_problem(8, 12)
    alpha = 0.5
    fit = Regression(design, targets, primal)
    x, y, inverse, _ = dense(design, targets, 8)
    samples = fit.samples(alpha, 20_000, seed=1)
    np.testing.assert_array_equal(samples[:3], fit.samples(alpha, 20_000, seed=1)[:3])
    scaled = samples / inverse
    noise = fit.leave_one_out(alpha).noise
    covariance = noise**2 * np.linalg.inv(x.T @ x + alpha * np.eye(12))
    found = np.cov(scaled.T)
    # 20,000 samples: relative noise of a variance sqrt(2 / 20,000) = 1 %.
    size = np.sqrt(np.diag(covariance))
    assert np.abs((found - covariance) / np.outer(size, size)).max() < 0.05
    mean_error = (scaled.mean(axis=0) - solved(x, y, alpha)) / size
    assert np.abs(mean_error).max() < 5 / np.sqrt(20_000)


@FORMS
def test_columns_that_do_not_scatter_are_dropped(primal):
    design, targets = random_problem(20, 20)
    design.matrix[3, ::4] = 2.0
    design.matrix[7] = 0.0
    (path,) = ridge_paths(
        design, targets, ALPHAS, design, targets, primal=lambda _n: primal
    )
    assert (path.coefficients[:, [3, 7]] == 0).all()
    assert (path.coefficients[:, [2, 8]] != 0).all()


def test_a_column_that_scatters_only_later_is_not_lost(monkeypatch):
    monkeypatch.setattr(regression, "BLOCK", 8.0 * 20 * 4 * 5)
    design, targets = random_problem(20, 20)
    design.matrix[3, :20:4] = 2.0
    (path,) = ridge_paths(
        design, targets, ALPHAS, design, targets, primal=lambda _n: True
    )
    (dual,) = ridge_paths(
        design, targets, ALPHAS, design, targets, primal=lambda _n: False
    )
    assert (path.coefficients[:, 3] != 0).all()
    np.testing.assert_allclose(path.coefficients, dual.coefficients, rtol=1e-6)


@FORMS
def test_penalties_that_fail_are_told_and_the_others_go_on(primal):
    design, targets = random_problem(20, 120)
    # Twice the same columns and a penalty below their rounding: singular.
    design.matrix[60:] = design.matrix[:60] * 1e6
    design.matrix *= 1e8
    alphas = (-1.0, 1e-1)
    (path,) = ridge_paths(
        design, targets, alphas, design, targets, primal=lambda _n: primal
    )
    assert np.isnan(path.rmse_test[0]) and np.isnan(path.coefficients[0]).all()
    assert path.best == 1
    (path,) = ridge_paths(
        design, targets, (-1.0,), design, targets, primal=lambda _n: primal
    )
    with pytest.raises(PotentialError, match="singular at every penalty"):
        _ = path.best
    with pytest.raises(PotentialError, match="singular at alpha"):
        Regression(design, targets, primal).leave_one_out(-1.0)


@FORMS
def test_a_number_that_is_not_finite_is_named(primal):
    design, targets = random_problem(20, 20)
    design.matrix[5, 4 * 6] = np.nan
    with pytest.raises(PotentialError, match="supercell 7: its features"):
        Regression(design, targets, primal)


@FORMS
def test_forces_alone_are_fitted_without_energies(primal):
    design, targets = random_problem(20, 15)
    alone = Targets(None, targets.forces)
    (path,) = ridge_paths(
        design, alone, (1e-3,), design, alone, primal=lambda _n: primal
    )
    size = targets.n_rows
    x = design.matrix.reshape(15, 20, size)[:, :, 1:].reshape(15, -1)
    scales = column_scales(design.matrix[:, ::size])
    weights = np.minimum(1 / np.abs(alone.forces.ravel()), 1)
    expected = solved(
        (x / scales[:, None] * weights).T, weights * alone.forces.ravel(), 1e-3
    )
    np.testing.assert_allclose(path.coefficients[0], expected / scales, rtol=1e-7)
    found = Regression(design, alone, primal).leave_one_out(1e-3)
    assert np.isnan(found.energies).all() and np.isfinite(found.forces).all()


def test_primal_and_dual_predict_the_same_forces_of_a_crystal():
    parameters = model()
    design, targets = problem(nacl(30).select(range(20)), parameters)
    test_design, test = problem(nacl(30).select(range(20, 30)), parameters)
    paths = [
        ridge_paths(
            design,
            targets,
            ALPHAS,
            test_design,
            test,
            primal=lambda _n, form=form: form,
        )[0]
        for form in (True, False)
    ]
    matrix = np.zeros((test_design.n_features, 10 * test.n_rows))
    test_design.fill(matrix, 0, range(10))
    predicted = [path.coefficients @ matrix for path in paths]
    # Coefficients agree to 1e-4 only: condition numbers are 1e11 and more.
    np.testing.assert_allclose(predicted[0], predicted[1], atol=1e-7)
    np.testing.assert_allclose(paths[0].rmse_test, paths[1].rmse_test, rtol=1e-3)


def test_the_path_of_penalties_is_pypolymlps():
    pytest.importorskip("pypolymlp")
    from phono3py_mlp_plugin.calculators.pypolymlp import (
        PypolymlpOptions,
        library,
        native,
    )

    options = PypolymlpOptions(
        cutoff=4.0, gtinv_maxl=(2, 2), gaussian_params2=(0.0, 3.0, 3)
    )
    training, test = nacl(40).select(range(30)), nacl(40).select(range(30, 40))
    ours = native.train(training, test, options, no_progress)
    theirs = library.train(training, test, options, no_progress)
    assert ours.alpha == theirs.alpha and ours.n_features == theirs.n_features
    for one, other in zip(ours.penalties, theirs.penalties, strict=True):
        # Theirs is the difference of large numbers.
        assert one.rmse_test == pytest.approx(other.rmse_test, rel=2e-3)
    cells = test.supercells()
    difference = ours.potential.evaluate(cells).forces
    difference -= theirs.potential.evaluate(cells).forces
    assert np.sqrt((difference**2).mean()) < 1e-7  # eV/angstrom
