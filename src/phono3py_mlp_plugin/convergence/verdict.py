"""Decision whether kappa is converged, and whether models agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phono3py_mlp_plugin.convergence.point import Point
from phono3py_mlp_plugin.convergence.study import Study
from phono3py_mlp_plugin.uncertainty import LearningCurve, relative_change
from phono3py_mlp_plugin.workflow import Misfit

# Largest extrapolation of the number of supercells, relative to the current number.
_FAR = 50

# Decrease of the error of left-out supercells, as a power of their number, below which
# it is said to have stopped. Where the number of coefficients limits it, it decreases
# with the power 1/2 or faster.
_STOPPED = 0.2

# Largest difference between two models in standard deviations.
_DIFFERENT = 2.0


@dataclass(frozen=True)
class Verdict:
    """Whether kappa is converged with the number of supercells.

    Attributes
    ----------
    converged : bool
    size : int
        Largest number of supercells.
    change : float or None
        Largest relative change over the sizes that must agree.
    error : float
        Relative error bar.
    needed : int or None
        Estimated number of supercells needed for convergence. None if kappa is
        converged, or no estimate is possible.
    imaginary : str or None
        The lowest mode of the largest size if it is imaginary.
    misfit : Misfit or None
        What the model leaves unexplained of the forces, if more supercells do not
        reduce it and kappa may be wrong by more than the tolerance.
    """

    converged: bool
    size: int
    change: float | None
    error: float
    needed: int | None = None
    imaginary: str | None = None
    misfit: Misfit | None = None


def judge_all(points: Sequence[Point], study: Study) -> dict[str, Verdict]:
    """Return the verdict of each variant and order by its name.

    The name is empty if there is one alone.
    """
    groups: dict[str, list[Point]] = {}
    for point in points:
        order = f"order {point.order}" if study.orders > 1 else ""
        name = ", ".join(text for text in (point.label, order) if text)
        groups.setdefault(name, []).append(point)
    return {
        name: judge(group, study.tolerance, study.agree)
        for name, group in groups.items()
    }


def judge(points: Sequence[Point], tolerance: float, agree: int) -> Verdict:
    """Return whether points of ascending sizes are converged.

    They are if the last ``agree`` sizes differ by less than the tolerance in every
    direction and at every temperature, the error bar of the last size is smaller than
    the tolerance, and none of its modes is imaginary.
    """
    last = points[-1]
    error = last.largest_error()
    imaginary = last.imaginary_mode()
    misfit = _misfit(points, tolerance)
    change = None
    if len(points) >= agree > 1:
        kappa = np.array([np.array(p.kappa)[:, :3] for p in points[-agree:]])
        # Infinite where kappa is not positive.
        logs = relative_change(kappa, np.broadcast_to(kappa[-1], kappa.shape))
        change = float(np.abs(np.expm1(logs)).max())
    if imaginary is not None:
        return Verdict(False, last.size, change, error, imaginary=imaginary)
    if change is not None and change < tolerance and error < tolerance:
        return Verdict(True, last.size, change, error, misfit=misfit)
    curve = LearningCurve.fit(
        [p.size for p in points], [p.largest_error() for p in points]
    )
    needed = None
    if curve is not None and curve.needed(tolerance) <= _FAR * last.size:
        needed = max(curve.needed(tolerance), last.size + 1)
    return Verdict(False, last.size, change, error, needed, misfit=misfit)


def _misfit(points: Sequence[Point], tolerance: float) -> Misfit | None:
    """Return what more supercells do not explain, if it affects kappa."""
    last = points[-1]
    if not last.unexplained:
        return None
    bars = [bar for row in last.error_bars() for bar in row]
    misfit = Misfit.of(last.unexplained, bars, last.anharmonicity)
    # Infinite if kappa of a member of the ensemble failed.
    if not tolerance < misfit.error < np.inf:
        return None
    smaller = [point for point in points if point.size <= last.size / 2]
    if not smaller:
        return None
    power = np.log(smaller[-1].left_out / last.left_out)
    power /= np.log(last.size / smaller[-1].size)
    return misfit if power < _STOPPED else None


def compare_models(points: Sequence[Point]) -> list[str]:
    """Return notes on models that differ by more than their error bars.

    The error bar of a model does not include the error of the model itself.

    Parameters
    ----------
    points : sequence of Point
        Points of each variant and order; the last ones, of the largest size, are used.
    """
    last: dict[tuple[int, str], Point] = {}
    for point in points:
        last[point.order, point.label] = point
    notes = []
    for (order, label), one in last.items():
        for (other_order, other_label), other in last.items():
            if order != other_order or label >= other_label or one.size != other.size:
                continue
            ratio = relative_change(one.diagonal(), other.diagonal())
            errors = [
                [point.error_bar(0, c).total for c in range(3)]
                for point in (one, other)
            ]
            scatter = np.linalg.norm(errors, axis=0)
            if not (np.isfinite(ratio) & np.isfinite(scatter)).all():
                continue
            worst = int(np.argmax(np.abs(ratio) / scatter))
            if abs(ratio[worst]) > _DIFFERENT * scatter[worst]:
                notes.append(
                    f"{label} and {other_label} differ by "
                    f"{100 * abs(ratio[worst]):.1f} % with {one.size} supercells, "
                    f"{abs(ratio[worst]) / scatter[worst]:.1f} standard deviations: "
                    "the error bars do not include errors of the model itself."
                )
    return notes
