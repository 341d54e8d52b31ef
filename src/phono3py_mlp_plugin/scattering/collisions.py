"""Sums over the bands of a triplet, for many temperatures."""

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
        In THz as well.
    cutoff : float
        Modes of lower frequency are left out.

    Returns
    -------
    ndarray of shape (n_q, n_bands, n_temperatures)
    """
    left_out = ~(frequencies > cutoff)
    safe = np.where(left_out, 1.0, frequencies)[:, :, None]
    cold = ~(temperatures > 0)
    with np.errstate(over="ignore"):
        found = 1.0 / (np.exp(safe / np.where(cold, 1.0, temperatures)) - 1)
    found[left_out] = 0.0
    found[:, :, cold] = 0.0
    return np.asarray(found)


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
    """Fill in what each triplet adds to the collisions.

    Parameters
    ----------
    collisions : ndarray of shape (n_triplets, n_temperatures, n_bands0)
    strengths : ndarray of shape (n_triplets, n_bands0, n_bands, n_bands)
    weights : ndarray of shape (2, n_triplets, n_bands0, n_bands, n_bands)
    triplet_weights : ndarray of int, shape (n_triplets,)
    occupied1, occupied2 : ndarray of shape (n_triplets, n_bands, n_temperatures)
        Occupations at q1 and q2.
    needed : ndarray of int8, as strengths
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
