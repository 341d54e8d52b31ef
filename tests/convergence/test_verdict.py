"""Verdicts on points, and models that differ."""

from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from phono3py_mlp_plugin.cli.converge import _print_verdict
from phono3py_mlp_plugin.convergence import (
    Point,
    compare_models,
    judge,
)
from phono3py_mlp_plugin.workflow import PhononsAt
from study_points import point


def test_records_are_read_back():
    whole = point(20, 8.0)
    assert Point.from_record(asdict(whole)) == whole
    failed = replace(whole, members=[[[float("nan")] * 6]])
    assert Point.from_record(asdict(failed)).largest_error() == float("inf")


@pytest.mark.parametrize(
    "damage",
    [
        {"size": "many"},
        {"alpha": "small"},
        {"kappa": [[8.0, 8.0]]},
        {"kappa": None},
        {"members": [[[8.0]]]},
        {"reference": [[1.0] * 6] * 2},
        {"temperatures": [float("nan")]},
        {"phonons": [{"label": "X"}]},
        {"phonons": [{"label": "X", "q": [], "frequencies": ["a"], "errors": []}]},
        {"unknown": 1},
        {"mesh": [float("nan")] * 3},
        {"mesh": "11 11 11"},
        {"mesh": 11},
    ],
)
def test_damaged_records_are_none(damage):
    assert Point.from_record({**asdict(point(20, 8.0)), **damage}) is None


def test_converged_where_sizes_agree_and_the_error_bar_is_inside():
    verdict = judge([point(20, 8.0), point(40, 8.05)], 0.02, 2)
    assert verdict.converged
    assert verdict.change == pytest.approx(1 - 8.0 / 8.05)


@pytest.mark.parametrize(
    "points",
    [
        [point(40, 8.0)],
        [point(20, 8.0), point(40, 8.5)],
        [point(20, 8.0, 0.1), point(40, 8.05, 0.05)],
    ],
)
def test_not_converged(points):
    assert not judge(points, 0.02, 2).converged


def test_number_of_supercells_needed():
    verdict = judge([point(10, 8.0, 0.08), point(40, 8.0, 0.04)], 0.02, 2)
    # Errors fall as the square root: four times the supercells for half of it; the
    # quantiles of few supercells are wider, so that it is a little less.
    assert not verdict.converged
    assert 120 < verdict.needed < 180


def test_models_that_differ_by_more_than_their_errors_are_named():
    same = [point(20, 8.0, label="cutoff = 6"), point(20, 8.1, label="cutoff = 8")]
    assert compare_models(same) == []
    apart = [point(20, 8.0, label="cutoff = 6"), point(20, 8.6, label="cutoff = 8")]
    (note,) = compare_models(apart)
    assert note.startswith("cutoff = 6 and cutoff = 8 differ by 7.2 % with 20")


def test_errors_that_do_not_fall_promise_nothing():
    verdict = judge([point(10, 8.0, 0.2), point(20, 8.0, 0.9)], 0.02, 2)
    assert not verdict.converged
    assert verdict.needed is None


def test_imaginary_modes_are_not_converged():
    soft = [PhononsAt("X", [0.5, 0, 0.5], [-0.4, 5.0], [0.1, 0.1])]
    points = [point(10, 8.0, 0.001), point(20, 8.0, 0.001)]
    assert judge(points, 0.02, 2).converged
    points[-1] = replace(points[-1], phonons=soft)
    verdict = judge(points, 0.02, 2)
    assert not verdict.converged
    assert verdict.needed is None
    assert verdict.imaginary == "-0.400 THz at X"


@pytest.mark.parametrize("frequency", [float("nan"), -0.11])
def test_modes_that_are_no_numbers_count_as_imaginary(frequency):
    soft = [PhononsAt("X", [0.5, 0, 0.5], [2.0, frequency], [0.1, 0.1])]
    assert replace(point(20, 8.0), phonons=soft).imaginary_mode() is not None


def test_rounding_is_no_imaginary_mode():
    at_gamma = [PhononsAt("GAMMA", [0, 0, 0], [-0.02, 5.0], [0.1, 0.1])]
    assert replace(point(20, 8.0), phonons=at_gamma).imaginary_mode() is None


def fits(left_out, *, anharmonicity=0.01, rms_force=0.1, kappa=8.0, scatter=0.01):
    """Points of 10, 20, 40, ... supercells with these errors on those left out."""
    return [
        replace(
            point(10 * 2**k, kappa, scatter),
            left_out=error,
            rms_force=rms_force,
            anharmonicity=anharmonicity,
        )
        for k, error in enumerate(left_out)
    ]


def test_forces_that_more_supercells_do_not_explain_are_the_model_s():
    verdict = judge(fits([5e-3, 2e-3, 1.9e-3]), 0.02, 2)
    # The bar is that of the supercells: it is within the tolerance all the same.
    assert verdict.converged
    assert verdict.misfit.unexplained == pytest.approx(0.019)
    assert not verdict.misfit.is_too_anharmonic
    assert "Compare with another model" in str(verdict.misfit)


def test_of_large_displacements_smaller_ones_are_asked_for():
    verdict = judge(fits([5e-3, 2e-3, 1.9e-3], anharmonicity=0.2), 0.02, 2)
    assert "20 % of the response is anharmonic" in str(verdict.misfit)
    assert "Use smaller ones" in str(verdict.misfit)


@pytest.mark.parametrize(
    "points",
    [
        # Still falling: more supercells help.
        fits([5e-3, 3e-3, 2e-3]),
        # Kappa depends little on single supercells, as for first-principles data of
        # NaCl and MgO.
        fits([6e-5, 5e-5, 5e-5], scatter=2e-3),
        # One size, which says nothing about others.
        fits([2e-3]),
        # Points of earlier versions.
        fits([5e-3, 2e-3, 1.9e-3], rms_force=None),
        # A perfect fit.
        fits([0.0, 0.0]),
    ],
)
def test_no_other_model_is_asked_for_without_reason(points):
    assert judge(points, 0.02, 2).misfit is None


def test_what_no_supercells_explain_is_told_before_kappa_is_converged_too():
    verdict = judge(fits([5e-3, 2e-3, 1.9e-3], scatter=0.1), 0.02, 2)
    assert not verdict.converged
    assert verdict.misfit is not None


def test_the_command_prints_why_more_supercells_do_not_help(capsys):
    points = fits([5e-3, 2e-3, 1.9e-3])
    study = SimpleNamespace(agree=2, tolerance=0.02)
    for tolerance in (0.02, 1e-3):
        _print_verdict("", judge(points, tolerance, 2), study)
        line = capsys.readouterr().out.splitlines()[1]
        assert line.startswith("Note: the potential leaves 1.9 % of the forces of")
        assert "More supercells do not help" in line


def test_kappa_that_is_zero_is_not_converged():
    points = [replace(point(n, 1.0), kappa=[[0.0] * 6]) for n in (5, 10)]
    verdict = judge(points, 0.1, 2)
    assert not verdict.converged
    assert verdict.change == float("inf")
    assert compare_models([points[1], replace(points[1], label="b")]) == []
