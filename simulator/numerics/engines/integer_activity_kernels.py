"""Compiled toggle counts of exact products in float64 lanes, as long as every sum stays within 2**51.

A sum is kept as 1.5 * 2**52 more than it is: one fused multiply-add makes one step, exactly, and the low
51 bits of the pattern are the sum in two's complement. The caller has the bound. Counts
are those of `activity_kernels`; one lane counts both registers, products in its upper half.
"""

from __future__ import annotations

import numpy as np

from simulator.numerics.array_types import Array
from simulator.numerics.engines.activity_kernels import step_of
from simulator.numerics.engines.compiled import kernel
from simulator.numerics.engines.intrinsics import bits_of, count_ones, fused_multiply_add, widest_vectors

ZERO = 1.5 * 2.0**52
"""What stands for the sum 0."""

_LOWER = 0xFFFF_FFFF


@kernel
def still_integers(a: Array, w: Array, sums: Array, mask: int, product_mask: int, counts: Array) -> None:
    """Integer-valued float64 a [M, K] and w [K, N]; sums [M, N] lie `ZERO` above the integers."""
    widest_vectors()
    (M, K), N = a.shape, w.shape[1]
    row, last, toggles = np.zeros(N), np.zeros(N), np.zeros(N, np.int64)
    for m in range(M):
        row[:] = sums[m]
        last[:] = ZERO
        toggles[:] = 0
        for k in range(K):
            value = a[m, k]
            weights = w[k]
            for n in range(N):
                product = fused_multiply_add(value, weights[n], ZERO)
                total = fused_multiply_add(value, weights[n], row[n])
                ones = count_ones((bits_of(total) ^ bits_of(row[n])) & mask)
                wires = count_ones((bits_of(product) ^ bits_of(last[n])) & product_mask)
                toggles[n] += ones + (wires << 32)
                row[n] = total
                last[n] = product
        for n in range(N):
            counts[1] += count_ones((bits_of(last[n]) ^ bits_of(ZERO)) & product_mask)
            counts[0] += toggles[n] & _LOWER
            counts[1] += toggles[n] >> 32
        sums[m] = row


@kernel
def moving_integers(
    a: Array, w: Array, sums: Array, passed_on: int, mask: int, product_mask: int, counts: Array
) -> None:
    """As `still_integers`, partial sums moving down."""
    widest_vectors()
    (M, K), N = a.shape, w.shape[1]
    held, products = np.full((K, N), ZERO), np.full((K, N), ZERO)
    rest, toggles = np.zeros(N), np.zeros(N, np.int64)
    rest[:] = ZERO
    for m in range(M + 1):
        toggles[:] = 0
        row = sums[m] if m < M else rest
        above = 0
        for k in range(K):
            if k == K - 1:
                for n in range(N):
                    above += toggles[n] & _LOWER
            value = a[m, k] if m < M else 0.0
            weights, before, last = w[k], held[k], products[k]
            for n in range(N):
                product = fused_multiply_add(value, weights[n], ZERO)
                total = fused_multiply_add(value, weights[n], row[n])
                ones = count_ones((bits_of(total) ^ bits_of(before[n])) & mask)
                wires = count_ones((bits_of(product) ^ bits_of(last[n])) & product_mask)
                toggles[n] += ones + (wires << 32)
                row[n] = total
                before[n] = total
                last[n] = product
        all_rows, step = 0, step_of(m, M)
        for n in range(N):
            all_rows += toggles[n] & _LOWER
            counts[step, 1] += toggles[n] >> 32
        counts[step, 0] += all_rows + passed_on * (all_rows - above)
