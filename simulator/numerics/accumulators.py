"""One accumulation step, element by element: two's complement ends, and floats rounded once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.mac_spec import FixedAccumulator, FloatAccumulator

if TYPE_CHECKING:
    from simulator.numerics.formats import Format

Integers = npt.NDArray[Any]
"""int64, or objects that are Python integers where 64 bits are not enough."""

_whole = np.frompyfunc(int, 1, 1)


def wrap(values: Integers, bits: int) -> Integers:
    """An array reduced into `bits`-bit two's complement; int64 may have wrapped modulo 2**64 before."""
    if values.dtype == object:
        half = 1 << (bits - 1)
        return np.asarray(((values + half) & ((1 << bits) - 1)) - half, object)
    if bits >= 64:
        return values
    spare = np.int64(64 - bits)
    return (values << spare) >> spare


def add(accumulator: FixedAccumulator, sums: Integers, increments: Integers) -> Integers:
    """`sums + increments` as a fixed accumulator keeps it; the dtype is object when either one's is.

    Increments of dtype object may also be floats that are whole numbers.
    """
    if increments.dtype == object:
        increments = np.asarray(_whole(increments), object)
    with np.errstate(over="ignore"):
        total = np.asarray(sums + increments)
    if accumulator.overflow != "saturate":
        return wrap(total, accumulator.bits)
    if total.dtype == object:
        return np.asarray(np.clip(total, accumulator.lowest, accumulator.highest), object)
    # Two int64 of equal sign whose sum changes sign have left 64 bits.
    left = ((sums ^ total) & (increments ^ total)) < 0
    clipped = np.clip(total, accumulator.lowest, accumulator.highest)
    ends = np.where(np.asarray(increments) < 0, accumulator.lowest, accumulator.highest)
    return np.where(left, ends, clipped)


def overflow_sign(
    accumulator: FixedAccumulator, sums: Integers, increments: Integers
) -> npt.NDArray[np.int8]:
    """Where one step overflows: +1 or -1, the direction in which sum or product left the accumulator."""
    sums, increments = np.broadcast_arrays(sums, increments)
    low, high = accumulator.lowest, accumulator.highest
    signs = np.zeros(sums.shape, np.int8)
    wide = (increments < low) | (increments > high)
    kept = wrap(np.asarray(increments), accumulator.bits)
    total = sums.astype(object) + kept.astype(object) if accumulator.bits >= 64 else sums + kept
    signs[np.asarray(total > high, bool)] = 1
    signs[np.asarray(total < low, bool)] = -1
    signs[np.asarray(wide, bool)] = np.where(increments[np.asarray(wide, bool)] < 0, -1, 1)
    return signs


@dataclass(frozen=True, slots=True)
class FloatRounding:
    """How a float format rounds: precision, least exponent, and what lies past its largest value."""

    precision: int
    least_exponent: int
    largest: float
    overflows_to_infinity: bool
    flush_subnormals: bool

    @classmethod
    def of(cls, fmt: Format, accumulator: FloatAccumulator) -> FloatRounding:
        """The rounding of a format whose significand has a hidden bit."""
        least = int(np.frexp(fmt.smallest_normal)[1]) - 1
        flush = accumulator.flush_subnormals
        return cls(fmt.significand_bits, least, fmt.largest, fmt.overflows_to_infinity, flush)

    @property
    def overflow_value(self) -> float:
        """Magnitude of results past the largest: infinity, or the largest where the format saturates."""
        return float("inf") if self.overflows_to_infinity else self.largest

    @property
    def kernel_limits(self) -> tuple[int, float]:
        """Exponent bits (float64) of the least binade with its own step; magnitudes below this are zero."""
        if self.flush_subnormals:
            return 0, 2.0**self.least_exponent
        return (self.least_exponent + 1023) << 52, 0.0

    def flush(self, values: npt.NDArray[np.float64], smallest_normal: float) -> npt.NDArray[np.float64]:
        """Values with subnormal ones made zeros of their sign, if the accumulator does so."""
        if not self.flush_subnormals:
            return values
        return np.where(np.abs(values) < smallest_normal, np.copysign(0.0, values), values)

    def round(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """float64 values (rounded to odd if inexact) to the nearest number of the format, ties to even."""
        finite = np.isfinite(values)
        safe = np.where(finite, values, 0.0)
        exponents = np.maximum(np.frexp(safe)[1] - 1, -1022 if self.flush_subnormals else self.least_exponent)
        steps = exponents - (self.precision - 1)
        rounded = np.copysign(np.ldexp(np.rint(np.ldexp(safe, -steps)), steps), safe)
        rounded = np.where(np.abs(rounded) > self.largest, np.copysign(self.overflow_value, rounded), rounded)
        return np.where(finite, self.flush(rounded, 2.0**self.least_exponent), values)

    def step(
        self, sums: npt.NDArray[np.float64], products: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """The exact sum of sums and exact products, rounded once; NaN and infinity as in IEEE 754."""
        with np.errstate(invalid="ignore", over="ignore"):
            return self.round(add_to_odd(sums, products))


def add_to_odd(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`x + y` rounded to odd: inexact sums get an odd last bit, so a second rounding sees no false tie.

    (Boldo and Melquiond 2008: safe whenever the second rounding keeps at most 51 bits.)
    """
    total = x + y
    back = total - x
    error = (x - (total - back)) + (y - back)  # Knuth's TwoSum: exact
    patterns = np.asarray(total).view(np.int64)
    away = (error > 0) == (total > 0)
    odd = np.where(away, patterns | 1, np.where(patterns & 1, patterns, patterns - 1))
    inexact = (error != 0) & np.isfinite(total)
    return np.where(inexact, odd, patterns).view(np.float64)
