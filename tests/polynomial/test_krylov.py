"""One factor serves penalties nearby, as well as their own would."""

import numpy as np
import pytest

from phono3py_mlp_plugin.polynomial.regression.krylov import (
    LARGEST_RATIO,
    penalty_groups,
    shifted_solutions,
)


def _problem(n, lowest, highest, seed=0):
    """A matrix with eigenvalues over many decades, and a right side."""
    random = np.random.default_rng(seed)
    vectors, _ = np.linalg.qr(random.normal(size=(n, n)))
    values = 10.0 ** random.uniform(lowest, highest, size=n)
    return vectors, values, vectors @ (np.sqrt(values) * random.normal(size=n))


def _solution(problem, alpha):
    vectors, values, right = problem
    return vectors @ ((vectors.T @ right) / (values + alpha))


def _inverse(problem, alpha):
    vectors, values, _ = problem
    return lambda x: vectors @ ((vectors.T @ x) / (values + alpha))


@pytest.mark.parametrize("n", [1, 2, 30, 600])
@pytest.mark.parametrize("lowest", [-8, 0])
def test_within_reach_to_nine_digits(n, lowest):
    problem = _problem(n, lowest, 8)
    alpha = 1.0
    others = [alpha / LARGEST_RATIO, 0.3, 2.0, alpha * LARGEST_RATIO]
    found = shifted_solutions(
        _inverse(problem, alpha),
        _solution(problem, alpha),
        [other - alpha for other in others],
    )
    for other, solution in zip(others, found, strict=True):
        expected = _solution(problem, other)
        error = np.linalg.norm(solution - expected)
        assert error <= 1e-9 * np.linalg.norm(expected)


def test_errors_are_small_where_eigenvalues_are_large():
    """What A makes of the solution has ten digits as well."""
    problem = _problem(400, -4, 12)
    vectors, values, _ = problem
    (found,) = shifted_solutions(
        _inverse(problem, 1.0), _solution(problem, 1.0), [99.0]
    )
    expected = _solution(problem, 100.0)
    for power in (0.5, 1.0):
        weighted = values**power * (vectors.T @ (found - expected))
        size = np.linalg.norm(values**power * (vectors.T @ expected))
        assert np.linalg.norm(weighted) <= 1e-9 * size


def test_what_is_not_positive_definite_is_none():
    vectors, values, right = _problem(50, -6, 4)
    values[0] = -0.05
    problem = vectors, values, right
    found = shifted_solutions(
        _inverse(problem, 1.0), _solution(problem, 1.0), [-0.99, -0.9]
    )
    assert found[0] is None
    expected = _solution(problem, 0.1)
    assert np.linalg.norm(found[1] - expected) <= 1e-9 * np.linalg.norm(expected)


def test_more_steps_than_the_reach_takes_are_not_made():
    applied = []
    problem = _problem(600, -8, 8)
    apply = _inverse(problem, 1.0)
    found = shifted_solutions(
        lambda x: (applied.append(0), apply(x))[1], _solution(problem, 1.0), [1e6]
    )
    assert found == [None]
    assert len(applied) == 160


def test_nothing_of_nothing():
    (found,) = shifted_solutions(lambda x: x, np.zeros(5), [1.0])
    np.testing.assert_array_equal(found, np.zeros(5))


@pytest.mark.parametrize("last", [None, 1e-3, 1e-1, 10.0])
@pytest.mark.parametrize("reach", [1.0, LARGEST_RATIO])
def test_groups_hold_every_penalty_once_with_its_leader_near(last, reach):
    alphas = (10.0 ** np.linspace(-3, 1, 5)).tolist()
    found = penalty_groups([*alphas, alphas[0]], last, reach)
    assert sorted(alpha for group in found for alpha in group) == sorted(alphas)
    for leader, *others in found:
        for other in others:
            assert max(leader / other, other / leader) <= LARGEST_RATIO * (1 + 1e-6)
    if last is not None:
        assert found[-1][0] == last
    if reach == 1.0:
        assert len(found) == 5
    elif last is None:
        assert len(found) == 1


def test_a_group_is_led_from_its_middle():
    assert penalty_groups([0.1, 1.0, 10.0], None, 10.0) == [[1.0, 0.1, 10.0]]
    assert penalty_groups([0.01, 1.0, 10.0, 200.0], None, 10.0) == [
        [0.01],
        [10.0, 1.0],
        [200.0],
    ]
