"""Jackknife over supercells by a small number of random draws."""

from __future__ import annotations

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray


def multiplier_jackknife(changes: FloatArray, size: int, seed: int) -> FloatArray:
    """Return draws whose covariance is that of the jackknife.

    Parameters
    ----------
    changes : ndarray
        Changes of the parameters when one of n snapshots is left out, shape ``(n, p)``.
    size : int
        Number of draws.
    seed : int
        The same seed gives the same draws.

    Returns
    -------
    ndarray
        Deviations of the parameters, shape ``(size, p)``: ``sqrt((n - 1) / n) sum_s
        e_s (change_s - mean)`` with random signs e. Their covariance over all signs is
        ``(n - 1) / n sum_s (change_s - mean)(change_s - mean)^T``, that of the
        jackknife. Quantities that depend on the parameters are computed ``size`` times
        instead of n times.

    Notes
    -----
    B. Efron and C. Stein, Ann. Stat. 9, 586 (1981); multipliers as in C. F. J. Wu,
    Ann. Stat. 14, 1261 (1986).

    Examples
    --------
    The mean of n numbers: leaving x_s out changes it by (mean - x_s) / (n - 1), and its
    variance is that of the numbers over n.

    >>> x = np.random.default_rng(0).normal(size=50)
    >>> changes = (x.mean() - x)[:, None] / 49
    >>> draws = multiplier_jackknife(changes, 4000, seed=1)
    >>> bool(abs(draws.var() / (x.var(ddof=1) / 50) - 1) < 0.1)
    True
    """
    n = len(changes)
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(size, n))
    draws = signs @ (changes - changes.mean(axis=0))
    return np.asarray(np.sqrt((n - 1) / n) * draws)
