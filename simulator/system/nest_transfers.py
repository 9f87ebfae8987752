"""Serving the transfers of the compiled machine: how many bytes a tile is, when it moves, what that counts.

Times are whole cycles from the beginning of the layer.
"""

from __future__ import annotations

from simulator.numerics.engines.compiled import helper
from simulator.operands import FILTER, IFMAP, OFMAP
from simulator.system.footprint import Integers
from simulator.system.layer_work import (
    ADDED_WORDS,
    BUFFER_WORDS,
    BURSTS,
    BYTES,
    CHIP_BYTES,
    CHIP_WORDS,
    POOLED_WORDS,
    RESIDUAL_BYTES,
    RESULT_BYTES,
    TRANSFERS,
    LayerWork,
    Slots,
    all_results,
    result_share,
)
from simulator.system.nest import (
    CHANNEL,
    REDUCTION,
    Blocking,
    bursts_of,
    channel_cycles,
    end_of_transfer,
    filter_bytes_at,
    groups_at,
    ifmap_bytes_at,
    pixels_at,
)
from simulator.system.nest_state import (
    CHIP_FREE,
    DRAM_FREE,
    ENABLED,
    FILTER_NEXT,
    FILTER_NOW,
    IFMAP_NEXT,
    IFMAP_NOW,
    LOAD_NEXT,
    LOAD_NOW,
    MET,
    START,
    STREAM_FILTER,
    STREAM_IFMAP,
    STREAM_IN,
    STREAM_OUT,
    Loops,
    advance,
    comes_first,
)
from simulator.system.ports import ceil_div


@helper
def _results_at(work: LayerWork, b: Blocking, at: Integers) -> int:
    g = work.geometry
    n = min(b.n, g.n - int(at[CHANNEL]) * b.n)
    return pixels_at(g, b, at) * n * groups_at(g, b, at)


@helper
def ends_here(loops: Loops, at: Integers) -> bool:
    """Whether a visit of an ofmap tile finishes its sums."""
    stays = loops.turns[OFMAP, REDUCTION] == 0
    return bool(stays or at[REDUCTION] == loops.counts[REDUCTION] - 1)


@helper
def incoming_bytes(work: LayerWork, loops: Loops, at: Integers) -> int:
    """Bytes that an ofmap tile brings in when its visit begins: partial sums, residual operands."""
    results = _results_at(work, loops.b, at)
    size = 0
    if loops.turns[OFMAP, REDUCTION] and at[REDUCTION] > 0:
        size += ceil_div(results * work.array.edges.sum_bits, 8)
    if work.added_results and ends_here(loops, at):
        size += result_share(
            all_results(work.geometry), results, work.added_results, work.array.edges.residual_bits
        )
    return size


@helper
def outgoing_bytes(work: LayerWork, loops: Loops, at: Integers) -> int:
    """Bytes that leave when a visit of an ofmap tile ends: results, or partial sums."""
    results = _results_at(work, loops.b, at)
    if not ends_here(loops, at):
        return ceil_div(results * work.array.edges.sum_bits, 8)
    return result_share(
        all_results(work.geometry), results, work.stored_results, work.array.edges.result_bits
    )


@helper
def _transfer(
    work: LayerWork, state: Integers, totals: Integers, stream: int, enabled: int, size: int, place: int
) -> None:
    """Serve one transfer: note when it was possible, begun, and met, in three numbers from `place` on."""
    memory, edges = work.memory, work.array.edges
    on_chip = stream == STREAM_IFMAP and work.ifmap_on_chip
    free = CHIP_FREE if on_chip else DRAM_FREE
    start = max(state[free], enabled)
    if on_chip:
        end = start + (size * 8 + work.chip_rate - 1) // work.chip_rate
        met = end
        totals[CHIP_BYTES] += size
        totals[CHIP_WORDS] += (size * 8 + edges.macro[OFMAP] - 1) // edges.macro[OFMAP]
    else:
        end = end_of_transfer(memory, start, channel_cycles(memory, size))
        met = end if stream == STREAM_OUT else end + memory.latency
        totals[BYTES + stream] += size
        totals[BURSTS + stream] += bursts_of(memory, size)
    macro = edges.macro[min(stream, OFMAP)]
    totals[BUFFER_WORDS + stream] += (size * 8 + macro - 1) // macro
    totals[TRANSFERS] += 1
    state[free] = end
    state[place + ENABLED], state[place + START], state[place + MET] = enabled, start, met


