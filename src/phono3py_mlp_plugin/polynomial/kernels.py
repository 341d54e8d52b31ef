"""The compiled loops of the design matrix: derivatives of patterns, and what they move.

Blocks of centres of one type are handled together, one per lane. Arrays are
flat; what they hold is told where they are written.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from phono3py_mlp_plugin.polynomial.basis import harmonics_and_gradients
from phono3py_mlp_plugin.polynomial.simd import (
    LANES,
    item,
    kernel,
    load,
    splat,
    store,
    total,
)

HALF = 2 * LANES
"""Centres are handled in halves of a block, two vectors each."""


@kernel
def pattern_rows(
    variables: Any,
    patterns: Any,
    shares: Any,
    start: Any,
    terms: Any,
    factors: Any,
    n_factors: int,
    lanes: int,
    a: Any,
    derivatives: Any,
    values: Any,
) -> None:
    """Compute the derivatives of all patterns of one n, and the patterns.

    Parameters
    ----------
    variables, patterns : ndarray
        Coefficient that each row derives by, and its pattern.
    shares : ndarray
        1/p for each pattern of order p: the pattern is this share of the sum of its
        derivatives times what they are derived by (Euler).
    start, terms, factors, n_factors
        The rows as `Monomials`.
    lanes : int
        Places for centres, a multiple of `HALF`.
    a : ndarray
        Expansion coefficients, ``(n_v + 1, lanes)``.
    derivatives : ndarray
        Written: ``(n_rows, lanes)``.
    values : ndarray
        Written: ``(n_patterns, lanes)``.
    """
    values[:] = 0.0
    for row in range(variables.shape[0]):
        pattern = item(patterns, row)
        share = splat(item(shares, pattern))
        first = item(start, row)
        last = item(start, row + 1)
        for half in range(0, lanes, HALF):
            s0 = splat(0.0)
            s1 = splat(0.0)
            for k in range(first, last):
                c = splat(item(terms, k))
                v = item(factors, k * n_factors) * lanes + half
                x0 = c * load(a, v)
                x1 = c * load(a, v + LANES)
                for f in range(2, n_factors):
                    v = item(factors, k * n_factors + f) * lanes + half
                    x0 = x0 * load(a, v)
                    x1 = x1 * load(a, v + LANES)
                v = item(factors, k * n_factors + 1) * lanes + half
                s0 = s0 + x0 * load(a, v)
                s1 = s1 + x1 * load(a, v + LANES)
            at = row * lanes + half
            store(derivatives, at, s0)
            store(derivatives, at + LANES, s1)
            v = item(variables, row) * lanes + half
            at = pattern * lanes + half
            store(values, at, load(values, at) + share * s0 * load(a, v))
            at += LANES
            store(values, at, load(values, at) + share * s1 * load(a, v + LANES))


@kernel
def force_columns(
    group_start: Any,
    first: int,
    n_groups: int,
    unit: Any,
    inverse_distances: Any,
    functions: Any,
    slopes: Any,
    n_radial: int,
    constants: Any,
    scratch: Any,
    columns: Any,
    n_stride: int,
    lm_stride: int,
    own: Any,
) -> None:
    """Write minus the derivatives of one centre's coefficients by positions.

    Parameters
    ----------
    group_start : ndarray
        Neighbours of group g of slots start at ``group_start[g]``: a vector of them for
        every image.
    first, n_groups : int
        The groups of this centre and partner type.
    functions, slopes : ndarray
        ``f_n`` and its derivative at all neighbours, ``(n_radial, n)``.
    scratch : ndarray
        Room for the harmonics of a vector.
    columns : ndarray
        Written, by the neighbours' positions: all x, all y, all z; the next harmonic
        is ``lm_stride`` further, the next n ``n_stride``.
    own : ndarray
        Written, by the position of the centre: ``(n_radial, n_lm, 3)``.
    """
    n = inverse_distances.shape[0]
    n_lm = constants.shape[0] ** 2
    width = n_groups * LANES
    values = scratch[: n_lm * LANES]
    gradients = scratch[n_lm * LANES : 4 * n_lm * LANES]
    polynomials = scratch[4 * n_lm * LANES :]
    nothing = splat(0.0)
    for group in range(n_groups):
        low = group_start[first + group]
        high = group_start[first + group + 1]
        # A group without neighbours is written too, with zeros.
        for p in range(low, max(high, low + 1), LANES):
            if high > low:
                harmonics_and_gradients(
                    unit,
                    inverse_distances,
                    p,
                    constants,
                    polynomials,
                    values,
                    gradients,
                )
                x = load(unit, p)
                y = load(unit, n + p)
                z = load(unit, 2 * n + p)
            for lm in range(n_lm):
                if high == low:
                    for k in range(n_radial):
                        at = k * n_stride + lm * lm_stride + group * LANES
                        store(columns, at, nothing)
                        store(columns, at + width, nothing)
                        store(columns, at + 2 * width, nothing)
                    continue
                value = load(values, lm * LANES)
                gx = load(gradients, 3 * lm * LANES)
                gy = load(gradients, 3 * lm * LANES + LANES)
                gz = load(gradients, 3 * lm * LANES + 2 * LANES)
                for k in range(n_radial):
                    f = load(functions, k * n + p)
                    slope = load(slopes, k * n + p) * value
                    at = k * n_stride + lm * lm_stride + group * LANES
                    if p == low:
                        store(columns, at, nothing - slope * x - f * gx)
                        at += width
                        store(columns, at, nothing - slope * y - f * gy)
                        at += width
                        store(columns, at, nothing - slope * z - f * gz)
                    else:
                        store(columns, at, load(columns, at) - slope * x - f * gx)
                        at += width
                        store(columns, at, load(columns, at) - slope * y - f * gy)
                        at += width
                        store(columns, at, load(columns, at) - slope * z - f * gz)
    for k in range(n_radial):
        for lm in range(n_lm):
            for direction in range(3):
                at = k * n_stride + lm * lm_stride + direction * width
                s = splat(0.0)
                for lane in range(at, at + width, LANES):
                    s = s + load(columns, lane)
                own[(k * n_lm + lm) * 3 + direction] = -total(s)


@kernel
def own_forces(
    derivatives: Any,
    variables: Any,
    patterns: Any,
    lanes: int,
    own: Any,
    forces: Any,
) -> None:
    """Write the forces of the patterns of one n on the centres themselves.

    ``own`` is ``(n_v, 3, lanes)``, ``forces`` is ``(n_patterns, 3, lanes)``.
    """
    forces[:] = 0.0
    for row in range(variables.shape[0]):
        v = 3 * lanes * item(variables, row)
        at = 3 * lanes * item(patterns, row)
        for lane in range(0, lanes, LANES):
            d = load(derivatives, row * lanes + lane)
            for direction in range(lane, 3 * lanes, lanes):
                moved = load(forces, at + direction) + d * load(own, v + direction)
                store(forces, at + direction, moved)


@kernel
def sparse_pattern(
    begin: int,
    end: int,
    lm: Any,
    derivatives: Any,
    columns: Any,
    at: int,
    lm_stride: int,
    width: int,
    two: bool,
    out: Any,
) -> None:
    """Write the forces of one pattern of one centre on one or two groups of slots.

    Parameters
    ----------
    begin, end : int
        Rows of the pattern in ``derivatives``.
    lm : ndarray
        Harmonic of each row.
    columns : ndarray
        From `force_columns`, the groups from ``at``.
    out : ndarray
        Written: ``(3, 2, LANES)``.
    """
    x0 = splat(0.0)
    x1 = splat(0.0)
    y0 = splat(0.0)
    y1 = splat(0.0)
    z0 = splat(0.0)
    z1 = splat(0.0)
    if two:
        for row in range(begin, end):
            d = splat(item(derivatives, row))
            c = at + item(lm, row) * lm_stride
            x0 = x0 + d * load(columns, c)
            x1 = x1 + d * load(columns, c + LANES)
            c += width
            y0 = y0 + d * load(columns, c)
            y1 = y1 + d * load(columns, c + LANES)
            c += width
            z0 = z0 + d * load(columns, c)
            z1 = z1 + d * load(columns, c + LANES)
    else:
        for row in range(begin, end):
            d = splat(item(derivatives, row))
            c = at + item(lm, row) * lm_stride
            x0 = x0 + d * load(columns, c)
            y0 = y0 + d * load(columns, c + width)
            z0 = z0 + d * load(columns, c + 2 * width)
    store(out, 0, x0)
    store(out, LANES, x1)
    store(out, 2 * LANES, y0)
    store(out, 3 * LANES, y1)
    store(out, 4 * LANES, z0)
    store(out, 5 * LANES, z1)


@kernel
def add_to_atoms(
    out: Any, n: int, atoms: Any, first: int, matrix: Any, to: int, stride: int
) -> None:
    """Add the forces of `sparse_pattern` on n atoms to a row of the matrix."""
    for slot in range(n):
        place = to + item(atoms, first + slot)
        matrix[place] += out[slot]
        matrix[place + stride] += out[2 * LANES + slot]
        matrix[place + 2 * stride] += out[4 * LANES + slot]


@kernel
def add_run(source: Any, at: int, n: int, matrix: Any, to: int) -> None:
    """Add n numbers of ``source[at:]`` to ``matrix[to:]``."""
    whole = n - n % LANES
    for k in range(0, whole, LANES):
        store(matrix, to + k, load(matrix, to + k) + load(source, at + k))
    for k in range(whole, n):
        matrix[to + k] += source[at + k]


@kernel
def block_features(
    variables: Any,
    patterns: Any,
    shares: Any,
    term_start: Any,
    terms: Any,
    factors: Any,
    n_factors: int,
    block_rows: Any,
    sparse_rows: Any,
    sparse_lm: Any,
    type_rows: Any,
    features: Any,
    multiplied: Any,
    lanes: int,
    a: Any,
    dense: bool,
    together: int,
    slots: Any,
    slot_start: Any,
    slot_atoms: Any,
    group_first: Any,
    group_start: Any,
    centre_atoms: Any,
    centre_rows: Any,
    centre_strides: Any,
    functions: Any,
    slopes: Any,
    unit: Any,
    inverse_distances: Any,
    constants: Any,
    derivatives: Any,
    columns: Any,
    moved: Any,
    matrix: Any,
    row_length: int,
    energies: Any,
    products: Any,
    product_rows: int,
) -> None:
    """Add the linear features of a block of centres to the design matrix.

    Parameters
    ----------
    block_rows : ndarray
        First row of each (partner type, l), ``(n_types, max_l + 2)``.
    sparse_rows, sparse_lm, type_rows : ndarray
        Rows and their harmonics sorted by pattern; those of pattern k and partner type
        t start at ``type_rows[k, t]``.
    features : ndarray
        Row of the matrix of each (n, pattern), -1 where there is none.
    multiplied : ndarray
        Place among the multiplied features of each (n, pattern), or -1.
    dense : bool
        All centres have the same slots: those of one structure.
    together : int
        Radial functions handled together: harmonics are computed once for them.
    slots, slot_start, slot_atoms : ndarray
        Slots of each centre and type, where they start, and the atoms in them.
    group_first, group_start : ndarray
        First group of `LANES` slots of each centre and type, and the neighbours in it.
    centre_atoms, centre_rows, centre_strides : ndarray
        Atom of each centre, first force row of its supercell, and its number of atoms.
    derivatives, columns, moved : ndarray
        Room to work; ``columns`` must be finite where a lane has no centre.
    matrix : ndarray
        Flat X^T, rows ``row_length`` apart.
    energies : ndarray
        Written: features of every centre, ``(n_radial, n_patterns, lanes)``.
    products : ndarray
        Added to: forces of the multiplied features of every centre, flat of
        ``(n_multiplied, lanes, product_rows)``.
    """
    n_radial, n_patterns = features.shape
    n_centres, n_types = slots.shape
    n_rows = variables.shape[0]
    n = inverse_distances.shape[0]
    max_l = constants.shape[0] - 1
    n_lm = (max_l + 1) ** 2
    n_v = n_types * n_lm
    coefficients = (n_v + 1) * lanes
    by_pattern = np.empty(n_rows)
    sharing = lanes if dense else 1
    scratch = np.empty((4 * n_lm + (max_l + 1) * (max_l + 2)) * LANES)
    totals = np.empty(together * n_lm * 3)
    own = np.zeros(together * n_v * 3 * lanes)
    forces = np.empty(n_patterns * 3 * lanes)
    out = np.empty(6 * LANES)
    for low in range(0, n_radial, together):
        high = min(low + together, n_radial)
        for k in range(low, high):
            pattern_rows(
                variables,
                patterns,
                shares,
                term_start,
                terms,
                factors,
                n_factors,
                lanes,
                a[k * coefficients : (k + 1) * coefficients],
                derivatives[(k - low) * n_rows * lanes :],
                energies[k * n_patterns * lanes : (k + 1) * n_patterns * lanes],
            )
        for t in range(n_types):
            for i in range(n_centres):
                if slots[i, t] == 0:
                    continue
                n_groups = -(-slots[i, t] // LANES)
                width = n_groups * LANES
                lm_stride = sharing * 3 * width
                n_stride = n_lm * lm_stride
                force_columns(
                    group_start,
                    group_first[i, t],
                    n_groups,
                    unit,
                    inverse_distances,
                    functions[low * n :],
                    slopes[low * n :],
                    high - low,
                    constants,
                    scratch,
                    columns[(i * 3 * width if dense else 0) :],
                    n_stride,
                    lm_stride,
                    totals,
                )
                for k in range(high - low):
                    for lm in range(n_lm):
                        for direction in range(3):
                            at = (k * n_v + t * n_lm + lm) * 3 + direction
                            own[at * lanes + i] = totals[
                                (k * n_lm + lm) * 3 + direction
                            ]
                for k in range(low, high):
                    here = derivatives[(k - low) * n_rows * lanes :]
                    if dense:
                        _multiplied_forces(
                            k,
                            i,
                            t,
                            features,
                            multiplied,
                            type_rows,
                            sparse_rows,
                            sparse_lm,
                            lanes,
                            here,
                            columns[(k - low) * n_stride + i * 3 * width :],
                            lm_stride,
                            width,
                            by_pattern,
                            out,
                            slot_atoms,
                            slot_start[i, t],
                            slots[i, t],
                            products,
                            product_rows,
                            centre_rows[i],
                            centre_strides[i],
                        )
                    else:
                        _sparse_forces(
                            k,
                            i,
                            t,
                            features,
                            multiplied,
                            type_rows,
                            sparse_rows,
                            sparse_lm,
                            lanes,
                            here,
                            columns[(k - low) * n_stride :],
                            lm_stride,
                            width,
                            by_pattern,
                            out,
                            slot_atoms,
                            slot_start[i, t],
                            slots[i, t],
                            matrix,
                            row_length,
                            products,
                            product_rows,
                            centre_rows[i],
                            centre_strides[i],
                        )
            if dense and slots[0, t] > 0:
                width = -(-slots[0, t] // LANES) * LANES
                for k in range(low, high):
                    for l in range(max_l + 1):
                        first = block_rows[t, l]
                        depth = (2 * l + 1) * lanes
                        count = (block_rows[t, l + 1] - first) // (2 * l + 1)
                        if count == 0:
                            continue
                        at = ((k - low) * n_rows + first) * lanes
                        left = derivatives[at : at + count * depth]
                        at = ((k - low) * n_lm + l * l) * lanes * 3 * width
                        right = columns[at : at + depth * 3 * width]
                        result = moved[: count * 3 * width]
                        np.dot(
                            left.reshape(count, depth),
                            right.reshape(depth, 3 * width),
                            result.reshape(count, 3 * width),
                        )
                        for r in range(count):
                            feature = features[k, patterns[first + r * (2 * l + 1)]]
                            if feature < 0:
                                continue
                            to = feature * row_length + centre_rows[0]
                            to += slot_atoms[slot_start[0, t]]
                            for direction in range(3):
                                add_run(
                                    result,
                                    (3 * r + direction) * width,
                                    slots[0, t],
                                    matrix,
                                    to + direction * centre_strides[0],
                                )
        for k in range(low, high):
            own_forces(
                derivatives[(k - low) * n_rows * lanes :],
                variables,
                patterns,
                lanes,
                own[(k - low) * n_v * 3 * lanes :],
                forces,
            )
            for pattern in range(n_patterns):
                feature = features[k, pattern]
                if feature < 0:
                    continue
                place = multiplied[k, pattern]
                for i in range(n_centres):
                    for direction in range(3):
                        force = forces[(3 * pattern + direction) * lanes + i]
                        to = centre_rows[i] + direction * centre_strides[i]
                        to += centre_atoms[i]
                        matrix[feature * row_length + to] += force
                        if place >= 0:
                            to += (place * lanes + i) * product_rows
                            products[to] += force


@kernel
def _multiplied_forces(
    k: int,
    i: int,
    t: int,
    features: Any,
    multiplied: Any,
    type_rows: Any,
    sparse_rows: Any,
    sparse_lm: Any,
    lanes: int,
    derivatives: Any,
    columns: Any,
    lm_stride: int,
    width: int,
    by_pattern: Any,
    out: Any,
    slot_atoms: Any,
    slot_start: int,
    n_slots: int,
    products: Any,
    product_rows: int,
    centre_row: int,
    stride: int,
) -> None:
    """Add the forces of the multiplied features of one centre and partner type."""
    for pattern in range(features.shape[1]):
        place = multiplied[k, pattern]
        begin = type_rows[pattern, t]
        end = type_rows[pattern, t + 1]
        if place < 0 or begin == end:
            continue
        for row in range(begin, end):
            by_pattern[row] = derivatives[sparse_rows[row] * lanes + i]
        to = (place * lanes + i) * product_rows + centre_row
        for slot in range(0, n_slots, 2 * LANES):
            two = width - slot > LANES
            sparse_pattern(
                begin,
                end,
                sparse_lm,
                by_pattern,
                columns,
                slot,
                lm_stride,
                width,
                two,
                out,
            )
            add_to_atoms(
                out,
                min(n_slots - slot, 2 * LANES),
                slot_atoms,
                slot_start + slot,
                products,
                to,
                stride,
            )


@kernel
def _sparse_forces(
    k: int,
    i: int,
    t: int,
    features: Any,
    multiplied: Any,
    type_rows: Any,
    sparse_rows: Any,
    sparse_lm: Any,
    lanes: int,
    derivatives: Any,
    columns: Any,
    lm_stride: int,
    width: int,
    by_pattern: Any,
    out: Any,
    slot_atoms: Any,
    slot_start: int,
    n_slots: int,
    matrix: Any,
    row_length: int,
    products: Any,
    product_rows: int,
    centre_row: int,
    stride: int,
) -> None:
    """Add the forces of all features of one centre and partner type."""
    for row in range(sparse_rows.shape[0]):
        by_pattern[row] = item(derivatives, item(sparse_rows, row) * lanes + i)
    for slot in range(0, n_slots, 2 * LANES):
        two = width - slot > LANES
        filled = min(n_slots - slot, 2 * LANES)
        for pattern in range(features.shape[1]):
            feature = features[k, pattern]
            begin = type_rows[pattern, t]
            end = type_rows[pattern, t + 1]
            if feature < 0 or begin == end:
                continue
            sparse_pattern(
                begin,
                end,
                sparse_lm,
                by_pattern,
                columns,
                slot,
                lm_stride,
                width,
                two,
                out,
            )
            add_to_atoms(
                out,
                filled,
                slot_atoms,
                slot_start + slot,
                matrix,
                feature * row_length + centre_row,
                stride,
            )
            place = multiplied[k, pattern]
            if place >= 0:
                add_to_atoms(
                    out,
                    filled,
                    slot_atoms,
                    slot_start + slot,
                    products,
                    (place * lanes + i) * product_rows + centre_row,
                    stride,
                )


@kernel
def add_rows(rows: Any, features: Any, matrix: Any, row_length: int) -> None:
    """Add rows of forces, ``(n, product_rows)``, to rows of the matrix."""
    for k in range(rows.shape[0]):
        to = features[k] * row_length
        for column in range(rows.shape[1]):
            matrix[to + column] += rows[k, column]
