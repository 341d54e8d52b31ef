"""Draws of the jackknife: their mean, their covariance and their size."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import beta, kstest

from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.uncertainty import multiplier_jackknife

# Numbers of draws: even and odd, with and without a Hadamard matrix of this order.
SIZES = [2, 3, 5, 6, 8, 13, 16, 32]
NUMBERS = range(2, 41)
SEEDS = range(4)
# Of sums of a few dozen numbers of order one.
ROUNDING = 1e-12


def jackknife(changes):
    """The covariance of the jackknife, from its definition."""
    n = len(changes)
    centred = changes - changes.mean(axis=0)
    return (n - 1) / n * centred.T @ centred


def multipliers(n, size, seed):
    """The multipliers of the changes, which sum to zero for each draw."""
    return multiplier_jackknife(np.eye(n), size, seed) / np.sqrt((n - 1) / n)


@pytest.mark.parametrize("size", SIZES)
def test_variance_of_any_linear_function_is_the_jackknifes_up_to_as_many_draws(size):
    for n, seed in product(NUMBERS, SEEDS):
        rng = np.random.default_rng(n)
        # Far from normal: one snapshot contributes much more than the others.
        changes = rng.normal(size=(n, 6)) * np.exp(2 * rng.normal(size=(n, 1)))
        expected = jackknife(changes)
        scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        draws = multiplier_jackknife(changes, size, seed)
        assert draws.shape == (size, 6)
        errors = np.abs(draws.T @ draws / size - expected) / scale
        if n <= size:
            assert errors.max() < ROUNDING
        elif n > size + 1:
            # The draws cannot span all contrasts of the snapshots.
            assert errors.max() > 1e-3


@pytest.mark.parametrize("size", SIZES)
def test_mean_of_the_draws_is_the_fit_and_no_draw_is(size):
    for n, seed in product(NUMBERS, SEEDS):
        found = multipliers(n, size, seed)
        assert np.abs(found.mean(axis=0)).max() < ROUNDING
        norms = np.linalg.norm(found, axis=1) / np.sqrt(n - 1)
        if size % 2 and min(n, size) % 2 == 0:
            # Draws of equal size do not exist for every such number.
            assert norms.min() > 0.1
        else:
            assert np.abs(norms - 1).max() < ROUNDING
        # All draws are used: their sum of squares is that of the jackknife.
        assert (norms**2).mean() == pytest.approx(1, abs=ROUNDING)


def test_most_draws_differ_from_each_other():
    for n in range(3, 41):
        found = multipliers(n, 16, 0)
        distances = np.linalg.norm(found[:, None] - found, axis=2)
        np.fill_diagonal(distances, np.inf)
        assert distances.min() > 0.1


def test_draws_are_as_different_as_possible_if_there_are_more_snapshots():
    """Corners of a regular simplex: all distances are the same."""
    for size in (4, 7, 16):
        found = multipliers(40, size, 3)
        cosines = found @ found.T / 39
        off = cosines[~np.eye(size, dtype=bool)]
        assert np.abs(off + 1 / (size - 1)).max() < ROUNDING


@pytest.mark.parametrize(("n", "size"), [(20, 16), (40, 16), (80, 16), (40, 3)])
def test_variance_is_right_on_average_with_more_snapshots_than_draws(n, size):
    changes = np.random.default_rng(1).normal(size=(n, 1))
    exact = jackknife(changes)[0, 0]
    ratios = [
        (multiplier_jackknife(changes, size, seed) ** 2).mean() / exact
        for seed in range(2000)
    ]
    m = size - 1
    law = beta(m / 2, (n - 1 - m) / 2, scale=(n - 1) / m)
    assert law.mean() == pytest.approx(1)
    if size == 16:
        # Narrower than by independent signs.
        assert law.var() < 2 / size * (1 - 1 / n)
    # 2,000 seeds, fixed: a sample of another law fails by far.
    assert kstest(ratios, law.cdf).pvalue > 0.01


@pytest.mark.parametrize("n", [3, 5, 10, 20])
def test_no_seed_is_special(n):
    """Seed 0, the default, against others: sizes of draws and directions."""
    changes = np.random.default_rng(5).normal(size=(n, 2000))
    exact = np.diag(jackknife(changes))
    for seed in (0, 1, 2, 3):
        ratios = np.sqrt(
            (multiplier_jackknife(changes, 16, seed) ** 2).mean(axis=0) / exact
        )
        if n <= 16:
            assert np.abs(ratios - 1).max() < ROUNDING
        else:
            # 15 of 19 contrasts: standard deviation 8 % by the law above.
            assert ratios.mean() == pytest.approx(1, abs=0.02)
            assert ratios.std() == pytest.approx(0.08, abs=0.01)


def test_draws_with_other_seeds_are_independent():
    """The directions of other seeds, averaged, do not prefer a snapshot."""
    n, size = 6, 16
    total = sum(multipliers(n, size, seed) for seed in range(2000)) / 2000
    # Multipliers have variance 5/6; the mean of 2,000 has a deviation of 0.02.
    assert np.abs(total).max() < 0.1


def test_one_snapshot_has_no_jackknife_and_one_draw_no_variance():
    assert not multiplier_jackknife(np.ones((1, 3)), 4, 0).any()
    with pytest.raises(ParameterError, match="= 1; expected 2 or more"):
        multiplier_jackknife(np.ones((5, 3)), 1, 0)
