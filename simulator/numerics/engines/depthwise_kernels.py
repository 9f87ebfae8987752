"""Compiled depthwise convolutions: every channel has its own filter, and the input is read where it lies.

Shapes: input x[B, C, H, W] with its padding; weights w[C, K], K over kernel rows, then columns; sums
[C, B, OH, OW]. `window` is kernel height and width, then strides and dilations (down, across). Rows of
outputs are the innermost loop, so that they fill vectors; each output adds its products in the order of K.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.engines.compiled import (
    bits_of,
    float_of,
    fused_multiply_add,
    kernel,
    widest_vectors,
)
from simulator.numerics.engines.scaled_kernels import _flushed, _rounded

Array = npt.NDArray[Any]
Window = tuple[int, int, int, int, int, int]


@kernel
def multiply(x: Array, w: Array, sums: Array, window: Window, first: int, last: int) -> None:
    """Add w x by fused multiply-adds, all float32 or all float64, for channels first .. last - 1."""
    widest_vectors()
    height, width, down, across, dilation_down, dilation_across = window
    for c in range(first, last):
        for b in range(x.shape[0]):
            for i in range(sums.shape[2]):
                row = sums[c, b, i]
                for k in range(height * width):
                    value = w[c, k]
                    line = x[b, c, i * down + k // width * dilation_down, k % width * dilation_across :]
                    if across == 1:
                        for j in range(row.size):
                            row[j] = fused_multiply_add(value, line[j], row[j])
                    else:
                        for j in range(row.size):
                            row[j] = fused_multiply_add(value, line[j * across], row[j])


@kernel
def add_products(
    table: Array, x: Array, w: Array, sums: Array, window: Window, first: int, last: int
) -> None:
    """Add table[x + w] modulo 2**64: a flat table, int64; indices x and w, unsigned."""
    widest_vectors()
    height, width, down, across, dilation_down, dilation_across = window
    for c in range(first, last):
        for b in range(x.shape[0]):
            for i in range(sums.shape[2]):
                row = sums[c, b, i]
                for k in range(height * width):
                    products = table[w[c, k] :]
                    line = x[b, c, i * down + k // width * dilation_down, k % width * dilation_across :]
                    if across == 1:
                        for j in range(row.size):
                            row[j] += products[line[j]]
                    else:
                        for j in range(row.size):
                            row[j] += products[line[j * across]]


def _rounding(integer: Any, *, flush: bool) -> Callable[..., None]:
    @kernel
    def multiply_rounding(
        x: Array, w: Array, sums: Array, layout: tuple[Any, ...], window: Window, first: int, last: int
    ) -> None:
        widest_vectors()
        lowest, below, kept, smallest, magnitude = layout[:5]
        height, width, down, across, dilation_down, dilation_across = window
        for c in range(first, last):
            for b in range(x.shape[0]):
                for i in range(sums.shape[2]):
                    row = sums[c, b, i]
                    for k in range(height * width):
                        value = w[c, k]
                        line = x[b, c, i * down + k // width * dilation_down, k % width * dilation_across :]
                        if across == 1:
                            for j in range(row.size):
                                bits = bits_of(fused_multiply_add(value, line[j], row[j]))
                                bits = _rounded(bits, lowest, below, kept, integer)
                                if flush:
                                    bits = _flushed(bits, smallest, magnitude, integer)
                                row[j] = float_of(bits)
                        else:
                            for j in range(row.size):
                                bits = bits_of(fused_multiply_add(value, line[j * across], row[j]))
                                bits = _rounded(bits, lowest, below, kept, integer)
                                if flush:
                                    bits = _flushed(bits, smallest, magnitude, integer)
                                row[j] = float_of(bits)

    return multiply_rounding


round_single = _rounding(np.int32, flush=False)
round_single_flushing = _rounding(np.int32, flush=True)
round_double = _rounding(np.int64, flush=False)
round_double_flushing = _rounding(np.int64, flush=True)
