"""Every fold of a layer as the machine played it: when its vectors cross the array's edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simulator.array.fold_kernels import fold_alone
from simulator.dataflow import AXES, Axis
from simulator.foundation.defects import DefectError
from simulator.system import fold_times
from simulator.system.accesses import ACCESSES_AT_ONCE
from simulator.system.footprint import Integers
from simulator.system.layer_steps import Visit
from simulator.system.ports import Pace, operand_pace, result_pace, stationary_pace
from simulator.system.programme import Step
from simulator.system.run_network import LayerRun
from simulator.system.tile_work import Array

_FOLDS_AT_ONCE = 4096


class Lanes(NamedTuple):
    """Part of a dimension of the tile: its first element and how many."""

    dimension: Axis
    first: int
    used: int


class Vectors(NamedTuple):
    """Vectors that cross an edge at an even pace: the cycle of the first, cycles between them, how many."""

    first_cycle: int
    pace: int
    length: int

    def portions(self, words: int) -> Iterator[Integers]:
        """Their numbers, in portions worth an array operation; `words` a vector."""
        size = max(1, ACCESSES_AT_ONCE // words)
        for begin in range(0, self.length, size):
            yield np.arange(begin, min(self.length, begin + size), dtype=np.int64)

    def cycles(self, numbers: Integers) -> Integers:
        """The cycles of some of them."""
        return self.first_cycle + numbers * self.pace


class OperandVectors(NamedTuple):
    """Vectors of an operand and the elements of the tile that each carries.

    lanes: what lies along the vector.
    along, first, step: the other dimension, its element in the first vector, and by how much it changes from
        one to the next.
    """

    vectors: Vectors
    lanes: Lanes
    along: Axis
    first: int
    step: int


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold as the machine played it: `start` is the cycle of its first vector, port delays included.

    rows, columns: what each side of the upright array holds; streamed: what passes.
    position: how many results of the tile leave before this fold's.
    begins, ends: whether sums start from nothing, and whether they are finished.
    """

    array: Array
    visit: Visit
    group: int
    start: int
    rows: Lanes
    columns: Lanes
    streamed: tuple[Axis, int]
    position: int
    begins: bool
    ends: bool

    @property
    def results_of_tile(self) -> int:
        """Results of all folds of the tile."""
        tile = self.visit.tile
        return tile.m * tile.n * tile.groups

    @property
    def _pace(self) -> Pace:
        rows, columns = self.rows.used, self.columns.used
        pace = stationary_pace(self.array.edges, rows, columns, int(self.begins), int(self.ends))
        return Pace(*(int(cycles) for cycles in pace))

    @property
    def _stream_pace(self) -> int:
        """Cycles between streamed vectors, with the sums that they make."""
        pace = self._pace
        return max(pace.port, pace.path)

    @property
    def _extent_rows(self) -> int:
        """Rows that the fold's skew crosses."""
        return self.rows.used if self.array.timing.trimmed else self.array.timing.rows

    @property
    def _first_streamed(self) -> int:
        """The cycle of the first streamed vector, behind the preload."""
        return self.start + self._extent_rows + self.rows.used * (self._pace.preload - 1)

    def vectors_of(self, operand: int) -> OperandVectors:
        """Vectors of an operand: 0 for activations, 1 for weights."""
        edges = self.array.edges
        return {edges.left.operand: self._at_left, edges.top.operand: self._at_top}[operand]()

    def _at_top(self) -> OperandVectors:
        """A vector of what stays for every row, the bottom one first."""
        dimension, first, used = self.rows
        vectors = Vectors(self.start + self._extent_rows - used, self._pace.preload, used)
        return OperandVectors(vectors, self.columns, dimension, first + used - 1, -1)

    def _at_left(self) -> OperandVectors:
        """A vector of the streamed operand for each of its places."""
        return OperandVectors(self._streamed(0), self.rows, self.streamed[0], 0, 1)

    def sums_in(self) -> Vectors | None:
        """Partial sums that come back; they meet their products in the adder."""
        timing = self.array.timing
        return None if self.begins else self._streamed(timing.depth - timing.interval)

    def sums_out(self) -> Vectors | None:
        """Partial sums that leave."""
        return None if self.ends else self._leaving()

    def results(self) -> Vectors | None:
        """Results that leave."""
        return self._leaving() if self.ends else None

    def _streamed(self, later: int) -> Vectors:
        return Vectors(self._first_streamed + later, self._stream_pace, self.streamed[1])

    def _leaving(self) -> Vectors:
        timing = self.array.timing
        return self._streamed(timing.interval * (timing.rows - 1) + timing.depth - 1)


