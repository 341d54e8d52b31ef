"""Convergence of kappa with the number of supercells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin import convergence, workflow
from phono3py_mlp_plugin.api.force_constants import request_of_potential
from phono3py_mlp_plugin.api.results import Result, Row, plain
from phono3py_mlp_plugin.api.training import Options, training_data
from phono3py_mlp_plugin.api.transport import Mesh, TransportSettings, scattering_by
from phono3py_mlp_plugin.contracts import Dataset, Ensemble, Progress, no_progress
from phono3py_mlp_plugin.convergence import (
    LastStudy,
    Point,
    Study,
    StudyFile,
    Variant,
    Verdict,
    check_study_file,
)
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.parallel import distribution_of
from phono3py_mlp_plugin.plotting import DIRECTIONS, Style
from phono3py_mlp_plugin.ranges import POSITIVE, check_range
from phono3py_mlp_plugin.workflow import DisplacementOptions

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from phono3py import Phono3py


@dataclass(frozen=True, eq=False, repr=False)
class ConvergenceResult(Result):
    """Kappa as a function of the number of supercells, and whether it is converged.

    Attributes
    ----------
    points : list of Point
        Kappa with its error bars, of each variant, order and number of supercells.
    verdicts : dict
        A `Verdict` for each variant and order by name; the name is empty if there is
        one alone.
    tolerance : float
        Relative change of kappa that was accepted.
    formula : str
        Chemical formula of the crystal.
    """

    points: list[Point]
    verdicts: dict[str, Verdict]
    tolerance: float
    formula: str

    @property
    def verdict(self) -> Verdict:
        """The verdict, the first one of several."""
        return next(iter(self.verdicts.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return points and verdicts with the fields of `Point` and `Verdict`."""
        return {
            "tolerance": self.tolerance,
            "verdicts": {n or "kappa": plain(v) for n, v in self.verdicts.items()},
            "points": plain(self.points),
        }

    def plot(self, index: int = 0) -> Figure:
        """Draw kappa and errors of forces against the number of supercells.

        Parameters
        ----------
        index : int, optional
            Index of the temperature.

        Raises
        ------
        ParameterError
            If there is no such temperature.
        """
        n = len(self.points[0].temperatures)
        if index not in range(-n, n):
            raise ParameterError(
                f"index = {index!r}; expected the index of one of {n} temperatures. "
                "Leave it out for the first."
            )
        with Style().applied():
            return convergence.draw_convergence(
                self.points, index, formula=self.formula, tolerance=self.tolerance
            )

    def _title(self) -> str:
        temperature = self.points[0].temperatures[0]
        return f"Kappa at {temperature:g} K in W/m-K against the number of supercells"

    def _table(self) -> Sequence[Row]:
        errors = ("test (meV/angstrom)", "left out (meV/angstrom)")
        rows: list[Row] = [("supercells", *DIRECTIONS, *errors)]
        for point in self.points:
            order = f"order {point.order}" if point.order else ""
            name = ", ".join(x for x in (point.label, order, str(point.size)) if x)
            kappa = [
                f"{value:.3f} +- {point.error_bar(0, c).half_width(value):.3f}"
                for c, value in enumerate(point.diagonal())
            ]
            of_forces = (1000 * point.rmse_test, 1000 * point.left_out)
            rows.append((name, *kappa, *(f"{x:.3f}" for x in of_forces)))
        return rows

    def _notes(self) -> Sequence[str]:
        notes = []
        for name, verdict in self.verdicts.items():
            head = f"{name}: " if name else ""
            state = "converged" if verdict.converged else "not converged"
            needed = ""
            if verdict.needed is not None:
                needed = f" About {verdict.needed} are expected to be needed."
            notes.append(
                f"{head}{state} with {verdict.size} supercells: error bar "
                f"{100 * verdict.error:.1f} %; tolerance {100 * self.tolerance:g} %."
                f"{needed}"
            )
            if verdict.misfit is not None:
                notes.append(f"Note: {head}{verdict.misfit}")
        return [*notes, *convergence.compare_models(self.points)]


