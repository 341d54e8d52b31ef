"""From draws of a positive quantity to its error bar and interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

FloatArray = NDArray[np.float64]

# Variance of a rectangular distribution over the square of its half width.
_RECTANGLE = 1 / 3


@dataclass(frozen=True)
class ErrorBar:
    """Relative standard deviation of a positive quantity, by what it comes from.

    Attributes
    ----------
    sampling : float
        From the choice of training supercells: scatter of the draws.
    penalty : float
        From the choice of the ridge penalty: see `scatter_within`.
    n : int
        Number of supercells.
    fall : float
        Exponent a with which the scatter of draws falls, as n^-a.

    Notes
    -----
    What depends on products of k snapshots is a part of the variance that falls as
    n^-k, and the jackknife counts it k times (B. Efron and C. Stein, Ann. Stat. 9, 586
    (1981)): where the standard deviation falls as n^-a, the variance of the draws is 2a
    times too large. For means a = 1/2, and nothing is corrected.
    """

    sampling: float
    penalty: float
    n: int
    fall: float = 0.5

    @property
    def total(self) -> float:
        """Both in quadrature, the scatter of draws corrected for its fall."""
        corrected = self.sampling / np.sqrt(2 * self.fall)
        return float(np.hypot(corrected, self.penalty))

    def relative(self, level: float = 0.68) -> float:
        """Return half the length of the interval of ln kappa."""
        return reach(self.total, self.n, level)

    def interval(self, value: float, level: float = 0.68) -> tuple[float, float]:
        """Return the interval about a value; see `interval`."""
        return interval(value, self.total, self.n, level)

    def half_width(self, value: float, level: float = 0.68) -> float:
        """Return half the length of the interval, in units of the value."""
        low, high = self.interval(value, level)
        return (high - low) / 2


def relative_scatter(draws: FloatArray, reference: float) -> float:
    """Return the root mean square of ``ln draws - ln reference``.

    Draws that are not positive or not finite (a run that failed) give infinity.

    Examples
    --------
    >>> round(relative_scatter(np.array([9.0, 11.0]), 10.0), 3)
    0.1
    """
    if len(draws) == 0:
        return 0.0
    if not (np.isfinite(draws).all() and draws.min() > 0 and reference > 0):
        return float("inf")
    return float(np.sqrt(np.mean(np.log(draws / reference) ** 2)))


def scatter_within(ends: FloatArray, reference: float) -> float:
    """Return the standard deviation of a choice that lies anywhere between two ends.

    That of a rectangular distribution, a third of the square of its half width (Guide
    to the expression of uncertainty in measurement, 4.3.7): the penalty is known to a
    decade each way, and kappa at the ends of it.

    Examples
    --------
    >>> round(scatter_within(np.array([9.0, 11.0]), 10.0), 3)
    0.058
    """
    return float(np.sqrt(_RECTANGLE) * relative_scatter(ends, reference))


def norm_scatter(reference: FloatArray, draws: Sequence[FloatArray]) -> float:
    """Return the rms distance of draws over the norm of the reference.

    Infinity where one is not finite.

    Examples
    --------
    >>> norm_scatter(np.array([3.0, 4.0]), [np.array([3.0, 4.5])])
    0.1
    """
    squares = [np.sum((draw - reference) ** 2) for draw in draws]
    if not squares:
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        found = float(np.sqrt(np.mean(squares) / np.sum(reference**2)))
    return found if np.isfinite(found) else float("inf")


def absolute_error(
    reference: FloatArray, draws: FloatArray, alternatives: FloatArray, n: int
) -> FloatArray:
    """Return half the length of the 68 % intervals of quantities that may be zero.

    Infinity where a draw is not finite.

    Parameters
    ----------
    reference : ndarray
        Their values by the fit itself, any shape.
    draws, alternatives : ndarray
        By draws of the fit and by fits with other penalties, the first axis their
        number.
    n : int
        Number of supercells.

    Examples
    --------
    >>> absolute_error(np.zeros(1), np.array([[1.0], [-1.0]]), np.empty((0, 1)), 1000)
    array([0.99...])
    """
    square = np.zeros_like(reference)
    for some, share in ((draws, 1.0), (alternatives, _RECTANGLE)):
        if len(some):
            square += share * np.mean((some - reference) ** 2, axis=0)
    found = reach(1.0, n, 0.68) * np.sqrt(square)
    return np.where(np.isfinite(found + reference), found, np.inf)


def error_bar(
    reference: float,
    draws: FloatArray,
    alternatives: FloatArray,
    n: int,
    fall: float = 0.5,
) -> ErrorBar:
    """Return the error bar of a quantity.

    Parameters
    ----------
    reference : float
        Its value by the fit itself.
    draws : ndarray
        By draws of the fit, shape ``(k,)``.
    alternatives : ndarray
        By fits with other penalties, shape ``(m,)``.
    n : int
        Number of supercells.
    fall : float
        See `ErrorBar`.
    """
    return ErrorBar(
        relative_scatter(draws, reference),
        scatter_within(alternatives, reference),
        n,
        fall,
    )


def interval(
    value: float, scatter: float, n: int, level: float = 0.68
) -> tuple[float, float]:
    """Return ``value exp(+- t s)``, t the quantile of Student's distribution.

    Parameters
    ----------
    value : float
    scatter : float
        Relative standard deviation s.
    n : int
        Number of snapshots; n - 1 degrees of freedom.
    level : float
        Probability that the interval holds the truth, in the absence of bias.

    Examples
    --------
    >>> low, high = interval(10.0, 0.01, 20, 0.95)
    >>> round(low, 2), round(high, 2)
    (9.79, 10.21)
    """
    width = reach(scatter, n, level)
    return float(value * np.exp(-width)), float(value * np.exp(width))


def reach(scatter: float, n: int, level: float) -> float:
    """Return a standard deviation of n snapshots times Student's quantile."""
    return float(stdtrit(max(n - 1, 1), (1 + level) / 2) * scatter)
