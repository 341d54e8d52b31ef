"""How energies follow the work of forces: E = E0 - 1/2 sum u.F for small displacements.

With means over the snapshots, -1/2 sum (u - <u>).(F + <F>) is the energy of a harmonic
crystal but for a constant, at rest or not, whatever the snapshots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.constants import physical_constants

from phono3py_mlp_plugin.contracts import Dataset, FloatArray
from phono3py_mlp_plugin.workflow.response import neighbour

_RY = physical_constants["Rydberg constant times hc in eV"][0]
_BOHR = physical_constants["Bohr radius"][0] * 1e10

# Slope of energy on work. Good data of the host: 0.991 to 1.000 where many snapshots
# tell (20 to 200), Lennard-Jones, Morse and EMT crystals 0.91 to 1.00 at 0.1 angstrom;
# there the slope falls with the part of the response that breaks reciprocity, by
# at most 3.4 times it, down to 0.36 at 0.6 angstrom.
_LOWEST = 0.85
_HIGHEST = 1.2
_ANHARMONIC = 4.0
_LEAST_SLOPE = 0.2

# Anharmonicity where the snapshots do not tell it (of good data 0 to 0.034).
_UNKNOWN = 0.1

# Standard errors by which a slope must be outside.
_SURE = 4.0

# Part of the work of a snapshot that its energy may be off, as little as three
# snapshots' worth of knowledge: of the host's data at most 0.016.
_NOISE = 0.01
_PRIOR = 3.0

# Snapshots from which single ones can be told from the rest.
_MANY = 5

# Known factors within this of the slope are named.
_NEAR = 0.12

# The same where a good slope would be that near 1: 0.991 to 1.000 of the host's data.
_STEADY = 0.03

# Scatter of energies about the work over what is expected of it. Good data: 0.3 (host),
# 2 (Lennard-Jones at 0.3 angstrom).
_SCATTER = 4.0
_STEADY_NOISE = 1e-3

# Energies are as sure as this (eV per atom), or as their last digit.
_LAST_DIGIT = 1e-6

# Correlation from which the slope is a scale, and not chance.
_CORRELATED = 0.8

# Part of its work by which one energy may be off: this, and by the anharmonicity.
# Host's data: at most 0.016 for 8 atoms (limit 0.024), 0.005 for 64 (limit 0.021).
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
        ``1/2 |u| |F|`` (eV), shape ``(n,)``: of what order work can be.
    energies : ndarray
        In eV, shape ``(n,)``.
    anharmonicity : float
        Part of the response that breaks reciprocity.
    precision : float
        Of the energies (eV).
    freedom : int
        Number of components of a snapshot's displacements.
    """

    work: FloatArray
    size: FloatArray
    energies: FloatArray
    anharmonicity: float
    precision: float
    freedom: int

    @property
    def noise(self) -> FloatArray:
        """What each energy may be off the work (eV), shape ``(n,)``."""
        return (_NOISE + self.anharmonicity) * self.size + self.precision

    @property
    def scatter(self) -> float:
        """Spread of the energies about the work (eV)."""
        low, high = self.range
        slope = min(max(self.line.slope, low), high)
        rest = self.energies - slope * self.work
        return 1.4826 * float(np.median(np.abs(rest - np.median(rest))))

    @property
    def bearable(self) -> float:
        """Largest scatter (eV) of good data.

        Beyond harmonic forces energy and work part by a sum of random terms over the
        components of the displacements.
        """
        share = np.sqrt(self.anharmonicity / self.freedom) + _STEADY_NOISE
        size = float(np.sqrt((self.size**2).mean()))
        return float(_SCATTER * (share * size + self.precision))

    @property
    def scatters(self) -> bool:
        """Whether most energies are farther from the work than those of good data."""
        return len(self.energies) >= _MANY and not self.scatter <= self.bearable

    @cached_property
    def line(self) -> Line:
        """The line of energies over work, snapshots far from it left out."""
        return robust_line(self.work, self.energies, self.noise)

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest slope of good data as anharmonic as these."""
        lowest = _LOWEST - _ANHARMONIC * self.anharmonicity
        return max(_LEAST_SLOPE, lowest), _HIGHEST + 2 * self.anharmonicity

    @property
    def right(self) -> bool:
        """Whether the slope is that of good data, or may be."""
        low, high = self.range
        doubt = _SURE * self.line.error
        return low - doubt <= self.line.slope <= high + doubt


@dataclass(frozen=True, eq=False)
class Line:
    """A straight line through points, and how well it is known."""

    slope: float
    intercept: float
    error: float
    correlation: float
    scatter: float


def work_of(
    displacements: FloatArray, dataset: Dataset, anharmonicity: float | None
) -> Work:
    """Return energies and work of a dataset with these displacements (angstrom)."""
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
    """Return the unit of the last decimal that energies were written with."""
    for digits in range(9):
        if np.abs(np.round(energies, digits) - energies).max() < 1e-10:
            return float(10.0**-digits)
    return 0.0


def robust_line(x: FloatArray, y: FloatArray, noise: FloatArray) -> Line:
    """Return the line of most of the points; of all where they are few.

    The median of the slopes of pairs starts; points far from it are left out of the
    least squares that follow. ``noise`` is what each ``y`` may be off.
    """
    slope = _median_slope(x, y)
    keep = np.ones(len(x), dtype=bool)
    for _ in range(3 if len(x) >= _MANY else 0):
        rest = y - slope * x
        off = np.abs(rest - np.median(rest[keep]))
        spread = 1.4826 * float(np.median(off)) + 1e-12 * float(np.abs(y).max())
        keep = off <= max(6 * spread, 0.0)
        dx, dy = x[keep] - x[keep].mean(), y[keep] - y[keep].mean()
        if (dx**2).sum() > 0:
            slope = float((dx * dy).sum() / (dx**2).sum())
    dx, dy = x[keep] - x[keep].mean(), y[keep] - y[keep].mean()
    square = max(float((dx**2).sum()), 1e-300)
    if len(x) < _MANY:
        slope = float((dx * dy).sum()) / square
    rest = dy - slope * dx
    # Snapshots far out decide the slope: their noise counts.
    known = float((dx**2 * noise[keep] ** 2).sum()) / square
    freedom = max(int(keep.sum()) - 2, 0)
    variance = ((rest**2).sum() + _PRIOR * known) / (freedom + _PRIOR)
    error = float(np.sqrt(variance / square))
    norm = float(np.sqrt((dx**2).sum() * (dy**2).sum()))
    correlation = float((dx * dy).sum() / norm) if norm > 0 else 0.0
    intercept = float(y[keep].mean() - slope * x[keep].mean())
    return Line(slope, intercept, error, correlation, float(np.sqrt(variance)))


def _median_slope(x: FloatArray, y: FloatArray) -> float:
    """Return the median over pairs, each weighted by its distance in x."""
    n = len(x)
    lags = range(1, n) if n <= 400 else range(1, 101)
    dx = np.concatenate([x[lag:] - x[:-lag] for lag in lags])
    dy = np.concatenate([y[lag:] - y[:-lag] for lag in lags])
    told = np.abs(dx) > 0
    if not told.any():
        return 0.0
    slopes, weights = dy[told] / dx[told], np.abs(dx[told])
    order = np.argsort(slopes)
    total = np.cumsum(weights[order])
    return float(slopes[order][np.searchsorted(total, total[-1] / 2)])


def off_the_line(work: Work) -> list[int]:
    """Return snapshots whose energy is not what their forces say, the worst first."""
    if len(work.energies) < _MANY:
        return []
    line = work.line
    off = np.abs(work.energies - line.intercept - line.slope * work.work)
    spread = 1.4826 * float(np.median(off))
    share = _OFF + _OFF_ANHARMONIC * work.anharmonicity
    limit = np.maximum(_OUTLIER * spread, share * work.size)
    wrong = np.flatnonzero(off > limit)
    return [int(i) for i in wrong[np.argsort(-off[wrong] / limit[wrong])]]


def scales(dataset: Dataset) -> Iterator[tuple[float, str]]:
    """Yield slopes of energy on work and the mistake that would cause each."""
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


def named_scale(
    work: Work, known: Sequence[tuple[float, str]], sign: int = 1, loose: bool = False
) -> list[str]:
    """Return the mistakes whose slope is near that of ``work``, the nearest first.

    Near as slopes of good data are to 1, or ``loose``.
    """
    slope = sign * work.line.slope
    doubt = 2 * work.line.error / abs(slope)
    near = []
    low = _STEADY + _ANHARMONIC * work.anharmonicity + doubt
    high = _STEADY + doubt
    if loose:
        low, high = max(low, _NEAR + doubt), _NEAR + doubt
    for expected, text in known:
        if slope * expected <= 0:
            continue
        distance = float(np.log(slope / expected))
        if -low < distance < high:
            near.append((abs(distance), f"{text} (slope {expected:.3g})"))
    return [text for _, text in sorted(near)]


def order_of_energies(work: Work, by_rank: bool = True) -> str | None:
    """Return the order in which energies would fit, in words."""
    n = len(work.energies)
    if n < _MANY:
        return None
    snapshots = np.arange(n)
    orders = {
        f"each that of {neighbour(shift, n)}": (snapshots + shift) % n
        for shift in range(1, n)
    }
    orders["the reverse"] = snapshots[::-1]
    if by_rank:
        # Whatever the order, the largest energy belongs to the largest work.
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
