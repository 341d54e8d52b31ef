"""Comparison of intervals of kappa with reference values, and of verdicts.

All deviations are of ln kappa, i.e. relative. Cases are one interval each: a crystal,
an order of its supercells, a size and a component of kappa.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betaln, stdtr, stdtrit

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.convergence import Point, judge
from phono3py_mlp_plugin.uncertainty import ErrorBar, error_bar
from zoo.records import point_of

LEVELS = (0.68, 0.95)

TRACE = -1
"""The component that stands for the mean of xx, yy and zz."""


@dataclass(frozen=True)
class Case:
    """One interval and what it is compared with.

    Attributes
    ----------
    crystal : str
    order, size, component : int
    error : float
        ln kappa minus that of the reference of the same model.
    bar : float
        Standard deviation stated by the study.
    expected : float
        Standard deviation of ``error`` if the bar is right: the reference has an error
        too, or contains the training supercells.
    from_exact : float
        ln kappa minus that of the potential itself; NaN if it is unknown.
    """

    crystal: str
    order: int
    size: int
    component: int
    error: float
    bar: float
    expected: float
    from_exact: float


def bar_of(point: Point, component: int) -> ErrorBar:
    """Return the error bar of a component of kappa, or of the trace."""
    if component != TRACE:
        return point.error_bar(0, component)
    runs = [
        np.array(values, dtype="double").reshape(-1, 1, 6)[:, 0, :3].mean(axis=1)
        for values in (point.members, point.alternatives)
    ]
    reference = float(np.mean(point.reference[0][:3]))
    return error_bar(reference, runs[0], runs[1], point.size, point.fall)


def value_of(kappa: Sequence[float], component: int) -> float:
    """Return a component of kappa, or the mean of its diagonal."""
    if component == TRACE:
        return float(np.mean(kappa[:3]))
    return float(kappa[component])


def components_of(reference: Point) -> tuple[int, ...]:
    """Return the trace, followed by xx, yy, zz without equal ones if anisotropic."""
    kappa = np.array(reference.kappa[0][:3])
    distinct = [c for c in range(3) if not np.any(abs(kappa[:c] / kappa[c] - 1) < 1e-3)]
    return (TRACE, *distinct) if len(distinct) > 1 else (TRACE,)


def cases_of(name: str, entry: Mapping[str, Any]) -> list[Case]:
    """Return all cases of the results of a crystal."""
    reference = point_of(entry["reference"])
    n_all = reference.size
    is_subset = entry.get("exact") is None
    cases = []
    for record in entry["points"]:
        point = point_of(record)
        for c in components_of(reference):
            bar = bar_of(point, c)
            right = value_of(reference.kappa[0], c)
            error = np.log(value_of(point.kappa[0], c) / right)
            if is_subset:
                # kappa of n of N supercells scatters around that of all N by this much
                # less than around the true value, if it decreases as n^-a.
                factor = 1 - (point.size / n_all) ** (2 * point.fall)
                expected = bar.total * np.sqrt(factor)
                exact = np.nan
            else:
                expected = np.hypot(bar.total, bar_of(reference, c).total)
                value = value_of(entry["exact"], c)
                exact = np.log(value_of(point.kappa[0], c) / value)
            cases.append(
                Case(
                    name,
                    point.order,
                    point.size,
                    c,
                    float(error),
                    bar.total,
                    float(expected),
                    float(exact),
                )
            )
    return cases


@dataclass(frozen=True)
class Row:
    """Statistics of a set of cases.

    Attributes
    ----------
    n : int
        Number of cases.
    inside : tuple of float
        Fraction of intervals that contain the reference, for each of `LEVELS`.
    rms_z : float
    crps : float
        Mean continuous ranked probability score.
    mean_z : float
    ratio : float
        Score over that of normal distributions whose standard deviation is the rms
        error of each crystal and size; geometric mean over these.
    error, bar : float
        Root mean square error and bar.
    """

    n: int
    inside: tuple[float, float]
    rms_z: float
    crps: float
    mean_z: float
    ratio: float
    error: float
    bar: float


def row_of(cases: Sequence[Case], *, exact: bool = False) -> Row:
    """Return the statistics of cases, against the model or the exact kappa."""
    error = np.array([c.from_exact if exact else c.error for c in cases])
    scale = np.array([c.bar if exact else c.expected for c in cases])
    degrees = np.array([c.size - 1 for c in cases])
    z = error / scale
    inside = tuple(
        float(np.mean(np.abs(z) < stdtrit(degrees, (1 + level) / 2)))
        for level in LEVELS
    )
    scores = crps(error, scale, degrees)
    groups: dict[tuple[str, int, int], list[int]] = {}
    for k, case in enumerate(cases):
        groups.setdefault((case.crystal, case.size, case.component), []).append(k)
    ratios = [
        np.mean(scores[rows]) / np.mean(crps(error[rows], _rms(error[rows]), np.inf))
        for rows in groups.values()
    ]
    return Row(
        len(cases),
        (inside[0], inside[1]),
        _rms(z),
        float(np.mean(scores)),
        float(z.mean()),
        float(np.exp(np.mean(np.log(ratios)))),
        _rms(error),
        _rms(scale),
    )


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def crps(error: Any, scale: Any, degrees: Any) -> FloatArray:
    """Return the continuous ranked probability score of Student's distribution.

    A. Jordan, F. Krueger and S. Lerch, J. Stat. Softw. 90 (12), 1 (2019), for a
    distribution around zero. Infinite degrees of freedom are the normal distribution.

    Parameters
    ----------
    error, scale, degrees : array_like
        What happened, scale parameter and degrees of freedom (at least 2).
    """
    nu = np.minimum(np.asarray(degrees, dtype="double"), 1e6)
    z = np.asarray(error) / scale
    log_norm = betaln(0.5, nu / 2) + np.log(nu) / 2
    density = np.exp(-log_norm - (nu + 1) / 2 * np.log1p(z**2 / nu))
    first = z * (2 * stdtr(nu, z) - 1)
    second = 2 * density * (nu + z**2) / (nu - 1)
    ratio = np.exp(betaln(0.5, nu - 0.5) - 2 * betaln(0.5, nu / 2))
    return np.asarray(scale * (first + second - 2 * np.sqrt(nu) / (nu - 1) * ratio))


def model_bias(entry: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return ln kappa of the reference minus that of the potential, and its bar."""
    if entry.get("exact") is None:
        return None
    reference = point_of(entry["reference"])
    difference = np.log(
        value_of(reference.kappa[0], TRACE) / value_of(entry["exact"], TRACE)
    )
    return float(difference), bar_of(reference, TRACE).total


