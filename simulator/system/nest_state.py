"""The state of the compiled machine: its loops, its channels, and what the next steps wait for.

Times are whole cycles from the beginning of the layer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.numerics.engines.compiled import helper
from simulator.system.footprint import Integers
from simulator.system.geometry import Geometry
from simulator.system.layer_work import (
    STALL_DRAM,
    TOTALS,
    LayerWork,
    Slots,
)
from simulator.system.nest import (
    KINDS,
    Blocking,
    count_tiles,
    list_moving,
    mark_turns,
    uniform_range,
)
from simulator.system.tile_work import COSTS

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
KEPT_COSTS, COST_KEY = 32, 12
"""Costs of steps that are kept, and the numbers that a step's cost depends on."""


class Loops(NamedTuple):
    """A nest ready to be walked.

    counts: iterations by kind.
    kinds: the `moving` loops with more than one, outermost first.
    turns: by operand, kinds that bring another tile of it.
    changes: by operand and place in `kinds`, 1 where the next iteration of that loop does.
    first_uniform, stop_uniform, period: by kind, the iterations of which those a period apart have tiles that
        are alike.
    """

    b: Blocking
    counts: Integers
    moving: int
    kinds: Integers
    turns: Integers
    changes: Integers
    first_uniform: Integers
    stop_uniform: Integers
    period: Integers


class Scratch(NamedTuple):
    """Arrays that a play works in; it expects nothing in them.

    The first seven: see `Loops`. state: see the places above. at, following: indices of the step and the next
    one. ahead, target: by stream, the tile that moves next, and where the state keeps its times. known_...:
    by kind of loop an earlier iteration, its state, totals, number (-1: none) and time. patience: after how
    many periods another one is remembered, doubled each time, so that a cycle of states of any length is
    found. keys, costs: steps whose cost was worked out. needs: for what a blocking needs of the buffers.
    """

    counts: Integers
    kinds: Integers
    turns: Integers
    changes: Integers
    first_uniform: Integers
    stop_uniform: Integers
    period: Integers
    state: Integers
    at: Integers
    following: Integers
    ahead: Integers
    queue: Integers
    target: Integers
    known_states: Integers
    known_totals: Integers
    known_iteration: Integers
    known_time: Integers
    patience: Integers
    keys: Integers
    costs: Integers
    needs: Integers


def new_scratch() -> Scratch:
    """Arrays for one play at a time."""

    def integers(*shape: int) -> Integers:
        return np.zeros(shape, np.int64)

    return Scratch(
        counts=integers(KINDS),
        kinds=integers(KINDS),
        turns=integers(3, KINDS),
        changes=integers(3, KINDS),
        first_uniform=integers(KINDS),
        stop_uniform=integers(KINDS),
        period=integers(KINDS),
        state=integers(TIMES),
        at=integers(KINDS),
        following=integers(KINDS),
        ahead=integers(4, KINDS),
        queue=integers(4),
        target=integers(4),
        known_states=integers(KINDS, STATE),
        known_totals=integers(KINDS, TOTALS),
        known_iteration=integers(KINDS),
        known_time=integers(KINDS),
        patience=integers(KINDS),
        keys=integers(KEPT_COSTS, COST_KEY),
        costs=integers(KEPT_COSTS, COSTS),
        needs=integers(4, KINDS),
    )


@helper
def loops_of(g: Geometry, b: Blocking, scratch: Scratch) -> Loops:
    """The nest of a blocking."""
    counts, kinds, turns, changes = scratch.counts, scratch.kinds, scratch.turns, scratch.changes
    count_tiles(g, b, counts)
    moving = list_moving(b, counts, kinds)
    for operand in range(3):
        mark_turns(b, counts, operand, turns[operand])
        # The loops inside of the one that moves begin again, each with another tile.
        for place in range(moving - 1, -1, -1):
            inner = changes[operand, place + 1] if place + 1 < moving else 0
            changes[operand, place] = inner | turns[operand, kinds[place]]
    for kind in range(KINDS):
        first, stop, period = uniform_range(g, b, kind)
        scratch.first_uniform[kind], scratch.stop_uniform[kind], scratch.period[kind] = first, stop, period
    alike = scratch.first_uniform, scratch.stop_uniform, scratch.period
    return Loops(b, counts, moving, kinds, turns, changes, alike[0], alike[1], alike[2])


@helper
def reset(scratch: Scratch, slots: Slots, totals: Integers) -> None:
    """Begin a play: nothing has happened, and nothing is known of earlier iterations or costs."""
    for kind in range(KINDS):
        scratch.at[kind] = 0
        scratch.known_iteration[kind], scratch.patience[kind] = -1, 1
        for stream in range(4):
            scratch.ahead[stream, kind] = 0
    for place in range(TIMES):
        scratch.state[place] = 0
    for place in range(KEPT_COSTS):
        scratch.keys[place, 0] = -1
    for place in range(TOTALS):
        totals[place] = 0
    target = scratch.target
    target[STREAM_IFMAP] = IFMAP_NOW if slots.ifmap == 1 else IFMAP_NEXT
    target[STREAM_FILTER] = FILTER_NOW if slots.filter == 1 else FILTER_NEXT
    target[STREAM_IN] = LOAD_NOW if slots.ofmap == 1 else LOAD_NEXT
    target[STREAM_OUT] = STORE


@helper
def advance(loops: Loops, operand: int, at: Integers) -> bool:
    """Move to an operand's next tile; False (and all zeros) behind the last one."""
    for place in range(loops.moving - 1, -1, -1):
        kind = loops.kinds[place]
        if not loops.turns[operand, kind]:
            continue
        at[kind] += 1
        if at[kind] < loops.counts[kind]:
            return True
        at[kind] = 0
    return False


@helper
def comes_first(loops: Loops, one: Integers, other: Integers) -> bool:
    """Whether `one` is reached before `other`, or both at once."""
    for place in range(loops.moving):
        kind = loops.kinds[place]
        if one[kind] != other[kind]:
            return bool(one[kind] < other[kind])
    return True


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
def looks_like(work: LayerWork, state: Integers, now: int, seen: Integers) -> bool:
    """Whether the future sees the same state now as at another time, of which it saw `seen`."""
    for i in range(2):
        if max(state[i], now) - now != seen[i]:
            return False
    for place in range(2, TIMES, 3):
        pending = state[place + MET] > now
        for i in range(3):
            if (max(state[place + i], now) - now if pending else 0) != seen[place + i]:
                return False
    return bool(seen[TIMES] == _phase(work, now) and seen[TIMES + 1] == _refreshes(work, now))


@helper
def _phase(work: LayerWork, now: int) -> int:
    """Cycles since the last refresh of the DRAM could begin."""
    memory = work.memory
    return now % memory.refresh_interval if memory.refresh_interval and memory.refresh_duration else 0


@helper
def _refreshes(work: LayerWork, now: int) -> int:
    """1 where refreshes have begun: there is none at cycle 0."""
    memory = work.memory
    return 1 if memory.refresh_interval and memory.refresh_duration and now >= memory.refresh_interval else 0


@helper
def see_from(work: LayerWork, state: Integers, now: int, relative: Integers) -> None:
    """The state as the future sees it: times before now are now, with the phase of the DRAM's refresh."""
    for i in range(2):
        relative[i] = max(state[i], now) - now
    for place in range(2, TIMES, 3):
        pending = state[place + MET] > now
        for i in range(3):
            relative[place + i] = max(state[place + i], now) - now if pending else 0
    relative[TIMES], relative[TIMES + 1] = _phase(work, now), _refreshes(work, now)
