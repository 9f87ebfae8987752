"""Compiled loops that encode and decode long arrays; imported when first needed, cached on disk.

Each loop is the vector twin of a family's `_encode`: no branches inside, so that the compiler uses whatever
vector width the machine has. float32 input is widened to float64 in a register, which is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

    # numba's decorators without their stubs: compiled functions keep their Python signatures.
    def _njit(**_options: object) -> Callable[[Function], Function]: ...
    def _intrinsic(_function: Callable[..., Any]) -> Callable[[Any], Any]: ...

    types: Any
else:
    from numba import njit as _njit
    from numba import types
    from numba.extending import intrinsic as _intrinsic

Reals = npt.NDArray[np.float32 | np.float64]
Codes = npt.NDArray[np.unsignedinteger[Any]]

_MAGNITUDE = 0x7FFF_FFFF_FFFF_FFFF
_INFINITY = 0x7FF0_0000_0000_0000
_FLOAT32_LIMIT = 0x47F0_0000_0000_0000  # 2**128


@_intrinsic
def _bits(_context: Any, _number: Any) -> Any:
    """The float64 pattern as int64."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.int64))

    return types.int64(types.float64), generate


@_intrinsic
def _number(_context: Any, _bits: Any) -> Any:
    """The float64 with an int64 pattern."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), generate


@_njit(cache=True, nogil=True)
def look_up(codes: Codes, table: npt.NDArray[np.float64], reals: npt.NDArray[np.float64]) -> None:
    """reals[i] = table[codes[i]]."""
    for i in range(codes.size):
        reals[i] = table[codes[i]]


@_njit(cache=True, nogil=True)
def encode_fixed_point(reals: Reals, scale: float, low: float, high: float, codes: Codes) -> None:
    """Scaled, rounded to even, clipped to low..high; NaN becomes 0."""
    for i in range(reals.size):
        number = np.float64(reals[i])
        steps = 0.0 if number != number else number * scale
        codes[i] = np.int64(np.rint(min(max(steps, low), high)))


@_njit(cache=True, nogil=True)
def encode_minifloat(
    reals: Reals,
    fraction_bits: int,
    bias: int,
    overflow: float,
    code_of_nan: int,
    sign_bit: int,
    codes: Codes,
) -> None:
    """`Minifloat._encode`; sign_bit is the place of the sign, negative when unsigned."""
    drop = 52 - fraction_bits
    rebase = (1023 - bias) << 52
    below_half = (1 << (drop - 1)) - 1
    top = _bits(overflow)
    least_normal = (1024 - bias) << 52
    anchor_bits = (1023 + 1 - bias - fraction_bits + 52) << 52
    anchor = _number(anchor_bits)
    sign_mask = (1 << sign_bit) if sign_bit >= 0 else 0
    negative_mask = -1 if sign_bit >= 0 else 0
    for i in range(reals.size):
        pattern = _bits(np.float64(reals[i]))
        magnitude = pattern & _MAGNITUDE
        limited = min(magnitude, top)
        rebased = limited - rebase
        normal = (rebased + below_half + ((rebased >> drop) & 1)) >> drop
        subnormal = _bits(_number(limited) + anchor) - anchor_bits
        code = subnormal if limited < least_normal else normal
        negative = pattern >> 63  # all ones where negative
        code = (code & (negative_mask | ~negative)) | (negative & sign_mask)
        codes[i] = code_of_nan if magnitude > _INFINITY else code


@_njit(cache=True, nogil=True)
def encode_log(reals: Reals, beta: int, table: Codes, code_of_infinity: int, codes: Codes) -> None:
    """`LogBase._encode`."""
    drop = 52 - beta
    below_half = (1 << (drop - 1)) - 1
    rebase = 896 << beta
    for i in range(reals.size):
        pattern = _bits(np.float64(reals[i]))
        magnitude = pattern & _MAGNITUDE
        finite = min(magnitude, _FLOAT32_LIMIT - 1)
        rounded = (finite + below_half + ((finite >> drop) & 1)) >> drop
        index = max(rounded - rebase, 0) | ((pattern >> 63) & 1) << (8 + beta)
        code = table[index]
        codes[i] = code_of_infinity if magnitude >= _FLOAT32_LIMIT else code


@_njit(cache=True, nogil=True)
def encode_posit(
    reals: Reals, kept: int, least_exponent: int, table: Codes, sign_bit: int, codes: Codes
) -> None:
    """`Posit._encode` by a table over exponent, `kept` fraction bits and a sticky bit."""
    drop = 52 - kept
    tail = (1 << drop) - 1
    rebase = (1023 + least_exponent) << (kept + 1)
    last = table.size - 1
    for i in range(reals.size):
        pattern = _bits(np.float64(reals[i]))
        magnitude = pattern & _MAGNITUDE
        gathered = ((magnitude >> drop) << 1) | (1 if (magnitude & tail) != 0 else 0)
        code = np.int64(table[min(max(gathered - rebase, 0), last)])
        signed = code | ((pattern >> 63) & 1) << sign_bit if code != 0 else 0
        codes[i] = (1 << sign_bit) if magnitude >= _INFINITY else signed
