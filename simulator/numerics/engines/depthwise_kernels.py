"""Compiled depthwise convolutions: every channel has its own filter, and the input is read where it lies.

All take (x, table, w, sums, numbers, places, shape, padding, first, last) and compute channels first .. last - 1:

- x [B, C, H, W], codes, whose operands are `table[code]`; or with an empty table the operands themselves.
- w [C, K] operands; sums [B, C, OH, OW] are written.
- `numbers` is a tuple for the step.
- `places` int64[K] and `shape` are those of `depthwise.Planes`, which says how a channel is laid out; `padding`
  is the operand around it.

A channel is laid out with its padding so that neighbouring outputs read neighbouring places. Rows of outputs
are then one run of places, the few between rows included, so that they fill vectors. Each output adds products
in the order of K.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simulator.numerics.array_types import Array
from simulator.numerics.engines import tile_steps
from simulator.numerics.engines.compiled import helper, kernel
from simulator.numerics.engines.intrinsics import widest_vectors
from simulator.numerics.engines.register_tiles import MANY_REGISTERS, VECTOR_BYTES, Step, run_tile

_VECTORS = 8 if MANY_REGISTERS else 4
"""Vectors of a run that take their steps together: enough for the next to start before the last has ended."""

_PIECE = 2048
"""Places of a run, which stay in a core's nearest cache; what follows a run is at most one tile more."""


@helper
def _lay_out(image: Array, table: Array, plane: Array, shape: tuple[int, ...]) -> None:
    """Write the operands of one channel [H, W] to their places; those of padding stay as they are."""
    top, left, down, across, rows, columns, _ = shape
    height, width = image.shape
    for h in range(height):
        line = image[h]
        row = (top + h) // down
        for phase in range(across):
            begin = (phase - left) % across
            to = (((top + h) % down * across + phase) * rows + row) * columns + (left + begin) // across
            count = (width - begin + across - 1) // across
            if table.size:
                for j in range(count):
                    plane[to + j] = table[np.intp(line[begin + j * across])]
            else:
                for j in range(count):
                    plane[to + j] = line[begin + j * across]


def _convolution(take_steps: Callable[..., None]) -> Callable[..., None]:
    """A kernel whose `take_steps(values, plane, places, run, numbers)` adds all products of one piece."""

    @kernel
    def convolve(
        x: Array,
        table: Array,
        w: Array,
        sums: Array,
        numbers: Any,
        places: Array,
        shape: tuple[int, ...],
        padding: Any,
        first: int,
        last: int,
    ) -> None:
        widest_vectors()
        rows, columns = sums.shape[2:]
        pitch, size = shape[5:]
        together = max(1, _PIECE // pitch)
        most = together * pitch + _VECTORS * VECTOR_BYTES
        plane = np.empty(size + most, w.dtype)
        plane[:] = padding
        totals = np.empty(most, sums.dtype)
        for c in range(first, last):
            for b in range(x.shape[0]):
                _lay_out(x[b, c], table, plane, shape)
                for top in range(0, rows, together):
                    count = min(together, rows - top)
                    length = (count - 1) * pitch + columns
                    totals[:] = 0
                    take_steps(w[c], plane[top * pitch :], places, totals, length, numbers)
                    for i in range(count):
                        sums[b, c, top + i] = totals[i * pitch : i * pitch + columns]

    return convolve


def _in_tiles(step: Step) -> Callable[..., None]:
    tile = run_tile(step, _VECTORS)

    @helper
    def take_steps(
        values: Array, plane: Array, places: Array, totals: Array, length: int, numbers: Any
    ) -> None:
        for place in range(0, length, _VECTORS * (VECTOR_BYTES // values.itemsize)):
            tile(values, plane, places, totals, numbers, place)

    return _convolution(take_steps)


@helper
def _look_up(values: Array, plane: Array, places: Array, totals: Array, length: int, table: Array) -> None:
    for k in range(places.size):
        products, line = table[values[k] :], plane[places[k] :]
        for j in range(length):
            totals[j] += products[line[j]]


multiply = _in_tiles(tile_steps.fused)
"""Fused multiply-adds, all float32 or all float64; `numbers` is empty."""

multiply_rounded = _in_tiles(tile_steps.rounded(flush=False))
multiply_flushed = _in_tiles(tile_steps.rounded(flush=True))
"""Fused multiply-adds, each rounded as `scaled_kernels` says; `numbers` is `ScaledSteps.layout`."""

add_logs = _in_tiles(tile_steps.log_product)
"""Log products of float32 or float64 operands, added to float64 sums as `log_kernels` says."""

add_products = _convolution(_look_up)
"""Entries `numbers[x + w]` of a flat table, int64, added modulo 2**64; operands are unsigned indices."""
