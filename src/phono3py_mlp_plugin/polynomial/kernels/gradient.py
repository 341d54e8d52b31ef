"""The compiled loops of the evaluation: the energy's gradient, carried to the atoms."""

from __future__ import annotations

from typing import Any

import numpy as np

from phono3py_mlp_plugin.polynomial.kernels.basis import legendre
from phono3py_mlp_plugin.polynomial.kernels.simd import (
    LANES,
    item,
    kernel,
    load,
    splat,
    store,
)

CENTRES = 4 * LANES
"""Centres in a block: four vectors of them keep the arithmetic units busy."""


@kernel
def add_folded(
    pair_start: Any,
    pair_factor: Any,
    term_start: Any,
    term_factor: Any,
    weights: Any,
    order: int,
    n_radial: int,
    a: Any,
    gradient: Any,
    energies: Any,
) -> None:
    """Add energy and gradient of the invariants of one order, see `folding.Folded`.

    Parameters
    ----------
    pair_factor, term_factor : ndarray
        Times `CENTRES`.
    weights : ndarray
        Flat.
    a : ndarray
        Expansion coefficients, ``(n_radial, n_v + 1, CENTRES)``.
    gradient : ndarray
        Added to: ``(n_radial, n_v, CENTRES)``.
    energies : ndarray
        Added to: ``(CENTRES,)``; 1/p of the gradient times the coefficients (Euler).
    """
    n_v = pair_start.shape[0] - 1
    n_terms = term_factor.shape[0]
    share = splat(1.0 / order)
    e0 = splat(0.0)
    e1 = splat(0.0)
    e2 = splat(0.0)
    e3 = splat(0.0)
    for n in range(n_radial):
        here = n * (n_v + 1) * CENTRES
        for v in range(n_v):
            first = item(pair_start, v)
            last = item(pair_start, v + 1)
            if first == last:
                continue
            g0 = splat(0.0)
            g1 = splat(0.0)
            g2 = splat(0.0)
            g3 = splat(0.0)
            for pair in range(first, last):
                s0 = splat(0.0)
                s1 = splat(0.0)
                s2 = splat(0.0)
                s3 = splat(0.0)
                for term in range(item(term_start, pair), item(term_start, pair + 1)):
                    c = splat(item(weights, n * n_terms + term))
                    x = here + item(term_factor, term)
                    s0 = s0 + c * load(a, x)
                    s1 = s1 + c * load(a, x + LANES)
                    s2 = s2 + c * load(a, x + 2 * LANES)
                    s3 = s3 + c * load(a, x + 3 * LANES)
                x = here + item(pair_factor, pair)
                g0 = g0 + s0 * load(a, x)
                g1 = g1 + s1 * load(a, x + LANES)
                g2 = g2 + s2 * load(a, x + 2 * LANES)
                g3 = g3 + s3 * load(a, x + 3 * LANES)
            x = here + v * CENTRES
            e0 = e0 + g0 * load(a, x)
            e1 = e1 + g1 * load(a, x + LANES)
            e2 = e2 + g2 * load(a, x + 2 * LANES)
            e3 = e3 + g3 * load(a, x + 3 * LANES)
            x = (n * n_v + v) * CENTRES
            store(gradient, x, load(gradient, x) + g0)
            store(gradient, x + LANES, load(gradient, x + LANES) + g1)
            store(gradient, x + 2 * LANES, load(gradient, x + 2 * LANES) + g2)
            store(gradient, x + 3 * LANES, load(gradient, x + 3 * LANES) + g3)
    store(energies, 0, load(energies, 0) + share * e0)
    store(energies, LANES, load(energies, LANES) + share * e1)
    store(energies, 2 * LANES, load(energies, 2 * LANES) + share * e2)
    store(energies, 3 * LANES, load(energies, 3 * LANES) + share * e3)


@kernel
def add_product_weights(
    one: Any, others: Any, coefficients: Any, factors: Any, weights: Any
) -> None:
    """Add the derivatives of polynomials by their factors.

    Parameters
    ----------
    one, others : ndarray
        A factor and the other ones, shapes ``(n,)`` and ``(n, order - 1)``.
    coefficients : ndarray
        Of the polynomial, shape ``(n,)``.
    factors, weights : ndarray
        Values of the factors, and what is added to: flat of ``(n_factors, CENTRES)``.
    """
    for k in range(one.shape[0]):
        for lane in range(0, CENTRES, LANES):
            term = splat(coefficients[k])
            for slot in range(others.shape[1]):
                term = term * load(factors, others[k, slot] * CENTRES + lane)
            at = one[k] * CENTRES + lane
            store(weights, at, load(weights, at) + term)


