"""The schedule of a matrix product's folds in closed form: cycles, PE-cycles, operands crossing the edge.

Nothing here loops over folds: a product has at most a handful of fold shapes. The register-level grid
(`simulator.array.drive`) confirms every figure to the cycle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from simulator.array.fold import CycleSplit, FoldShape, alone, before
from simulator.array.tiles import FoldGrid, Link
from simulator.array.timing import ArrayTiming
from simulator.dataflow import SUMS_MOVE, SUMS_STAY
from simulator.foundation import UserError
from simulator.foundation.cuts import cut
from simulator.foundation.defects import DefectError

PhaseName = Literal["fill", "compute", "drain"]


@dataclass(frozen=True, slots=True)
class Phase:
    """First and last cycle of one phase of one fold, inclusive, counted from the product's first cycle."""

    name: PhaseName
    first_cycle: int
    last_cycle: int

    @property
    def cycles(self) -> int:
        """Length; 0 for a phase that an array of this size does not have."""
        return self.last_cycle - self.first_cycle + 1


@dataclass(frozen=True, slots=True)
class FoldPhases:
    """The phases of one fold and the part of the product that it computes.

    `row` and `column` are the fold's tile indices along the array's rows and columns, `group` its group;
    `shape` is what it uses of the array.
    """

    index: int
    group: int
    row: int
    column: int
    shape: FoldShape
    fill: Phase
    compute: Phase
    drain: Phase

    @property
    def first_cycle(self) -> int:
        """First cycle in which something of the fold moves in the array."""
        return self.fill.first_cycle

    @property
    def last_cycle(self) -> int:
        """The cycle in which its last result leaves."""
        return self.drain.last_cycle


@dataclass(frozen=True, slots=True)
class ArrayAccesses:
    """Elements that cross the array's edges, each an access to the buffer behind that edge.

    Partial sums (weight and input stationary with K cut into several folds) leave and return in the
    accumulator's full width; outputs leave once, finished.
    """

    activation_reads: int
    weight_reads: int
    partial_sum_reads: int
    partial_sum_writes: int
    output_writes: int


@dataclass(frozen=True, slots=True)
class ProductSchedule:
    """Cycles, PE-cycles and edge traffic of `groups` products M x K times K x (N / groups) in a row.

    compute + fill + drain = total cycles, and useful + shifting + idle = rows x columns x total cycles.
    """

    timing: ArrayTiming
    m: int
    n: int
    k: int
    groups: int
    tiles: FoldGrid
    compute_cycles: int
    fill_cycles: int
    drain_cycles: int
    shifting_cycles: int
    accesses: ArrayAccesses

    def __post_init__(self) -> None:
        """Check that nothing is negative and that the parts sum to the whole. Raises DefectError."""
        parts = (self.compute_cycles, self.fill_cycles, self.drain_cycles, self.shifting_cycles)
        if min(*parts, self.idle_pe_cycles) < 0:
            message = f"cycles must not be negative: {self}"
            raise DefectError(message)

    @property
    def folds(self) -> int:
        """Folds of all groups."""
        return self.tiles.folds

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.m * self.n * self.k

    @property
    def total_cycles(self) -> int:
        """Cycles from the first operand (or preload) at the edge to the last result out of it."""
        return self.compute_cycles + self.fill_cycles + self.drain_cycles

    @property
    def useful_pe_cycles(self) -> int:
        """PE-cycles that multiply two operands of the product; one per multiply-accumulate."""
        return self.macs

    @property
    def shifting_pe_cycles(self) -> int:
        """PE-cycles in which a PE only passes results or preloaded operands on."""
        return self.timing.pe_count * self.shifting_cycles

    @property
    def idle_pe_cycles(self) -> int:
        """PE-cycles without operands of the product: skew, unused rows and columns, multi-cycle sums."""
        return self.timing.pe_count * self.total_cycles - self.useful_pe_cycles - self.shifting_pe_cycles

    @property
    def utilization(self) -> float:
        """Useful PE-cycles over all PE-cycles."""
        return self.macs / (self.timing.pe_count * self.total_cycles)

    @property
    def converter_operations(self) -> int:
        """Finished results that leave through the boundary converters."""
        return self.accesses.output_writes

    @property
    def issue_cycles(self) -> int:
        """Cycles after which another product of the same shape may start; see `interval_to`."""
        return self.interval_to(self)

    @property
    def tail_cycles(self) -> int:
        """Cycles that `total_cycles` counts beyond `issue_cycles`: results on their way out."""
        return self.total_cycles - self.issue_cycles

    def interval_to(self, following: ProductSchedule) -> int:
        """Cycles from this product's first one to the earliest first one of `following` on the same array.

        A chain of products p0, p1, ... without stalls takes the sum of `p.interval_to(next)` and the last
        one's `total_cycles`.
        """
        link = Link(self.tiles.last, following.tiles.first, adds_to_sums=False)
        return self.start_of(self.folds - 1) + self._interval(link)

    def _interval(self, link: Link) -> int:
        timing = self.timing.upright
        return before(timing, link.fold, link.following, adds_to_sums=link.adds_to_sums).total

    def start_of(self, fold: int) -> int:
        """First cycle of a fold.

        Raises:
            UserError: no such fold.
        """
        if not 0 <= fold < self.folds:
            raise UserError(
                f"the product has {self.folds} folds", location="fold", value=fold, allowed=self._range
            )
        return self.tiles.start_of(fold, self._interval)

    @property
    def _range(self) -> str:
        return f"0 to {self.folds - 1}"

    def phases_of(self, fold: int) -> FoldPhases:
        """First and last cycle of every phase of one fold, counted from 0.

        Raises:
            UserError: no such fold.
        """
        return self._phases(fold, self.start_of(fold))

    def _phases(self, fold: int, start: int) -> FoldPhases:
        split = alone(self.timing.upright, self.tiles.shape_of(fold))
        compute = start + split.fill
        return self.phases_between(fold, start, compute, compute + split.compute, start + split.total)

    def phases_between(self, fold: int, start: int, compute: int, drain: int, end: int) -> FoldPhases:
        """A fold whose phases begin in these cycles; `end` is the first cycle behind it."""
        turn, place, upright = self.timing.flow.turn, self.tiles.place_of(fold), self.tiles.shape_of(fold)
        row, column = turn(place.row, place.column)
        return FoldPhases(
            index=fold,
            group=place.group,
            row=row,
            column=column,
            shape=FoldShape(*turn(upright.rows, upright.columns), upright.streamed),
            fill=Phase("fill", start, compute - 1),
            compute=Phase("compute", compute, drain - 1),
            drain=Phase("drain", drain, end - 1),
        )

    def phases(self) -> Iterator[FoldPhases]:
        """The phases of every fold in order, computed as they are asked for."""
        start = 0
        for fold in range(self.folds):
            yield self._phases(fold, start)
            if fold + 1 < self.folds:
                start += self._interval(self.tiles.link_behind(fold))


