"""Kappa against what it was computed with, each point with its error bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import (
    Dataset,
    Ensemble,
    FloatArray,
    ForceConstants,
    NestedFit,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import ParameterError, PhysicsError
from phono3py_mlp_plugin.files import FinishedMembers, content_of, fingerprint
from phono3py_mlp_plugin.uncertainty import (
    ErrorBar,
    LearningCurve,
    error_bar,
    fall_of_scatter,
)
from phono3py_mlp_plugin.workflow.bands import PhononsAt
from phono3py_mlp_plugin.workflow.ensemble import Transport, run_ensemble
from phono3py_mlp_plugin.workflow.evaluate import evaluate, root_mean_square_errors
from phono3py_mlp_plugin.workflow.force_constants import ForceConstantsOf
from phono3py_mlp_plugin.workflow.physics import (
    IMAGINARY_REMEDY,
    check_fit,
    is_imaginary,
)
from phono3py_mlp_plugin.workflow.request import (
    CalculatorSpec,
    ForceConstantsRequest,
    describe_force_constants,
)
from phono3py_mlp_plugin.workflow.reuse import force_constants_versions
from phono3py_mlp_plugin.workflow.supercells import (
    DisplacementOptions,
    displace,
    fc2_dataset,
)
from phono3py_mlp_plugin.workflow.train import GO_ON, deciding_options

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
    request : CalculatorSpec
        Force calculator and its parameters.
    displacements : DisplacementOptions
    force_constants : ForceConstantsRequest
    mesh : tuple of float or None
        Three numbers, or one length; None: that of the run.
    """

    label: str
    request: CalculatorSpec
    displacements: DisplacementOptions
    force_constants: ForceConstantsRequest
    mesh: tuple[float, ...] | None = None


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
    ensemble_mesh : tuple of float or None
        What potentials of the ensemble are run on; None: the mesh of the run.
    allow_poor_fit : bool
        Go on although the error of the largest size is of the size of the forces.
    allow_imaginary : bool
        Go on although the largest size has imaginary modes.
    """

    variants: tuple[Variant, ...]
    sizes: tuple[int, ...]
    ntest: int
    orders: int = 1
    ensemble: Ensemble = field(default_factory=Ensemble)
    tolerance: float = 0.02
    agree: int = 2
    ensemble_mesh: tuple[float, ...] | None = None
    allow_poor_fit: bool = False
    allow_imaginary: bool = False

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
    n_imaginary : int
        Number of potentials of the ensemble with imaginary modes at these points.
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
    n_imaginary: int = 0

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
            and len(self.phonons) > 0
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

    def imaginary_mode(self) -> str | None:
        """Return the lowest mode at the high-symmetry points where it is imaginary."""
        # Not Python's min, which may pass over what is not a number.
        lowest = np.array([point.frequencies for point in self.phonons]).min(axis=1)
        place = int(lowest.argmin())
        if not is_imaginary(lowest[place]):
            return None
        return f"{lowest[place]:.3f} THz at {self.phonons[place].label}"

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
    imaginary : str or None
        The lowest mode of the last size, where it is imaginary.
    """

    converged: bool
    size: int
    change: float | None
    error: float
    needed: int | None = None
    imaginary: str | None = None