class FoldOfStayingSums(Fold):
    """A fold whose sums stay in the PEs: both operands pass, and results shift out."""

    __slots__ = ()

    @property
    def _operand_pace(self) -> int:
        interval = self.array.timing.interval
        return int(operand_pace(self.array.edges, self.rows.used, self.columns.used, interval))

    def _at_left(self) -> OperandVectors:
        return self._operands(self.rows)

    def _at_top(self) -> OperandVectors:
        return self._operands(self.columns)

    def _operands(self, lanes: Lanes) -> OperandVectors:
        """A vector of an operand for every step of the reduction."""
        dimension, length = self.streamed
        vectors = Vectors(self.start, self._operand_pace, length)
        return OperandVectors(vectors, lanes, dimension, 0, 1)

    def _leaving(self) -> Vectors:
        """A vector for every row, the bottom one first."""
        timing, used, length = self.array.timing, self.rows.used, self.streamed[1]
        own = fold_alone(timing, used, self.columns.used, length)
        # With a drain register every column drains by itself, the first one without waiting for the others.
        fill = own.fill if timing.overlap == 0 else timing.interval * (self._extent_rows - 1)
        late = length * (self._operand_pace - timing.interval)
        drain = self.start + late + int(fill) + int(own.compute)
        pace = max(int(cycles) for cycles in result_pace(self.array.edges, self.columns.used))
        return Vectors(drain + timing.rows - used, pace, used)


_FOLDS = (Fold, FoldOfStayingSums)


def folds_of(run: LayerRun) -> Iterator[Fold]:
    """Every fold of a layer, when and where the machine played it.

    Raises:
        DefectError: a step's folds are not as long as the machine took for it.
    """
    played = run.played
    steps, array = played.lowered.programme.steps, played.work.array
    for visit, step, when in zip(played.lowered.visits, steps, played.times.steps, strict=True):
        yield from _folds_of_step(array, visit, step, run.start_cycle + when.start)


def _folds_of_step(array: Array, visit: Visit, step: Step, begin: int) -> Iterator[Fold]:
    count, late, first = int(fold_times.count_folds(array, visit.tile)), 0, 0
    while first < count:
        rows = np.empty((min(_FOLDS_AT_ONCE, count - first), fold_times.PLACES), np.int64)
        late = int(fold_times.place_folds(array, visit.tile, first, late, rows))
        first += len(rows)
        for row in rows.tolist():
            yield _fold(array, visit, begin, row)
    if late != step.port_cycles + step.output_cycles:
        delays = step.port_cycles + step.output_cycles
        message = f"folds of {visit.tile} are {late} cycles late, the step was {delays}"
        raise DefectError(message)


def _fold(array: Array, visit: Visit, begin: int, place: list[int]) -> Fold:
    group, column, row, rows, columns, start = place
    tile, timing = visit.tile, array.timing
    on_rows, on_columns, streamed = (AXES[place] for place in array.laid)
    lengths: dict[Axis, int] = {"m": tile.m, "n": tile.n, "k": tile.k}
    stays = timing.outputs_stay
    # Where an operand stays, the folds of a column add up; else each of them has results of its own.
    place_in_sum = row * (1 - stays)
    last_in_sum = (-(-lengths[on_rows] // timing.rows) - 1) * (1 - stays)
    along = tile.m * tile.n // lengths[on_columns]
    before = group * tile.m * tile.n + column * timing.columns * along
    return _FOLDS[stays](
        array=array,
        visit=visit,
        group=group,
        start=begin + start,
        rows=Lanes(on_rows, row * timing.rows, rows),
        columns=Lanes(on_columns, column * timing.columns, columns),
        streamed=(streamed, lengths[streamed]),
        position=before + row * timing.rows * columns * stays,
        begins=bool(tile.starts) and place_in_sum == 0,
        ends=bool(tile.ends) and place_in_sum == last_in_sum,
    )
