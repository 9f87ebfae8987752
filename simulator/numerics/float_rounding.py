"""Floats rounded once a step: the exact sum of an accumulator and a product, to nearest, ties to even."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.numerics.formats.number_format import Format


@dataclass(frozen=True, slots=True)
class FloatRounding:
    """How a float format rounds: precision, least exponent, and what lies past its largest value."""

    precision: int
    least_exponent: int
    largest: float
    overflows_to_infinity: bool
    flush_subnormals: bool

    @classmethod
    def of(cls, fmt: Format, *, flush_subnormals: bool) -> FloatRounding:
        """The rounding of a format whose significand has a hidden bit."""
        least = int(np.frexp(fmt.smallest_normal)[1]) - 1
        return cls(fmt.significand_bits, least, fmt.largest, fmt.overflows_to_infinity, flush_subnormals)

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
