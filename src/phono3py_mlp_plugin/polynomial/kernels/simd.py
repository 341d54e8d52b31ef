"""Eight numbers at a time: a vector type for numba, so that kernels need no compiler.

numba leaves vectorisation to LLVM, which gives up on the short indexed sums of this
engine. Here LLVM's own vectors are exposed instead: `load` eight numbers of a flat
array, compute with ``+``, ``-``, ``*``, `store` them. They live in registers, whatever
width the processor has. Offsets are not checked: arrays must be padded to `LANES`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import binding, ir
from numba.core import types
from numba.extending import (
    intrinsic,
    lower_builtin,
    models,
    register_model,
    type_callable,
)

LANES = 8
"""Numbers in a vector."""

# A tile's sums fill the registers: 24 of 32 with 512 bits, 12 of 16 with 256.
_WIDE = bool(binding.get_host_cpu_features().get("avx512f"))

TILE_VECTORS = 3 if _WIDE else 1
"""Vectors in a column of a tile of `add_products`."""

TILE_COLUMNS = 8 if _WIDE else 6
"""Columns of a tile of `add_products`."""

_Function = TypeVar("_Function", bound=Callable[..., object])

_intrinsic = cast("Callable[[Callable[..., object]], Any]", intrinsic)


def kernel(function: _Function) -> _Function:
    """Compile a function: it releases the interpreter lock and is kept on disk."""
    options = {
        "nopython": True,
        "nogil": True,
        "error_model": "numpy",
        # Nothing calls them from C: less to compile.
        "no_cfunc_wrapper": True,
    }
    try:
        compiled = numba.jit(cache=True, **options)(function)  # type: ignore[call-overload]
    except RuntimeError:
        # Neither the package's folder nor the user's can be written to.
        compiled = numba.jit(**options)(function)  # type: ignore[call-overload]
    return cast(_Function, compiled)


_LLVM = ir.VectorType(ir.DoubleType(), LANES)
# A product and a sum may become one fused instruction; nothing else is reordered.
_FUSE = ("contract",)


class _VectorType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"float64x{LANES}")


vector_type = _VectorType()


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _LLVM)  # type: ignore[no-untyped-call]


def _address(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [at])


@_intrinsic
def load(typingctx: Any, array: Any, at: Any) -> tuple[Any, Callable[..., Any]]:
    """Return ``array[at : at + LANES]`` of a flat float64 array."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _address(context, builder, sig.args[0], *args)
        found = builder.load(builder.bitcast(address, _LLVM.as_pointer()))
        found.align = 8
        return found

    return vector_type(array, types.intp), codegen


@_intrinsic
def store(
    typingctx: Any, array: Any, at: Any, vector: Any
) -> tuple[Any, Callable[..., Any]]:
    """Write a vector to ``array[at : at + LANES]``."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _address(context, builder, sig.args[0], *args[:2])
        written = builder.store(args[2], builder.bitcast(address, _LLVM.as_pointer()))
        written.align = 8
        return context.get_dummy_value()

    return types.void(array, types.intp, vector_type), codegen


@_intrinsic
def item(typingctx: Any, array: Any, at: Any) -> tuple[Any, Callable[..., Any]]:
    """Return ``array[at]`` without the check for negative indices."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(_address(context, builder, sig.args[0], *args))

    return array.dtype(array, types.intp), codegen


