"""Several models, whose scatter is the error bar of the first one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from phono3py_mlp_plugin.contracts import Dataset, Potential
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.host.mlp import PluginMLP, obtain
from phono3py_mlp_plugin.host.output import show
from phono3py_mlp_plugin.host.settings import RunRequest
from phono3py_mlp_plugin.parallel import SERIAL, Distribution
from phono3py_mlp_plugin.workflow import (
    EnsembleOfPotentials,
    check_residual_forces,
    evaluate,
)

if TYPE_CHECKING:
    from phono3py import Phono3py

_REMEDY = "The structure is at the minimum of the first model, not of this one."


def read_committee(
    ph3: Phono3py,
    request: RunRequest,
    dataset: Dataset | None,
    log_level: int,
    distribution: Distribution = SERIAL,
) -> EnsembleOfPotentials:
    """Read and examine the other models of a run, before any work with them.

    Parameters
    ----------
    ph3 : Phono3py
        Its potential is the first model, which has been read and examined.
    request : RunRequest
    dataset : Dataset or None
        Forces with which models are compared.
    log_level, distribution

    Raises
    ------
    ParameterError
        If two models are the same potential.
    PotentialError
        If a model cannot be read, is of other elements, or gives wrong forces.
    """
    mlp = ph3.mlp
    assert isinstance(mlp, PluginMLP) and mlp.potential is not None
    assert request.uncertainty is not None
    first, *others = request.models[: request.uncertainty]
    given = len(request.models)
    if request.uncertainty < given:
        line = f"The first {request.uncertainty} of {given} models are used."
        show([line], log_level)
    models = {first.name: mlp.potential}
    sources = [mlp.source]
    origins = {mlp.origin: first.name}
    for model in others:
        spec = model.calculator
        name = f"{spec.calculator.name} ({model.name})"
        show([f" {name} ".center(76, "-")], log_level)
        obtained, _ = obtain(
            spec,
            dataset,
            model.file,
            ph3.supercell,
            log_level,
            request.allow_poor_fit,
            name,
            distribution,
        )
        if obtained.origin in origins:
            raise ParameterError(
                f"{model.name}: is the same potential as {origins[obtained.origin]}; "
                "expected different models. Leave one out."
            )
        origins[obtained.origin] = model.name
        _check_structure(name, obtained.potential, ph3, log_level)
        models[model.name] = obtained.potential
        sources.append(obtained.source)
    return EnsembleOfPotentials.of_models(models, sources)


def _check_structure(
    name: str, potential: Potential, ph3: Phono3py, log_level: int
) -> None:
    """Print forces on undisplaced atoms if they are large.

    Raises
    ------
    PotentialError
        If the potential does not know an element of the crystal.
    """
    still = evaluate(name, potential, [ph3.supercell])
    check = check_residual_forces(still.forces[0])
    show([] if check.passed else [f"  {replace(check, remedy=_REMEDY)}"], log_level)
