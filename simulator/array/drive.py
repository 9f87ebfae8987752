"""A whole matrix product through the register-level grid, edge by edge."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from simulator.array import signals as sig
from simulator.array.collect import Observations, Results
from simulator.array.controllers import Controller, FoldSlices, FoldWork, controller_of
from simulator.array.grid import Grid, MacLike, Sums, column_blocks
from simulator.array.grid_registers import Pins, Plane
from simulator.array.schedule import FoldPhases, ProductSchedule, schedule_product
from simulator.array.timing import ArrayTiming
from simulator.dataflow import Axis, Dataflow
from simulator.foundation import UserError
from simulator.foundation.callbacks import Advance
from simulator.numerics import as_codes

Watcher = Callable[[Grid, int], None]
"""Called after single clock edges with the grid and the cycle."""


@dataclass(frozen=True, slots=True)
class GridRun:
    """What the grid computed, and when.

    accumulators: [M, N] ([groups, M, N]) as `multiply` gives them, is_infinite and overflow beside them.
    cycles: clock edges from the first operand to the last result.
    phases: first and last cycle of every phase of every fold, as observed at the PEs and at the end of the
        lanes; empty unless asked for.
    """

    accumulators: Plane
    is_infinite: Plane
    overflow: Plane
    cycles: int
    phases: tuple[FoldPhases, ...]


def run_product(
    timing: ArrayTiming,
    mac: MacLike | Sequence[tuple[MacLike, int]],
    a_codes: npt.ArrayLike,
    w_codes: npt.ArrayLike,
    *,
    observe_phases: bool = False,
    progress: Advance | None = None,
) -> GridRun:
    """Multiply activations [M, K] by weights [K, N] on the grid, fold after fold.

    With a leading axis of groups, [G, M, K] and [G, K, N], the products follow one another without a pause.

    Args:
        timing: the array; its pipeline depth and interval, not the MAC's, are used.
        mac: the MAC of all PEs, or blocks of columns. Column j of column tile c computes channel
            `c * columns + j`.
        a_codes: activation codes.
        w_codes: weight codes.
        observe_phases: note the phases of every fold (slower).
        progress: called after each fold.

    Raises:
        UserError: shapes that do not match, codes outside their formats, or `scalesim` timing, which is
            no circuit.
    """
    run = _Run.of(timing, mac, a_codes, w_codes, observe_phases=observe_phases)
    for done, _ in enumerate(run.folds(), 1):
        if progress is not None:
            progress(done, run.schedule.folds)
    return run.result()


def watch_fold(
    timing: ArrayTiming,
    mac: MacLike | Sequence[tuple[MacLike, int]],
    a_codes: npt.ArrayLike,
    w_codes: npt.ArrayLike,
    fold: int,
    watcher: Watcher,
) -> tuple[int, int]:
    """Run up to fold `fold` and call `watcher` after every clock edge in which the fold is in the array.

    Returns:
        The fold's first and last cycle.

    Raises:
        UserError: no such fold, or as `run_product`.
    """
    run = _Run.of(timing, mac, a_codes, w_codes, observe_phases=False)
    run.schedule.phases_of(fold)
    run.watch(fold, watcher)
    for index in run.folds():
        if index == fold + 1:
            break
    assert run.watched_cycles is not None
    return run.watched_cycles


@dataclass(slots=True)
class _Run:
    """One product on its way through a grid.

    upright: the array turned so that its lanes are columns. across, down: what enters it at its left and at
    its top, groups in front, dimensions as the controller takes them. outputs: the product's dimensions as
    the controller gives them.
    """

    grid: Grid
    upright: ArrayTiming
    controller: Controller
    schedule: ProductSchedule
    across: Plane
    down: Plane
    outputs: tuple[Axis, Axis]
    observations: Observations | None
    results: Results
    pins: Pins
    sums: Plane
    flags: Plane
    single: bool
    base: int = 0
    end: int = 0
    last_cycle: int = -1
    pending: deque[tuple[int, int]] = field(default_factory=deque)
    bottom: deque[tuple[int, int]] = field(default_factory=deque)
    phases: list[FoldPhases] = field(default_factory=list)
    watched_fold: int | None = None
    watcher: Watcher | None = None
    watched_cycles: tuple[int, int] | None = None

    @classmethod
    def of(
        cls,
        timing: ArrayTiming,
        mac: MacLike | Sequence[tuple[MacLike, int]],
        a_codes: npt.ArrayLike,
        w_codes: npt.ArrayLike,
        *,
        observe_phases: bool,
    ) -> _Run:
        if timing.timing == "scalesim":
            raise UserError(
                "counts cycles of no circuit that a grid could step",
                location="timing",
                value=timing.timing,
                allowed="reference",
            )
        blocks = column_blocks(mac, timing.columns)
        a, w, single = _operands(a_codes, w_codes)
        groups, M, K = a.shape
        N = w.shape[2]
        schedule = schedule_product(timing, m=M, n=N * groups, k=K, groups=groups)
        upright, streamed = timing.upright, schedule.tiles.streamed
        flow, controller = upright.flow, controller_of(upright)
        grid = Grid(
            blocks,
            timing.rows,
            timing.columns,
            dataflow=timing.dataflow,
            overlap=timing.overlap,
            pipeline_depth=timing.pipeline_depth,
            accumulation_interval=timing.accumulation_interval,
            buffered_sums=controller.buffered_sums(streamed),
        )
        codes = {"activation": as_codes(blocks[0][0].activation, a), "weight": _weight_codes(grid, w)}
        at_left, at_top = flow.entering
        shapes = [schedule.tiles.shape_of(fold) for fold in schedule.tiles.last_of_each_shape()]
        longest = max(controller.length(shape) for shape in shapes)
        corners = controller.watched_pes(shapes) if observe_phases else []
        return cls(
            grid=grid,
            upright=upright,
            controller=controller,
            schedule=schedule,
            across=_laid(codes[at_left], _STORED[at_left], (flow.time, flow.rows)),
            down=_laid(codes[at_top], _STORED[at_top], flow.buffer_order(at_top)),
            outputs=_leaving(flow),
            observations=Observations.of(corners) if observe_phases else None,
            results=Results.of(upright.columns, 4 * (streamed + longest), grid.sum_dtype),
            # Any two neighbouring folds fit, wherever the second one starts.
            pins=Pins.idle(2 * longest + 2 * upright.columns, timing, sum_dtype=grid.sum_dtype),
            sums=np.full((groups, M, N), 0, grid.sum_dtype),
            flags=np.zeros((groups, M, N), np.uint8),
            single=single,
        )

    def watch(self, fold: int, watcher: Watcher) -> None:
        """Call `watcher` after every edge in which `fold` is in the array."""
        self.watched_fold, self.watcher = fold, watcher

    def folds(self) -> Iterator[int]:
        """Run fold after fold; yields how many have been started and run up to the next one's start."""
        start = 0
        work = self._work(0)
        for index in range(self.schedule.folds):
            self.controller.drive(self.pins, start - self.base, work, 1 + index % 2)
            self.pending.append((index, start))
            fold_end = start + self.controller.length(work.shape)
            self.end = max(self.end, fold_end)
            if index == self.watched_fold:
                self.watched_cycles = (start, fold_end - 1)
            at_bottom = self.controller.results_at_bottom(work.shape, start)
            if at_bottom is not None:
                self.bottom.append(at_bottom)
            if index + 1 < self.schedule.folds:
                following = self._work(index + 1)
                start = self.controller.next_start(start, work.shape, following)
                work = following
                self._run_until(max(start, self.end) if index == self.watched_fold else start)
            else:
                self._run_until(self.end)
            self._collect()
            yield index + 1

    def _work(self, index: int) -> FoldWork:
        """The operands of fold `index`."""
        group = self.schedule.tiles.place_of(index).group
        return self.controller.work(self._part(index), self.across[group], self.down[group])

    def _part(self, index: int) -> FoldSlices:
        return FoldSlices.of(self.upright, self.schedule.tiles, index)

    def _run_until(self, cycle: int) -> None:
        """Clock the grid up to `cycle` (exclusive) and slide the pins."""
        if self.watcher is None or self.watched_cycles is None or self.base > self.watched_cycles[1]:
            self._clock(cycle - self.base)
        else:
            first, last = self.watched_cycles
            self._clock(max(0, first - self.base))
            while self.base < min(cycle, last + 1):
                self._clock(1)
                self.watcher(self.grid, self.base - 1)
            self._clock(cycle - self.base)

    def _clock(self, cycles: int) -> None:
        if cycles <= 0:
            return
        watch = self.observations.corners if self.observations is not None else ()
        outputs = self.grid.clock(self.pins.window(0, cycles), watch)
        present = (outputs.flags & sig.PRESENT) != 0
        for first, count in self.bottom:
            present[max(0, first - self.base) : max(0, first + count - self.base)] = True
        while self.bottom and sum(self.bottom[0]) <= self.base + cycles:
            self.bottom.popleft()
        self.results.note(self.base, present, outputs.sums, outputs.flags)
        if self.observations is not None:
            self.observations.note(self.base, outputs.watched)
        for plane in self.pins:
            if len(plane):
                left = len(plane) - cycles
                plane[:left] = plane[cycles:].copy()
                plane[left:] = 0
        self.base += cycles

    def _collect(self) -> None:
        """Put the sums of finished folds in their places."""
        while self.pending:
            index, start = self.pending[0]
            shape = self.schedule.tiles.shape_of(index)
            _, columns = self.controller.extent(shape)
            taken = self.results.take(self.controller.results_per_column(shape), columns)
            if taken is None:
                return
            self.pending.popleft()
            sums, flags, cycles = taken
            self._place(index, sums, flags)
            self.last_cycle = max(self.last_cycle, int(cycles.max()) + self.controller.clearing_shift)
            if self.observations is not None:
                self.phases.append(self._observed(index, start, cycles))

    def _place(self, index: int, sums: Plane, flags: Plane) -> None:
        group, part = self.schedule.tiles.place_of(index).group, self._part(index)
        for left, product in ((sums, self.sums), (flags, self.flags)):
            self.controller.place(part, left, _laid(product[group], ("m", "n"), self.outputs))

    def _observed(self, index: int, start: int, result_cycles: Plane) -> FoldPhases:
        """The phases of a fold from what was seen at its last PE and at the end of the lanes."""
        assert self.observations is not None
        shape = self.schedule.tiles.shape_of(index)
        first, last, end = self.controller.observed(self.observations, shape, result_cycles)
        return self.schedule.phases_between(index, start, first, last + 1, end + 1)

    def result(self) -> GridRun:
        """Everything, once all folds have run."""
        sums = self._as_numbers()
        pick = 0 if self.single else slice(None)
        return GridRun(
            accumulators=sums.values[pick],
            is_infinite=sums.is_infinite[pick],
            overflow=sums.overflow[pick],
            cycles=self.last_cycle + 1,
            phases=tuple(self.phases),
        )

    def _as_numbers(self) -> Sums:
        lanes, N = self.grid.lanes, self.sums.shape[2]
        padding = -N % lanes
        wide = np.pad(self.sums, ((0, 0), (0, 0), (0, padding)))
        wide_flags = np.pad(self.flags, ((0, 0), (0, 0), (0, padding)))
        folded = (*wide.shape[:2], -1, lanes)
        sums = self.grid.sums(wide.reshape(folded), wide_flags.reshape(folded))
        return Sums(
            sums.values.reshape(wide.shape)[..., :N],
            sums.is_infinite.reshape(wide.shape)[..., :N],
            sums.overflow.reshape(wide.shape)[..., :N],
        )


