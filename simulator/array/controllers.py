"""Array controllers: which pins to drive in which cycle for a fold, and when the next fold may begin.

A controller knows the circuit of the upright array (`simulator.dataflow`), not the closed form: it keeps,
register by register, when the resources that two folds share are free again, and tries start cycles until
nothing collides. The grid itself raises a hazard if it is wrong. Letters as in `simulator.array.fold`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulator.array import signals as sig
from simulator.array.collect import Observations
from simulator.array.fold import FoldShape
from simulator.array.grid_registers import Pins, Plane
from simulator.array.tiles import FoldGrid
from simulator.array.timing import ArrayTiming
from simulator.dataflow import SUMS_MOVE, SUMS_STAY, Circuit


@dataclass(frozen=True, slots=True)
class FoldWork:
    """One fold's operands.

    across: codes that stream in from the left, [T, used rows]; down: codes that enter at the top, output
    stationary [K, used columns], else the stationary operands [used rows, used columns]. `reads_sums` and
    `keeps_sums`: whether its sums begin from, and return to, the partial-sum buffer.
    """

    shape: FoldShape
    across: Plane
    down: Plane
    reads_sums: bool = False
    keeps_sums: bool = False


@dataclass(frozen=True, slots=True)
class FoldSlices:
    """The part of a product that one fold computes, along the rows and the columns of the upright array."""

    shape: FoldShape
    rows: slice
    columns: slice
    is_first: bool
    is_last: bool

    @classmethod
    def of(cls, timing: ArrayTiming, tiles: FoldGrid, fold: int) -> FoldSlices:
        """Of fold `fold`; it is the first or the last of its column of folds."""
        shape, place = tiles.shape_of(fold), tiles.place_of(fold)
        row, column = place.row * timing.rows, place.column * timing.columns
        return cls(
            shape,
            slice(row, row + shape.rows),
            slice(column, column + shape.columns),
            place.row == 0,
            place.row == tiles.row_tiles - 1,
        )


@dataclass(slots=True)
class OutputStationaryController:
    """Drives skewed operands, then shifts sums out or lets them hand themselves over to drain registers."""

    timing: ArrayTiming

    def buffered_sums(self, _streamed: int) -> int:
        """Sums of a lane that the partial-sum buffer has to hold: none leave unfinished."""
        return 0

    def work(self, part: FoldSlices, across: Plane, down: Plane) -> FoldWork:
        """A fold's share of what moves right [T, rows] and of what moves down [T, columns]."""
        return FoldWork(part.shape, across[:, part.rows], down[:, part.columns])

    def place(self, part: FoldSlices, left: Plane, product: Plane) -> None:
        """Put what left the array [rows, columns], the bottom row first, into the product [rows, columns]."""
        product[part.rows, part.columns] = left[::-1][: part.shape.rows, : part.shape.columns]

    def watched_pes(self, shapes: Iterable[FoldShape]) -> list[tuple[int, int]]:
        """The last PEs of fold shapes, which show when a fold computes."""
        extents = {self.extent(shape) for shape in shapes}
        return sorted((rows - 1, columns - 1) for rows, columns in extents)

    def observed(self, seen: Observations, shape: FoldShape, left: Plane) -> tuple[int, int, int]:
        """First and last cycle of the fold's compute phase and its last one.

        left: the cycles in which its results left, [rows, columns].
        """
        rows, columns = self.extent(shape)
        first, last = seen.compute_phase((rows - 1, columns - 1), shape.streamed)
        return first, last, int(left[-1, columns - 1]) + self.clearing_shift

    @property
    def clearing_shift(self) -> int:
        """Without drain registers one more shift clears the bottom row behind the last result."""
        return int(self.timing.overlap == "none")

    def extent(self, shape: FoldShape) -> tuple[int, int]:
        """Rows and columns whose skew the fold waits for."""
        return _extent(self.timing, shape)

    def lead(self, _work: FoldWork) -> int:
        """Cycles before the streamed operands."""
        return 0

    def multiply_cycles(self, shape: FoldShape) -> int:
        """From the first operands to the last sum: each operand step takes i cycles, the last one d."""
        rows, columns = self.extent(shape)
        steps = shape.streamed + (rows - 1) + (columns - 1)
        return self.timing.accumulation_interval * (steps - 1) + self.timing.pipeline_depth

    def length(self, shape: FoldShape) -> int:
        """Cycles until nothing of the fold is left in the array."""
        return self.multiply_cycles(shape) + self.timing.rows

    def results_per_column(self, shape: FoldShape) -> int:
        """Sums that leave each column."""
        return self.timing.rows if self.timing.overlap == "none" else self.extent(shape)[0]

    def results_at_bottom(self, shape: FoldShape, start: int) -> tuple[int, int] | None:
        """First cycle and number of the sums at the bottom, when no flag says that they are there."""
        if self.timing.overlap != "none":
            return None
        return start + self.multiply_cycles(shape) - 1, self.timing.rows

    def next_start(self, start: int, shape: FoldShape, following: FoldWork) -> int:
        """First cycle in which the following fold's operands may enter."""
        i = self.timing.accumulation_interval
        if self.timing.overlap == "none":
            return start + self.length(shape)
        if self.timing.overlap == "drain":
            return start + self.multiply_cycles(shape)
        candidate = start + i * shape.streamed
        _, free = self._drain_use(start, shape)
        while np.any(self._drain_use(candidate, following.shape)[0] < free):
            candidate += i
        return candidate

    def _drain_use(self, start: int, shape: FoldShape) -> tuple[Plane, Plane]:
        """Of each drain register of column 0: the edge of its first sum, and the one that takes the last."""
        i, d = self.timing.accumulation_interval, self.timing.pipeline_depth
        rows, _ = self.extent(shape)
        row = np.arange(self.timing.rows)
        handed_over = start + i * (shape.streamed - 1 + row) + d
        go = start + i * (shape.streamed - 1 + rows - 1) + d
        first = np.where(row < rows, handed_over, go + row - (rows - 1))
        return first, go + row + 1

    def drive(self, pins: Pins, start: int, work: FoldWork, _parity: int) -> None:
        """Put the fold on pins whose first entry is cycle 0, its first operands in cycle `start`."""
        i, K = self.timing.accumulation_interval, work.shape.streamed
        rows, columns = self.extent(work.shape)
        steps = K + rows + columns - 2
        pins.control[start : start + i * steps : i] |= sig.MULTIPLY
        for row in range(rows):
            entering = slice(start + i * row, start + i * (row + K), i)
            if row < work.shape.rows:
                pins.across[entering, row] = work.across[:, row]
            pins.marks[entering, row] = sig.VALID
            if self.timing.overlap != "none":
                pins.marks[start + i * (row + K - 1), row] |= sig.LAST | (sig.GO if row == rows - 1 else 0)
        for column in range(columns):
            entering = slice(start + i * column, start + i * (column + K), i)
            if column < work.shape.columns:
                pins.down[entering, column] = work.down[:, column]
            pins.down_marks[entering, column] = sig.VALID
        if self.timing.overlap == "none":
            end = start + self.multiply_cycles(work.shape)
            pins.control[end : end + self.timing.rows] |= sig.SHIFT_OUT


