"""Arrays of codes and arrays of real values, checked once at the door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError

if TYPE_CHECKING:
    from simulator.numerics.formats.base import Format

_FLOAT64_SIGNIFICAND_BITS = 53
_DROPPED = 64 - _FLOAT64_SIGNIFICAND_BITS


def code_dtype(bits: int) -> np.dtype[np.unsignedinteger[Any]]:
    """The smallest unsigned integer dtype of at least `bits` bits."""
    return np.dtype(np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32)


def as_codes(fmt: Format, codes: npt.ArrayLike) -> npt.NDArray[np.unsignedinteger[Any]]:
    """`codes` as an array of `fmt.code_dtype`, in the same shape; not copied when it is one already.

    Any integer dtype is taken. Two's complement formats also take negative integers down to -2**(bits-1) for
    the pattern that is equal modulo 2**bits, so an int8 array is an array of `int8` codes as it is.

    Raises:
        UserError: not integers, or a code outside the format (the first one is quoted).
    """
    array = np.asarray(codes)
    if array.size == 0 and array.dtype == np.float64:  # an empty list has no integers to tell its dtype
        return array.astype(fmt.code_dtype)
    if array.dtype.kind not in "iu":
        raise UserError(
            f"codes of {fmt.spec} must be integers", value=str(array.dtype), allowed="integer dtypes"
        )
    low = -(1 << (fmt.bits - 1)) if fmt.twos_complement else 0
    high = (1 << fmt.bits) - 1
    limits = np.iinfo(array.dtype)
    if array.size and (limits.min < low or limits.max > high):
        least, greatest = int(array.min()), int(array.max())
        if least < low or greatest > high:
            raise UserError(
                f"codes outside format {fmt.spec} of {fmt.bits} bits",
                value=greatest if greatest > high else least,
                allowed=f"{low} to {high}",
            )
    if array.dtype == fmt.code_dtype:
        return array
    if array.dtype.kind == "u":
        return array.astype(fmt.code_dtype)
    patterns = array.astype(np.int64) & high if array.dtype.itemsize * 8 != fmt.bits else array
    return patterns.astype(fmt.code_dtype)


def as_reals(values: npt.ArrayLike) -> npt.NDArray[np.float32 | np.float64]:
    """`values` as a float32 or float64 array with nothing lost that rounding to a format could see.

    float16 and small integers become float32 or float64 exactly. Integers past 2**53 are rounded to odd,
    from which rounding to nearest with fewer than 52 bits gives what the integer itself would give.

    Raises:
        UserError: not real numbers, or wider than float64.
    """
    array = np.asarray(values)
    if array.dtype.kind == "f" and array.dtype.itemsize <= 8:
        return array.astype(np.float64 if array.dtype.itemsize == 8 else np.float32, copy=False)
    if array.dtype.kind == "b":
        return array.astype(np.float64)
    if array.dtype.kind not in "iu":
        raise UserError(
            "values to encode must be real numbers",
            value=str(array.dtype),
            allowed="float16, float32, float64, integers",
        )
    if array.dtype.itemsize < 8:
        return array.astype(np.float64)
    tail = (1 << _DROPPED) - 1
    odd = (array >> _DROPPED) | ((array & tail) != 0)
    exact = np.abs(array.astype(np.float64)) < 2.0**_FLOAT64_SIGNIFICAND_BITS
    return np.where(exact, array.astype(np.float64), odd.astype(np.float64) * 2.0**_DROPPED)
