"""The compiled loops of the design matrix: derivatives of patterns, and what they move.

Centres of one type are handled in blocks, one centre per lane. Arrays are flat; what
they hold is told where they are written.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from phono3py_mlp_plugin.polynomial.kernels.basis import expand, harmonics_and_gradients
from phono3py_mlp_plugin.polynomial.kernels.simd import (
    LANES,
    item,
    kernel,
    load,
    prefetch,
    splat,
    store,
    transpose,
)

BLOCK = 2 * LANES
"""Centres of a block: two vectors of them keep the arithmetic units busy."""

# Rows of derivatives at a time: they stay in the innermost cache.
_ROWS = 16 * LANES


@kernel
def pattern_rows(
    first_row: int,
    last_row: int,
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
    """Compute derivatives of patterns of one n, and add up the patterns.

    Parameters
    ----------
    first_row, last_row : int
        The rows.
    variables, patterns : ndarray
        Coefficient that each row derives by, and its pattern.
    shares : ndarray
        1/p for each pattern of order p: the pattern is this share of the sum of its
        derivatives times what they are derived by (Euler).
    start, terms, factors, n_factors
        The rows as `Monomials`.
    lanes : int
        Places for centres, a multiple of `BLOCK`.
    a : ndarray
        Expansion coefficients, ``(n_v + 1, lanes)``.
    derivatives : ndarray
        Written: ``(last_row - first_row, lanes)``.
    values : ndarray
        Added to: ``(n_patterns, lanes)``.
    """
    for row in range(first_row, last_row):
        pattern = item(patterns, row)
        share = splat(item(shares, pattern))
        first = item(start, row)
        last = item(start, row + 1)
        for half in range(0, lanes, BLOCK):
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
            at = (row - first_row) * lanes + half
            store(derivatives, at, s0)
            store(derivatives, at + LANES, s1)
            v = item(variables, row) * lanes + half
            at = pattern * lanes + half
            store(values, at, load(values, at) + share * s0 * load(a, v))
            at += LANES
            store(values, at, load(values, at) + share * s1 * load(a, v + LANES))


@kernel
def rows_by_centre(
    first_row: int,
    last_row: int,
    variables: Any,
    patterns: Any,
    shares: Any,
    start: Any,
    terms: Any,
    factors: Any,
    n_factors: int,
    a: Any,
    scratch: Any,
    derivatives: Any,
    values: Any,
) -> None:
    """Compute what `pattern_rows` does for a block of centres, one after the other.

    Parameters
    ----------
    scratch : ndarray
        Room for some rows.
    derivatives : ndarray
        Written: ``(BLOCK, n)``, n the number of rows, padded to `LANES`.
    values : ndarray
        Added to: ``(n_patterns, BLOCK)``.
    """
    padded = derivatives.shape[0] // BLOCK
    lanes: Any = np.int64(BLOCK)
    for low in range(first_row, last_row, _ROWS):
        high = min(low + _ROWS, last_row)
        pattern_rows(
            low,
            high,
            variables,
            patterns,
            shares,
            start,
            terms,
            factors,
            n_factors,
            lanes,
            a,
            scratch,
            values,
        )
        for row in range(low, high, LANES):
            # The vectors of one half of the block lie BLOCK apart: bring them together.
            for half in range(0, BLOCK, LANES):
                at = _ROWS * BLOCK
                for k in range(LANES):
                    source = (row - low + k) * BLOCK + half
                    store(scratch, at + k * LANES, load(scratch, source))
                transpose(scratch, at, scratch, at)
                for k in range(LANES):
                    to = (half + k) * padded + row - first_row
                    store(derivatives, to, load(scratch, at + k * LANES))


@kernel
def force_columns(
    group_start: Any,
    first: int,
    n_groups: int,
    unit: Any,
    inverse_distances: Any,
    functions: Any,
    slopes: Any,
    k: int,
    constants: Any,
    scratch: Any,
    columns: Any,
) -> None:
    """Write minus the derivatives of a centre's coefficients by neighbours' positions.

    Parameters
    ----------
    group_start : ndarray
        Neighbours of group g of slots start at ``group_start[g]``: a vector of them for
        every image.
    first, n_groups : int
        The groups of this centre and partner type.
    functions, slopes, k
        ``f_n`` and its derivatives at all neighbours, and the n that is wanted.
    scratch : ndarray
        Room for the harmonics of a vector.
    columns : ndarray
        Written: ``(n_pairs, n_lm, 3, 2, LANES)`` for pairs of groups.
    """
    n = inverse_distances.shape[0]
    n_lm = constants.shape[0] ** 2
    values = scratch[: n_lm * LANES]
    gradients = scratch[n_lm * LANES : 4 * n_lm * LANES]
    polynomials = scratch[4 * n_lm * LANES :]
    nothing = splat(0.0)
    for group in range(n_groups):
        low = group_start[first + group]
        high = group_start[first + group + 1]
        to = (group // 2 * n_lm * 6 + group % 2) * LANES
        for p in range(low, high, LANES):
            harmonics_and_gradients(
                unit, inverse_distances, p, constants, polynomials, values, gradients
            )
            x = load(unit, p)
            y = load(unit, n + p)
            z = load(unit, 2 * n + p)
            f = nothing - load(functions, k * n + p)
            slope = nothing - load(slopes, k * n + p)
            for lm in range(n_lm):
                value = slope * load(values, lm * LANES)
                gradient = 3 * lm * LANES
                cx = value * x + f * load(gradients, gradient)
                cy = value * y + f * load(gradients, gradient + LANES)
                cz = value * z + f * load(gradients, gradient + 2 * LANES)
                at = to + lm * 6 * LANES
                if p > low:
                    cx = cx + load(columns, at)
                    cy = cy + load(columns, at + 2 * LANES)
                    cz = cz + load(columns, at + 4 * LANES)
                store(columns, at, cx)
                store(columns, at + 2 * LANES, cy)
                store(columns, at + 4 * LANES, cz)


@kernel
def add_to_atoms(
    t: int,
    type_rows: Any,
    lm: Any,
    derivatives: Any,
    first_row: int,
    columns: Any,
    first_column: int,
    pair_stride: int,
    slot_atoms: Any,
    first: int,
    n_slots: int,
    centre: int,
    out: Any,
    forces: Any,
    n_padded: int,
) -> None:
    """Add the forces of all patterns of one centre on its neighbours of type t.

    Parameters
    ----------
    type_rows : ndarray
        Rows of partner type t and pattern k start at ``type_rows[t, k]``; patterns are
        padded to `LANES` by some without rows.
    derivatives, first_row
        Of this centre: from ``first_row`` on.
    columns, first_column, pair_stride
        From `force_columns`: from ``first_column`` on, the next pair of groups
        ``pair_stride`` further.
    slot_atoms : ndarray
        The atoms in the slots, from ``first``.
    centre : int
        The atom that the centre is.
    out : ndarray
        Room for ``6 LANES^2`` numbers.
    forces : ndarray
        Added to: ``(n_atoms, 3, n_padded)``.
    """
    step = LANES * LANES
    shift = first_row - type_rows[t, 0]
    for slot in range(0, n_slots, 2 * LANES):
        two = n_slots - slot > LANES
        pair = first_column + slot // (2 * LANES) * pair_stride
        for low in range(0, n_padded, LANES):
            if type_rows[t, low] == type_rows[t, low + LANES]:
                continue
            # What will be added to is far away, and here by the time it is needed.
            for s in range(slot, min(slot + 2 * LANES, n_slots)):
                to = item(slot_atoms, first + s) * 3 * n_padded + low
                prefetch(forces, to)
                prefetch(forces, to + n_padded)
                prefetch(forces, to + 2 * n_padded)
            # Written out: a call would cost as much as a pattern.
            for k in range(low, low + LANES):
                x0 = splat(0.0)
                x1 = splat(0.0)
                y0 = splat(0.0)
                y1 = splat(0.0)
                z0 = splat(0.0)
                z1 = splat(0.0)
                if two:
                    for row in range(type_rows[t, k], type_rows[t, k + 1]):
                        d = splat(item(derivatives, row + shift))
                        c = pair + item(lm, row) * (6 * LANES)
                        x0 = x0 + d * load(columns, c)
                        x1 = x1 + d * load(columns, c + LANES)
                        y0 = y0 + d * load(columns, c + 2 * LANES)
                        y1 = y1 + d * load(columns, c + 3 * LANES)
                        z0 = z0 + d * load(columns, c + 4 * LANES)
                        z1 = z1 + d * load(columns, c + 5 * LANES)
                else:
                    for row in range(type_rows[t, k], type_rows[t, k + 1]):
                        d = splat(item(derivatives, row + shift))
                        c = pair + item(lm, row) * (6 * LANES)
                        x0 = x0 + d * load(columns, c)
                        y0 = y0 + d * load(columns, c + 2 * LANES)
                        z0 = z0 + d * load(columns, c + 4 * LANES)
                to = (k - low) * LANES
                store(out, to, x0)
                store(out, to + step, x1)
                store(out, to + 2 * step, y0)
                store(out, to + 3 * step, y1)
                store(out, to + 4 * step, z0)
                store(out, to + 5 * step, z1)
            for direction in range(3):
                own = centre * 3 * n_padded + direction * n_padded + low
                moved = splat(0.0)
                for half in range(2 if two else 1):
                    at = (2 * direction + half) * step
                    # Now patterns are in the lanes, and slots follow each other.
                    transpose(out, at, out, at)
                    here = slot + half * LANES
                    for s in range(here, min(here + LANES, n_slots)):
                        force = load(out, at + (s - here) * LANES)
                        to = item(slot_atoms, first + s) * 3 * n_padded
                        to += direction * n_padded + low
                        store(forces, to, load(forces, to) + force)
                        moved = moved + force
                store(forces, own, load(forces, own) - moved)


@kernel
def add_to_features(
    features: Any,
    forces: Any,
    n_padded: int,
    columns: Any,
    matrix: Any,
    row_length: int,
) -> None:
    """Add forces of patterns or products to the design matrix.

    Parameters
    ----------
    features : ndarray
        Row of the matrix of each of them, -1 where there is none.
    forces : ndarray
        ``(n_atoms, 3, n_padded)``.
    columns : ndarray
        Of the forces on the atoms: all x, all y, all z.
    matrix : ndarray
        Flat X^T, rows ``row_length`` apart.
    """
    n_atoms = columns.shape[0] // 3
    for low in range(0, features.shape[0], LANES):
        high = min(low + LANES, features.shape[0])
        for direction in range(3):
            for atom in range(n_atoms):
                column = columns[direction * n_atoms + atom]
                at = (3 * atom + direction) * n_padded
                for k in range(low, high):
                    feature = features[k]
                    if feature >= 0:
                        place = feature * row_length + column
                        matrix[place] += item(forces, at + k)


@kernel
def linear_features(
    variables: Any,
    patterns: Any,
    shares: Any,
    term_start: Any,
    terms: Any,
    factors: Any,
    n_factors: int,
    lm: Any,
    type_rows: Any,
    features: Any,
    multiplied: Any,
    start: Any,
    centres: Any,
    slot_start: Any,
    slot_atoms: Any,
    slots: Any,
    group_first: Any,
    group_start: Any,
    unit: Any,
    inverse_distances: Any,
    functions: Any,
    slopes: Any,
    constants: Any,
    energy_columns: Any,
    force_places: Any,
    a: Any,
    derivatives: Any,
    columns: Any,
    forces: Any,
    values: Any,
    matrix: Any,
    row_length: int,
) -> None:
    """Add the linear features of all centres of one type to the design matrix.

    Parameters
    ----------
    type_rows : ndarray
        As in `add_to_atoms`.
    features : ndarray
        Row of the matrix of each (n, pattern), -1 where there is none.
    multiplied : ndarray
        Place among the multiplied features of each (n, pattern), -1 where it is none.
    start : ndarray
        Of `Segments`.
    centres : ndarray
        The atoms that the centres are.
    slot_start, slot_atoms, slots : ndarray
        Where the slots of each centre and type start, the atoms in them, and how many
        there are.
    group_first, group_start : ndarray
        First group of `LANES` slots of each centre and type, and the neighbours in it.
    energy_columns : ndarray
        Column of the matrix for the energy of each centre.
    force_places : ndarray
        Columns for the forces, as in `add_to_features`.
    a : ndarray
        Written: expansion coefficients, ``(n_blocks n_radial, (n_v + 1) BLOCK)``.
    derivatives, columns, forces : ndarray
        Room to work.
    values : ndarray
        Added to: multiplied features of every centre, ``(n_multiplied, n_centres)``.
    matrix : ndarray
        Flat X^T, rows ``row_length`` apart.
    """
    n_radial, n_patterns = features.shape
    n_centres, n_types = slots.shape
    max_l = constants.shape[0] - 1
    n_lm = (max_l + 1) ** 2
    n_padded = type_rows.shape[1] - 1
    n_rows = derivatives.shape[0] // BLOCK
    energies = np.empty(n_patterns * BLOCK)
    scratch = np.empty((_ROWS * BLOCK) + LANES * LANES)
    harmonics = np.empty((4 * n_lm + (max_l + 1) * (max_l + 2)) * LANES)
    out = np.empty(6 * LANES * LANES)
    # A number that numba knows would make it compile once more.
    none: Any = np.int64(0)
    lanes: Any = np.int64(BLOCK)
    for block in range(0, n_centres, BLOCK):
        here = a[block // BLOCK * n_radial :].reshape(-1)
        expand(start, unit, functions, n_radial, constants, block, lanes, here)
    for k in range(n_radial):
        forces[:] = 0.0
        # By partner type: fewer atoms are added to at a time, and stay in the cache.
        for t in range(n_types):
            for block in range(0, n_centres, BLOCK):
                last = min(block + BLOCK, n_centres)
                energies[:] = 0.0
                rows_by_centre(
                    type_rows[t, 0],
                    type_rows[t, n_patterns],
                    variables,
                    patterns,
                    shares,
                    term_start,
                    terms,
                    factors,
                    n_factors,
                    a[block // BLOCK * n_radial + k],
                    scratch,
                    derivatives,
                    energies,
                )
                for pattern in range(n_patterns):
                    if features[k, pattern] < 0:
                        continue
                    to = features[k, pattern] * row_length
                    for i in range(block, last):
                        energy = energies[pattern * BLOCK + i - block]
                        matrix[to + energy_columns[i]] += energy
                        if multiplied[k, pattern] >= 0:
                            values[multiplied[k, pattern], i] += energy
                for i in range(block, last):
                    if slots[i, t] == 0:
                        continue
                    force_columns(
                        group_start,
                        group_first[i, t],
                        -(-slots[i, t] // LANES),
                        unit,
                        inverse_distances,
                        functions,
                        slopes,
                        k,
                        constants,
                        harmonics,
                        columns,
                    )
                    add_to_atoms(
                        t,
                        type_rows,
                        lm,
                        derivatives,
                        (i - block) * n_rows,
                        columns,
                        none,
                        n_lm * 6 * LANES,
                        slot_atoms,
                        slot_start[i, t],
                        slots[i, t],
                        centres[i],
                        out,
                        forces,
                        n_padded,
                    )
        add_to_features(features[k], forces, n_padded, force_places, matrix, row_length)


@kernel
def pattern_forces(
    t: int,
    type_rows: Any,
    lm: Any,
    derivatives: Any,
    first_row: int,
    columns: Any,
    pair_stride: int,
    first_pair: int,
    n_pairs: int,
    multiplied: Any,
    chosen: Any,
    k: int,
    n_multiplied: int,
    forces: Any,
) -> None:
    """Write the forces of the multiplied features of one centre and n, one by one.

    Parameters
    ----------
    multiplied, chosen, k
        As in `single_forces`, and the n.
    forces, first_pair
        Written, from ``first_pair`` on: ``(n_pairs, n_multiplied, 3, 2, LANES)``.

    Others as in `add_to_atoms`.
    """
    shift = first_row - type_rows[t, 0]
    for pair in range(n_pairs):
        for pattern in range(chosen.shape[0]):
            place = multiplied[k, chosen[pattern]]
            if place < 0:
                continue
            to = ((first_pair + pair) * n_multiplied + place) * 6 * LANES
            for vector in range(0, 6 * LANES, LANES):
                s = splat(0.0)
                for row in range(type_rows[t, pattern], type_rows[t, pattern + 1]):
                    at = pair * pair_stride + item(lm, row) * (6 * LANES) + vector
                    s = s + splat(item(derivatives, row + shift)) * load(columns, at)
                store(forces, to + vector, s)


@kernel
def single_forces(
    variables: Any,
    patterns: Any,
    shares: Any,
    term_start: Any,
    terms: Any,
    factors: Any,
    n_factors: int,
    lm: Any,
    type_rows: Any,
    multiplied: Any,
    chosen: Any,
    n_multiplied: int,
    first: int,
    last: int,
    slots: Any,
    group_first: Any,
    group_start: Any,
    unit: Any,
    inverse_distances: Any,
    functions: Any,
    slopes: Any,
    constants: Any,
    a: Any,
    derivatives: Any,
    columns: Any,
    forces: Any,
) -> None:
    """Write the forces of the multiplied features of some centres, one by one.

    Parameters
    ----------
    multiplied, chosen : ndarray
        Place among the ``n_multiplied`` of each (n, pattern), -1 where it is none; the
        patterns that the rows are of.
    first, last : int
        The centres; the first begins a block.
    constants : ndarray
        Up to the highest l of the patterns.
    a : ndarray
        From `linear_features`.
    derivatives, columns : ndarray
        Room to work.
    forces : ndarray
        Written: as `pattern_forces` does, one centre and partner type after the other.

    Others as in `linear_features`.
    """
    n_radial = multiplied.shape[0]
    n_types = slots.shape[1]
    n_patterns = chosen.shape[0]
    max_l = constants.shape[0] - 1
    n_lm = (max_l + 1) ** 2
    n_rows = derivatives.shape[0] // BLOCK
    scratch = np.empty((_ROWS * BLOCK) + LANES * LANES)
    harmonics = np.empty((4 * n_lm + (max_l + 1) * (max_l + 2)) * LANES)
    unused = np.zeros(n_patterns * BLOCK)
    # Pairs of groups of slots, counted through the centres.
    pairs = np.zeros((last - first) * n_types + 1, dtype=np.int64)
    for i in range(first, last):
        for t in range(n_types):
            cell = (i - first) * n_types + t
            pairs[cell + 1] = pairs[cell] - (-slots[i, t] // (2 * LANES))
    for k in range(n_radial):
        for t in range(n_types):
            for block in range(first, last, BLOCK):
                rows_by_centre(
                    type_rows[t, 0],
                    type_rows[t, n_patterns],
                    variables,
                    patterns,
                    shares,
                    term_start,
                    terms,
                    factors,
                    n_factors,
                    a[block // BLOCK * n_radial + k],
                    scratch,
                    derivatives,
                    unused,
                )
                for i in range(block, min(block + BLOCK, last)):
                    cell = (i - first) * n_types + t
                    force_columns(
                        group_start,
                        group_first[i, t],
                        -(-slots[i, t] // LANES),
                        unit,
                        inverse_distances,
                        functions,
                        slopes,
                        k,
                        constants,
                        harmonics,
                        columns,
                    )
                    pattern_forces(
                        t,
                        type_rows,
                        lm,
                        derivatives,
                        (i - block) * n_rows,
                        columns,
                        n_lm * 6 * LANES,
                        pairs[cell],
                        pairs[cell + 1] - pairs[cell],
                        multiplied,
                        chosen,
                        k,
                        n_multiplied,
                        forces,
                    )


@kernel
def product_features(
    rows: Any,
    one: Any,
    others: Any,
    features: Any,
    n_multiplied: int,
    slots: Any,
    slot_atoms: Any,
    centres: Any,
    energy_columns: Any,
    force_places: Any,
    values: Any,
    single: Any,
    forces: Any,
    matrix: Any,
    row_length: int,
) -> None:
    """Add products of features of some centres to the design matrix.

    The derivative of a product is a sum over its factors, as that of a pattern is one
    over harmonics: what `add_to_atoms` takes for rows, derivatives and columns are
    here factors, the products of the others, and the forces of single features.

    Parameters
    ----------
    rows : ndarray
        Where the factors of each product start in ``one`` and ``others``, ``(1, n)``;
        products are padded to `LANES` by some without factors.
    one, others : ndarray
        Each factor of the products, and the two others; ``n_multiplied`` stands for 1.
    features : ndarray
        Row of the matrix of each product.
    slots : ndarray
        Slots of each centre and type.
    slot_atoms, centres : ndarray
        Atoms in the slots, and those that the centres are.
    energy_columns : ndarray
        Column of the matrix for the energy of each centre.
    force_places : ndarray
        Columns for the forces on the atoms, as in `add_to_features`.
    values : ndarray
        The multiplied features and 1, ``(n_multiplied + 1, n_centres)``.
    single : ndarray
        From `single_forces`.
    forces : ndarray
        Room to work.
    matrix : ndarray
        Flat X^T, rows ``row_length`` apart.
    """
    n_centres, n_types = slots.shape
    n_padded = rows.shape[1] - 1
    stride = n_multiplied * 6 * LANES
    weights = np.empty(rows[0, n_padded])
    out = np.empty(6 * LANES * LANES)
    forces[:] = 0.0
    none: Any = np.int64(0)
    first = none
    pair = none
    for i in range(n_centres):
        for row in range(weights.shape[0]):
            first_other = values[item(others, 2 * row), i]
            weights[row] = first_other * values[item(others, 2 * row + 1), i]
        for k in range(features.shape[0]):
            row = rows[0, k]
            place = features[k] * row_length + energy_columns[i]
            matrix[place] += weights[row] * values[item(one, row), i]
        for t in range(n_types):
            add_to_atoms(
                none,
                rows,
                one,
                weights,
                none,
                single,
                pair * stride,
                stride,
                slot_atoms,
                first,
                slots[i, t],
                centres[i],
                out,
                forces,
                n_padded,
            )
            first += slots[i, t]
            pair += -(-slots[i, t] // (2 * LANES))
    add_to_features(features, forces, n_padded, force_places, matrix, row_length)
