"""The steps from a dataset to force constants, as plain functions on plain data."""

from phono3py_mlp_plugin.workflow.bands import (
    PathSegment,
    PhononsAt,
    band_path,
    certainty,
    harmonic_crystal,
    high_symmetry_points,
    least_sure,
    phonon_frequencies,
    phonons_with_errors,
)
from phono3py_mlp_plugin.workflow.checks import check_dataset, check_split
from phono3py_mlp_plugin.workflow.conductivity import (
    DisplacementOptions,
    ForceConstantsOf,
    TransportOptions,
    thermal_conductivity,
)
from phono3py_mlp_plugin.workflow.converge import (
    Point,
    Study,
    Variant,
    Verdict,
    check_study,
    compare_models,
    converge,
    judge,
    with_value,
)
from phono3py_mlp_plugin.workflow.crystal import (
    Cell,
    check_crystal,
    check_masses,
    shares_sites,
)
from phono3py_mlp_plugin.workflow.dataset import Split, read_dataset, split_dataset
from phono3py_mlp_plugin.workflow.evaluate import evaluate, root_mean_square_errors
from phono3py_mlp_plugin.workflow.join import dataset_of_frames, joined
from phono3py_mlp_plugin.workflow.physics import (
    Check,
    check_drift,
    check_phonons,
    check_potential,
)
from phono3py_mlp_plugin.workflow.relax import relax_positions
from phono3py_mlp_plugin.workflow.request import (
    Request,
    SolverRequest,
    request_calculator,
    request_solver,
    with_memory,
)
from phono3py_mlp_plugin.workflow.reuse import (
    Decision,
    decide_force_constants,
    decide_potential,
)
from phono3py_mlp_plugin.workflow.train import (
    Training,
    engine_of,
    forecast,
    train,
    training_fingerprint,
    training_parameters,
    unused_parameters,
)

__all__ = [
    "Cell",
    "Check",
    "Decision",
    "DisplacementOptions",
    "ForceConstantsOf",
    "PathSegment",
    "PhononsAt",
    "Point",
    "Request",
    "SolverRequest",
    "Split",
    "Study",
    "Training",
    "TransportOptions",
    "Variant",
    "Verdict",
    "band_path",
    "certainty",
    "check_crystal",
    "check_dataset",
    "check_drift",
    "check_masses",
    "check_phonons",
    "check_potential",
    "check_split",
    "check_study",
    "compare_models",
    "converge",
    "dataset_of_frames",
    "decide_force_constants",
    "decide_potential",
    "engine_of",
    "evaluate",
    "forecast",
    "harmonic_crystal",
    "high_symmetry_points",
    "joined",
    "judge",
    "least_sure",
    "phonon_frequencies",
    "phonons_with_errors",
    "read_dataset",
    "relax_positions",
    "request_calculator",
    "request_solver",
    "root_mean_square_errors",
    "shares_sites",
    "split_dataset",
    "thermal_conductivity",
    "train",
    "training_fingerprint",
    "training_parameters",
    "unused_parameters",
    "with_memory",
    "with_value",
]
