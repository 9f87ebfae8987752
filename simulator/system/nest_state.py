"""The state of the compiled machine: channels, and what the next steps wait for; serving one transfer.

Times are whole cycles from the beginning of the layer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.numerics.engines.compiled import helper
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
    STALL_DRAM,
    TRANSFERS,
    LayerWork,
    Slots,
    all_results,
    result_share,
)
from simulator.system.nest import (
    CHANNEL,
    KINDS,
    OFMAP,
    REDUCTION,
    Blocking,
    advance,
    bursts_of,
    channel_cycles,
    comes_first,
    end_of_transfer,
    filter_bytes_at,
    groups_at,
    ifmap_bytes_at,
    pixels_at,
)

ENABLED, START, MET = range(3)
"""Of a transfer: when it was possible, when it had its channel, when what waited for it could go on."""

STREAM_IFMAP, STREAM_FILTER, STREAM_IN, STREAM_OUT = range(4)
"""What moves; the streams that bring operands in have the operands' numbers."""

# Places of the state: when the channels are free, then transfers as (enabled, start, met).
DRAM_FREE, CHIP_FREE = 0, 1
IFMAP_NOW, IFMAP_NEXT, FILTER_NOW, FILTER_NEXT, LOAD_NOW, LOAD_NEXT, STORE, STORE_BEFORE = range(2, 26, 3)
TIMES = 26
STATE = TIMES + 2
"""Places of a state as the future sees it: times, and the phase of the DRAM's refresh."""


class Loops(NamedTuple):
    """A nest ready to be walked.

    counts: iterations by kind. turns: by operand, kinds that bring another tile of it. first_uniform,
    stop_uniform: by kind, the iterations whose tiles are all alike.
    """

    b: Blocking
    counts: Integers
    turns: Integers
    first_uniform: Integers
    stop_uniform: Integers


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
        size += (results * work.array.edges.sum_bits + 7) // 8
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
        return (results * work.array.edges.sum_bits + 7) // 8
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
        totals[CHIP_WORDS] += (size * 8 + edges.ofmap_macro - 1) // edges.ofmap_macro
    else:
        end = end_of_transfer(memory, start, channel_cycles(memory, size))
        met = end if stream == STREAM_OUT else end + memory.latency
        totals[BYTES + stream] += size
        totals[BURSTS + stream] += bursts_of(memory, size)
    macro = edges.ofmap_macro
    if stream == STREAM_IFMAP:
        macro = edges.ifmap_macro
    elif stream == STREAM_FILTER:
        macro = edges.filter_macro
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
        totals[POOLED_WORDS] += (size * 8 + edges.ofmap_macro - 1) // edges.ofmap_macro
    if work.added_results:
        results = _results_at(work, b, at)
        added = result_share(all_results(work.geometry), results, work.added_results, edges.residual_bits)
        totals[RESIDUAL_BYTES] += added
        if not work.array.whole_residuals:
            totals[ADDED_WORDS] += (added * 8 + edges.ofmap_macro - 1) // edges.ofmap_macro


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
def _overlap(first: int, stop: int, begin: int, end: int) -> int:
    return max(0, min(stop, end) - max(first, begin))


@helper
def blame(
    state: Integers, totals: Integers, place: int, cause: int, unready: int, first: int, stop: int
) -> None:
    """Cycles from `first` to `stop`, by what the transfer waited for: possible, its turn, under way."""
    not_enabled = _overlap(first, stop, 0, state[place + ENABLED])
    queued = _overlap(first, stop, state[place + ENABLED], state[place + START])
    totals[unready] += not_enabled
    totals[STALL_DRAM] += queued
    totals[cause] += stop - first - not_enabled - queued


@helper
def take_next(state: Integers, place: int) -> None:
    """The tile that was fetched ahead becomes the current one."""
    for i in range(3):
        state[place + i] = state[place + 3 + i]
        state[place + 3 + i] = 0


@helper
def see_from(work: LayerWork, state: Integers, now: int, relative: Integers) -> None:
    """The state as the future sees it: times before now are now, with the phase of the DRAM's refresh."""
    for i in range(2):
        relative[i] = max(state[i], now) - now
    for place in range(2, TIMES, 3):
        pending = state[place + MET] > now
        for i in range(3):
            relative[place + i] = max(state[place + i], now) - now if pending else 0
    interval = work.memory.refresh_interval
    relative[TIMES] = relative[TIMES + 1] = 0
    if interval and work.memory.refresh_duration:
        relative[TIMES] = now % interval
        relative[TIMES + 1] = 1 if now >= interval else 0


@helper
def fill_buffers(work: LayerWork, loops: Loops, slots: Slots, state: Integers, totals: Integers) -> None:
    """Fill the empty buffers: by the step that needs a tile, then ifmap, filter, ofmap."""
    at = np.zeros((3, KINDS), np.int64)
    left = np.array([slots.ifmap, slots.filter, slots.ofmap if ofmap_comes_in(work, loops) else 0])
    places = np.array([IFMAP_NOW, FILTER_NOW, LOAD_NOW])
    while True:
        chosen = -1
        for operand in range(3):
            if left[operand] and (chosen < 0 or not comes_first(loops.b, at[chosen], at[operand])):
                chosen = operand
        if chosen < 0:
            return
        serve(work, loops, state, totals, chosen, at[chosen], 0, places[chosen])
        places[chosen] += 3
        left[chosen] -= 1
        if left[chosen] and not advance(loops.b, loops.counts, loops.turns[chosen], at[chosen]):
            left[chosen] = 0


@helper
def ofmap_comes_in(work: LayerWork, loops: Loops) -> bool:
    """Whether any ofmap tile brings partial sums or residual operands in."""
    return work.added_results > 0 or (loops.turns[OFMAP, REDUCTION] == 1 and loops.counts[REDUCTION] > 1)
