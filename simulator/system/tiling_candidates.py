"""Candidate tilings of a layer, compiled: their bytes, and an estimate of their cycles.

The estimate orders candidates for the machine, which plays the best of them; it decides nothing by itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.numerics.engines.compiled import kernel
from simulator.system.footprint import Integers
from simulator.system.geometry import Axis, Geometry, input_extent, taps_of
from simulator.system.nest import (
    FILTER,
    IFMAP,
    KINDS,
    NO_OPERAND,
    OFMAP,
    REDUCTION,
    Blocking,
    channel_cycles,
    count_tiles,
    mark_turns,
)
from simulator.system.nest_machine import LayerWork, Slots, result_share
from simulator.system.ports import ceil_div
from simulator.system.tile_cost import OUTPUTS_STAY, WEIGHTS_STAY, Array

_MANY_PIECES = 4096


class Limits(NamedTuple):
    """What the buffers hold: bytes of each, and 1 where it may hold two tiles, a half for each."""

    ifmap: int
    filter: int
    ofmap: int
    ifmap_halves: int
    filter_halves: int
    ofmap_halves: int


class Extents(NamedTuple):
    """Input positions along one axis, all tiles together and the largest tile."""

    total: int
    largest: int


@kernel
def extents_of(axis: Axis, size: int, first_tap: int, stop_tap: int) -> Extents:
    """Input extents of an axis cut into tiles of `size` outputs; takes time for tiles near padding only."""
    tiles = (axis.outputs + size - 1) // size
    whole = axis.outputs // size
    step = size * axis.stride
    reach = axis.dilation * (axis.kernel - 1) + 1
    first = min(whole, (axis.padding + step - 1) // step)
    room = axis.inputs + axis.padding - reach + axis.stride
    stop = max(first, min(whole, room // step))
    total, largest = 0, 0
    if stop > first:
        inner = input_extent(axis, first * size, (first + 1) * size, first_tap, stop_tap)
        total, largest = inner * (stop - first), inner
    for tile in range(first):
        extent = input_extent(axis, tile * size, min(axis.outputs, (tile + 1) * size), first_tap, stop_tap)
        total += extent
        largest = max(largest, extent)
    for tile in range(stop, tiles):
        extent = input_extent(axis, tile * size, min(axis.outputs, (tile + 1) * size), first_tap, stop_tap)
        total += extent
        largest = max(largest, extent)
    return Extents(total, largest)


@kernel
def _common(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


@kernel
def ifmap_sizes(g: Geometry, rows: int, columns: int, k: int) -> Extents:
    """Input elements of one image and group: all blocks and pieces of the reduction, and the largest one."""
    size = g.rows.kernel * g.columns.kernel
    pieces = (g.k + k - 1) // k
    if k >= size or k >= g.k or pieces > _MANY_PIECES:
        down = extents_of(g.rows, rows, 0, g.rows.kernel)
        across = extents_of(g.columns, columns, 0, g.columns.kernel)
        channels, touched = g.channels, g.channels
        if k < g.k:
            # A channel that a cut goes through is fetched for both pieces.
            apart = (pieces - 1) - (pieces - 1) * _common(k, size) // size
            channels = min(g.channels, (k + size - 1) // size + (1 if k % size else 0))
            touched += apart
        return Extents(down.total * across.total * touched, down.largest * across.largest * channels)
    total, largest = 0, 0
    for piece in range(pieces):
        taps = taps_of(g, piece * k, min(g.k, (piece + 1) * k))
        down = extents_of(g.rows, rows, taps.first_row, taps.stop_row)
        across = extents_of(g.columns, columns, taps.first_column, taps.stop_column)
        total += down.total * across.total * taps.channels
        largest = max(largest, down.largest * across.largest * taps.channels)
    return Extents(total, largest)


@kernel
def _pieces(length: int, size: int, unit: int) -> int:
    """Units of `unit` in all tiles of `size`, the last of each tile rounded up."""
    return (length // size) * ceil_div(size, unit) + ceil_div(length % size, unit)


@kernel
def pixel_folds(g: Geometry, images: int, rows: int, columns: int, unit: int) -> int:
    """Folds of `unit` output pixels in all blocks."""
    folds = 0
    for i in range(2):
        size_i, count_i = (images, g.images // images) if i == 0 else (g.images % images, 1)
        for j in range(2):
            size_j, count_j = (rows, g.rows.outputs // rows) if j == 0 else (g.rows.outputs % rows, 1)
            for l in range(2):
                length = g.columns.outputs
                size_l, count_l = (columns, length // columns) if l == 0 else (length % columns, 1)
                folds += ceil_div(size_i * size_j * size_l, unit) * count_i * count_j * count_l
    return folds


@kernel
def slots_for(size: int, comes_once: bool, capacity: int, halves: int) -> int:
    """Tiles that a buffer holds: one that comes once may fill it; two where halves are enough; 0: no room."""
    if comes_once:
        return 1 if size <= capacity else 0
    if halves and 2 * size <= capacity:
        return 2
    return 1 if size <= capacity else 0


@kernel
def _times(counts: Integers, turns: Integers) -> int:
    """Tiles in an operand's sequence."""
    total = 1
    for kind in range(KINDS):
        if turns[kind]:
            total *= counts[kind]
    return total


