"""Conjugate gradients for symmetric, positive definite equations.

The coefficients of the iteration are those of the Lanczos process, whose matrix has
nearly the extreme eigenvalues of the equations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from phono3py_mlp_plugin.contracts import FloatArray


@dataclass(frozen=True, eq=False)
class Iteration:
    """Result of an iteration.

    Attributes
    ----------
    solution : ndarray
        Shape ``(p,)``.
    residual : float
        Norm of the residual over that of the right-hand side.
    least_eigenvalue : float
        Estimate of the smallest eigenvalue over the largest one, from above.
    """

    solution: FloatArray
    residual: float
    least_eigenvalue: float


def conjugate_gradients(
    apply: Callable[[FloatArray], FloatArray],
    right: FloatArray,
    *,
    tolerance: float,
    limit: int,
    start: FloatArray | None = None,
    least_eigenvalue: float = 0.0,
    advance: Callable[[int], None] = lambda _done: None,
) -> Iteration:
    """Solve ``A x = b``.

    Parameters
    ----------
    apply : callable
        The product of A and a vector.
    right : ndarray
        b, shape ``(p,)``.
    tolerance : float
        The iteration ends where the residual over b is smaller.
    limit : int
        Largest number of iterations.
    start : ndarray, optional
        Zero by default.
    least_eigenvalue : float
        The iteration ends where the estimate of the smallest eigenvalue over the
        largest is smaller.
    advance : callable
        Called after each iteration.
    """
    solution = np.zeros_like(right) if start is None else start.copy()
    residual = right.copy() if start is None else right - apply(solution)
    direction = residual.copy()
    size = float(np.linalg.norm(right))
    square = float(residual @ residual)
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    alpha = beta = 0.0
    least = 1.0
    while np.sqrt(square) > tolerance * size and len(diagonal) < limit:
        product = apply(direction)
        curvature = float(direction @ product)
        if not curvature > 0.0:
            # Not positive definite, to rounding.
            least = 0.0
            break
        diagonal.append(curvature / square + (beta / alpha if alpha else 0.0))
        alpha = square / curvature
        solution += alpha * direction
        residual -= alpha * product
        beta = float(residual @ residual) / square
        off_diagonal.append(np.sqrt(beta) / alpha)
        square *= beta
        direction *= beta
        direction += residual
        advance(1)
        least = _least(diagonal, off_diagonal[:-1])
        if not least >= least_eigenvalue:
            break
    return Iteration(solution, np.sqrt(square) / size if size else 0.0, least)


def _least(diagonal: list[float], off_diagonal: list[float]) -> float:
    """Return the smallest over the largest eigenvalue of a tridiagonal matrix."""
    values = linalg.eigvalsh_tridiagonal(np.array(diagonal), np.array(off_diagonal))
    return float(values[0] / values[-1])
