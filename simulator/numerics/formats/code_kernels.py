"""Compiled loops that encode and decode long arrays; imported when first needed, cached on disk.

Each loop is the vector twin of a family's `_encode`: no branches inside, so that the compiler uses whatever
vector width the machine has. float32 input is widened to float64 in a register, which is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Codes

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

_MAGNITUDE = 0x7FFF_FFFF_FFFF_FFFF
_INFINITY = 0x7FF0_0000_0000_0000


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
def look_up(codes: Codes, table: Reals, reals: Reals) -> None:
    """reals[i] = table[codes[i]]."""
    for i in range(codes.size):
        reals[i] = table[codes[i]]


@_njit(cache=True, nogil=True)
def mark_present(codes: Codes, present: npt.NDArray[np.bool_]) -> None:
    """present[codes[i]] = True."""
    for i in range(codes.size):
        present[codes[i]] = True


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
    minus_zero: bool,  # noqa: FBT001 - compiled functions take no keyword-only arguments
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
    zero_sign = sign_mask if minus_zero else 0
    for i in range(reals.size):
        pattern = _bits(np.float64(reals[i]))
        magnitude = pattern & _MAGNITUDE
        limited = min(magnitude, top)
        rebased = limited - rebase
        normal = (rebased + below_half + ((rebased >> drop) & 1)) >> drop
        subnormal = _bits(_number(limited) + anchor) - anchor_bits
        code = subnormal if limited < least_normal else normal
        negative = pattern >> 63  # all ones where negative
        sign = sign_mask if code != 0 else zero_sign
        code = (code & (negative_mask | ~negative)) | (negative & sign)
        codes[i] = code_of_nan if magnitude > _INFINITY else code


@_njit(cache=True, nogil=True)
def round_minifloat(
    reals: Reals,
    fraction_bits: int,
    least_exponent: int,
    largest: float,
    overflow: float,
    value_of_nan: float,
    values: npt.NDArray[np.float32],
) -> None:
    """The values of `encode_minifloat`'s codes, for formats with a sign and minus zero.

    With x in the binade of 2**e, adding and subtracting 1.5 * 2**(e + 52 - fraction_bits) leaves x rounded to
    nearest even at the format's step there, since the sum's last bit is that step; below 2**least_exponent
    the step is that of this binade. What is then past `largest` becomes `overflow`. Magnitudes count up to
    twice the largest, so that no shifter overflows.
    """
    anchor = ((52 - fraction_bits) << 52) | (1 << 51)
    least = (least_exponent + 1023) << 52
    top = _bits(2.0 * largest)
    for i in range(reals.size):
        real = np.float64(reals[i])
        pattern = _bits(real)
        limited = min(pattern & _MAGNITUDE, top)
        shifter = _number(max(limited & _INFINITY, least) + anchor)
        rounded = (_number(limited) + shifter) - shifter
        magnitude = overflow if rounded > largest else rounded
        signed = _number(_bits(magnitude) | (pattern & ~_MAGNITUDE))
        values[i] = np.float32(value_of_nan if real != real else signed)


@_njit(cache=True, nogil=True)
def encode_by_table(
    patterns: Any,
    drop: Any,
    first: Any,
    last: Any,
    infinite: Any,
    sign_bit: Any,
    sticky: bool,  # noqa: FBT001 - compiled functions take no keyword-only arguments
    table: Any,
    codes: Any,
) -> None:
    """`PatternTable.encode`, or other entries than codes in the same places.

    Patterns and all their bounds are uint32 or uint64 alike.

    One loop computes the indices of a block and vectorises; another looks them up, which does not.
    """
    block = 2048
    indices = np.empty(block, np.uint32)
    one = drop // drop
    below_half = (one << (drop - one)) - one
    tail = (one << drop) - one
    magnitude_mask = (one << sign_bit) - one
    per_sign = last - first + one
    for start in range(0, patterns.size, block):
        chunk, out = patterns[start : start + block], codes[start : start + block]
        if sticky:
            for i in range(chunk.size):
                magnitude = chunk[i] & magnitude_mask
                cut = one if (magnitude & tail) != 0 else one - one
                leading = min(max(((magnitude >> drop) << one) | cut, first), last)
                index = leading - first + (chunk[i] >> sign_bit) * per_sign
                indices[i] = np.uint32(per_sign + per_sign if magnitude >= infinite else index)
        else:
            for i in range(chunk.size):
                magnitude = chunk[i] & magnitude_mask
                rounded = (magnitude + below_half + ((magnitude >> drop) & one)) >> drop
                index = min(max(rounded, first), last) - first + (chunk[i] >> sign_bit) * per_sign
                indices[i] = np.uint32(per_sign + per_sign if magnitude >= infinite else index)
        for i in range(chunk.size):
            out[i] = table[indices[i]]
