"""Plugins of earlier versions work, and their authors are told of new names."""

import dataclasses
import warnings

import pytest

from phono3py_mlp_plugin.contracts import ForceCalculator, ForceConstantsSolver
from phono3py_mlp_plugin.hookspecs import hookimpl
from phono3py_mlp_plugin.plugins import discover


def learning_curve(training, test, sizes, options, ensemble, progress):
    """Yield nothing."""
    return iter(())


def calculator(**fields):
    return ForceCalculator(
        name="mine", summary="mine", load=lambda path, options: None, **fields
    )


def test_train_nested_is_a_learning_curve_with_a_warning():
    with pytest.warns(DeprecationWarning, match="'mine': .* learning_curve") as told:
        old = calculator(train_nested=learning_curve)
    assert told[0].filename == __file__
    assert old.learning_curve is learning_curve
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Told once, where it is written.
        renamed = dataclasses.replace(old, name="other")
        new = calculator(learning_curve=learning_curve)
        neither = calculator()
    assert renamed.learning_curve is new.learning_curve is learning_curve
    assert neither.learning_curve is None


def absent():
    """Say that there is no library."""
    return "no library. Install it."


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (ForceCalculator, {"load": lambda path, options: None}),
        (ForceConstantsSolver, {"solve": lambda problem: {}}),
    ],
)
def test_obstacle_is_an_unavailable_reason_with_a_warning(record, fields):
    with pytest.warns(
        DeprecationWarning, match="'mine': .* unavailable_reason"
    ) as told:
        old = record(name="mine", summary="mine", obstacle=absent, **fields)
    assert told[0].filename == __file__
    assert old.unavailable_reason is absent


@pytest.mark.filterwarnings("ignore:'mine':DeprecationWarning")
def test_a_plugin_that_offers_train_nested_is_found_with_a_learning_curve():
    class Plugin:
        @staticmethod
        @hookimpl
        def phono3py_mlp_force_calculators():
            yield calculator(train_nested=learning_curve)

    class EntryPoint:
        name, dist = "mine", None

        @staticmethod
        def load():
            return Plugin

    found = discover([EntryPoint]).force_calculator("mine")
    assert found.learning_curve is learning_curve
