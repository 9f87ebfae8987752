"""Compiled counts of the bits that accumulator and product registers toggle.

`still` kernels: sums stay in their PE (output stationary) and change from one k to the next. `moving`
kernels: the partial sums of one fold enter at the top as they are in `sums` [M, N], move down its rows and
leave back into `sums`; each row's register changes from one streamed index m to the next, and rows of PEs
below the last weight pass its sum on. Registers start from zero and return to it, except that `still` sums
stay where they end, in `sums`. `still` kernels add to counts[0] (accumulators) and counts[1] (products).
`moving` kernels do so in one row of counts [3, 2]: 0 for steps between streamed indices, `IN` for the step
from zero to the first one and `OUT` for the step back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simulator.numerics.array_types import Array
from simulator.numerics.engines.compiled import inlined, kernel
from simulator.numerics.engines.intrinsics import (
    bits_of_double,
    bits_of_single,
    count_ones,
    double_of_bits,
    fused_multiply_add,
    widest_vectors,
)
from simulator.numerics.engines.sequential_kernels import round_to_format

IN = 1
OUT = 2

_MAGNITUDE = 0x7FFF_FFFF_FFFF_FFFF
_LOWER = 0xFFFF_FFFF


@inlined
def step_of(m: int, M: int) -> int:
    """Which row of counts the step to streamed index `m` of `M` belongs to; the index M is the step back."""
    return OUT if m == M else IN if m == 0 else 0


def _still_exact(integer: Any) -> Callable[..., None]:
    @kernel
    def still_exact(a: Array, w: Array, sums: Array, mask: int, product_mask: int, counts: Array) -> None:
        widest_vectors()
        (M, K), N = a.shape, w.shape[1]
        row, last = np.zeros(N, integer), np.zeros(N, integer)
        toggles, product_toggles = np.zeros(N, integer), np.zeros(N, integer)
        for m in range(M):
            row[:] = sums[m]
            last[:] = 0
            toggles[:] = 0
            product_toggles[:] = 0
            for k in range(K):
                value = a[m, k]
                for n in range(N):
                    product = integer(value * w[k, n])
                    total = integer(row[n] + product)
                    toggles[n] += count_ones(integer((total ^ row[n]) & mask))
                    product_toggles[n] += count_ones(integer((product ^ last[n]) & product_mask))
                    row[n] = total
                    last[n] = product
            for n in range(N):
                product_toggles[n] += count_ones(integer(last[n] & product_mask))
            sums[m] = row
            counts[0] += toggles.sum()
            counts[1] += product_toggles.sum()

    return still_exact


def _moving_exact(integer: Any) -> Callable[..., None]:
    @kernel
    def moving_exact(
        a: Array, w: Array, sums: Array, passed_on: int, mask: int, product_mask: int, counts: Array
    ) -> None:
        widest_vectors()
        (M, K), N = a.shape, w.shape[1]
        held, products = np.zeros((K, N), integer), np.zeros((K, N), integer)
        rest = np.zeros(N, integer)
        toggles, product_toggles = np.zeros(N, integer), np.zeros(N, integer)
        for m in range(M + 1):
            toggles[:] = 0
            product_toggles[:] = 0
            row = sums[m] if m < M else rest
            for k in range(K):
                value = a[m, k] if m < M else integer(0)
                times = integer(1 + passed_on if k == K - 1 else 1)
                for n in range(N):
                    product = integer(value * w[k, n])
                    total = integer(row[n] + product)
                    toggles[n] += times * count_ones(integer((total ^ held[k, n]) & mask))
                    product_toggles[n] += count_ones(integer((product ^ products[k, n]) & product_mask))
                    row[n] = total
                    held[k, n] = total
                    products[k, n] = product
            step = step_of(m, M)
            counts[step, 0] += toggles.sum()
            counts[step, 1] += product_toggles.sum()

    return moving_exact


still_exact_32 = _still_exact(np.int32)
still_exact_64 = _still_exact(np.int64)
moving_exact_32 = _moving_exact(np.int32)
moving_exact_64 = _moving_exact(np.int64)


@kernel
def still_table(
    table: Array, a: Array, w: Array, sums: Array, mask: int, product_mask: int, counts: Array
) -> None:
    """Products are table[a[m, k] + w[k, n]]: a flat int64 table, offsets [M, K] and indices [K, N].

    An activation that makes every product 0 has a negative offset.
    """
    widest_vectors()
    (M, K), N = a.shape, w.shape[1]
    row, last, products = np.zeros(N, np.int64), np.zeros(N, np.int64), np.zeros(N, np.int64)
    toggles, product_toggles = np.zeros(N, np.int64), np.zeros(N, np.int64)
    for m in range(M):
        row[:] = sums[m]
        last[:] = 0
        toggles[:] = 0
        product_toggles[:] = 0
        idle = True
        for k in range(K):
            if a[m, k] < 0:
                if not idle:
                    for n in range(N):
                        product_toggles[n] += count_ones(last[n] & product_mask)
                        last[n] = 0
                idle = True
                continue
            idle = False
            entries = table[a[m, k] :]
            for n in range(N):
                products[n] = entries[w[k, n]]
            for n in range(N):
                total = row[n] + products[n]
                toggles[n] += count_ones((total ^ row[n]) & mask)
                product_toggles[n] += count_ones((products[n] ^ last[n]) & product_mask)
                row[n] = total
                last[n] = products[n]
        for n in range(N):
            product_toggles[n] += count_ones(last[n] & product_mask)
        sums[m] = row
        counts[0] += toggles.sum()
        counts[1] += product_toggles.sum()


@kernel
def moving_table(
    table: Array, a: Array, w: Array, sums: Array, passed_on: int, mask: int, product_mask: int, counts: Array
) -> None:
    """As `still_table`, partial sums moving down. One lane counts sums, and products in its upper half."""
    widest_vectors()
    (M, K), N = a.shape, w.shape[1]
    held, last = np.zeros((K, N), np.int64), np.zeros((K, N), np.int64)
    rest, products, toggles = np.zeros(N, np.int64), np.zeros(N, np.int64), np.zeros(N, np.int64)
    for m in range(M + 1):
        toggles[:] = 0
        row = sums[m] if m < M else rest
        above = 0
        for k in range(K):
            if k == K - 1:
                for n in range(N):
                    above += toggles[n] & _LOWER
            weights, before, wires = w[k], held[k], last[k]
            if m < M and a[m, k] >= 0:
                entries = table[a[m, k] :]
                for n in range(N):
                    products[n] = entries[weights[n]]
                for n in range(N):
                    total = row[n] + products[n]
                    ones = count_ones((total ^ before[n]) & mask)
                    toggles[n] += ones + (count_ones((products[n] ^ wires[n]) & product_mask) << 32)
                    row[n] = total
                    before[n] = total
                    wires[n] = products[n]
            else:
                for n in range(N):
                    ones = count_ones((row[n] ^ before[n]) & mask)
                    toggles[n] += ones + (count_ones(wires[n] & product_mask) << 32)
                    before[n] = row[n]
                    wires[n] = 0
        every, step = 0, step_of(m, M)
        for n in range(N):
            every += toggles[n] & _LOWER
            counts[step, 1] += toggles[n] >> 32
        counts[step, 0] += every + passed_on * (every - above)


@inlined
def float_pattern(value: float, fraction_bits: int, bias: int, smallest_normal: float, largest: float) -> Any:
    """The magnitude bits of a float64 that is a value of the format (any NaN: the quiet one)."""
    bits = bits_of_double(value) & _MAGNITUDE
    magnitude = double_of_bits(bits)
    normal = (bits >> (52 - fraction_bits)) - ((1023 - bias) << fraction_bits)
    anchor = smallest_normal * double_of_bits((1023 + 52 - fraction_bits) << 52)
    subnormal = bits_of_double(magnitude + anchor) - bits_of_double(anchor)
    pattern = subnormal if magnitude < smallest_normal else normal
    infinity = ((1023 + bias + 1) - (1023 - bias)) << fraction_bits
    pattern = infinity if magnitude > largest else pattern
    return pattern if magnitude == magnitude else infinity | (1 << (fraction_bits - 1))


@kernel
def still_rounding(
    a: Array, w: Array, sums: Array, rounding: tuple[Any, ...], layout: tuple[Any, ...], counts: Array
) -> None:
    """Float64 values of a narrower float; `rounding` as `round_to_format`, `layout` as `float_pattern`."""
    anchor, least, smallest, largest, end = rounding
    fraction_bits, bias, smallest_normal, sign_shift = layout
    widest_vectors()
    (M, K), N = a.shape, w.shape[1]
    row, last, toggles = np.zeros(N), np.zeros(N, np.int64), np.zeros(N, np.int64)
    for m in range(M):
        row[:] = sums[m]
        toggles[:] = 0
        for n in range(N):
            last[n] = float_pattern(row[n], fraction_bits, bias, smallest_normal, largest)
            last[n] |= (bits_of_double(row[n]) < 0) << sign_shift
        for k in range(K):
            value = a[m, k]
            for n in range(N):
                total = round_to_format(row[n] + value * w[k, n], anchor, least, smallest, largest, end)
                pattern = float_pattern(total, fraction_bits, bias, smallest_normal, largest)
                pattern |= (bits_of_double(total) < 0) << sign_shift
                toggles[n] += count_ones(pattern ^ last[n])
                row[n] = total
                last[n] = pattern
        sums[m] = row
        counts[0] += toggles.sum()


@kernel
def moving_rounding(
    a: Array,
    w: Array,
    sums: Array,
    passed_on: int,
    rounding: tuple[Any, ...],
    layout: tuple[Any, ...],
    counts: Array,
) -> None:
    """As `still_rounding`, partial sums moving down."""
    anchor, least, smallest, largest, end = rounding
    fraction_bits, bias, smallest_normal, sign_shift = layout
    widest_vectors()
    (M, K), N = a.shape, w.shape[1]
    last, toggles = np.zeros((K, N), np.int64), np.zeros(N, np.int64)
    for m in range(M):
        toggles[:] = 0
        row = sums[m]
        for k in range(K):
            value = a[m, k]
            times = 1 + passed_on if k == K - 1 else 1
            for n in range(N):
                total = round_to_format(row[n] + value * w[k, n], anchor, least, smallest, largest, end)
                pattern = float_pattern(total, fraction_bits, bias, smallest_normal, largest)
                pattern |= (bits_of_double(total) < 0) << sign_shift
                toggles[n] += times * count_ones(pattern ^ last[k, n])
                row[n] = total
                last[k, n] = pattern
        counts[step_of(m, M), 0] += toggles.sum()
    for k in range(K):
        times = 1 + passed_on if k == K - 1 else 1
        for n in range(N):
            counts[OUT, 0] += times * count_ones(last[k, n])


@kernel
def still_native(a: Array, w: Array, sums: Array, counts: Array) -> None:
    """The processor's float32 fused multiply-add."""
    widest_vectors()
    (M, K), N = a.shape, w.shape[1]
    row, toggles = np.zeros(N, np.float32), np.zeros(N, np.int32)
    for m in range(M):
        row[:] = sums[m]
        toggles[:] = 0
        for k in range(K):
            value = a[m, k]
            for n in range(N):
                total = fused_multiply_add(value, w[k, n], row[n])
                toggles[n] += count_ones(np.int32(bits_of_single(total) ^ bits_of_single(row[n])))
                row[n] = total
        sums[m] = row
        counts[0] += toggles.sum()


@kernel
def moving_native(a: Array, w: Array, sums: Array, passed_on: int, counts: Array) -> None:
    """As `still_native`, partial sums moving down."""
    widest_vectors()
    (M, K), N = a.shape, w.shape[1]
    held, toggles = np.zeros((K, N), np.float32), np.zeros(N, np.int32)
    for m in range(M):
        toggles[:] = 0
        row = sums[m]
        for k in range(K):
            value = a[m, k]
            times = np.int32(1 + passed_on if k == K - 1 else 1)
            for n in range(N):
                total = fused_multiply_add(value, w[k, n], row[n])
                ones = count_ones(np.int32(bits_of_single(total) ^ bits_of_single(held[k, n])))
                toggles[n] += np.int32(times * ones)
                row[n] = total
                held[k, n] = total
        counts[step_of(m, M), 0] += toggles.sum()
    for k in range(K):
        times = np.int32(1 + passed_on if k == K - 1 else 1)
        for n in range(N):
            counts[OUT, 0] += times * count_ones(bits_of_single(held[k, n]))
