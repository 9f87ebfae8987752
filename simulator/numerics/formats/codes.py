"""Arrays of codes and arrays of real values, checked once at the door."""

from __future__ import annotations

from math import inf, ldexp
from sys import float_info
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.array_types import Codes

FLOAT64_SIGNIFICAND_BITS = 53
_FLOAT64_LARGEST_BITS = 1024
_DROPPED = 64 - FLOAT64_SIGNIFICAND_BITS
_REAL = (int, float, np.integer, np.float16, np.float32, np.float64)


class CodeFormat(Protocol):
    """What checking codes needs to know of a number format."""

    twos_complement: ClassVar[bool]

    @property
    def bits(self) -> int:
        """Width of a code."""

    @property
    def spec(self) -> str:
        """How messages name it."""

    @property
    def code_dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The dtype of its codes."""


def as_codes(fmt: CodeFormat, codes: npt.ArrayLike) -> Codes:
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
    masked = fmt.twos_complement and array.dtype.itemsize * 8 != fmt.bits
    patterns = array.astype(np.int64) & high if masked else array
    return patterns.astype(fmt.code_dtype)


def as_reals(values: npt.ArrayLike, *, nearest: bool = False) -> npt.NDArray[np.float32 | np.float64]:
    """`values` as a float32 or float64 array with nothing lost that rounding to a format could see.

    float16 and small integers become float32 or float64 exactly; larger integers, Python's of any size
    included, as `integers_as_reals` has it.

    Raises:
        UserError: not real numbers, or wider than float64.
    """
    array = np.asarray(values)
    if array.dtype.kind == "f" and array.dtype.itemsize <= 8:
        if isinstance(values, np.ndarray | np.generic) or not (np.abs(array) >= 2.0**63).any():
            return array.astype(np.float64 if array.dtype.itemsize == 8 else np.float32, copy=False)
        array = np.asarray(values, object)  # numpy makes floats of lists in which no integer type fits all
    if array.dtype.kind == "b":
        return array.astype(np.float64)
    if array.dtype.kind == "O" and all(isinstance(element, _REAL) for element in array.flat):
        reals = [_as_real(element, nearest=nearest) for element in array.flat]
        return np.array(reals, np.float64).reshape(array.shape)
    if array.dtype.kind not in "iu":
        raise UserError(
            "values to encode must be real numbers",
            value=str(array.dtype),
            allowed="float16, float32, float64, integers",
        )
    if array.dtype.itemsize < 8:
        return array.astype(np.float64)
    return integers_as_reals(array, nearest=nearest)


def integers_as_reals(integers: npt.NDArray[Any], *, nearest: bool = False) -> npt.NDArray[np.float64]:
    """float64 of int64, uint64 or Python integers (dtype object).

    Those past 2**53 are rounded to odd: rounding that to nearest with fewer than 44 bits gives what the
    integer itself would give, and ones past float64 become its largest value. With `nearest` they are
    rounded to nearest, ties to even, for formats as precise as float64 is; past float64 is infinity.
    """
    if integers.dtype == object:
        reals = [_as_real(int(element), nearest=nearest) for element in integers.flat]
        return np.array(reals, np.float64).reshape(integers.shape)
    rounded = integers.astype(np.float64)
    exact = np.abs(rounded) < 2.0**FLOAT64_SIGNIFICAND_BITS
    if nearest or exact.all():
        return rounded
    tail = (1 << _DROPPED) - 1
    odd = (integers >> _DROPPED) | ((integers & tail) != 0)
    return np.where(exact, rounded, odd.astype(np.float64) * 2.0**_DROPPED)


def _as_real(number: float | np.floating[Any] | np.integer[Any], *, nearest: bool) -> float:
    """float64 of a float, or of an integer as in `integers_as_reals`."""
    if isinstance(number, float | np.floating) or abs(number) < 1 << FLOAT64_SIGNIFICAND_BITS:
        return float(number)
    sign, magnitude = -1.0 if number < 0 else 1.0, abs(int(number))
    if nearest:
        return sign * _nearest(magnitude)
    if magnitude.bit_length() > _FLOAT64_LARGEST_BITS:
        return sign * float_info.max
    drop = magnitude.bit_length() - FLOAT64_SIGNIFICAND_BITS
    odd = (magnitude >> drop) | (magnitude & ((1 << drop) - 1) != 0)
    return sign * ldexp(float(odd), drop)


def _nearest(magnitude: int) -> float:
    try:
        return float(magnitude)
    except OverflowError:  # it rounds up to 2**1024, or is more
        return inf
