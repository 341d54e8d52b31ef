"""Many penalties from few factorisations.

Of two penalties a and b, the solution for one follows from the factor for the other:
``(A + b)^-1 y = (1 + (b - a) M)^-1 x``, where ``M = (A + a)^-1`` and ``x = M y``. All
``(1 + d M)^-1 x`` lie nearly in one Krylov space, that of M and x, which the Lanczos
process spans (shift-and-invert; T. Ericsson and A. Ruhe, Math. Comput. **35**, 1251
(1980)). Its steps, two triangular solves each, number about ``sqrt(k) ln(1 / accuracy)
/ 2`` with the ratio k of the penalties: forty for ten, 130 for a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray

REACH = 100.0
"""Ratio of penalties within which one factor may serve both."""

# Residual that is left, as a part of the right side. The error is `REACH` times that at
# most, and below what rounding of A makes of it for penalties in use.
_ACCURACY = 1e-11

# More steps than the reach takes: what has not converged then is not positive definite.
_STEPS = 160

# Steps after which convergence is looked at.
_LOOK = 4


def penalty_groups(
    alphas: Sequence[float], last: float | None, reach: float
) -> list[list[float]]:
    """Return penalties in groups that one factor serves, each led by its own.

    Parameters
    ----------
    alphas : sequence of float
    last : float or None
        One of the penalties that leads the last group.
    reach : float
        Largest ratio of penalties of a group to its leader.
    """
    remaining = sorted(set(alphas))

    def near(a: float, b: float) -> bool:
        return max(a, b) <= (1 + 1e-6) * reach * min(a, b)

    def take(leader: float) -> list[float]:
        nonlocal remaining
        taken = [a for a in remaining if near(a, leader)]
        remaining = [a for a in remaining if a not in taken]
        return [leader, *(a for a in taken if a != leader)]

    final = [] if last is None else [take(last)]
    groups = []
    while remaining:
        groups.append(take(max(a for a in remaining if near(a, remaining[0]))))
    return groups + final


def shifted_solutions(
    apply: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    shifts: Sequence[float],
) -> list[FloatArray | None]:
    """Return ``(1 + d M)^-1 x`` for all shifts d.

    Parameters
    ----------
    apply : callable
        Returns M times a vector, M symmetric and positive definite.
    start : ndarray
        x, shape ``(n,)``.
    shifts : sequence of float

    Returns
    -------
    list of ndarray or None
        None where ``1 + d M`` is not positive definite.
    """
    length = float(np.linalg.norm(start))
    solutions: list[FloatArray | None] = [None] * len(shifts)
    if length == 0.0:
        return [np.zeros_like(start) for _ in shifts]
    n_steps = min(_STEPS, len(start))
    basis = np.empty((len(start), n_steps), order="F")
    basis[:, 0] = start / length
    diagonal, beside = [], []
    for step in range(n_steps):
        vector = apply(basis[:, step])
        diagonal.append(float(basis[:, step] @ vector))
        spanned = basis[:, : step + 1]
        # Twice: rounding would let directions that have converged come back.
        for _ in range(2):
            vector -= spanned @ (spanned.T @ vector)
        beside.append(float(np.linalg.norm(vector)))
        complete = step + 1 == n_steps or beside[-1] <= _ACCURACY * max(diagonal)
        if complete or (step + 1) % _LOOK == 0:
            values, vectors = np.linalg.eigh(
                np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
            )
            for k, shift in enumerate(shifts):
                if solutions[k] is not None or (1 + shift * values).min() <= 0:
                    continue
                small = vectors @ (vectors[0] / (1 + shift * values))
                if abs(shift * beside[-1] * small[-1]) <= _ACCURACY:
                    # Along large eigenvalues of A, where rows or columns weigh most,
                    # the solution is small: after one product its error is as well.
                    near = spanned @ (length * small)
                    solutions[k] = start - shift * apply(near)
            if complete or all(x is not None for x in solutions):
                break
        basis[:, step + 1] = vector / beside[-1]
    return solutions
