"""Compiled depthwise convolutions: every channel has its own filter, and the input is read where it lies.

All take (x, table, w, sums, numbers, planes, plane, totals, first, last) and compute the channels from
`first` to before `last`:

- x [B, C, H, W], codes, whose operands are `table[code]`; or with an empty table the operands themselves.
- w [C, K] operands; sums [B, C, OH, OW] are written.
- `numbers` is a tuple for the step.
- `planes` is what `depthwise.Planes.layout` gives: how a channel is laid out.
- `plane` holds the operand of padding; operands of a channel are written into it. `totals` is room for sums.
  Both are `SLACK` longer than what they hold, since tiles are whole.

A channel is laid out with its padding so that neighbouring outputs read neighbouring places. Rows of outputs
are then one run of places, the few between rows included, so that they fill vectors. Each output adds
products in the order of K.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simulator.numerics.array_types import Array
from simulator.numerics.engines import tile_steps
from simulator.numerics.engines.compiled import helper, still_kernel
from simulator.numerics.engines.intrinsics import widest_vectors
from simulator.numerics.engines.register_tiles import MANY_REGISTERS, VECTOR_BYTES, Step, run_tile

_VECTORS = 8 if MANY_REGISTERS else 4
"""Vectors of a run that take their steps together: enough for the next to start before the last has ended."""

PIECE = 2048
"""Places of a run, which stay in a core's nearest cache; a run has one row or more."""

SLACK = _VECTORS * VECTOR_BYTES
"""Places that a tile may read and write behind a run."""


@helper
def _read(line: Array, step: int, count: int, table: Array, place: Array) -> None:
    """Write every `step`-th of a line's operands, `count` in all."""
    if table.size:
        for j in range(count):
            place[j] = table[np.intp(line[j * step])]
    else:
        for j in range(count):
            place[j] = line[j * step]


@helper
def _lay_out(image: Array, table: Array, plane: Array, lines: Array, across: Array) -> None:
    """Write the operands of one channel [H, W] to their places; those of padding stay as they are."""
    step = across.shape[0]
    for h in range(image.shape[0]):
        for phase in range(step):
            line, place, count = image[h, across[phase, 0] :], plane[lines[h, phase] :], across[phase, 1]
            if step == 1:  # common steps are said apart, so that their loops are compiled for vectors
                _read(line, 1, count, table, place)
            elif step == 2:
                _read(line, 2, count, table, place)
            else:
                _read(line, step, count, table, place)


def _convolution(take_steps: Callable[..., None]) -> Callable[..., None]:
    """A kernel whose `take_steps(values, plane, places, run, numbers)` adds all products of one piece."""

    @still_kernel
    def convolve(
        x: Array,
        table: Array,
        w: Array,
        sums: Array,
        numbers: Any,
        planes: tuple[Array, Array, Array, int],
        plane: Array,
        totals: Array,
        first: int,
        last: int,
    ) -> None:
        widest_vectors()
        rows, columns = sums.shape[2:]
        places, lines, across, pitch = planes
        together = max(1, PIECE // pitch)
        for c in range(first, last):
            for b in range(x.shape[0]):
                _lay_out(x[b, c], table, plane, lines, across)
                for top in range(0, rows, together):
                    count = min(together, rows - top)
                    length = (count - 1) * pitch + columns
                    for j in range(length):
                        totals[j] = 0
                    take_steps(w[c], plane[top * pitch :], places, totals, length, numbers)
                    for i in range(count):
                        row, line = sums[b, c, top + i], totals[i * pitch :]
                        for j in range(columns):
                            row[j] = line[j]

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
"""Log products of float32 or float64 operands, added to float64 sums as `log_sums` says."""

add_products = _convolution(_look_up)
"""Entries `numbers[x + w]` of a flat table, int64, added modulo 2**64; operands are unsigned indices."""
