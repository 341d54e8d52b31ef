"""The operations of `simd` in numpy, for debuggers, coverage and checks of bounds.

Signatures are those of `compiled`. Products and sums are rounded one by one here, and
may be fused there: results differ in the last digits.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.kernels.vector_shape import (
    LANES,
    TILE_COLUMNS,
    TILE_VECTORS,
)

Vector: TypeAlias = FloatArray
"""Shape ``(LANES,)``."""


def load(array: FloatArray, at: int) -> Vector:
    """Return a copy of ``array[at : at + LANES]``."""
    return np.array(_part(array, at, LANES))


def store(array: FloatArray, at: int, vector: Vector) -> None:
    """Write a vector to ``array[at : at + LANES]``."""
    _part(array, at, LANES)[:] = vector


def item(array: FloatArray | IntArray, at: int) -> Any:
    """Return ``array[at]``."""
    return _part(array, at, 1)[0]


def splat(number: float) -> Vector:
    """Return a vector of one number."""
    return np.full(LANES, number, dtype=np.float64)


def total(vector: Vector) -> float:
    """Return the sum of a vector's numbers, halves first."""
    while len(vector) > 1:
        half = len(vector) // 2
        vector = vector[:half] + vector[half:]
    return float(vector[0])


def prefetch(array: FloatArray, at: int) -> None:
    """Check the place that compiled kernels ask for in advance."""
    _part(array, at, 1)


def transpose(source: FloatArray, at: int, target: FloatArray, to: int) -> None:
    """Write the transpose of `LANES` vectors at ``source[at:]`` to ``target[to:]``."""
    square = _part(source, at, LANES * LANES).reshape(LANES, LANES)
    _part(target, to, LANES * LANES)[:] = square.T.ravel()


def add_products(
    panels: FloatArray,
    depth: int,
    row: int,
    column: int,
    target: FloatArray,
    at: int,
    leading: int,
) -> None:
    """Add a tile of P P^T, see `compiled.add_products`."""

    def rows(first: int, n: int) -> FloatArray:
        part = []
        for r in range(first, first + n):
            panel = _part(panels, r // LANES * depth * LANES, depth * LANES)
            part.append(panel.reshape(depth, LANES)[:, r % LANES])
        return np.array(part)

    tile = rows(row, TILE_VECTORS * LANES) @ rows(column, TILE_COLUMNS).T
    for c in range(TILE_COLUMNS):
        _part(target, at + leading * c, TILE_VECTORS * LANES)[:] += tile[:, c]


def _part(array: Any, at: int, n: int) -> Any:
    """Return n numbers of a contiguous array from a place on, as a view."""
    if not array.flags.c_contiguous:
        raise ValueError("an array of a kernel is not contiguous")
    if not 0 <= at <= array.size - n:
        raise IndexError(
            f"{n} numbers from place {at} on reach beyond an array of {array.size}"
        )
    return array.reshape(-1)[at : at + n]
