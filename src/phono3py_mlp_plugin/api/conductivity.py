"""Thermal conductivity of a crystal, with error bars and error budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin import workflow
from phono3py_mlp_plugin.api.force_constants import request_of_potential
from phono3py_mlp_plugin.api.results import Result, Row, plain
from phono3py_mlp_plugin.api.training import (
    Options,
    Training,
    potential_of,
    unknown_figure,
)
from phono3py_mlp_plugin.api.transport import (
    Mesh,
    TransportSettings,
    scattering_by,
    set_up_interaction,
)
from phono3py_mlp_plugin.contracts import (
    FloatArray,
    ForceConstants,
    Potential,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import ParameterError, SolverError
from phono3py_mlp_plugin.files import KappaFile, kappa_of_calculator
from phono3py_mlp_plugin.parallel import Distribution, distribution_of
from phono3py_mlp_plugin.plotting import DIRECTIONS, Style
from phono3py_mlp_plugin.reports import Contents, figures
from phono3py_mlp_plugin.uncertainty import ErrorBar, ErrorBudget, room_temperature
from phono3py_mlp_plugin.workflow import EnsembleResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from phono3py import Phono3py

    from phono3py_mlp_plugin.host.transport import RunTransport

Source = Potential | Training | Mapping[str, Potential]

# Relative error of kappa for which a mesh is recommended.
_TOLERANCE = 0.02


@dataclass(frozen=True, eq=False, repr=False)
class KappaResult(Result):
    """Thermal conductivity with its error bars.

    Attributes
    ----------
    formula : str
    n_atoms : int
        Number of atoms in the supercell.
    mesh : tuple of int
        Numbers of mesh points.
    temperatures : ndarray
        In K, shape ``(n_temperatures,)``.
    kappa : ndarray
        In W/m-K, shape ``(n_temperatures, 6)``: xx yy zz yz xz xy.
    force_constants : dict
        fc2 (eV/angstrom^2) and fc3 (eV/angstrom^3) that kappa is computed from.
    modes : KappaFile
        Frequencies, contributions to kappa and mean free paths of modes.
    bars : list of list of ErrorBar
        Error bars of xx, yy and zz at each temperature; empty at 0 K, and if they are
        unknown.
    ensemble : EnsembleResult or None
        Kappa of the potentials from which the error bars are.
    budget : ErrorBudget or None
        All contributions to the error of kappa.
    checks : list of Check
        Checks of phonons and force constants.
    notes : list of str
        What to know about this result.
    """

    formula: str
    n_atoms: int
    mesh: tuple[int, ...]
    temperatures: FloatArray
    kappa: FloatArray
    force_constants: ForceConstants
    modes: KappaFile
    bars: list[list[ErrorBar]]
    ensemble: EnsembleResult | None
    budget: ErrorBudget | None
    checks: list[workflow.Check]
    notes: list[str]

    def error(self, level: float = 0.68) -> FloatArray | None:
        """Return half widths of the intervals of kappa in W/m-K.

        Parameters
        ----------
        level : float, optional
            Probability of the interval.

        Returns
        -------
        ndarray or None
            Of xx, yy and zz, shape ``(n_temperatures, 3)``; zero at 0 K. None if they
            are unknown.

        Raises
        ------
        ParameterError
            If the level is not between 0 and 1.
        """
        if not (isinstance(level, Real) and 0 < level < 1):
            raise ParameterError(
                f"level = {level!r}; expected a probability between 0 and 1. Give 0.95."
            )
        if not any(self.bars):
            return None
        return np.array(
            [
                [b.half_width(v, level) for b, v in zip(bars, row, strict=False)]
                or [0.0] * 3
                for bars, row in zip(self.bars, self.kappa, strict=True)
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return kappa and its errors; units are in the names."""
        ensemble = self.ensemble
        return {
            "formula": self.formula,
            "mesh": list(self.mesh),
            "temperatures_K": plain(self.temperatures),
            "components": "xx yy zz yz xz xy",
            "kappa_W_per_mK": plain(self.kappa),
            "error_68_W_per_mK": plain(self.error()),
            "error_95_W_per_mK": plain(self.error(0.95)),
            "models": [] if ensemble is None else list(ensemble.names),
            "kappa_of_members_W_per_mK": None
            if ensemble is None
            else plain(ensemble.members),
            "error_budget": plain(self.budget),
            "checks": plain(self.checks),
            "notes": list(self.notes),
        }

    def plot(self, kind: str = "temperature") -> Figure:
        """Draw kappa.

        Parameters
        ----------
        kind : str
            "temperature": kappa with its error bars as a function of temperature;
            "cumulative": contributions by frequency and mean free path, at the
            temperature closest to 300 K.

        Raises
        ------
        ParameterError
            If there is no such figure.
        """
        contents = self._contents()
        with Style().applied():
            if kind == "cumulative" and self.modes.mode_kappa is not None:
                return figures.draw_cumulative(
                    self.modes,
                    room_temperature(self.temperatures),
                    contents.directions(),
                    self.formula,
                )
            if kind == "temperature":
                return figures.draw_kappa(contents)
        raise unknown_figure(kind, ("temperature", "cumulative"))

    def _contents(self) -> Contents:
        pairs = zip(self.temperatures.tolist(), self.bars, strict=False)
        return Contents(
            self.formula,
            self.n_atoms,
            kappa=self.modes,
            bars={t: bars for t, bars in pairs if bars},
            models=() if self.ensemble is None else self.ensemble.names,
        )

    def _title(self) -> str:
        numbers = " x ".join(map(str, self.mesh))
        return f"Kappa of {self.formula} in W/m-K, mesh {numbers}"

    def _table(self) -> Sequence[Row]:
        errors = self.error()
        rows: list[Row] = [("temperature (K)", *DIRECTIONS)]
        for t, temperature in enumerate(self.temperatures):
            values = [f"{value:.3f}" for value in self.kappa[t, :3]]
            if errors is not None:
                pairs = zip(values, errors[t], strict=True)
                values = [f"{value} +- {error:.3f}" for value, error in pairs]
            rows.append((f"{temperature:g}", *values))
        return rows

    def _notes(self) -> Sequence[str]:
        notes = []
        if any(self.bars):
            assert self.ensemble is not None
            source = (
                f"the scatter of {len(self.ensemble.names)} models"
                if self.ensemble.names
                else "the choice of supercells and penalty, without the model"
            )
            notes.append(f"Error bars are 68 % intervals of {source}.")
        if self.budget is not None:
            total = 100 * self.budget.total(self.budget.room_temperature).max()
            notes.append(f"Error budget: {total:.2g} % in total at room temperature.")
        notes += [str(check) for check in self.checks if not check.passed]
        return notes + [f"Note: {note}" for note in self.notes]


