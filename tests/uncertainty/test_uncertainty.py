"""Error bars: what they are for quantities whose error is known."""

import numpy as np
import pytest

from phono3py_mlp_plugin.uncertainty import (
    ErrorBar,
    LearningCurve,
    error_bar,
    interval,
    multiplier_jackknife,
    relative_scatter,
    scatter_exponent,
)


def test_same_seed_same_draws():
    changes = np.random.default_rng(0).normal(size=(5, 2))
    one, other = (multiplier_jackknife(changes, 4, seed=s) for s in (1, 2))
    assert np.array_equal(one, multiplier_jackknife(changes, 4, seed=1))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("n", [5, 20])
def test_intervals_cover_as_they_say(n):
    """The mean of numbers: its jackknife by 16 draws."""
    rng = np.random.default_rng(n)
    covered = {0.68: 0, 0.95: 0}
    trials = 600
    for trial in range(trials):
        x = np.exp(0.05 * rng.normal(size=n)) * 10.0
        mean = x.mean()
        draws = mean + multiplier_jackknife((mean - x)[:, None] / (n - 1), 16, trial)
        bar = error_bar(mean, draws.ravel(), np.array([]), n)
        truth = 10.0 * np.exp(0.05**2 / 2)
        for level in covered:
            low, high = bar.interval(mean, level)
            covered[level] += low < truth < high
    # 600 trials: standard deviation 2 % at 68 %, 1 % at 95 %.
    assert 0.62 < covered[0.68] / trials < 0.76
    assert 0.90 < covered[0.95] / trials < 0.98


def test_interval_of_infinite_width_holds_all_values_also_of_zero():
    assert interval(0.0, np.inf, 20) == (0.0, np.inf)
    assert ErrorBar(np.inf, 0.0, 20).half_width(0.0) == np.inf


def test_interval_widens_with_few_supercells():
    few, many = (interval(1.0, 0.01, n, 0.95)[1] - 1 for n in (3, 200))
    assert few > 2 * many


def test_scatter_of_a_failed_run_is_infinite():
    assert relative_scatter(np.array([1.0, np.nan]), 1.0) == np.inf
    assert relative_scatter(np.array([1.0, -1.0]), 1.0) == np.inf
    assert relative_scatter(np.array([]), 1.0) == 0.0


def test_both_sources_are_added_in_quadrature():
    bar = error_bar(10.0, np.array([10.3, 9.7]), np.array([10.4, 9.6]), 20)
    assert bar.total == pytest.approx(np.hypot(bar.sampling, bar.penalty))
    # 3 % by the draws; 4 % at the ends of what the penalty may be, over sqrt(3).
    assert bar.total == pytest.approx(np.hypot(0.03, 0.04 / np.sqrt(3)), rel=0.01)


def test_curve_promises_nothing_from_noise():
    assert LearningCurve.fit([10], [0.1]) is None
    assert LearningCurve.fit([10, 20], [0.1, np.inf]) is None
    assert LearningCurve.fit([10, 10], [0.1, 0.2]) is None
    rising = LearningCurve.fit([10, 20], [0.1, 0.2])
    assert rising.exponent == 0.25
    falling = LearningCurve.fit([10, 20], [0.1, 0.001])
    assert falling.exponent == 1.0


def test_scatter_that_falls_fast_is_corrected():
    """The mean of x_i x_j: its variance falls as n^-2, the jackknife's is twice it."""
    rng = np.random.default_rng(3)
    n, repeats = 40, 2000
    x = rng.normal(size=(repeats, n))

    def pairs(total, squares, m):
        return (total**2 - squares) / (m * (m - 1))

    total, squares = x.sum(axis=1, keepdims=True), (x**2).sum(axis=1, keepdims=True)
    left_out = pairs(total - x, squares - x**2, n - 1)
    deviations = left_out - left_out.mean(axis=1, keepdims=True)
    jackknife = np.sqrt(((n - 1) / n * (deviations**2).sum(axis=1)).mean())
    truth = np.sqrt(2 / (n * (n - 1)))
    assert jackknife / truth == pytest.approx(np.sqrt(2), rel=0.1)
    assert ErrorBar(jackknife, 0.0, n, fall=1.0).total == pytest.approx(truth, rel=0.1)


def test_fall_is_kept_between_that_of_means_and_of_pairs():
    sizes = [5, 10, 20]
    assert scatter_exponent(sizes, [1.0, 0.9, 0.8]) == 0.5
    assert scatter_exponent(sizes, [1.0, 0.1, 0.01]) == 1.0
    assert scatter_exponent(sizes, [0.0, float("inf"), 0.1]) == 0.5
