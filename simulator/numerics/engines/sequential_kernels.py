"""Compiled steps of float accumulators.

Rounding to `precision` bits without a branch: with x in the binade of 2**e, adding and subtracting
1.5 * 2**(e + 53 - precision) leaves x rounded to nearest even at that step.

Blocks of k are the outermost loop, so that all rows use weights while they are in cache; each output still
adds its products in the order of k.
"""

from __future__ import annotations

from typing import Any

from simulator.numerics.array_types import Array
from simulator.numerics.engines.compiled import block_length, inlined, kernel
from simulator.numerics.engines.intrinsics import bits_of_double, double_of_bits

_EXPONENT = 0x7FF0_0000_0000_0000
_MAGNITUDE = 0x7FFF_FFFF_FFFF_FFFF
_SIGN = -0x8000_0000_0000_0000
_HALF = 1 << 51


@inlined
def round_to_format(x: float, anchor: int, least: int, smallest: float, largest: float, end: float) -> Any:
    """A float64 rounded to the format.

    `anchor` is (53 - precision) << 52 | 1 << 51, `least` the exponent bits of the least binade with a
    step of its own; magnitudes below `smallest` become zero, those past `largest` become `end`. Infinity
    and NaN pass: their anchor wraps around to a finite number.
    """
    bits = bits_of_double(x)
    shifter = double_of_bits(max(bits & _EXPONENT, least) + anchor)
    rounded = (x + shifter) - shifter
    magnitude = double_of_bits(bits_of_double(rounded) & _MAGNITUDE)
    magnitude = end if magnitude > largest else magnitude
    magnitude = 0.0 if magnitude < smallest else magnitude
    return double_of_bits(bits_of_double(magnitude) | (bits & _SIGN))


@kernel
def multiply_rounding(
    a: Array,
    w: Array,
    sums: Array,
    precision: int,
    least: int,
    smallest: float,
    largest: float,
    end: float,
    first: int,
    last: int,
) -> None:
    """sums[m, n] = R(sums[m, n] + a[m, k] w[k, n]) in the order of k; float64 values, products exact."""
    anchor = ((53 - precision) << 52) | _HALF
    K, N = w.shape
    block = block_length(N)
    for start in range(0, K, block):
        for m in range(first, last):
            row = sums[m]
            for k in range(start, min(start + block, K)):
                value = a[m, k]
                weights = w[k]
                for n in range(N):
                    row[n] = round_to_format(
                        row[n] + value * weights[n], anchor, least, smallest, largest, end
                    )


@kernel
def multiply_rounding_odd(
    a: Array,
    w: Array,
    sums: Array,
    precision: int,
    least: int,
    smallest: float,
    largest: float,
    end: float,
    first: int,
    last: int,
) -> None:
    """As `multiply_rounding`, the sum first rounded to odd so that the second rounding is the only one."""
    anchor = ((53 - precision) << 52) | _HALF
    K, N = w.shape
    block = block_length(N)
    for start in range(0, K, block):
        for m in range(first, last):
            row = sums[m]
            for k in range(start, min(start + block, K)):
                value = a[m, k]
                weights = w[k]
                for n in range(N):
                    x = row[n]
                    y = value * weights[n]
                    total = x + y
                    back = total - x
                    error = (x - (total - back)) + (y - back)
                    bits = bits_of_double(total)
                    even = (bits & 1) == 0
                    inward = (error > 0.0) != (total > 0.0)
                    inexact = (error > 0.0) | (error < 0.0)
                    bits = bits + ((-1 if inward else 1) if inexact & even else 0)
                    row[n] = round_to_format(double_of_bits(bits), anchor, least, smallest, largest, end)
