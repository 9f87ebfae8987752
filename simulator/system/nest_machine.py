"""The machine around the array, compiled: a whole tiled layer in one pass, with repetitions taken in one leap.

`machine.py` plays the same layer as simpy processes, step by step; both agree to the cycle. Here the same
rules are a recurrence. The DRAM channel serves transfers in a fixed order, so going through the steps in order,
and after each one through the transfers that its end makes possible, visits everything in an order in which
all that it depends on is known.

Loops repeat. At the beginning of every iteration of a loop the state of the machine is compared with an
earlier one, all times relative to now. Equal states under equal tiles have equal futures, so the iterations
between them repeat until the loop comes near its end: they are taken at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.numerics.engines.compiled import helper, kernel
from simulator.system.footprint import Integers
from simulator.system.geometry import Geometry
from simulator.system.nest import (
    CHANNEL,
    FILTER,
    IFMAP,
    KINDS,
    NESTS,
    OFMAP,
    REDUCTION,
    Blocking,
    Memory,
    advance,
    bursts_of,
    channel_cycles,
    comes_first,
    count_tiles,
    end_of_transfer,
    filter_bytes_at,
    groups_at,
    ifmap_bytes_at,
    mark_turns,
    pixels_at,
    tile_at,
    uniform_range,
)
from simulator.system.tile_cost import (
    COSTS,
    CYCLES,
    OUTPUT,
    PORT,
    RESIDUAL_WORDS,
    RESULT_WORDS,
    TAIL,
    Array,
    Tile,
    cost_of_step,
)


class LayerWork(NamedTuple):
    """Everything about a layer and its accelerator that does not depend on the tiling.

    stored_results, added_results: results that are written after pooling, and those that a residual addition
    reads the other operand of. ifmap_on_chip: the input comes from the ofmap buffer, at `chip_rate` bits a
    cycle. ofmap_stays: the result is left there. output_latency: cycles from the array's edge to the buffer.
    """

    geometry: Geometry
    array: Array
    memory: Memory
    stored_results: int
    added_results: int
    ifmap_on_chip: int
    ofmap_stays: int
    chip_rate: int
    output_latency: int


class Slots(NamedTuple):
    """Tiles of each operand that its buffer holds at once."""

    ifmap: int
    filter: int
    ofmap: int


# Places in the totals: first the costs of all steps, then these.
STALL_IFMAP = COSTS
STALL_FILTER, STALL_OFMAP, STALL_DRAM, STALL_PORT, STALL_OUTPUT = (COSTS + i for i in range(1, 6))
BYTES = COSTS + 6
"""Useful DRAM bytes of the four streams: ifmap, filter, ofmap in, ofmap out."""
BURSTS = COSTS + 10
"""Their bursts."""
BUFFER_WORDS = COSTS + 14
"""Macro words that their transfers touch in the buffers."""
CHIP_BYTES, CHIP_WORDS = COSTS + 18, COSTS + 19
"""What is copied from the ofmap to the ifmap buffer, and the words that this reads."""
POOLED_WORDS, ADDED_WORDS = COSTS + 20, COSTS + 21
"""Words of results behind pooling, and of residual operands that are fewer than the results."""
RESULT_BYTES, RESIDUAL_BYTES = COSTS + 22, COSTS + 23
"""Bytes of results that reach the ofmap buffer, and of residual operands read there."""
STEPS, TRANSFERS, END, PLAYED = (COSTS + i for i in range(24, 28))
"""Steps and transfers, the layer's last cycle, and how many steps were gone through one by one."""
TOTALS = COSTS + 28

_ENABLED, _START, _MET = range(3)
_STREAM_IFMAP, _STREAM_FILTER, _STREAM_IN, _STREAM_OUT = range(4)

# The state: when the channels are free, then what the next steps wait for as (enabled, start, met).
_DRAM_FREE, _CHIP_FREE = 0, 1
_IFMAP, _IFMAP_NEXT, _FILTER, _FILTER_NEXT, _LOAD, _LOAD_NEXT, _STORE, _STORE_BEFORE = range(2, 26, 3)
_TIMES = 26
_STATE = _TIMES + 2
_CACHED = 32
_KEY = 12


