"""How a matrix product is cut into folds: runs of equal row tiles inside runs of equal column tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from simulator.array.fold import FoldShape
from simulator.foundation.cuts import Run


@dataclass(frozen=True, slots=True)
class Link:
    """A fold and the one that follows it; `adds_to_sums` when both add to the same outputs."""

    fold: FoldShape
    following: FoldShape
    adds_to_sums: bool


Cost = Callable[[Link], int]


@dataclass(frozen=True, slots=True)
class FoldPlace:
    """Where a fold stands in a product: its group, and which tile of columns and of rows it is there."""

    group: int
    column: int
    row: int


@dataclass(frozen=True, slots=True)
class FoldGrid:
    """All folds of a product: for every group, for every column tile, for every row tile.

    Rows and columns are those of the upright array. The row tiles of a column tile follow one another, so
    that its partial sums, where an operand stays, are finished before the next column tile begins.
    """

    rows: tuple[Run, ...]
    columns: tuple[Run, ...]
    groups: int
    streamed: int
    rows_add_up: bool

    @property
    def row_tiles(self) -> int:
        """Row tiles of one group."""
        return sum(run.count for run in self.rows)

    @property
    def column_tiles(self) -> int:
        """Column tiles of one group."""
        return sum(run.count for run in self.columns)

    @property
    def folds(self) -> int:
        """Folds of all groups."""
        return self.groups * self.column_tiles * self.row_tiles

    @property
    def first(self) -> FoldShape:
        """Shape of the first fold."""
        return self._shape(self.rows[0].size, self.columns[0].size)

    @property
    def last(self) -> FoldShape:
        """Shape of the last fold."""
        return self._shape(self.rows[-1].size, self.columns[-1].size)

    def _shape(self, rows: int, columns: int) -> FoldShape:
        return FoldShape(rows, columns, self.streamed)

    def links(self) -> Iterator[tuple[int, Link]]:
        """Every kind of neighbouring folds with how often it occurs; a handful, however large the product."""
        for run in self.columns:
            for times, (above, below) in _neighbours(self.rows):
                link = Link(self._shape(above, run.size), self._shape(below, run.size), self.rows_add_up)
                yield self.groups * run.count * times, link
        for times, (left, right) in _neighbours(self.columns):
            yield self.groups * times, self._column_link(left, right)
        if self.groups > 1:
            yield self.groups - 1, self._column_link(self.columns[-1].size, self.columns[0].size)

    def _column_link(self, left: int, right: int) -> Link:
        last, first = self._shape(self.rows[-1].size, left), self._shape(self.rows[0].size, right)
        return Link(last, first, adds_to_sums=False)

    def last_of_each_shape(self) -> Iterator[int]:
        """Indices of the last fold of every shape: no fold ends later than all of these."""
        before_last_group = (self.groups - 1) * self.column_tiles
        column = before_last_group
        for column_run in self.columns:
            column += column_run.count
            row = 0
            for row_run in self.rows:
                row += row_run.count
                yield (column - 1) * self.row_tiles + row - 1

    def place_of(self, index: int) -> FoldPlace:
        """Place of fold `index`, counted from 0."""
        column, row = divmod(index, self.row_tiles)
        return FoldPlace(*divmod(column, self.column_tiles), row)

    def shape_of(self, index: int) -> FoldShape:
        """Shape of fold `index`, counted from 0."""
        place = self.place_of(index)
        return self._shape(_size_at(self.rows, place.row), _size_at(self.columns, place.column))

    def link_behind(self, index: int) -> Link:
        """Fold `index` and the one that follows it."""
        continues = self.rows_add_up and self.place_of(index + 1).row > 0
        return Link(self.shape_of(index), self.shape_of(index + 1), adds_to_sums=continues)

    def start_of(self, index: int, cost: Cost) -> int:
        """Sum of `cost` over all links before fold `index`, in time that does not grow with `index`."""
        place = self.place_of(index)

        def down(rows: int, width: int) -> int:
            def step(above: int, below: int) -> int:
                return cost(Link(self._shape(above, width), self._shape(below, width), self.rows_add_up))

            return _walk(self.rows, rows, step)

        def across(left: int, right: int) -> int:
            return down(self.row_tiles - 1, left) + cost(self._column_link(left, right))

        columns = _walk(self.columns, place.column, across)
        if place.group:
            whole_group = _walk(self.columns, self.column_tiles - 1, across)
            last, first = self.columns[-1].size, self.columns[0].size
            columns += place.group * (whole_group + across(last, first))
        return columns + down(place.row, _size_at(self.columns, place.column))


def _neighbours(runs: Sequence[Run]) -> Iterator[tuple[int, tuple[int, int]]]:
    """Pairs of neighbouring sizes with how often each occurs."""
    for run in runs:
        if run.count > 1:
            yield run.count - 1, (run.size, run.size)
    for left, right in pairwise(runs):
        yield 1, (left.size, right.size)


def _walk(runs: Sequence[Run], steps: int, cost: Callable[[int, int], int]) -> int:
    """Sum of `cost` over the first `steps` neighbouring pairs."""
    total = 0
    for position, run in enumerate(runs):
        inside = min(steps, run.count - 1)
        if inside:
            total += inside * cost(run.size, run.size)
        steps -= inside
        if not steps:
            return total
        total += cost(run.size, runs[position + 1].size)
        steps -= 1
    return total


def _size_at(runs: Sequence[Run], index: int) -> int:
    for run in runs:
        if index < run.count:
            return run.size
        index -= run.count
    raise IndexError(index)
