"""Kappa against what it was computed with, each point with its error bar."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import (
    Dataset,
    Ensemble,
    FloatArray,
    ForceConstants,
    NestedFit,
    Potential,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.files import fingerprint
from phono3py_mlp_plugin.uncertainty import (
    ErrorBar,
    LearningCurve,
    error_bar,
    fall_of_scatter,
    norm_scatter,
)
from phono3py_mlp_plugin.workflow.bands import PhononsAt, phonons_with_errors
from phono3py_mlp_plugin.workflow.conductivity import (
    DisplacementOptions,
    ForceConstantsOf,
    TransportOptions,
    thermal_conductivity,
)
from phono3py_mlp_plugin.workflow.dataset import read_dataset
from phono3py_mlp_plugin.workflow.evaluate import evaluate, root_mean_square_errors
from phono3py_mlp_plugin.workflow.physics import check_fit
from phono3py_mlp_plugin.workflow.request import Request, SolverRequest
from phono3py_mlp_plugin.workflow.train import deciding_options

if TYPE_CHECKING:
    from phono3py import Phono3py


# Times the supercells there are up to which a number to come is told.
_FAR = 50

# Standard deviations by which two models may differ.
_DIFFERENT = 2.0


@dataclass(frozen=True)
class Variant:
    """One way to compute kappa; what is varied besides the supercells.

    Attributes
    ----------
    label : str
        "mesh = 9", or nothing.
    request : Request
        Force calculator and its parameters.
    displacements : DisplacementOptions
    solver : SolverRequest
    transport : TransportOptions
    ensemble_transport : TransportOptions
        What potentials of the ensemble are run with.
    """

    label: str
    request: Request
    displacements: DisplacementOptions
    solver: SolverRequest
    transport: TransportOptions
    ensemble_transport: TransportOptions


@dataclass(frozen=True)
class Study:
    """What is to be found out.

    Attributes
    ----------
    variants : tuple of Variant
    sizes : tuple of int
        Numbers of training supercells, ascending.
    ntest : int
        Number of test supercells: the last ones of the dataset.
    orders : int
        Number of orders of the training supercells: that of the dataset, then random
        ones.
    ensemble : Ensemble
    tolerance : float
        Relative change of kappa that is accepted.
    agree : int
        Number of sizes in a row that must agree.
    allow_poor_fit : bool
        Go on although the error of the largest size is of the size of the forces.
    """

    variants: tuple[Variant, ...]
    sizes: tuple[int, ...]
    ntest: int
    orders: int = 1
    ensemble: Ensemble = field(default_factory=Ensemble)
    tolerance: float = 0.02
    agree: int = 2
    allow_poor_fit: bool = False

    def __post_init__(self) -> None:
        if list(self.sizes) != sorted(set(self.sizes)) or self.sizes[0] < 2:
            raise ParameterError(
                f"sizes = {' '.join(map(str, self.sizes))}; expected ascending numbers "
                "of training supercells, from 2."
            )


@dataclass(frozen=True)
class Point:
    """Kappa of one variant, order and number of supercells.

    Attributes
    ----------
    key : str
        Fingerprint of all that decides it.
    label : str
    order : int
        0 is that of the dataset.
    size : int
    temperatures : list of float
        In K.
    kappa : list
        In W/m-K, ``[temperature][xx yy zz yz xz xy]``.
    members, alternatives : list
        Kappa of the ensemble and with other penalties, ``[k][temperature][component]``.
    reference : list
        Kappa of the fit with the transport of the ensemble.
    rmse_test, left_out : float
        Errors of forces (eV/angstrom): on the test set, on supercells left out.
    alpha : float or None
    n_features : int
    fc2_error, fc3_error : float
        Scatter of force constants over the ensemble, relative to their norm.
    phonons : list of PhononsAt
        At high-symmetry points.
    fall : float
        Of the scatter of kappa over the ensemble, up to this size: see `ErrorBar`.
    """

    key: str
    label: str
    order: int
    size: int
    temperatures: list[float]
    kappa: list[list[float]]
    members: list[list[list[float]]]
    alternatives: list[list[list[float]]]
    reference: list[list[float]]
    rmse_test: float
    left_out: float
    alpha: float | None
    n_features: int
    fc2_error: float
    fc3_error: float
    phonons: list[PhononsAt]
    fall: float = 0.5

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Point | None:
        """Return the point of ``dataclasses.asdict``; None where it is another's."""
        try:
            phonons = [PhononsAt(**one) for one in record["phonons"]]
            point = cls(**{**record, "phonons": phonons})
            # Those of a potential whose kappa failed are infinite, and right.
            point.largest_error()
            return point if point._is_whole() else None
        except (KeyError, TypeError, ValueError, IndexError):
            return None

    def _is_whole(self) -> bool:
        """Return whether its numbers are numbers, which JSON does not say."""
        numbers = [self.order, self.size, self.rmse_test, self.left_out, self.fall]
        numbers += [self.fc2_error, self.fc3_error, self.alpha or 0.0, self.n_features]
        for phonon in self.phonons:
            numbers += [*phonon.frequencies, *phonon.errors]
        shape = np.array(self.kappa, dtype="double").shape
        return (
            shape == (len(self.temperatures), 6)
            and np.array(self.reference, dtype="double").shape == shape
            and bool(np.isfinite([*numbers, *self.temperatures]).all())
            and isinstance(self.label, str)
        )

    def error_bar(self, temperature: int = 0, component: int = 0) -> ErrorBar:
        """Return the error bar of a component of kappa at a temperature."""
        members, alternatives = (
            np.array(runs, dtype="double").reshape(-1, *np.shape(self.reference))[
                :, temperature, component
            ]
            for runs in (self.members, self.alternatives)
        )
        return error_bar(
            self.reference[temperature][component],
            members,
            alternatives,
            self.size,
            self.fall,
        )

    def scatter(self) -> float:
        """Return the relative scatter of the draws' kappa, the mean of directions."""
        return float(np.mean([self.error_bar(0, c).sampling for c in range(3)]))

    def diagonal(self, temperature: int = 0) -> FloatArray:
        """Return kappa in the three directions."""
        return np.array(self.kappa[temperature][:3])

    def largest_error(self) -> float:
        """Return the largest relative error (68 %) of directions and temperatures."""
        return max(
            self.error_bar(t, c).relative()
            for t in range(len(self.kappa))
            for c in range(3)
        )


