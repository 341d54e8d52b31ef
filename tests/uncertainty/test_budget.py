"""Error budgets: extrapolation to an infinite mesh, sums, and records."""

import dataclasses
import json

import numpy as np
import pytest

from phono3py_mlp_plugin.uncertainty import (
    Contribution,
    ErrorBudget,
    extrapolate_mesh,
    relative_change,
)


def test_kappa_that_follows_the_power_law_is_extrapolated_exactly():
    densities = [7.0, 9.0, 11.0]
    kappas = [np.array([[8.0, 5.0]]) * np.exp([3 / n**2, -1 / n**2]) for n in densities]
    limit = extrapolate_mesh(densities, kappas)
    # Rounding of a linear fit to numbers of the order of one.
    np.testing.assert_allclose(
        kappas[-1] * np.exp(limit.change), [[8.0, 5.0]], rtol=1e-13
    )
    np.testing.assert_allclose(limit.scatter, 0.0, atol=1e-13)
    # The steepest direction decides: 3 / n^2 = 0.01.
    assert limit.density_for(0.01) == pytest.approx(np.sqrt(300), rel=1e-10)


def test_error_of_the_mesh_covers_irregular_kappa_in_two_thirds_of_cases():
    rng = np.random.default_rng(0)
    within = []
    for _ in range(2000):
        densities = [7.0, 9.0, 11.0]
        noise = rng.normal(0, 0.01, 3)
        kappas = [
            np.array([8 * np.exp(2 / n**2 + e)])
            for n, e in zip(densities, noise, strict=True)
        ]
        limit = extrapolate_mesh(densities, kappas)
        within.append(abs(np.log(kappas[-1][0] / 8)) < limit.deviation[0])
    # More than 68 %, because the change is not applied but counts as an error.
    assert 0.68 < np.mean(within) < 0.95


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_kappa_that_is_not_a_positive_number_has_an_infinite_error(bad):
    assert relative_change(np.array([bad]), np.array([1.0])) == np.inf
    assert relative_change(np.array([1.0]), np.array([bad])) == np.inf
    for place in range(3):
        kappas = [np.array([1.0]), np.array([1.1]), np.array([1.2])]
        kappas[place] = np.array([bad])
        assert extrapolate_mesh([5, 7, 9], kappas).deviation == np.inf


def budget():
    return ErrorBudget(
        (0.0, 290.0),
        (
            Contribution("mesh", ((0.0,) * 3, (0.03, 0.03, 0.0)), "why"),
            Contribution("model", ((0.0,) * 3, (0.04, np.inf, 0.01)), "why"),
        ),
        ("solver (unknown)",),
    )


def test_contributions_are_added_in_quadrature():
    t = budget().room_temperature
    assert t == 1
    np.testing.assert_allclose(budget().total(t), [0.05, np.inf, 0.01], rtol=1e-14)


def test_budget_survives_its_file():
    record = json.loads(json.dumps(dataclasses.asdict(budget())))
    assert ErrorBudget.from_record(record) == budget()


@pytest.mark.parametrize(
    "relative", [[[0.0] * 3], [[0.0] * 3] * 3, [[-1.0] * 3] * 2, [[np.nan] * 3] * 2]
)
def test_damaged_budget_is_none(relative):
    record = dataclasses.asdict(budget())
    record["contributions"][0]["relative"] = relative
    with pytest.raises(ValueError):
        ErrorBudget.from_record(record)
