"""The operations of `simd` as instructions of LLVM, through the inside of numba.

A vector type for numba, so that kernels need no compiler on the machine. Vectors live
in registers, whatever width the processor has. ``tests/polynomial/test_simd.py`` names
the versions of numba with which this was tried.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, cast

from llvmlite import ir
from numba.core import types
from numba.extending import (
    intrinsic,
    lower_builtin,
    models,
    register_model,
    type_callable,
)

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.polynomial.kernels.vector_shape import (
    LANES,
    TILE_COLUMNS,
    TILE_VECTORS,
)

Vector: TypeAlias = FloatArray
"""For annotations alone: compiled kernels know `vector_type`."""

_intrinsic = cast("Callable[[Callable[..., object]], Any]", intrinsic)

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


def _load(builder: Any, address: Any) -> Any:
    vector = builder.load(builder.bitcast(address, _LLVM.as_pointer()))
    vector.align = 8
    return vector


def _store(builder: Any, vector: Any, address: Any) -> None:
    builder.store(vector, builder.bitcast(address, _LLVM.as_pointer())).align = 8


@_intrinsic
def load(typingctx: Any, array: Any, at: Any) -> tuple[Any, Callable[..., Any]]:
    """Return ``array[at : at + LANES]`` of a flat float64 array."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _load(builder, _address(context, builder, sig.args[0], *args))

    return vector_type(array, types.intp), codegen


@_intrinsic
def store(
    typingctx: Any, array: Any, at: Any, vector: Any
) -> tuple[Any, Callable[..., Any]]:
    """Write a vector to ``array[at : at + LANES]``."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _address(context, builder, sig.args[0], *args[:2])
        _store(builder, args[2], address)
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
        offsets = [ir.Constant(ir.IntType(64), n * LANES) for n in range(LANES)]
        rows = [_load(builder, builder.gep(read, [offset])) for offset in offsets]
        _exchange_blocks(builder, rows)
        for row, offset in zip(rows, offsets, strict=True):
            _store(builder, row, builder.gep(write, [offset]))
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp), codegen


def _exchange_blocks(builder: Any, rows: list[Any]) -> None:
    """Transpose in place: blocks of a growing size move across the diagonal."""
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
        number = partial(ir.Constant, depth.type)

        def start(r: Any) -> Any:
            """Return the address of ``P[r, 0]``."""
            panel = builder.mul(builder.udiv(r, number(LANES)), depth)
            offset = builder.mul(panel, number(LANES))
            offset = builder.add(offset, builder.urem(r, number(LANES)))
            return _address(context, builder, sig.args[0], panels, offset)

        left = [start(builder.add(row, number(v * LANES))) for v in range(TILE_VECTORS)]
        right = [start(builder.add(column, number(c))) for c in range(TILE_COLUMNS)]
        sums = _sums_of_products(builder, left, right, depth)
        for (v, c), products in sums.items():
            offset = builder.add(at, builder.mul(leading, number(c)))
            offset = builder.add(offset, number(v * LANES))
            address = _address(context, builder, sig.args[4], target, offset)
            _store(builder, builder.fadd(_load(builder, address), products), address)
        return context.get_dummy_value()

    number = types.intp
    arguments = (panels, number, number, number, target, number, number)
    return types.void(*arguments), codegen


def _sums_of_products(
    builder: Any, left: list[Any], right: list[Any], depth: Any
) -> dict[tuple[int, int], Any]:
    """Emit the loop over k; return the sums of each vector and column of a tile."""
    number = partial(ir.Constant, depth.type)
    before = builder.block
    loop, after = (builder.append_basic_block(n) for n in ("products", "sums"))
    builder.branch(loop)
    builder.position_at_end(loop)
    k = builder.phi(depth.type)
    tile = [(v, c) for c in range(TILE_COLUMNS) for v in range(TILE_VECTORS)]
    sums = {place: builder.phi(_LLVM) for place in tile}
    offset = builder.mul(k, number(LANES))
    vectors = [_load(builder, builder.gep(address, [offset])) for address in left]
    numbers = [builder.load(builder.gep(address, [offset])) for address in right]
    spread = [_spread(builder, each) for each in numbers]
    following = builder.add(k, number(1))
    k.add_incoming(number(0), before)
    k.add_incoming(following, loop)
    for (v, c), before_k in sums.items():
        product = builder.fmul(vectors[v], spread[c], flags=_FUSE)
        after_k = builder.fadd(product, before_k, flags=_FUSE)
        before_k.add_incoming(ir.Constant(_LLVM, [0.0] * LANES), before)
        before_k.add_incoming(after_k, loop)
        sums[v, c] = after_k
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
    builder.position_at_end(after)
    return sums


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
