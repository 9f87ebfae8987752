"""The compiled grid: every register of every PE, one clock edge after another.

Import this only where it runs: it compiles. `simulator.array.planes` does the same in plain numpy for MACs
that have no compiled step, and tests/reference/grid.py one PE at a time.
"""

from __future__ import annotations

import numpy as np

from simulator.array import grid_registers as reg
from simulator.array import signals as sig
from simulator.array.adders import add_products
from simulator.array.grid_moves import (
    clear,
    enter_pipe,
    exchange,
    hazard,
    move_down,
    move_right,
    note_watched,
)
from simulator.array.grid_registers import Pins, Plane, Registers
from simulator.array.operations import Operations
from simulator.numerics.engines.compiled import kernel

_OVERFLOWED = sig.OVERFLOW_UP | sig.OVERFLOW_DOWN


@kernel
def _is_empty(plane: Plane) -> bool:
    """Whether all bytes of a plane are 0."""
    flat = plane.reshape(-1)
    used = np.uint8(0)
    for k in range(flat.size):
        used = np.uint8(used | flat[k])
    return bool(used == 0)


@kernel
def _drain(below: Plane, below_flags: Plane, drains: Plane, state: Plane) -> None:
    """Sums that are moving go down a row; without branches inside a row, and not at all in an idle one."""
    if _is_empty(drains):
        return
    C = drains.shape[1]
    for i in range(drains.shape[0] - 1, 0, -1):
        row, above = drains[i], drains[i - 1]
        used, collides = 0, False
        for j in range(C):
            used |= row[j] | above[j]
            collides |= (row[j] == sig.WAITING) & (above[j] == sig.MOVING)
        if used == sig.EMPTY:
            continue
        if collides:
            hazard(state, sig.DRAIN_OCCUPIED)
        sums, sums_above, flags, flags_above = below[i], below[i - 1], below_flags[i], below_flags[i - 1]
        for j in range(C):
            arrives = (row[j] != sig.WAITING) & (above[j] == sig.MOVING)
            sums[j] = sums_above[j] if arrives else sums[j]
            flags[j] = flags_above[j] if arrives else flags[j]
        for j in range(C):
            left = sig.MOVING if above[j] == sig.MOVING else sig.EMPTY
            row[j] = sig.WAITING if row[j] == sig.WAITING else left
    for j in range(C):
        drains[0, j] = sig.WAITING if drains[0, j] == sig.WAITING else sig.EMPTY


@kernel
def _begin_to_move(go: Plane, drains: Plane) -> None:
    """The drain registers of columns whose fold is complete begin to move."""
    for j in range(go.shape[0]):
        if go[j]:
            for i in range(drains.shape[0]):
                if drains[i, j] == sig.WAITING:
                    drains[i, j] = sig.MOVING


@kernel
def _hand_over(
    sums: Plane,
    flags: Plane,
    finished: Plane,
    below: Plane,
    below_flags: Plane,
    drains: Plane,
    go: Plane,
    state: Plane,
) -> None:
    """Finished sums enter the drain registers, and their accumulators begin anew."""
    R, C = sums.shape
    go[:] = 0
    if _is_empty(finished):
        return
    any_go = 0
    for i in range(R):
        marks = finished[i]
        ended = 0
        for j in range(C):
            ended |= marks[j]
        if not ended:
            continue
        any_go |= ended & sig.GO
        for j in range(C):
            if marks[j]:
                if drains[i, j] != sig.EMPTY:
                    hazard(state, sig.DRAIN_OCCUPIED)
                below[i, j], below_flags[i, j] = sums[i, j], flags[i, j]
                drains[i, j] = sig.WAITING
                sums[i, j] = 0
                flags[i, j] = 0
                go[j] |= marks[j] & sig.GO
                marks[j] = 0
    if any_go:
        _begin_to_move(go, drains)


@kernel
def _mark_finished(marks: Plane, finished: Plane) -> None:
    """The marks of sums that are complete at this edge."""
    for i in range(marks.shape[0]):
        for j in range(marks.shape[1]):
            finished[i, j] = marks[i, j] & (sig.LAST | sig.GO)