@kernel
def _distinct(b: Blocking, counts: Integers, operand: int) -> int:
    """Different tiles of an operand."""
    total = counts[0]
    if operand != FILTER:
        total *= counts[1] * counts[2] * counts[3]
    if operand != IFMAP:
        total *= counts[4]
    if operand != OFMAP and operand != b.whole_k:
        total *= counts[5]
    return total


class Estimate(NamedTuple):
    """A candidate: whether it fits and is possible, slots, DRAM bytes, cycles (estimated), steps."""

    fits: bool
    slots: Slots
    bytes: int
    cycles: int
    steps: int


_IMPOSSIBLE = Estimate(False, Slots(0, 0, 0), 0, 0, 0)


@kernel
def array_cycles(work: LayerWork, b: Blocking, counts: Integers) -> int:
    """Cycles of all steps together, edges of chains and narrow ports left out."""
    g, array, t = work.geometry, work.array, work.array.timing
    channels = _pieces(g.n, b.n, t.columns)
    if array.dataflow == OUTPUTS_STAY:
        down = pixel_folds(g, b.images, b.rows, b.columns, t.rows)
        folds = down * channels * g.groups
        if t.overlap == 2:
            return folds * t.interval * max(g.k, t.rows)
        skew = t.rows + t.columns - 2
        cycles = folds * (t.interval * (g.k - 1) + t.depth)
        if t.trimmed:
            pixels = g.images * g.rows.outputs * g.columns.outputs
            cycles += t.interval * (g.groups * (channels * pixels + down * g.n) - 2 * folds)
        else:
            cycles += folds * t.interval * skew
        return cycles + (folds * t.shift_out if t.overlap == 0 else 0)
    down = _pieces(g.k, b.k, t.rows)
    fixed = t.rows + t.interval * (t.rows - 1) + t.depth - 1
    if t.overlap == 0:
        fixed += t.columns - 1
    pixels = g.images * g.rows.outputs * g.columns.outputs
    if array.dataflow == WEIGHTS_STAY:
        folds, streamed = down * channels * g.groups, pixels
        tiles = counts[1] * counts[2] * counts[3]
    else:
        across = pixel_folds(g, b.images, b.rows, b.columns, t.columns)
        folds, streamed, tiles = down * across * g.groups, g.n, counts[4]
    if t.overlap == 2:
        return folds * max(streamed, tiles * t.interval * t.rows)
    return folds * (streamed + tiles * fixed)


@kernel
def output_bytes(array: Array, outputs: int, k: int) -> int:
    """Bytes that outputs need in the ofmap buffer when the reduction is cut into pieces of `k`.

    A result takes the place of its partial sum, or of what is added to it; but where partial sums pass the
    buffer, what is added waits there beside them.
    """
    edges = array.edges
    if array.dataflow != OUTPUTS_STAY and (array.k > array.timing.rows or k < array.k):
        sums = outputs * max(edges.sum_bits, edges.result_bits)
        return (sums + 7) // 8 + (outputs * edges.residual_bits + 7) // 8
    return (outputs * max(edges.result_bits, edges.residual_bits) + 7) // 8


