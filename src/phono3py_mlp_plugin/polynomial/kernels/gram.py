"""Sums of products of rows, X^T X: half of a training, so registers are blocked here.

BLAS takes the kernels it knows for a processor; the OpenBLAS of numpy and scipy takes
those of 256 bits on processors of 512 that are newer than it. LLVM, which compiles
this, knows more of them. Weights and the choice of rows cost nothing on the way.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.polynomial.kernels.simd import (
    LANES,
    TILE_COLUMNS,
    TILE_VECTORS,
    add_products,
    kernel,
)
from phono3py_mlp_plugin.threads import threads

_ROWS = TILE_VECTORS * LANES

# Products that are summed before the sums leave the registers.
_DEPTH = 384

# Rows of a part of the result: these rows of the matrix stay in the cache of a core.
# Columns of a part: there are enough of them for many threads. Both are multiples of
# the rows and of the columns of every tile.
_PART = 240
_WIDTH = 16 * _PART

# Tiles reach beyond the last row by less, in any shape: kernels kept on disk may have
# been compiled elsewhere.
_BEYOND = 3

# Panels that are packed at a time.
_PANELS = 32

# Edge of the tiles in which a triangle is read against the order of its storage.
_TILE = 64


def add_gram(
    array: FloatArray,
    matrix: FloatArray,
    rows: NDArray[np.intp],
    weights: FloatArray,
) -> None:
    """Add ``M W^2 M^T`` to the upper triangle, M some rows of a matrix, W weights.

    What is below the diagonal is neither read nor written. Sums do not depend on the
    number of threads.

    Parameters
    ----------
    array : ndarray
        In Fortran's order, shape ``(n, n)``.
    matrix : ndarray
        Shape ``(n_all, n_columns)``.
    rows : ndarray
        Which rows are taken, shape ``(n,)``.
    weights : ndarray
        Of the columns, shape ``(n_columns,)``.
    """
    n, n_columns = len(array), matrix.shape[1]
    n_panels = -(-n // LANES) + _BEYOND
    room = np.empty(n_panels * min(n_columns, _DEPTH) * LANES)
    flat = array.reshape(-1, order="F")
    parts = [(i, j) for i in range(0, n, _PART) for j in range(i, n, _WIDTH)]
    with threads(None) as executor:
        for low in range(0, n_columns, _DEPTH):
            depth = min(_DEPTH, n_columns - low)
            pack = partial(_pack, matrix, rows, weights, low, depth, room, n_panels)
            list(executor.map(pack, range(0, n_panels, _PANELS)))
            add = partial(_add, room, depth, flat, n)
            list(executor.map(lambda part, add=add: add(*part), parts))


def add_to_lower(array: FloatArray, *, is_first: bool) -> None:
    """Add the upper triangle to the lower one, and set the upper one to zero.

    The diagonal is neither read nor written.

    Parameters
    ----------
    array : ndarray
        In Fortran's order, shape ``(n, n)``.
    is_first : bool
        Whether the lower triangle is overwritten instead.
    """
    n = len(array)
    flat = array.reshape(-1, order="F")
    with threads(None) as executor:
        add = partial(_add_to_lower, flat, n, is_first)
        list(executor.map(add, range(0, n, _TILE)))


def move_to_upper(array: FloatArray) -> None:
    """Copy the lower triangle to the upper one; the diagonal stays as it is.

    Parameters
    ----------
    array : ndarray
        In Fortran's order, shape ``(n, n)``.
    """
    n = len(array)
    flat = array.reshape(-1, order="F")
    with threads(None) as executor:
        list(executor.map(partial(_move_to_upper, flat, n), range(0, n, _TILE)))


@kernel
def _add_to_lower(array: FloatArray, n: int, is_first: bool, first: int) -> None:
    """Add some columns of the upper triangle to rows of the lower one."""
    last = min(first + _TILE, n)
    for top in range(0, last, _TILE):
        for j in range(first, last):
            for i in range(top, min(top + _TILE, j)):
                before = 0.0 if is_first else array[j + i * n]
                array[j + i * n] = before + array[i + j * n]
                array[i + j * n] = 0.0


@kernel
def _move_to_upper(array: FloatArray, n: int, first: int) -> None:
    """Copy some rows of the lower triangle to columns of the upper one."""
    last = min(first + _TILE, n)
    for top in range(0, last, _TILE):
        for j in range(first, last):
            for i in range(top, min(top + _TILE, j)):
                array[i + j * n] = array[j + i * n]


@kernel
def _pack(
    matrix: FloatArray,
    rows: NDArray[np.intp],
    weights: FloatArray,
    low: int,
    depth: int,
    panels: FloatArray,
    n_panels: int,
    first: int,
) -> None:
    """Write weighted columns of some panels as `add_products` reads them."""
    for panel in range(first, min(first + _PANELS, n_panels)):
        at = panel * depth * LANES
        for lane in range(LANES):
            r = panel * LANES + lane
            if r < len(rows):
                row = rows[r]
                for k in range(depth):
                    value = matrix[row, low + k] * weights[low + k]
                    panels[at + k * LANES + lane] = value
            else:
                for k in range(depth):
                    panels[at + k * LANES + lane] = 0.0


@kernel
def _add(
    panels: FloatArray,
    depth: int,
    array: FloatArray,
    n: int,
    first_row: int,
    first_column: int,
) -> None:
    """Add a part of the products, what is below the diagonal left out."""
    tile = np.zeros(_ROWS * TILE_COLUMNS)
    last_row = min(first_row + _PART, n)
    last_column = min(first_column + _WIDTH, n)
    for j in range(first_column, last_column, TILE_COLUMNS):
        for i in range(first_row, min(last_row, j + TILE_COLUMNS), _ROWS):
            if i + _ROWS <= j + 1 and j + TILE_COLUMNS <= n:
                add_products(panels, depth, i, j, array, i + j * n, n)
                continue
            tile[:] = 0.0
            add_products(panels, depth, i, j, tile, 0, _ROWS)
            for c in range(min(TILE_COLUMNS, n - j)):
                for r in range(min(_ROWS, j + c - i + 1)):
                    array[i + r + (j + c) * n] += tile[c * _ROWS + r]