@kernel
def _show(sums: Plane, flags: Plane, drains: Plane, out_sums: Plane, out_flags: Plane) -> None:
    """The drain registers of the bottom row, with PRESENT where a sum is leaving."""
    for j in range(sums.shape[0]):
        out_sums[j] = sums[j]
        out_flags[j] = flags[j] | (sig.PRESENT if drains[j] == sig.MOVING else 0)


@kernel
def run_os(
    r: Registers,
    operations: Operations,
    pins: Pins,
    interval: int,
    watch: Plane,
    out_sums: Plane,
    out_flags: Plane,
    watched: Plane,
) -> None:
    """Output stationary: a clock edge per entry of `pins`; the bottom after each goes to `out_*`."""
    across, marks, down, gate = r.across, r.marks, r.down, r.down_marks
    sums, flags, finished, drains, state = r.sums, r.flags, r.finished, r.drain_state, r.state
    bottom, C = sums.shape[0] - 1, sums.shape[1]
    depth = r.pipe_across.shape[0]
    has_drain = drains.shape[0] > 0
    nothing, no_flags = np.zeros(C, sums.dtype), np.zeros(C, np.uint8)
    for t in range(pins.control.shape[0]):
        control = pins.control[t]
        taken = control & sig.MULTIPLY != 0 and control & sig.RESET == 0
        slot = state[reg.PIPE]
        watched[t] = 0
        if control & sig.RESET:
            clear(r)
        else:
            if has_drain:
                _drain(r.drain_sums, r.drain_flags, drains, state)
                _hand_over(sums, flags, finished, r.drain_sums, r.drain_flags, drains, r.go, state)
            if taken:
                if state[reg.SINCE_MULTIPLY] < interval:
                    hazard(state, sig.ADDER_BUSY)
                move_right(across, pins.across[t])
                move_right(marks, pins.marks[t])
                move_down(down, pins.down[t])
                move_down(gate, pins.down_marks[t])
                state[reg.SINCE_MULTIPLY] = 0
            elif control & sig.SHIFT_OUT:
                move_down(sums, nothing)
                move_down(flags, no_flags)
            note_watched(watch, taken, marks, gate, r.pipe_marks, slot, watched[t])
            if depth:
                ring, ring_down, ring_marks = r.pipe_across[slot], r.pipe_down[slot], r.pipe_marks[slot]
                add_products(operations, ring, ring_down, ring_marks, ring_marks, sums, flags)
                if has_drain:
                    _mark_finished(ring_marks, finished)
                enter_pipe(taken, across, down, marks, gate, ring, ring_down, ring_marks)
                state[reg.PIPE] = (slot + 1) % depth
            elif taken:
                add_products(operations, across, down, marks, gate, sums, flags)
                if has_drain:
                    _mark_finished(marks, finished)
        state[reg.SINCE_MULTIPLY] += 1
        state[reg.CYCLE] += 1
        if has_drain:
            _show(r.drain_sums[bottom], r.drain_flags[bottom], drains[bottom], out_sums[t], out_flags[t])
        else:
            out_sums[t] = sums[bottom]
            out_flags[t] = flags[bottom]


@kernel
def _take_held(marks: Plane, down: Plane, down_marks: Plane, held: Plane) -> None:
    """The PEs whose fold begins at this edge take their operand from the shadow register."""
    for i in range(marks.shape[0]):
        for j in range(marks.shape[1]):
            if marks[i, j] & sig.FIRST:
                held[i, j] = down[i, j]
                down_marks[i, j] = 0


@kernel
def _top_sums(
    pin_sums: Plane,
    pin_flags: Plane,
    stored: Plane,
    stored_flags: Plane,
    ends: Plane,
    state: Plane,
    sums: Plane,
    flags: Plane,
) -> None:
    """What enters at the top: the pins, or the oldest sum in the partial-sum buffer where they ask for it."""
    for j in range(pin_sums.shape[0]):
        sums[j] = pin_sums[j]
        flags[j] = pin_flags[j] & ~sig.READ_BACK
        if pin_flags[j] & sig.READ_BACK:
            given = ends[1, j]
            if given >= ends[0, j]:
                hazard(state, sig.BUFFER_EMPTY)
            place = given % stored.shape[0]
            sums[j] = stored[place, j]
            flags[j] |= stored_flags[place, j] & (sig.INFINITE | _OVERFLOWED)
            ends[1, j] = given + 1