def converge(
    ph3: Phono3py,
    mesh: Mesh,
    temperatures: float | Sequence[float] = 300.0,
    calculator: str = "pypolymlp",
    options: Options = None,
    *,
    sizes: Sequence[int] | None = None,
    orders: int = 1,
    over: Mapping[str, Sequence[Any]] | None = None,
    members: int = Ensemble.members,
    ensemble: str = Ensemble.method,
    tolerance: float = Study.tolerance,
    error_budget: bool = True,
    method: str = "rta",
    solver: str | None = None,
    solver_options: Options = None,
    displacements: DisplacementOptions | None = None,
    settings: Mapping[str, Any] | None = None,
    scattering: str = "fft",
    allow_poor_fit: bool = False,
    allow_imaginary: bool = False,
    file: str | Path | None = None,
    progress: Progress = no_progress,
    executor: Executor | int | None = None,
) -> ConvergenceResult:
    """Train on increasing parts of the dataset, and return whether kappa is converged.

    The largest number of supercells is not reached if kappa is converged before.

    Parameters
    ----------
    ph3 : Phono3py
        It is not changed. Its ``mlp_dataset`` is used, or its ``dataset`` if that is
        not set. With a separate supercell of fc2, the forces in ``phonon_dataset`` are
        used for fc2 if there are any.
    mesh, temperatures, method, settings, scattering
        See `kappa`.
    calculator : str, optional
        Name of a force calculator with error bars.
    options : str or mapping, optional
        Parameters of the model and ``ntest``, as in ``--mlp-params``.
    sizes : sequence of int, optional
        Numbers of training supercells; by default 5, 10, 20, ... up to all.
    orders : int, optional
        Number of orders of the supercells: that of the dataset, then random ones.
    over : mapping of str to sequence, optional
        What is varied, too, with its values: "mesh", "amplitude", "cutoff-fc3" or a
        parameter of the potential, such as ``{"cutoff": [5.0, 6.0]}``.
    members : int, optional
        Number of potentials around each fit.
    ensemble : str, optional
        How they are drawn, "jackknife" or "posterior".
    tolerance : float, optional
        Relative change of kappa that is accepted.
    error_budget : bool, optional
        Whether the last size gets an error budget.
    solver : str, optional
        Solver of force constants; by default "exact" if the potentials have
        derivatives, otherwise "symfc".
    solver_options : str or mapping, optional
        Options of the solver.
    displacements : DisplacementOptions, optional
        Displacements for solvers that do not take potentials; by default random ones
        of 0.01 angstrom.
    allow_poor_fit, allow_imaginary : bool, optional
        Whether to continue if the largest size has large errors or imaginary modes.
    file : str or Path, optional
        A JSON file in which finished points are kept, and from which they are reused.
    progress : Progress, optional
        Reports the progress.
    executor : concurrent.futures.Executor or int, optional
        Any executor, or a number of processes.

    Returns
    -------
    ConvergenceResult
        ``points``, ``verdict`` and ``plot()``.

    Raises
    ------
    DatasetError
        If there are no forces.
    ParameterError
        If an option is unknown or out of range, or there are too few supercells.
    PhysicsError
        If the error of the largest size is as large as the forces, or a mode is
        imaginary.
    SolverError, PluginFailed, WorkerError
        See `solve_force_constants` and `evaluate`.
    """
    workflow.check_arguments(
        ph3=ph3,
        calculator=calculator,
        options=options,
        sizes=sizes,
        orders=orders,
        over=over,
        members=members,
        error_budget=error_budget,
        solver="" if solver is None else solver,
        solver_options=solver_options,
        displacements=displacements,
        settings=settings,
        allow_poor_fit=allow_poor_fit,
        allow_imaginary=allow_imaginary,
        file=file,
        progress=progress,
    )
    transport = TransportSettings.of(mesh, temperatures, method, settings)
    if not all(kelvin > 0 for kelvin in transport.temperatures):
        raise ParameterError(
            f"temperatures = {transport.temperatures}; expected positive ones. Leave "
            "out the others."
        )
    workflow.check_born_charges(ph3)
    dataset = training_data(ph3)
    workflow.check_dataset(dataset)
    spec = workflow.request_calculator(calculator, options)
    request = request_of_potential(
        ph3, solver, solver_options, has_derivatives=spec.calculator.derivatives
    )
    variant = Variant("", spec, displacements or DisplacementOptions(), request)
    study = Study(
        _variants(variant, over or {}, options),
        **_sizes(spec, len(dataset), sizes, with_all=not over),
        orders=_at_least("orders", orders, 1),
        ensemble=_ensemble(members, ensemble),
        tolerance=tolerance,
        allow_poor_fit=allow_poor_fit,
        allow_imaginary=allow_imaginary,
        with_budget=error_budget,
    )
    check_range("tolerance", tolerance, POSITIVE)
    place = scattering, executor
    points = _points(ph3, dataset, study, transport, file, place, progress)
    return ConvergenceResult(
        points,
        convergence.judge_all(points, study),
        tolerance,
        workflow.chemical_formula(ph3.primitive.symbols),
    )