@dataclass(frozen=True)
class Stop:
    """How one study would have ended.

    Attributes
    ----------
    crystal : str
    order : int
    size : int
        Where it ended.
    converged : bool
    error, from_exact : float
        Largest relative error over directions, against the reference of the model and
        the exact kappa.
    needed : int or None
        Number of supercells stated by the verdict of the first size.
    sufficient : int or None
        Smallest size with an error bar within the tolerance.
    has_misfit : bool
        Whether the last verdict says that the model leaves forces unexplained.
    """

    crystal: str
    order: int
    size: int
    converged: bool
    error: float
    from_exact: float
    needed: int | None
    sufficient: int | None
    has_misfit: bool


def stops_of(name: str, entry: Mapping[str, Any], tolerance: float) -> list[Stop]:
    """Return how the studies of a crystal would have ended with this tolerance."""
    reference = np.array(entry["reference"]["kappa"])
    exact = np.array(entry.get("exact") or [np.nan] * 3)
    orders: dict[int, list[Point]] = {}
    for record in entry["points"]:
        orders.setdefault(record["order"], []).append(point_of(record, entry))
    stops = []
    for order, points in orders.items():
        verdicts = [judge(points[: k + 1], tolerance, 2) for k in range(len(points))]
        ended = next(
            (k for k, v in enumerate(verdicts) if v.converged), len(points) - 1
        )
        kappa = np.array(points[ended].kappa[0][:3])
        within = [p.size for p in points if p.largest_error() < tolerance]
        stops.append(
            Stop(
                name,
                order,
                points[ended].size,
                verdicts[ended].converged,
                float(np.abs(kappa / reference - 1).max()),
                float(np.abs(kappa / exact - 1).max()),
                verdicts[1].needed,
                min(within, default=None),
                verdicts[ended].misfit is not None,
            )
        )
    return stops
