"""Which float steps the processor can do, and operands as those steps see them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.numerics.accumulators import FloatAccumulator
from simulator.numerics.array_types import Codes, Reals
from simulator.numerics.float_rounding import FloatRounding
from simulator.numerics.formats import TABLE_BITS, Format
from simulator.numerics.formats.code_tables import look_up

_FLOAT64_BITS: Final = 53


def is_native(accumulator: FloatAccumulator, activation: Format, weight: Format) -> bool:
    """Whether one step is the processor's own float32 fused multiply-add."""
    operands = all(
        operand.significand_bits <= 24 and operand.lsb >= -149 and operand.largest < 2.0**128
        for operand in (activation, weight)
    )
    return accumulator.format == "fp32" and not accumulator.flush_subnormals and operands


def native_values(fmt: Format, codes: Codes) -> npt.NDArray[np.float32]:
    """Operands as the processor's own steps see them: float32, which holds them exactly."""
    if fmt.spec == "fp32":
        return np.ascontiguousarray(codes).view(np.float32)
    if fmt.bits <= TABLE_BITS and codes.size > 1 << fmt.bits:
        return look_up(fmt.values().astype(np.float32), codes)
    return fmt.decode(codes).astype(np.float32)


def native_codes(accumulator: FloatAccumulator, sums: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Codes of what the processor's own steps ended with; a view, where every NaN becomes the format's."""
    codes = sums.view(np.uint32)
    codes[np.isnan(sums)] = accumulator.number_format.encode(np.nan)
    return codes


def is_rounded_once(fmt: Format, activation: Format, weight: Format) -> bool:
    """Whether a float64 sum of an accumulator and a product, rounded again to `fmt`, equals one rounding.

    The sum is inexact only if its ends lie more than 53 bits apart. If the accumulator is the larger one,
    the product is then far below half a unit of the result and both roundings return the accumulator. If
    the product is, the accumulator, at least 2**lsb, can only be lost entirely when the sum is beyond the
    largest result anyway.
    """
    product_bits = activation.significand_bits + weight.significand_bits
    _, greatest = fmt.exponent_range
    return (
        greatest - fmt.lsb <= _FLOAT64_BITS - 3 and product_bits + fmt.significand_bits <= _FLOAT64_BITS - 3
    )


def operand_values(fmt: Format, codes: Codes, rounding: FloatRounding) -> Reals:
    """Operands as the steps see them: float64, subnormal ones zero where the accumulator flushes."""
    if fmt.bits <= TABLE_BITS and codes.size > 1 << fmt.bits:
        every = np.arange(1 << fmt.bits, dtype=fmt.code_dtype)
        return look_up(operand_values(fmt, every, rounding), codes)
    return np.ascontiguousarray(rounding.flush(fmt.decode(codes), fmt.smallest_normal))
