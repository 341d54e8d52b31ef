"""Integration weights of triplets by linear tetrahedra or Gaussians.

Weights are those of delta(w0 - w1 - w2) and of the difference
delta(w0 + w1 - w2) - delta(w0 - w1 + w2), at the frequencies of the bands at q0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from phono3py_mlp_plugin.compilation import inlined, inner_kernel, kernel
from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.scattering.records import Phonons, Tetrahedra


@kernel
def tetrahedron_weights(
    weights: FloatArray,
    triplets: IntArray,
    f0: FloatArray,
    phonons: Phonons,
    tetrahedra: Tetrahedra,
) -> None:
    """Compute the weights of the linear tetrahedron method.

    Parameters
    ----------
    weights : ndarray of shape (2, n_triplets, n_bands0, n_bands, n_bands)
        In 1/THz.
    triplets : ndarray of int, shape (n_triplets, 3)
    f0 : ndarray of shape (n_bands0,)
        Frequencies at q0, in THz.
    phonons : Phonons
    tetrahedra : Tetrahedra
    """
    n, n_points = phonons.frequencies.shape[1], tetrahedra.points.shape[0]
    near1, near2 = np.empty((n_points, n)), np.empty((n_points, n))
    # Smallest and largest sums and differences of frequencies.
    bounds, values = np.empty((2, 2, n)), np.empty((2, n_points))
    for t in range(triplets.shape[0]):
        _gather(near1, (triplets[t, 1], 1), phonons, tetrahedra)
        _gather(near2, (triplets[t, 2], -1), phonons, tetrahedra)
        for j in range(n):
            _find_bounds(bounds, near1[:, j], near2)
            for k in range(n):
                (s_low, s_high), (d_low, d_high) = bounds[0, :, k], bounds[1, :, k]
                is_set = False
                for b in range(f0.shape[0]):
                    f, g0, g1 = f0[b], 0.0, 0.0
                    within = s_low <= f <= s_high
                    above = d_low <= f <= d_high
                    below = -d_high <= f <= -d_low
                    if (within or above or below) and not is_set:
                        is_set = True
                        for p in range(n_points):
                            values[0, p] = near2[p, k] + near1[p, j]
                            values[1, p] = near2[p, k] - near1[p, j]
                    if within:
                        g0 = _weight(f, values[0], 1.0, tetrahedra.corners)
                    if above:
                        g1 = _weight(f, values[1], 1.0, tetrahedra.corners)
                    if below:
                        g1 -= _weight(f, values[1], -1.0, tetrahedra.corners)
                    weights[0, t, b, j, k] = g0
                    weights[1, t, b, j, k] = g1


@inner_kernel
def _gather(
    near: FloatArray, towards: tuple[int, int], phonons: Phonons, tetrahedra: Tetrahedra
) -> None:
    """Copy the frequencies at all corners around a point, with zero if negative.

    Parameters
    ----------
    near : ndarray of shape (n_points, n_bands)
    towards : tuple of int
        The point, and the sign with which the corners are relative to it.
    phonons : Phonons
    tetrahedra : Tetrahedra
    """
    mesh, addresses = tetrahedra.mesh, tetrahedra.addresses
    q, sign = towards
    for p in range(near.shape[0]):
        a = addresses[q, 0] + sign * tetrahedra.points[p, 0]
        b = addresses[q, 1] + sign * tetrahedra.points[p, 1]
        c = addresses[q, 2] + sign * tetrahedra.points[p, 2]
        index = (c % mesh[2] * mesh[1] + b % mesh[1]) * mesh[0] + a % mesh[0]
        place = tetrahedra.grid_map[index]
        for same in range(place, tetrahedra.grid_map[index + 1]):
            if (
                addresses[same, 0] == a
                and addresses[same, 1] == b
                and addresses[same, 2] == c
            ):
                place = same
                break
        for band in range(near.shape[1]):
            near[p, band] = max(phonons.frequencies[place, band], 0.0)


@inner_kernel
def _find_bounds(bounds: FloatArray, near1: FloatArray, near2: FloatArray) -> None:
    """Find the least and the largest sums and differences of all bands at q2."""
    bounds[:, 0], bounds[:, 1] = np.inf, -np.inf
    for p in range(near1.shape[0]):
        f1 = near1[p]
        for k in range(near2.shape[1]):
            total, difference = near2[p, k] + f1, near2[p, k] - f1
            bounds[0, 0, k] = min(bounds[0, 0, k], total)
            bounds[0, 1, k] = max(bounds[0, 1, k], total)
            bounds[1, 0, k] = min(bounds[1, 0, k], difference)
            bounds[1, 1, k] = max(bounds[1, 1, k], difference)


@inner_kernel
def _weight(f: float, values: FloatArray, sign: float, corners: IntArray) -> float:
    """Return the sum of the weights of the first corner over all tetrahedra.

    The volume of a tetrahedron is a sixth of a cell, that of all around a point is four
    cells.
    """
    total: float = 0.0
    for i in range(corners.shape[0]):
        v0 = sign * values[corners[i, 0]]
        v1 = sign * values[corners[i, 1]]
        v2 = sign * values[corners[i, 2]]
        v3 = sign * values[corners[i, 3]]
        low, high = min(min(v0, v1), min(v2, v3)), max(max(v0, v1), max(v2, v3))
        if not low <= f < high:
            continue
        first = (v1 < v0) + (v2 < v0) + (v3 < v0)
        v1, v2 = min(v1, v2), max(v1, v2)
        v2, v3 = min(v2, v3), max(v2, v3)
        v1, v2 = min(v1, v2), max(v1, v2)
        v0, v1 = min(v0, v1), max(v0, v1)
        v1, v2 = min(v1, v2), max(v1, v2)
        v2, v3 = min(v2, v3), max(v2, v3)
        total += _corner_weight(f, v0, v1, v2, v3, first)
    return float(total * 4 / corners.shape[0])


@inlined
def _part(f: float, upper: float, lower: float) -> float:
    return (f - lower) / (upper - lower)


@inner_kernel
def _corner_weight(
    f: float, v0: float, v1: float, v2: float, v3: float, corner: int
) -> float:
    """Return the derivative of the occupied part of a corner, by frequency.

    Lehmann and Taut, phys. stat. sol. (b) 54, 469 (1972), multiplied out so that
    nothing is divided by a density that may vanish.
    """
    if f < v1:
        f10, f20, f30 = _part(f, v1, v0), _part(f, v2, v0), _part(f, v3, v0)
        if corner == 0:
            inner = (1 - f10) + (1 - f20) + (1 - f30)
        elif corner == 1:
            inner = f10
        elif corner == 2:
            inner = f20
        else:
            inner = f30
        return f10 * f20 * inner / (v3 - v0)
    if f < v2:
        f20, f30 = _part(f, v2, v0), _part(f, v3, v0)
        f21, f31 = _part(f, v2, v1), _part(f, v3, v1)
        a, b = (1 - f21) * f20, f21 * (1 - f31)
        if corner == 0:
            return ((1 - f30) * (a + b) + (1 - f20) * a) / (v3 - v0)
        if corner == 1:
            return ((1 - f21) * (a + b) + (1 - f31) * b) / (v3 - v0)
        if corner == 2:
            return (f21 * (a + b) + f20 * a) / (v3 - v0)
        return (f30 * (a + b) + f31 * b) / (v3 - v0)
    f03, f13, f23 = _part(f, v0, v3), _part(f, v1, v3), _part(f, v2, v3)
    if corner == 0:
        inner = f03
    elif corner == 1:
        inner = f13
    elif corner == 2:
        inner = f23
    else:
        inner = (1 - f03) + (1 - f13) + (1 - f23)
    return f13 * f23 * inner / (v3 - v0)


@kernel
def gaussian_weights(
    weights: FloatArray,
    triplets: IntArray,
    f0: FloatArray,
    phonons: Phonons,
    width: tuple[float, float],
) -> None:
    """Compute Gaussians that replace the delta functions.

    Parameters
    ----------
    weights, triplets, f0, phonons
        As in `tetrahedron_weights`.
    width : tuple of float
        Standard deviation in THz, and the cutoff in units of it, beyond which all three
        functions are zero; no cutoff if it is not positive.
    """
    sigma, cutoff = width[0], width[0] * width[1]
    scale = 1.0 / (math.sqrt(2 * math.pi) * sigma)
    for t in range(triplets.shape[0]):
        for b in range(f0.shape[0]):
            for j in range(phonons.frequencies.shape[1]):
                f1 = phonons.frequencies[triplets[t, 1], j]
                for k in range(phonons.frequencies.shape[1]):
                    f2 = phonons.frequencies[triplets[t, 2], k]
                    x, y, z = f0[b] - f1 - f2, f0[b] + f1 - f2, f0[b] - f1 + f2
                    nearest = min(abs(x), abs(y), abs(z))
                    g0, g1 = 0.0, 0.0
                    if not (cutoff > 0 and nearest > cutoff):
                        g0 = scale * math.exp(-x * x / 2 / sigma / sigma)
                        g1 = scale * (
                            math.exp(-y * y / 2 / sigma / sigma)
                            - math.exp(-z * z / 2 / sigma / sigma)
                        )
                    weights[0, t, b, j, k] = g0
                    weights[1, t, b, j, k] = g1


@kernel
def average_degenerate(
    weights: FloatArray, triplets: IntArray, first_of_set: IntArray
) -> None:
    """Average weights over sets of degenerate bands at q1, then at q2.

    Parameters
    ----------
    weights, triplets
        As in `tetrahedron_weights`.
    first_of_set : ndarray of int, shape (n_q, n_bands)
        First band of the set that each band belongs to.
    """
    n = weights.shape[4]
    for g in range(2):
        for t in range(triplets.shape[0]):
            for b in range(weights.shape[2]):
                block = weights[g, t, b]
                for x in range(n):
                    _average(block[:, x], first_of_set[triplets[t, 1]])
                for x in range(n):
                    _average(block[x], first_of_set[triplets[t, 2]])


@inner_kernel
def _average(values: FloatArray, first_of_set: IntArray) -> None:
    n, start = values.shape[0], 0
    while start < n:
        end = start + 1
        while end < n and first_of_set[end] == first_of_set[start]:
            end += 1
        if end - start > 1:
            mean = 0.0
            for x in range(start, end):
                mean += values[x]
            mean /= end - start
            for x in range(start, end):
                values[x] = mean
        start = end


@kernel
def mark_needed(needed: Any, weights: FloatArray) -> None:
    """Mark the elements that have a weight; others keep their mark."""
    for t in range(needed.shape[0]):
        for b in range(needed.shape[1]):
            for j in range(needed.shape[2]):
                for k in range(needed.shape[3]):
                    if weights[0, t, b, j, k] != 0 or weights[1, t, b, j, k] != 0:
                        needed[t, b, j, k] = 1