@helper
def all_results(g: Geometry) -> int:
    """Results of the whole layer."""
    return g.images * g.rows.outputs * g.columns.outputs * g.n * g.groups


@kernel
def result_share(total: int, results: int, counted: int, bits: int) -> int:
    """Bytes that a tile's `results` of all `total` take when only `counted` of all are."""
    elements = results if counted == total else (results * counted + total - 1) // total
    return (elements * bits + 7) // 8


@helper
def _results_at(work: LayerWork, b: Blocking, at: Integers) -> int:
    g = work.geometry
    n = min(b.n, g.n - at[CHANNEL] * b.n)
    return pixels_at(g, b, at) * n * groups_at(g, b, at)


@helper
def ends_here(counts: Integers, turns: Integers, at: Integers) -> bool:
    """Whether a visit of an ofmap tile finishes its sums."""
    return turns[REDUCTION] == 0 or at[REDUCTION] == counts[REDUCTION] - 1


@helper
def incoming_bytes(work: LayerWork, b: Blocking, counts: Integers, turns: Integers, at: Integers) -> int:
    """Bytes that an ofmap tile brings in when its visit begins: partial sums, residual operands."""
    results = _results_at(work, b, at)
    size = 0
    if turns[REDUCTION] and at[REDUCTION] > 0:
        size += (results * work.array.edges.sum_bits + 7) // 8
    if work.added_results and ends_here(counts, turns, at):
        size += result_share(
            all_results(work.geometry), results, work.added_results, work.array.edges.residual_bits
        )
    return size


@helper
def outgoing_bytes(work: LayerWork, b: Blocking, counts: Integers, turns: Integers, at: Integers) -> int:
    """Bytes that leave when a visit of an ofmap tile ends: results, or partial sums."""
    results = _results_at(work, b, at)
    if not ends_here(counts, turns, at):
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
    on_chip = stream == _STREAM_IFMAP and work.ifmap_on_chip
    free = _CHIP_FREE if on_chip else _DRAM_FREE
    start = max(state[free], enabled)
    if on_chip:
        end = start + (size * 8 + work.chip_rate - 1) // work.chip_rate
        met = end
        totals[CHIP_BYTES] += size
        totals[CHIP_WORDS] += (size * 8 + edges.ofmap_macro - 1) // edges.ofmap_macro
    else:
        end = end_of_transfer(memory, start, channel_cycles(memory, size))
        met = end if stream == _STREAM_OUT else end + memory.latency
        totals[BYTES + stream] += size
        totals[BURSTS + stream] += bursts_of(memory, size)
    macro = edges.ofmap_macro
    if stream == _STREAM_IFMAP:
        macro = edges.ifmap_macro
    elif stream == _STREAM_FILTER:
        macro = edges.filter_macro
    totals[BUFFER_WORDS + stream] += (size * 8 + macro - 1) // macro
    totals[TRANSFERS] += 1
    state[free] = end
    if place >= 0:
        state[place + _ENABLED], state[place + _START], state[place + _MET] = enabled, start, met


@helper
def _overlap(first: int, stop: int, begin: int, end: int) -> int:
    return max(0, min(stop, end) - max(first, begin))


@helper
def _blame(
    state: Integers, totals: Integers, place: int, cause: int, unready: int, first: int, stop: int
) -> None:
    """Cycles from `first` to `stop`, by what the transfer waited for: possible, its turn, under way."""
    not_enabled = _overlap(first, stop, 0, state[place + _ENABLED])
    queued = _overlap(first, stop, state[place + _ENABLED], state[place + _START])
    totals[unready] += not_enabled
    totals[STALL_DRAM] += queued
    totals[cause] += stop - first - not_enabled - queued


@helper
def _shift(state: Integers, place: int) -> None:
    """The tile that was fetched ahead becomes the current one."""
    for i in range(3):
        state[place + i] = state[place + 3 + i]
        state[place + 3 + i] = 0


