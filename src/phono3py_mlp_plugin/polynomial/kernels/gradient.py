"""The gradient of the energy by expansion coefficients, and the forces from it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.kernels.basis import legendre
from phono3py_mlp_plugin.polynomial.kernels.records import (
    FoldedTable,
    Owners,
    Segments,
)
from phono3py_mlp_plugin.polynomial.kernels.simd import (
    LANES,
    Vector,
    inlined,
    item,
    kernel,
    load,
    splat,
    store,
)

GRADIENT_CENTRES = 4 * LANES
"""Centres of a block of the gradient: four vectors keep the processor busy."""


class _Four(NamedTuple):
    """A number of each centre of a block."""

    a: Vector
    b: Vector
    c: Vector
    d: Vector


@inlined
def _zeros() -> _Four:
    return _Four(splat(0.0), splat(0.0), splat(0.0), splat(0.0))


@inlined
def _load_four(array: FloatArray, row: int) -> _Four:
    at = row * GRADIENT_CENTRES
    return _Four(
        load(array, at),
        load(array, at + LANES),
        load(array, at + 2 * LANES),
        load(array, at + 3 * LANES),
    )


@inlined
def _add_four(array: FloatArray, row: int, four: _Four) -> None:
    at = row * GRADIENT_CENTRES
    store(array, at, load(array, at) + four.a)
    store(array, at + LANES, load(array, at + LANES) + four.b)
    store(array, at + 2 * LANES, load(array, at + 2 * LANES) + four.c)
    store(array, at + 3 * LANES, load(array, at + 3 * LANES) + four.d)


@inlined
def _plus_scaled(s: _Four, c: Vector, x: _Four) -> _Four:
    """Return s + c x."""
    return _Four(s.a + c * x.a, s.b + c * x.b, s.c + c * x.c, s.d + c * x.d)


@inlined
def _plus_product(s: _Four, x: _Four, y: _Four) -> _Four:
    """Return s + x y."""
    return _Four(s.a + x.a * y.a, s.b + x.b * y.b, s.c + x.c * y.c, s.d + x.d * y.d)


@kernel
def add_folded(
    folded: FoldedTable, a: FloatArray, gradient: FloatArray, energies: FloatArray
) -> None:
    """Add energy and gradient of the invariants of one order.

    Parameters
    ----------
    a : ndarray
        Expansion coefficients, ``(n_radial, n_v + 1, GRADIENT_CENTRES)``.
    gradient : ndarray
        Added to: ``(n_radial, n_v, GRADIENT_CENTRES)``.
    energies : ndarray
        Added to: ``(GRADIENT_CENTRES,)``.
    """
    pair_start, pair_factor = folded.pair_start, folded.pair_factor
    term_start, term_factor = folded.term_start, folded.term_factor
    weights = folded.weights
    n_radial, n_terms = weights.shape
    n_v = gradient.shape[1]
    energy = _zeros()
    for n in range(n_radial):
        here = n * (n_v + 1)
        for v in range(n_v):
            first, last = item(pair_start, v), item(pair_start, v + 1)
            if first == last:
                continue
            g = _zeros()
            for pair in range(first, last):
                s = _zeros()
                for term in range(item(term_start, pair), item(term_start, pair + 1)):
                    c = splat(item(weights, n * n_terms + term))
                    x = _load_four(a, here + item(term_factor, term))
                    s = _plus_scaled(s, c, x)
                g = _plus_product(g, s, _load_four(a, here + item(pair_factor, pair)))
            energy = _plus_product(energy, g, _load_four(a, here + v))
            _add_four(gradient, n * n_v + v, g)
    share = splat(folded.share)
    store(energies, 0, load(energies, 0) + share * energy.a)
    store(energies, LANES, load(energies, LANES) + share * energy.b)
    store(energies, 2 * LANES, load(energies, 2 * LANES) + share * energy.c)
    store(energies, 3 * LANES, load(energies, 3 * LANES) + share * energy.d)


@kernel
def add_product_weights(
    one: IntArray,
    others: IntArray,
    coefficients: FloatArray,
    factors: FloatArray,
    weights: FloatArray,
) -> None:
    """Add the derivatives of polynomials by their factors.

    Parameters
    ----------
    one, others : ndarray
        A factor and the other ones, shapes ``(n,)`` and ``(n, order - 1)``.
    coefficients : ndarray
        Of the polynomial, shape ``(n,)``.
    factors, weights : ndarray
        Values of the factors, and what is added to: ``(n_factors, GRADIENT_CENTRES)``.
    """
    for k in range(one.shape[0]):
        for lane in range(0, GRADIENT_CENTRES, LANES):
            term = splat(coefficients[k])
            for slot in range(others.shape[1]):
                at = others[k, slot] * GRADIENT_CENTRES + lane
                term = term * load(factors, at)
            at = one[k] * GRADIENT_CENTRES + lane
            store(weights, at, load(weights, at) + term)


@kernel
def add_weighted_rows(
    variables: IntArray,
    patterns: IntArray,
    derivatives: FloatArray,
    weights: FloatArray,
    gradient: FloatArray,
) -> None:
    """Add the gradient of weighted patterns of one n, from their derivatives.

    ``derivatives`` is ``(n_rows, GRADIENT_CENTRES)``, ``weights`` ``(n_patterns,
    GRADIENT_CENTRES)``, ``gradient`` ``(n_v, GRADIENT_CENTRES)``.
    """
    for row in range(variables.shape[0]):
        to = variables[row] * GRADIENT_CENTRES
        weight = patterns[row] * GRADIENT_CENTRES
        for lane in range(0, GRADIENT_CENTRES, LANES):
            derivative = load(derivatives, row * GRADIENT_CENTRES + lane)
            added = load(weights, weight + lane) * derivative
            store(gradient, to + lane, load(gradient, to + lane) + added)


class _Slopes(NamedTuple):
    """Derivatives of the energy by the position of a neighbour.

    Attributes
    ----------
    radial : Vector
        By the distance, through the radial functions.
    x, y, z : Vector
        By the unit vector, as if its components were independent.
    outward : Vector
        The part of those that points outwards.
    """

    radial: Vector
    x: Vector
    y: Vector
    z: Vector
    outward: Vector


class _Phases(NamedTuple):
    """``Im`` and ``Re`` of ``(x + i y)^m`` and of ``(x + i y)^(m - 1)``."""

    sine: Vector
    cosine: Vector
    lower_sine: Vector
    lower_cosine: Vector


@inlined
def _raise(phases: _Phases, x: Vector, y: Vector) -> _Phases:
    """Return the phases of the next m."""
    cosine = x * phases.cosine - y * phases.sine
    sine = x * phases.sine + y * phases.cosine
    return _Phases(sine, cosine, phases.sine, phases.cosine)


@inlined
def _zonal_sums(
    functions: FloatArray, slopes: FloatArray, p: int, weights: FloatArray, at: int
) -> tuple[Vector, Vector]:
    """Return ``sum_n w_n f_n`` and the same of the derivatives of f."""
    n_radial, n = functions.shape
    f = splat(0.0)
    g = splat(0.0)
    for k in range(n_radial):
        c = splat(item(weights, at + k))
        f = f + c * load(functions, k * n + p)
        g = g + c * load(slopes, k * n + p)
    return f, g


@inlined
def _phase_sums(
    functions: FloatArray, slopes: FloatArray, p: int, weights: FloatArray, at: int
) -> tuple[Vector, Vector, Vector, Vector]:
    """Return what `_zonal_sums` does, of cosines and then of sines."""
    n_radial, n = functions.shape
    f = splat(0.0)
    g = splat(0.0)
    fs = splat(0.0)
    gs = splat(0.0)
    for k in range(n_radial):
        value = load(functions, k * n + p)
        slope = load(slopes, k * n + p)
        c = splat(item(weights, at + k))
        s = splat(item(weights, at + n_radial + k))
        f = f + c * value
        g = g + c * slope
        fs = fs + s * value
        gs = gs + s * slope
    return f, g, fs, gs


@inlined
def _add_zonal(
    sums: _Slopes, radial: tuple[Vector, Vector], q: Vector, slope: Vector, z: Vector
) -> _Slopes:
    """Add the harmonic of an l with m = 0."""
    f, g = radial
    steep = f * slope
    return _Slopes(
        sums.radial + g * q, sums.x, sums.y, sums.z + steep, sums.outward + z * steep
    )


@inlined
def _add_phases(
    sums: _Slopes,
    radial: tuple[Vector, Vector, Vector, Vector],
    q: Vector,
    mq: Vector,
    slope: Vector,
    z: Vector,
    phases: _Phases,
) -> _Slopes:
    """Add the two harmonics of an l and m > 0."""
    f, g, fs, gs = radial
    sine, cosine, lower_sine, lower_cosine = phases
    both = f * cosine + fs * sine
    steep = both * slope
    return _Slopes(
        sums.radial + q * (g * cosine + gs * sine),
        sums.x + mq * (f * lower_cosine + fs * lower_sine),
        sums.y + mq * (fs * lower_cosine - f * lower_sine),
        sums.z + steep,
        sums.outward + mq * both + z * steep,
    )


@inlined
def _slopes(
    segments: Segments,
    p: int,
    weights: FloatArray,
    constants: FloatArray,
    polynomials: FloatArray,
) -> _Slopes:
    """Return the derivatives of the energy by the positions of a vector of neighbours.

    ``weights`` are the derivatives by the coefficients of their type, ``(n_lm,
    n_radial)``; ``polynomials`` is overwritten.
    """
    unit, functions, slopes = segments.unit, segments.functions, segments.slopes
    n_radial, n = functions.shape
    max_l = constants.shape[0] - 1
    width = (max_l + 2) * LANES
    x = load(unit, p)
    y = load(unit, n + p)
    z = load(unit, 2 * n + p)
    legendre(z, max_l, polynomials)
    phases = _Phases(splat(0.0), splat(1.0), splat(0.0), splat(0.0))
    sums = _Slopes(splat(0.0), splat(0.0), splat(0.0), splat(0.0), splat(0.0))
    for m in range(max_l + 1):
        for l in range(m, max_l + 1):
            at = l * width + m * LANES
            q = constants[l, m] * load(polynomials, at)
            slope = constants[l, m] * load(polynomials, at + LANES)
            mq = float(m) * q
            first = (l * l + max(2 * m - 1, 0)) * n_radial
            if m == 0:
                zonal = _zonal_sums(functions, slopes, p, weights, first)
                sums = _add_zonal(sums, zonal, q, slope, z)
                continue
            radial = _phase_sums(functions, slopes, p, weights, first)
            sums = _add_phases(sums, radial, q, mq, slope, z, phases)
        phases = _raise(phases, x, y)
    return sums


@inlined
def _write_derivatives(
    segments: Segments, p: int, sums: _Slopes, derivatives: FloatArray
) -> None:
    """Write the derivatives by Cartesian components, flat of ``(3, LANES)``."""
    unit = segments.unit
    n = unit.shape[1]
    inverse = load(segments.inverse_distances, p)
    radial = sums.radial - inverse * sums.outward
    store(derivatives, 0, radial * load(unit, p) + inverse * sums.x)
    store(derivatives, LANES, radial * load(unit, n + p) + inverse * sums.y)
    store(derivatives, 2 * LANES, radial * load(unit, 2 * n + p) + inverse * sums.z)


@inlined
def _add_to_atoms(
    segments: Segments,
    owners: Owners,
    i: int,
    p: int,
    derivatives: FloatArray,
    forces: FloatArray,
    virials: FloatArray,
) -> None:
    """Add the derivatives by the positions of a vector of neighbours of centre i."""
    unit, distances, partners = segments.unit, segments.distances, owners.partners
    centre, structure = owners.centres[i], owners.structures[i]
    n = distances.shape[0]
    for lane in range(LANES):
        r = distances[p + lane]
        if r == np.inf:
            continue
        j = partners[p + lane]
        for a in range(3):
            derivative = derivatives[a * LANES + lane]
            forces[j, a] -= derivative
            forces[centre, a] += derivative
            for b in range(3):
                virials[structure, b, a] += (
                    r * item(unit, b * n + p + lane) * derivative
                )


@kernel
def add_forces(
    segments: Segments,
    owners: Owners,
    first: int,
    constants: FloatArray,
    gradient: FloatArray,
    forces: FloatArray,
    virials: FloatArray,
) -> None:
    """Add the forces and virials of a block of centres.

    Parameters
    ----------
    first : int
        First centre of the block.
    constants : ndarray
        From `normalisation`.
    gradient : ndarray
        ``dE/da``, ``(n_radial, n_v, GRADIENT_CENTRES)``.
    forces : ndarray
        Added to: ``(n_atoms, 3)``.
    virials : ndarray
        Added to: ``sum r dE/dr``, ``(n_structures, 3, 3)``.
    """
    start = segments.start
    n_types = start.shape[1] - 1
    n_radial = gradient.shape[0]
    max_l = constants.shape[0] - 1
    n_lm = (max_l + 1) ** 2
    polynomials = np.empty((max_l + 1) * (max_l + 2) * LANES)
    weights = np.empty((n_lm, n_radial))
    derivatives = np.empty(3 * LANES)
    for i in range(first, min(first + GRADIENT_CENTRES, start.shape[0])):
        for t in range(n_types):
            if start[i, t] == start[i, t + 1]:
                continue
            for lm in range(n_lm):
                for k in range(n_radial):
                    weights[lm, k] = gradient[k, t * n_lm + lm, i - first]
            for p in range(start[i, t], start[i, t + 1], LANES):
                sums = _slopes(segments, p, weights, constants, polynomials)
                _write_derivatives(segments, p, sums, derivatives)
                _add_to_atoms(segments, owners, i, p, derivatives, forces, virials)
