"""Statistics of what follows from few supercells: arrays only."""

from phono3py_mlp_plugin.uncertainty.intervals import (
    ErrorBar,
    absolute_error,
    error_bar,
    interval,
    norm_scatter,
    relative_scatter,
    scatter_within,
)
from phono3py_mlp_plugin.uncertainty.jackknife import multiplier_jackknife
from phono3py_mlp_plugin.uncertainty.learning_curve import (
    LearningCurve,
    fall_of_scatter,
)

__all__ = [
    "ErrorBar",
    "LearningCurve",
    "absolute_error",
    "error_bar",
    "fall_of_scatter",
    "interval",
    "multiplier_jackknife",
    "norm_scatter",
    "relative_scatter",
    "scatter_within",
]
