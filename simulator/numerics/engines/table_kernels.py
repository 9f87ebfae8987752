"""Compiled sums of table entries: products of narrow operands, and log products by sums of logarithms."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from simulator.numerics.engines.compiled import block_length, kernel

Array = npt.NDArray[Any]


@kernel
def sum_products(table: Array, a: Array, w: Array, sums: Array, first: int, last: int) -> None:
    """Add `table[a[m, k], w[k, n]]` over k to `sums[m, n]` for rows first .. last - 1, modulo 2**64.

    Shapes: table int64[A, W]; a [M, K] and w [K, N] unsigned codes; sums int64[M, N].
    """
    K, N = w.shape
    unrolled = K - K % 4
    for m in range(first, last):
        row = sums[m]
        for k in range(0, unrolled, 4):
            t0 = table[a[m, k]]
            t1 = table[a[m, k + 1]]
            t2 = table[a[m, k + 2]]
            t3 = table[a[m, k + 3]]
            w0 = w[k]
            w1 = w[k + 1]
            w2 = w[k + 2]
            w3 = w[k + 3]
            for n in range(N):
                row[n] += (t0[w0[n]] + t1[w1[n]]) + (t2[w2[n]] + t3[w3[n]])
        for k in range(unrolled, K):
            t0 = table[a[m, k]]
            w0 = w[k]
            for n in range(N):
                row[n] += t0[w0[n]]


@kernel
def sum_products_saturating(
    table: Array, a: Array, w: Array, lowest: int, highest: int, sums: Array, first: int, last: int
) -> None:
    """As `sum_products` in the order of k, every sum held between `lowest` and `highest` (within 63 bits)."""
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
    """As `sum_products` in the order of k, in 64 - spare_bits bits; `overflow` keeps the first sign."""
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


@kernel
def sum_log_products(
    tables: Array, a_index: Array, a_table: Array, w_index: Array, sums: Array, first: int, last: int
) -> None:
    """Add `tables[a_table[m, k], a_index[m, k] + w_index[k, n]]` over k to `sums[m, n]`, modulo 2**64.

    Shapes: tables int64[2, L]; a_index uint32[M, K]; a_table uint8[M, K]; w_index uint32[K, N]; sums
    int64[M, N].
    """
    K, N = w_index.shape
    block = block_length(N)
    for start in range(0, K, block):
        stop = min(start + block, K)
        unrolled = stop - (stop - start) % 4
        for m in range(first, last):
            row = sums[m]
            for k in range(start, unrolled, 4):
                t0 = tables[a_table[m, k], a_index[m, k] :]
                t1 = tables[a_table[m, k + 1], a_index[m, k + 1] :]
                t2 = tables[a_table[m, k + 2], a_index[m, k + 2] :]
                t3 = tables[a_table[m, k + 3], a_index[m, k + 3] :]
                w0 = w_index[k]
                w1 = w_index[k + 1]
                w2 = w_index[k + 2]
                w3 = w_index[k + 3]
                for n in range(N):
                    row[n] += (t0[w0[n]] + t1[w1[n]]) + (t2[w2[n]] + t3[w3[n]])
            for k in range(unrolled, stop):
                t0 = tables[a_table[m, k], a_index[m, k] :]
                w0 = w_index[k]
                for n in range(N):
                    row[n] += t0[w0[n]]