@_intrinsic
def splat(typingctx: Any, number: Any) -> tuple[Any, Callable[..., Any]]:
    """Return a vector of one number."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _spread(builder, args[0])

    return vector_type(types.float64), codegen


@_intrinsic
def total(typingctx: Any, vector: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the sum of a vector's numbers, halves first."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        part, width = args[0], LANES
        while width > 1:
            width //= 2
            halves = [_lanes(builder, part, start, width) for start in (0, width)]
            part = builder.fadd(*halves)
        return builder.extract_element(part, ir.Constant(ir.IntType(32), 0))

    return types.float64(vector_type), codegen


@_intrinsic
def prefetch(typingctx: Any, array: Any, at: Any) -> tuple[Any, Callable[..., Any]]:
    """Ask for the cache line of ``array[at]``, which will be written soon."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        declared = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], declared)
        address = builder.bitcast(_address(context, builder, sig.args[0], *args), byte)
        write, near, data = (ir.Constant(number, value) for value in (1, 3, 1))
        builder.call(function, [address, write, near, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@_intrinsic
def transpose(
    typingctx: Any, source: Any, at: Any, target: Any, to: Any
) -> tuple[Any, Callable[..., Any]]:
    """Write the transpose of `LANES` vectors at ``source[at:]`` to ``target[to:]``."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        source, at, target, to = args
        read = _address(context, builder, sig.args[0], source, at)
        write = _address(context, builder, sig.args[2], target, to)

        def vector(start: Any, number: int) -> Any:
            offset = ir.Constant(ir.IntType(64), number * LANES)
            address = builder.gep(start, [offset])
            return builder.bitcast(address, _LLVM.as_pointer())

        rows = []
        for number in range(LANES):
            row = builder.load(vector(read, number))
            row.align = 8
            rows.append(row)
        # Blocks of a growing size change places across the diagonal.
        size = 1
        while size < LANES:
            for low in range(LANES):
                if low & size:
                    continue
                pair = rows[low], rows[low + size]
                for number, odd in ((low, 0), (low + size, size)):
                    lanes = [
                        (lane - size + LANES if lane & size else lane) + odd
                        for lane in range(LANES)
                    ]
                    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), lanes)
                    rows[number] = builder.shuffle_vector(*pair, mask)
            size *= 2
        for number in range(LANES):
            builder.store(rows[number], vector(write, number)).align = 8
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp), codegen


@_intrinsic
def add_products(
    typingctx: Any,
    panels: Any,
    depth: Any,
    row: Any,
    column: Any,
    target: Any,
    at: Any,
    leading: Any,
) -> tuple[Any, Callable[..., Any]]:
    """Add a tile of P P^T: ``sum_k P[row + r, k] P[column + c, k]``.

    P lies in panels of `LANES` rows: ``P[r, k]`` is ``panels[(r // LANES * depth + k) *
    LANES + r % LANES]``. The tile has ``TILE_VECTORS * LANES`` rows, the first a
    multiple of `LANES`, and `TILE_COLUMNS` columns; it is added to ``target[at + r +
    leading * c]``. The depth is positive.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        panels, depth, row, column, target, at, leading = args
        integer = depth.type

        def number(value: int) -> Any:
            return ir.Constant(integer, value)

        def start(r: Any) -> Any:
            panel = builder.mul(builder.udiv(r, number(LANES)), depth)
            offset = builder.mul(panel, number(LANES))
            offset = builder.add(offset, builder.urem(r, number(LANES)))
            return _address(context, builder, sig.args[0], panels, offset)

        def vector(address: Any) -> Any:
            return builder.bitcast(address, _LLVM.as_pointer())

        def loaded(address: Any) -> Any:
            found = builder.load(vector(address))
            found.align = 8
            return found

        tile = [(v, c) for c in range(TILE_COLUMNS) for v in range(TILE_VECTORS)]
        left = [start(builder.add(row, number(v * LANES))) for v in range(TILE_VECTORS)]
        right = [start(builder.add(column, number(c))) for c in range(TILE_COLUMNS)]
        before = builder.block
        loop, after = (builder.append_basic_block(n) for n in ("products", "sums"))
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(integer)
        sums = {place: builder.phi(_LLVM) for place in tile}
        along = builder.mul(k, number(LANES))
        vectors = [loaded(builder.gep(address, [along])) for address in left]
        spread = [
            _spread(builder, builder.load(builder.gep(address, [along])))
            for address in right
        ]
        following = builder.add(k, number(1))
        k.add_incoming(number(0), before)
        k.add_incoming(following, loop)
        for (v, c), held in sums.items():
            product = builder.fmul(vectors[v], spread[c], flags=_FUSE)
            added = builder.fadd(product, held, flags=_FUSE)
            held.add_incoming(ir.Constant(_LLVM, [0.0] * LANES), before)
            held.add_incoming(added, loop)
            sums[v, c] = added
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
        builder.position_at_end(after)
        for (v, c), found in sums.items():
            offset = builder.add(at, builder.mul(leading, number(c)))
            offset = builder.add(offset, number(v * LANES))
            address = _address(context, builder, sig.args[4], target, offset)
            found = builder.fadd(loaded(address), found)
            builder.store(found, vector(address)).align = 8
        return context.get_dummy_value()

    number = types.intp
    arguments = (panels, number, number, number, target, number, number)
    return types.void(*arguments), codegen


def _lanes(builder: Any, vector: Any, start: int, width: int) -> Any:
    mask = ir.Constant(
        ir.VectorType(ir.IntType(32), width), list(range(start, start + width))
    )
    undefined = ir.Constant(vector.type, ir.Undefined)
    return builder.shuffle_vector(vector, undefined, mask)


def _spread(builder: Any, number: Any) -> Any:
    undefined = ir.Constant(_LLVM, ir.Undefined)
    index = ir.IntType(32)
    first = builder.insert_element(undefined, number, ir.Constant(index, 0))
    mask = ir.Constant(ir.VectorType(index, LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, mask)


def _arithmetic(operation: Any, instruction: str) -> None:
    # Each becomes an instruction: an overload would be a call for LLVM to clear away.
    allowed = [
        (vector_type, vector_type),
        (vector_type, types.float64),
        (types.float64, vector_type),
    ]

    @type_callable(operation)
    def on_vectors(context: Any) -> Callable[[Any, Any], Any]:
        return lambda a, b: vector_type if (a, b) in allowed else None

    def compute(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vectors = [
            value if kind == vector_type else _spread(builder, value)
            for kind, value in zip(sig.args, args, strict=True)
        ]
        return getattr(builder, instruction)(*vectors, flags=_FUSE)

    for pair in allowed:
        lower_builtin(operation, *pair)(compute)  # type: ignore[no-untyped-call]


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
