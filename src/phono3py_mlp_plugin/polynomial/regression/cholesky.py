"""Solutions by a Cholesky factor, and the error where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy.linalg import blas

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import PotentialError

LinearMap: TypeAlias = Callable[[FloatArray], FloatArray]

# Columns of a factor that are solved with at a time.
_COLUMNS_AT_A_TIME = 192


def solution_with(factor: FloatArray) -> LinearMap:
    """Return ``L^-T L^-1``, L in the lower triangle.

    By blocks of columns: all threads work on what is below the diagonal.
    """
    parts = []
    for low in range(0, len(factor), _COLUMNS_AT_A_TIME):
        block = slice(low, low + _COLUMNS_AT_A_TIME)
        below = slice(low + _COLUMNS_AT_A_TIME, None)
        diagonal = np.asfortranarray(factor[block, block])
        parts.append((block, below, diagonal, factor[below, block]))

    def solve(vector: FloatArray) -> FloatArray:
        solved = vector.copy()
        for block, below, diagonal, rest in parts:
            solved[block] = blas.dtrsv(diagonal, solved[block], lower=1)
            solved[below] -= rest @ solved[block]
        for block, below, diagonal, rest in reversed(parts):
            solved[block] -= rest.T @ solved[below]
            solved[block] = blas.dtrsv(diagonal, solved[block], lower=1, trans=1)
        return solved

    return solve


def singular(alpha: float) -> PotentialError:
    """Return the error of a penalty whose factorisation fails."""
    return PotentialError(
        f"X^T X + alpha I is singular at alpha = {alpha:.1e}. Use a larger penalty."
    )
