"""From draws of a positive quantity to its error bar and interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ErrorBar:
    """Relative standard deviation of a positive quantity, by what it comes from.

    Attributes
    ----------
    sampling : float
        From the choice of training supercells: scatter of the draws.
    penalty : float
        From the choice of the ridge penalty: scatter over neighbouring ones.
    n : int
        Number of supercells.
    """

    sampling: float
    penalty: float
    n: int

    @property
    def total(self) -> float:
        """Both in quadrature."""
        return float(np.hypot(self.sampling, self.penalty))

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


def error_bar(
    reference: float, draws: FloatArray, alternatives: FloatArray, n: int
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
    """
    return ErrorBar(
        relative_scatter(draws, reference),
        relative_scatter(alternatives, reference),
        n,
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
    return float(student.ppf((1 + level) / 2, max(n - 1, 1)) * scatter)