@dataclass(frozen=True)
class Verdict:
    """Whether kappa is converged with the number of supercells.

    Attributes
    ----------
    converged : bool
    size : int
        Number of supercells that the verdict is about.
    change : float or None
        Largest relative change over the sizes that must agree.
    error : float
        Relative error bar.
    needed : int or None
        Number of supercells expected to be needed, where not converged; None where
        these do not tell.
    """

    converged: bool
    size: int
    change: float | None
    error: float
    needed: int | None = None


def judge(points: Sequence[Point], tolerance: float, agree: int) -> Verdict:
    """Return the verdict on points of ascending sizes.

    Converged: the last ``agree`` sizes differ by less than the tolerance in every
    direction and temperature, and the error bar of the last is smaller than it.
    """
    last = points[-1]
    error = last.largest_error()
    change = None
    if len(points) >= agree > 1:
        some = np.array([np.array(p.kappa)[:, :3] for p in points[-agree:]])
        change = float((np.abs(some / some[-1] - 1)).max())
    if change is not None and change < tolerance and error < tolerance:
        return Verdict(True, last.size, change, error)
    curve = LearningCurve.fit(
        [p.size for p in points], [p.largest_error() for p in points]
    )
    needed = None
    if curve is not None and curve.needed(tolerance) <= _FAR * last.size:
        needed = max(curve.needed(tolerance), last.size + 1)
    return Verdict(False, last.size, change, error, needed)


def compare_models(points: Sequence[Point]) -> list[str]:
    """Return notes where models differ by more than their error bars.

    No error bar made within one model holds the error of the model itself.

    Parameters
    ----------
    points : sequence of Point
        Of the largest size of each variant and order.
    """
    last: dict[tuple[int, str], Point] = {}
    for point in points:
        last[point.order, point.label] = point
    notes = []
    for (order, label), one in last.items():
        for (other_order, other_label), other in last.items():
            if order != other_order or label >= other_label or one.size != other.size:
                continue
            ratio = np.log(one.diagonal() / other.diagonal())
            errors = [
                [point.error_bar(0, c).total for c in range(3)]
                for point in (one, other)
            ]
            scatter = np.linalg.norm(errors, axis=0)
            worst = int(np.argmax(np.abs(ratio) / scatter))
            if abs(ratio[worst]) > _DIFFERENT * scatter[worst]:
                notes.append(
                    f"{label} and {other_label} differ by "
                    f"{100 * abs(ratio[worst]):.1f} % with {one.size} supercells, "
                    f"{abs(ratio[worst]) / scatter[worst]:.1f} standard deviations: "
                    "the error bars do not hold what the model leaves out."
                )
    return notes


