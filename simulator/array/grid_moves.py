"""Steps that grids of every dataflow share at a clock edge: clear, move, exchange, enter the pipe."""

from __future__ import annotations

import numpy as np

from simulator.array import grid_registers as reg
from simulator.array import signals as sig
from simulator.array.grid_registers import Plane, Registers
from simulator.numerics.engines.compiled import kernel

# Unsigned indices spare numba the check for negative ones, which would keep loops from being vectorised.
_Index = np.uint64
_ONE = np.uint64(1)


@kernel
def hazard(state: Plane, code: int) -> None:
    """Note the first hazard and its cycle."""
    if state[reg.HAZARD] == sig.NO_HAZARD:
        state[reg.HAZARD] = code
        state[reg.HAZARD_CYCLE] = state[reg.CYCLE]


@kernel
def clear(r: Registers) -> None:
    """Every register as after a reset."""
    r.across[:] = 0
    r.marks[:] = 0
    r.down[:] = 0
    r.down_marks[:] = 0
    r.held[:] = 0
    r.load[:] = 0
    r.sums[:] = 0
    r.flags[:] = 0
    r.finished[:] = 0
    r.drain_sums[:] = 0
    r.drain_flags[:] = 0
    r.drain_state[:] = sig.EMPTY
    r.pipe_across[:] = 0
    r.pipe_down[:] = 0
    r.pipe_marks[:] = 0
    r.entry_sums[:] = 0
    r.entry_flags[:] = 0
    r.buffer_ends[:] = 0


@kernel
def move_right(plane: Plane, pins: Plane) -> None:
    """Every register takes what its left neighbour held, column 0 the pins."""
    flat = plane.reshape(-1)
    last = _Index(flat.size - 1)
    for k in range(last):
        j = last - k
        flat[j] = flat[j - _ONE]
    for i in range(plane.shape[0]):
        plane[i, 0] = pins[i]


@kernel
def move_down(plane: Plane, pins: Plane) -> None:
    """Every register takes what the one above held, row 0 the pins."""
    C = plane.shape[1]
    for i in range(plane.shape[0] - 1, 0, -1):
        for j in range(C):
            plane[i, j] = plane[i - 1, j]
    for j in range(C):
        plane[0, j] = pins[j]


@kernel
def exchange(plane: Plane, ring: Plane) -> None:
    """Swap a plane with a slot of its ring: what entered a whole turn ago comes out."""
    for i in range(plane.shape[0]):
        for j in range(plane.shape[1]):
            plane[i, j], ring[i, j] = ring[i, j], plane[i, j]


@kernel
def enter_pipe(
    taken: int,
    across: Plane,
    down: Plane,
    marks: Plane,
    gate: Plane,
    ring: Plane,
    ring_down: Plane,
    ring_marks: Plane,
) -> None:
    """Operands taken at this edge enter the slot of the pipeline that has just been read."""
    for i in range(across.shape[0]):
        for j in range(across.shape[1]):
            ring[i, j] = across[i, j] if taken else 0
            ring_down[i, j] = down[i, j] if taken else 0
            mark = marks[i, j] if gate[i, j] & sig.VALID else marks[i, j] & ~sig.VALID
            ring_marks[i, j] = mark if taken else 0


@kernel
def note_watched(
    watch: Plane, taken: int, marks: Plane, gate: Plane, pipe_marks: Plane, slot: int, watched: Plane
) -> None:
    """Note which of the watched PEs take operands, and which add a product."""
    for p in range(watch.shape[0]):
        i, j = watch[p, 0], watch[p, 1]
        took = taken and marks[i, j] & gate[i, j] & sig.VALID
        added = pipe_marks[slot, i, j] & sig.VALID if pipe_marks.shape[0] else took
        watched[p] = (sig.VALID if took else 0) | (sig.LAST if added else 0)
