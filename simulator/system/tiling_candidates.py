"""Candidate tilings of a layer, compiled: their bytes, and an estimate of their cycles.

The estimate orders candidates for the machine, which plays the best of them; it decides nothing by itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.numerics.engines.compiled import helper, kernel
from simulator.system.footprint import Integers
from simulator.system.geometry import Geometry
from simulator.system.layer_work import LayerWork, all_results, result_share
from simulator.system.nest import (
    FILTER,
    IFMAP,
    KINDS,
    NO_OPERAND,
    OFMAP,
    REDUCTION,
    Blocking,
    channel_cycles,
)
from simulator.system.ports import ceil_div
from simulator.system.tile_work import OUTPUTS_STAY, WEIGHTS_STAY
from simulator.system.tiling_needs import (
    Extents,
    Limits,
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


class Estimate(NamedTuple):
    """A candidate: 1 where it is possible and fits, DRAM bytes, cycles (estimated), steps."""

    fits: int
    bytes: int
    cycles: int
    steps: int


_IMPOSSIBLE = Estimate(0, 0, 0, 0)


@helper
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
        tiles = int(counts[1] * counts[2] * counts[3])
    else:
        across = pixel_folds(g, b.images, b.rows, b.columns, t.columns)
        folds, streamed, tiles = down * across * g.groups, g.n, int(counts[4])
    if t.overlap == 2:
        return folds * max(streamed, tiles * t.interval * t.rows)
    return folds * (streamed + tiles * fixed)


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
    filter_load = channel_cycles(memory, filter_all // filter_loads)
    filter_arrival = filter_load + memory.latency
    first = channel_cycles(memory, needs.filter_tile) + memory.latency
    if work.ifmap_on_chip:
        ifmap_load, ifmap_arrival = 0, ceil_div(ifmap_all // ifmap_loads * 8, work.chip_rate)
        first = max(first, ceil_div(needs.ifmap_tile * 8, work.chip_rate))
    else:
        ifmap_load = channel_cycles(memory, ifmap_all // ifmap_loads)
        ifmap_arrival = ifmap_load + memory.latency
        first += channel_cycles(memory, needs.ifmap_tile)
        moved += ifmap_all
    out = channel_cycles(memory, ofmap_out // visits)
    compute = array_cycles(work, b, counts)
    # One tile is fetched while another one is used, or, with room for one only, in between.
    busy = compute + (ifmap_loads - 1) * ifmap_arrival * (slots.ifmap == 1)
    busy += (filter_loads - 1) * filter_arrival * (slots.filter == 1)
    busy += (visits - 1) * (out + work.output_latency) * (slots.ofmap == 1 and not work.ofmap_stays)
    # A tile may be under way while two others are used: an arrival and a use take turns.
    slowest = max((ifmap_loads - 1) * ifmap_arrival, (filter_loads - 1) * filter_arrival)
    busy = max(busy, (compute + slowest) // 2)
    steps = 1
    for kind in range(KINDS):
        steps *= counts[kind]
    # The tile of an outer loop, and the store beside it, hold up the small tiles behind them.
    rare = min(ifmap_loads, filter_loads)
    if rare < max(ifmap_loads, filter_loads):
        together = ifmap_load + filter_load + memory.latency + (out if visits <= rare else 0)
        busy += (rare - 1) * max(0, together - busy // steps)
    in_turn = first + busy + work.output_latency + out
    channel = ifmap_load * ifmap_loads + filter_load * filter_loads
    channel += (out + channel_cycles(memory, ofmap_in // visits)) * visits
    channel += memory.latency + work.output_latency + compute // steps
    return Estimate(1, moved, max(in_turn, channel), steps)


# Columns of a candidate.
IMAGES, ROWS, COLUMNS, N, K, GROUPS, NEST, WHOLE_K, SINGLE, MOVED, ESTIMATED, STEP_COUNT = range(12)
CANDIDATE = 12


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
def _write(row: Integers, b: Blocking, one: Estimate) -> None:
    row[IMAGES], row[ROWS], row[COLUMNS] = b.images, b.rows, b.columns
    row[N], row[K], row[GROUPS] = b.n, b.k, b.groups
    row[NEST], row[WHOLE_K], row[SINGLE] = b.nest, b.whole_k, b.single
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
    single: int,
    found: Integers,
) -> int:
    """Write candidates that fit into `found` [rows, CANDIDATE]; how many there are, at most its length.

    blocks: [count, 3], images, rows and columns. single: as in `Blocking`. variants: some of `VARIANTS`; with
    the whole reduction in a tile only the first nest of each innermost loop differs.
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
                        b = Blocking(images, rows, columns, n, k, groups, nest, whole_k, single)
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