def _points(
    ph3: Phono3py,
    dataset: Dataset,
    study: Study,
    settings: TransportSettings,
    file: str | Path | None,
    place: tuple[str, Executor | int | None],
    progress: Progress,
) -> list[Point]:
    """Compute the points of a study, and keep them in a file if there is one."""
    if file is not None:
        check_study_file(Path(file))
    kept = None if file is None else StudyFile(Path(file))
    crystal = settings.crystal(ph3)
    scattering, executor = place
    with (
        distribution_of(executor) as distribution,
        scattering_by(scattering, distribution),
    ):
        points = list(
            convergence.converge(
                crystal,
                dataset,
                study,
                settings.transport(crystal),
                {} if kept is None else kept.known,
                _ignore if kept is None else kept.keep,
                progress,
                distribution,
            )
        )
    if kept is not None:
        last = LastStudy(study.tolerance, [point.key for point in points])
        kept.finish(convergence.judge_all(points, study), last)
    return points


def _variants(
    variant: Variant, over: Mapping[str, Sequence[Any]], options: Options
) -> tuple[Variant, ...]:
    """Return a variant for each value of what is varied."""
    if not over:
        return (variant,)
    ((name, values), *others) = over.items()
    listed = _listed(values)
    if others or len(listed) < 2:
        raise ParameterError(
            f"over = {dict(over)}; expected one name with two values or more."
        )
    given = dict(options) if isinstance(options, Mapping) else options
    return convergence.variants_over(variant, name, values, given)


def _listed(values: Any) -> list[Any]:
    """Return values as a list, which is empty for a single one."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        return []
    return list(values)


def _sizes(
    spec: workflow.CalculatorSpec,
    n: int,
    sizes: Sequence[int] | None,
    *,
    with_all: bool,
) -> dict[str, Any]:
    """Return the sizes of training sets and that of the test set."""
    split = spec.split
    if split.ntrain is not None or split.split != "head-tail":
        raise ParameterError(
            "options: ntrain and split are what converge varies. Use sizes and orders."
        )
    ntest = split.ntest or convergence.default_test_size(n)
    chosen = convergence.default_sizes(n - ntest) if sizes is None else tuple(sizes)
    return {
        "sizes": chosen if with_all or sizes is not None else chosen[-1:],
        "ntest": ntest,
    }


def _ensemble(members: int, method: str) -> Ensemble:
    if method not in ("jackknife", "posterior"):
        raise ParameterError(
            f"ensemble = {method!r}; expected 'jackknife' or 'posterior'. Choose one."
        )
    return Ensemble(_at_least("members", members, 2), method)  # type: ignore[arg-type]


def _at_least(name: str, number: int, least: int) -> int:
    if number < least:
        raise ParameterError(f"{name} = {number}; expected {least} or more.")
    return number


def _ignore(point: Point) -> None:
    """Do not keep a point."""
