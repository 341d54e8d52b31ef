"""What a calculation of kappa takes on this machine, before it is started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin import workflow
from phono3py_mlp_plugin.api.force_constants import request_of_potential
from phono3py_mlp_plugin.api.results import Result, Row, plain
from phono3py_mlp_plugin.api.training import (
    Options,
    Training,
    check_members,
    potential_of,
    training_data,
)
from phono3py_mlp_plugin.api.transport import Mesh, TransportSettings, scattering_by
from phono3py_mlp_plugin.contracts import Potential, Progress, no_progress
from phono3py_mlp_plugin.parallel import SERIAL
from phono3py_mlp_plugin.workflow import DisplacementOptions

if TYPE_CHECKING:
    from phono3py import Phono3py

    from phono3py_mlp_plugin.host.force_constants import ForceConstantsPlan
    from phono3py_mlp_plugin.host.forecast import Samples


class Forecast(Result, workflow.CostOfRun):
    """Expected time and memory, by stage.

    Attributes
    ----------
    stages : tuple of Stage
    not_included : tuple of str
        Stages whose cost is not known.
    """

    def to_dict(self) -> dict[str, Any]:
        """Return the cost; units are in the names."""
        stages = [
            {
                "name": stage.name,
                "seconds": stage.seconds,
                "shared_by_workers_seconds": stage.shared,
                "memory_bytes": stage.memory,
                "detail": stage.detail,
            }
            for stage in self.stages
        ]
        return {
            "seconds": self.seconds,
            "memory_bytes": self.memory,
            "stages": plain(stages),
            "not_included": list(self.not_included),
        }

    def _title(self) -> str:
        return "Expected cost on this machine"

    def _table(self) -> Sequence[Row]:
        rows = [
            (one.name, f"{one.seconds:.3g}", f"{one.memory / 1e9:.1f}", one.detail)
            for one in self.stages
        ]
        total = ("total", f"{self.seconds:.3g}", f"{self.memory / 1e9:.1f}", "")
        return [("stage", "seconds", "memory (GB)", "what"), *rows, total]

    def _notes(self) -> Sequence[str]:
        return [f"Not included: {name}." for name in self.not_included]


def forecast(
    ph3: Phono3py,
    mesh: Mesh,
    temperatures: float | Sequence[float] = 300.0,
    calculator: str = "pypolymlp",
    options: Options = None,
    *,
    potential: Potential | Training | None = None,
    members: int = 0,
    error_budget: bool = False,
    solver: str | None = None,
    solver_options: Options = None,
    displacements: DisplacementOptions | None = None,
    scattering: str = "fft",
    progress: Progress = no_progress,
) -> Forecast:
    """Measure on samples what `train` and `kappa` take on this machine.

    Parameters
    ----------
    ph3 : Phono3py
        It is not changed.
    mesh, temperatures
        See `kappa`.
    calculator, options
        Force calculator that is trained on the dataset of ``ph3``, and its parameters.
    potential : Potential or Training, optional
        A potential that is used instead, without a training.
    members : int, optional
        Number of potentials for error bars; see `train`.
    error_budget : bool, optional
        See `kappa`.
    solver, solver_options, displacements
        See `converge`.
    scattering : str, optional
        See `kappa`.
    progress : Progress, optional
        Reports the progress.

    Returns
    -------
    Forecast
        ``seconds``, ``memory`` (bytes) and ``stages``.

    Raises
    ------
    DatasetError
        If there are no forces to train on.
    ParameterError, PluginNotFound, ResourceError
        See `train` and `kappa`.
    """
    from phono3py_mlp_plugin.host.forecast import Samples
    from phono3py_mlp_plugin.host.settings import RunRequest

    workflow.check_arguments(
        ph3=ph3,
        calculator=calculator,
        options=options,
        members=members,
        error_budget=error_budget,
        solver="" if solver is None else solver,
        solver_options=solver_options,
        displacements=displacements,
        progress=progress,
    )
    check_members(members)
    settings = TransportSettings.of(mesh, temperatures)
    request = RunRequest(
        workflow.request_calculator(calculator, options),
        None,
        generates=True,
        uncertainty=members or None,
        error_budget=error_budget,
    )
    samples = Samples(request, settings, progress)
    crystal = settings.crystal(ph3)
    with scattering_by(scattering, SERIAL):
        given = _trained(samples, ph3) if potential is None else potential_of(potential)
        plan = _plan(ph3, given, solver, solver_options, displacements)
        samples.force_constants(crystal, plan, given)
        samples.kappa(crystal, *settings.transport(crystal).calls)
    return Forecast(tuple(samples.stages), tuple(samples.not_included))


def _trained(samples: Samples, ph3: Phono3py) -> Potential:
    """Measure a training on the dataset of a crystal; return a potential like it."""
    dataset = training_data(ph3)
    return samples.training(dataset, samples.request.calculator.divide(len(dataset)))


def _plan(
    ph3: Phono3py,
    potential: Potential,
    solver: str | None,
    options: Options,
    displacements: DisplacementOptions | None,
) -> ForceConstantsPlan:
    """Return how force constants are computed."""
    from phono3py_mlp_plugin.host.force_constants import ForceConstantsPlan

    derivatives = callable(getattr(potential, "force_constants", None))
    return ForceConstantsPlan(
        displacements or DisplacementOptions(),
        request_of_potential(ph3, solver, options, has_derivatives=derivatives),
        workflow.fc2_dataset(ph3) is not None,
    )
