"""Scatter of several models by a function of the user."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin import workflow
from phono3py_mlp_plugin.api.force_constants import solver_request
from phono3py_mlp_plugin.api.training import Options, Training, potential_of
from phono3py_mlp_plugin.contracts import (
    FloatArray,
    ForceConstants,
    Potential,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import ParameterError

if TYPE_CHECKING:
    from phono3py import Phono3py


def kappa_of_models(
    ph3: Phono3py,
    models: Mapping[str, Potential | Training],
    kappa: Callable[[Phono3py], Any],
    solver: str = "symfc",
    options: Options = None,
    progress: Progress = no_progress,
) -> workflow.EnsembleResult:
    """Return kappa of several models and the error bar of the first, their scatter.

    All models are evaluated at the same displacements. `kappa` does the same with the
    settings that it has; here kappa is that of any function.

    Parameters
    ----------
    ph3 : Phono3py
        Phono3py object with displacements, and with a mesh. Its fc2 and fc3 are those
        of the first model afterwards.
    models : mapping of str to Potential or Training
        Two or more different potentials by their names.
    kappa : callable
        ``kappa(ph3)`` computes the conductivity from fc2 and fc3 of ``ph3`` and
        returns it in W/m-K, shape ``(n_temperatures, 6)``.
    solver : str
        Name of a registered solver; "exact" needs no displacements.
    options : str or mapping, optional
        Options of the solver.
    progress : Progress, optional
        Reports the progress.

    Returns
    -------
    EnsembleResult
        ``kappa_of_models()``, shape ``(n_models, n_temperatures, 6)``, and
        ``error_bar(t, component)`` of the first model, whose ``half_width(value)`` is
        half of a 68 % interval.

    Raises
    ------
    ParameterError
        If there are fewer than two models, or an option is wrong.
    PotentialError
        If a model does not support an element of the crystal.
    SolverError, PluginFailed
        See `solve_force_constants`.
    """
    workflow.check_arguments(
        ph3=ph3, kappa=kappa, solver=solver, options=options, progress=progress
    )
    ensemble = workflow.EnsembleOfPotentials.of_models(
        {name: potential_of(model) for name, model in models.items()}
    )
    request = solver_request(solver, options, is_compact_fc=True)
    transport = _GivenKappa(ph3, kappa)
    (result,) = workflow.run_ensemble(
        ph3,
        ensemble,
        workflow.ForceConstantsOf(ph3, request, "potential"),
        transport,
        [workflow.EnsembleMeshes(None, None)],
        progress,
        "Kappa of the models",
    )
    ph3.fc2, ph3.fc3 = transport.first[2], transport.first[3]
    return result


class _GivenKappa:
    """A function of the user as `workflow.Transport`.

    Attributes
    ----------
    first : dict
        The force constants of which kappa was computed first.
    """

    def __init__(self, ph3: Phono3py, kappa: Callable[[Phono3py], Any]) -> None:
        self._ph3 = ph3
        self._kappa = kappa
        self.first: ForceConstants = {}
        self.temperatures = np.zeros(0)
        self.mesh: workflow.Mesh | None = None
        self.settings: Mapping[str, Any] = {}

    def kappa(
        self, force_constants: ForceConstants, mesh: Sequence[float] | None = None
    ) -> FloatArray:
        """Return kappa of force constants on the mesh of the crystal."""
        del mesh
        if not self.first:
            self.first = {k: array.copy() for k, array in force_constants.items()}
        self._ph3.fc2, self._ph3.fc3 = force_constants[2], force_constants[3]
        values = np.array(self._kappa(self._ph3), dtype="double")
        if values.ndim != 2 or values.shape[1] != 6:
            raise ParameterError(
                f"kappa: returned an array of shape {values.shape}; expected "
                "(n_temperatures, 6), such as thermal_conductivity.kappa[0]."
            )
        return values

    def mesh_density(self, mesh: workflow.Mesh) -> float:
        """Return the number of points along an axis."""
        return float(np.prod(mesh) ** (1 / len(mesh)))