@helper
def _relative(work: LayerWork, state: Integers, now: int, relative: Integers) -> None:
    """The state as the future sees it: times before now are now, with the phase of the DRAM's refresh."""
    for i in range(2):
        relative[i] = max(state[i], now) - now
    for place in range(2, _TIMES, 3):
        pending = state[place + _MET] > now
        for i in range(3):
            relative[place + i] = max(state[place + i], now) - now if pending else 0
    interval = work.memory.refresh_interval
    relative[_TIMES] = relative[_TIMES + 1] = 0
    if interval and work.memory.refresh_duration:
        relative[_TIMES] = now % interval
        relative[_TIMES + 1] = 1 if now >= interval else 0


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
def _serve(
    work: LayerWork,
    b: Blocking,
    counts: Integers,
    turns: Integers,
    state: Integers,
    totals: Integers,
    stream: int,
    at: Integers,
    enabled: int,
    place: int,
) -> None:
    """Serve the transfer of the tile at some indices; an ofmap tile that brings nothing in needs none."""
    g, edges = work.geometry, work.array.edges
    if stream == _STREAM_IFMAP:
        size = ifmap_bytes_at(g, b, edges.ifmap_bits, at)
    elif stream == _STREAM_FILTER:
        size = filter_bytes_at(g, b, edges.filter_bits, at)
    elif stream == _STREAM_IN:
        size = incoming_bytes(work, b, counts, turns[OFMAP], at)
        if size == 0:
            return
    else:
        size = outgoing_bytes(work, b, counts, turns[OFMAP], at)
        if ends_here(counts, turns[OFMAP], at):
            _count_results(work, b, at, size, totals)
        if work.ofmap_stays:
            return
    _transfer(work, state, totals, stream, enabled, size, place)


@helper
def _first_loads(
    work: LayerWork,
    b: Blocking,
    slots: Slots,
    counts: Integers,
    turns: Integers,
    state: Integers,
    totals: Integers,
) -> None:
    """Fill the empty buffers: by the step that needs a tile, then ifmap, filter, ofmap."""
    at = np.zeros((3, KINDS), np.int64)
    left = np.array([slots.ifmap, slots.filter, slots.ofmap if _ofmap_comes_in(work, counts, turns) else 0])
    places = np.array([_IFMAP, _FILTER, _LOAD])
    while True:
        chosen = -1
        for operand in range(3):
            if left[operand] and (chosen < 0 or not comes_first(b, at[chosen], at[operand])):
                chosen = operand
        if chosen < 0:
            return
        # Operands and the streams that bring them in have the same numbers.
        _serve(work, b, counts, turns, state, totals, chosen, at[chosen], 0, places[chosen])
        places[chosen] += 3
        left[chosen] -= 1
        if left[chosen] and not advance(b, counts, turns[chosen], at[chosen]):
            left[chosen] = 0


@helper
def _ofmap_comes_in(work: LayerWork, counts: Integers, turns: Integers) -> bool:
    return work.added_results > 0 or (turns[OFMAP, REDUCTION] == 1 and counts[REDUCTION] > 1)


@helper
def _cached_cost(
    array: Array, tile: Tile, following: Tile, follows: int, goes_on: int, keys: Integers, costs: Integers
) -> int:
    """The place of a step's cost among those worked out before."""
    hashed = tile.m * 31 + tile.n * 17 + tile.k * 13 + tile.groups * 7 + tile.starts * 5 + tile.ends * 3
    hashed += following.m * 29 + following.n * 11 + following.k * 23 + follows + goes_on * 2
    place = hashed % _CACHED
    key = keys[place]
    if (
        key[0] == tile.m
        and key[1] == tile.n
        and key[2] == tile.k
        and key[3] == tile.groups
        and key[4] == tile.starts
        and key[5] == tile.ends
        and key[6] == following.m
        and key[7] == following.n
        and key[8] == following.k
        and key[9] == following.groups
        and key[10] == follows
        and key[11] == goes_on
    ):
        return place
    key[0], key[1], key[2], key[3], key[4], key[5] = tile
    key[6], key[7], key[8], key[9] = following.m, following.n, following.k, following.groups
    key[10], key[11] = follows, goes_on
    cost_of_step(array, tile, following, follows, goes_on, costs[place])
    return place


