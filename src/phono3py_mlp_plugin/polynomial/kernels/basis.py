"""Radial functions, spherical harmonics, and expansion coefficients of neighbours.

Real spherical harmonics without Condon-Shortley phase on the unit vector (x, y, z):
``K_lm Q_lm(z) {Re, Im} (x + i y)^m`` with ``Q_lm = d^m P_l / dz^m`` and ``K_lm =
sqrt((2l + 1) / (4 pi) (l - m)! / (l + m)!)``; number ``l^2 + mu`` as in `tables`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial, pi, sqrt
from typing import Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.kernels.simd import (
    LANES,
    item,
    kernel,
    load,
    splat,
    store,
    total,
)

_CACHE_LINE = 64  # bytes


@dataclass(frozen=True, eq=False)
class Segments:
    """Neighbours of some centres by partner type, padded to whole vectors.

    Attributes
    ----------
    start : ndarray
        Those of centre i and type t are ``start[i, t]`` to ``start[i, t + 1]``, shape
        ``(n_centres, n_types + 1)``; all are multiples of `LANES`.
    unit : ndarray
        Unit vectors, shape ``(3, n)``.
    distances : ndarray
        In angstrom, shape ``(n,)``; infinite where there is no neighbour.
    """

    start: IntArray
    unit: FloatArray
    distances: FloatArray


def aligned(*shape: int) -> FloatArray:
    """Return an array whose data start at a cache line: vectors must not straddle."""
    size = int(np.prod(shape))
    spare = _CACHE_LINE // 8
    whole = np.empty(size + spare)
    skip = (-whole.ctypes.data % _CACHE_LINE) // 8
    return whole[skip : skip + size].reshape(shape)


def pad(n: Any) -> Any:
    """Return the next multiple of `LANES`."""
    return -(-n // LANES) * LANES


def make_segments(start: IntArray, place: IntArray, vectors: FloatArray) -> Segments:
    """Put neighbours at their places.

    Parameters
    ----------
    start : ndarray
        As in `Segments`.
    place : ndarray
        Where each vector goes, shape ``(n_pairs,)``.
    vectors : ndarray
        In angstrom, shape ``(n_pairs, 3)``.
    """
    size = int(start[-1, -1])
    unit, distances = aligned(3, size), aligned(size)
    unit[:] = 0.0
    unit[2] = 1.0
    distances[:] = np.inf
    lengths = np.sqrt((vectors**2).sum(axis=1))
    distances[place] = lengths
    unit[:, place] = vectors.T / lengths
    return Segments(start, unit, distances)


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


@kernel
def legendre(z: Any, max_l: int, scratch: Any) -> None:
    """Write ``Q_lm(z)`` of one vector to ``scratch[(l (max_l + 2) + m) LANES]``.

    m goes up to l + 1, where Q is zero, since the derivative of Q_lm is Q_l,m+1.
    """
    width = (max_l + 2) * LANES
    diagonal = 1.0
    for m in range(max_l + 1):
        at = m * width + m * LANES
        store(scratch, at, splat(diagonal))
        store(scratch, at + LANES, splat(0.0))
        if m < max_l:
            store(scratch, at + width, ((2.0 * m + 1.0) * diagonal) * z)
        for l in range(m + 2, max_l + 1):
            at = l * width + m * LANES
            up = (2.0 * l - 1.0) / (l - m)
            down = (l + m - 1.0) / (l - m)
            store(
                scratch,
                at,
                up * z * load(scratch, at - width)
                - down * load(scratch, at - 2 * width),
            )
        diagonal *= 2.0 * m + 1.0


@kernel
def harmonics(
    unit: Any,
    first: int,
    last: int,
    constants: Any,
    scratch: Any,
    out: Any,
    stride: int,
) -> None:
    """Write Y of neighbours ``first`` to ``last`` to ``out[lm stride + place]``.

    Parameters
    ----------
    unit : ndarray
        Flat unit vectors: x, then y, then z.
    constants : ndarray
        From `normalisation`.
    scratch : ndarray
        At least ``(max_l + 1) (max_l + 2) LANES`` numbers.
    """
    max_l = constants.shape[0] - 1
    n = unit.shape[0] // 3
    width = (max_l + 2) * LANES
    for p in range(first, last, LANES):
        x = load(unit, p)
        y = load(unit, n + p)
        legendre(load(unit, 2 * n + p), max_l, scratch)
        cosine = splat(1.0)
        sine = splat(0.0)
        for m in range(max_l + 1):
            for l in range(m, max_l + 1):
                q = constants[l, m] * load(scratch, l * width + m * LANES)
                k = l * l + max(2 * m - 1, 0)
                store(out, k * stride + p - first, q * cosine)
                if m > 0:
                    store(out, (k + 1) * stride + p - first, q * sine)
            higher = x * cosine - y * sine
            sine = x * sine + y * cosine
            cosine = higher


@kernel
def harmonics_and_gradients(
    unit: Any,
    inverse_distances: Any,
    p: int,
    constants: Any,
    scratch: Any,
    values: Any,
    gradients: Any,
) -> None:
    """Write Y and its gradient by the neighbours' positions, of one vector of them.

    Parameters
    ----------
    unit, constants, scratch
        As in `harmonics`.
    p : int
        The first neighbour.
    values, gradients : ndarray
        Written: flat of ``(n_lm, LANES)`` and ``(n_lm, 3, LANES)``.
    """
    max_l = constants.shape[0] - 1
    n = inverse_distances.shape[0]
    width = (max_l + 2) * LANES
    x = load(unit, p)
    y = load(unit, n + p)
    z = load(unit, 2 * n + p)
    inverse = load(inverse_distances, p)
    legendre(z, max_l, scratch)
    cosine = splat(1.0)
    sine = splat(0.0)
    lower_cosine = splat(0.0)
    lower_sine = splat(0.0)
    for m in range(max_l + 1):
        for l in range(m, max_l + 1):
            at = l * width + m * LANES
            constant = constants[l, m]
            q = constant * load(scratch, at)
            slope = constant * load(scratch, at + LANES)
            k = (l * l + max(2 * m - 1, 0)) * LANES
            # d/dx (x + i y)^m = m (x + i y)^(m-1), d/dy the same times i.
            value = q * cosine
            along = slope * cosine
            radial = float(m) * value + z * along
            mq = float(m) * q
            store(values, k, value)
            store(gradients, 3 * k, inverse * (mq * lower_cosine - radial * x))
            turned = splat(0.0) - mq * lower_sine
            store(gradients, 3 * k + LANES, inverse * (turned - radial * y))
            store(gradients, 3 * k + 2 * LANES, inverse * (along - radial * z))
            if m > 0:
                k += LANES
                value = q * sine
                along = slope * sine
                radial = float(m) * value + z * along
                store(values, k, value)
                store(gradients, 3 * k, inverse * (mq * lower_sine - radial * x))
                turned = mq * lower_cosine
                store(gradients, 3 * k + LANES, inverse * (turned - radial * y))
                store(gradients, 3 * k + 2 * LANES, inverse * (along - radial * z))
        lower_cosine = cosine
        lower_sine = sine
        cosine = x * lower_cosine - y * lower_sine
        sine = x * lower_sine + y * lower_cosine


@kernel
def expand(
    start: Any,
    unit: Any,
    functions: Any,
    n_radial: int,
    constants: Any,
    first: int,
    lanes: int,
    coefficients: Any,
) -> None:
    """Write the expansion coefficients ``sum_j f_n(r_ij) Y_lm(r_ij)`` of centres.

    Parameters
    ----------
    start, unit : ndarray
        Of `Segments`; ``unit`` flat.
    functions : ndarray
        Of `radial_functions`, flat.
    first, lanes : int
        The centres ``first`` to ``first + lanes``.
    coefficients : ndarray
        Flat of shape ``(n_radial, n_types n_lm + 1, lanes)``. The last one of each n is
        1. Lanes without a centre are zero, in this one too, and so is all made of them.
    """
    max_l = constants.shape[0] - 1
    n_lm = (max_l + 1) ** 2
    n_types = start.shape[1] - 1
    n = unit.shape[0] // 3
    longest: Any = np.int64(0)
    for i in range(start.shape[0]):
        for t in range(n_types):
            longest = max(longest, start[i, t + 1] - start[i, t])
    scratch = np.empty((max_l + 1) * (max_l + 2) * LANES)
    values = np.empty(n_lm * longest)
    width = (n_types * n_lm + 1) * lanes
    coefficients[: n_radial * width] = 0.0
    last = min(first + lanes, start.shape[0])
    for k in range(n_radial):
        one = (k + 1) * width - lanes
        coefficients[one : one + last - first] = 1.0
    for i in range(first, last):
        for t in range(n_types):
            low = item(start, i * (n_types + 1) + t)
            length = item(start, i * (n_types + 1) + t + 1) - low
            harmonics(unit, low, low + length, constants, scratch, values, longest)
            for lm in range(n_lm):
                at = (t * n_lm + lm) * lanes + i - first
                for k in range(n_radial):
                    s = splat(0.0)
                    for p in range(0, length, LANES):
                        s = s + load(functions, k * n + low + p) * load(
                            values, lm * longest + p
                        )
                    coefficients[k * width + at] = total(s)