@helper
def _count_results(work: LayerWork, b: Blocking, at: Integers, size: int, totals: Integers) -> None:
    """Count the finished results of a tile, and the residual operands that are read for them."""
    edges = work.array.edges
    totals[RESULT_BYTES] += size
    if not work.array.whole_results:
        totals[POOLED_WORDS] += (size * 8 + edges.macro[OFMAP] - 1) // edges.macro[OFMAP]
    if work.added_results:
        results = _results_at(work, b, at)
        added = result_share(all_results(work.geometry), results, work.added_results, edges.residual_bits)
        totals[RESIDUAL_BYTES] += added
        if not work.array.whole_residuals:
            totals[ADDED_WORDS] += (added * 8 + edges.macro[OFMAP] - 1) // edges.macro[OFMAP]


@helper
def serve(
    work: LayerWork,
    loops: Loops,
    state: Integers,
    totals: Integers,
    stream: int,
    at: Integers,
    enabled: int,
    place: int,
) -> None:
    """Serve the transfer of the tile at some indices; an ofmap tile that brings nothing in needs none."""
    g, b, edges = work.geometry, loops.b, work.array.edges
    if stream == STREAM_IFMAP:
        size = ifmap_bytes_at(g, b, edges.ifmap_bits, at)
    elif stream == STREAM_FILTER:
        size = filter_bytes_at(g, b, edges.filter_bits, at)
    elif stream == STREAM_IN:
        size = incoming_bytes(work, loops, at)
        if size == 0:
            return
    else:
        size = outgoing_bytes(work, loops, at)
        if ends_here(loops, at):
            _count_results(work, b, at, size, totals)
        if work.ofmap_stays:
            return
    _transfer(work, state, totals, stream, enabled, size, place)


@helper
def fill_buffers(
    work: LayerWork, loops: Loops, slots: Slots, state: Integers, totals: Integers, at: Integers
) -> None:
    """Fill the empty buffers: by the step that needs a tile, then ifmap, filter, ofmap.

    at: [3, KINDS], zeros, to work in.
    """
    ifmap, filters, ofmap = slots.ifmap, slots.filter, slots.ofmap if ofmap_comes_in(work, loops) else 0
    while ifmap or filters or ofmap:
        operand = OFMAP
        if filters and (not ofmap or comes_first(loops, at[FILTER], at[OFMAP])):
            operand = FILTER
        if ifmap and (
            operand == IFMAP or not (filters or ofmap) or comes_first(loops, at[IFMAP], at[operand])
        ):
            operand = IFMAP
        if operand == IFMAP:
            place, left = IFMAP_NOW if ifmap == slots.ifmap else IFMAP_NEXT, ifmap
        elif operand == FILTER:
            place, left = FILTER_NOW if filters == slots.filter else FILTER_NEXT, filters
        else:
            place, left = LOAD_NOW if ofmap == slots.ofmap else LOAD_NEXT, ofmap
        serve(work, loops, state, totals, operand, at[operand], 0, place)
        left -= 1
        if left and not advance(loops, operand, at[operand]):
            left = 0
        if operand == IFMAP:
            ifmap = left
        elif operand == FILTER:
            filters = left
        else:
            ofmap = left


@helper
def ofmap_comes_in(work: LayerWork, loops: Loops) -> bool:
    """Whether any ofmap tile brings partial sums or residual operands in."""
    return work.added_results > 0 or (loops.turns[OFMAP, REDUCTION] == 1 and loops.counts[REDUCTION] > 1)
