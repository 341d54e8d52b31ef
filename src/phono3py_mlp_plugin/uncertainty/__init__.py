"""Statistics of quantities that are computed from few supercells."""

from phono3py_mlp_plugin.uncertainty.budget import (
    Contribution,
    ErrorBudget,
    MeshLimit,
    extrapolate_mesh,
    relative_change,
    room_temperature,
)
from phono3py_mlp_plugin.uncertainty.intervals import (
    ErrorBar,
    NormScatter,
    absolute_error,
    around_first,
    error_bar,
    half_width_of_interval,
    interval,
    model_bar,
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
    "Contribution",
    "ErrorBar",
    "ErrorBudget",
    "LearningCurve",
    "MeshLimit",
    "NormScatter",
    "absolute_error",
    "around_first",
    "error_bar",
    "extrapolate_mesh",
    "half_width_of_interval",
    "interval",
    "model_bar",
    "multiplier_jackknife",
    "norm_scatter",
    "relative_change",
    "relative_scatter",
    "room_temperature",
    "scatter_exponent",
    "scatter_within",
]
