"""Functions for scripts and notebooks, which operate on Phono3py objects.

They compute what the commands compute, do not print, and return results with
``to_dict()`` and mostly ``plot()``.
"""

from phono3py_mlp_plugin.api.campaigns import Campaign, campaign
from phono3py_mlp_plugin.api.conductivity import KappaResult, kappa
from phono3py_mlp_plugin.api.convergence import ConvergenceResult, converge
from phono3py_mlp_plugin.api.datasets import (
    extend_dataset,
    import_dataset,
    save_dataset,
)
from phono3py_mlp_plugin.api.force_constants import (
    ForceConstantsResult,
    solve_force_constants,
)
from phono3py_mlp_plugin.api.forecasts import Forecast, forecast
from phono3py_mlp_plugin.api.installation import (
    Installation,
    PluginDescription,
    Plugins,
    doctor,
    find_plugins,
)
from phono3py_mlp_plugin.api.models import kappa_of_models
from phono3py_mlp_plugin.api.potentials import (
    EvaluationResult,
    Examination,
    Relaxation,
    evaluate,
    examine_potential,
    label,
    load_potential,
    relax,
)
from phono3py_mlp_plugin.api.reports import Report, report
from phono3py_mlp_plugin.api.training import Training, progress_bar, train

__all__ = [
    "Campaign",
    "ConvergenceResult",
    "EvaluationResult",
    "Examination",
    "ForceConstantsResult",
    "Forecast",
    "Installation",
    "KappaResult",
    "PluginDescription",
    "Plugins",
    "Relaxation",
    "Report",
    "Training",
    "campaign",
    "converge",
    "doctor",
    "evaluate",
    "examine_potential",
    "extend_dataset",
    "find_plugins",
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
]