def kappa(
    ph3: Phono3py,
    mesh: Mesh,
    temperatures: float | Sequence[float] = 300.0,
    potential: Source | None = None,
    *,
    method: str = "rta",
    solver: str | None = None,
    options: Options = None,
    settings: Mapping[str, Any] | None = None,
    scattering: str = "fft",
    error_budget: bool = False,
    allow_imaginary: bool = False,
    progress: Progress = no_progress,
    executor: Executor | int | None = None,
) -> KappaResult:
    """Compute the thermal conductivity, with error bars if the potential has some.

    Parameters
    ----------
    ph3 : Phono3py
        It is not changed. Its Born charges, ``sigmas`` and other attributes are used.
    mesh : sequence of int or float
        Three numbers of mesh points, or one length in angstrom.
    temperatures : float or sequence of float, optional
        In K.
    potential : Potential, Training or mapping of str to Potential, optional
        What force constants are computed from. With a `Training` with members, or with
        several models by name, kappa of the (first) one gets error bars. By default,
        fc2 and fc3 of ``ph3`` are used. With a separate supercell of fc2, the forces in
        ``phonon_dataset`` are used for fc2 if there are any.
    method : str, optional
        "rta", the relaxation-time approximation, or "lbte", the direct solution.
    solver : str, optional
        Solver of force constants; by default "exact" if the potential has derivatives,
        otherwise "symfc", which uses the displacements of ``ph3``.
    options : str or mapping, optional
        Options of the solver.
    settings : mapping, optional
        Other arguments of ``Phono3py.run_thermal_conductivity``, such as
        ``{"is_isotope": True}``.
    scattering : str, optional
        "fft", by Fourier transform, or "host", by phono3py.
    error_budget : bool, optional
        Whether to estimate the errors of mesh, solver and range of fc3, too.
    allow_imaginary : bool, optional
        Whether to continue if modes are imaginary.
    progress : Progress, optional
        Reports the progress.
    executor : concurrent.futures.Executor or int, optional
        Any executor, or a number of processes.

    Returns
    -------
    KappaResult
        ``kappa`` in W/m-K, ``error()``, ``plot()``, ``budget``.

    Raises
    ------
    ParameterError
        If a setting is unknown or out of range.
    SolverError
        If there are no force constants, or they are not determined.
    PhysicsError
        If a mode is imaginary, or fc3 vanishes.
    DatasetError, PotentialError, PluginFailed, WorkerError
        See `evaluate` and `solve_force_constants`.

    Examples
    --------
    ::

        training = mlp.train(ph3, members=16)
        result = mlp.kappa(ph3, [11, 11, 11], [200, 300, 400], training)
        print(result.kappa[:, 0], result.error()[:, 0])
        result.plot().savefig("kappa.png")
    """
    workflow.check_arguments(
        ph3=ph3,
        solver="" if solver is None else solver,
        options=options,
        settings=settings,
        error_budget=error_budget,
        allow_imaginary=allow_imaginary,
        progress=progress,
    )
    requested = TransportSettings.of(mesh, temperatures, method, settings)
    crystal = requested.crystal(ph3)
    ensemble = _ensemble(potential)
    request = None
    if potential is not None:
        derivatives = getattr(_first(potential), "force_constants", None)
        request = request_of_potential(
            ph3, solver, options, has_derivatives=callable(derivatives)
        )
    else:
        unused = {"solver": solver, "options": options, "error_budget": error_budget}
        for name, value in unused.items():
            if value:
                raise ParameterError(
                    f"{name} = {value!r}: is for force constants of a potential; "
                    "expected none with fc2 and fc3 of ph3. Give a potential, too, or "
                    "leave it out."
                )
    with (
        distribution_of(executor) as distribution,
        scattering_by(scattering, distribution),
    ):
        run = _Run(crystal, requested, request, progress, distribution)
        return run.result(potential, ensemble, error_budget, allow_imaginary)


