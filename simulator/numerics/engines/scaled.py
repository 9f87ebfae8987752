"""Float accumulators whose overflow is the processor's own: faster steps, and when they are exact.

All values are multiplied by a power of two, `unit`, that puts the format's largest exponent on float64's (or
float32's). A fused multiply-add then overflows to infinity, and a bit pattern rounded by integer addition
carries into infinity, exactly where the format does. Two things must hold:

- Nothing lies below the format's grid: subnormals are flushed, or no product has a bit below the lowest.
- The processor's rounding to P bits before ours to t is never seen. It matters only where it lands on the
  middle between two numbers of the format while the exact sum is not there. Let the sum lie in the binade
  of 2**e. It is inexact only if one operand has bits below 2**(e - P + 1). If that is a product of q
  bits, it is below 2**(e - P + 1 + q), at most a quarter of the format's step if q + t <= P - 2, while
  the accumulator is a multiple of that step (in the binade below, it could not have reached 2**e). If it
  is the accumulator, it is below a quarter of the step if 2 t <= P - 2, while the product is a multiple
  of the step if q < t. With float64 lanes q < t is not needed where the accumulator can only be lost
  entirely beyond the largest result (`is_rounded_once`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.accumulators import FloatAccumulator
from simulator.numerics.array_types import Codes
from simulator.numerics.engines.float_steps import is_rounded_once, operand_values
from simulator.numerics.formats import TABLE_BITS
from simulator.numerics.formats.code_tables import look_up
from simulator.numerics.product_rules import OperandPair

Lanes = npt.NDArray[np.floating[Any]]
"""float32 or float64 values as the kernels take them."""

_SINGLE_BITS = 24


@dataclass(frozen=True)
class ScaledSteps:
    """How one MAC's steps run: the lanes, the scale, and the numbers that the kernels take."""

    accumulator: FloatAccumulator
    pair: OperandPair
    is_single: bool
    flushes: bool

    @classmethod
    def of(cls, accumulator: FloatAccumulator, pair: OperandPair) -> ScaledSteps | None:
        """The fastest exact steps of a float accumulator, or None where scaling does not fit."""
        return _steps(accumulator, pair)

    @property
    def unit(self) -> float:
        """What all values are multiplied by."""
        return float(2.0 ** ((127 if self.is_single else 1023) - _greatest_exponent(self.accumulator)))

    @property
    def dtype(self) -> type[np.float32 | np.float64]:
        """Of values."""
        return np.float32 if self.is_single else np.float64

    @property
    def layout(self) -> tuple[np.signedinteger[Any], ...]:
        """The kernels' constants, as integers of the lanes' width."""
        integer = np.int32 if self.is_single else np.int64
        width, fraction_bits = (32, 23) if self.is_single else (64, 52)
        rounding, fmt = self.accumulator.rounding, self.accumulator.number_format
        drop = fraction_bits + 1 - rounding.precision

        def pattern(value: float) -> int:
            return int(self.dtype(value * self.unit).view(integer))

        smallest = pattern(2.0**rounding.least_exponent)
        return (
            integer(1 << drop),
            integer((1 << (drop - 1)) - 1),
            integer(-1 << drop),
            integer(smallest),
            integer((1 << (width - 1)) - 1),
            integer(smallest - (1 << fraction_bits)),  # the smallest normal number has exponent field 1
            integer(pattern(2.0 ** (fmt.lsb + fraction_bits))),
            integer(drop),
        )

    def multiply(self, a: Lanes, w: Lanes, sums: Lanes, first: int, last: int) -> None:
        """Add products to the scaled `sums` of rows first .. last - 1, in the order of k."""
        from simulator.numerics.engines import tile_kernels

        kernel = tile_kernels.multiply_flushed if self.flushes else tile_kernels.multiply_rounded
        kernel(a, w, sums, self.layout, first, last)

    def still(self, a: Lanes, w: Lanes, sums: Lanes, counts: npt.NDArray[np.int64]) -> None:
        """Output stationary toggles, from zero, to counts[0]; where sums end, to `sums`."""
        self._kernel("still")(a, w, sums, self.layout, counts)

    def moving(self, a: Lanes, w: Lanes, sums: Lanes, passed_on: int, counts: npt.NDArray[np.int64]) -> None:
        """Toggles of a fold's moving partial sums to counts[:, 0]; `sums` enter at the top, leave below."""
        self._kernel("moving")(a, w, sums, passed_on, self.layout, counts)

    def _kernel(self, name: str) -> Callable[..., None]:
        from simulator.numerics.engines import scaled_kernels

        lanes = "single" if self.is_single else "double"
        kernel: Callable[..., None] = getattr(
            scaled_kernels, f"{name}_{lanes}" + ("_flushing" if self.flushes else "")
        )
        return kernel

    def activations(self, codes: Codes) -> Lanes:
        """Activations as the kernels take them, scaled."""
        fmt = self.pair.activation
        if fmt.bits <= TABLE_BITS and codes.size > 1 << fmt.bits:
            return look_up(self.activation_table, codes)
        return self._scaled(codes)

    @cached_property
    def activation_table(self) -> Lanes:
        """Activations as the kernels take them, by code, for formats of up to `TABLE_BITS` bits."""
        fmt = self.pair.activation
        table = self._scaled(np.arange(1 << fmt.bits, dtype=fmt.code_dtype))
        table.setflags(write=False)
        return table

    def _scaled(self, codes: Codes) -> Lanes:
        values = operand_values(self.pair.activation, codes, self.accumulator.rounding)
        return (values * self.unit).astype(self.dtype)

    def weights(self, codes: Codes) -> Lanes:
        """Weights as the kernels take them."""
        values = operand_values(self.pair.weight, codes, self.accumulator.rounding)
        return values.astype(self.dtype, copy=False)

    def sums(self, codes: Codes) -> Lanes:
        """Accumulators as the kernels take them, scaled."""
        rounding, fmt = self.accumulator.rounding, self.accumulator.number_format
        values = rounding.flush(fmt.decode(codes), fmt.smallest_normal)
        return np.asarray((values * self.unit).astype(self.dtype))

    def codes(self, sums: Lanes) -> Codes:
        """Codes of scaled accumulators."""
        return self.accumulator.number_format.encode(sums.astype(np.float64, copy=False) / self.unit)


def _greatest_exponent(accumulator: FloatAccumulator) -> int:
    return int(np.frexp(accumulator.number_format.largest)[1]) - 1


@lru_cache(maxsize=256)
def _steps(accumulator: FloatAccumulator, pair: OperandPair) -> ScaledSteps | None:
    fmt, rounding = accumulator.number_format, accumulator.rounding
    activation, weight = pair.activation, pair.weight
    t, q = rounding.precision, activation.significand_bits + weight.significand_bits
    full = fmt.largest == (2.0 - 2.0 ** (1 - t)) * 2.0 ** _greatest_exponent(accumulator)
    above_grid = rounding.flush_subnormals or activation.lsb + weight.lsb >= fmt.lsb
    if not (fmt.overflows_to_infinity and full and above_grid and activation.largest <= fmt.largest):
        return None
    bits = _SINGLE_BITS
    span = 127 - _greatest_exponent(accumulator)
    in_range = span >= 0 and weight.largest < 2.0**127 and weight.lsb >= -126
    in_range = in_range and activation.lsb + span >= -126 and activation.lsb + weight.lsb + span >= -126
    single = in_range and q + t <= bits - 2 and 2 * t <= bits - 2 and q < t
    if not single and not is_rounded_once(fmt, activation, weight):
        return None
    return ScaledSteps(accumulator, pair, single, rounding.flush_subnormals)