@kernel
def _keep_sums(sums: Plane, flags: Plane, stored: Plane, stored_flags: Plane, ends: Plane) -> None:
    """Partial sums that have just reached the bottom enter the partial-sum buffer."""
    for j in range(sums.shape[0]):
        if flags[j] & sig.KEEP:
            place = ends[0, j] % stored.shape[0]
            stored[place, j] = sums[j]
            stored_flags[place, j] = flags[j]
            ends[0, j] += 1


@kernel
def _preload(loading: int, pins: Plane, pin_marks: Plane, r: Registers) -> None:
    """Stationary operands move one row down in the columns whose preload is enabled."""
    down, marks, load = r.down, r.down_marks, r.load
    R, C = down.shape
    shadowed = r.held.shape[0] > 0
    enabled = loading != 0
    for j in range(C - 1, 0, -1):
        load[j] = load[j - 1]
        enabled |= load[j] != 0
    load[0] = pin_marks[0] if loading else 0
    if not enabled:
        return
    for i in range(R - 1, -1, -1):
        for j in range(C):
            mark = marks[i - 1, j] if i else pin_marks[j]
            if load[j] and mark == load[j]:
                if shadowed and marks[i, j] and marks[i, j] != mark:
                    hazard(r.state, sig.SHADOW_OCCUPIED)
                down[i, j] = down[i - 1, j] if i else pins[j]
                marks[i, j] = mark


@kernel
def run_stationary(
    r: Registers,
    operations: Operations,
    pins: Pins,
    interval: int,  # noqa: ARG001 - streamed operands meet a new sum every cycle
    watch: Plane,
    out_sums: Plane,
    out_flags: Plane,
    watched: Plane,
) -> None:
    """Weight and input stationary: a clock edge per entry of `pins`; the bottom goes to `out_*`."""
    across, marks, sums, flags, state = r.across, r.marks, r.sums, r.flags, r.state
    bottom, C = sums.shape[0] - 1, sums.shape[1]
    depth, entry = r.pipe_across.shape[0], r.entry_sums.shape[0]
    shadowed, buffered = r.held.shape[0] > 0, r.buffer_sums.shape[0] > 0
    stationary = r.held if shadowed else r.down
    top_sums, top_flags = np.zeros(C, sums.dtype), np.zeros(C, np.uint8)
    for t in range(pins.control.shape[0]):
        control = pins.control[t]
        taken = control & sig.MULTIPLY != 0 and control & sig.RESET == 0
        if control & sig.RESET:
            clear(r)
        else:
            if taken:
                stored, stored_flags, ends = r.buffer_sums, r.buffer_flags, r.buffer_ends
                _top_sums(
                    pins.top_sums[t],
                    pins.top_flags[t],
                    stored,
                    stored_flags,
                    ends,
                    state,
                    top_sums,
                    top_flags,
                )
                move_right(across, pins.across[t])
                move_right(marks, pins.marks[t])
                if shadowed:
                    _take_held(marks, r.down, r.down_marks, r.held)
                move_down(sums, top_sums)
                move_down(flags, top_flags)
                if entry:
                    place = state[reg.ENTRY]
                    exchange(sums, r.entry_sums[place])
                    exchange(flags, r.entry_flags[place])
                    state[reg.ENTRY] = (place + 1) % entry
                if depth:
                    slot = state[reg.PIPE]
                    ring, ring_down, ring_marks = r.pipe_across[slot], r.pipe_down[slot], r.pipe_marks[slot]
                    add_products(operations, ring, ring_down, ring_marks, ring_marks, sums, flags)
                    enter_pipe(taken, across, stationary, marks, marks, ring, ring_down, ring_marks)
                    state[reg.PIPE] = (slot + 1) % depth
                else:
                    add_products(operations, across, stationary, marks, marks, sums, flags)
                if buffered:
                    _keep_sums(sums[bottom], flags[bottom], stored, stored_flags, ends)
            _preload(control & sig.LOAD, pins.down[t], pins.down_marks[t], r)
        for p in range(watch.shape[0]):
            watched[t, p] = marks[watch[p, 0], watch[p, 1]] & sig.VALID if taken else 0
        state[reg.CYCLE] += 1
        for j in range(C):
            out_sums[t, j] = sums[bottom, j]
            out_flags[t, j] = flags[bottom, j]
