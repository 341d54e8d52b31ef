"""Error budget of kappa, from kappa of other meshes and force constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin.contracts import (
    FloatArray,
    ForceConstants,
    Potential,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import MLPError, one_line
from phono3py_mlp_plugin.uncertainty import (
    Contribution,
    ErrorBar,
    ErrorBudget,
    extrapolate_mesh,
    half_width_of_interval,
    relative_change,
    room_temperature,
)
from phono3py_mlp_plugin.workflow.ensemble import Mesh, Transport
from phono3py_mlp_plugin.workflow.force_constants import solve_force_constants
from phono3py_mlp_plugin.workflow.misfit import model_error
from phono3py_mlp_plugin.workflow.request import (
    FINITE_DIFFERENCES,
    ForceConstantsRequest,
    request_solver,
)
from phono3py_mlp_plugin.workflow.supercells import fc2_dataset

if TYPE_CHECKING:
    from phono3py import Phono3py

SUPERCELLS, PENALTY, MODEL = "supercells", "penalty", "model"
MESH, SOLVER, RANGE = "mesh", "solver", "range of fc3"
"""Names of contributions."""

_REMEDIES = {
    MODEL: "Use a model with more features, and more supercells.",
    MESH: "Use a finer mesh.",
    SOLVER: "Use --fc-calculator exact, or smaller displacements.",
    RANGE: "Use a larger supercell for fc3.",
}

_REMEDY_OF_MODELS = (
    "The models disagree: compare their forces with first principles, and use the best."
)

NOT_INCLUDED = (
    "the exchange-correlation functional and other settings of the first-principles "
    "calculations, Born charges, phonons of fourth and higher order, thermal expansion"
)
"""What cannot be estimated from the data of a run."""

# Solvers that leave out no elements of fc2 and fc3 unless they are told to.
_UNTRUNCATED = ("symfc", FINITE_DIFFERENCES)

# Meshes from which the mesh is extrapolated, relative to that of the run. Together they
# take a third of the time of the run.
_COARSER = (0.65, 0.8)

# Fewest mesh points along each axis of a mesh on which changes of kappa are computed.
_FEWEST = 5

# Largest mesh that is recommended, relative to that of the run.
_FAR = 5


@dataclass(frozen=True, eq=False)
class KappaOfFit:
    """Kappa of a run and what it is computed from.

    Attributes
    ----------
    potential : Potential
    force_constants : dict
    kappa : ndarray
        In W/m-K, shape ``(n_temperatures, 6)``.
    mesh : tuple of float or None
        Mesh of this kappa; None is that of the run.
    bars : list of list of ErrorBar
        For xx, yy and zz at each temperature; empty at 0 K, and if they are unknown.
    of_models : bool
        Whether they are the scatter of models, not that of an ensemble around a fit.
    unknown : str
        Why there are no error bars of an ensemble around a fit.
    amplitude : float
        Length of the displacements (angstrom).
    error_of_displacements : float
        Expected relative error of kappa due to them, for potentials without
        derivatives; not a number if it is unknown.
    """

    potential: Potential
    force_constants: ForceConstants
    kappa: FloatArray
    mesh: Mesh | None
    bars: Sequence[Sequence[ErrorBar]] = ()
    of_models: bool = False
    unknown: str = ""
    amplitude: float = math.nan
    error_of_displacements: float = math.nan


def error_budget(
    crystal: Phono3py,
    fit: KappaOfFit,
    request: ForceConstantsRequest,
    transport: Transport,
    tolerance: float,
    progress: Progress = no_progress,
) -> ErrorBudget:
    """Return the error budget of kappa.

    Parameters
    ----------
    crystal : Phono3py
        It is not changed.
    fit : KappaOfFit
    request : ForceConstantsRequest
        How its force constants were computed.
    transport : Transport
    tolerance : float
        Relative error of kappa for which a mesh is recommended.
    progress : Progress
    """
    estimates = _Estimates(crystal, fit, request, transport, tolerance, progress)
    return estimates.budget()


@dataclass(eq=False)
class _Estimates:
    """Arguments of `error_budget`, and what the estimates have in common."""

    crystal: Phono3py
    fit: KappaOfFit
    request: ForceConstantsRequest
    transport: Transport
    tolerance: float
    progress: Progress

    def __post_init__(self) -> None:
        self.mesh = self.fit.mesh or self.transport.mesh
        # Relative changes hardly depend on the mesh.
        self.coarse = self.mesh and _coarse(self.mesh)
        self.kappas: dict[Mesh | None, FloatArray] = {self.mesh: self.fit.kappa}

    def budget(self) -> ErrorBudget:
        """Return the contributions one after another."""
        contributions = self._statistics()
        missing = self._unknown(contributions)
        estimates: dict[str, Callable[[], Contribution | str]] = {
            MESH: self._mesh,
            SOLVER: self._solver,
            RANGE: self._range,
        }
        with self.progress("Error budget", len(estimates)) as advance:
            for name, estimate in estimates.items():
                try:
                    found = estimate()
                except MLPError as error:
                    found = one_line(error)
                if isinstance(found, Contribution):
                    contributions.append(found)
                else:
                    missing.append(f"{name} ({found})")
                advance(1)
        if fc2_dataset(self.crystal) is None:
            missing.append("range of fc2 (forces for dim-fc2 would tell)")
        temperatures = tuple(map(float, self.transport.temperatures))
        return ErrorBudget(temperatures, tuple(contributions), tuple(missing))

    def _unknown(self, known: Sequence[Contribution]) -> list[str]:
        """Return the contributions that only an ensemble shows, if there is none."""
        names = [one.name for one in known]
        unknown = [n for n in (SUPERCELLS, PENALTY, MODEL) if n not in names]
        if not unknown:
            return []
        return [f"{', '.join(unknown)} ({self.fit.unknown})"]

    def _statistics(self) -> list[Contribution]:
        """Return the contributions that are known from the ensemble."""
        if not any(self.fit.bars):
            return []

        def rows(part: Callable[[ErrorBar], float]) -> tuple[tuple[float, ...], ...]:
            return tuple(
                tuple(half_width_of_interval(part(bar), bar.n, 0.68) for bar in bars)
                or (0.0,) * 3
                for bars in self.fit.bars
            )

        n = next(bar.n for bars in self.fit.bars for bar in bars)
        if self.fit.of_models:
            total = rows(lambda bar: bar.total)
            origin = f"scatter of {n} models"
            return [Contribution(MODEL, total, origin, _REMEDY_OF_MODELS)]
        return [
            Contribution(
                SUPERCELLS,
                rows(lambda bar: bar.corrected_sampling),
                f"ensemble of potentials of {n} training supercells",
            ),
            Contribution(
                PENALTY,
                rows(lambda bar: bar.penalty),
                "a tenth of the ridge penalty, and ten times it",
            ),
            Contribution(
                MODEL,
                rows(model_error),
                "half of what single supercells change kappa by",
                _REMEDIES[MODEL],
            ),
        ]

    def _mesh(self) -> Contribution | str:
        """Return the contribution of the mesh by extrapolation."""
        if self.mesh is None:
            return "the mesh is given by a matrix"
        meshes = [*(_scaled(self.mesh, factor) for factor in _COARSER), self.mesh]
        densities = [self.transport.mesh_density(mesh) for mesh in meshes]
        if len(set(densities)) < len(meshes):
            unknown = np.full((len(self.fit.kappa), 3), np.inf)
            return self._contribution(MESH, unknown, "too coarse to be extrapolated")
        kappas = [self._kappa(mesh)[:, :3] for mesh in meshes]
        limit = extrapolate_mesh(densities, kappas)
        t = room_temperature(self.transport.temperatures)
        origin = f"extrapolated to an infinite mesh: {self._changed(limit.change)}"
        factor = limit.density_for(self.tolerance, t) / densities[-1]
        if 1 < factor < _FAR:
            finer = " ".join(f"{math.ceil(n * factor)}" for n in self.mesh)
            percent = f"{100 * self.tolerance:g} %"
            origin += f"; --mesh {finer} is expected to be within {percent}"
        return self._contribution(MESH, limit.deviation, origin)

    def _solver(self) -> Contribution | str:
        """Return the difference to derivatives of the same potential.

        It includes amplitude and number of displacements, the solver, and cutoffs.
        """
        if self.request.takes_potential and self.request.cutoff_fc3 is None:
            none = np.zeros((len(self.fit.kappa), 3))
            return self._contribution(
                SOLVER, none, "none: force constants are derivatives of the potential"
            )
        if not callable(getattr(self.fit.potential, "force_constants", None)):
            return self._displacements()
        exact = request_solver("exact")
        request = replace(self.request, fc2=exact, fc3=exact, cutoff_fc3=None)
        fcs = solve_force_constants(self.crystal, request, self.fit.potential)
        if fc2_dataset(self.crystal) is not None:
            fcs[2] = self.fit.force_constants[2]
        origin = "with derivatives of the potential"
        if self.request.cutoff_fc3 is None:
            return self._change(SOLVER, fcs, origin)
        found = self._change(SOLVER, fcs, f"{origin}, without --cutoff-fc3")
        remedy = "Give a larger --cutoff-fc3, or leave it out."
        return replace(found, remedy=remedy)

    def _displacements(self) -> Contribution | str:
        """Return the expected error of finite displacements, without truncation."""
        specs = [self.request.of(order) for order in (2, 3)]
        truncated = any(spec.cutoff for spec in specs) or self.request.cutoff_fc3
        known = all(spec.solver.name in _UNTRUNCATED for spec in specs)
        error = self.fit.error_of_displacements
        if truncated or not known or not math.isfinite(error):
            return "the potential has no derivatives"
        rows = np.full((len(self.fit.kappa), 3), error)
        origin = (
            "expected from noise and higher derivatives of forces, for displacements "
            f"of {self.fit.amplitude:g} angstrom"
        )
        remedy = "Use another --amplitude."
        return replace(self._contribution(SOLVER, rows, origin), remedy=remedy)

    def _range(self) -> Contribution | str:
        """Return the change without fc3 beyond half the width of the supercell.

        There, only sums over periodic images are known.
        """
        crystal = self.crystal
        heights = 1 / np.linalg.norm(np.linalg.inv(crystal.supercell.cell), axis=0)
        radius = float(heights.min()) / 2
        before = crystal.fc3
        crystal.fc3 = self.fit.force_constants[3].copy()
        crystal.cutoff_fc3_by_zero(radius)
        fcs = {**self.fit.force_constants, 3: crystal.fc3}
        crystal.fc3 = before
        return self._within(
            self._change(RANGE, fcs, f"without fc3 beyond {radius:.2f} angstrom")
        )

    def _kappa(self, mesh: Mesh | None) -> FloatArray:
        """Return kappa of the fit on another mesh."""
        if mesh not in self.kappas:
            self.kappas[mesh] = self.transport.kappa(self.fit.force_constants, mesh)
        return self.kappas[mesh]

    def _change(
        self, name: str, force_constants: ForceConstants, origin: str
    ) -> Contribution:
        """Return the change with other force constants, on the coarse mesh."""
        kappa = self.transport.kappa(force_constants, self.coarse)
        change = relative_change(kappa[:, :3], self._kappa(self.coarse)[:, :3])
        return self._contribution(
            name, np.abs(change), f"{origin}: {self._changed(change)}"
        )

    def _within(self, change: Contribution) -> Contribution:
        """Return the contribution if the true value may be anywhere within a change."""
        # Standard deviation of a rectangular distribution (GUM, 4.3.7).
        scaled = tuple(tuple(x / math.sqrt(3) for x in row) for row in change.relative)
        return replace(change, relative=scaled)

    def _contribution(
        self, name: str, relative: FloatArray, origin: str
    ) -> Contribution:
        """Return a contribution, zero at 0 K, where kappa is zero."""
        rows = np.where(self.transport.temperatures[:, None] > 0, relative, 0.0)
        relative_rows = tuple(map(tuple, rows.tolist()))
        return Contribution(name, relative_rows, origin, _REMEDIES[name])

    def _changed(self, change: FloatArray) -> str:
        """Return kappa after a relative change, different components once."""
        t = room_temperature(self.transport.temperatures)
        if not np.isfinite(change[t]).any():
            return "no kappa"
        finite = np.where(np.isfinite(change[t]), change[t], np.nan)
        values = self.fit.kappa[t, :3] * np.exp(finite)
        return f"{', '.join(dict.fromkeys(f'{x:.4g}' for x in values))} W/m-K"


def budget_lines(budget: ErrorBudget) -> list[str]:
    """Return the table of a budget in percent of kappa at room temperature."""
    head, *rows = budget_table(budget)
    lines = [
        f"{row[0]:<16}{''.join(f'{x:>8}' for x in row[1:4])}   {row[4]}".rstrip()
        for row in (head, *rows)
    ]
    return [*lines, *budget_notes(budget)]


def budget_table(budget: ErrorBudget) -> list[tuple[str, ...]]:
    """Return the rows of a budget as text, with a header and the total."""
    t = budget.room_temperature
    rows = [(one.name, one.relative[t], one.origin) for one in budget.contributions]
    rows.append(("total", tuple(budget.total(t)), ""))
    return [
        ("", "xx", "yy", "zz", ""),
        *((name, *(f"{100 * x:.2f}" for x in row), note) for name, row, note in rows),
    ]


def budget_notes(budget: ErrorBudget) -> list[str]:
    """Return what a budget does not include."""
    lines = [f"not estimated: {', '.join(budget.missing)}"] if budget.missing else []
    return [*lines, f"not included: {NOT_INCLUDED}"]


def is_not_varied(one: Contribution) -> bool:
    """Return whether a study of supercells tells nothing about a contribution."""
    return one.name not in (SUPERCELLS, PENALTY)


def contributions_above(budget: ErrorBudget, tolerance: float) -> list[Contribution]:
    """Return the contributions above a tolerance that a study does not vary."""
    t = budget.room_temperature
    return [
        one
        for one in budget.contributions
        if is_not_varied(one) and not max(one.relative[t]) <= tolerance
    ]


def describe_contribution(
    one: Contribution, budget: ErrorBudget, tolerance: float
) -> str:
    """Describe a contribution to a budget that is above a tolerance."""
    largest = max(one.relative[budget.room_temperature])
    share = f"{100 * largest:.1f} % of kappa, above {100 * tolerance:g} %"
    return f"{one.name}: {share}; {one.origin}"


def large_contributions(budget: ErrorBudget, tolerance: float) -> list[str]:
    """Describe the contributions above a tolerance that a study does not vary."""
    return [
        describe_contribution(one, budget, tolerance)
        for one in contributions_above(budget, tolerance)
    ]


def _scaled(mesh: Mesh, factor: float) -> Mesh:
    """Return a mesh with fewer points along each axis."""
    if len(mesh) == 1:
        return (mesh[0] * factor,)
    return tuple(float(max(1, round(n * factor))) for n in mesh)


def _coarse(mesh: Mesh) -> Mesh:
    """Return the coarsest mesh that is sufficient for changes of kappa."""
    if len(mesh) == 1:
        return _scaled(mesh, max(_COARSER))
    for factor in _COARSER:
        scaled = _scaled(mesh, factor)
        if all(n >= min(_FEWEST, full) for n, full in zip(scaled, mesh, strict=True)):
            return scaled
    return mesh
