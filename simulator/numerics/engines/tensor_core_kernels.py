"""Compiled sums as the published model of NVIDIA Blackwell's tensor cores has them (docs/block_scaled.md).

A step aligns its terms and the float32 accumulator to the largest exponent among them, cuts each off (towards
zero) at some fraction bits, adds them, and cuts the sum off to float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.numerics.array_types import Array
from simulator.numerics.engines.compiled import helper, kernel
from simulator.numerics.engines.intrinsics import bits_of_double, double_of_bits

_FLOAT32_FRACTION = 23
_LEAST_NORMAL = -126
_LEAST = -149


@helper
def _cut(significand: int, shift: int) -> int:
    """Significand x 2**shift towards zero."""
    if shift >= 0:
        return significand << shift
    if shift < -62:
        return 0
    return significand >> -shift if significand >= 0 else -((-significand) >> -shift)


@helper
def _unpacked(value: float) -> Any:
    """Signed significand of 24 bits and exponent of a finite float32; subnormals have the least exponent."""
    bits = bits_of_double(value)
    if value == 0.0:
        return np.int64(0), np.int64(_LEAST_NORMAL)
    exponent = max(((bits >> 52) & 0x7FF) - 1023, _LEAST_NORMAL)
    scale = double_of_bits((_FLOAT32_FRACTION - exponent + 1023) << 52)
    return np.int64(value * scale), exponent


@helper
def _packed(total: int, exponent: int) -> float:
    """Total x 2**exponent cut off towards zero to float32; infinity past its end, zero without a sign."""
    magnitude = abs(total)
    length = 0
    rest = magnitude
    while rest:
        rest >>= 1
        length += 1
    drop = max(length - _FLOAT32_FRACTION - 1, _LEAST - exponent, 0)
    kept = magnitude >> drop if drop < 63 else 0
    if kept == 0:
        return 0.0
    value = np.float64(kept) * double_of_bits((exponent + drop + 1023) << 52)
    value = np.float64(np.float32(value))
    return -value if total < 0 else value


@kernel
def sum_aligned_products(
    a: Array,
    a_exponents: Array,
    a_scales: Array,
    w: Array,
    w_exponents: Array,
    w_scales: Array,
    fraction_bits: int,
    kept_bits: int,
    sums: Array,
    first: int,
    last: int,
) -> None:
    """One step a block; every product is a term. For FP8 and FP6.

    `a`, `w` and their exponents are [rows, blocks, length]; `fraction_bits` are those of both significands
    together, `kept_bits` those that a term keeps. Sums that are not finite stay as they are.
    """
    blocks, length = a.shape[1], a.shape[2]
    columns = len(w)
    for m in range(first, last):
        for n in range(columns):
            total = sums[m, n]
            for b in range(blocks):
                if not np.isfinite(total):
                    break
                scale = a_scales[m, b] + w_scales[n, b]
                start, greatest = _unpacked(total)
                own = greatest
                for k in range(length):
                    if a[m, b, k] != 0 and w[n, b, k] != 0:
                        greatest = max(greatest, a_exponents[m, b, k] + w_exponents[n, b, k] + scale)
                found = _cut(start, kept_bits - _FLOAT32_FRACTION + own - greatest)
                for k in range(length):
                    exponent = a_exponents[m, b, k] + w_exponents[n, b, k] + scale
                    found += _cut(a[m, b, k] * w[n, b, k], kept_bits - fraction_bits + exponent - greatest)
                total = _packed(found, greatest - kept_bits)
            sums[m, n] = total


@kernel
def sum_aligned_groups(
    dots: Array,
    a_significands: Array,
    a_exponents: Array,
    w_significands: Array,
    w_exponents: Array,
    groups_a_block: int,
    groups_a_step: int,
    fraction_bits: int,
    kept_bits: int,
    sums: Array,
    first: int,
    last: int,
) -> None:
    """Some groups of products a step; each group's exact dot product times both scales is a term. For FP4.

    `dots` [groups, rows, columns] and the scales' significands are whole numbers with `fraction_bits`
    fraction bits all together. A group of zeros counts with the exponent of its scales. Sums that are not
    finite stay as they are.
    """
    groups, _, columns = dots.shape
    for m in range(first, last):
        for n in range(columns):
            total = sums[m, n]
            for step in range(0, groups, groups_a_step):
                if not np.isfinite(total):
                    break
                end = min(step + groups_a_step, groups)
                start, greatest = _unpacked(total)
                own = greatest
                for g in range(step, end):
                    b = g // groups_a_block
                    if a_significands[m, b] != 0 and w_significands[n, b] != 0:
                        greatest = max(greatest, a_exponents[m, b] + w_exponents[n, b])
                found = _cut(start, kept_bits - _FLOAT32_FRACTION + own - greatest)
                for g in range(step, end):
                    b = g // groups_a_block
                    exponent = a_exponents[m, b] + w_exponents[n, b]
                    term = np.int64(dots[g, m, n]) * a_significands[m, b] * w_significands[n, b]
                    found += _cut(term, kept_bits - fraction_bits + exponent - greatest)
                total = _packed(found, greatest - kept_bits)
            sums[m, n] = total
