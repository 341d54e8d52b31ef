"""Calculation of the points of a study of convergence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import (
    Dataset,
    FloatArray,
    NestedFit,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.convergence.point import Point
from phono3py_mlp_plugin.convergence.study import Study, Variant, check_study
from phono3py_mlp_plugin.convergence.verdict import judge
from phono3py_mlp_plugin.errors import ParameterError, PhysicsError
from phono3py_mlp_plugin.files import content_of, fingerprint
from phono3py_mlp_plugin.parallel import SERIAL, Distribution, forget_chunks
from phono3py_mlp_plugin.uncertainty import DRAWS, scatter_exponent
from phono3py_mlp_plugin.wording import counted
from phono3py_mlp_plugin.workflow import (
    CONTINUE_REMEDY,
    IMAGINARY_REMEDY,
    KAPPA,
    CalculatorSpec,
    EnsembleMeshes,
    EnsembleOfPotentials,
    ForceConstantsOf,
    KappaOfFit,
    Mesh,
    Transport,
    check_fit,
    deciding_options,
    describe_force_constants,
    displace,
    error_budget,
    evaluate,
    fc2_dataset,
    force_constants_versions,
    response_of,
    root_mean_square_errors,
    run_ensemble,
    smallest_penalty,
    structures_content,
    training_arguments,
)

if TYPE_CHECKING:
    from phono3py import Phono3py


def converge(
    crystal: Phono3py,
    dataset: Dataset,
    study: Study,
    transport: Transport,
    known: Mapping[str, Point],
    keep: Callable[[Point], None],
    progress: Progress = no_progress,
    distribution: Distribution = SERIAL,
) -> Iterator[Point]:
    """Yield the points of a study. Points of an earlier run are not computed again.

    Parameters
    ----------
    crystal : Phono3py
        Provides cells, symmetry and Born charges; its dataset and force constants are
        replaced. With dim-fc2, the forces in its ``phonon_dataset`` are used if there
        are any.
    dataset : Dataset
    study : Study
    transport : Transport
        Computes kappa.
    known : mapping
        Points of an earlier run, by key.
    keep : callable
        Called with each new point.
    progress : Progress
    distribution : Distribution
        Where kappa of single potentials is computed; those of the current point are
        kept.

    Raises
    ------
    ParameterError
        If the calculator does not provide error bars, or there are too few supercells.
    """
    check_study(study, len(dataset))
    run = _Run(crystal, dataset, study, transport, known, keep, progress, distribution)
    pool = np.arange(len(dataset) - study.ntest)
    for variants in _by_training(study.variants):
        for order in range(study.orders):
            rows = pool
            if order:
                rows = np.random.default_rng(order).permutation(pool)
            yield from run.order(variants, order, rows)
    distribution.end_part()


def _by_training(variants: Sequence[Variant]) -> list[list[Variant]]:
    """Group variants that have the same training."""
    groups: dict[int, list[Variant]] = {}
    for variant in variants:
        groups.setdefault(id(variant.request), []).append(variant)
    return list(groups.values())


@dataclass(eq=False)
class _Run:
    """Arguments of `converge`, and what all points of a study have in common."""

    crystal: Phono3py
    dataset: Dataset
    study: Study
    transport: Transport
    known: Mapping[str, Point]
    keep: Callable[[Point], None]
    progress: Progress
    distribution: Distribution

    def __post_init__(self) -> None:
        self.test = np.arange(len(self.dataset) - self.study.ntest, len(self.dataset))
        # First-principles forces of dim-fc2, before displacements replace them.
        self.data_fc2 = fc2_dataset(self.crystal)
        self.solvers: dict[str, ForceConstantsOf] = {}
        response = response_of(self.dataset)
        self.of_dataset: dict[str, Any] = {
            "rms_force": float(np.sqrt(np.mean(self.dataset.forces**2))),
            "anharmonicity": None if response is None else response.anharmonicity(),
        }

    def order(
        self, variants: Sequence[Variant], order: int, rows: NDArray[np.intp]
    ) -> Iterator[Point]:
        """Yield the points of one order, size by size, until they are converged."""
        study = self.study
        # All sizes are fitted, including those of known points, because sums over
        # supercells are split at the sizes, which affects rounding.
        fits = self._fits(variants[0].request, rows)
        done: dict[str, list[Point]] = {variant.label: [] for variant in variants}
        for size in study.sizes:
            keys = {v.label: self._key(v, rows[:size]) for v in variants}
            missing = [v for v in variants if keys[v.label] not in self.known]
            new: dict[str, Point] = {}
            fit: NestedFit | None = None
            if missing:
                fit = next(fit for fit in fits if fit.size == size)
                new = self._points(missing, fit, order, keys)
            for variant in variants:
                known = self.known.get(keys[variant.label])
                if known is not None:
                    self._check_fit(size, known.rmse_test)
                point = new[variant.label] if known is None else known
                mesh = _numbers(variant.mesh or self.transport.mesh)
                point = replace(point, mesh=mesh, **self.of_dataset)
                done[variant.label].append(
                    self._with_exponent(point, done[variant.label])
                )
            converged = all(
                judge(points, study.tolerance, study.agree).converged
                for points in done.values()
            )
            is_last = converged or size == max(study.sizes)
            if study.with_budget and order == 0 and is_last:
                without = [v for v in variants if _needs_budget(done[v.label][-1])]
                if without:
                    self.distribution.end_part()
                    fit = fit or next(fit for fit in fits if fit.size == size)
                    self._add_budgets(without, fit, done)
            for variant in variants:
                point = done[variant.label][-1]
                if point != self.known.get(point.key):
                    self._keep(point)
                yield point
                self._check_phonons(point)
            if converged:
                return

    def _keep(self, point: Point) -> None:
        """Store a point, except in one of several parts of a study."""
        if self.distribution.part is not None:
            return
        self.keep(point)
        if self.distribution.folder is not None:
            # Kappa of its members.
            forget_chunks(self.distribution.folder, KAPPA)

    def _add_budgets(
        self,
        variants: Sequence[Variant],
        fit: NestedFit,
        done: dict[str, list[Point]],
    ) -> None:
        """Add the error budget to the last point of each variant."""
        for variant in variants:
            point = done[variant.label][-1]
            potential = fit.trained.potential
            (fcs,) = self._force_constants(variant).solve([potential])
            kappa = np.array(point.kappa)
            budget = error_budget(
                self.crystal,
                KappaOfFit(potential, fcs, kappa, variant.mesh, point.error_bars()),
                variant.force_constants,
                self.transport,
                self.study.tolerance,
                self.progress,
            )
            done[variant.label][-1] = replace(point, budget=budget)

    def _with_exponent(self, point: Point, smaller: Sequence[Point]) -> Point:
        """Return the point with the exponent fitted to the scatter of all sizes."""
        if self.study.ensemble.method != "jackknife":
            return point
        points = [*smaller, point]
        sizes = [p.size for p in points]
        return replace(
            point, fall=scatter_exponent(sizes, [p.scatter() for p in points])
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
            self.dataset.select(rows[: max(self.study.sizes)]),
            self.dataset.select(self.test),
            self.study.sizes,
            spec.options,
            self.study.ensemble,
            self.progress,
            **training_arguments(calculator, self.distribution),
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
            results = run_ensemble(
                self.crystal,
                EnsembleOfPotentials.of_fit(fit),
                self._force_constants(group[0]),
                self.transport,
                [EnsembleMeshes(v.mesh, self.study.ensemble_mesh) for v in group],
                self.progress,
                f"Kappa of {counted(fit.size, 'supercell')}",
                self.distribution,
            )
            for variant, result in zip(group, results, strict=True):
                points[variant.label] = Point(
                    key=keys[variant.label],
                    label=variant.label,
                    order=order,
                    size=fit.size,
                    temperatures=self.transport.temperatures.tolist(),
                    kappa=result.of_fit.tolist(),
                    members=result.members.tolist(),
                    alternatives=result.alternatives.tolist(),
                    reference=result.reference.tolist(),
                    rmse_test=rmse,
                    left_out=fit.left_out,
                    alpha=fit.trained.alpha,
                    smallest_alpha=smallest_penalty(fit.trained.penalties),
                    n_features=fit.trained.n_features,
                    fc2_error=result.fc2_error,
                    fc3_error=result.fc3_error,
                    phonons=result.phonons,
                    n_imaginary=result.n_imaginary,
                )
        return points

    def _test_error(self, spec: CalculatorSpec, fit: NestedFit) -> float:
        """Return the root mean square error of forces on the test set."""
        test = self.dataset.select(self.test)
        evaluation = evaluate(
            spec.calculator.name,
            fit.trained.potential,
            test.supercells(),
            distribution=self.distribution.without_parts(),
        )
        error = root_mean_square_errors(test, evaluation)["force"]
        assert error is not None
        self._check_fit(fit.size, error)
        return error

    def _check_fit(self, size: int, error: float) -> None:
        """Raise if the fit to the largest size is poor; smaller ones may be."""
        allow = self.study.allow_poor_fit or size < max(self.study.sizes)
        forces = self.dataset.forces[self.test]
        check_fit(error, forces, allow=allow, remedy=CONTINUE_REMEDY)

    def _check_phonons(self, point: Point) -> None:
        """Raise if modes of the largest size are imaginary, unless that is allowed."""
        mode = point.imaginary_mode()
        if mode is None or point.size < max(self.study.sizes):
            return
        if not self.study.allow_imaginary:
            raise PhysicsError(
                f"imaginary modes with {point.size} supercells: {mode}. "
                f"{IMAGINARY_REMEDY}"
            )

    def _force_constants(self, variant: Variant) -> ForceConstantsOf:
        """Return the solver of force constants, which is prepared once."""
        key = _force_constants_key(variant)
        if key not in self.solvers:
            keep_fc2 = self.data_fc2 is not None
            if not variant.force_constants.takes_potential:
                displace(self.crystal, variant.displacements, keep_fc2=keep_fc2)
            with self.progress("Preparing the force-constants solver", None):
                self.solvers[key] = ForceConstantsOf(
                    self.crystal,
                    variant.force_constants,
                    variant.request.calculator.name,
                    keep_fc2=keep_fc2,
                    progress=self.progress,
                )
        return self.solvers[key]

    def _key(self, variant: Variant, training: NDArray[np.intp]) -> str:
        """Return the fingerprint of everything that affects a point."""
        crystal, dataset = self.crystal, self.dataset
        nac = crystal.nac_params
        return fingerprint(
            {
                "calculator": variant.request.calculator.name,
                "options": content_of(deciding_options(variant.request)),
                "force_constants": _force_constants_key(variant),
                "mesh": [variant.mesh, self.study.ensemble_mesh],
                "transport": self.transport.settings,
                "temperatures": self.transport.temperatures,
                "ensemble": self.study.ensemble,
                "draws": DRAWS,
                "lattice": dataset.supercell.cell,
                "positions": dataset.supercell.scaled_positions,
                "symbols": list(dataset.supercell.symbols),
                "masses": dataset.supercell.masses,
                "primitive": crystal.primitive_matrix,
                "nac": None if nac is None else dict(nac),
                "phonon_supercell": crystal.phonon_supercell_matrix,
                "phonon_forces": _arrays(self.data_fc2),
                "versions": force_constants_versions(
                    [variant.force_constants.of(order).solver.name for order in (2, 3)]
                ),
                "training": [*_arrays(dataset.select(training))],
                "energies": dataset.select(training).energies,
                "test": [*_arrays(dataset.select(self.test))],
                **structures_content(dataset.structures),
            }
        )


def _numbers(mesh: Mesh | None) -> list[float] | None:
    return None if mesh is None else [float(n) for n in mesh]


def _needs_budget(point: Point) -> bool:
    """Return whether the budget of a point is unknown and meaningful."""
    return point.budget is None and point.imaginary_mode() is None


def _by_force_constants(variants: Sequence[Variant]) -> list[list[Variant]]:
    """Group variants that have the same solver and displacements."""
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


def _arrays(dataset: Dataset | None) -> list[FloatArray]:
    return [] if dataset is None else [dataset.displacements, dataset.forces]