def converge(
    crystal: Phono3py,
    dataset: Dataset,
    study: Study,
    known: Mapping[str, Point],
    keep: Callable[[Point], None],
    progress: Progress = no_progress,
) -> Iterator[Point]:
    """Yield points, those known already at once.

    Parameters
    ----------
    crystal : Phono3py
        Cells, symmetry and Born charges; its dataset and force constants are replaced.
    dataset : Dataset
    study : Study
    known : mapping
        Points of an earlier run by key.
    keep : callable
        Told each point that is new.
    progress : Progress

    Raises
    ------
    ParameterError
        The calculator gives no error bars, or there are too few supercells.
    """
    check_study(study, len(dataset))
    run = _Run(crystal, dataset, study, known, keep, progress)
    pool = np.arange(len(dataset) - study.ntest)
    for variants in _by_training(study.variants):
        for order in range(study.orders):
            rows = pool
            if order:
                rows = np.random.default_rng(order).permutation(pool)
            yield from run.order(variants, order, rows)


def _by_training(variants: Sequence[Variant]) -> list[list[Variant]]:
    """Return variants that share a training together."""
    groups: dict[int, list[Variant]] = {}
    for variant in variants:
        groups.setdefault(id(variant.request), []).append(variant)
    return list(groups.values())


class _Run:
    """What all points of a study share."""

    def __init__(
        self,
        crystal: Phono3py,
        dataset: Dataset,
        study: Study,
        known: Mapping[str, Point],
        keep: Callable[[Point], None],
        progress: Progress,
    ) -> None:
        self._crystal = crystal
        self._dataset = dataset
        self._study = study
        self._known = known
        self._keep = keep
        self._progress = progress
        self._test = np.arange(len(dataset) - study.ntest, len(dataset))
        self._solvers: dict[Any, ForceConstantsOf] = {}

    def order(
        self, variants: Sequence[Variant], order: int, rows: NDArray[np.intp]
    ) -> Iterator[Point]:
        """Yield the points of one order, size by size, until they agree."""
        study = self._study
        keys = {
            (size, variant.label): self._key(variant, rows[:size])
            for size in study.sizes
            for variant in variants
        }
        # Of all sizes, even where some are known: sums over supercells are split at
        # them, and other rounding would show.
        fits = self._fits(variants[0].request, rows)
        done: dict[str, list[Point]] = {variant.label: [] for variant in variants}
        for size in study.sizes:
            if any(
                keys[size, variant.label] not in self._known for variant in variants
            ):
                fit = next(fit for fit in fits if fit.size == size)
            found: dict[Any, list[ForceConstants]] = {}
            for variant in variants:
                key = keys[size, variant.label]
                known = point = self._known.get(key)
                if point is None:
                    point = self._point(variant, fit, order, key, found)
                point = self._with_fall(point, done[variant.label])
                if point != known:
                    self._keep(point)
                done[variant.label].append(point)
                yield point
                if size == study.sizes[-1]:
                    check_fit(
                        point.rmse_test,
                        self._dataset.forces[self._test],
                        allow=study.allow_poor_fit,
                        remedy="--allow-poor-fit goes on.",
                    )
            if all(
                judge(points, study.tolerance, study.agree).converged
                for points in done.values()
            ):
                return

    def _with_fall(self, point: Point, smaller: Sequence[Point]) -> Point:
        if self._study.ensemble.method != "jackknife":
            return point
        points = [*smaller, point]
        sizes = [p.size for p in points]
        return replace(
            point, fall=fall_of_scatter(sizes, [p.scatter() for p in points])
        )

    def _fits(self, request: Request, rows: NDArray[np.intp]) -> Iterator[NestedFit]:
        calculator = request.calculator
        if calculator.train_nested is None:
            raise ParameterError(
                f"force calculator {calculator.name!r} gives no error bars: it has no "
                "nested training. Use pypolymlp."
            )
        return calculator.train_nested(
            self._dataset.select(rows[: max(self._study.sizes)]),
            self._dataset.select(self._test),
            self._study.sizes,
            request.options,
            self._study.ensemble,
            self._progress,
        )

    def _point(
        self,
        variant: Variant,
        fit: NestedFit,
        order: int,
        key: str,
        found: dict[Any, list[ForceConstants]],
    ) -> Point:
        potential = fit.trained.potential
        potentials = [potential, *fit.members, *fit.alternatives]
        own, *others = self._force_constants(variant, potentials, found)
        task = f"Kappa of {fit.size} supercells"
        if variant.label:
            task += f", {variant.label}"
        with self._progress(task, len(potentials)) as advance:
            kappa = thermal_conductivity(self._crystal, own, variant.transport)
            advance(1)
            reference = kappa
            if variant.ensemble_transport != variant.transport and others:
                reference = thermal_conductivity(
                    self._crystal, own, variant.ensemble_transport
                )
            runs = []
            for fcs in others:
                run = thermal_conductivity(
                    self._crystal, fcs, variant.ensemble_transport
                )
                runs.append(run.tolist())
                advance(1)
        name = variant.request.calculator.name
        test = self._dataset.select(self._test)
        rmse = root_mean_square_errors(
            test, evaluate(name, potential, test.supercells())
        )
        assert rmse["force"] is not None
        n_members = len(fit.members)
        fc2 = [fcs[2] for fcs in others]
        return Point(
            key=key,
            label=variant.label,
            order=order,
            size=fit.size,
            temperatures=list(variant.transport.temperatures),
            kappa=kappa.tolist(),
            members=runs[:n_members],
            alternatives=runs[n_members:],
            reference=reference.tolist(),
            rmse_test=rmse["force"],
            left_out=fit.left_out,
            alpha=fit.trained.alpha,
            n_features=fit.trained.n_features,
            fc2_error=norm_scatter(own[2], fc2[:n_members]),
            fc3_error=norm_scatter(own[3], [fcs[3] for fcs in others[:n_members]]),
            phonons=phonons_with_errors(
                self._crystal, own[2], fc2[:n_members], fc2[n_members:], fit.size
            ),
        )

    def _force_constants(
        self,
        variant: Variant,
        potentials: Sequence[Potential],
        found: dict[Any, list[ForceConstants]],
    ) -> list[ForceConstants]:
        """Return force constants, those that another variant has had from ``found``."""
        solver = variant.solver
        key = (variant.displacements, solver.solver.name, tuple(solver.cutoff.items()))
        if key not in self._solvers:
            self._solvers[key] = ForceConstantsOf(
                self._crystal,
                variant.displacements,
                solver,
                variant.request.calculator.name,
            )
        if key not in found:
            found[key] = list(self._solvers[key].solve(potentials))
        return found[key]

    def _key(self, variant: Variant, training: NDArray[np.intp]) -> str:
        """Return the fingerprint of all that decides a point."""
        crystal, dataset = self._crystal, self._dataset
        nac = crystal.nac_params
        own_fc2 = crystal.phonon_supercell_matrix
        return fingerprint(
            {
                "calculator": variant.request.calculator.name,
                "options": deciding_options(variant.request),
                "displacements": variant.displacements,
                "solver": [variant.solver.solver.name, variant.solver.options],
                "cutoff": dict(variant.solver.cutoff),
                "transport": [variant.transport, variant.ensemble_transport],
                "ensemble": self._study.ensemble,
                "lattice": dataset.supercell.cell,
                "positions": dataset.supercell.scaled_positions,
                "symbols": list(dataset.supercell.symbols),
                "primitive": crystal.primitive_matrix,
                "born": None if nac is None else [nac["born"], nac["dielectric"]],
                "phonon_supercell": own_fc2,
                "phonon_forces": None
                if own_fc2 is None
                else _arrays(
                    read_dataset(crystal.phonon_dataset, crystal.phonon_supercell)
                ),
                "host": importlib.metadata.version("phono3py"),
                "training": [*_arrays(dataset.select(training))],
                "energies": dataset.select(training).energies,
                "test": [*_arrays(dataset.select(self._test))],
            }
        )


