"""Whether the linear equations that symfc solves have one solution.

symfc asks LAPACK's ``posv`` and looks neither at its error code nor at the factor that
it returns, whose diagonal tells the rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray

# Part of a column of the equations that those before it do not hold, root mean square.
# Rounding leaves up to 1e-6 of ten thousand columns; equations that are just as many as
# the force constants 1e-3 and more, one pair of supercells more 0.3.
LEAST_PIVOT = 1e-4

_seen: ContextVar[list[FloatArray] | None] = ContextVar("pivots", default=None)


@contextmanager
def watch_pivots() -> Iterator[list[FloatArray]]:
    """Yield a list that gets the pivots of each system that symfc solves meanwhile.

    Of each, an array as long as the unknowns: see `relative_pivots`. The solutions are
    symfc's own, bit for bit. The list stays empty where symfc solves in another way.
    """
    _look_at_posv()
    found: list[FloatArray] = []
    token = _seen.set(found)
    try:
        yield found
    finally:
        _seen.reset(token)


def relative_pivots(
    factor: FloatArray, diagonal: FloatArray, info: int = 0
) -> FloatArray:
    """Return the diagonal of a Cholesky factor over the norms of the columns.

    Parameters
    ----------
    factor : ndarray
        Shape ``(p, p)``.
    diagonal : ndarray
        Of the matrix factored, shape ``(p,)``.
    info : int
        LAPACK's: the number of the first column that depends on those before it, after
        which nothing is known; these pivots are not a number.
    """
    pivots = np.full(len(diagonal), np.nan)
    known = len(diagonal) if info == 0 else info - 1
    pivots[:known] = np.diag(factor)[:known] / np.sqrt(diagonal[:known])
    return pivots


def undetermined_orders(
    pivots: FloatArray, sizes: Sequence[tuple[int, int]]
) -> list[int]:
    """Return the orders with a column that depends on others.

    Parameters
    ----------
    pivots : ndarray
    sizes : sequence of tuple
        Orders, and numbers of their columns, as they follow each other.
    """
    found, begin = [], 0
    for order, size in sizes:
        if not (pivots[begin : begin + size] >= LEAST_PIVOT).all():
            found.append(order)
        begin += size
    return found


def _look_at_posv() -> None:
    """Let symfc find a ``posv`` that notes its factor where it is watched."""
    from symfc.utils import solver_funcs

    find: Callable[..., Any] | None = getattr(solver_funcs, "get_lapack_funcs", None)
    if find is None or getattr(find, "notes_pivots", False):
        return

    def find_noting(names: Sequence[str], *args: Any, **options: Any) -> Any:
        functions = find(names, *args, **options)
        if _seen.get() is None or tuple(names) != ("posv",):
            return functions
        return (_noting(functions[0]),)

    find_noting.notes_pivots = True  # type: ignore[attr-defined]
    solver_funcs.get_lapack_funcs = find_noting


def _noting(posv: Callable[..., Any]) -> Callable[..., Any]:
    def posv_noting(matrix: FloatArray, right: FloatArray, **options: Any) -> Any:
        diagonal = np.diag(matrix).copy()
        factor, solution, info = posv(matrix, right, **options)
        found = _seen.get()
        if found is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                found.append(relative_pivots(factor, diagonal, info))
        return factor, solution, info

    return posv_noting
