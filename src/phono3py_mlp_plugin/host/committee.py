"""Several models, whose scatter is the error bar of the first one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.host.mlp import PluginMLP, examine
from phono3py_mlp_plugin.host.models import RequestedModel
from phono3py_mlp_plugin.host.output import show
from phono3py_mlp_plugin.host.settings import RunRequest
from phono3py_mlp_plugin.workflow import (
    EnsembleOfPotentials,
    ObtainedPotential,
    check_residual_forces,
    evaluate,
    plan_potential,
    read_potential,
)

if TYPE_CHECKING:
    from phono3py import Phono3py


def read_committee(
    ph3: Phono3py, request: RunRequest, log_level: int
) -> EnsembleOfPotentials:
    """Read and examine the other potentials of a run, before any work with them.

    Parameters
    ----------
    ph3 : Phono3py
        Its potential is the first one, which has been read and examined.
    request : RunRequest
    log_level : int

    Raises
    ------
    ParameterError
        If two files are the same potential.
    PotentialError
        If a file cannot be read, is of other elements, or gives wrong forces.
    """
    mlp = ph3.mlp
    assert isinstance(mlp, PluginMLP) and mlp.potential is not None
    assert request.uncertainty is not None
    first, *others = request.models[: request.uncertainty]
    given = len(request.models)
    if request.uncertainty < given:
        show(
            [f"The first {request.uncertainty} of {given} models are used."], log_level
        )
    models = {first.name: mlp.potential}
    origins = {mlp.origin: first.name}
    for model in others:
        plan = plan_potential(model.calculator, None, model.file, Path())
        obtained = read_potential(model.calculator, plan.path)
        if obtained.origin in origins:
            raise ParameterError(
                f"{model.name}: is the same potential as {origins[obtained.origin]}; "
                "expected different models. Leave one out."
            )
        origins[obtained.origin] = model.name
        _examine(ph3, request, model, obtained, log_level)
        models[model.name] = obtained.potential
    return EnsembleOfPotentials.of_models(models)


def _examine(
    ph3: Phono3py,
    request: RunRequest,
    model: RequestedModel,
    obtained: ObtainedPotential,
    log_level: int,
) -> None:
    """Examine a potential as the first one is, at the structure of the run."""
    spec = model.calculator
    name = f"{spec.calculator.name} ({model.name})"
    show([f'Another model for the error bar: "{model.name}".'], log_level)
    # It also tells whether the potential knows the elements of the crystal.
    still = evaluate(name, obtained.potential, [ph3.supercell])
    examine(spec, obtained, ph3.supercell, log_level, request.allow_poor_fit, name)
    check = check_residual_forces(still.forces[0])
    remedy = "The structure is at the minimum of the first potential, not of this one."
    show([] if check.passed else [f"  {replace(check, remedy=remedy)}"], log_level)
