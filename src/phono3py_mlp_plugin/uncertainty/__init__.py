"""Statistics of what follows from few supercells: arrays only."""

from phono3py_mlp_plugin.uncertainty.intervals import (
    ErrorBar,
    error_bar,
    interval,
    relative_scatter,
)
from phono3py_mlp_plugin.uncertainty.jackknife import multiplier_jackknife
from phono3py_mlp_plugin.uncertainty.learning_curve import LearningCurve

__all__ = [
    "ErrorBar",
    "LearningCurve",
    "error_bar",
    "interval",
    "multiplier_jackknife",
    "relative_scatter",
]
