"""Radial functions, spherical harmonics, and expansion coefficients of neighbours.

Real spherical harmonics without Condon-Shortley phase on the unit vector (x, y, z):
``K_lm Q_lm(z) {Re, Im} (x + i y)^m`` with ``Q_lm = d^m P_l / dz^m`` and ``K_lm =
sqrt((2l + 1) / (4 pi) (l - m)! / (l + m)!)``; number ``l^2 + mu`` as in `tables`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial, pi, sqrt
from typing import Any, NamedTuple, TypeVar

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.kernels.records import Harmonics, Segments
from phono3py_mlp_plugin.polynomial.kernels.simd import (
    LANES,
    Vector,
    inlined,
    inner_kernel,
    kernel,
    load,
    splat,
    store,
    total,
)

_Integer = TypeVar("_Integer", int, IntArray)

_CACHE_LINE = 64  # bytes


class _Point(NamedTuple):
    """Unit vectors and inverse distances of a vector of neighbours."""

    x: Vector
    y: Vector
    z: Vector
    inverse: Vector


def aligned(*shape: int) -> FloatArray:
    """Return an array whose data start at a cache line: vectors must not straddle."""
    size = int(np.prod(shape))
    spare = _CACHE_LINE // 8
    whole = np.empty(size + spare)
    skip = (-whole.ctypes.data % _CACHE_LINE) // 8
    return whole[skip : skip + size].reshape(shape)


def pad(n: _Integer) -> _Integer:
    """Return the next multiple of `LANES`."""
    return -(-n // LANES) * LANES


def make_segments(
    start: IntArray,
    place: IntArray,
    vectors: FloatArray,
    pair_params: Sequence[tuple[float, float]],
    cutoff: float,
) -> Segments:
    """Put neighbours at their places and compute the radial functions.

    Parameters
    ----------
    start : ndarray
        As in `Segments`.
    place : ndarray
        Where each vector goes, shape ``(n_pairs,)``.
    vectors : ndarray
        In angstrom, shape ``(n_pairs, 3)``.
    pair_params, cutoff
        Of `radial_functions`.
    """
    size = int(start[-1, -1])
    unit, distances = aligned(3, size), aligned(size)
    unit[:] = 0.0
    unit[2] = 1.0
    distances[:] = np.inf
    lengths = np.sqrt((vectors**2).sum(axis=1))
    distances[place] = lengths
    unit[:, place] = vectors.T / lengths
    functions, slopes = radial_functions(distances, pair_params, cutoff)
    return Segments(start, unit, distances, 1.0 / distances, functions, slopes)


def radial_functions(
    distances: FloatArray, pair_params: Sequence[tuple[float, float]], cutoff: float
) -> tuple[FloatArray, FloatArray]:
    """Return ``f_n(r)`` and its derivative, shape ``(n_radial, n)``; zero beyond.

    ``f_n(r) = exp(-beta (r - r0)^2) (cos(pi r / cutoff) + 1) / 2``.
    """
    inside = distances < cutoff
    r = np.where(inside, distances, cutoff)
    smooth = np.where(inside, 0.5 * (np.cos(pi / cutoff * r) + 1.0), 0.0)
    slope = np.where(inside, -0.5 * pi / cutoff * np.sin(pi / cutoff * r), 0.0)
    values = aligned(len(pair_params), len(r))
    derivatives = aligned(len(pair_params), len(r))
    for n, (beta, r0) in enumerate(pair_params):
        gaussian = np.exp(-beta * (r - r0) ** 2)
        np.multiply(gaussian, smooth, out=values[n])
        derivatives[n] = gaussian * slope - 2.0 * beta * (r - r0) * values[n]
    return values, derivatives


def normalisation(max_l: int) -> FloatArray:
    """Return ``K_lm`` by l and m, shape ``(max_l + 1, max_l + 1)``."""
    constants = np.zeros((max_l + 1, max_l + 1))
    for l in range(max_l + 1):
        for m in range(l + 1):
            ratio = factorial(l - m) / factorial(l + m)
            constants[l, m] = sqrt((2 * l + 1) / (4 * pi) * ratio)
    return constants


@inlined
def clear(array: FloatArray) -> None:
    """Write zeros to whole vectors."""
    for at in range(0, array.size, LANES):
        store(array, at, splat(0.0))


@inner_kernel
def legendre(z: Vector, max_l: int, polynomials: FloatArray) -> None:
    """Write ``Q_lm(z)`` of one vector to ``polynomials[(l (max_l + 2) + m) LANES]``.

    m goes up to l + 1, where Q is zero, since the derivative of Q_lm is Q_l,m+1.
    """
    width = (max_l + 2) * LANES
    diagonal = 1.0
    for m in range(max_l + 1):
        at = m * width + m * LANES
        store(polynomials, at, splat(diagonal))
        store(polynomials, at + LANES, splat(0.0))
        if m < max_l:
            store(polynomials, at + width, ((2.0 * m + 1.0) * diagonal) * z)
        for l in range(m + 2, max_l + 1):
            at = l * width + m * LANES
            up = (2.0 * l - 1.0) / (l - m)
            down = (l + m - 1.0) / (l - m)
            store(
                polynomials,
                at,
                up * z * load(polynomials, at - width)
                - down * load(polynomials, at - 2 * width),
            )
        diagonal *= 2.0 * m + 1.0


@inner_kernel
def harmonics(
    unit: FloatArray,
    first: int,
    last: int,
    constants: FloatArray,
    polynomials: FloatArray,
    values: FloatArray,
) -> None:
    """Write Y of neighbours ``first`` to ``last`` to ``values[lm, place]``.

    Parameters
    ----------
    unit : ndarray
        Of `Segments`.
    constants : ndarray
        From `normalisation`.
    polynomials : ndarray
        Written: at least ``(max_l + 1) (max_l + 2) LANES`` numbers.
    """
    max_l = constants.shape[0] - 1
    n = unit.shape[1]
    width = (max_l + 2) * LANES
    stride = values.shape[1]
    for p in range(first, last, LANES):
        x = load(unit, p)
        y = load(unit, n + p)
        legendre(load(unit, 2 * n + p), max_l, polynomials)
        cosine = splat(1.0)
        sine = splat(0.0)
        for m in range(max_l + 1):
            for l in range(m, max_l + 1):
                q = constants[l, m] * load(polynomials, l * width + m * LANES)
                k = l * l + max(2 * m - 1, 0)
                store(values, k * stride + p - first, q * cosine)
                if m > 0:
                    store(values, (k + 1) * stride + p - first, q * sine)
            higher = x * cosine - y * sine
            sine = x * sine + y * cosine
            cosine = higher


@inlined
def _write_harmonic(
    out: Harmonics,
    at: int,
    point: _Point,
    value: Vector,
    outward: Vector,
    along: tuple[Vector, Vector, Vector],
) -> None:
    """Write one harmonic and its gradient on the sphere.

    ``along`` are the derivatives of the harmonic as a polynomial of x, y, z, and
    ``outward`` is the part of them that points outwards.
    """
    inverse = point.inverse
    store(out.values, at, value)
    gx = inverse * (along[0] - outward * point.x)
    gy = inverse * (along[1] - outward * point.y)
    gz = inverse * (along[2] - outward * point.z)
    store(out.gradients, 3 * at, gx)
    store(out.gradients, 3 * at + LANES, gy)
    store(out.gradients, 3 * at + 2 * LANES, gz)


@inner_kernel
def harmonics_and_gradients(
    segments: Segments, p: int, constants: FloatArray, out: Harmonics
) -> None:
    """Write Y and its gradient by the neighbours' positions, of one vector of them.

    Parameters
    ----------
    p : int
        The first neighbour.
    constants : ndarray
        From `normalisation`.
    out : Harmonics
        Written.
    """
    max_l = constants.shape[0] - 1
    unit = segments.unit
    n = unit.shape[1]
    width = (max_l + 2) * LANES
    inverse = load(segments.inverse_distances, p)
    point = _Point(load(unit, p), load(unit, n + p), load(unit, 2 * n + p), inverse)
    legendre(point.z, max_l, out.polynomials)
    cosine = splat(1.0)
    sine = splat(0.0)
    lower_cosine = splat(0.0)
    lower_sine = splat(0.0)
    for m in range(max_l + 1):
        for l in range(m, max_l + 1):
            at = l * width + m * LANES
            q = constants[l, m] * load(out.polynomials, at)
            slope = constants[l, m] * load(out.polynomials, at + LANES)
            k = (l * l + max(2 * m - 1, 0)) * LANES
            # d/dx (x + i y)^m = m (x + i y)^(m-1), d/dy the same times i.
            value = q * cosine
            dz = slope * cosine
            outward = float(m) * value + point.z * dz
            mq = float(m) * q
            dx = mq * lower_cosine
            dy = splat(0.0) - mq * lower_sine
            _write_harmonic(out, k, point, value, outward, (dx, dy, dz))
            if m > 0:
                k += LANES
                value = q * sine
                dz = slope * sine
                outward = float(m) * value + point.z * dz
                dx = mq * lower_sine
                dy = mq * lower_cosine
                _write_harmonic(out, k, point, value, outward, (dx, dy, dz))
        lower_cosine = cosine
        lower_sine = sine
        cosine = point.x * lower_cosine - point.y * lower_sine
        sine = point.x * lower_sine + point.y * lower_cosine


@kernel
def expand(
    segments: Segments, constants: FloatArray, first: int, coefficients: FloatArray
) -> None:
    """Write the expansion coefficients ``sum_j f_n(r_ij) Y_lm(r_ij)`` of centres.

    Parameters
    ----------
    constants : ndarray
        From `normalisation`.
    first : int
        The first centre.
    coefficients : ndarray
        Shape ``(n_radial, n_types n_lm + 1, lanes)``, a centre per lane. The last one
        of each n is 1. Lanes without a centre are zero, in this one too, and so is all
        made of them.
    """
    max_l = constants.shape[0] - 1
    n_lm = (max_l + 1) ** 2
    start, functions = segments.start, segments.functions
    n_radial, n = functions.shape
    n_types = start.shape[1] - 1
    longest: Any = np.int64(0)
    for i in range(start.shape[0]):
        for t in range(n_types):
            longest = max(longest, start[i, t + 1] - start[i, t])
    polynomials = np.empty((max_l + 1) * (max_l + 2) * LANES)
    values = np.empty((n_lm, longest))
    last = min(first + coefficients.shape[2], start.shape[0])
    clear(coefficients)
    for i in range(first, last):
        for k in range(n_radial):
            coefficients[k, n_types * n_lm, i - first] = 1.0
        for t in range(n_types):
            low, high = start[i, t], start[i, t + 1]
            harmonics(segments.unit, low, high, constants, polynomials, values)
            for lm in range(n_lm):
                for k in range(n_radial):
                    s = splat(0.0)
                    for p in range(0, high - low, LANES):
                        f = load(functions, k * n + low + p)
                        s = s + f * load(values, lm * longest + p)
                    coefficients[k, t * n_lm + lm, i - first] = total(s)