def _first(source: Source) -> Potential:
    """Return the potential of which kappa is computed."""
    if isinstance(source, Mapping):
        return potential_of(next(iter(source.values()), None))  # type: ignore[arg-type]
    return potential_of(source)


def _ensemble(source: Source | None) -> workflow.EnsembleOfPotentials | None:
    """Return the potentials from which the error bars are."""
    if isinstance(source, Mapping):
        models = {name: potential_of(model) for name, model in source.items()}
        return workflow.EnsembleOfPotentials.of_models(models)
    if isinstance(source, Training) and source.fit is not None:
        return workflow.EnsembleOfPotentials.of_fit(source.fit)
    return None


@dataclass(eq=False)
class _Run:
    """The crystal and the settings of one calculation."""

    crystal: Phono3py
    settings: TransportSettings
    request: workflow.ForceConstantsRequest | None
    progress: Progress
    distribution: Distribution
    prepared: workflow.ForceConstantsOf | None = None

    def result(
        self,
        source: Source | None,
        ensemble: workflow.EnsembleOfPotentials | None,
        error_budget: bool,
        allow_imaginary: bool,
    ) -> KappaResult:
        """Return kappa, and the errors that were requested."""
        from phono3py_mlp_plugin.host.transport import kappa_of

        crystal = self.crystal
        potential = None if source is None else _first(source)
        found = self._force_constants(potential)
        checks = self._checks(found, allow_imaginary)
        transport = self.settings.transport(crystal)
        with self.progress("Kappa", None):
            values = transport.kappa(found)
        modes = _modes(crystal, kappa_of(crystal))
        result = None
        bars: list[list[ErrorBar]] = []
        if ensemble is not None:
            result = self._members(ensemble, transport, found)
            bars = result.error_bars(transport.temperatures.tolist())
        budget = None
        if error_budget and potential is not None:
            budget = self._budget(potential, found, values, bars, transport, ensemble)
        return KappaResult(
            workflow.chemical_formula(crystal.primitive.symbols),
            len(crystal.supercell),
            modes.mesh,
            transport.temperatures,
            values,
            found,
            modes,
            bars,
            result,
            budget,
            checks,
            self._notes(source, result, bars),
        )

    def _force_constants(self, potential: Potential | None) -> ForceConstants:
        """Return force constants of a potential, or those of the crystal."""
        crystal = self.crystal
        if potential is not None:
            solver = self._solver(type(potential).__name__)
            (found,) = solver.solve([potential], self.progress, self.distribution)
            return {order: array.copy() for order, array in found.items()}
        for name, array in (("fc2", crystal.fc2), ("fc3", crystal.fc3)):
            if array is None:
                raise SolverError(
                    f"{name}: is missing; expected force constants in ph3. Compute "
                    "them by solve_force_constants, or give a potential."
                )
        return {2: crystal.fc2, 3: crystal.fc3}

    def _solver(self, name: str) -> workflow.ForceConstantsOf:
        """Return the solver of all potentials, which is prepared once."""
        assert self.request is not None
        if self.prepared is None:
            self.prepared = workflow.ForceConstantsOf(
                self.crystal,
                self.request,
                name,
                keep_fc2=workflow.fc2_dataset(self.crystal) is not None,
                progress=self.progress,
            )
        return self.prepared

    def _checks(
        self, found: ForceConstants, allow_imaginary: bool
    ) -> list[workflow.Check]:
        """Return the checks of phonons and force constants."""
        from phono3py_mlp_plugin.host.run_checks import physics_checks

        crystal = self.crystal
        crystal.fc2, crystal.fc3 = found[2], found[3]
        set_up_interaction(crystal)
        return physics_checks(crystal, None, None, allow_imaginary=allow_imaginary)

    def _members(
        self,
        ensemble: workflow.EnsembleOfPotentials,
        transport: RunTransport,
        known: ForceConstants,
    ) -> EnsembleResult:
        """Return kappa of all potentials of an ensemble."""
        name = type(ensemble.potential).__name__
        (result,) = workflow.run_ensemble(
            self.crystal,
            ensemble,
            self._solver(name),
            transport,
            [workflow.EnsembleMeshes(None, None)],
            self.progress,
            "Kappa of the ensemble",
            self.distribution,
            known,
        )
        return result

    def _notes(
        self,
        source: Source | None,
        result: EnsembleResult | None,
        bars: list[list[ErrorBar]],
    ) -> list[str]:
        """Return what to know about Born charges, the ensemble and the model."""
        of_charges = workflow.charges_note(self.crystal)
        notes = [] if of_charges is None else [of_charges]
        if result is not None and result.n_imaginary:
            notes.append(
                f"{result.n_imaginary} of {len(result.members)} potentials have "
                "imaginary modes: the error bars are unreliable."
            )
        if isinstance(source, Training) and source.fit is not None and any(bars):
            at_room = bars[room_temperature(self.settings.temperatures)]
            misfit = workflow.misfit_of(source.fit, source.dataset, at_room)
            notes += [] if misfit is None else [str(misfit)]
        return notes

    def _budget(
        self,
        potential: Potential,
        found: ForceConstants,
        values: FloatArray,
        bars: list[list[ErrorBar]],
        transport: RunTransport,
        ensemble: workflow.EnsembleOfPotentials | None,
    ) -> ErrorBudget:
        """Return the error budget of kappa."""
        assert self.request is not None
        fit = workflow.KappaOfFit(
            potential,
            found,
            values,
            None,
            bars,
            of_models=bool(ensemble and ensemble.names),
            unknown="the potential has no members",
        )
        return workflow.error_budget(
            self.settings.crystal(self.crystal),
            fit,
            self.request,
            transport,
            _TOLERANCE,
            self.progress,
        )


def _modes(crystal: Phono3py, values: FloatArray) -> KappaFile:
    """Return the contributions of modes, if phono3py gives them."""
    try:
        return kappa_of_calculator(crystal.thermal_conductivity)
    except (AttributeError, KeyError, ValueError):
        calculator: Any = crystal.thermal_conductivity
        none = np.zeros((0, 0))
        return KappaFile(
            "",
            tuple(int(n) for n in crystal.mesh_numbers),
            np.array(calculator.temperatures, dtype="double"),
            values,
            np.zeros(0),
            none,
            None,
            None,
        )
