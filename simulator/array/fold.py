"""One fold in closed form: its phases, and how soon the next fold may follow.

docs/timing.md derives each line. Its letters: R and C are the rows and columns of the upright array
(`ArrayTiming.upright`), r and c those that a fold's skew has to cross, T the streamed length (K when outputs
stay, M when weights stay, N when inputs stay), d the MAC's pipeline depth and i its accumulation interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from simulator.array.timing import ArrayTiming
from simulator.dataflow import SUMS_MOVE, SUMS_STAY, Circuit


@dataclass(frozen=True, slots=True)
class FoldShape:
    """How much of the array a fold uses, and how long its operands stream."""

    rows: int
    columns: int
    streamed: int


@dataclass(frozen=True, slots=True)
class CycleSplit:
    """Cycles by what the array spends them on; `shifting` counts those in which PEs only pass registers on.

    Every cycle is compute, fill or drain; shifting cycles are part of fill (preload) or drain (shift-out).
    """

    compute: int = 0
    fill: int = 0
    drain: int = 0
    shifting: int = 0

    @property
    def total(self) -> int:
        """All cycles."""
        return self.compute + self.fill + self.drain

    def __add__(self, other: CycleSplit) -> CycleSplit:
        return CycleSplit(
            self.compute + other.compute,
            self.fill + other.fill,
            self.drain + other.drain,
            self.shifting + other.shifting,
        )

    def __mul__(self, times: int) -> CycleSplit:
        return CycleSplit(self.compute * times, self.fill * times, self.drain * times, self.shifting * times)


class Formulas(NamedTuple):
    """The cycles of one kind of circuit; overlaps `none` and `drain` follow from `alone`."""

    alone: Callable[[ArrayTiming, FoldShape], CycleSplit]
    before: Callable[[ArrayTiming, FoldShape, FoldShape, bool], CycleSplit]


def alone(timing: ArrayTiming, fold: FoldShape) -> CycleSplit:
    """The phases of a fold that nothing follows, in the order fill, compute, drain.

    Output stationary: fill until the last PE of the skew has operands, compute until it has its sum, drain
    while R rows shift out. Weight and input stationary: fill is the preload and the first sum's way down,
    then the first column gives a sum every cycle, drain is how much later the last column is.
    """
    return _FORMULAS[timing.flow.circuit].alone(timing, fold)


def before(timing: ArrayTiming, fold: FoldShape, following: FoldShape, *, adds_to_sums: bool) -> CycleSplit:
    """The cycles from a fold's first one to the first one of the fold that follows without stalls.

    `adds_to_sums`: the following fold starts from the partial sums of this one (weight and input stationary,
    same columns), which must have left the array.
    """
    if timing.overlap == "none":
        return alone(timing, fold)
    return _FORMULAS[timing.flow.circuit].before(timing, fold, following, adds_to_sums)


def _alone_os(timing: ArrayTiming, fold: FoldShape) -> CycleSplit:
    rows, columns = _extent(timing, fold)
    d, i = timing.pipeline_depth, timing.accumulation_interval
    drain = timing.rows if timing.timing == "reference" else 0
    return CycleSplit(
        compute=i * (fold.streamed - 1) + d, fill=i * (rows + columns - 2), drain=drain, shifting=drain
    )


def _alone_stationary(timing: ArrayTiming, fold: FoldShape) -> CycleSplit:
    rows, columns = _extent(timing, fold)
    way_down = timing.accumulation_interval * (timing.rows - 1) + timing.pipeline_depth
    return CycleSplit(compute=fold.streamed, fill=rows + way_down - 1, drain=columns - 1, shifting=rows)


def _before_os(
    timing: ArrayTiming,
    fold: FoldShape,
    following: FoldShape,
    adds_to_sums: bool,  # noqa: ARG001, FBT001 - sums stay where they are
) -> CycleSplit:
    own = _alone_os(timing, fold)
    if timing.overlap == "drain":
        return CycleSplit(compute=own.compute, fill=own.fill)
    # Row 0 may hand its next sum over once the one before, which waits for row r, has left it: r steps apart.
    rows, _ = _extent(timing, fold)
    i = timing.accumulation_interval
    waiting = i * max(0, rows - following.streamed)
    return CycleSplit(compute=i * fold.streamed, drain=waiting, shifting=waiting)


def _before_stationary(
    timing: ArrayTiming,
    fold: FoldShape,
    following: FoldShape,
    adds_to_sums: bool,  # noqa: FBT001 - called by position through `Formulas`
) -> CycleSplit:
    own = _alone_stationary(timing, fold)
    if timing.overlap == "drain":
        return CycleSplit(compute=own.compute, fill=own.fill, shifting=own.shifting)
    rows, _ = _extent(timing, fold)
    next_rows, _ = _extent(timing, following)
    i = timing.accumulation_interval
    # Shadow registers take the next operands once the first ones are in use; sums return once they are out.
    preloaded = (i - 1) * (min(rows, next_rows) - 1) + next_rows
    returned = i * timing.rows if adds_to_sums else 0
    streams_apart = max(fold.streamed, preloaded, returned)
    # Both folds begin with their preload, which ends where their stream begins.
    return CycleSplit(
        compute=fold.streamed,
        fill=rows - next_rows + streams_apart - fold.streamed,
        shifting=rows - next_rows,
    )


_FORMULAS: Final[Mapping[Circuit, Formulas]] = {
    SUMS_STAY: Formulas(_alone_os, _before_os),
    SUMS_MOVE: Formulas(_alone_stationary, _before_stationary),
}


def _extent(timing: ArrayTiming, fold: FoldShape) -> tuple[int, int]:
    """Rows and columns that the skew crosses: all of them, or only the used ones."""
    if timing.partial_folds == "full":
        return timing.rows, timing.columns
    return fold.rows, fold.columns
