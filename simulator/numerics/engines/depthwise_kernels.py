"""Compiled depthwise convolutions: every channel has its own filter, and the input is read where it lies.

Shapes: input x[B, C, places], a row of them `pitch` long; weights w[C, K]; sums[C, B, OH, OW]. The product of
weight k and output (i, j) is with place starts[k] + i pitch + j. Each output adds products in the order of K.
Rows of outputs are one run of places, the few between rows included, so that they fill vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simulator.numerics.array_types import Array
from simulator.numerics.engines.compiled import helper, kernel
from simulator.numerics.engines.intrinsics import bits_of, float_of, fused_multiply_add, widest_vectors
from simulator.numerics.engines.log_kernels import increment
from simulator.numerics.engines.scaled_kernels import _flushed, _rounded

_RUN = 2048
"""Places of a run, which stay in a core's nearest cache."""


def _convolution(step: Callable[..., None]) -> Callable[..., None]:
    """A kernel whose `step(numbers, value, line, run)` adds one product to each place of a run."""

    @kernel
    def convolve(
        x: Array, w: Array, sums: Array, numbers: Any, starts: Array, pitch: int, first: int, last: int
    ) -> None:
        widest_vectors()
        rows, columns = sums.shape[2:]
        together = max(1, _RUN // pitch)
        totals = np.empty(together * pitch, sums.dtype)
        for c in range(first, last):
            for b in range(x.shape[0]):
                for top in range(0, rows, together):
                    count = min(together, rows - top)
                    run = totals[: (count - 1) * pitch + columns]
                    run[:] = 0
                    for k in range(starts.size):
                        step(numbers, w[c, k], x[b, c, starts[k] + top * pitch :], run)
                    for i in range(count):
                        sums[c, b, top + i] = run[i * pitch : i * pitch + columns]

    return convolve


@helper
def _fused(_numbers: Any, value: Any, line: Array, run: Array) -> None:
    for j in range(run.size):
        run[j] = fused_multiply_add(value, line[j], run[j])


@helper
def _looked_up(table: Array, value: Any, line: Array, run: Array) -> None:
    products = table[value:]
    for j in range(run.size):
        run[j] += products[line[j]]


def _rounding(integer: Any, *, flush: bool) -> Callable[..., None]:
    @helper
    def rounded(layout: tuple[Any, ...], value: Any, line: Array, run: Array) -> None:
        lowest, below, kept, smallest, magnitude = layout[:5]
        for j in range(run.size):
            bits = bits_of(fused_multiply_add(value, line[j], run[j]))
            bits = _rounded(bits, lowest, below, kept, integer)
            if flush:
                bits = _flushed(bits, smallest, magnitude, integer)
            run[j] = float_of(bits)

    return _convolution(rounded)


def _logs(integer: Any) -> Callable[..., None]:
    @helper
    def rounded(numbers: tuple[Any, Any], value: Any, line: Array, run: Array) -> None:
        half, kept = numbers
        for j in range(run.size):
            run[j] += increment(line[j], value, half, kept, integer)

    return _convolution(rounded)


multiply = _convolution(_fused)
"""Fused multiply-adds, all float32 or all float64; `numbers` is not used."""

add_products = _convolution(_looked_up)
"""Entries `numbers[x + w]` of a flat table, int64, added modulo 2**64; x and w are unsigned indices."""

add_logs_single = _logs(np.int32)
add_logs_double = _logs(np.int64)
"""Log products as `log_kernels` has them, added to float64 sums."""

round_single = _rounding(np.int32, flush=False)
round_single_flushing = _rounding(np.int32, flush=True)
round_double = _rounding(np.int64, flush=False)
round_double_flushing = _rounding(np.int64, flush=True)
