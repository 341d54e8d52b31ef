"""How the compiled loops of this package are compiled: by numba, where they run."""

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
    """Compile a function: it releases the interpreter lock and is kept on disk."""
    return _compiled(function, **_OPTIONS)


def inner_kernel(function: _Function) -> _Function:
    """Compile a function that kernels call, and Python does not."""
    return _compiled(function, **_OPTIONS, no_cpython_wrapper=True)


def inlined(function: _Function) -> _Function:
    """Compile a function into every kernel that calls it.

    LLVM by itself leaves many calls in place, which cost as much as what they compute.
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