def _operands(a_codes: npt.ArrayLike, w_codes: npt.ArrayLike) -> tuple[Plane, Plane, bool]:
    a, w = np.asarray(a_codes), np.asarray(w_codes)
    single = a.ndim == 2 and w.ndim == 2
    if single:
        a, w = a[None], w[None]
    if a.ndim != 3 or w.ndim != 3 or a.shape[0] != w.shape[0] or a.shape[2] != w.shape[1]:
        raise UserError(
            "shapes do not match for a matrix product",
            value=f"activations {list(np.shape(a_codes))}, weights {list(np.shape(w_codes))}",
            allowed="[M, K] and [K, N], or [groups, M, K] and [groups, K, N]",
        )
    return a, w, single


def _weight_codes(grid: Grid, w: Plane) -> Plane:
    """Unsigned weight codes, each channel in the format of the lane that it comes to."""
    lanes, N = grid.lanes, w.shape[2]
    padded = np.pad(w, ((0, 0), (0, 0), (0, -N % lanes)))
    folded = padded.reshape(*w.shape[:2], -1, lanes)
    return grid.weight_codes(folded).reshape(padded.shape)[..., :N]


_STORED: Mapping[str, tuple[Axis, Axis]] = {"activation": ("m", "k"), "weight": ("k", "n")}
"""Dimensions of the operands as they are given."""


def _laid(matrix: Plane, stored: tuple[Axis, Axis], wanted: tuple[Axis, Axis]) -> Plane:
    """A matrix, or one in each group, with its two dimensions in the order that is wanted; a view."""
    axes = [matrix.ndim - 2 + stored.index(axis) for axis in wanted]
    return matrix.transpose(*range(matrix.ndim - 2), *axes)


def _leaving(flow: Dataflow) -> tuple[Axis, Axis]:
    """Dimensions of the product as it leaves an upright array: result after result, and column by column."""
    others: dict[Axis, Axis] = {"m": "n", "n": "m"}
    return others[flow.columns], flow.columns
