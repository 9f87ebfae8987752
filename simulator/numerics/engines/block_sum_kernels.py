"""Compiled sums of block values: exactly with one rounding, or rounded into float32 block by block.

A block's dot product comes as whole float64 numbers in two parts, high x 2**split + low, each of which stays
exact when the scales' significands multiply it. It counts 2**exponent, by the exponents of both scales.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.numerics.array_types import Array
from simulator.numerics.engines.compiled import helper, kernel
from simulator.numerics.engines.intrinsics import bits_of_double, double_of_bits

LIMB_BITS = 32
_MASK = (1 << LIMB_BITS) - 1
_FLOAT32_BITS = 24
_LEAST = -149
_LARGEST_EXPONENT = 127


@helper
def _two_sum(x: float, y: float) -> Any:
    total = x + y
    back = total - x
    return total, (x - (total - back)) + (y - back)


@helper
def _to_odd(total: float, rest: float) -> Any:
    """`total`, whose exact value is `total + rest`, with an odd last bit where it is inexact."""
    bits = bits_of_double(total)
    if rest == 0.0 or bits & 1:
        return total
    return double_of_bits(bits + 1) if (rest > 0.0) == (total > 0.0) else double_of_bits(bits - 1)


@helper
def _float32_of(sign: float, magnitude: int, exponent: int, sticky: int) -> Any:
    """The nearest float32 of sign x magnitude x 2**exponent, ties to even.

    Magnitudes have 62 bits at most; `sticky` is not 0 where more bits stand below them.
    """
    length = 0
    rest = magnitude
    while rest:
        rest >>= 1
        length += 1
    drop = max(length - _FLOAT32_BITS, _LEAST - exponent)
    if drop > 62:
        return sign * 0.0
    if drop > 0:
        kept = magnitude >> drop
        tail = magnitude - (kept << drop)
        half = 1 << (drop - 1)
        if tail > half or (tail == half and (sticky != 0 or kept & 1)):
            kept += 1
        exponent += drop
    else:
        kept = magnitude
    return sign * np.float64(kept) * double_of_bits((exponent + 1023) << 52)


@kernel
def sum_fused(
    high: Array,
    low: Array,
    split: int,
    a_significands: Array,
    a_exponents: Array,
    w_significands: Array,
    w_exponents: Array,
    unit: int,
    sums: Array,
    first: int,
    last: int,
) -> None:
    """sums[m, n] = RNE32(sums[m, n] + exact block value), block by block; NaN and inf as in IEEE 754."""
    blocks, _, columns = high.shape
    has_low = low.size > 0
    step = double_of_bits((split + 1023) << 52)
    for m in range(first, last):
        for b in range(blocks):
            significand, exponent = a_significands[m, b], a_exponents[m, b] + unit
            for n in range(columns):
                factor = significand * w_significands[n, b]
                power = exponent + w_exponents[n, b]
                scale = double_of_bits((power + 1023) << 52)
                top = high[b, m, n] * factor
                total = sums[m, n]
                if not has_low:
                    total, rest = _two_sum(total, top * scale)
                else:
                    first_part, second_part = _two_sum(top * step, low[b, m, n] * factor)
                    total, one = _two_sum(total, first_part * scale)
                    other, left = _two_sum(one, second_part * scale)
                    total, rest = _two_sum(total, other)
                    rest += left  # of the exact rest, only its sign counts
                total = _to_odd(total, rest) if np.isfinite(total) else sums[m, n] + top * scale
                sums[m, n] = np.float64(np.float32(total))


@helper
def _add_at(limbs: Array, number: float, position: int) -> None:
    """Add a whole number of 53 bits at most, times 2**position, to carry-save limbs."""
    whole = np.int64(number)
    at, shift = position >> 5, position & 31
    lower = (whole & _MASK) << shift
    upper = (whole >> LIMB_BITS) << shift
    limbs[at] += lower & _MASK
    limbs[at + 1] += (lower >> LIMB_BITS) + (upper & _MASK)
    limbs[at + 2] += upper >> LIMB_BITS


@helper
def _settle(limbs: Array) -> bool:
    """Propagate carries; the limbs then hold the magnitude. Returns whether the sum is negative."""
    count = len(limbs)
    for at in range(count - 1):
        limbs[at + 1] += limbs[at] >> LIMB_BITS
        limbs[at] &= _MASK
    if limbs[count - 1] >= 0:
        return False
    carry = 1
    for at in range(count - 1):
        flipped = (limbs[at] ^ _MASK) + carry
        limbs[at] = flipped & _MASK
        carry = flipped >> LIMB_BITS
    limbs[count - 1] = ~limbs[count - 1] + carry
    return True


@helper
def _rounded(limbs: Array, unit: int) -> Any:
    """The limbs' sum x 2**unit to the nearest float32."""
    negative = _settle(limbs)
    top = len(limbs) - 1
    while top >= 0 and limbs[top] == 0:
        top -= 1
    if top < 0:
        return 0.0
    magnitude = limbs[top]
    lowest = top
    if top > 0 and magnitude < (1 << 30):
        magnitude = (magnitude << LIMB_BITS) | limbs[top - 1]
        lowest = top - 1
    sticky = 0
    for at in range(lowest):
        sticky |= limbs[at]
    return _float32_of(-1.0 if negative else 1.0, magnitude, unit + lowest * LIMB_BITS, sticky)


@kernel
def sum_once(
    high: Array,
    low: Array,
    split: int,
    a_significands: Array,
    a_exponents: Array,
    w_significands: Array,
    w_exponents: Array,
    unit: int,
    least: int,
    limb_count: int,
    sums: Array,
    first: int,
    last: int,
) -> None:
    """sums[m, n] = RNE32(exact sum of all blocks); NaN and inf as in IEEE 754; an exact zero is +0."""
    blocks, _, columns = high.shape
    has_low = low.size > 0
    limbs = np.zeros(limb_count, np.int64)
    for m in range(first, last):
        for n in range(columns):
            limbs[:] = 0
            special = 0.0
            for b in range(blocks):
                factor = a_significands[m, b] * w_significands[n, b]
                top = high[b, m, n] * factor
                if not np.isfinite(top):
                    special += top
                    continue
                position = a_exponents[m, b] + w_exponents[n, b] - least
                if has_low:
                    _add_at(limbs, top, position + split)
                    _add_at(limbs, low[b, m, n] * factor, position)
                else:
                    _add_at(limbs, top, position)
            sums[m, n] = _rounded(limbs, unit + least) if special == 0.0 else special
