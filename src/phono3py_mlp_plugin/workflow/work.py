"""Comparison of energies with the work of forces, E = E0 - 1/2 sum u.F.

With means <> over the snapshots, -1/2 sum (u - <u>).(F + <F>) is the energy of a
harmonic crystal up to a constant, whether or not its structure is relaxed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.constants import physical_constants

from phono3py_mlp_plugin.contracts import Dataset, FloatArray
from phono3py_mlp_plugin.workflow.response import name_of_shift

_RY = physical_constants["Rydberg constant times hc in eV"][0]
_BOHR = physical_constants["Bohr radius"][0] * 1e10

# Slope of energy over work. The host's datasets of 20 to 200 snapshots: 0.991 to 1.000;
# Lennard-Jones, Morse and EMT crystals: 0.91 to 1.00 at 0.1 angstrom. In these, the
# slope decreases by at most 3.4 times the part of the response that violates
# reciprocity, down to 0.36 at 0.6 angstrom.
_LOWEST = 0.85
_HIGHEST = 1.2
_ANHARMONIC = 4.0
_LEAST_SLOPE = 0.2

# Anharmonicity assumed if it is unknown (good data: 0 to 0.034).
_UNKNOWN = 0.1

# Number of standard errors by which a slope must be out of range.
_SIGNIFICANT = 4.0

# Expected deviation of an energy as a fraction of the work of its snapshot, with the
# weight of three snapshots. The host's data: at most 0.016.
_NOISE = 0.01
_PRIOR = 3.0

# Least number of snapshots for which single outliers can be recognised.
_MANY = 5

# Largest distance (logarithm) of a known factor from the slope.
_NEAR = 0.12

# The same for the first, strict comparison: slopes of the host's data are 0.991 to
# 1.000.
_STEADY = 0.03

# Largest scatter of energies relative to the expected scatter. Good data: 0.3 (host), 2
# (Lennard-Jones at 0.3 angstrom).
_SCATTER = 4.0
_STEADY_NOISE = 1e-3

# Uncertainty of energies (eV per atom), besides that due to their last digit.
_LAST_DIGIT = 1e-6

# Correlation from which a slope is significant.
_CORRELATED = 0.8

# Largest deviation of one energy as a fraction of its work: a constant, and a multiple
# of the anharmonicity. Host's data: at most 0.016 for 8 atoms (limit 0.024), 0.005 for
# 64 (limit 0.021).
_OFF = 0.015
_OFF_ANHARMONIC = 3.0
_OUTLIER = 12.0


@dataclass(frozen=True, eq=False)
class Work:
    """Energies and the work of forces, of n snapshots.

    Attributes
    ----------
    work : ndarray
        ``-1/2 sum (u - <u>).(F + <F>)`` (eV), shape ``(n,)``.
    size : ndarray
        ``1/2 |u| |F|`` (eV), the order of magnitude of the work, shape ``(n,)``.
    energies : ndarray
        In eV, shape ``(n,)``.
    anharmonicity : float
        Part of the response that violates reciprocity.
    precision : float
        Uncertainty of the energies (eV).
    degrees_of_freedom : int
        Number of components of the displacements of a snapshot.
    """

    work: FloatArray
    size: FloatArray
    energies: FloatArray
    anharmonicity: float
    precision: float
    degrees_of_freedom: int

    @property
    def noise(self) -> FloatArray:
        """Expected deviation of each energy from the work (eV), shape ``(n,)``."""
        return (_NOISE + self.anharmonicity) * self.size + self.precision

    @property
    def scatter(self) -> float:
        """Robust standard deviation of energies minus work (eV)."""
        low, high = self.range
        slope = min(max(self.line.slope, low), high)
        rest = self.energies - slope * self.work
        return 1.4826 * float(np.median(np.abs(rest - np.median(rest))))

    @property
    def scatter_limit(self) -> float:
        """Largest scatter (eV) of good data.

        In an anharmonic crystal, energy and work differ by a sum of random terms over
        the components of the displacements.
        """
        share = np.sqrt(self.anharmonicity / self.degrees_of_freedom) + _STEADY_NOISE
        size = float(np.sqrt((self.size**2).mean()))
        return float(_SCATTER * (share * size + self.precision))

    @property
    def scatters_too_much(self) -> bool:
        """Whether the scatter is larger than that of good data."""
        return len(self.energies) >= _MANY and not self.scatter <= self.scatter_limit

    @cached_property
    def line(self) -> Line:
        """The line of energies over work, fitted without outliers."""
        return robust_line(self.work, self.energies, self.noise)

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest slope of good data of this anharmonicity."""
        lowest = _LOWEST - _ANHARMONIC * self.anharmonicity
        return max(_LEAST_SLOPE, lowest), _HIGHEST + 2 * self.anharmonicity

    @property
    def slope_is_plausible(self) -> bool:
        """Whether the slope is that of good data within its uncertainty."""
        low, high = self.range
        margin = _SIGNIFICANT * self.line.error
        return low - margin <= self.line.slope <= high + margin


