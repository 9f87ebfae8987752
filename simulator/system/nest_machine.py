"""The machine around the array, compiled: a whole tiled layer in one pass, repetitions taken in one leap.

`machine.py` plays the same layer as simpy processes, step by step; both agree to the cycle. Here the same
rules are a recurrence. The DRAM channel serves transfers in a fixed order. Going through the steps in order,
and after each one through the transfers that its end makes possible, visits everything when all that it
depends on is known.

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
from simulator.system.layer_work import (
    END,
    PLAYED,
    STALL_FILTER,
    STALL_IFMAP,
    STALL_OFMAP,
    STALL_OUTPUT,
    STALL_PORT,
    STEPS,
    TOTALS,
    LayerWork,
    Slots,
)
from simulator.system.nest import (
    FILTER,
    IFMAP,
    KINDS,
    NESTS,
    OFMAP,
    Blocking,
    advance,
    comes_first,
    count_tiles,
    mark_turns,
    tile_at,
    uniform_range,
)
from simulator.system.nest_state import (
    FILTER_NEXT,
    FILTER_NOW,
    IFMAP_NEXT,
    IFMAP_NOW,
    LOAD_NEXT,
    LOAD_NOW,
    MET,
    STATE,
    STORE,
    STORE_BEFORE,
    STREAM_FILTER,
    STREAM_IFMAP,
    STREAM_IN,
    STREAM_OUT,
    TIMES,
    Loops,
    blame,
    fill_buffers,
    ofmap_comes_in,
    see_from,
    serve,
    take_next,
)
from simulator.system.tile_work import COSTS, CYCLES, OUTPUT, PORT, TAIL, Array, Tile, cost_of_step

_CACHED, _KEY = 32, 12
_FEWEST_REPETITIONS = 4
_NEVER = 1 << 60


class _Memory(NamedTuple):
    """Earlier iterations by kind of loop: their state, totals, number (-1: none) and time.

    patience: after how many iterations another one is remembered, doubled each time, so that a cycle of
    states of any length is found.
    """

    states: Integers
    totals: Integers
    iteration: Integers
    time: Integers
    patience: Integers


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


@helper
def _loops_of(g: Geometry, b: Blocking) -> Loops:
    counts = np.empty(KINDS, np.int64)
    count_tiles(g, b, counts)
    turns = np.empty((3, KINDS), np.int64)
    for operand in range(3):
        mark_turns(b, counts, operand, turns[operand])
    first, stop = np.empty(KINDS, np.int64), np.empty(KINDS, np.int64)
    for kind in range(KINDS):
        first[kind], stop[kind] = uniform_range(g, b, kind)
    return Loops(b, counts, turns, first, stop)


@helper
def _repeats(work: LayerWork, memory: _Memory, state: Integers, now: int, kind: int, seen: Integers) -> bool:
    """Whether the machine is as it was at the remembered iteration; `seen` becomes the state as it is."""
    see_from(work, state, now, seen)
    if memory.iteration[kind] < 0:
        return False
    equal = True
    for i in range(STATE):
        equal = equal and memory.states[kind, i] == seen[i]
    return equal


@helper
def _leap(
    work: LayerWork,
    loops: Loops,
    memory: _Memory,
    state: Integers,
    totals: Integers,
    at: Integers,
    now: int,
    moved: int,
    seen: Integers,
) -> int:
    """At the beginning of an iteration of the loop at position `moved`: take repetitions at once.

    Iterations are alike where their tiles are and those of the next two, which are fetched ahead.

    Returns:
        The time after the repetitions.
    """
    kind = NESTS[loops.b.nest, moved]
    index, first, stop = at[kind], loops.first_uniform[kind], loops.stop_uniform[kind]
    for position in range(moved + 1, KINDS):
        inner = NESTS[loops.b.nest, position]
        memory.iteration[inner], memory.patience[inner] = -1, 1
    if stop - first <= _FEWEST_REPETITIONS or not first <= index < stop:
        memory.iteration[kind] = -1
        return now
    known = memory.iteration[kind]
    if _repeats(work, memory, state, now, kind, seen):
        times = max(0, (stop - 2 - index) // (index - known))
        cycles = int(times * (now - memory.time[kind]))
        for i in range(TOTALS):
            if i != PLAYED:
                totals[i] += times * (totals[i] - memory.totals[kind, i])
        for i in range(TIMES):
            state[i] += cycles
        at[kind] += times * (index - known)
        memory.iteration[kind], memory.patience[kind] = -1, _NEVER
        return now + cycles
    if memory.patience[kind] < _NEVER and (known < 0 or index - known >= memory.patience[kind]):
        if known >= 0:
            memory.patience[kind] *= 2
        for i in range(STATE):
            memory.states[kind, i] = seen[i]
        for i in range(TOTALS):
            memory.totals[kind, i] = totals[i]
        memory.iteration[kind], memory.time[kind] = index, now
    return now


@helper
def _next_step(loops: Loops, at: Integers, following: Integers) -> int:
    """Write the indices of the next step; the position of the loop that moves, -1 behind the last step."""
    for kind in range(KINDS):
        following[kind] = at[kind]
    for position in range(KINDS - 1, -1, -1):
        kind = NESTS[loops.b.nest, position]
        if at[kind] + 1 < loops.counts[kind]:
            following[kind] += 1
            return position
        following[kind] = 0
    return -1


@helper
def _changes(loops: Loops, operand: int, at: Integers, following: Integers) -> bool:
    """Whether the next step needs another tile of an operand."""
    changes = False
    for kind in range(KINDS):
        changes = changes or (loops.turns[operand, kind] == 1 and following[kind] != at[kind])
    return changes


@helper
def _begin(slots: Slots, state: Integers, totals: Integers, now: int) -> int:
    """When a step begins: its tiles are there, and a place for its results. What is met last is to blame."""
    space = STORE if slots.ofmap == 1 else STORE_BEFORE
    tiles = max(state[IFMAP_NOW + MET], state[FILTER_NOW + MET], state[LOAD_NOW + MET])
    start = max(now, int(tiles), int(state[space + MET]))
    if start == now:
        return now
    if state[IFMAP_NOW + MET] == start:
        blame(state, totals, IFMAP_NOW, STALL_IFMAP, STALL_OFMAP, now, start)
    elif state[FILTER_NOW + MET] == start:
        blame(state, totals, FILTER_NOW, STALL_FILTER, STALL_OFMAP, now, start)
    elif state[LOAD_NOW + MET] == start:
        blame(state, totals, LOAD_NOW, STALL_OFMAP, STALL_OFMAP, now, start)
    else:
        blame(state, totals, space, STALL_OFMAP, STALL_OUTPUT, now, start)
    return start


@helper
def _count_step(totals: Integers, cost: Integers) -> None:
    for i in range(COSTS):
        totals[i] += cost[i]
    totals[STALL_PORT] += cost[PORT]
    totals[STALL_OUTPUT] += cost[OUTPUT]
    totals[STEPS] += 1
    totals[PLAYED] += 1


@helper
def _fetch_next(
    loops: Loops,
    slots: Slots,
    state: Integers,
    at: Integers,
    following: Integers,
    queue: Integers,
    ahead: Integers,
) -> int:
    """Queue the loads that the end of a step makes room for, those first that are needed first; how many."""
    queued = 0
    fetches_ifmap = _changes(loops, IFMAP, at, following)
    fetches_filter = _changes(loops, FILTER, at, following)
    for kind in range(KINDS):
        ahead[IFMAP, kind] = following[kind] if loops.turns[IFMAP, kind] else 0
        ahead[FILTER, kind] = following[kind] if loops.turns[FILTER, kind] else 0
    if fetches_ifmap:
        take_next(state, IFMAP_NOW)
        if slots.ifmap > 1:
            fetches_ifmap = advance(loops.b, loops.counts, loops.turns[IFMAP], ahead[IFMAP])
    if fetches_filter:
        take_next(state, FILTER_NOW)
        if slots.filter > 1:
            fetches_filter = advance(loops.b, loops.counts, loops.turns[FILTER], ahead[FILTER])
    if fetches_ifmap:
        queue[queued] = STREAM_IFMAP
        queued += 1
    if fetches_filter:
        queue[queued] = STREAM_FILTER
        queued += 1
    if queued == 2 and not comes_first(loops.b, ahead[IFMAP], ahead[FILTER]):
        queue[0], queue[1] = STREAM_FILTER, STREAM_IFMAP
    return queued


@helper
def _leave(
    loops: Loops,
    slots: Slots,
    state: Integers,
    at: Integers,
    loads: int,
    queue: Integers,
    queued: int,
    ahead: Integers,
) -> int:
    """Queue the store of a visit that ends, and the load of the tile that gets its place; how many in all.

    They go before the loads that are needed later than that place. loads: 1 where later ofmap tiles may bring
    something in.
    """
    for kind in range(KINDS):
        ahead[STREAM_OUT, kind] = ahead[STREAM_IN, kind] = at[kind] if loops.turns[OFMAP, kind] else 0
    for i in range(3):
        state[STORE_BEFORE + i] = state[STORE + i]
        state[STORE + i] = 0
    take_next(state, LOAD_NOW)
    wanted = True
    for _ in range(slots.ofmap):
        wanted = wanted and advance(loops.b, loops.counts, loops.turns[OFMAP], ahead[STREAM_IN])
    place = queued
    while place and wanted and not comes_first(loops.b, ahead[queue[place - 1]], ahead[STREAM_IN]):
        place -= 1
    added = 2 if wanted and loads else 1
    for i in range(queued - 1, place - 1, -1):
        queue[i + added] = queue[i]
    queue[place] = STREAM_OUT
    if added == 2:
        queue[place + 1] = STREAM_IN
    return queued + added


@kernel
def play_nest(work: LayerWork, b: Blocking, slots: Slots, totals: Integers) -> None:
    """Write what a tiled layer does into `totals`, which has `TOTALS` places."""
    g = work.geometry
    loops = _loops_of(g, b)
    memory = _Memory(
        np.empty((KINDS, STATE), np.int64),
        np.empty((KINDS, TOTALS), np.int64),
        np.full(KINDS, -1, np.int64),
        np.zeros(KINDS, np.int64),
        np.ones(KINDS, np.int64),
    )
    state, seen = np.zeros(TIMES, np.int64), np.empty(STATE, np.int64)
    keys, costs = np.full((_CACHED, _KEY), -1, np.int64), np.empty((_CACHED, COSTS), np.int64)
    at, following = np.zeros(KINDS, np.int64), np.zeros(KINDS, np.int64)
    # By stream: the tile that it moves next, and where the state keeps its times.
    ahead, queue = np.zeros((4, KINDS), np.int64), np.empty(4, np.int64)
    target = np.array(
        [
            IFMAP_NOW if slots.ifmap == 1 else IFMAP_NEXT,
            FILTER_NOW if slots.filter == 1 else FILTER_NEXT,
            LOAD_NOW if slots.ofmap == 1 else LOAD_NEXT,
            STORE,
        ]
    )
    comes_in = ofmap_comes_in(work, loops)
    now, moved = 0, -1
    totals[:] = 0
    fill_buffers(work, loops, slots, state, totals)
    while True:
        if moved >= 0:
            now = _leap(work, loops, memory, state, totals, at, now, moved, seen)
        moved = _next_step(loops, at, following)
        leaves = moved < 0 or _changes(loops, OFMAP, at, following)
        place = _cached_cost(
            work.array,
            tile_at(g, b, loops.counts, at),
            tile_at(g, b, loops.counts, following),
            0 if moved < 0 else 1,
            0 if leaves else 1,
            keys,
            costs,
        )
        cost = costs[place]
        now = _begin(slots, state, totals, now) + cost[CYCLES] + cost[PORT] + cost[OUTPUT]
        _count_step(totals, cost)
        out = now + cost[TAIL] + work.output_latency
        queued = 0
        if moved >= 0:
            queued = _fetch_next(loops, slots, state, at, following, queue, ahead)
        if leaves:
            loads = 1 if comes_in else 0
            queued = _leave(loops, slots, state, at, loads, queue, queued, ahead)
        for i in range(queued):
            stream = queue[i]
            enabled = out if stream == STREAM_OUT else now
            if stream == STREAM_IN:
                enabled = max(now, state[STORE + MET])
            serve(work, loops, state, totals, stream, ahead[stream], enabled, target[stream])
        if moved < 0:
            break
        at[:] = following
    totals[STALL_OUTPUT] += out - now
    totals[END] = max(out, state[STORE + MET])
    if totals[END] > out:
        blame(state, totals, STORE, STALL_OFMAP, STALL_OUTPUT, out, totals[END])
