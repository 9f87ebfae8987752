"""Candidate tilings of a layer, compiled: their bytes, and an estimate of their cycles.

The estimate orders candidates for the machine, which plays the best of them; it decides nothing by itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.numerics.engines.compiled import helper, still_kernel
from simulator.operands import FILTER, IFMAP, OFMAP
from simulator.system.footprint import Integers
from simulator.system.geometry import Geometry, input_extent
from simulator.system.layer_work import LayerWork, all_results, result_share
from simulator.system.nest import KINDS, NO_OPERAND, REDUCTION, Blocking, Memory, channel_cycles
from simulator.system.ports import Edges, ceil_div
from simulator.system.tile_work import CHANNELS
from simulator.system.tiling_needs import (
    Extents,
    Limits,
    Needs,
    bytes_of,
    ifmap_sizes,
    is_possible,
    needs_of,
)


@helper
def _pieces(length: int, size: int, unit: int) -> int:
    """Units of `unit` in all tiles of `size`, the last of each tile rounded up."""
    return (length // size) * ceil_div(size, unit) + ceil_div(length % size, unit)


@helper
def pixel_folds(g: Geometry, images: int, rows: int, columns: int, unit: int) -> int:
    """Folds of `unit` output pixels in all blocks."""
    folds = 0
    for i in range(2):
        size_i, count_i = (images, g.images // images) if i == 0 else (g.images % images, 1)
        for j in range(2):
            size_j, count_j = (rows, g.rows.outputs // rows) if j == 0 else (g.rows.outputs % rows, 1)
            for k in range(2):
                length = g.columns.outputs
                size_k, count_k = (columns, length // columns) if k == 0 else (length % columns, 1)
                folds += ceil_div(size_i * size_j * size_k, unit) * count_i * count_j * count_k
    return folds


@helper
def _distinct(b: Blocking, counts: Integers, operand: int) -> int:
    """Different tiles of an operand."""
    total = int(counts[0])
    if operand != FILTER:
        total *= counts[1] * counts[2] * counts[3]
    if operand != IFMAP:
        total *= counts[4]
    if operand != OFMAP and operand != b.whole_k:
        total *= counts[5]
    return total


class Moved(NamedTuple):
    """Bytes that a candidate moves, by operand; of the ifmap also where it comes from the chip."""

    ifmap: int
    filter: int
    ofmap: int


class Estimate(NamedTuple):
    """A candidate: 1 where it is possible and fits, DRAM bytes, cycles (estimated, and at least), steps."""

    fits: int
    bytes: int
    cycles: int
    least: int
    steps: int


_IMPOSSIBLE = Estimate(0, 0, 0, 0, 0)


@helper
def array_cycles(work: LayerWork, b: Blocking, counts: Integers) -> int:
    """Cycles of all steps together, edges of chains and narrow ports left out: never too many."""
    g, array, t = work.geometry, work.array, work.array.timing
    channels = _pieces(g.n, b.n, array.fold_channels)
    if t.outputs_stay:
        pieces = pixel_folds(g, b.images, b.rows, b.columns, array.fold_pixels)
        folds = pieces * channels * g.groups
        if t.overlap == 2:
            return folds * t.interval * (g.k if t.trimmed else max(g.k, t.rows))
        skew = t.rows + t.columns - 2
        cycles = folds * (t.interval * (g.k - 1) + t.depth)
        if t.trimmed:
            pixels = g.images * g.rows.outputs * g.columns.outputs
            cycles += t.interval * (g.groups * (channels * pixels + pieces * g.n) - 2 * folds)
        else:
            cycles += folds * t.interval * skew
        return cycles + (folds * t.shift_out if t.overlap == 0 else 0)
    down = _pieces(g.k, b.k, t.rows)
    pixels = g.images * g.rows.outputs * g.columns.outputs
    if array.laid.columns == CHANNELS:
        across, used_columns, streamed = channels, g.n, pixels
        tiles = int(counts[1] * counts[2] * counts[3])
    else:
        across = pixel_folds(g, b.images, b.rows, b.columns, array.fold_pixels)
        used_columns, streamed, tiles = pixels, g.n, int(counts[4])
    folds = down * across * g.groups
    # Rows and columns of all folds: those in use where only they cost skew.
    all_rows = g.k * across * g.groups if t.trimmed else folds * t.rows
    if t.overlap == 2:
        preloads = 0 if t.trimmed else (t.interval - 1) * (t.rows - 1) * folds
        return max(folds * streamed, tiles * (all_rows + preloads))
    fixed = folds * (t.interval * (t.rows - 1) + t.depth - 1) + all_rows
    if t.overlap == 0:
        fixed += (used_columns * down * g.groups if t.trimmed else folds * t.columns) - folds
    return folds * streamed + tiles * fixed


@helper
def _first_ifmap_bytes(g: Geometry, b: Blocking, edges: Edges) -> int:
    """Bytes of the first ifmap tile; 0 for one with a part of the kernel, which depends on the part."""
    k = g.k if b.whole_k == IFMAP else b.k
    size = g.rows.kernel * g.columns.kernel
    if k < size:
        return 0
    down = input_extent(g.rows, 0, b.rows, 0, g.rows.kernel)
    across = input_extent(g.columns, 0, b.columns, 0, g.columns.kernel)
    return bytes_of(down * across * ceil_div(k, size) * b.images * b.groups, edges.ifmap_bits)


@helper
def _cycles_for(memory: Memory, size: int) -> int:
    """The fewest cycles of the channel for `size` bytes in any number of transfers."""
    return size * memory.rate_cycles // memory.rate_bytes


@helper
def least_cycles(work: LayerWork, b: Blocking, needs: Needs, moved: Moved, compute: int) -> int:
    """Cycles that no play of a candidate falls below.

    The array waits for the first tiles, and for every tile of a buffer that holds one at a time; the channel
    moves everything, the loads before the last step.
    """
    memory, slots = work.memory, needs.slots
    first_filter = _cycles_for(memory, needs.filter_tile)
    first_ifmap, ifmap_bytes = 0, 0
    if not work.ifmap_on_chip:
        first_ifmap = _cycles_for(memory, _first_ifmap_bytes(work.geometry, b, work.array.edges))
        ifmap_bytes = moved.ifmap
    waits = 0
    if slots.ifmap == 1 and not work.ifmap_on_chip:
        waits = (needs.ifmap_loads - 1) * memory.latency + _cycles_for(memory, ifmap_bytes) - first_ifmap
    if slots.filter == 1:
        later = _cycles_for(memory, moved.filter) - first_filter
        waits = max(waits, (needs.filter_loads - 1) * memory.latency + later)
    if slots.ofmap == 1 and not work.ofmap_stays:
        waits = max(waits, (needs.visits - 1) * work.output_latency)
    in_turn = memory.latency + first_ifmap + first_filter + compute + waits + work.output_latency
    loads = memory.latency + _cycles_for(memory, ifmap_bytes + moved.filter) + work.output_latency
    return max(in_turn, loads, _cycles_for(memory, ifmap_bytes + moved.filter + moved.ofmap))


@helper
def _part_of_last(g: Geometry, b: Blocking, k: int) -> float:
    """The part of a layer's work that is in its last tile, of pieces of `k` of the reduction."""
    part = 1.0
    for length, size in (
        (g.images, b.images),
        (g.rows.outputs, b.rows),
        (g.columns.outputs, b.columns),
        (g.n, b.n),
        (g.k, k),
        (g.groups, b.groups),
    ):
        part *= ((length - 1) % size + 1) / length
    return part


