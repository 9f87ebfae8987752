"""A tiled layer as a loop nest: which tile every step works on, which tiles of each operand come and go.

Loops have six kinds. The nest of a tiling orders them, groups always outermost and images, rows and columns
of output pixels always together. A step is one innermost iteration. A tile of an operand changes when a loop
that it depends on moves; a loop that it does not depend on brings its tiles back when it lies outside of one
that it does.
"""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

import numpy as np

from simulator.arch.config import LoopOrder
from simulator.numerics.engines.compiled import helper, kernel
from simulator.operands import FILTER, IFMAP
from simulator.system.footprint import Integers
from simulator.system.geometry import Geometry, block_elements
from simulator.system.ports import ceil_div
from simulator.system.tile_work import Tile

GROUP, IMAGE, ROW, COLUMN, CHANNEL, REDUCTION = range(6)
KINDS = 6
"""Kinds of loops: groups, images, output rows, output columns, output channels, reduction."""

NO_OPERAND = -1

NEST_NAMES: tuple[tuple[LoopOrder, str], ...] = (
    ("ifmap_resident", "m, k, n"),
    ("filter_resident", "n, k, m"),
    ("ofmap_resident", "m, n, k"),
    ("ofmap_resident", "n, m, k"),
)
"""Nests by number: the operand whose tile the innermost loop leaves in place, and loops, outermost first."""

NESTS = np.array(
    [
        (GROUP, IMAGE, ROW, COLUMN, REDUCTION, CHANNEL),
        (GROUP, CHANNEL, REDUCTION, IMAGE, ROW, COLUMN),
        (GROUP, IMAGE, ROW, COLUMN, CHANNEL, REDUCTION),
        (GROUP, CHANNEL, IMAGE, ROW, COLUMN, REDUCTION),
    ],
    dtype=np.int64,
)

DEPENDS = np.array(
    [
        # group, image, row, column, channel, reduction
        (1, 1, 1, 1, 0, 1),
        (1, 0, 0, 0, 1, 1),
        (1, 1, 1, 1, 1, 0),
    ],
    dtype=np.int64,
)
"""By operand, the loops that change which tile of it is needed."""


class Blocking(NamedTuple):
    """Tile sizes and loop nest of one layer.

    images, rows, columns: the block of output pixels; n, k, groups: channels, reduction, whole groups.
    nest: a row of `NESTS`.
    whole_k: operand that is held with its whole reduction while the other one passes in pieces of `k`
        (`NO_OPERAND`: neither).
    single: operands of which the buffer holds one tile although two would fit, as a sum of 1 (ifmap), 2
        (filter) and 4 (ofmap): what is fetched early can hold up what is wanted first.
    """

    images: int
    rows: int
    columns: int
    n: int
    k: int
    groups: int
    nest: int
    whole_k: int
    single: int = 0


@kernel
def lengths_of(g: Geometry) -> tuple[int, int, int, int, int, int]:
    """Loop lengths by kind."""
    return g.groups, g.images, g.rows.outputs, g.columns.outputs, g.n, g.k


@kernel
def sizes_of(b: Blocking) -> tuple[int, int, int, int, int, int]:
    """Tile sizes by kind."""
    return b.groups, b.images, b.rows, b.columns, b.n, b.k


@helper
def count_tiles(g: Geometry, b: Blocking, counts: Integers) -> None:
    """Write the iterations of every kind of loop."""
    lengths, sizes = lengths_of(g), sizes_of(b)
    for kind in range(KINDS):
        counts[kind] = (lengths[kind] + sizes[kind] - 1) // sizes[kind]


@helper
def depends(b: Blocking, operand: int, kind: int) -> bool:
    """Whether a loop changes which tile of an operand is needed."""
    if kind == REDUCTION and operand == b.whole_k:
        return False
    return bool(DEPENDS[operand, kind] == 1)


@helper
def mark_turns(b: Blocking, counts: Integers, operand: int, turns: Integers) -> None:
    """Mark the kinds whose iterations bring another tile of an operand, repetitions included, with 1."""
    inner = False
    for position in range(KINDS - 1, -1, -1):
        kind = NESTS[b.nest, position]
        turns[kind] = 0
        if counts[kind] > 1:
            if depends(b, operand, kind):
                turns[kind] = 1
                inner = True
            elif inner:
                turns[kind] = 1


@helper
def list_moving(b: Blocking, counts: Integers, kinds: Integers) -> int:
    """Write the kinds of loops with more than one iteration, outermost first; how many there are."""
    found = 0
    for position in range(KINDS):
        kind = NESTS[b.nest, position]
        if counts[kind] > 1:
            kinds[found] = kind
            found += 1
    return found


@helper
def _length(length: int, size: int, index: int) -> int:
    return min(size, length - index * size)


@helper
def pixels_at(g: Geometry, b: Blocking, at: Integers) -> int:
    """Output pixels of the block at some indices."""
    images = _length(g.images, b.images, at[IMAGE])
    rows = _length(g.rows.outputs, b.rows, at[ROW])
    return images * rows * _length(g.columns.outputs, b.columns, at[COLUMN])


