"""Error bars and intervals of positive quantities from draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from phono3py_mlp_plugin.contracts import FloatArray

# Variance of a rectangular distribution over the square of its half width.
_RECTANGLE = 1 / 3


@dataclass(frozen=True)
class ErrorBar:
    """Relative standard deviation of a positive quantity and its contributions.

    Attributes
    ----------
    sampling : float
        Contribution of the choice of training supercells, the scatter of the draws.
    penalty : float
        Contribution of the choice of the ridge penalty; see `scatter_within`.
    n : int
        Number of supercells.
    fall : float
        Exponent a of the decrease of the scatter of draws, n^-a.

    Notes
    -----
    Terms with products of k snapshots contribute to the variance in proportion to n^-k,
    and the jackknife overestimates them by a factor of k (B. Efron and C. Stein, Ann.
    Stat. 9, 586 (1981)). If the standard deviation decreases as n^-a, the variance of
    the draws is therefore 2a times too large. For means a = 1/2, and no correction is
    made.
    """

    sampling: float
    penalty: float
    n: int
    fall: float = 0.5

    @property
    def corrected_sampling(self) -> float:
        """The scatter of the draws, corrected for its exponent."""
        return float(self.sampling / np.sqrt(2 * self.fall))

    @property
    def total(self) -> float:
        """Both contributions in quadrature, the scatter corrected for its exponent."""
        return float(np.hypot(self.corrected_sampling, self.penalty))

    def relative(self, level: float = 0.68) -> float:
        """Return the half width of the interval of ln kappa."""
        return half_width_of_interval(self.total, self.n, level)

    def interval(self, value: float, level: float = 0.68) -> tuple[float, float]:
        """Return the interval around a value; see `interval`."""
        return interval(value, self.total, self.n, level)

    def half_width(self, value: float, level: float = 0.68) -> float:
        """Return the half width of the interval, in units of the value."""
        low, high = self.interval(value, level)
        return (high - low) / 2


def relative_scatter(draws: FloatArray, reference: float) -> float:
    """Return the root mean square of ``ln draws - ln reference``.

    The result is infinite if a draw is not positive or not finite, i.e. a run failed.

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
    """Return the standard deviation of a quantity that is known to be between two ends.

    Its distribution is assumed to be rectangular, with a variance of a third of the
    square of its half width (Guide to the expression of uncertainty in measurement,
    4.3.7). The penalty is known within a decade in each direction, and the ends are the
    values of kappa there.

    Examples
    --------
    >>> round(scatter_within(np.array([9.0, 11.0]), 10.0), 3)
    0.058
    """
    return float(np.sqrt(_RECTANGLE) * relative_scatter(ends, reference))


def sample_scatter(values: FloatArray) -> float:
    """Return the sample standard deviation of ``ln values``, shape ``(k,)``.

    The result is infinite if a value is not positive or not finite.

    Examples
    --------
    >>> round(sample_scatter(np.array([9.0, 10.0, 11.0])), 3)
    0.1
    """
    if not (np.isfinite(values).all() and values.min() > 0):
        return float("inf")
    return float(np.std(np.log(values), ddof=1))


def model_bar(values: FloatArray) -> ErrorBar:
    """Return the error bar of the first of several models, from their scatter.

    Parameters
    ----------
    values : ndarray
        Values of the models, shape ``(k,)``.
    """
    return ErrorBar(sample_scatter(values), 0.0, len(values))


def around_first(values: FloatArray) -> FloatArray:
    """Return values whose rms distance from the first one is the standard deviation.

    Parameters
    ----------
    values : ndarray
        Values of two or more models along the first axis.

    Examples
    --------
    >>> draws = around_first(np.array([1.0, 2.0, 3.0]))
    >>> round(float(np.sqrt(np.mean((draws - 1.0) ** 2))), 3)
    1.0
    """
    n = len(values)
    return np.asarray(values[0] + np.sqrt(n / (n - 1)) * (values - values.mean(axis=0)))


