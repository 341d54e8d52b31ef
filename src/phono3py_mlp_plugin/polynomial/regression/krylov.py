"""Solutions for many penalties from few factorisations.

For two penalties a and b, the solution for b follows from the factor for a,
``(A + b)^-1 y = (1 + (b - a) M)^-1 x``, where ``M = (A + a)^-1`` and ``x = M y``. All
``(1 + d M)^-1 x`` are approximately in the Krylov space of M and x, which is spanned by
the Lanczos method (shift-and-invert; T. Ericsson and A. Ruhe, Math. Comput. **35**,
1251 (1980)). For penalties with the ratio k, about ``sqrt(k) ln(1 / accuracy) / 2``
steps of two triangular solves each are needed: 40 for k = 10, and 130 for k = 100.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray

LARGEST_RATIO = 100.0
"""Largest ratio of penalties for which one factor is used."""

# Residual relative to the right-hand side. The error is at most `LARGEST_RATIO` times
# larger, which is below that due to rounding of A for penalties in use.
_ACCURACY = 1e-11

# More steps than needed for `LARGEST_RATIO`. A matrix for which the method has not
# converged by then is not positive definite.
_STEPS = 160

# Number of steps between checks of convergence.
_CHECK_EVERY = 4


def penalty_groups(
    alphas: Sequence[float], last: float | None, largest_ratio: float
) -> list[list[float]]:
    """Return groups of penalties for each of which one factor is used.

    The first penalty of a group is the one that is factorised.

    Parameters
    ----------
    alphas : sequence of float
    last : float or None
        The penalty that is factorised last.
    largest_ratio : float
        Largest ratio of penalties of a group to the one that is factorised.
    """
    remaining = sorted(set(alphas))

    def near(a: float, b: float) -> bool:
        return max(a, b) <= (1 + 1e-6) * largest_ratio * min(a, b)

    def pop_group(factorised: float) -> list[float]:
        nonlocal remaining
        group = [a for a in remaining if near(a, factorised)]
        remaining = [a for a in remaining if a not in group]
        return [factorised, *(a for a in group if a != factorised)]

    final = [] if last is None else [pop_group(last)]
    groups = []
    while remaining:
        groups.append(pop_group(max(a for a in remaining if near(a, remaining[0]))))
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
        Multiplies a vector by M, which is symmetric and positive definite.
    start : ndarray
        x, shape ``(n,)``.
    shifts : sequence of float

    Returns
    -------
    list of ndarray or None
        None if ``1 + d M`` is not positive definite.
    """
    length = float(np.linalg.norm(start))
    solutions: list[FloatArray | None] = [None] * len(shifts)
    if length == 0.0:
        return [np.zeros_like(start) for _ in shifts]
    n_steps = min(_STEPS, len(start))
    basis = np.empty((len(start), n_steps), order="F")
    basis[:, 0] = start / length
    diagonal, off_diagonal = [], []
    for step in range(n_steps):
        vector = apply(basis[:, step])
        diagonal.append(float(basis[:, step] @ vector))
        spanned = basis[:, : step + 1]
        # Orthogonalised twice, because converged directions return due to rounding.
        for _ in range(2):
            vector -= spanned @ (spanned.T @ vector)
        off_diagonal.append(float(np.linalg.norm(vector)))
        last = off_diagonal[-1]
        complete = step + 1 == n_steps or last <= _ACCURACY * max(diagonal)
        if complete or (step + 1) % _CHECK_EVERY == 0:
            values, vectors = np.linalg.eigh(
                np.diag(diagonal)
                + np.diag(off_diagonal[:-1], 1)
                + np.diag(off_diagonal[:-1], -1)
            )
            for k, shift in enumerate(shifts):
                if solutions[k] is not None or (1 + shift * values).min() <= 0:
                    continue
                small = vectors @ (vectors[0] / (1 + shift * values))
                if abs(shift * last * small[-1]) <= _ACCURACY:
                    # The solution is small in the directions of large eigenvalues of A.
                    # Multiplication by M makes its error small there, too.
                    near = spanned @ (length * small)
                    solutions[k] = start - shift * apply(near)
            if complete or all(x is not None for x in solutions):
                break
        basis[:, step + 1] = vector / last
    return solutions
