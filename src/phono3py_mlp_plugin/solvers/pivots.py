"""Check that the linear equations solved by symfc have a unique solution.

symfc calls ``posv`` of LAPACK. It uses neither the error code nor the returned factor,
whose diagonal determines the rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray

# Smallest part (rms) of a column of the equations that is independent of the columns
# before it. Dependent columns: up to 1e-6 for ten thousand columns due to rounding. As
# many equations as force constants: 1e-3 and more; one pair of supercells more: 0.3.
LEAST_PIVOT = 1e-4

_recorded: ContextVar[list[FloatArray] | None] = ContextVar("pivots", default=None)


@contextmanager
def record_pivots() -> Iterator[list[FloatArray]]:
    """Record the pivots of each system of equations that symfc solves in the context.

    Yields
    ------
    list of ndarray
        Pivots of each system, see `relative_pivots`. The list stays empty if symfc uses
        another method. The solutions are not changed.
    """
    _wrap_posv()
    recorded: list[FloatArray] = []
    token = _recorded.set(recorded)
    try:
        yield recorded
    finally:
        _recorded.reset(token)


def relative_pivots(
    factor: FloatArray, diagonal: FloatArray, info: int = 0
) -> FloatArray:
    """Return the diagonal of a Cholesky factor over the norms of the columns.

    Parameters
    ----------
    factor : ndarray
        Shape ``(p, p)``.
    diagonal : ndarray
        Diagonal of the factorised matrix, shape ``(p,)``.
    info : int
        Error code of LAPACK, the number of the first column that depends on those
        before it. The pivots from this column on are NaN.
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
        Orders and their numbers of columns, in the order of the columns.
    """
    undetermined, begin = [], 0
    for order, size in sizes:
        if not (pivots[begin : begin + size] >= LEAST_PIVOT).all():
            undetermined.append(order)
        begin += size
    return undetermined


def _wrap_posv() -> None:
    """Replace the ``posv`` used by symfc by one that can record pivots."""
    from symfc.utils import solver_funcs

    get_functions: Callable[..., Any] | None = getattr(
        solver_funcs, "get_lapack_funcs", None
    )
    if get_functions is None or getattr(get_functions, "records_pivots", False):
        return

    def get_recording_functions(
        names: Sequence[str], *args: Any, **options: Any
    ) -> Any:
        functions = get_functions(names, *args, **options)
        if _recorded.get() is None or tuple(names) != ("posv",):
            return functions
        return (_recording(functions[0]),)

    get_recording_functions.records_pivots = True  # type: ignore[attr-defined]
    solver_funcs.get_lapack_funcs = get_recording_functions


def _recording(posv: Callable[..., Any]) -> Callable[..., Any]:
    def recording_posv(matrix: FloatArray, right: FloatArray, **options: Any) -> Any:
        diagonal = np.diag(matrix).copy()
        factor, solution, info = posv(matrix, right, **options)
        recorded = _recorded.get()
        if recorded is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                recorded.append(relative_pivots(factor, diagonal, info))
        return factor, solution, info

    return recording_posv