def judge(points: Sequence[Point], tolerance: float, agree: int) -> Verdict:
    """Return the verdict on points of ascending sizes.

    Converged: the last ``agree`` sizes differ by less than the tolerance in every
    direction and temperature, the error bar of the last is smaller than it, and none
    of its modes is imaginary.
    """
    last = points[-1]
    error = last.largest_error()
    imaginary = last.imaginary_mode()
    change = None
    if len(points) >= agree > 1:
        some = np.array([np.array(p.kappa)[:, :3] for p in points[-agree:]])
        change = float((np.abs(some / some[-1] - 1)).max())
    if imaginary is not None:
        return Verdict(False, last.size, change, error, imaginary=imaginary)
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
    transport: Transport,
    known: Mapping[str, Point],
    keep: Callable[[Point], None],
    progress: Progress = no_progress,
    folder: Path | None = None,
) -> Iterator[Point]:
    """Yield points, those known already at once.

    Parameters
    ----------
    crystal : Phono3py
        Cells, symmetry and Born charges; its dataset and force constants are replaced.
        With a supercell of its own for fc2, the forces in its ``phonon_dataset`` are
        used where there are any.
    dataset : Dataset
    study : Study
    transport : Transport
        Computes kappa.
    known : mapping
        Points of an earlier run by key.
    keep : callable
        Told each point that is new.
    progress : Progress
    folder : Path, optional
        Where members of the point that is being computed are kept.

    Raises
    ------
    ParameterError
        The calculator gives no error bars, or there are too few supercells.
    """
    check_study(study, len(dataset))
    run = _Run(crystal, dataset, study, transport, known, keep, progress, folder)
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
        transport: Transport,
        known: Mapping[str, Point],
        keep: Callable[[Point], None],
        progress: Progress,
        folder: Path | None,
    ) -> None:
        self._folder = folder
        self._crystal = crystal
        self._dataset = dataset
        self._study = study
        self._transport = transport
        self._known = known
        self._keep = keep
        self._progress = progress
        self._test = np.arange(len(dataset) - study.ntest, len(dataset))
        # First-principles forces of dim-fc2, before displacements replace them.
        self._data_fc2 = fc2_dataset(crystal)
        self._solvers: dict[str, ForceConstantsOf] = {}

    def order(
        self, variants: Sequence[Variant], order: int, rows: NDArray[np.intp]
    ) -> Iterator[Point]:
        """Yield the points of one order, size by size, until they agree."""
        study = self._study
        # Of all sizes, even where some are known: sums over supercells are split at
        # them, and other rounding would show.
        fits = self._fits(variants[0].request, rows)
        done: dict[str, list[Point]] = {variant.label: [] for variant in variants}
        for size in study.sizes:
            keys = {v.label: self._key(v, rows[:size]) for v in variants}
            missing = [v for v in variants if keys[v.label] not in self._known]
            new: dict[str, Point] = {}
            if missing:
                fit = next(fit for fit in fits if fit.size == size)
                new = self._points(missing, fit, order, keys)
            for variant in variants:
                known = self._known.get(keys[variant.label])
                if known is not None:
                    self._check_fit(size, known.rmse_test)
                point = new[variant.label] if known is None else known
                point = self._with_fall(point, done[variant.label])
                if point != known:
                    self._keep(point)
                kept = self._kept(keys[variant.label])
                if kept is not None:
                    kept.forget()
                done[variant.label].append(point)
                yield point
                self._check_phonons(point)
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

    def _fits(
        self, spec: CalculatorSpec, rows: NDArray[np.intp]
    ) -> Iterator[NestedFit]:
        calculator = spec.calculator
        if calculator.learning_curve is None:
            raise ParameterError(
                f"force calculator {calculator.name!r} gives no error bars: it offers "
                "no learning curve. Use pypolymlp."
            )
        return calculator.learning_curve(
            self._dataset.select(rows[: max(self._study.sizes)]),
            self._dataset.select(self._test),
            self._study.sizes,
            spec.options,
            self._study.ensemble,
            self._progress,
        )

    def _points(
        self,
        variants: Sequence[Variant],
        fit: NestedFit,
        order: int,
        keys: Mapping[str, str],
    ) -> dict[str, Point]:
        """Return the point of each variant by its label."""
        rmse = self._test_error(variants[0].request, fit)
        points = {}
        for group in _by_force_constants(variants):
            kappas = [
                _VariantKappa(
                    v, self._transport, self._study, self._kept(keys[v.label])
                )
                for v in group
            ]
            results = run_ensemble(
                self._crystal,
                fit,
                self._force_constants(group[0]),
                kappas,
                self._progress,
                f"Kappa of {fit.size} supercells",
            )
            for variant, kappa, result in zip(group, kappas, results, strict=True):
                points[variant.label] = Point(
                    key=keys[variant.label],
                    label=variant.label,
                    order=order,
                    size=fit.size,
                    temperatures=self._transport.temperatures.tolist(),
                    kappa=kappa.own.tolist(),
                    members=result.members.tolist(),
                    alternatives=result.alternatives.tolist(),
                    reference=result.reference.tolist(),
                    rmse_test=rmse,
                    left_out=fit.left_out,
                    alpha=fit.trained.alpha,
                    n_features=fit.trained.n_features,
                    fc2_error=result.fc2_error,
                    fc3_error=result.fc3_error,
                    phonons=result.phonons,
                    n_imaginary=result.n_imaginary,
                )
        return points

    def _kept(self, key: str) -> FinishedMembers | None:
        return None if self._folder is None else FinishedMembers(self._folder, key)

    def _test_error(self, spec: CalculatorSpec, fit: NestedFit) -> float:
        """Return the root mean square error of forces on the test set."""
        test = self._dataset.select(self._test)
        evaluation = evaluate(
            spec.calculator.name, fit.trained.potential, test.supercells()
        )
        error = root_mean_square_errors(test, evaluation)["force"]
        assert error is not None
        self._check_fit(fit.size, error)
        return error

    def _check_fit(self, size: int, error: float) -> None:
        """Stop where the most supercells are no fit; fewer may be too few."""
        allow = self._study.allow_poor_fit or size < max(self._study.sizes)
        forces = self._dataset.forces[self._test]
        check_fit(error, forces, allow=allow, remedy=GO_ON)

    def _check_phonons(self, point: Point) -> None:
        """Stop where modes of the most supercells are imaginary, as a run does."""
        mode = point.imaginary_mode()
        if mode is None or point.size < max(self._study.sizes):
            return
        if not self._study.allow_imaginary:
            raise PhysicsError(
                f"imaginary modes with {point.size} supercells: {mode}. "
                f"{IMAGINARY_REMEDY}"
            )

    def _force_constants(self, variant: Variant) -> ForceConstantsOf:
        """Return what gives force constants, made once for the same displacements."""
        key = _force_constants_key(variant)
        if key not in self._solvers:
            keep_fc2 = self._data_fc2 is not None
            displace(self._crystal, variant.displacements, keep_fc2=keep_fc2)
            with self._progress("Preparing the force-constants solver", None):
                self._solvers[key] = ForceConstantsOf(
                    self._crystal,
                    variant.force_constants,
                    variant.request.calculator.name,
                    keep_fc2=keep_fc2,
                )
        return self._solvers[key]

    def _key(self, variant: Variant, training: NDArray[np.intp]) -> str:
        """Return the fingerprint of all that decides a point."""
        crystal, dataset = self._crystal, self._dataset
        nac = crystal.nac_params
        return fingerprint(
            {
                "calculator": variant.request.calculator.name,
                "options": content_of(deciding_options(variant.request)),
                "force_constants": _force_constants_key(variant),
                "mesh": [variant.mesh, self._study.ensemble_mesh],
                "transport": self._transport.settings,
                "temperatures": self._transport.temperatures,
                "ensemble": self._study.ensemble,
                "lattice": dataset.supercell.cell,
                "positions": dataset.supercell.scaled_positions,
                "symbols": list(dataset.supercell.symbols),
                "masses": dataset.supercell.masses,
                "primitive": crystal.primitive_matrix,
                "nac": None if nac is None else dict(nac),
                "phonon_supercell": crystal.phonon_supercell_matrix,
                "phonon_forces": _arrays(self._data_fc2),
                "versions": force_constants_versions(
                    [variant.force_constants.of(order).solver.name for order in (2, 3)]
                ),
                "training": [*_arrays(dataset.select(training))],
                "energies": dataset.select(training).energies,
                "test": [*_arrays(dataset.select(self._test))],
            }
        )


