"""Single instructions for kernels: bit patterns, fused multiply-adds, bit counts; this imports numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic as numba_intrinsic


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function for kernels that becomes the LLVM instruction its `lower` builds."""
    return cast(Callable[..., Any], numba_intrinsic(function))


def _bit_cast(target: types.Type, llvm_type: ir.Type) -> Any:
    def typing(_context: Any, value: Any) -> Any:
        def lower(_inner: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[ir.Value]) -> ir.Value:
            return builder.bitcast(arguments[0], llvm_type)

        return target(value), lower

    return typing


@intrinsic
def bits_of_double(typing_context: Any, value: Any) -> Any:
    """The bit pattern of a float64 as int64."""
    return _bit_cast(types.int64, ir.IntType(64))(typing_context, value)


@intrinsic
def double_of_bits(typing_context: Any, value: Any) -> Any:
    """The float64 of an int64 bit pattern."""
    return _bit_cast(types.float64, ir.DoubleType())(typing_context, value)


@intrinsic
def bits_of_single(typing_context: Any, value: Any) -> Any:
    """The bit pattern of a float32 as int32."""
    return _bit_cast(types.int32, ir.IntType(32))(typing_context, value)


@intrinsic
def bits_of(_typing_context: Any, value: Any) -> Any:
    """The bit pattern of a float64 as int64, of a float32 as int32."""
    if value == types.float64:
        return _bit_cast(types.int64, ir.IntType(64))(None, value)
    return _bit_cast(types.int32, ir.IntType(32))(None, value)


@intrinsic
def float_of(_typing_context: Any, value: Any) -> Any:
    """The float64 of an int64 bit pattern, the float32 of an int32 one."""
    if value == types.int64:
        return _bit_cast(types.float64, ir.DoubleType())(None, value)
    return _bit_cast(types.float32, ir.FloatType())(None, value)


@intrinsic
def fused_multiply_add(_typing_context: Any, x: Any, y: Any, z: Any) -> Any:
    """Return x y + z rounded once, all float32 or all float64; by instruction or by the C library."""

    def lower(_inner: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[ir.Value]) -> ir.Value:
        return builder.fma(*arguments)

    return x(x, y, z), lower


@intrinsic
def count_ones(_typing_context: Any, value: Any) -> Any:
    """Number of one bits of an integer, in its own type."""

    def lower(_inner: Any, builder: ir.IRBuilder, _signature: Any, arguments: list[ir.Value]) -> ir.Value:
        return builder.ctpop(arguments[0])

    return value(value), lower


@intrinsic
def widest_vectors(_typing_context: Any) -> Any:
    """Let the kernel that calls this use 512-bit vectors where there are any.

    LLVM prefers 256 bits on many processors that have 512, for the sake of code around the loops.
    """

    def lower(_inner: Any, builder: ir.IRBuilder, _signature: Any, _arguments: list[ir.Value]) -> ir.Value:
        # llvmlite's own `add` knows only attributes without a value.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return ir.Constant(ir.IntType(8), 0)

    return types.int8(), lower