@kernel
def add_weighted_rows(
    variables: Any, patterns: Any, derivatives: Any, weights: Any, gradient: Any
) -> None:
    """Add the gradient of weighted patterns of one n, from their derivatives.

    ``derivatives`` is ``(n_rows, CENTRES)``, ``weights`` ``(n_patterns, CENTRES)``,
    ``gradient`` ``(n_v, CENTRES)``, all flat.
    """
    for row in range(variables.shape[0]):
        to = variables[row] * CENTRES
        weight = patterns[row] * CENTRES
        for lane in range(0, CENTRES, LANES):
            added = load(weights, weight + lane) * load(
                derivatives, row * CENTRES + lane
            )
            store(gradient, to + lane, load(gradient, to + lane) + added)


@kernel
def add_forces(
    first: int,
    start: Any,
    partners: Any,
    centres: Any,
    structures: Any,
    unit: Any,
    distances: Any,
    inverse_distances: Any,
    functions: Any,
    slopes: Any,
    n_radial: int,
    constants: Any,
    gradient: Any,
    forces: Any,
    virials: Any,
) -> None:
    """Carry the gradient of a block of centres on to the atoms.

    Parameters
    ----------
    first : int
        First centre of the block.
    start, partners : ndarray
        Neighbours of each centre and type, padded to vectors, and their atoms.
    centres, structures : ndarray
        Atom and structure of each centre.
    gradient : ndarray
        ``dE/da``, flat of ``(n_radial, n_v, CENTRES)``.
    forces : ndarray
        Added to: ``(n_atoms, 3)``.
    virials : ndarray
        Added to: ``sum r dE/dr``, ``(n_structures, 3, 3)``.
    """
    n_types = start.shape[1] - 1
    n = distances.shape[0]
    max_l = constants.shape[0] - 1
    n_lm = (max_l + 1) ** 2
    n_v = n_types * n_lm
    width = (max_l + 2) * LANES
    polynomials = np.empty((max_l + 1) * width)
    here = np.empty(n_lm * n_radial)
    moved = np.empty(3 * LANES)
    for i in range(first, min(first + CENTRES, start.shape[0])):
        centre = centres[i]
        for t in range(n_types):
            if start[i, t] == start[i, t + 1]:
                continue
            for lm in range(n_lm):
                for k in range(n_radial):
                    at = (k * n_v + t * n_lm + lm) * CENTRES + i - first
                    here[lm * n_radial + k] = gradient[at]
            for p in range(start[i, t], start[i, t + 1], LANES):
                x = load(unit, p)
                y = load(unit, n + p)
                z = load(unit, 2 * n + p)
                legendre(z, max_l, polynomials)
                cosine = splat(1.0)
                sine = splat(0.0)
                lower_cosine = splat(0.0)
                lower_sine = splat(0.0)
                along = splat(0.0)
                gx = splat(0.0)
                gy = splat(0.0)
                gz = splat(0.0)
                outward = splat(0.0)
                for m in range(max_l + 1):
                    for l in range(m, max_l + 1):
                        at = l * width + m * LANES
                        constant = constants[l, m]
                        q = constant * load(polynomials, at)
                        slope = constant * load(polynomials, at + LANES)
                        mq = float(m) * q
                        lm = (l * l + max(2 * m - 1, 0)) * n_radial
                        f = splat(0.0)
                        g = splat(0.0)
                        if m == 0:
                            for k in range(n_radial):
                                c = splat(item(here, lm + k))
                                f = f + c * load(functions, k * n + p)
                                g = g + c * load(slopes, k * n + p)
                            along = along + g * q
                            steep = f * slope
                            gz = gz + steep
                            outward = outward + z * steep
                            continue
                        fs = splat(0.0)
                        gs = splat(0.0)
                        for k in range(n_radial):
                            value = load(functions, k * n + p)
                            change = load(slopes, k * n + p)
                            c = splat(item(here, lm + k))
                            s = splat(item(here, lm + n_radial + k))
                            f = f + c * value
                            g = g + c * change
                            fs = fs + s * value
                            gs = gs + s * change
                        along = along + q * (g * cosine + gs * sine)
                        both = f * cosine + fs * sine
                        steep = both * slope
                        gx = gx + mq * (f * lower_cosine + fs * lower_sine)
                        gy = gy + mq * (fs * lower_cosine - f * lower_sine)
                        gz = gz + steep
                        outward = outward + mq * both + z * steep
                    lower_cosine = cosine
                    lower_sine = sine
                    cosine = x * lower_cosine - y * lower_sine
                    sine = x * lower_sine + y * lower_cosine
                inverse = load(inverse_distances, p)
                along = along - inverse * outward
                store(moved, 0, along * x + inverse * gx)
                store(moved, LANES, along * y + inverse * gy)
                store(moved, 2 * LANES, along * z + inverse * gz)
                for lane in range(LANES):
                    r = distances[p + lane]
                    if r == np.inf:
                        continue
                    j = partners[p + lane]
                    for a in range(3):
                        force = moved[a * LANES + lane]
                        forces[j, a] -= force
                        forces[centre, a] += force
                        for b in range(3):
                            virials[structures[i], b, a] += (
                                r * unit[b * n + p + lane] * force
                            )