def schedule_product(timing: ArrayTiming, *, m: int, n: int, k: int, groups: int = 1) -> ProductSchedule:
    """The schedule of `groups` products M x K times K x (N / groups).

    Takes the same time whatever the size of the product.

    Args:
        timing: the array.
        m: output pixels.
        n: output channels over all groups.
        k: reduction length.
        groups: independent products, one after another.

    Raises:
        UserError: an empty product, or groups that do not divide N.
    """
    for name, length in (("m", m), ("n", n), ("k", k), ("groups", groups)):
        if length < 1:
            raise UserError("must be positive", location=name, value=length)
    if n % groups:
        raise UserError(f"must be a multiple of groups = {groups}", location="n", value=n)
    tiles = fold_grid(timing, m=m, n=n // groups, k=k, groups=groups)
    split = _whole_split(timing.upright, tiles)
    return ProductSchedule(
        timing=timing,
        m=m,
        n=n,
        k=k,
        groups=groups,
        tiles=tiles,
        compute_cycles=split.compute,
        fill_cycles=split.fill,
        drain_cycles=split.drain,
        shifting_cycles=split.shifting,
        accesses=_accesses(timing, tiles, m=m, n=n, k=k),
    )


def fold_grid(timing: ArrayTiming, *, m: int, n: int, k: int, groups: int = 1) -> FoldGrid:
    """The folds of a product; `n` counts the channels of one group."""
    upright = timing.upright
    flow, lengths = upright.flow, {"m": m, "n": n, "k": k}
    return FoldGrid(
        rows=cut(lengths[flow.rows], upright.rows),
        columns=cut(lengths[flow.columns], upright.columns),
        groups=groups,
        streamed=lengths[flow.time],
        rows_add_up=bool(flow.circuit.preloads),
    )


def _whole_split(timing: ArrayTiming, tiles: FoldGrid) -> CycleSplit:
    def interval(link: Link) -> int:
        return before(timing, link.fold, link.following, adds_to_sums=link.adds_to_sums).total

    split = alone(timing, tiles.last)
    for times, link in tiles.links():
        split += before(timing, link.fold, link.following, adds_to_sums=link.adds_to_sums) * times
    # A wide fold's last results may leave after those of a narrow fold behind it.
    end = max(
        tiles.start_of(fold, interval) + alone(timing, tiles.shape_of(fold)).total
        for fold in tiles.last_of_each_shape()
    )
    split += CycleSplit(drain=end - split.total)
    if timing.timing == "scalesim":
        # SCALE-Sim reports the index of a layer's last cycle, not how many there are.
        split += CycleSplit(fill=-1)
    return split


def _accesses(timing: ArrayTiming, tiles: FoldGrid, *, m: int, n: int, k: int) -> ArrayAccesses:
    outputs = m * n
    at_left, at_top = timing.flow.entering
    reads = {"activation": tiles.groups * m * k, "weight": n * k}
    reads[at_left] *= tiles.column_tiles
    # What moves down beside sums is read for every fold of its column; what is shifted in to stay, once.
    reads[at_top] *= {SUMS_STAY: tiles.row_tiles, SUMS_MOVE: 1}[timing.flow.circuit]
    partial_sums = outputs * (tiles.row_tiles - 1) * tiles.rows_add_up
    read_back = partial_sums if timing.timing == "reference" else 0
    return ArrayAccesses(reads["activation"], reads["weight"], read_back, partial_sums, outputs)
