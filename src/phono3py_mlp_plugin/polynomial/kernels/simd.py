"""Vectors of eight numbers, with which the kernels are written.

numba leaves vectorisation to LLVM, which gives up on the short indexed sums of this
package. Here kernels work on vectors explicitly: `load` eight numbers of an array,
compute with ``+``, ``-``, ``*``, `store` them. Arrays are C-contiguous, and offsets
count through all their axes. Compiled kernels do not check offsets: arrays must be
padded to `LANES`.

With ``NUMBA_DISABLE_JIT=1`` kernels are plain Python, vectors are numpy arrays, and
every offset is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba

from phono3py_mlp_plugin.polynomial.kernels.vector_shape import (
    LANES,
    TILE_COLUMNS,
    TILE_VECTORS,
)

if TYPE_CHECKING or numba.config.DISABLE_JIT:
    from phono3py_mlp_plugin.polynomial.kernels.interpreted import (
        Vector,
        add_products,
        item,
        load,
        prefetch,
        splat,
        store,
        total,
        transpose,
    )
else:
    from phono3py_mlp_plugin.polynomial.kernels.compiled import (
        Vector,
        add_products,
        item,
        load,
        prefetch,
        splat,
        store,
        total,
        transpose,
    )

__all__ = [
    "LANES",
    "TILE_COLUMNS",
    "TILE_VECTORS",
    "Vector",
    "add_products",
    "inlined",
    "inner_kernel",
    "item",
    "kernel",
    "load",
    "prefetch",
    "splat",
    "store",
    "total",
    "transpose",
]

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
