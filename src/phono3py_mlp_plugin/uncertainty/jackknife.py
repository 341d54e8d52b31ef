"""Jackknife over supercells by a small number of draws."""

from __future__ import annotations

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import ParameterError

DRAWS = "orthogonal multipliers"
"""How draws are made. Results of draws made in another way are not mixed with them."""


def multiplier_jackknife(changes: FloatArray, size: int, seed: int) -> FloatArray:
    """Return draws whose covariance is that of the jackknife.

    Parameters
    ----------
    changes : ndarray
        Changes of the parameters when one of n snapshots is left out, shape ``(n, p)``.
    size : int
        Number of draws, at least 2.
    seed : int
        The same seed gives the same draws.

    Returns
    -------
    ndarray
        Deviations of the parameters, shape ``(size, p)``: ``sqrt((n - 1) / n) sum_s
        e_s (change_s - mean)`` with multipliers e; see Notes. Their mean is zero.
        Quantities that depend on the parameters are computed ``size`` times instead of
        n times.

    Raises
    ------
    ParameterError
        If fewer than two draws are requested.

    Notes
    -----
    B. Efron and C. Stein, Ann. Stat. 9, 586 (1981); multipliers as in C. F. J. Wu,
    Ann. Stat. 14, 1261 (1986).

    The jackknife sums squares over n - 1 contrasts of snapshots, because the changes
    are centred. Multipliers that are independent of each other, e.g. random signs,
    reproduce this sum only on average, and a draw with equal signs is the fit itself.
    Here they are ``sqrt(size (n - 1) / m) U V^T`` with m = min(n, size) - 1. The
    columns of U ``(size, m)`` are orthonormal and sum to zero, and none of its rows is
    zero. The columns of V ``(n, m)`` are orthonormal contrasts in random directions.

    For n <= size, the covariance of the draws is exactly that of the jackknife,
    ``(n - 1) / n sum_s (change_s - mean)(change_s - mean)^T``, whatever the seed. For
    n > size this is true on average over seeds, and the variance of a linear function
    over its exact value is (n - 1) / m times a random number of the distribution
    Beta(m / 2, (n - 1 - m) / 2).

    Examples
    --------
    The mean of n numbers: leaving x_s out changes it by (mean - x_s) / (n - 1), and its
    variance is that of the numbers over n.

    >>> x = np.random.default_rng(0).normal(size=10)
    >>> changes = (x.mean() - x)[:, None] / 9
    >>> draws = multiplier_jackknife(changes, 16, seed=1)
    >>> bool(abs(draws.var() / (x.var(ddof=1) / 10) - 1) < 1e-12)
    True
    """
    if size < 2:
        raise ParameterError(f"members of the jackknife = {size}; expected 2 or more.")
    n = len(changes)
    m = min(n, size) - 1
    if m == 0:
        return np.zeros((size, changes.shape[1]))
    centred = changes - changes.mean(axis=0)
    draws = _balanced_columns(size, m) @ (_random_contrasts(n, m, seed).T @ centred)
    return np.asarray((n - 1) * np.sqrt(size / (n * m)) * draws)


def _balanced_columns(n_rows: int, n_columns: int) -> FloatArray:
    """Return orthonormal columns of zero sum, without rows of zeros.

    The columns are waves. All rows have the same norm, unless both numbers are odd, for
    which this is not possible in general.
    """
    row = np.arange(n_rows)
    largest = (n_rows - 1) // 2
    # With odd waves only, half of the rows are opposite to the others. Terms of odd
    # order in the multipliers then cancel in sums over draws.
    waves = [*range(1, largest + 1, 2), *range(2, largest + 1, 2)]
    columns = []
    for wave in waves[: n_columns // 2]:
        angle = 2 * np.pi / n_rows * (wave * row % n_rows)
        columns += [np.cos(angle), np.sin(angle)]
    if n_columns % 2 and n_rows % 2 == 0:
        columns.append(np.where(row % 2, -1.0, 1.0))
    elif n_columns % 2:
        # The cosine has no zeros for an odd number of rows.
        wave = waves[n_columns // 2]
        columns.append(np.cos(2 * np.pi / n_rows * (wave * row % n_rows)))
    matrix = np.array(columns).T
    return np.asarray(matrix / np.linalg.norm(matrix, axis=0))


def _random_contrasts(n: int, n_columns: int, seed: int) -> FloatArray:
    """Return orthonormal columns of zero sum, distributed uniformly over rotations."""
    normal = np.random.default_rng(seed).normal(size=(n, n_columns))
    orthonormal, triangle = np.linalg.qr(normal - normal.mean(axis=0))
    # LAPACK does not specify signs.
    return np.asarray(orthonormal * np.sign(np.diag(triangle)))
