"""The search for a tiling: candidates are estimated, the best are played, and their neighbours after them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.arch.config import TilingConfig
from simulator.foundation import UserError
from simulator.operands import OPERANDS
from simulator.system.chosen_tiling import moved_bytes
from simulator.system.footprint import Integers
from simulator.system.layer_work import BURSTS, BYTES, END, LayerWork
from simulator.system.nest_state import new_scratch
from simulator.system.tile_sizes import (
    is_small,
    unit_of_channels,
    unit_of_pixels,
    unit_of_reduction,
)
from simulator.system.tiling_candidates import (
    CANDIDATE,
    ESTIMATED,
    LEAST,
    MOVED,
    NEST,
    STEP_COUNT,
    WHOLE_K,
    K,
)
from simulator.system.tiling_needs import Limits, ifmap_sizes
from simulator.system.tiling_neighbours import MOST_SIZES, Around, list_filling, list_neighbours
from simulator.system.tiling_starts import Starts
from simulator.system.tiling_trials import (
    AS_GOOD,
    ENERGY,
    LATENCY,
    MOST_OF_ONE,
    MOST_SEARCHED,
    NEAR,
    SPENT,
    TRAFFIC,
    Weights,
    are_countable,
    no_trials,
    try_candidates,
    with_room,
)


class _Effort(NamedTuple):
    """How many candidates are played.

    first, near: of the fewest estimated cycles and of the least traffic, before any is refined.
    most_near: of the least traffic near the fewest cycles.
    round: around a candidate, in each of `rounds` rounds.
    runners_up: how many beside the chosen and the fastest one are refined.
    """

    first: int
    near: int
    most_near: int
    round: int
    rounds: int
    runners_up: int = 0


_OF_EACH_NEST = 2
_MOST_NEIGHBOURS = 40_000
_MOST_FILLING = 8_000
_FILLING_ROUNDS = 2
_WITH_FEWEST_STEPS = 8
_MAY_BE_NEAR = 1.05
"""Estimates up to 5 % above the fewest cycles are worth a play: some are too high by that much."""
_ONCE = 1.001
"""Loads up to 0.1 % above every operand once leave nothing to save."""
_USUAL = _Effort(first=12, near=8, most_near=48, round=40, rounds=6)
_CAREFUL = _Effort(first=24, near=10, most_near=120, round=60, rounds=8)
"""For convolutions, whose blocks have two sides."""
_THOROUGH = _Effort(first=800, near=40, most_near=400, round=100, rounds=8, runners_up=8)
"""For small layers on small arrays, which take few steps."""


def too_many_steps(name: str, most: int) -> UserError:
    """A layer with more steps that all differ than are played."""
    return UserError(
        f"layer {name!r} takes more than {most:,} steps that differ from each other, too many to play "
        "one by one",
        location="tiling",
        allowed="larger buffers or tiles, or a DRAM without refresh",
    )


class Search:
    """One search: candidates that were played, and what they did."""

    def __init__(
        self, name: str, work: LayerWork, limits: Limits, fixed: TilingConfig, weights: Weights | None
    ) -> None:
        self.name, self.work, self.limits, self.fixed, self.weights = name, work, limits, fixed, weights
        self.scratch = new_scratch()
        self.starts = Starts(work, limits, fixed, self.scratch)
        self.trials = no_trials(fixed.objective, weights)
        usual = _USUAL if work.geometry.is_product else _CAREFUL
        self.effort = _THOROUGH if is_small(work.geometry, work.array) else usual
        self._least = 0

    @property
    def rows(self) -> Integers:
        """Candidates that were played."""
        return self.trials.rows[: self.trials.played]

    @property
    def totals(self) -> Integers:
        """What the machine did under each."""
        return self.trials.totals[: self.trials.played]

    @property
    def chosen(self) -> int:
        """The row that is best for the objective; of rows as good as equal the one with the fewest steps."""
        return self.trials.chosen

    def run(self) -> bool:
        """Play what is promising, and its neighbours; False where nothing fits.

        Raises:
            UserError: 64 bits may not hold the cycles of any candidate, or each takes too many steps.
        """
        candidates = self.starts.candidates(fine=self.fixed.objective == "traffic")
        if not len(candidates):
            candidates = self.starts.candidates(fine=True)  # not even one fold fits
        if not len(candidates):
            return False
        countable = are_countable(self.work, candidates)
        if not countable.any():
            raise UserError(
                f"layer {self.name!r} may take more cycles than the simulator counts, whatever its tiling",
                location="dram.bandwidth_gbyte_per_s",
                allowed="a faster DRAM, larger buffers, or a smaller layer",
            )
        candidates = candidates[countable]
        self._play_promising(candidates)
        if not self.trials.played:
            raise too_many_steps(self.name, MOST_SEARCHED)
        self._refine()
        self._least = int(candidates[:, LEAST].min())
        self._fill()
        self._polish(candidates)
        return True

    @property
    def leaves_nothing(self) -> bool:
        """Whether every byte moves once, in no more cycles than any candidate takes at least."""
        at_least = self._fewest <= AS_GOOD * self._least
        return self.trials.objective != ENERGY and at_least and not self._comes_again(self.chosen)

    # --- playing

    def _try(
        self,
        candidates: Integers,
        order: Integers,
        most: int,
        aim: int | None = None,
        most_of_one: int = MOST_OF_ONE,
    ) -> None:
        """Play candidates in an order, at most so many; those that cannot be better are left out."""
        self.trials = with_room(self.trials, min(most, len(order)))
        aim = self.trials.objective if aim is None else aim
        try_candidates(
            self.work, self.limits, candidates, order, most, aim, self.trials, self.scratch, most_of_one
        )

    @property
    def _fewest(self) -> int:
        return int(self.trials.totals[self.trials.fastest, END])

    @property
    def _near_estimate(self) -> float:
        """Estimates above this are not worth a play; those like the fastest one err as its own does."""
        estimated = int(self.trials.rows[self.trials.fastest, ESTIMATED])
        return _MAY_BE_NEAR * max(self._fewest, estimated)

    def _play_promising(self, candidates: Integers) -> None:
        by_score = np.lexsort((candidates[:, MOVED], self._estimated_scores(candidates)))
        by_bytes = np.lexsort((candidates[:, ESTIMATED], candidates[:, MOVED]))
        first = [by_score[: self.effort.first], by_bytes[: self.effort.near]]
        # The best of every nest, from which others are found.
        nests = candidates[:, NEST] * 4 + candidates[:, WHOLE_K]
        for order in (by_score, by_bytes):
            nests_in_order = nests[order]
            first += [order[nests_in_order == nest][:_OF_EACH_NEST] for nest in set(nests.tolist())]
        some = np.concatenate(first)
        self._try(candidates, some, len(some))
        if not self.trials.played:
            self._play_with_fewest_steps(candidates)
            return
        self._play_least_traffic(candidates)

    def _play_with_fewest_steps(self, candidates: Integers) -> None:
        """Play a few large tiles to their ends, where all that is promising takes too many steps."""
        self.trials.standing[SPENT] = 0
        order = np.argsort(candidates[:, STEP_COUNT], kind="stable")[:_WITH_FEWEST_STEPS]
        self._try(candidates, order, len(order), most_of_one=MOST_SEARCHED)

    def _play_least_traffic(self, candidates: Integers) -> None:
        """Of candidates that may come near the fewest cycles, those that move least, until one does."""
        near = candidates[candidates[:, ESTIMATED] <= self._near_estimate]
        aim = TRAFFIC if self.trials.objective == LATENCY else self.trials.objective
        order = np.lexsort((near[:, ESTIMATED], near[:, MOVED]))
        self._try(near, order, self.effort.most_near, aim)

    def _refine(self) -> None:
        """Play the neighbours of the best candidates while that improves them."""
        around = self.around()
        found = np.empty((_MOST_NEIGHBOURS, CANDIDATE), np.int64)
        refined: set[int] = set()
        for turn in range(self.effort.rounds):
            starts = {self.trials.chosen, self.trials.fastest, *self._runners_up()}
            if turn == 0:
                starts |= set(self._best_of_each_kind())
            starts -= refined
            if not starts:
                return
            refined |= starts
            played = 0
            for start in sorted(starts):
                row, needs = self.trials.rows[start], self.scratch.needs
                count = list_neighbours(self.work, self.limits, row, around, found, needs)
                played += self._play_neighbours(found[:count])
            if not played:
                return

    def _fill(self) -> None:
        """Play candidates with two sizes changed together, where bytes or cycles may be saved.

        A tile that cannot grow may change its shape: fewer pixels for as many more channels.
        """
        found = np.empty((_MOST_FILLING, CANDIDATE), np.int64)
        around = self.around()
        refined: set[int] = set()
        for _ in range(_FILLING_ROUNDS):
            starts = {self.trials.chosen} if self._comes_again(self.trials.chosen) else set()
            if self._fewest > NEAR * self._least:
                starts.add(self.trials.fastest)
            starts -= refined
            if not starts:
                return
            refined |= starts
            for start in sorted(starts):
                row, needs = self.trials.rows[start], self.scratch.needs
                count = list_filling(self.work, self.limits, row, around, found, needs)
                self._play_better(found[:count])

    def _play_better(self, candidates: Integers) -> None:
        """Play those that may take fewer cycles or move less than what was played."""
        _, moved = self.trials.figures[self.trials.chosen, :2]
        better = candidates
        if self.trials.objective != ENERGY:
            faster = (candidates[:, LEAST] < self._fewest) & (self.trials.objective == LATENCY)
            better = candidates[faster | (candidates[:, MOVED] <= moved)]
        if self.trials.objective == LATENCY:
            better = better[better[:, ESTIMATED] <= self._near_estimate]
        order = np.argsort(self._estimated_scores(better), kind="stable")
        self._try(better, order, self.effort.round)
        self._play_least_traffic(better)

    def _comes_again(self, row: int) -> bool:
        """Whether more is loaded than every input and weight once."""
        g, edges = self.work.geometry, self.work.array.edges
        inputs = ifmap_sizes(g, g.rows.outputs, g.columns.outputs, g.k).total * g.images * g.groups
        once = g.k * g.n * g.groups * edges.filter_bits
        if not self.work.ifmap_on_chip:
            once += inputs * edges.ifmap_bits
        loads = self.trials.totals[row, BYTES : BYTES + 3]
        return bool(8 * int(loads[:2].sum()) > _ONCE * once or (loads[2] and not self.work.added_results))

    def _runners_up(self) -> list[int]:
        """Played rows that come next for the objective."""
        if not self.effort.runners_up:
            return []
        cycles, moved = self.trials.figures[: self.trials.played, :2].T
        far = cycles > NEAR * self._fewest if self.trials.objective == LATENCY else np.zeros(len(cycles))
        first = self._weighed(cycles, moved) if self.trials.objective == ENERGY else moved
        return [int(row) for row in np.lexsort((cycles, first, far))[: self.effort.runners_up]]

    def _best_of_each_kind(self) -> list[int]:
        """The best played row with the whole reduction in a tile, and of every nest that cuts it."""
        rows, totals = self.rows, self.totals
        kinds = np.where(rows[:, K] >= self.work.geometry.k, -1, rows[:, NEST] * 4 + rows[:, WHOLE_K] + 1)
        moved = totals[:, BYTES : BYTES + 4].sum(axis=1)
        score = moved if self.trials.objective == TRAFFIC else self._weighed(totals[:, END], moved)
        return [int(np.where(kinds == kind, score, np.inf).argmin()) for kind in set(kinds.tolist())]

    def _play_neighbours(self, neighbours: Integers) -> int:
        before = self.trials.played
        promising = neighbours
        if self.fixed.objective == "latency":
            promising = neighbours[neighbours[:, ESTIMATED] <= self._near_estimate]
        order = np.lexsort((promising[:, MOVED], self._estimated_scores(promising)))
        self._try(promising, order, self.effort.round)
        self._play_least_traffic(promising)
        # One tile of an operand at a time lets others come first, which no estimate sees.
        self._try(neighbours, np.arange(len(neighbours))[-(1 << len(OPERANDS)) :], len(neighbours))
        return self.trials.played - before

    def _polish(self, candidates: Integers) -> None:
        """Play what moves no more than the chosen candidate and may take no longer."""
        totals = self.trials.totals[self.chosen]
        rivals = candidates[candidates[:, MOVED] <= moved_bytes(totals)]
        rivals = rivals[rivals[:, ESTIMATED] <= totals[END]]
        self._try(rivals, np.argsort(rivals[:, ESTIMATED], kind="stable"), self.effort.round)

    def around(self) -> Around:
        """What neighbours of a candidate may change."""
        g, array, fixed = self.work.geometry, self.work.array, self.fixed
        one_run = g.rows.outputs == 1 and g.images == 1
        given = (
            fixed.tile_images or fixed.tile_m,
            fixed.tile_rows or fixed.tile_m,
            fixed.tile_columns or fixed.tile_m,
            fixed.tile_n,
            fixed.tile_k,
            fixed.tile_groups,
        )
        units = (
            1,
            1,
            unit_of_pixels(array) if one_run else 1,
            unit_of_channels(array),
            unit_of_reduction(g, array),
            1,
        )
        return Around(
            lengths=np.array([g.images, g.rows.outputs, g.columns.outputs, g.n, g.k, g.groups], np.int64),
            units=np.array(units, np.int64),
            is_open=np.array([size is None for size in given], np.int64),
            whole_variants=self.starts.variants_of_whole(),
            variants=self.starts.variants(),
            single=self.starts.single,
            sizes=np.empty((2, MOST_SIZES), np.int64),
        )

    def _estimated_scores(self, candidates: Integers) -> npt.NDArray[np.float64]:
        """What candidates are ranked by before they are played: cycles, or the energy of cycles and bytes."""
        return self._weighed(candidates[:, ESTIMATED], candidates[:, MOVED])

    def _weighed(self, cycles: npt.NDArray[Any], moved: Integers) -> npt.NDArray[np.float64]:
        """Cycles, or where they have prices the energy of cycles and DRAM bytes."""
        if self.weights is None:
            return cycles.astype(np.float64)
        cycle_pj, byte_pj = float(self.weights[END]), float(self.weights[BURSTS])
        return cycles * cycle_pj + moved * (byte_pj / self.work.memory.burst_bytes)
