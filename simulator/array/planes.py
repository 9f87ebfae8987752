"""The grid in plain numpy, a whole plane of registers at a time: slower than compiled, for any MAC at all.

Same registers, pins and order of events as `simulator.array.grid_kernels`; sums are what
`Mac.accumulate` takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.array import grid_registers as reg
from simulator.array import signals as sig
from simulator.array.grid_registers import Pins, Plane, Registers
from simulator.array.operations import Blocks, slices_of
from simulator.dataflow import OperandClass
from simulator.numerics import Mac

_SIGN = sig.OVERFLOW_UP | sig.OVERFLOW_DOWN
_FLAG_OF_SIGN = np.array([sig.OVERFLOW_DOWN, 0, sig.OVERFLOW_UP])
"""By the sign of an overflow, from -1 on."""


@dataclass(frozen=True, slots=True)
class PlaneOperations:
    """The MACs of blocks of columns; `entering`: the operands that move right and down."""

    blocks: Blocks
    entering: tuple[OperandClass, OperandClass]

    def add(self, across: Plane, down: Plane, marks: Plane, sums: Plane, flags: Plane) -> tuple[Plane, Plane]:
        """One step of all PEs: sums and flags with the products added where `marks` say VALID."""
        new_sums, new_flags = sums.copy(), flags.copy()
        for mac, lanes in slices_of(self.blocks):
            valid = (marks[:, lanes] & sig.VALID) != 0
            if not valid.any():
                continue
            codes = dict(zip(self.entering, (across, down), strict=True))
            a, w = codes["activation"], codes["weight"]
            # The codes of idle PEs may be anything; code 0 keeps them quiet.
            a = np.where(valid, _unsigned(a[:, lanes], mac.activation.bits), 0)
            w = np.where(valid, _unsigned(w[:, lanes], mac.weight.bits), 0)
            old = sums[:, lanes].astype(mac.accumulator_dtype)
            added = mac.accumulate(old, a, w)
            new_sums[:, lanes] = np.where(valid, added, sums[:, lanes])
            raised = _raised_flags(mac, old, a, w, flags[:, lanes])
            new_flags[:, lanes] |= np.where(valid, raised, 0).astype(np.uint8)
        return new_sums, new_flags


def _unsigned(codes: Plane, bits: int) -> Plane:
    """Codes as positive numbers; registers hold 32-bit ones as negative where their top bit is set."""
    return codes.astype(np.int64) & ((1 << bits) - 1)


def _raised_flags(mac: Mac, sums: Plane, a: Plane, w: Plane, flags: Plane) -> Plane:
    raised = mac.step_flags(sums, a, w)
    infinite = np.where(raised.is_infinite, sig.INFINITE, 0)
    return infinite | np.where(flags & _SIGN, 0, _FLAG_OF_SIGN[raised.overflow + 1])


def _hazard(r: Registers, code: int, *, happened: bool | np.bool_) -> None:
    if happened and r.state[reg.HAZARD] == sig.NO_HAZARD:
        r.state[reg.HAZARD] = code
        r.state[reg.HAZARD_CYCLE] = r.state[reg.CYCLE]


def _clear(r: Registers) -> None:
    for plane in r[:-1]:
        plane[...] = 0


def _pushed_down(plane: Plane, top: Plane | int) -> Plane:
    """The plane one row lower, with `top` in row 0."""
    moved = np.roll(plane, 1, axis=0)
    moved[0] = top
    return moved


def _advance_across(r: Registers, across: Plane, marks: Plane) -> None:
    for plane, pins in ((r.across, across), (r.marks, marks)):
        plane[:, 1:] = plane[:, :-1].copy()
        plane[:, 0] = pins


def _drain(r: Registers) -> None:
    state, finished = r.drain_state, r.finished
    arrives = _pushed_down(state, sig.EMPTY) == sig.MOVING
    waits = state == sig.WAITING
    _hazard(r, sig.DRAIN_OCCUPIED, happened=(waits & arrives).any())
    arrives &= ~waits
    r.drain_sums[...] = np.where(arrives, _pushed_down(r.drain_sums, 0), r.drain_sums)
    r.drain_flags[...] = np.where(arrives, _pushed_down(r.drain_flags, 0), r.drain_flags)
    state[...] = np.where(waits, sig.WAITING, np.where(arrives, sig.MOVING, sig.EMPTY))
    enters = finished != 0
    _hazard(r, sig.DRAIN_OCCUPIED, happened=(enters & (state != sig.EMPTY)).any())
    r.drain_sums[enters], r.drain_flags[enters] = r.sums[enters], r.flags[enters]
    state[enters] = sig.WAITING
    r.sums[enters] = 0
    r.flags[enters] = 0
    go = (finished & sig.GO).any(axis=0)
    finished[...] = 0
    state[(state == sig.WAITING) & go] = sig.MOVING


def _multiply_in_place(r: Registers, operations: PlaneOperations, *, taken: bool) -> Plane:
    """Add the products that leave the pipeline; the marks they carry."""
    valid = (r.down_marks & sig.VALID) != 0
    entering = (
        (r.across, r.down, np.where(valid, r.marks, r.marks & ~np.uint8(sig.VALID)))
        if taken
        else tuple(np.zeros_like(plane) for plane in (r.across, r.down, r.marks))
    )
    depth = r.pipe_across.shape[0]
    landing = entering
    if depth:
        slot = int(r.state[reg.PIPE])
        pipe = (r.pipe_across, r.pipe_down, r.pipe_marks)
        landing = tuple(plane[slot].copy() for plane in pipe)
        for plane, operand in zip(pipe, entering, strict=True):
            plane[slot] = operand
        r.state[reg.PIPE] = (slot + 1) % depth
    across, down, marks = landing
    r.sums[...], r.flags[...] = operations.add(across, down, marks, r.sums, r.flags)
    if r.finished.size and (depth or taken):
        r.finished[...] = landing[2] & (sig.LAST | sig.GO)
    return landing[2]


def run_os(
    r: Registers,
    operations: PlaneOperations,
    pins: Pins,
    interval: int,
    watch: Plane,
    out_sums: Plane,
    out_flags: Plane,
    watched: Plane,
) -> None:
    """Output stationary: a clock edge per entry of `pins`; the bottom after each goes to `out_*`."""
    drains = r.drain_state.size > 0
    rows, columns = watch[:, 0], watch[:, 1]
    for t, control in enumerate(pins.control):
        taken = bool(control & sig.MULTIPLY and not control & sig.RESET)
        landed = np.zeros_like(r.marks)
        if control & sig.RESET:
            _clear(r)
        else:
            if drains:
                _drain(r)
            if taken:
                _hazard(r, sig.ADDER_BUSY, happened=r.state[reg.SINCE_MULTIPLY] < interval)
                _advance_across(r, pins.across[t], pins.marks[t])
                r.down[...] = _pushed_down(r.down, pins.down[t])
                r.down_marks[...] = _pushed_down(r.down_marks, pins.down_marks[t])
                r.state[reg.SINCE_MULTIPLY] = 0
            elif control & sig.SHIFT_OUT:
                r.sums[...], r.flags[...] = _pushed_down(r.sums, 0), _pushed_down(r.flags, 0)
            landed = _multiply_in_place(r, operations, taken=taken)
        took = taken * (r.marks & r.down_marks)[rows, columns] & sig.VALID
        watched[t] = took | np.where(landed[rows, columns] & sig.VALID, sig.LAST, 0)
        r.state[reg.SINCE_MULTIPLY] += 1
        r.state[reg.CYCLE] += 1
        if drains:
            out_sums[t] = r.drain_sums[-1]
            out_flags[t] = r.drain_flags[-1] | np.where(r.drain_state[-1] == sig.MOVING, sig.PRESENT, 0)
        else:
            out_sums[t], out_flags[t] = r.sums[-1], r.flags[-1]


def _top_sums(r: Registers, pin_sums: Plane, pin_flags: Plane) -> tuple[Plane, Plane]:
    sums, flags = pin_sums.copy(), pin_flags & ~np.uint8(sig.READ_BACK)
    for j in np.flatnonzero(pin_flags & sig.READ_BACK):
        taken, given = r.buffer_ends[:, j]
        _hazard(r, sig.BUFFER_EMPTY, happened=given >= taken)
        place = given % len(r.buffer_sums)
        sums[j] = r.buffer_sums[place, j]
        flags[j] |= r.buffer_flags[place, j] & (sig.INFINITE | _SIGN)
        r.buffer_ends[1, j] += 1
    return sums, flags


def _keep_sums(r: Registers) -> None:
    for j in np.flatnonzero(r.flags[-1] & sig.KEEP):
        place = r.buffer_ends[0, j] % len(r.buffer_sums)
        r.buffer_sums[place, j], r.buffer_flags[place, j] = r.sums[-1, j], r.flags[-1, j]
        r.buffer_ends[0, j] += 1


def _flow(r: Registers, operations: PlaneOperations, top_sums: Plane, top_flags: Plane) -> None:
    stationary = r.held if r.held.size else r.down
    operands: tuple[Plane, ...] = (r.across, stationary, r.marks)
    arriving: tuple[Plane, ...] = (_pushed_down(r.sums, top_sums), _pushed_down(r.flags, top_flags))
    rings = (
        (reg.PIPE, (r.pipe_across, r.pipe_down, r.pipe_marks), operands),
        (reg.ENTRY, (r.entry_sums, r.entry_flags), arriving),
    )
    leaving: list[tuple[Plane, ...]] = []
    for pointer, ring, entering in rings:
        length, slot = ring[0].shape[0], int(r.state[pointer])
        if not length:
            leaving.append(entering)
            continue
        leaving.append(tuple(plane[slot].copy() for plane in ring))
        for plane, value in zip(ring, entering, strict=True):
            plane[slot] = value
        r.state[pointer] = (slot + 1) % length
    r.sums[...], r.flags[...] = operations.add(*leaving[0], *leaving[1])


def _preload(r: Registers, control: int, down: Plane, down_marks: Plane) -> None:
    r.load[1:] = r.load[:-1].copy()
    r.load[0] = down_marks[0] if control & sig.LOAD else 0
    codes, marks = _pushed_down(r.down, down), _pushed_down(r.down_marks, down_marks)
    moves = (r.load != 0) & (marks == r.load)
    if r.held.size:
        overwrites = moves & (r.down_marks != 0) & (r.down_marks != marks)
        _hazard(r, sig.SHADOW_OCCUPIED, happened=overwrites.any())
    r.down[moves], r.down_marks[moves] = codes[moves], marks[moves]


def run_stationary(
    r: Registers,
    operations: PlaneOperations,
    pins: Pins,
    interval: int,  # noqa: ARG001 - streamed operands meet a new sum every cycle
    watch: Plane,
    out_sums: Plane,
    out_flags: Plane,
    watched: Plane,
) -> None:
    """Weight and input stationary: a clock edge per entry of `pins`; the bottom goes to `out_*`."""
    for t, control in enumerate(pins.control):
        taken = bool(control & sig.MULTIPLY and not control & sig.RESET)
        if control & sig.RESET:
            _clear(r)
        else:
            if taken:
                sums, flags = _top_sums(r, pins.top_sums[t], pins.top_flags[t])
                _advance_across(r, pins.across[t], pins.marks[t])
                if r.held.size:
                    begins = (r.marks & sig.FIRST) != 0
                    r.held[begins] = r.down[begins]
                    r.down_marks[begins] = 0
                _flow(r, operations, sums, flags)
                if r.buffer_sums.size:
                    _keep_sums(r)
            _preload(r, control, pins.down[t], pins.down_marks[t])
        watched[t] = taken * r.marks[watch[:, 0], watch[:, 1]] & sig.VALID
        r.state[reg.CYCLE] += 1
        out_sums[t], out_flags[t] = r.sums[-1], r.flags[-1]
