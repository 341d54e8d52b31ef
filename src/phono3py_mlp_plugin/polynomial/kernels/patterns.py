"""Derivatives of patterns by the expansion coefficients of their centres.

Centres of one type are handled in blocks, one centre per lane.
"""

from __future__ import annotations

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.polynomial.kernels.records import DerivativeTable
from phono3py_mlp_plugin.polynomial.kernels.simd import (
    LANES,
    inner_kernel,
    item,
    kernel,
    load,
    splat,
    store,
    transpose,
)

MATRIX_CENTRES = 2 * LANES
"""Centres of a block of the design matrix: two vectors keep the processor busy."""

# Rows of derivatives at a time: they stay in the innermost cache.
_ROWS = 16 * LANES


@kernel
def pattern_derivatives(
    table: DerivativeTable,
    first_row: int,
    last_row: int,
    a: FloatArray,
    derivatives: FloatArray,
    values: FloatArray,
) -> None:
    """Compute derivatives of patterns of one n, and add up the patterns.

    Parameters
    ----------
    a : ndarray
        Expansion coefficients, shape ``(n_v + 1, lanes)``, lanes a multiple of
        `MATRIX_CENTRES`.
    derivatives : ndarray
        Written: shape ``(last_row - first_row, lanes)`` or longer.
    values : ndarray
        Added to: ``(n_patterns, lanes)``.
    """
    start, factors, coefficients = table.start, table.factors, table.coefficients
    variables, patterns, shares = table.variables, table.patterns, table.shares
    n_factors, lanes = factors.shape[1], a.shape[1]
    for row in range(first_row, last_row):
        pattern = item(patterns, row)
        share = splat(item(shares, pattern))
        first, last = item(start, row), item(start, row + 1)
        for half in range(0, lanes, MATRIX_CENTRES):
            s0 = splat(0.0)
            s1 = splat(0.0)
            for k in range(first, last):
                c = splat(item(coefficients, k))
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


@inner_kernel
def derivatives_by_centre(
    table: DerivativeTable,
    t: int,
    a: FloatArray,
    derivatives: FloatArray,
    values: FloatArray,
) -> None:
    """Compute derivatives by coefficients of partner type t, one centre after another.

    Parameters
    ----------
    a : ndarray
        Expansion coefficients, shape ``(n_v + 1, MATRIX_CENTRES)``.
    derivatives : ndarray
        Written: shape ``(MATRIX_CENTRES, n)``, n at least the number of rows, padded
        to `LANES`.
    values : ndarray
        Added to: ``(n_patterns, MATRIX_CENTRES)``.
    """
    first_row, last_row = table.type_rows[t, 0], table.type_rows[t, -1]
    width = derivatives.shape[1]
    square = _ROWS * MATRIX_CENTRES
    rows = np.empty((_ROWS + LANES * LANES // MATRIX_CENTRES, MATRIX_CENTRES))
    for low in range(first_row, last_row, _ROWS):
        high = min(low + _ROWS, last_row)
        pattern_derivatives(table, low, high, a, rows, values)
        for row in range(low, high, LANES):
            # The vectors of one half of the block are apart: bring them together.
            for half in range(0, MATRIX_CENTRES, LANES):
                for k in range(LANES):
                    source = (row - low + k) * MATRIX_CENTRES + half
                    store(rows, square + k * LANES, load(rows, source))
                transpose(rows, square, rows, square)
                for k in range(LANES):
                    to = (half + k) * width + row - first_row
                    store(derivatives, to, load(rows, square + k * LANES))