class NormScatter:
    """Scatter of large arrays, given one after another, relative to their norm.

    Parameters
    ----------
    first : ndarray
        The array to whose norm the scatter is relative.
    of_models : bool
        Whether the scatter is the sample standard deviation of all arrays, the first
        one included, instead of the rms distance of the others from the first.

    Examples
    --------
    >>> scatter = NormScatter(np.array([3.0, 4.0]), of_models=True)
    >>> scatter.add(np.array([3.0, 4.5]))
    >>> round(scatter.relative, 4)
    0.0707
    """

    def __init__(self, first: FloatArray, *, of_models: bool = False) -> None:
        self._first = first.copy()
        self._sum = np.zeros_like(first) if of_models else None
        self._squares = 0.0
        self._n = 0

    def add(self, array: FloatArray) -> None:
        """Add another array."""
        change = array - self._first
        self._n += 1
        self._squares += float(np.sum(change**2))
        if self._sum is not None:
            self._sum += change

    @property
    def relative(self) -> float:
        """The scatter; infinite if an array is not finite."""
        if not self._n:
            return 0.0
        square = self._squares / self._n
        if self._sum is not None:
            # Sum of squares around the mean, of n + 1 arrays.
            square -= float(np.sum(self._sum**2)) / (self._n * (self._n + 1))
        # Rounding can make it negative; np.maximum keeps what is not a number.
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.maximum(square, 0.0) / np.sum(self._first**2)
            relative = float(np.sqrt(ratio))
        return relative if np.isfinite(relative) else float("inf")


def norm_scatter(reference: FloatArray, draws: Sequence[FloatArray]) -> float:
    """Return the rms distance of draws over the norm of the reference.

    The result is infinite if one of them is not finite.

    Examples
    --------
    >>> norm_scatter(np.array([3.0, 4.0]), [np.array([3.0, 4.5])])
    0.1
    """
    scatter = NormScatter(reference)
    for draw in draws:
        scatter.add(draw)
    return scatter.relative


def absolute_error(
    reference: FloatArray, draws: FloatArray, alternatives: FloatArray, n: int
) -> FloatArray:
    """Return the half widths of the 68 % intervals of quantities that may be zero.

    They are infinite if a draw is not finite.

    Parameters
    ----------
    reference : ndarray
        Values of the fit, any shape.
    draws, alternatives : ndarray
        Values of the draws and of fits with other penalties, along the first axis.
    n : int
        Number of supercells.

    Examples
    --------
    >>> absolute_error(np.zeros(1), np.array([[1.0], [-1.0]]), np.empty((0, 1)), 1000)
    array([0.99...])
    """
    square = np.zeros_like(reference)
    for values, factor in ((draws, 1.0), (alternatives, _RECTANGLE)):
        if len(values):
            square += factor * np.mean((values - reference) ** 2, axis=0)
    errors = half_width_of_interval(1.0, n, 0.68) * np.sqrt(square)
    return np.where(np.isfinite(errors + reference), errors, np.inf)


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
        Value of the fit.
    draws : ndarray
        Values of the draws, shape ``(k,)``.
    alternatives : ndarray
        Values of fits with other penalties, shape ``(m,)``.
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
    """Return ``value exp(+- t s)`` with the quantile t of Student's distribution.

    Parameters
    ----------
    value : float
    scatter : float
        Relative standard deviation s.
    n : int
        Number of snapshots; there are n - 1 degrees of freedom.
    level : float
        Probability that the interval contains the true value, in the absence of bias.

    Examples
    --------
    >>> low, high = interval(10.0, 0.01, 20, 0.95)
    >>> round(low, 2), round(high, 2)
    (9.79, 10.21)
    """
    width = half_width_of_interval(scatter, n, level)
    if width == np.inf:
        # Also of kappa that is zero, as on a mesh of Gamma alone.
        return 0.0, np.inf
    return float(value * np.exp(-width)), float(value * np.exp(width))


def half_width_of_interval(scatter: float, n: int, level: float) -> float:
    """Return the half width of an interval, a multiple of a standard deviation."""
    return float(stdtrit(max(n - 1, 1), (1 + level) / 2) * scatter)
