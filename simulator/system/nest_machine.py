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

from simulator.numerics.engines.compiled import helper, still_kernel
from simulator.operands import FILTER, IFMAP, OFMAP
from simulator.system.footprint import Integers
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
from simulator.system.nest import KINDS, Blocking, tile_at
from simulator.system.nest_state import (
    FILTER_NOW,
    IFMAP_NOW,
    KEPT_COSTS,
    LOAD_NOW,
    MET,
    STORE,
    STORE_BEFORE,
    STREAM_FILTER,
    STREAM_IFMAP,
    STREAM_IN,
    STREAM_OUT,
    TIMES,
    Loops,
    Scratch,
    advance,
    blame,
    comes_first,
    looks_like,
    loops_of,
    reset,
    see_from,
    take_next,
)
from simulator.system.nest_transfers import fill_buffers, ofmap_comes_in, serve
from simulator.system.tile_work import COSTS, CYCLES, OUTPUT, PORT, TAIL, Array, Tile, cost_of_step

MOST_PLAYED = 10_000_000
"""Steps of a layer that differ from those before them: 1 to 3 s of processor time."""
_FEWEST_REPETITIONS = 4
_NEVER = 1 << 60


@helper
def _cached_cost(
    array: Array, tile: Tile, following: Tile, follows: int, goes_on: int, keys: Integers, costs: Integers
) -> int:
    """The place of a step's cost among those worked out before."""
    hashed = tile.m * 31 + tile.n * 17 + tile.k * 13 + tile.groups * 7 + tile.starts * 5 + tile.ends * 3
    hashed += following.m * 29 + following.n * 11 + following.k * 23 + follows + goes_on * 2
    place = hashed % KEPT_COSTS
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
def _leap(
    work: LayerWork,
    loops: Loops,
    scratch: Scratch,
    state: Integers,
    totals: Integers,
    at: Integers,
    now: int,
    moved: int,
) -> int:
    """At the beginning of an iteration of the loop at place `moved`: take repetitions at once.

    Iterations are alike where their tiles are and those of the next two, which are fetched ahead: whole
    periods apart, clear of the ends of the loop.

    Returns:
        The time after the repetitions.
    """
    kind = loops.kinds[moved]
    index, first, stop = at[kind], loops.first_uniform[kind], loops.stop_uniform[kind]
    period = loops.period[kind]
    for place in range(moved + 1, loops.moving):
        inner = loops.kinds[place]
        scratch.known_iteration[inner], scratch.patience[inner] = -1, 1
    if stop - first <= max(_FEWEST_REPETITIONS, 2 * period) or not first <= index < stop:
        scratch.known_iteration[kind] = -1
        return now
    known = scratch.known_iteration[kind]
    is_alike = known >= 0 and (index - known) % period == 0
    if is_alike and looks_like(work, state, now, scratch.known_states[kind]):
        times = max(0, (stop - 2 - index) // (index - known))
        cycles = int(times * (now - scratch.known_time[kind]))
        for i in range(TOTALS):
            if i != PLAYED:
                totals[i] += times * (totals[i] - scratch.known_totals[kind, i])
        for i in range(TIMES):
            state[i] += cycles
        at[kind] += times * (index - known)
        scratch.known_iteration[kind], scratch.patience[kind] = -1, _NEVER
        return now + cycles
    if scratch.patience[kind] < _NEVER and (known < 0 or index - known >= scratch.patience[kind] * period):
        if known >= 0:
            scratch.patience[kind] *= 2
        see_from(work, state, now, scratch.known_states[kind])
        for i in range(TOTALS):
            scratch.known_totals[kind, i] = totals[i]
        scratch.known_iteration[kind], scratch.known_time[kind] = index, now
    return now


@helper
def _next_step(loops: Loops, at: Integers, following: Integers) -> int:
    """Write the indices of the next step; the place of the loop that moves, -1 behind the last step."""
    for kind in range(KINDS):
        following[kind] = at[kind]
    for place in range(loops.moving - 1, -1, -1):
        kind = loops.kinds[place]
        if at[kind] + 1 < loops.counts[kind]:
            following[kind] += 1
            return place
        following[kind] = 0
    return -1


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
    moved: int,
    following: Integers,
    queue: Integers,
    ahead: Integers,
) -> int:
    """Queue the loads that the end of a step makes room for, those first that are needed first; how many."""
    queued = 0
    fetches_ifmap = loops.changes[IFMAP, moved] == 1
    fetches_filter = loops.changes[FILTER, moved] == 1
    for place in range(loops.moving):
        kind = loops.kinds[place]
        ahead[IFMAP, kind] = following[kind] if loops.turns[IFMAP, kind] else 0
        ahead[FILTER, kind] = following[kind] if loops.turns[FILTER, kind] else 0
    if fetches_ifmap:
        take_next(state, IFMAP_NOW)
        if slots.ifmap > 1:
            fetches_ifmap = advance(loops, IFMAP, ahead[IFMAP])
    if fetches_filter:
        take_next(state, FILTER_NOW)
        if slots.filter > 1:
            fetches_filter = advance(loops, FILTER, ahead[FILTER])
    if fetches_ifmap:
        queue[queued] = STREAM_IFMAP
        queued += 1
    if fetches_filter:
        queue[queued] = STREAM_FILTER
        queued += 1
    if queued == 2 and not comes_first(loops, ahead[IFMAP], ahead[FILTER]):
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
    for place in range(loops.moving):
        kind = loops.kinds[place]
        ahead[STREAM_OUT, kind] = ahead[STREAM_IN, kind] = at[kind] if loops.turns[OFMAP, kind] else 0
    for i in range(3):
        state[STORE_BEFORE + i] = state[STORE + i]
        state[STORE + i] = 0
    take_next(state, LOAD_NOW)
    wanted = True
    for _ in range(slots.ofmap):
        wanted = wanted and advance(loops, OFMAP, ahead[STREAM_IN])
    place = queued
    while place and wanted and not comes_first(loops, ahead[queue[place - 1]], ahead[STREAM_IN]):
        place -= 1
    added = 2 if wanted and loads else 1
    for i in range(queued - 1, place - 1, -1):
        queue[i + added] = queue[i]
    queue[place] = STREAM_OUT
    if added == 2:
        queue[place + 1] = STREAM_IN
    return queued + added