@dataclass(slots=True)
class StationaryController:
    """Preloads stationary operands down the columns, then streams the others past them."""

    timing: ArrayTiming
    clearing_shift: int = 0

    def buffered_sums(self, streamed: int) -> int:
        """Sums of a lane that the partial-sum buffer has to hold: those of a whole stream."""
        return streamed

    def work(self, part: FoldSlices, across: Plane, down: Plane) -> FoldWork:
        """A fold's share of what moves right [T, rows] and of what stays [rows, columns]."""
        own = down[part.rows, part.columns]
        return FoldWork(part.shape, across[:, part.rows], own, not part.is_first, not part.is_last)

    def place(self, part: FoldSlices, left: Plane, product: Plane) -> None:
        """Put finished sums that left the array [T, columns] into the product [T, columns]."""
        if part.is_last:
            product[:, part.columns] = left[:, : part.shape.columns]

    def watched_pes(self, _shapes: Iterable[FoldShape]) -> list[tuple[int, int]]:
        """None: sums that leave column 0 show when a fold computes."""
        return []

    def observed(self, _seen: Observations, shape: FoldShape, left: Plane) -> tuple[int, int, int]:
        """First and last cycle of the fold's compute phase and its last one.

        left: the cycles in which its sums left, [T, columns].
        """
        _, columns = self.extent(shape)
        return int(left[0, 0]), int(left[-1, 0]), int(left[-1, columns - 1])

    def extent(self, shape: FoldShape) -> tuple[int, int]:
        """Rows that are preloaded, and columns whose skew the fold waits for."""
        return _extent(self.timing, shape)

    def lead(self, work: FoldWork) -> int:
        """Cycles of preload before the streamed operands."""
        return self.extent(work.shape)[0]

    @property
    def _way_down(self) -> int:
        """Cycles from an operand at the left edge of row 0 to its sum in the bottom row of column 0."""
        return self.timing.accumulation_interval * (self.timing.rows - 1) + self.timing.pipeline_depth

    def length(self, shape: FoldShape) -> int:
        """Cycles until nothing of the fold is left in the array, from its first preload."""
        rows, columns = self.extent(shape)
        return rows + shape.streamed - 1 + self._way_down + columns - 1

    def results_per_column(self, shape: FoldShape) -> int:
        """Sums that leave each column."""
        return shape.streamed

    def results_at_bottom(self, _shape: FoldShape, _start: int) -> tuple[int, int] | None:
        """None: a flag beside every sum says that it is there."""
        return None

    def next_start(self, start: int, shape: FoldShape, following: FoldWork) -> int:
        """First cycle in which the following fold's preload may enter."""
        rows, columns = self.extent(shape)
        stream = start + rows
        last_sum = stream + shape.streamed - 1 + self._way_down - 1
        if self.timing.overlap == "none":
            return last_sum + columns
        if self.timing.overlap == "drain":
            return last_sum + 1
        i, d = self.timing.accumulation_interval, self.timing.pipeline_depth
        next_rows, _ = self.extent(following.shape)
        row = np.arange(min(rows, next_rows))
        candidate = stream + shape.streamed - next_rows
        while True:
            # A shadow register is free at the edge in which its operand comes into use.
            shadows_free = np.all(candidate + row >= stream + i * row)
            # Sums that return enter the adder of row 0, d - i cycles after the operands, once they have left.
            returning = candidate + next_rows + d - i
            sums_left = not following.reads_sums or returning >= stream + self._way_down
            if shadows_free and sums_left:
                return candidate
            candidate += 1

    def drive(self, pins: Pins, start: int, work: FoldWork, parity: int) -> None:
        """Put the fold on pins whose first entry is cycle 0, its first preload in cycle `start`."""
        i, d, C = self.timing.accumulation_interval, self.timing.pipeline_depth, self.timing.columns
        T, used = work.shape.streamed, work.shape.rows
        rows, _ = self.extent(work.shape)
        stream = start + rows
        pins.control[start : start + self.length(work.shape) + C] |= sig.MULTIPLY
        pins.control[start:stream] |= sig.LOAD
        for column in range(C):
            entering = slice(start + column, stream + column)
            if column < work.shape.columns:
                # The operand of the last row goes in first.
                pins.down[stream + column - used : stream + column, column] = work.down[::-1, column]
            pins.down_marks[entering, column] = parity
        for row in range(used):
            entering = slice(stream + i * row, stream + i * row + T)
            pins.across[entering, row] = work.across[:, row]
            pins.marks[entering, row] = sig.VALID
        for row in range(rows):
            pins.marks[stream + i * row, row] |= sig.FIRST
        flags = sig.PRESENT | sig.KEEP * work.keeps_sums | sig.READ_BACK * work.reads_sums
        for column in range(C):
            first = stream + column + d - i
            pins.top_flags[first : first + T, column] = flags


Controller = OutputStationaryController | StationaryController


_CONTROLLERS: Final[Mapping[Circuit, Callable[[ArrayTiming], Controller]]] = {
    SUMS_STAY: OutputStationaryController,
    SUMS_MOVE: StationaryController,
}


def controller_of(timing: ArrayTiming) -> Controller:
    """The controller of an upright array."""
    return _CONTROLLERS[timing.flow.circuit](timing)


def _extent(timing: ArrayTiming, shape: FoldShape) -> tuple[int, int]:
    if timing.partial_folds == "full":
        return timing.rows, timing.columns
    return shape.rows, shape.columns
