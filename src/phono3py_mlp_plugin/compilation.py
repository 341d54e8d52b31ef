"""Compilation of kernels by numba, on the machine on which they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., object])

_OPTIONS: dict[str, Any] = {
    "nopython": True,
    "nogil": True,
    "error_model": "numpy",
    # Nothing calls them from C: less to compile.
    "no_cfunc_wrapper": True,
}


def kernel(function: _Function) -> _Function:
    """Compile a function: it releases the interpreter lock and is cached on disk."""
    return _compiled(function, **_OPTIONS)


def inner_kernel(function: _Function) -> _Function:
    """Compile a function that is called only by kernels, not by Python."""
    return _compiled(function, **_OPTIONS, no_cpython_wrapper=True)


def inlined(function: _Function) -> _Function:
    """Compile a function into every kernel that calls it.

    LLVM alone does not inline many calls that take as long as the computation in them.
    """
    options = {**_OPTIONS, "inline": "always", "no_cpython_wrapper": True}
    return cast(_Function, numba.jit(**options)(function))


def _compiled(function: _Function, **options: Any) -> _Function:
    try:
        compiled = numba.jit(cache=True, **options)(function)
    except RuntimeError:
        # Neither the package's folder nor the user's can be written to.
        compiled = numba.jit(**options)(function)
    return cast(_Function, compiled)
