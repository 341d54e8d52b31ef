"""Machine-learning potentials and force-constants solvers for phono3py.

phono3py imports this package during its own import. Public names are therefore imported
on first use.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phono3py_mlp_plugin.api import (
        ConvergenceResult,
        EvaluationResult,
        Examination,
        ForceConstantsResult,
        Forecast,
        KappaResult,
        Relaxation,
        Report,
        Training,
        converge,
        evaluate,
        examine_potential,
        extend_dataset,
        forecast,
        import_dataset,
        kappa,
        kappa_of_models,
        label,
        load_potential,
        progress_bar,
        relax,
        report,
        save_dataset,
        solve_force_constants,
        train,
    )
    from phono3py_mlp_plugin.contracts import (
        Dataset,
        Differentiate,
        Ensemble,
        Evaluation,
        FloatArray,
        ForceCalculator,
        ForceConstants,
        ForceConstantsProblem,
        ForceConstantsSolver,
        IntArray,
        LabelledStructure,
        LearningCurve,
        MapChunks,
        NestedFit,
        NoOptions,
        Potential,
        Progress,
        RidgePenalty,
        SolveMany,
        SupportsForceConstants,
        Train,
        TrainedPotential,
        TrainingCost,
        always_usable,
        map_here,
        no_progress,
    )
    from phono3py_mlp_plugin.convergence import (
        Point,
        Verdict,
    )
    from phono3py_mlp_plugin.errors import (
        DatasetError,
        FolderInUse,
        IncompatibleHost,
        MLPError,
        NotCovered,
        ParameterError,
        PartFinished,
        PhysicsError,
        PluginFailed,
        PluginNotFound,
        PotentialError,
        ResourceError,
        SolverError,
        UnusableFile,
        WorkerError,
    )
    from phono3py_mlp_plugin.exports import (
        export,
    )
    from phono3py_mlp_plugin.files import (
        KappaFile,
        Provenance,
    )
    from phono3py_mlp_plugin.hookspecs import (
        hookimpl,
    )
    from phono3py_mlp_plugin.host.scattering import (
        enable_fast_scattering,
    )
    from phono3py_mlp_plugin.uncertainty import (
        Contribution,
        ErrorBar,
        ErrorBudget,
    )
    from phono3py_mlp_plugin.workflow import (
        Check,
        DisplacementOptions,
        EnsembleResult,
        PotentialHealth,
    )

    __version__: str

_NAMES_BY_MODULE = {
    "api": (
        "ConvergenceResult",
        "EvaluationResult",
        "Examination",
        "ForceConstantsResult",
        "Forecast",
        "KappaResult",
        "Relaxation",
        "Report",
        "Training",
        "converge",
        "evaluate",
        "examine_potential",
        "extend_dataset",
        "forecast",
        "import_dataset",
        "kappa",
        "kappa_of_models",
        "label",
        "load_potential",
        "progress_bar",
        "relax",
        "report",
        "save_dataset",
        "solve_force_constants",
        "train",
    ),
    "contracts": (
        "Dataset",
        "Differentiate",
        "Ensemble",
        "Evaluation",
        "FloatArray",
        "ForceCalculator",
        "ForceConstants",
        "ForceConstantsProblem",
        "ForceConstantsSolver",
        "IntArray",
        "LabelledStructure",
        "LearningCurve",
        "MapChunks",
        "NestedFit",
        "NoOptions",
        "Potential",
        "Progress",
        "RidgePenalty",
        "SolveMany",
        "SupportsForceConstants",
        "Train",
        "TrainedPotential",
        "TrainingCost",
        "always_usable",
        "map_here",
        "no_progress",
    ),
    "convergence": (
        "Point",
        "Verdict",
    ),
    "errors": (
        "DatasetError",
        "FolderInUse",
        "IncompatibleHost",
        "MLPError",
        "NotCovered",
        "ParameterError",
        "PartFinished",
        "PhysicsError",
        "PluginFailed",
        "PluginNotFound",
        "PotentialError",
        "ResourceError",
        "SolverError",
        "UnusableFile",
        "WorkerError",
    ),
    "exports": ("export",),
    "files": (
        "KappaFile",
        "Provenance",
    ),
    "hookspecs": ("hookimpl",),
    "host.scattering": ("enable_fast_scattering",),
    "uncertainty": (
        "Contribution",
        "ErrorBar",
        "ErrorBudget",
    ),
    "workflow": (
        "Check",
        "DisplacementOptions",
        "EnsembleResult",
        "PotentialHealth",
    ),
}
_MODULE_BY_NAME = {
    name: module for module, names in _NAMES_BY_MODULE.items() for name in names
}

__all__ = [
    "Check",
    "Contribution",
    "ConvergenceResult",
    "Dataset",
    "DatasetError",
    "Differentiate",
    "DisplacementOptions",
    "Ensemble",
    "EnsembleResult",
    "ErrorBar",
    "ErrorBudget",
    "Evaluation",
    "EvaluationResult",
    "Examination",
    "FloatArray",
    "FolderInUse",
    "ForceCalculator",
    "ForceConstants",
    "ForceConstantsProblem",
    "ForceConstantsResult",
    "ForceConstantsSolver",
    "Forecast",
    "IncompatibleHost",
    "IntArray",
    "KappaFile",
    "KappaResult",
    "LabelledStructure",
    "LearningCurve",
    "MLPError",
    "MapChunks",
    "NestedFit",
    "NoOptions",
    "NotCovered",
    "ParameterError",
    "PartFinished",
    "PhysicsError",
    "PluginFailed",
    "PluginNotFound",
    "Point",
    "Potential",
    "PotentialError",
    "PotentialHealth",
    "Progress",
    "Provenance",
    "Relaxation",
    "Report",
    "ResourceError",
    "RidgePenalty",
    "SolveMany",
    "SolverError",
    "SupportsForceConstants",
    "Train",
    "TrainedPotential",
    "Training",
    "TrainingCost",
    "UnusableFile",
    "Verdict",
    "WorkerError",
    "__version__",
    "always_usable",
    "converge",
    "enable_fast_scattering",
    "evaluate",
    "examine_potential",
    "export",
    "extend_dataset",
    "forecast",
    "hookimpl",
    "import_dataset",
    "kappa",
    "kappa_of_models",
    "label",
    "load_potential",
    "map_here",
    "no_progress",
    "progress_bar",
    "relax",
    "report",
    "save_dataset",
    "solve_force_constants",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("phono3py-mlp-plugin")
    if name not in _MODULE_BY_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_BY_NAME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULE_BY_NAME, "__version__"])
