"""What one tile costs the array: cycles until the next tile may begin, delays, elements through its edges."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from simulator.array import ArrayTiming, ProductSchedule, schedule_product
from simulator.array.fold import CycleSplit, alone, before
from simulator.system.counts import Operand
from simulator.system.ports import (
    Delay,
    Edges,
    delay_of_results,
    delay_operand_stationary,
    delay_output_stationary,
)


class Tile(NamedTuple):
    """Shape of one step: sizes, whole groups, and whether its reduction begins and ends the layer's."""

    m: int
    n: int
    k: int
    groups: int
    starts: bool
    ends: bool

    @property
    def results(self) -> int:
        """Outputs of the tile."""
        return self.m * self.n * self.groups


class Succession(NamedTuple):
    """A tile, the one that follows it if any, and whether that one adds to the same outputs."""

    tile: Tile
    following: Tile | None
    goes_on: bool


@dataclass(frozen=True, slots=True)
class TileAccesses:
    """Elements that pass the array's edges for one tile; results only where its reduction ends."""

    activation_reads: int
    weight_reads: int
    partial_sum_reads: int
    partial_sum_writes: int
    results: int


@dataclass(frozen=True, slots=True)
class TileCost:
    """Phases of a tile until the next one may begin, delays, and how much later its last results leave."""

    split: CycleSplit
    delay: Delay
    tail_cycles: int


@dataclass(frozen=True, slots=True)
class TileWork:
    """The array's part in a layer whose whole reduction has length `k`; equal tiles are worked out once."""

    timing: ArrayTiming
    edges: Edges
    k: int
    _costs: dict[Succession, TileCost] = field(default_factory=dict, compare=False, repr=False)

    def cost(self, succession: Succession) -> TileCost:
        """What a tile costs in front of the one that follows it."""
        if succession not in self._costs:
            self._costs[succession] = self._cost(succession)
        return self._costs[succession]

    def _cost(self, succession: Succession) -> TileCost:
        tile, following, goes_on = succession
        delay = self._delay(tile)
        if self.timing.dataflow == "os" and not (tile.starts and tile.ends):
            tail = self._tail(self._whole_fold(tile), following) if tile.ends else 0
            return TileCost(self._part_of_a_fold(tile, following), delay, tail)
        schedule = self.schedule(tile)
        split = _until_next(schedule, self._schedule_of_next(following), goes_on=goes_on)
        return TileCost(split, delay, self._tail(schedule, following, goes_on=goes_on))

    def _part_of_a_fold(self, tile: Tile, following: Tile | None) -> CycleSplit:
        """A piece of a fold's reduction: operands stream on into the sums that the PEs hold."""
        interval = self.timing.accumulation_interval
        if not tile.ends:
            return CycleSplit(compute=interval * tile.k)
        whole = _until_next(self._whole_fold(tile), self._schedule_of_next(following), goes_on=False)
        streamed_before = interval * (self.k - tile.k)
        return whole + CycleSplit(compute=-streamed_before)

    def _tail(self, schedule: ProductSchedule, following: Tile | None, *, goes_on: bool = False) -> int:
        """Cycles in which results still leave when the next tile may begin, or when no other follows."""
        until_next = _until_next(schedule, self._schedule_of_next(following), goes_on=goes_on)
        tail = max(0, schedule.total_cycles - until_next.total)
        if self.timing.dataflow == "os":
            last = schedule.tiles.last
            slow = delay_of_results(self.edges, last.rows, last.columns)
            counted = delay_of_results(self.edges, last.rows, last.columns, self.beside_next_fold)
            tail += slow.port + slow.output - counted.port - counted.output
        return tail

    @property
    def beside_next_fold(self) -> int:
        """Cycles in which an output-stationary fold's results may leave while the next one is under way."""
        return 0 if self.timing.overlap == "none" else self.timing.accumulation_interval * self.k

    def _whole_fold(self, tile: Tile) -> ProductSchedule:
        return _product(self.timing, tile.m, tile.n, self.k, 1)

    def schedule(self, tile: Tile) -> ProductSchedule:
        """The folds of a tile, its own part of the reduction only."""
        return _product(self.timing, tile.m, tile.n * tile.groups, tile.k, tile.groups)

    def _schedule_of_next(self, tile: Tile | None) -> ProductSchedule | None:
        if tile is None:
            return None
        return self._whole_fold(tile) if self.timing.dataflow == "os" else self.schedule(tile)

    def _delay(self, tile: Tile) -> Delay:
        timing = self.timing
        size = {"rows": timing.rows, "columns": timing.columns}
        if timing.dataflow == "os":
            delay = delay_output_stationary(
                self.edges,
                tile.m,
                tile.n,
                tile.k,
                **size,
                interval=timing.accumulation_interval,
                ends=tile.ends,
                beside_next_fold=self.beside_next_fold,
            )
        else:
            stationary: Operand = "filter" if timing.dataflow == "ws" else "ifmap"
            lanes, streamed = (tile.n, tile.m) if timing.dataflow == "ws" else (tile.m, tile.n)
            delay = delay_operand_stationary(
                self.edges, stationary, streamed, lanes, tile.k, **size, starts=tile.starts, ends=tile.ends
            )
        return delay.times(tile.groups)

    def accesses(self, tile: Tile) -> TileAccesses:
        """What a tile takes from the buffers and gives to them."""
        schedule = self.schedule(tile)
        sums_written = sums_read = 0
        if self.timing.dataflow != "os":
            reductions = schedule.tiles.row_tiles
            sums_written = tile.results * (reductions - tile.ends)
            sums_read = tile.results * (reductions - tile.starts)
        return TileAccesses(
            activation_reads=schedule.accesses.activation_reads,
            weight_reads=schedule.accesses.weight_reads,
            partial_sum_reads=sums_read if self.timing.timing == "reference" else 0,
            partial_sum_writes=sums_written,
            results=tile.results * tile.ends,
        )

    def folds(self, tile: Tile) -> int:
        """Folds that end with this tile."""
        return self.schedule(tile).folds if self.timing.dataflow != "os" or tile.ends else 0


@lru_cache(maxsize=1024)
def _product(timing: ArrayTiming, m: int, n: int, k: int, groups: int) -> ProductSchedule:
    """The schedule of a tile; the same few shapes come back all through a network."""
    return schedule_product(timing, m=m, n=n, k=k, groups=groups)


def forget_schedules() -> None:
    """Empty the cache of schedules, so that a measurement starts cold."""
    _product.cache_clear()


def _until_next(schedule: ProductSchedule, following: ProductSchedule | None, *, goes_on: bool) -> CycleSplit:
    """The phases of a product until the next one may begin; all of them when nothing follows."""
    whole = CycleSplit(
        schedule.compute_cycles, schedule.fill_cycles, schedule.drain_cycles, schedule.shifting_cycles
    )
    if following is None:
        return whole
    timing, last = schedule.timing, schedule.tiles.last
    ending = alone(timing, last)
    link = before(timing, last, following.tiles.first, adds_to_sums=goes_on)
    compute = whole.compute - ending.compute + link.compute
    fill = whole.fill - ending.fill + link.fill
    total = schedule.start_of(schedule.folds - 1) + link.total
    return CycleSplit(compute, fill, total - compute - fill, whole.shifting - ending.shifting + link.shifting)