@dataclass(frozen=True, eq=False)
class Line:
    """A straight line fitted to points, with the uncertainty of its slope."""

    slope: float
    intercept: float
    error: float
    correlation: float
    scatter: float


def work_of(
    displacements: FloatArray, dataset: Dataset, anharmonicity: float | None
) -> Work:
    """Return energies and work of a dataset for given displacements (angstrom)."""
    assert dataset.energies is not None
    forces = dataset.forces
    moved = displacements - displacements.mean(axis=0)
    work = -0.5 * np.einsum("kai,kai->k", moved, forces + forces.mean(axis=0))
    lengths, strengths = (
        np.sqrt((array**2).sum(axis=(1, 2))) for array in (displacements, forces)
    )
    return Work(
        work - np.median(work),
        0.5 * lengths * strengths,
        dataset.energies,
        _UNKNOWN if anharmonicity is None else anharmonicity,
        _LAST_DIGIT * len(dataset.supercell) + _last_digit(dataset.energies),
        displacements[0].size,
    )


def _last_digit(energies: FloatArray) -> float:
    """Return the unit of the last decimal place that energies were written with."""
    for digits in range(9):
        if np.abs(np.round(energies, digits) - energies).max() < 1e-10:
            return float(10.0**-digits)
    return 0.0


def robust_line(x: FloatArray, y: FloatArray, noise: FloatArray) -> Line:
    """Return the line through the points without outliers; few points are all used.

    The slope is initially the median of the slopes of pairs. Points far from this line
    are left out of the least-squares fits that follow. ``noise`` is the expected
    deviation of each ``y``.
    """
    slope = _median_slope(x, y)
    keep = np.ones(len(x), dtype=bool)
    for _ in range(3 if len(x) >= _MANY else 0):
        rest = y - slope * x
        deviations = np.abs(rest - np.median(rest[keep]))
        spread = 1.4826 * float(np.median(deviations))
        spread += 1e-12 * float(np.abs(y).max())
        keep = deviations <= max(6 * spread, 0.0)
        dx, dy = x[keep] - x[keep].mean(), y[keep] - y[keep].mean()
        if (dx**2).sum() > 0:
            slope = float((dx * dy).sum() / (dx**2).sum())
    dx, dy = x[keep] - x[keep].mean(), y[keep] - y[keep].mean()
    square = max(float((dx**2).sum()), 1e-300)
    if len(x) < _MANY:
        slope = float((dx * dy).sum()) / square
    rest = dy - slope * dx
    # Snapshots far from the mean determine the slope: their noise has more weight.
    expected = float((dx**2 * noise[keep] ** 2).sum()) / square
    degrees_of_freedom = max(int(keep.sum()) - 2, 0)
    variance = ((rest**2).sum() + _PRIOR * expected) / (degrees_of_freedom + _PRIOR)
    error = float(np.sqrt(variance / square))
    norm = float(np.sqrt((dx**2).sum() * (dy**2).sum()))
    correlation = float((dx * dy).sum() / norm) if norm > 0 else 0.0
    intercept = float(y[keep].mean() - slope * x[keep].mean())
    return Line(slope, intercept, error, correlation, float(np.sqrt(variance)))


def _median_slope(x: FloatArray, y: FloatArray) -> float:
    """Return the median slope over pairs, each weighted by its distance in x."""
    n = len(x)
    lags = range(1, n) if n <= 400 else range(1, 101)
    dx = np.concatenate([x[lag:] - x[:-lag] for lag in lags])
    dy = np.concatenate([y[lag:] - y[:-lag] for lag in lags])
    distinct = np.abs(dx) > 0
    if not distinct.any():
        return 0.0
    slopes, weights = dy[distinct] / dx[distinct], np.abs(dx[distinct])
    order = np.argsort(slopes)
    total = np.cumsum(weights[order])
    return float(slopes[order][np.searchsorted(total, total[-1] / 2)])


