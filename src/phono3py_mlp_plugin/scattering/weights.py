"""Integration weights of triplets: linear tetrahedra, and Gaussians.

Weights are those of delta(w0 - w1 - w2) and of the difference
delta(w0 + w1 - w2) - delta(w0 - w1 + w2), at the frequencies of the bands at q0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from phono3py_mlp_plugin.compilation import inlined, inner_kernel, kernel
from phono3py_mlp_plugin.scattering.records import (
    FloatArray,
    IntArray,
    Phonons,
    Tetrahedra,
)


@kernel
def tetrahedron_weights(
    weights: FloatArray,
    triplets: IntArray,
    bands: IntArray,
    phonons: Phonons,
    tetrahedra: Tetrahedra,
) -> None:
    """Fill in the weights of the linear tetrahedron method.

    Parameters
    ----------
    weights : ndarray of shape (2, n_triplets, n_bands0, n_bands, n_bands)
        In 1/THz.
    triplets : ndarray of int, shape (n_triplets, 3)
    bands : ndarray of int, shape (n_bands0,)
    phonons : Phonons
    tetrahedra : Tetrahedra
    """
    n, n_points = phonons.frequencies.shape[1], tetrahedra.points.shape[0]
    n_tetrahedra = tetrahedra.corners.shape[0]
    near1, near2 = np.empty((n, n_points)), np.empty((n, n_points))
    sums, differences = np.empty(n_points), np.empty(n_points)
    # Of sums, differences and their negatives.
    ordered = np.empty((3, n_tetrahedra, 4))
    centres = np.empty((3, n_tetrahedra), dtype=np.int64)
    scale = 4.0 / n_tetrahedra
    for t in range(triplets.shape[0]):
        _gather(near1, triplets[t, 1], 1, phonons, tetrahedra)
        _gather(near2, triplets[t, 2], -1, phonons, tetrahedra)
        for j in range(n):
            for k in range(n):
                for p in range(n_points):
                    sums[p] = near1[j, p] + near2[k, p]
                    differences[p] = near2[k, p] - near1[j, p]
                s_min, s_max = _bounds(sums)
                d_min, d_max = _bounds(differences)
                is_sorted = (False, False, False)
                for b in range(bands.shape[0]):
                    f0 = phonons.frequencies[triplets[t, 0], bands[b]]
                    g0, g1 = 0.0, 0.0
                    if s_min <= f0 <= s_max:
                        if not is_sorted[0]:
                            _sort(ordered[0], centres[0], sums, 1.0, tetrahedra.corners)
                            is_sorted = (True, is_sorted[1], is_sorted[2])
                        g0 = scale * _weight(f0, ordered[0], centres[0])
                    if d_min <= f0 <= d_max:
                        if not is_sorted[1]:
                            _sort(
                                ordered[1],
                                centres[1],
                                differences,
                                1.0,
                                tetrahedra.corners,
                            )
                            is_sorted = (is_sorted[0], True, is_sorted[2])
                        g1 += scale * _weight(f0, ordered[1], centres[1])
                    if -d_max <= f0 <= -d_min:
                        if not is_sorted[2]:
                            _sort(
                                ordered[2],
                                centres[2],
                                differences,
                                -1.0,
                                tetrahedra.corners,
                            )
                            is_sorted = (is_sorted[0], is_sorted[1], True)
                        g1 -= scale * _weight(f0, ordered[2], centres[2])
                    weights[0, t, b, j, k] = g0
                    weights[1, t, b, j, k] = g1


@inner_kernel
def _gather(
    near: FloatArray, q: int, sign: int, phonons: Phonons, tetrahedra: Tetrahedra
) -> None:
    """Take the frequencies at all corners around a point, negative ones as zero."""
    mesh, addresses = tetrahedra.mesh, tetrahedra.addresses
    for p in range(tetrahedra.points.shape[0]):
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
        for band in range(near.shape[0]):
            near[band, p] = max(phonons.frequencies[place, band], 0.0)


@inner_kernel
def _bounds(values: FloatArray) -> tuple[float, float]:
    low, high = values[0], values[0]
    for p in range(1, values.shape[0]):
        low, high = min(low, values[p]), max(high, values[p])
    return low, high


@inner_kernel
def _sort(
    ordered: FloatArray,
    centres: IntArray,
    values: FloatArray,
    sign: float,
    corners: IntArray,
) -> None:
    """Sort the corners of each tetrahedron; note where the first one goes."""
    for i in range(corners.shape[0]):
        centre = 0
        for c in range(4):
            value = sign * values[corners[i, c]]
            place = c
            while place > 0 and ordered[i, place - 1] > value:
                ordered[i, place] = ordered[i, place - 1]
                place -= 1
            ordered[i, place] = value
            if c > 0 and place <= centre:
                centre += 1
        centres[i] = centre


@inner_kernel
def _weight(f: float, ordered: FloatArray, centres: IntArray) -> float:
    """Return the sum of the weights of the first corner over all tetrahedra."""
    total = 0.0
    for i in range(ordered.shape[0]):
        v = ordered[i]
        if v[0] <= f < v[3]:
            total += _corner_weight(f, v[0], v[1], v[2], v[3], centres[i])
    return total


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
    bands: IntArray,
    phonons: Phonons,
    width: tuple[float, float],
) -> None:
    """Fill in Gaussians in the place of delta functions.

    Parameters
    ----------
    weights, triplets, bands, phonons
        As in `tetrahedron_weights`.
    width : tuple of float
        Standard deviation in THz, and the number of these beyond which all three
        functions are taken for zero; zero or less where they never are.
    """
    sigma, cutoff = width[0], width[0] * width[1]
    scale = 1.0 / (math.sqrt(2 * math.pi) * sigma)
    for t in range(triplets.shape[0]):
        for b in range(bands.shape[0]):
            f0 = phonons.frequencies[triplets[t, 0], bands[b]]
            for j in range(phonons.frequencies.shape[1]):
                f1 = phonons.frequencies[triplets[t, 1], j]
                for k in range(phonons.frequencies.shape[1]):
                    f2 = phonons.frequencies[triplets[t, 2], k]
                    x, y, z = f0 - f1 - f2, f0 + f1 - f2, f0 - f1 + f2
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
