"""A value change dump of the grid's registers while one fold is in the array; GTKWave opens it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from simulator.array import signals as sig
from simulator.array.drive import watch_fold
from simulator.array.grid import Grid, MacLike
from simulator.array.grid_registers import Plane
from simulator.array.timing import ArrayTiming
from simulator.foundation import UserError
from simulator.foundation.files import write_text

if TYPE_CHECKING:
    from vcd import VCDWriter
    from vcd.writer import Variable


MAX_TRACED_PES = 4096


def write_fold_vcd(
    path: Path,
    timing: ArrayTiming,
    mac: MacLike | Sequence[tuple[MacLike, int]],
    a_codes: npt.ArrayLike,
    w_codes: npt.ArrayLike,
    *,
    fold: int,
    clock_mhz: float = 1000.0,
) -> tuple[int, int]:
    """Run a product on the grid and write the registers of every PE while fold `fold` is in the array.

    Time is the clock's, in picoseconds: cycle n begins with the rising edge of `grid.clock` at n periods, and
    shows the registers after that edge. Every PE is a scope `grid.pe_<row>_<column>` with its operand
    registers (`across` moves right, `down` comes from above), `valid`, the accumulator `sum` and its
    `infinite` flag, and what the overlap adds: `held` (the operand in use in front of a shadow register),
    `drain` and `drain_state` (0 empty, 1 waiting, 2 moving).

    Returns:
        The fold's first and last cycle.

    Raises:
        UserError: no such fold (says how many there are), more PEs than a dump is of use for, or as
            `run_product`.
    """
    if timing.pe_count > MAX_TRACED_PES:
        raise UserError(
            "has too many PEs for a VCD", value=timing.pe_count, allowed=f"up to {MAX_TRACED_PES}"
        )
    dump = _Dump(round(1_000_000 / clock_mhz))
    cycles = watch_fold(timing, mac, a_codes, w_codes, fold, dump.note)
    write_text(path, dump.text())
    return cycles


class _Dump:
    """Collects the registers edge by edge; only changes are written."""

    def __init__(self, period_ps: int) -> None:
        self._period_ps = period_ps
        self._file = StringIO()
        self._writer: VCDWriter | None = None
        self._variables: dict[tuple[str, int, int], Variable[Any]] = {}
        self._held: dict[tuple[str, int, int], int] = {}
        self._end_ps = 0

    def note(self, grid: Grid, cycle: int) -> None:
        """Write what the edge of `cycle` changed."""
        time_ps = cycle * self._period_ps
        if self._writer is None:
            self._declare(grid, time_ps)
        assert self._writer is not None
        self._writer.change(self._clock, time_ps, 1)
        self._writer.change(self._cycle, time_ps, cycle)
        for name, bits, plane in _planes(grid):
            for (row, column), value in _entries(plane):
                key, pattern = (name, row, column), value & ((1 << bits) - 1)
                if self._held[key] != pattern:
                    self._held[key] = pattern
                    self._writer.change(self._variables[key], time_ps, pattern)
        self._writer.change(self._clock, time_ps + self._period_ps // 2, 0)
        self._end_ps = time_ps + self._period_ps

    def _declare(self, grid: Grid, time_ps: int) -> None:
        from vcd import VCDWriter

        self._writer = VCDWriter(
            self._file, timescale="1 ps", date="", version="systolic", init_timestamp=time_ps
        )
        self._clock = self._writer.register_var("grid", "clock", "wire", size=1, init=0)
        self._cycle = self._writer.register_var("grid", "cycle", "integer", size=64, init=0)
        for name, bits, plane in _planes(grid):
            for (row, column), value in _entries(plane):
                key, pattern = (name, row, column), value & ((1 << bits) - 1)
                self._held[key] = pattern
                self._variables[key] = self._writer.register_var(
                    f"grid.pe_{row}_{column}", name, "reg", size=bits, init=pattern
                )

    def text(self) -> str:
        """The whole dump."""
        assert self._writer is not None
        self._writer.close(self._end_ps)
        return self._file.getvalue()


def _planes(grid: Grid) -> Iterator[tuple[str, int, Plane]]:
    """Registers that the array has: name, bits, values [rows, columns]."""
    r = grid.registers
    macs = [mac for mac, _ in grid.blocks]
    operand_bits = max(max(mac.activation.bits, mac.weight.bits) for mac in macs)
    sum_bits = max(mac.accumulator_bits for mac in macs)
    across, down = grid.timing.flow.turn(r.across, r.down)
    yield "across", operand_bits, grid.placed(across)
    yield "valid", 1, grid.placed(r.marks & sig.VALID)
    yield "down", operand_bits, grid.placed(down)
    if r.held.size:
        yield "held", operand_bits, grid.placed(r.held)
    yield "sum", sum_bits, grid.accumulators.values
    yield "infinite", 1, grid.placed(r.flags & sig.INFINITE)
    if r.drain_state.size:
        yield "drain", sum_bits, grid.placed(grid.sums(r.drain_sums, r.drain_flags).values)
        yield "drain_state", 2, grid.placed(r.drain_state)


def _entries(plane: Plane) -> Iterator[tuple[tuple[int, int], int]]:
    for row in range(plane.shape[0]):
        for column in range(plane.shape[1]):
            yield (row, column), int(plane[row, column])
