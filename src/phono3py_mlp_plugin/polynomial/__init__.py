"""Training, evaluation, reading and writing of polynomial potentials.

The other packages use only the names below. This package depends on numpy, scipy and
numba, but not on phono3py or plugins.

A model is defined by `ModelParameters` and a table of invariants. Its radial functions
are given by `gaussian_pair_params` and `active_pair_params`. The table is `invariants`,
or another callable that returns `Invariants`. `forecast` estimates the cost of a
training, `measure` measures it. `fit` trains on a dataset by ridge regression with
`RidgeOptions`, and `learning_curve` trains on the first n supercells for several n,
with an ensemble for each fit. The potentials are of type `PolynomialPotential`:
``evaluate`` returns energies, forces and stresses, ``force_constants`` second and third
derivatives, and ``save`` writes a file that `load` reads.
`available_memory` is that of the machine or job, `peak_memory` that of the process.
`check_cutoff`, `check_beyond_nearest`, `cutoff_between_shells` and `nearest_distances`
compare lengths with the distances of a crystal.

Names are imported at their first use, because listing plugins does not require the
libraries.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phono3py_mlp_plugin.polynomial.cost import measure
    from phono3py_mlp_plugin.polynomial.memory import available_memory, peak_memory
    from phono3py_mlp_plugin.polynomial.model.invariants import Invariants, invariants
    from phono3py_mlp_plugin.polynomial.model.parameters import (
        ModelParameters,
        active_pair_params,
        gaussian_pair_params,
    )
    from phono3py_mlp_plugin.polynomial.potential import PolynomialPotential, load
    from phono3py_mlp_plugin.polynomial.regression.forecast import Forecast, forecast
    from phono3py_mlp_plugin.polynomial.regression.options import RidgeOptions
    from phono3py_mlp_plugin.polynomial.structures.neighbours import (
        check_beyond_nearest,
        check_cutoff,
        cutoff_between_shells,
        nearest_distances,
    )
    from phono3py_mlp_plugin.polynomial.training import fit, learning_curve

__all__ = [
    "Forecast",
    "Invariants",
    "ModelParameters",
    "PolynomialPotential",
    "RidgeOptions",
    "active_pair_params",
    "available_memory",
    "check_beyond_nearest",
    "check_cutoff",
    "cutoff_between_shells",
    "fit",
    "forecast",
    "gaussian_pair_params",
    "invariants",
    "learning_curve",
    "load",
    "measure",
    "nearest_distances",
    "peak_memory",
]

_NAMES = {
    "memory": ("available_memory", "peak_memory"),
    "model.invariants": ("Invariants", "invariants"),
    "model.parameters": (
        "ModelParameters",
        "active_pair_params",
        "gaussian_pair_params",
    ),
    "cost": ("measure",),
    "potential": ("PolynomialPotential", "load"),
    "regression.forecast": ("Forecast", "forecast"),
    "regression.options": ("RidgeOptions",),
    "structures.neighbours": (
        "check_beyond_nearest",
        "check_cutoff",
        "cutoff_between_shells",
        "nearest_distances",
    ),
    "training": ("fit", "learning_curve"),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
