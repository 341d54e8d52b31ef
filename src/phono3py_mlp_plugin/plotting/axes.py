"""Logarithmic axes that can be read, and error bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.plotting.text import TIMES


def set_log_axis(axis: Any, limits: tuple[float, float]) -> None:
    """Label a logarithmic axis such that there are at least three labels.

    Parameters
    ----------
    axis : Axis of matplotlib
        Of axes whose scale is logarithmic already.
    limits : tuple of float
        Limits of the axis.
    """
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ticks = log_ticks(*limits)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FixedFormatter([_number_text(tick) for tick in ticks]))
    axis.set_minor_locator(NullLocator())
    (axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim)(*limits)


def add_error_bars(
    axes: Any,
    x: FloatArray,
    values: FloatArray,
    intervals: Sequence[Sequence[tuple[float, float]]],
    **style: Any,
) -> None:
    """Draw values with their intervals of both levels, that of 95 % as a thin line.

    Parameters
    ----------
    axes : Axes of matplotlib
    x, values : ndarray
    intervals : sequence
        Lower and upper ends, ``[level][point]``, for the levels of `LEVELS`. Nothing is
        drawn of those that are not finite.
    **style
        Of the line and its markers.
    """
    inner, outer = (_lengths(values, ends) for ends in intervals)
    if np.isfinite(outer).any():
        axes.errorbar(
            x,
            values,
            yerr=outer,
            fmt="none",
            ecolor=style["color"],
            elinewidth=0.6,
            capsize=0,
        )
    axes.errorbar(x, values, yerr=inner if np.isfinite(inner).any() else None, **style)


def _lengths(values: FloatArray, ends: Sequence[tuple[float, float]]) -> FloatArray:
    """Return the lengths of both sides of intervals, NaN where one is not finite."""
    low, high = np.array(ends, dtype="double").reshape(-1, 2).T
    lengths = np.array([values - low, high - values])
    lengths[:, ~np.isfinite(lengths).all(axis=0)] = np.nan
    # Kappa of a run and the reference of its ensemble may differ by rounding.
    return np.asarray(np.maximum(lengths, 0.0))


def log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers within limits for a logarithmic axis, three to eight.

    Examples
    --------
    >>> [round(tick, 9) for tick in log_ticks(0.9, 40)]
    [1.0, 2.0, 5.0, 10.0, 20.0]
    >>> [round(tick, 9) for tick in log_ticks(7.9, 8.7)]
    [8.0, 8.2, 8.4, 8.6]
    >>> log_ticks(1e-5, 1e5)
    [0.0001, 0.01, 1.0, 100.0, 10000.0]
    """
    from matplotlib.ticker import MaxNLocator

    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    decades = range(first, last + 1)
    for step in range(1 + (last - first) // 6, 0, -1):
        ticks = _within(low, high, [10.0**k for k in decades if not k % step])
        if len(ticks) >= 4:
            return ticks
    for factors in ((1, 2, 5), (1, 3)):
        ticks = _within(low, high, [f * 10.0**k for k in decades for f in factors])
        if 3 <= len(ticks) <= 6:
            return ticks
    for n in range(5, 11):
        linear = MaxNLocator(n, steps=[1, 2, 5, 10]).tick_values(low, high)
        ticks = _within(low, high, linear)
        if len(ticks) >= 3:
            break
    return ticks


def _within(low: float, high: float, ticks: Sequence[float]) -> list[float]:
    # Ends of an axis may differ from a tick by rounding.
    margin = 1e-9
    return [
        float(tick)
        for tick in ticks
        if low * (1 - margin) <= tick <= high * (1 + margin)
    ]


def _number_text(value: float) -> str:
    """Return a number of an axis as text, with a power of ten if it is long."""
    if 1e-3 <= value < 1e5:
        return f"{value:.6g}"
    exponent = int(np.floor(np.log10(value) + 1e-9))
    factor = value / 10.0**exponent
    head = "" if abs(factor - 1) < 1e-9 else f"{factor:.3g}{TIMES}"
    return f"{head}10$^{{{exponent}}}$"
