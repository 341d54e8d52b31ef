"""Error bars of kappa, and its error budget, in one run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
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
from phono3py_mlp_plugin.files import (
    UNCERTAINTY_FILE,
    write_uncertainty,
)
from phono3py_mlp_plugin.host.committee import read_committee
from phono3py_mlp_plugin.host.error_text import bars_lines, budget_in_lines
from phono3py_mlp_plugin.host.force_constants import ForceConstantsPlan
from phono3py_mlp_plugin.host.mlp import PluginMLP
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
    EVALUATION,
    KAPPA,
    CalculatorSpec,
    EnsembleMeshes,
    EnsembleOfPotentials,
    EnsembleResult,
    ForceConstantsOf,
    KappaOfFit,
    displace,
    error_budget,
    misfit_of,
    run_ensemble,
    training_arguments,
)

if TYPE_CHECKING:
    from phono3py import Phono3py

# Relative error of kappa for which a mesh is recommended.
_TOLERANCE = 0.02


class ErrorBars:
    """Error bars of kappa and its error budget in one run.

    Error bars are those of a training in this run, or the scatter of several potential
    files. Without either, there is the error budget alone.

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
        self._request = request
        self._settings = settings
        self._log_level = log_level
        self._distribution = distribution
        self._fits: Iterator[NestedFit] = iter(())
        self._fit: NestedFit | None = None
        self._dataset: Dataset | None = None
        self._committee: EnsembleOfPotentials | None = None
        self._transport: RunTransport | None = None
        self._found = False

    @property
    def _of_training(self) -> bool:
        """Whether the error bars are those of a training."""
        return self._request.uncertainty is not None and not self._request.models

    def with_ensemble(
        self, spec: CalculatorSpec, dataset: Dataset | None
    ) -> CalculatorSpec:
        """Return the calculator with a training that gives the ensemble too.

        One pass over the dataset is sufficient for both. Nothing is computed yet.

        Raises
        ------
        ParameterError
            If a training is needed, and there is no dataset.
        """
        self._dataset = dataset
        if not self._of_training:
            return spec
        if dataset is None:
            raise ParameterError(
                "--uncertainty: there is no dataset with forces to train on. Give "
                "phono3py_params.yaml, or several models (--mlp-file A --mlp-file B)."
            )
        split = spec.divide(len(dataset))
        learning_curve = spec.calculator.learning_curve
        assert learning_curve is not None and self._request.uncertainty is not None
        self._fits = learning_curve(
            dataset.select(split.training),
            dataset.select(split.test),
            [len(split.training)],
            spec.options,
            Ensemble(self._request.uncertainty),
            progress(self._log_level),
            **training_arguments(spec.calculator, self._distribution),
        )
        if spec.calculator.train is None:
            return spec

        def train(*_: Any, **__: Any) -> TrainedPotential:
            self._fit = next(self._fits)
            return self._fit.trained

        return replace(spec, calculator=replace(spec.calculator, train=train))

    def read_models(self, ph3: Phono3py) -> None:
        """Read and examine the other models of the run, if there are any."""
        if self._request.models:
            self._committee = read_committee(
                ph3, self._request, self._dataset, self._log_level, self._distribution
            )

    def note_force_constants(self, ph3: Phono3py) -> None:
        """Note whether force constants were read from files, of whatever origin."""
        self._found = ph3.fc2 is not None or ph3.fc3 is not None

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
        if self._transport is None:
            return
        kappa = kappa_of(ph3)
        crystal = _copy(ph3)
        bars: list[list[ErrorBar]] = []
        result = None
        if self._request.uncertainty is not None:
            show([" error bars of kappa ".center(76, "-")], self._log_level)
            result = self._ensemble(ph3, crystal, plan, self._transport)
            bars = result.error_bars(self._transport.temperatures.tolist())
        else:
            show([" error budget of kappa ".center(76, "-")], self._log_level)
        budget = self._budget(ph3, crystal, plan, kappa, bars, result)
        write_uncertainty(
            Path(UNCERTAINTY_FILE),
            kappa,
            self._transport.temperatures,
            bars,
            {} if result is None else _record(result),
            budget,
        )
        if self._committee is not None:
            forget_chunks(Path(), EVALUATION)
        forget_chunks(Path(), KAPPA)
        self._show(kappa, bars, result, budget)

    def _ensemble(
        self,
        ph3: Phono3py,
        crystal: Phono3py,
        plan: ForceConstantsPlan,
        transport: RunTransport,
    ) -> EnsembleResult:
        """Return kappa of the ensemble."""
        ensemble = self._committee
        if ensemble is None:
            # A potential that was read from a file has no ensemble yet.
            self._fit = self._fit or next(self._fits)
            ensemble = EnsembleOfPotentials.of_fit(self._fit)
        known = None
        if ph3.dataset is None and not plan.request.takes_potential:
            displace(crystal, plan.displacements, keep_fc2=plan.keep_fc2)
        elif ensemble.names and not self._found:
            # Evaluations of models that were not trained here are expensive.
            known = {2: ph3.fc2, 3: ph3.fc3}
        mesh = self._request.uncertainty_mesh
        (result,) = run_ensemble(
            ph3,
            ensemble,
            self._force_constants(crystal, plan),
            transport,
            [EnsembleMeshes(mesh, mesh)],
            progress(self._log_level),
            "Kappa of the ensemble",
            self._distribution,
            known,
        )
        self._distribution.end_part()
        return result

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
        ph3: Phono3py,
        crystal: Phono3py,
        plan: ForceConstantsPlan,
        kappa: FloatArray,
        bars: list[list[ErrorBar]],
        result: EnsembleResult | None,
    ) -> ErrorBudget | None:
        """Return the error budget of kappa of the run, if it has one."""
        assert self._transport is not None
        if self._request.error_budget is False:
            return None
        if not (self._transport.temperatures > 0).any():
            return None
        if result is not None and result.n_imaginary:
            return None
        mlp = ph3.mlp
        assert isinstance(mlp, PluginMLP) and mlp.potential is not None
        of_fit = KappaOfFit(
            mlp.potential if self._fit is None else self._fit.trained.potential,
            {2: ph3.fc2, 3: ph3.fc3},
            kappa,
            None,
            bars,
            of_models=self._committee is not None,
            unknown=self._unknown(mlp),
            amplitude=plan.displacements.amplitude,
            error_of_displacements=_error_of_displacements(mlp, plan),
        )
        return error_budget(
            crystal,
            of_fit,
            plan.request,
            self._transport,
            _TOLERANCE,
            progress(self._log_level),
        )

    def _unknown(self, mlp: PluginMLP) -> str:
        """Return why there are no error bars of a training, and how to get some."""
        calculator = self._request.calculator.calculator
        if self._committee is not None:
            return "the potentials were not trained here"
        if mlp.provenance is not None and calculator.learning_curve is not None:
            return "--uncertainty N with the training data estimates them"
        return "the potential was not trained here"

    def _show(
        self,
        kappa: FloatArray,
        bars: list[list[ErrorBar]],
        result: EnsembleResult | None,
        budget: ErrorBudget | None,
    ) -> None:
        """Print the error bars and the error budget at room temperature."""
        assert self._transport is not None
        temperatures = self._transport.temperatures
        if result is not None:
            show(bars_lines(result, kappa, temperatures, bars), self._log_level)
        if self._of_training:
            assert self._fit is not None and self._dataset is not None
            at_room = bars[room_temperature(temperatures)]
            misfit = misfit_of(self._fit, self._dataset, at_room)
            show([] if misfit is None else [f"  look  {misfit}"], self._log_level)
        if budget is not None:
            show(budget_in_lines(budget, kappa), self._log_level)
        what = "Error budgets" if result is None else "Error bars"
        line = f'{what} for all temperatures are in "{UNCERTAINTY_FILE}".'
        show([line], self._log_level)


def _error_of_displacements(mlp: PluginMLP, plan: ForceConstantsPlan) -> float:
    """Return the expected relative error of kappa due to finite displacements."""
    if mlp.health is None:
        return math.nan
    displacements = plan.displacements
    systematic = displacements.number is None
    return mlp.health.error_of_kappa(displacements.amplitude, systematic=systematic)


def _record(result: EnsembleResult) -> dict[str, Any]:
    """Return the results of an ensemble for the file."""
    record: dict[str, Any] = {
        "relative_standard_deviation": "scatter of models"
        if result.names
        else "sampling of supercells, choice of the penalty",
        "fc2_error": result.fc2_error,
        "fc3_error": result.fc3_error,
        "phonons": [asdict(point) for point in result.phonons],
    }
    if result.names:
        kappas = result.kappa_of_models().tolist()
        record["models"] = [
            {"name": name, "kappa": kappa}
            for name, kappa in zip(result.names, kappas, strict=True)
        ]
    return record


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