def check_study(study: Study, n: int) -> None:
    """Refuse more supercells than there are.

    Raises
    ------
    ParameterError
    """
    if max(study.sizes) + study.ntest > n:
        raise ParameterError(
            f"sizes up to {max(study.sizes)} and {study.ntest} for testing; the "
            f"dataset has {n} supercells. Lower one of them."
        )


def _arrays(dataset: Dataset | None) -> list[FloatArray]:
    return [] if dataset is None else [dataset.displacements, dataset.forces]


def with_value(variant: Variant, name: str, text: str) -> Variant:
    """Return the variant with another mesh, amplitude, cutoff-fc3 or parameter.

    Raises
    ------
    ParameterError
        The name or the value is none.
    """
    label = f"{name} = {text}"
    number = _number(text, label)
    if name == "mesh":
        mesh = (number,) * 3
        transport = replace(variant.transport, mesh=mesh)
        return replace(variant, label=label, transport=transport)
    if name == "amplitude":
        displacements = replace(variant.displacements, amplitude=number)
        return replace(variant, label=label, displacements=displacements)
    if name == "cutoff-fc3":
        cutoff = {**variant.solver.cutoff, 3: number}
        return replace(
            variant, label=label, solver=replace(variant.solver, cutoff=cutoff)
        )
    raise ParameterError(
        f"--over {label}: expected mesh, amplitude, cutoff-fc3 or a parameter of the "
        "potential."
    )


def _number(text: str, label: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 < value < np.inf:
        raise ParameterError(f"--over {label}: expected a positive number.")
    return value
