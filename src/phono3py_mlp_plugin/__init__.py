"""Machine-learning potentials and force-constants solvers for phono3py.

phono3py imports this package during its own import. Public names are therefore imported
on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phono3py_mlp_plugin.api import (
        evaluate,
        examine_potential,
        kappa_of_models,
        load_potential,
        solve_force_constants,
        train,
    )
    from phono3py_mlp_plugin.contracts import (
        Dataset,
        Evaluation,
        ForceCalculator,
        ForceConstantsProblem,
        ForceConstantsSolver,
        LabelledStructure,
        NoOptions,
        Potential,
        RidgePenalty,
        SupportsForceConstants,
        TrainedPotential,
        TrainingCost,
    )
    from phono3py_mlp_plugin.errors import (
        DatasetError,
        IncompatibleHost,
        MLPError,
        ParameterError,
        PluginFailed,
        PluginNotFound,
        PotentialError,
        SolverError,
        WorkerError,
    )
    from phono3py_mlp_plugin.hookspecs import hookimpl
    from phono3py_mlp_plugin.host.scattering import enable_fast_scattering

_NAMES_BY_MODULE = {
    "api": (
        "evaluate",
        "examine_potential",
        "kappa_of_models",
        "load_potential",
        "solve_force_constants",
        "train",
    ),
    "contracts": (
        "Dataset",
        "Evaluation",
        "ForceCalculator",
        "ForceConstantsProblem",
        "ForceConstantsSolver",
        "LabelledStructure",
        "LabelledStructure",
        "NoOptions",
        "Potential",
        "RidgePenalty",
        "SupportsForceConstants",
        "TrainedPotential",
        "TrainingCost",
    ),
    "errors": (
        "DatasetError",
        "IncompatibleHost",
        "MLPError",
        "ParameterError",
        "PluginFailed",
        "PluginNotFound",
        "PotentialError",
        "SolverError",
        "WorkerError",
    ),
    "hookspecs": ("hookimpl",),
    "host.scattering": ("enable_fast_scattering",),
}
_MODULE_BY_NAME = {
    name: module for module, names in _NAMES_BY_MODULE.items() for name in names
}

__all__ = [
    "Dataset",
    "DatasetError",
    "Evaluation",
    "ForceCalculator",
    "ForceConstantsProblem",
    "ForceConstantsSolver",
    "IncompatibleHost",
    "LabelledStructure",
    "MLPError",
    "NoOptions",
    "ParameterError",
    "PluginFailed",
    "PluginNotFound",
    "Potential",
    "PotentialError",
    "RidgePenalty",
    "SolverError",
    "SupportsForceConstants",
    "TrainedPotential",
    "TrainingCost",
    "WorkerError",
    "enable_fast_scattering",
    "evaluate",
    "examine_potential",
    "hookimpl",
    "kappa_of_models",
    "load_potential",
    "solve_force_constants",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_BY_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_BY_NAME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULE_BY_NAME])