@still_kernel
def play_nest(
    work: LayerWork,
    b: Blocking,
    slots: Slots,
    totals: Integers,
    scratch: Scratch,
    most: int = MOST_PLAYED,
) -> bool:
    """Write what a tiled layer does into `totals`, which has `TOTALS` places.

    Returns:
        Whether the layer came to its end, in at most about `most` steps that were not leapt over.
    """
    g = work.geometry
    loops = loops_of(g, b, scratch)
    state, at, following = scratch.state, scratch.at, scratch.following
    ahead, queue = scratch.ahead, scratch.queue
    reset(scratch, slots, totals)
    comes_in = ofmap_comes_in(work, loops)
    now, moved = 0, -1
    fill_buffers(work, loops, slots, state, totals, ahead)
    while True:
        if moved >= 0:
            now = _leap(work, loops, scratch, state, totals, at, now, moved)
        moved = _next_step(loops, at, following)
        leaves = moved < 0 or loops.changes[OFMAP, moved] == 1
        place = _cached_cost(
            work.array,
            tile_at(g, b, loops.counts, at),
            tile_at(g, b, loops.counts, following),
            0 if moved < 0 else 1,
            0 if leaves else 1,
            scratch.keys,
            scratch.costs,
        )
        cost = scratch.costs[place]
        now = _begin(slots, state, totals, now) + cost[CYCLES] + cost[PORT] + cost[OUTPUT]
        _count_step(totals, cost)
        out = now + cost[TAIL] + work.output_latency
        queued = 0
        if moved >= 0:
            queued = _fetch_next(loops, slots, state, moved, following, queue, ahead)
        if leaves:
            loads = 1 if comes_in else 0
            queued = _leave(loops, slots, state, at, loads, queue, queued, ahead)
        for i in range(queued):
            stream = queue[i]
            enabled = out if stream == STREAM_OUT else now
            if stream == STREAM_IN:
                enabled = max(now, state[STORE + MET])
            serve(work, loops, state, totals, stream, ahead[stream], enabled, scratch.target[stream])
        if moved < 0:
            break
        if totals[PLAYED] >= most:
            return False
        for kind in range(KINDS):
            at[kind] = following[kind]
    totals[STALL_OUTPUT] += out - now
    totals[END] = max(out, state[STORE + MET])
    if totals[END] > out:
        blame(state, totals, STORE, STALL_OFMAP, STALL_OUTPUT, out, totals[END])
    return True
