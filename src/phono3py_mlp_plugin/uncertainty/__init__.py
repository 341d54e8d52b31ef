"""Statistics of quantities that are computed from few supercells."""

from phono3py_mlp_plugin.uncertainty.intervals import (
    ErrorBar,
    absolute_error,
    error_bar,
    interval,
    norm_scatter,
    relative_scatter,
    scatter_within,
)
from phono3py_mlp_plugin.uncertainty.jackknife import (
    DRAWS,
    multiplier_jackknife,
)
from phono3py_mlp_plugin.uncertainty.learning_curve import (
    LearningCurve,
    scatter_exponent,
)

__all__ = [
    "DRAWS",
    "ErrorBar",
    "LearningCurve",
    "absolute_error",
    "error_bar",
    "interval",
    "multiplier_jackknife",
    "norm_scatter",
    "relative_scatter",
    "scatter_exponent",
    "scatter_within",
]
