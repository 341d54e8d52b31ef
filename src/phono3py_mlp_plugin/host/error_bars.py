"""Error bars of kappa (option ``--uncertainty``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phonopy.structure.symmetry import NosymDataset

from phono3py_mlp_plugin.contracts import (
    Dataset,
    Ensemble,
    FloatArray,
    NestedFit,
    TrainedPotential,
)
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.files import UNCERTAINTY_FILE, write_uncertainty
from phono3py_mlp_plugin.host.force_constants import ForceConstantsPlan
from phono3py_mlp_plugin.host.output import progress, show
from phono3py_mlp_plugin.host.settings import RunRequest
from phono3py_mlp_plugin.host.transport import (
    InteractionSetUp,
    RunTransport,
    kappa_of,
    replace_kappa_calculation,
)
from phono3py_mlp_plugin.parallel import SERIAL, Distribution, forget_chunks
from phono3py_mlp_plugin.uncertainty import ErrorBar, ErrorBudget, room_temperature
from phono3py_mlp_plugin.workflow import (
    KAPPA,
    CalculatorSpec,
    EnsembleMeshes,
    EnsembleResult,
    ForceConstantsOf,
    ForceConstantsRequest,
    KappaOfFit,
    budget_lines,
    displace,
    error_budget,
    force_constant_errors_text,
    misfit_of,
    most_uncertain_frequency,
    run_ensemble,
)

if TYPE_CHECKING:
    from phono3py import Phono3py

_DIRECTIONS = ("xx", "yy", "zz")

# Relative error of kappa for which a mesh is recommended.
_TOLERANCE = 0.02


class ErrorBars:
    """Error bars of kappa in one run.

    Parameters
    ----------
    request : RunRequest
    settings : Phono3pySettings
    log_level : int
    distribution : Distribution
        Where kappa of the ensemble is computed.
    """

    def __init__(
        self,
        request: RunRequest,
        settings: Any,
        log_level: int,
        distribution: Distribution = SERIAL,
    ) -> None:
        assert request.uncertainty is not None
        self._request = request
        self._settings = settings
        self._log_level = log_level
        self._distribution = distribution
        self._fits: Iterator[NestedFit] = iter(())
        self._fit: NestedFit | None = None
        self._dataset: Dataset | None = None
        self._transport: RunTransport | None = None

    def set_dataset(self, dataset: Dataset | None) -> None:
        """Prepare the training of the ensemble, without computing anything.

        Raises
        ------
        ParameterError
            If there is no dataset, or error bars are unavailable for these options.
        """
        if dataset is None:
            raise ParameterError(
                "--uncertainty: there is no dataset with forces to train on. Give "
                "phono3py_params.yaml."
            )
        self._dataset = dataset
        request = self._request.calculator
        split = request.divide(len(dataset))
        learning_curve = request.calculator.learning_curve
        assert learning_curve is not None and self._request.uncertainty is not None
        self._fits = learning_curve(
            dataset.select(split.training),
            dataset.select(split.test),
            [len(split.training)],
            request.options,
            Ensemble(self._request.uncertainty),
            progress(self._log_level),
        )

    def with_ensemble(self, spec: CalculatorSpec) -> CalculatorSpec:
        """Return the calculator with a training that gives the ensemble too.

        One pass over the dataset is sufficient for both.
        """
        if spec.calculator.train is None:
            return spec

        def train(*_: Any, **__: Any) -> TrainedPotential:
            self._fit = next(self._fits)
            return self._fit.trained

        return replace(spec, calculator=replace(spec.calculator, train=train))

    def record(self, ph3: Phono3py, set_up: InteractionSetUp) -> None:
        """Record how the interaction is set up and how kappa is computed."""

        def compute_kappa(
            host: Callable[..., None], arguments: Mapping[str, Any]
        ) -> None:
            host(**arguments)
            self._transport = RunTransport(ph3, set_up, host, arguments, self._settings)

        replace_kappa_calculation(ph3, compute_kappa)

    def report(self, ph3: Phono3py, plan: ForceConstantsPlan) -> None:
        """Compute kappa of the ensemble, print the error bars and write them."""
        transport = self._transport
        if transport is None:
            return
        # A potential that was read from a file has no ensemble yet.
        fit = self._fit or next(self._fits)
        kappa = kappa_of(ph3)
        show([" error bars of kappa ".center(76, "-")], self._log_level)
        crystal = _copy(ph3)
        if ph3.dataset is None and not plan.request.takes_potential:
            displace(crystal, plan.displacements, keep_fc2=plan.keep_fc2)
        mesh = self._request.uncertainty_mesh
        (result,) = run_ensemble(
            ph3,
            fit,
            self._force_constants(crystal, plan),
            transport,
            [EnsembleMeshes(mesh, mesh)],
            progress(self._log_level),
            "Kappa of the ensemble",
            self._distribution,
        )
        self._distribution.end_part()
        temperatures = transport.temperatures
        bars = [
            [result.error_bar(t, c) for c in range(3)] if temperature > 0 else []
            for t, temperature in enumerate(temperatures)
        ]
        budget = None
        if any(bars) and not result.n_imaginary:
            fcs = {2: ph3.fc2, 3: ph3.fc3}
            of_fit = KappaOfFit(fit.trained.potential, fcs, kappa, None, bars)
            budget = self._budget(crystal, of_fit, plan.request)
        write_uncertainty(
            Path(UNCERTAINTY_FILE),
            kappa,
            temperatures,
            bars,
            result.fc2_error,
            result.fc3_error,
            result.phonons,
            budget,
        )
        forget_chunks(Path(), KAPPA)
        show(_lines(result, kappa, temperatures, bars), self._log_level)
        assert self._dataset is not None
        misfit = misfit_of(fit, self._dataset, bars[room_temperature(temperatures)])
        if misfit is not None:
            show([f"  look  {misfit}"], self._log_level)
        if budget is not None:
            show(_budget_lines(budget, kappa), self._log_level)
        line = f'Error bars for all temperatures are in "{UNCERTAINTY_FILE}".'
        show([line], self._log_level)

    def _force_constants(
        self, crystal: Phono3py, plan: ForceConstantsPlan
    ) -> ForceConstantsOf:
        """Return the solver of force constants, prepared."""
        report = progress(self._log_level)
        with report("Preparing the force-constants solver", None):
            return ForceConstantsOf(
                crystal,
                plan.request,
                self._request.calculator.calculator.name,
                keep_fc2=plan.keep_fc2,
                progress=report,
            )

    def _budget(
        self,
        crystal: Phono3py,
        of_fit: KappaOfFit,
        request: ForceConstantsRequest,
    ) -> ErrorBudget:
        """Return the error budget of kappa of the run."""
        assert self._transport is not None
        report = progress(self._log_level)
        return error_budget(
            crystal,
            of_fit,
            request,
            self._transport,
            _TOLERANCE,
            report,
        )


def _lines(
    result: EnsembleResult,
    kappa: FloatArray,
    temperatures: FloatArray,
    bars: list[list[ErrorBar]],
) -> list[str]:
    """Return the summary of the error bars, with values at room temperature."""
    lines = [
        f"From {len(result.members)} jackknife potentials of {result.size} training "
        f"supercells and {len(result.alternatives)} with other ridge penalties; 68 % "
        "intervals for the choice of supercells and penalty, not for the model error:"
    ]
    t = room_temperature(temperatures)
    # There are none if 0 K is the only temperature.
    for direction, value, bar in zip(_DIRECTIONS, kappa[t], bars[t], strict=False):
        lines.append(
            f"  kappa_{direction}({temperatures[t]:g} K) = {value:.3f} +- "
            f"{bar.half_width(value):.3f} W/m-K"
        )
    if result.n_imaginary:
        lines.append(
            f"  look  {result.n_imaginary} of {len(result.members)} potentials have "
            "imaginary modes: their kappa is meaningless and the error bars are "
            "unreliable. Use more supercells."
        )
    errors = force_constant_errors_text(result.fc2_error, result.fc3_error)
    lines.append(f"  relative uncertainty of force constants: {errors}")
    if result.fc2_error:
        phonon = most_uncertain_frequency(result.phonons)
        lines.append(f"  most uncertain phonon: {phonon}")
    return lines


def _budget_lines(budget: ErrorBudget, kappa: FloatArray) -> list[str]:
    """Return the error budget, and kappa with the total error."""
    t = budget.room_temperature
    temperature = f"{budget.temperatures[t]:g} K"
    values = (
        f"{value:.3f} +- {total * value if total < math.inf else total:.3f} "
        f"({direction})"
        for direction, value, total in zip(
            _DIRECTIONS, kappa[t, :3], budget.total(t), strict=True
        )
    )
    return [
        f"Error budget of kappa at {temperature} in percent (68 % intervals):",
        *(f"  {line}" for line in budget_lines(budget)),
        f"Kappa at {temperature} with all of these: {', '.join(values)} W/m-K",
    ]


def _copy(ph3: Phono3py) -> Phono3py:
    """Return a copy of the crystal with its displacements and log level 0."""
    from phono3py import Phono3py

    copy = Phono3py(
        ph3.unitcell,
        supercell_matrix=ph3.supercell_matrix,
        primitive_matrix=ph3.primitive_matrix,
        phonon_supercell_matrix=ph3.phonon_supercell_matrix,
        is_symmetry=not isinstance(ph3.symmetry.dataset, NosymDataset),
        symprec=ph3.symmetry.tolerance,
    )
    copy.dataset = ph3.dataset
    if ph3.phonon_supercell_matrix is not None:
        copy.phonon_dataset = ph3.phonon_dataset
    return copy