@helper
def estimate(work: LayerWork, b: Blocking, limits: Limits, ifmap: Extents, scratch: Integers) -> Estimate:
    """What a candidate moves and about how long it takes; `scratch` has 4 x `KINDS` places.

    ifmap: from `ifmap_sizes` for the block and the piece of the reduction that the ifmap tile holds.
    """
    g, edges, memory = work.geometry, work.array.edges, work.memory
    needs = needs_of(work, b, limits, ifmap, scratch)
    if not is_possible(work, b, needs):
        return _IMPOSSIBLE
    counts, slots, visits = scratch[0], needs.slots, needs.visits
    ifmap_loads, filter_loads = needs.ifmap_loads, needs.filter_loads
    ifmap_all = bytes_of(ifmap.total * g.images * g.groups, edges.ifmap_bits)
    ifmap_all *= ifmap_loads // _distinct(b, counts, IFMAP)
    filter_all = bytes_of(g.k * g.n * g.groups, edges.filter_bits)
    filter_all *= filter_loads // _distinct(b, counts, FILTER)
    results = all_results(g)
    sums = bytes_of(results, edges.sum_bits) * (counts[REDUCTION] - 1) if needs.spills else 0
    ofmap_in, ofmap_out = sums, sums
    if work.added_results:
        ofmap_in += result_share(results, results, work.added_results, edges.residual_bits)
    if not work.ofmap_stays:
        ofmap_out += result_share(results, results, work.stored_results, edges.result_bits)
    moved = filter_all + ofmap_in + ofmap_out
    streams = Moved(ifmap_all, filter_all, moved - filter_all)
    filter_load = channel_cycles(memory, filter_all // filter_loads)
    filter_arrival = filter_load + memory.latency
    first_filter, first_ifmap = channel_cycles(memory, needs.filter_tile), 0
    first = first_filter + memory.latency
    if work.ifmap_on_chip:
        ifmap_load, ifmap_arrival = 0, ceil_div(ifmap_all // ifmap_loads * 8, work.chip_rate)
        first = max(first, ceil_div(needs.ifmap_tile * 8, work.chip_rate))
    else:
        ifmap_load = channel_cycles(memory, ifmap_all // ifmap_loads)
        ifmap_arrival = ifmap_load + memory.latency
        first_ifmap = channel_cycles(memory, needs.ifmap_tile)
        first += first_ifmap
        moved += ifmap_all
    out = channel_cycles(memory, ofmap_out // visits)
    compute = array_cycles(work, b, counts)
    least = least_cycles(work, b, needs, streams, compute)
    # One tile is fetched while another one is used, or, with room for one only, in between.
    ifmap_waits, filter_waits = (ifmap_loads - 1) * ifmap_arrival, (filter_loads - 1) * filter_arrival
    busy = compute
    if slots.ifmap == 1:
        busy += ifmap_load * ifmap_loads - first_ifmap + (ifmap_arrival - ifmap_load) * (ifmap_loads - 1)
    if slots.filter == 1:
        busy += filter_load * filter_loads - first_filter + memory.latency * (filter_loads - 1)
    busy += (visits - 1) * (out + work.output_latency) * (slots.ofmap == 1 and not work.ofmap_stays)
    # A tile may be under way while two others are used: an arrival and a use take turns.
    busy = max(busy, (compute + max(ifmap_waits, filter_waits)) // 2)
    steps = 1
    for kind in range(KINDS):
        steps *= counts[kind]
    # The tile of an outer loop, and the store beside it, hold up the small tiles behind them.
    rare, alone, small, ahead = ifmap_loads, slots.ifmap == 1, filter_load, slots.filter
    if filter_loads < ifmap_loads:
        rare, alone, small, ahead = filter_loads, slots.filter == 1, ifmap_load, slots.ifmap
    if rare < max(ifmap_loads, filter_loads) and not alone:
        together = ifmap_load + filter_load + memory.latency + (out if visits <= rare else 0)
        together += small * (ahead - 1)  # the one that is fetched ahead comes first
        busy += (rare - 1) * max(0, together - ahead * busy // steps)
    last_visit = _part_of_last(g, b, work.geometry.k)
    in_turn = first + busy + work.output_latency + int(last_visit * channel_cycles(memory, ofmap_out - sums))
    channel = ifmap_load * ifmap_loads + filter_load * filter_loads
    channel += (out + channel_cycles(memory, ofmap_in // visits)) * visits
    # Behind the last load the channel has the results of the step before to store.
    last_step = int(_part_of_last(g, b, b.k) * compute)
    channel += memory.latency + work.output_latency + max(0, last_step - (out if visits > 1 else 0))
    return Estimate(1, moved, max(in_turn, channel, least), least, steps)


# Columns of a candidate.
IMAGES, ROWS, COLUMNS, N, K, GROUPS, NEST, WHOLE_K, SINGLE, MOVED, ESTIMATED, LEAST, STEP_COUNT = range(13)
CANDIDATE, SIZES = 13, 6
"""Columns in all, and those with the sizes of a tile, which come first."""


@helper
def blocking_of(row: Integers) -> Blocking:
    """The blocking in a row of candidates."""
    return Blocking(
        row[IMAGES],
        row[ROWS],
        row[COLUMNS],
        row[N],
        row[K],
        row[GROUPS],
        row[NEST],
        row[WHOLE_K],
        row[SINGLE],
    )


VARIANTS = np.array([(0, -1), (1, -1), (2, -1), (3, -1), (2, IFMAP), (3, FILTER)], dtype=np.int64)
"""Nests, each with the operand that is held with its whole reduction.

Other pairs never do better: where the held operand's reduction is not the innermost loop, holding it saves
nothing that the nest with the reduction innermost does not save too.
"""


@helper
def write_candidate(row: Integers, b: Blocking, one: Estimate) -> None:
    """Write a blocking and its estimate into a row of candidates."""
    row[IMAGES], row[ROWS], row[COLUMNS] = b.images, b.rows, b.columns
    row[N], row[K], row[GROUPS] = b.n, b.k, b.groups
    row[NEST], row[WHOLE_K], row[SINGLE] = b.nest, b.whole_k, b.single
    row[MOVED], row[ESTIMATED], row[LEAST], row[STEP_COUNT] = one.bytes, one.cycles, one.least, one.steps


@still_kernel
def list_candidates(
    work: LayerWork,
    limits: Limits,
    blocks: Integers,
    n_sizes: Integers,
    k_sizes: Integers,
    group_sizes: Integers,
    variants: Integers,
    single: int,
    found: Integers,
    scratch: Integers,
) -> int:
    """Write candidates that fit into `found` [rows, CANDIDATE]; how many there are, at most its length.

    blocks: [count, 3], images, rows and columns.
    single: as in `Blocking`.
    variants: some of `VARIANTS`; with the whole reduction in a tile only the first nest of each innermost
        loop differs.
    scratch: as for `estimate`.
    """
    g = work.geometry
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
                        b = Blocking(images, rows, columns, n, k, groups, nest, whole_k, single)
                        one = estimate(work, b, limits, whole if whole_k == IFMAP else cut, scratch)
                        if one.fits and count < len(found):
                            write_candidate(found[count], b, one)
                            count += 1
    return count


@still_kernel
def estimate_rows(work: LayerWork, limits: Limits, rows: Integers, scratch: Integers) -> int:
    """Estimate the blockings in `rows` and keep those that fit, in place; how many there are.

    scratch: as for `estimate`.
    """
    g = work.geometry
    count = 0
    for i in range(len(rows)):
        b = blocking_of(rows[i])
        if b.k >= g.k and b.whole_k != NO_OPERAND:
            continue
        held = ifmap_sizes(g, b.rows, b.columns, g.k if b.whole_k == IFMAP else b.k)
        one = estimate(work, b, limits, held, scratch)
        if one.fits:
            write_candidate(rows[count], b, one)
            count += 1
    return count