@kernel
def estimate(work: LayerWork, b: Blocking, limits: Limits, ifmap: Extents, scratch: Integers) -> Estimate:
    """What a candidate moves and about how long it takes; `scratch` has 4 x `KINDS` places.

    ifmap: from `ifmap_sizes` for the block and the piece of the reduction that the ifmap tile holds.
    """
    g, array, edges, t = work.geometry, work.array, work.array.edges, work.array.timing
    counts = scratch[0]
    count_tiles(g, b, counts)
    for operand in range(3):
        mark_turns(b, counts, operand, scratch[1 + operand])
    spills = scratch[1 + OFMAP][REDUCTION] == 1
    pieces = counts[REDUCTION] > 1
    pixels = b.images * b.rows * b.columns
    if array.dataflow == OUTPUTS_STAY and pieces:
        if spills or pixels > t.rows or b.n > t.columns or b.groups > 1:
            return _IMPOSSIBLE
    if work.ofmap_stays and array.dataflow != OUTPUTS_STAY and (pieces or g.k > t.rows):
        return _IMPOSSIBLE
    # Bytes of one tile, of all different ones, and how often they come.
    ifmap_tile = (ifmap.largest * b.images * b.groups * edges.ifmap_bits + 7) // 8
    filter_k = g.k if b.whole_k == FILTER else b.k
    filter_tile = (filter_k * b.n * b.groups * edges.filter_bits + 7) // 8
    ofmap_tile = output_bytes(array, pixels * b.n * b.groups, b.k)
    ifmap_loads = _times(counts, scratch[1 + IFMAP])
    filter_loads = _times(counts, scratch[1 + FILTER])
    visits = _times(counts, scratch[1 + OFMAP])
    slots = Slots(
        slots_for(ifmap_tile, ifmap_loads == 1, limits.ifmap, limits.ifmap_halves),
        slots_for(filter_tile, filter_loads == 1, limits.filter, limits.filter_halves),
        slots_for(ofmap_tile, visits == 1, limits.ofmap, limits.ofmap_halves),
    )
    if slots.ifmap == 0 or slots.filter == 0 or slots.ofmap == 0:
        return _IMPOSSIBLE
    ifmap_all = (ifmap.total * g.images * g.groups * edges.ifmap_bits + 7) // 8
    ifmap_all *= ifmap_loads // _distinct(b, counts, IFMAP)
    filter_all = (g.k * g.n * g.groups * edges.filter_bits + 7) // 8
    filter_all *= filter_loads // _distinct(b, counts, FILTER)
    results = g.images * g.rows.outputs * g.columns.outputs * g.n * g.groups
    ofmap_in = result_share(work, results, work.added_results, edges.residual_bits)
    if not work.added_results:
        ofmap_in = 0
    ofmap_out = 0 if work.ofmap_stays else result_share(work, results, work.stored_results, edges.result_bits)
    if spills:
        sums = (results * edges.sum_bits + 7) // 8 * (counts[REDUCTION] - 1)
        ofmap_in += sums
        ofmap_out += sums
    memory = work.memory
    filter_load = channel_cycles(memory, filter_all // filter_loads)
    ifmap_load, arrival = 0, 0
    first = channel_cycles(memory, filter_tile) + memory.latency
    moved = filter_all + ofmap_in + ofmap_out
    if work.ifmap_on_chip:
        arrival = ceil_div(ifmap_all // ifmap_loads * 8, work.chip_rate)
        first = max(first, ceil_div(ifmap_tile * 8, work.chip_rate))
    else:
        ifmap_load = channel_cycles(memory, ifmap_all // ifmap_loads)
        arrival = ifmap_load + memory.latency
        moved += ifmap_all
        first += channel_cycles(memory, ifmap_tile)
    out = channel_cycles(memory, ofmap_out // visits)
    compute = array_cycles(work, b, counts)
    # One tile is fetched while another one is used, or, with room for one only, in between.
    busy = compute
    if slots.ifmap == 1:
        busy += (ifmap_loads - 1) * arrival
    if slots.filter == 1:
        busy += (filter_loads - 1) * (filter_load + memory.latency)
    if slots.ofmap == 1 and not work.ofmap_stays:
        busy += (visits - 1) * (out + work.output_latency)
    busy = max(busy, (ifmap_loads - 1) * arrival, (filter_loads - 1) * (filter_load + memory.latency))
    steps = 1
    for kind in range(KINDS):
        steps *= counts[kind]
    in_turn = first + busy + work.output_latency + out
    channel = ifmap_load * ifmap_loads + filter_load * filter_loads
    channel += (out + channel_cycles(memory, ofmap_in // visits)) * visits
    channel += memory.latency + work.output_latency + compute // steps
    return Estimate(True, slots, moved, max(in_turn, channel), steps)


# Columns of a candidate.
IMAGES, ROWS, COLUMNS, N, K, GROUPS, NEST, WHOLE_K, MOVED, ESTIMATED, STEP_COUNT = range(11)
CANDIDATE = 11


@kernel
def blocking_of(row: Integers) -> Blocking:
    """The blocking in a row of candidates."""
    return Blocking(
        row[IMAGES], row[ROWS], row[COLUMNS], row[N], row[K], row[GROUPS], row[NEST], row[WHOLE_K]
    )


VARIANTS = np.array([(0, -1), (1, -1), (2, -1), (3, -1), (2, IFMAP), (3, FILTER)], dtype=np.int64)
"""Nests, each with the operand that is held with its whole reduction.

Other pairs never do better: where the held operand's reduction is not the innermost loop, holding it saves
nothing that the nest with the reduction innermost does not save too.
"""


@kernel
def _write(row: Integers, b: Blocking, one: Estimate) -> None:
    row[IMAGES], row[ROWS], row[COLUMNS] = b.images, b.rows, b.columns
    row[N], row[K], row[GROUPS] = b.n, b.k, b.groups
    row[NEST], row[WHOLE_K] = b.nest, b.whole_k
    row[MOVED], row[ESTIMATED], row[STEP_COUNT] = one.bytes, one.cycles, one.steps


@kernel
def list_candidates(
    work: LayerWork,
    limits: Limits,
    blocks: Integers,
    n_sizes: Integers,
    k_sizes: Integers,
    group_sizes: Integers,
    variants: Integers,
    found: Integers,
) -> int:
    """Write candidates that fit into `found` [rows, CANDIDATE]; how many there are, at most its length.

    blocks: [count, 3], images, rows and columns. variants: some of `VARIANTS`; with the whole reduction in a
    tile only the first nest of each innermost loop differs.
    """
    g = work.geometry
    scratch = np.empty((4, KINDS), np.int64)
    count = 0
    for block in range(len(blocks)):
        images, rows, columns = blocks[block]
        whole = ifmap_sizes(g, rows, columns, g.k)
        for k in k_sizes:
            cut = ifmap_sizes(g, rows, columns, k) if k < g.k else whole
            for n in n_sizes:
                for groups in group_sizes:
                    for variant in range(len(variants)):
                        nest, whole_k = variants[variant]
                        if k >= g.k and whole_k != NO_OPERAND:
                            continue
                        b = Blocking(images, rows, columns, n, k, groups, nest, whole_k)
                        one = estimate(work, b, limits, whole if whole_k == IFMAP else cut, scratch)
                        if one.fits and count < len(found):
                            _write(found[count], b, one)
                            count += 1
    return count


@kernel
def estimate_rows(work: LayerWork, limits: Limits, rows: Integers) -> int:
    """Estimate the blockings in `rows` and keep those that fit, in place; how many there are."""
    g = work.geometry
    scratch = np.empty((4, KINDS), np.int64)
    count = 0
    for i in range(len(rows)):
        b = blocking_of(rows[i])
        if b.k >= g.k and b.whole_k != NO_OPERAND:
            continue
        held = ifmap_sizes(g, b.rows, b.columns, g.k if b.whole_k == IFMAP else b.k)
        one = estimate(work, b, limits, held, scratch)
        if one.fits:
            _write(rows[count], b, one)
            count += 1
    return count


@kernel
def slots_of(work: LayerWork, b: Blocking, limits: Limits) -> Slots:
    """Slots of a blocking; zeros where it does not fit."""
    scratch = np.empty((4, KINDS), np.int64)
    held = ifmap_sizes(work.geometry, b.rows, b.columns, work.geometry.k if b.whole_k == IFMAP else b.k)
    return estimate(work, b, limits, held, scratch).slots
