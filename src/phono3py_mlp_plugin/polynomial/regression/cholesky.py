"""Solution of linear equations with a Cholesky factor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy.linalg import blas

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import PotentialError

LinearMap: TypeAlias = Callable[[FloatArray], FloatArray]

# Number of columns of a factor in one block.
_COLUMNS_AT_A_TIME = 192


def solution_with(factor: FloatArray) -> LinearMap:
    """Return a function that multiplies by ``L^-T L^-1``, L in the lower triangle.

    Blocks of columns are used, so that the part below the diagonal is multiplied by all
    threads.
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
    """Return the error for a penalty whose factorisation failed."""
    return PotentialError(
        f"X^T X + alpha I is singular at alpha = {alpha:.1e}. Use a larger penalty."
    )