class _VariantKappa:
    """Kappa of a variant: that of the fit on its own mesh is kept in ``own``."""

    def __init__(
        self,
        variant: Variant,
        transport: Transport,
        study: Study,
        kept: FinishedMembers | None,
    ) -> None:
        self._kept = kept
        self._mesh = variant.mesh
        self._ensemble_mesh = study.ensemble_mesh
        self._transport = transport
        self.own: FloatArray = np.zeros(0)

    def __call__(self, place: int, force_constants: ForceConstants) -> FloatArray:
        if place == 0:
            self.own = self._transport.kappa(force_constants, self._mesh)
            if self._mesh == self._ensemble_mesh:
                return self.own

        def compute() -> FloatArray:
            return self._transport.kappa(force_constants, self._ensemble_mesh)

        return (
            compute()
            if self._kept is None
            else self._kept.get_or_compute(place, compute)
        )


def _by_force_constants(variants: Sequence[Variant]) -> list[list[Variant]]:
    """Return variants that share force constants together."""
    groups: dict[str, list[Variant]] = {}
    for variant in variants:
        groups.setdefault(_force_constants_key(variant), []).append(variant)
    return list(groups.values())


def _force_constants_key(variant: Variant) -> str:
    return fingerprint(
        {
            "displacements": variant.displacements,
            "request": describe_force_constants(variant.force_constants),
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
        return replace(variant, label=label, mesh=(number,) * 3)
    if name == "amplitude":
        displacements = replace(variant.displacements, amplitude=number)
        return replace(variant, label=label, displacements=displacements)
    if name == "cutoff-fc3":
        given = variant.force_constants
        fc3 = replace(given.fc3, cutoff={**given.fc3.cutoff, 3: number})
        return replace(variant, label=label, force_constants=replace(given, fc3=fc3))
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
