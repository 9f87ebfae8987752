"""Compiled sums of table entries: products of narrow operands, and log products by sums of logarithms."""

from __future__ import annotations

import numpy as np

from simulator.numerics.array_types import Array
from simulator.numerics.engines.compiled import block_length, kernel
from simulator.numerics.engines.intrinsics import widest_vectors


@kernel
def sum_products(table: Array, a: Array, w: Array, sums: Array, first: int, last: int) -> None:
    """Add `table[a[m, k] + w[k, n]]` over k to `sums[m, n]` for rows first .. last - 1, modulo 2**64.

    Shapes: a flat table, int64[L]; offsets a, int64[M, K], negative where all products are 0 and can be
    left out; indices w, unsigned[K, N]; sums int64[M, N].
    """
    widest_vectors()
    K, N = w.shape
    block = block_length(N)
    steps = np.empty(min(block, K), np.int64)
    for start in range(0, K, block):
        for m in range(first, last):
            row = sums[m]
            count = 0
            for k in range(start, min(start + block, K)):
                if a[m, k] >= 0:
                    steps[count] = k
                    count += 1
            unrolled = count - count % 4
            for i in range(0, unrolled, 4):
                k0, k1, k2, k3 = steps[i], steps[i + 1], steps[i + 2], steps[i + 3]
                t0, t1, t2, t3 = table[a[m, k0] :], table[a[m, k1] :], table[a[m, k2] :], table[a[m, k3] :]
                w0, w1, w2, w3 = w[k0], w[k1], w[k2], w[k3]
                for n in range(N):
                    row[n] += (t0[w0[n]] + t1[w1[n]]) + (t2[w2[n]] + t3[w3[n]])
            for i in range(unrolled, count):
                k0 = steps[i]
                t0 = table[a[m, k0] :]
                w0 = w[k0]
                for n in range(N):
                    row[n] += t0[w0[n]]


@kernel
def sum_products_saturating(
    table: Array, a: Array, w: Array, lowest: int, highest: int, sums: Array, first: int, last: int
) -> None:
    """Add `table[a[m, k], w[k, n]]` in the order of k, sums held in `lowest` .. `highest` (63 bits)."""
    K, N = w.shape
    for m in range(first, last):
        row = sums[m]
        for k in range(K):
            t0 = table[a[m, k]]
            w0 = w[k]
            for n in range(N):
                row[n] = min(max(row[n] + t0[w0[n]], lowest), highest)


@kernel
def sum_products_sticky(
    table: Array, a: Array, w: Array, spare_bits: int, sums: Array, overflow: Array, first: int, last: int
) -> None:
    """Add `table[a[m, k], w[k, n]]` in the order of k, in 64 - spare_bits bits.

    `overflow` keeps the sign of the first overflow, of a product or of a sum.
    """
    K, N = w.shape
    for m in range(first, last):
        row = sums[m]
        signs = overflow[m]
        for k in range(K):
            t0 = table[a[m, k]]
            w0 = w[k]
            for n in range(N):
                product = t0[w0[n]]
                kept = (product << spare_bits) >> spare_bits
                exact = row[n] + kept
                wrapped = (exact << spare_bits) >> spare_bits
                if signs[n] == 0:
                    if kept != product:
                        signs[n] = 1 if product > 0 else -1
                    elif wrapped != exact:
                        signs[n] = 1 if exact > 0 else -1
                row[n] = wrapped
