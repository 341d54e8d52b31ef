"""Sums over the bands of each triplet for many temperatures."""

from __future__ import annotations

from typing import Any

import numpy as np

from phono3py_mlp_plugin.compilation import kernel
from phono3py_mlp_plugin.contracts import FloatArray, IntArray


def occupations(
    frequencies: FloatArray, temperatures: FloatArray, cutoff: float
) -> FloatArray:
    """Return Bose-Einstein occupations.

    Parameters
    ----------
    frequencies : ndarray of shape (n_q, n_bands)
        In THz.
    temperatures : ndarray of shape (n_temperatures,)
        In THz: k_B T / h.
    cutoff : float
        Occupations of modes of lower frequency are set to zero.

    Returns
    -------
    ndarray of shape (n_q, n_bands, n_temperatures)
    """
    unused = ~(frequencies > cutoff)
    safe = np.where(unused, 1.0, frequencies)[:, :, None]
    cold = ~(temperatures > 0)
    with np.errstate(over="ignore"):
        values = 1.0 / (np.exp(safe / np.where(cold, 1.0, temperatures)) - 1)
    values[unused] = 0.0
    values[:, :, cold] = 0.0
    return np.asarray(values)


@kernel
def add_up(
    collisions: FloatArray,
    strengths: FloatArray,
    weights: FloatArray,
    triplet_weights: IntArray,
    occupied1: FloatArray,
    occupied2: FloatArray,
    needed: Any,
) -> None:
    """Compute the contribution of each triplet to the collisions.

    Parameters
    ----------
    collisions : ndarray of shape (n_triplets, n_temperatures, n_bands0)
    strengths : ndarray of shape (n_triplets, n_bands0, n_bands, n_bands)
    weights : ndarray of shape (2, n_triplets, n_bands0, n_bands, n_bands)
    triplet_weights : ndarray of int, shape (n_triplets,)
    occupied1, occupied2 : ndarray of shape (n_triplets, n_bands, n_temperatures)
        Occupations at q1 and q2.
    needed : ndarray of int8
        Nonzero for the elements of ``strengths`` that are summed.
    """
    n_temperatures = collisions.shape[1]
    total = np.empty(n_temperatures)
    for t in range(strengths.shape[0]):
        for b in range(strengths.shape[1]):
            total[:] = 0.0
            for j in range(strengths.shape[2]):
                for k in range(strengths.shape[3]):
                    if not needed[t, b, j, k]:
                        continue
                    x = strengths[t, b, j, k] * triplet_weights[t]
                    g0 = weights[0, t, b, j, k] * x
                    g1 = weights[1, t, b, j, k] * x
                    n1, n2 = occupied1[t, j], occupied2[t, k]
                    for i in range(n_temperatures):
                        total[i] += (n1[i] + n2[i] + 1) * g0 + (n1[i] - n2[i]) * g1
            for i in range(n_temperatures):
                collisions[t, i, b] = total[i]
