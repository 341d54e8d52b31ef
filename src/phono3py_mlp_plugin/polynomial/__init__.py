"""Polynomial potentials: the engine that trains, evaluates, reads and writes them.

The names below are what the rest of the package uses; the folders are the inside. Knows
numpy, scipy and numba, but neither phono3py nor plugins.

A model is `ModelParameters`, with radial functions by `gaussian_pair_params` and
`active_pair_params`, and a table of invariants: `invariants`, or another callable that
returns `Invariants`. `forecast` tells what a training takes, `fit` trains on a dataset
by ridge regression as `RidgeOptions` say, `learning_curve` on its first n supercells
for several n, with an ensemble about each fit. They return a `PolynomialPotential`:
``evaluate`` gives energies, forces and stresses, ``save`` a file that `load` reads.
`check_cutoff`, `check_beyond_nearest` and `nearest_distances` compare lengths with the
distances of a crystal.

Names are resolved at their first use: listing plugins needs none of the libraries.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    "check_beyond_nearest",
    "check_cutoff",
    "fit",
    "forecast",
    "gaussian_pair_params",
    "invariants",
    "learning_curve",
    "load",
    "nearest_distances",
]

_HOMES = {
    "model.invariants": ("Invariants", "invariants"),
    "model.parameters": (
        "ModelParameters",
        "active_pair_params",
        "gaussian_pair_params",
    ),
    "potential": ("PolynomialPotential", "load"),
    "regression.forecast": ("Forecast", "forecast"),
    "regression.options": ("RidgeOptions",),
    "structures.neighbours": (
        "check_beyond_nearest",
        "check_cutoff",
        "nearest_distances",
    ),
    "training": ("fit", "learning_curve"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