@helper
def groups_at(g: Geometry, b: Blocking, at: Integers) -> int:
    """Groups of the tile at some indices."""
    return _length(g.groups, b.groups, at[GROUP])


@kernel
def tile_at(g: Geometry, b: Blocking, counts: Integers, at: Integers) -> Tile:
    """The shape of the step at some indices."""
    index = at[REDUCTION]
    return Tile(
        pixels_at(g, b, at),
        _length(g.n, b.n, at[CHANNEL]),
        _length(g.k, b.k, index),
        groups_at(g, b, at),
        1 if index == 0 else 0,
        1 if index == counts[REDUCTION] - 1 else 0,
    )


@kernel
def ifmap_bytes_at(g: Geometry, b: Blocking, bits: float, at: Integers) -> int:
    """Bytes of the ifmap tile at some indices."""
    row, column = at[ROW] * b.rows, at[COLUMN] * b.columns
    first = 0 if b.whole_k == IFMAP else at[REDUCTION] * b.k
    stop = g.k if b.whole_k == IFMAP else min(g.k, first + b.k)
    elements = block_elements(
        g,
        row,
        min(g.rows.outputs, row + b.rows),
        column,
        min(g.columns.outputs, column + b.columns),
        first,
        stop,
    )
    elements *= _length(g.images, b.images, at[IMAGE]) * groups_at(g, b, at)
    return ceil_div(elements * bits, 8)


@kernel
def filter_bytes_at(g: Geometry, b: Blocking, bits: float, at: Integers) -> int:
    """Bytes of the filter tile at some indices."""
    reduction = g.k if b.whole_k == FILTER else _length(g.k, b.k, at[REDUCTION])
    elements = reduction * _length(g.n, b.n, at[CHANNEL]) * groups_at(g, b, at)
    return ceil_div(elements * bits, 8)


@helper
def _period_of_reduction(g: Geometry, b: Blocking) -> int:
    """After how many pieces of the reduction the tiles are alike again: those that read the same taps."""
    if b.whole_k == IFMAP:
        return 1
    taps = g.rows.kernel * g.columns.kernel
    return taps // gcd(taps, b.k)


@helper
def uniform_range(g: Geometry, b: Blocking, kind: int) -> tuple[int, int, int]:
    """Iterations of a loop, first and stop, whose tiles are whole and clear of padding, and their period.

    Tiles a period apart are alike.
    """
    lengths, sizes = lengths_of(g), sizes_of(b)
    whole = lengths[kind] // sizes[kind]
    if kind == REDUCTION:
        return 0, whole, _period_of_reduction(g, b)
    if kind in (ROW, COLUMN):
        axis = g.rows if kind == ROW else g.columns
        size = sizes[kind]
        step = size * axis.stride
        first = (axis.padding + step - 1) // step
        reach = axis.dilation * (axis.kernel - 1) + 1
        # The last output of iteration i is (i + 1) size - 1; its window must end inside of the input.
        room = axis.inputs + axis.padding - reach + axis.stride
        return first, max(first, min(whole, room // step)), 1
    return 0, whole, 1


class Memory(NamedTuple):
    """The DRAM channel in clock cycles.

    rate_bytes / rate_cycles: the exact peak rate in bytes per cycle. latency: from the channel to the buffer
    for loads. refresh_interval, refresh_duration: 0 where refresh is not modelled.
    """

    rate_bytes: int
    rate_cycles: int
    burst_bytes: int
    latency: int
    refresh_interval: int
    refresh_duration: int


@helper
def bursts_of(memory: Memory, size: int) -> int:
    """Whole bursts that a transfer of `size` bytes takes."""
    return (size + memory.burst_bytes - 1) // memory.burst_bytes


@kernel
def channel_cycles(memory: Memory, size: int) -> int:
    """Cycles for which a transfer of `size` bytes occupies the channel."""
    moved = bursts_of(memory, size) * memory.burst_bytes
    return (moved * memory.rate_cycles + memory.rate_bytes - 1) // memory.rate_bytes


@kernel
def end_of_transfer(memory: Memory, start: int, cycles: int) -> int:
    """When a transfer begun at `start` has had the DRAM for `cycles` cycles.

    At every whole multiple of the interval but cycle 0 the DRAM begins a refresh: nothing moves for its
    duration.
    """
    interval, blocked = memory.refresh_interval, memory.refresh_duration
    if interval == 0 or blocked == 0 or cycles == 0:
        return start + cycles
    worked = start
    if start > interval:
        periods = (start - interval) // interval
        phase = (start - interval) - periods * interval
        worked = interval + periods * (interval - blocked) + max(0, phase - blocked)
    worked += cycles
    # The first interval has no refresh at its beginning, every later one does.
    if worked <= interval:
        return worked
    period = interval - blocked
    periods = (worked - interval - 1) // period
    rest = (worked - interval - 1) - periods * period
    return interval + periods * interval + blocked + rest + 1
