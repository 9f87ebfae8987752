"""How kernels are compiled: once, into a cache for later processes. Import this only where they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic as numba_intrinsic

from simulator.numerics.engines.kernel_cache import KernelCache

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """A function compiled by numba on its first call, cached on disk, running without the GIL."""
    options = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
    # Said, as numba would pass it on from a `helper` that calls the kernel to all that the kernel calls.
    return _cached(function, numba.njit(**options, forceinline=False)(function))


def still_kernel(function: Function) -> Function:
    """A kernel that allocates no arrays: numba then counts no references, whose atomic steps take time."""
    options = {"nogil": True, "boundscheck": False, "error_model": "numpy", "_nrt": False}
    return _cached(function, numba.njit(**options, forceinline=False)(function))


def _cached(function: Function, compiled: Any) -> Function:
    if compiled is not function:  # NUMBA_DISABLE_JIT leaves the function as it is
        compiled._cache = KernelCache(function)
    return cast(Function, compiled)


def helper(function: Function) -> Function:
    """A function that only kernels call: inlined, and without the wrappers that calls from Python need."""
    return cast(
        Function,
        numba.njit(
            nogil=True,
            boundscheck=False,
            error_model="numpy",
            no_cpython_wrapper=True,
            no_cfunc_wrapper=True,
            forceinline=True,
        )(function),
    )


def inlined(function: Function) -> Function:
    """A helper compiled into the kernels that call it."""
    return cast(Function, numba.njit(inline="always")(function))


@inlined
def block_length(N: int) -> int:
    """Weight rows of N elements (up to 8 bytes) to reuse from a core's cache; a multiple of 4."""
    return max(4, (32768 // max(N, 1)) // 4 * 4)


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