def energy_outliers(work: Work) -> list[int]:
    """Return snapshots whose energy does not fit their forces, the worst first."""
    if len(work.energies) < _MANY:
        return []
    line = work.line
    deviations = np.abs(work.energies - line.intercept - line.slope * work.work)
    spread = 1.4826 * float(np.median(deviations))
    share = _OFF + _OFF_ANHARMONIC * work.anharmonicity
    limit = np.maximum(_OUTLIER * spread, share * work.size)
    wrong = np.flatnonzero(deviations > limit)
    return [int(i) for i in wrong[np.argsort(-deviations[wrong] / limit[wrong])]]


def scale_mistakes(dataset: Dataset) -> Iterator[tuple[float, str]]:
    """Yield slopes of energy over work and the mistake that would cause each."""
    for name, factor in (
        ("Ry/bohr", _RY / _BOHR),
        ("Ry/angstrom", _RY),
        ("hartree/bohr", 2 * _RY / _BOHR),
        ("hartree/angstrom", 2 * _RY),
        ("eV/bohr", 1 / _BOHR),
    ):
        yield factor, f"forces in {name}"
    yield 0.001, "forces in meV/angstrom"
    for name, factor in (
        ("Ry", _RY),
        ("hartree", 2 * _RY),
        ("kJ/mol", 1 / 96.4853321),
        ("kcal/mol", 1 / 23.0605478),
        ("meV", 0.001),
    ):
        yield 1 / factor, f"energies in {name}"
    yield _BOHR, "displacements in bohr"
    yield 10.0, "displacements in nm"
    n_atoms = len(dataset.supercell)
    yield 1 / n_atoms, "energies per atom"
    _, counts = np.unique(dataset.supercell.symbols, return_counts=True)
    n_units = int(np.gcd.reduce(counts))
    if 1 < n_units < n_atoms:
        yield 1 / n_units, f"energies per formula unit ({n_units} in the supercell)"
    yield -1.0, "energies with the opposite sign"


def mistakes_near_slope(
    work: Work, known: Sequence[tuple[float, str]], sign: int = 1, loose: bool = False
) -> list[str]:
    """Return the mistakes whose slope is near that of ``work``, the nearest first.

    The tolerance is that of the slopes of good data, or a wider one if ``loose``.
    """
    slope = sign * work.line.slope
    margin = 2 * work.line.error / abs(slope)
    near = []
    low = _STEADY + _ANHARMONIC * work.anharmonicity + margin
    high = _STEADY + margin
    if loose:
        low, high = max(low, _NEAR + margin), _NEAR + margin
    for expected, text in known:
        if slope * expected <= 0:
            continue
        distance = float(np.log(slope / expected))
        if -low < distance < high:
            near.append((abs(distance), f"{text} (slope {expected:.3g})"))
    return [text for _, text in sorted(near)]


def fitting_order_of_energies(work: Work, by_rank: bool = True) -> str | None:
    """Describe the order in which energies would fit, or return None."""
    n = len(work.energies)
    if n < _MANY:
        return None
    snapshots = np.arange(n)
    orders = {
        f"each that of {name_of_shift(shift, n)}": (snapshots + shift) % n
        for shift in range(1, n)
    }
    orders["the reverse"] = snapshots[::-1]
    if by_rank:
        # In any order, the largest energy belongs to the largest work.
        rank = np.empty(n, dtype=np.intp)
        rank[np.argsort(work.energies)] = np.argsort(work.work)
        example = ", ".join(f"{i + 1} that of {rank[i] + 1}" for i in range(3))
        orders[f"by rank {example}, ..., or of other calculations"] = rank
    for name, order in orders.items():
        if _belongs(work, order):
            return name
    return None


def _belongs(work: Work, order: NDArray[np.intp]) -> bool:
    """Return whether the energy of snapshot k may be that of snapshot order[k]."""
    x = work.work[order]
    dx, dy = x - x.mean(), work.energies - work.energies.mean()
    norm = float(np.sqrt((dx**2).sum() * (dy**2).sum()))
    if not norm > 0 or (dx * dy).sum() < _CORRELATED * norm:
        return False
    low, high = work.range
    slope = (dx * dy).sum() / (dx**2).sum()
    return bool(0.9 * low < slope < 1.1 * high)