@kernel
def play_nest(work: LayerWork, b: Blocking, slots: Slots, totals: Integers) -> None:
    """Write what a tiled layer does into `totals`, which has `TOTALS` places."""
    g, array, edges, memory = work.geometry, work.array, work.array.edges, work.memory
    totals[:] = 0
    counts = np.empty(KINDS, np.int64)
    count_tiles(g, b, counts)
    turns = np.empty((3, KINDS), np.int64)
    for operand in range(3):
        mark_turns(b, counts, operand, turns[operand])
    first_uniform, stop_uniform = np.empty(KINDS, np.int64), np.empty(KINDS, np.int64)
    for kind in range(KINDS):
        first_uniform[kind], stop_uniform[kind] = uniform_range(g, b, counts, kind)
    state = np.zeros(_TIMES, np.int64)
    relative = np.empty(_STATE, np.int64)
    saved = np.empty((KINDS, _STATE), np.int64)
    saved_totals = np.empty((KINDS, TOTALS), np.int64)
    saved_at = np.full(KINDS, -1, np.int64)
    saved_time = np.zeros(KINDS, np.int64)
    patience = np.ones(KINDS, np.int64)
    keys, costs = np.full((_CACHED, _KEY), -1, np.int64), np.empty((_CACHED, COSTS), np.int64)
    at, following = np.zeros(KINDS, np.int64), np.zeros(KINDS, np.int64)
    # By stream: the tile that it moves next, and where the state keeps its times.
    ahead, queue = np.zeros((4, KINDS), np.int64), np.empty(4, np.int64)
    target = np.array(
        [
            _IFMAP if slots.ifmap == 1 else _IFMAP_NEXT,
            _FILTER if slots.filter == 1 else _FILTER_NEXT,
            _LOAD if slots.ofmap == 1 else _LOAD_NEXT,
            _STORE,
        ]
    )
    comes_in = _ofmap_comes_in(work, counts, turns)
    now, moved = 0, 0
    _first_loads(work, b, slots, counts, turns, state, totals)
    while True:
        # Compare with earlier iterations of the loop that has just moved, and leap over repetitions.
        if totals[STEPS]:
            kind = NESTS[b.nest, moved]
            index = at[kind]
            if (
                stop_uniform[kind] - first_uniform[kind] > 4
                and first_uniform[kind] <= index < stop_uniform[kind]
            ):
                _relative(work, state, now, relative)
                known = saved_at[kind]
                equal = known >= 0
                if equal:
                    for i in range(_STATE):
                        if saved[kind, i] != relative[i]:
                            equal = False
                            break
                if equal:
                    period = index - known
                    times = max(0, (stop_uniform[kind] - 2 - index) // period)
                    if times:
                        leap = times * (now - saved_time[kind])
                        for i in range(TOTALS):
                            if i != PLAYED:
                                totals[i] += times * (totals[i] - saved_totals[kind, i])
                        for i in range(_TIMES):
                            state[i] += leap
                        now += leap
                        at[kind] += times * period
                    saved_at[kind] = -1
                    patience[kind] = 1 << 60
                elif known < 0 or index - known >= patience[kind]:
                    if known >= 0:
                        patience[kind] *= 2
                    if patience[kind] < 1 << 60:
                        saved[kind] = relative
                        saved_totals[kind] = totals
                        saved_at[kind], saved_time[kind] = index, now
            elif index >= stop_uniform[kind]:
                saved_at[kind] = -1
            for position in range(moved + 1, KINDS):
                saved_at[NESTS[b.nest, position]] = -1
                patience[NESTS[b.nest, position]] = 1
        # Where the step after this one is.
        following[:] = at
        moved = -1
        for position in range(KINDS - 1, -1, -1):
            kind = NESTS[b.nest, position]
            if at[kind] + 1 < counts[kind]:
                following[kind] += 1
                moved = position
                break
            following[kind] = 0
        tile = tile_at(g, b, counts, at)
        next_tile = tile_at(g, b, counts, following)
        leaves = moved < 0
        if not leaves:
            for position in range(moved, KINDS):
                kind = NESTS[b.nest, position]
                if turns[OFMAP, kind] and following[kind] != at[kind]:
                    leaves = True
        place = _cached_cost(array, tile, next_tile, 0 if moved < 0 else 1, 0 if leaves else 1, keys, costs)
        # The step waits for its tiles and for a place for its results; what is met last is to blame.
        space = _STORE if slots.ofmap == 1 else _STORE_BEFORE
        start = max(
            now, state[_IFMAP + _MET], state[_FILTER + _MET], state[_LOAD + _MET], state[space + _MET]
        )
        if start > now:
            if state[_IFMAP + _MET] == start:
                _blame(state, totals, _IFMAP, STALL_IFMAP, STALL_OFMAP, now, start)
            elif state[_FILTER + _MET] == start:
                _blame(state, totals, _FILTER, STALL_FILTER, STALL_OFMAP, now, start)
            elif state[_LOAD + _MET] == start:
                _blame(state, totals, _LOAD, STALL_OFMAP, STALL_OFMAP, now, start)
            else:
                _blame(state, totals, space, STALL_OFMAP, STALL_OUTPUT, now, start)
        now = start + costs[place, CYCLES] + costs[place, PORT] + costs[place, OUTPUT]
        for i in range(COSTS):
            totals[i] += costs[place, i]
        totals[STALL_PORT] += costs[place, PORT]
        totals[STALL_OUTPUT] += costs[place, OUTPUT]
        totals[STEPS] += 1
        totals[PLAYED] += 1
        out = now + costs[place, TAIL] + work.output_latency
        # What the end of the step makes possible, in the order in which the channel serves it.
        queued = 0
        if moved >= 0:
            new_ifmap, new_filter = False, False
            for position in range(moved, KINDS):
                kind = NESTS[b.nest, position]
                if following[kind] != at[kind]:
                    new_ifmap = new_ifmap or turns[IFMAP, kind] == 1
                    new_filter = new_filter or turns[FILTER, kind] == 1
            for kind in range(KINDS):
                ahead[IFMAP, kind] = following[kind] if turns[IFMAP, kind] else 0
                ahead[FILTER, kind] = following[kind] if turns[FILTER, kind] else 0
            if new_ifmap:
                _shift(state, _IFMAP)
                new_ifmap = slots.ifmap == 1 or advance(b, counts, turns[IFMAP], ahead[IFMAP])
            if new_filter:
                _shift(state, _FILTER)
                new_filter = slots.filter == 1 or advance(b, counts, turns[FILTER], ahead[FILTER])
            filter_first = new_filter and not (new_ifmap and comes_first(b, ahead[IFMAP], ahead[FILTER]))
            if filter_first:
                queue[queued] = _STREAM_FILTER
                queued += 1
            if new_ifmap:
                queue[queued] = _STREAM_IFMAP
                queued += 1
            if new_filter and not filter_first:
                queue[queued] = _STREAM_FILTER
                queued += 1
        if leaves:
            for kind in range(KINDS):
                ahead[_STREAM_OUT, kind] = at[kind] if turns[OFMAP, kind] else 0
            for i in range(3):
                state[_STORE_BEFORE + i] = state[_STORE + i]
                state[_STORE + i] = 0
            queue[queued] = _STREAM_OUT
            queued += 1
            if moved >= 0:
                _shift(state, _LOAD)
                ahead[_STREAM_IN] = ahead[_STREAM_OUT]
                more = comes_in
                for _ in range(slots.ofmap):
                    more = more and advance(b, counts, turns[OFMAP], ahead[_STREAM_IN])
                if more:
                    queue[queued] = _STREAM_IN
                    queued += 1
        for i in range(queued):
            stream = queue[i]
            enabled = now
            if stream == _STREAM_OUT:
                enabled = out
            elif stream == _STREAM_IN:
                enabled = max(now, state[_STORE + _MET])
            _serve(work, b, counts, turns, state, totals, stream, ahead[stream], enabled, target[stream])
        if moved < 0:
            totals[STALL_OUTPUT] += costs[place, TAIL] + work.output_latency
            totals[END] = out
            if not work.ofmap_stays and state[_STORE + _MET] > out:
                _blame(state, totals, _STORE, STALL_OFMAP, STALL_OUTPUT, out, state[_STORE + _MET])
                totals[END] = state[_STORE + _MET]
            return
        at[:] = following
