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

from typing import TYPE_CHECKING

import numba

from phono3py_mlp_plugin.compilation import inlined, inner_kernel, kernel
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
