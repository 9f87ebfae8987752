"""The search for a tiling: candidates are estimated, the best are played, and their neighbours after them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.arch.config import TilingConfig
from simulator.numerics.engines.compiled import kernel
from simulator.system.counts import Operand
from simulator.system.footprint import Integers
from simulator.system.layer_work import BURSTS, BYTES, END, STEPS, TOTALS, LayerWork
from simulator.system.nest import NEST_NAMES, NO_OPERAND
from simulator.system.nest_machine import play_nest
from simulator.system.tile_sizes import (
    Sizes,
    blocks_of,
    channel_sizes,
    filling_sizes,
    group_sizes,
    is_small,
    nearby_sizes,
    reduction_sizes,
    thinned,
    unit_of_channels,
    unit_of_pixels,
    unit_of_reduction,
)
from simulator.system.tile_work import OUTPUTS_STAY
from simulator.system.tiling_candidates import (
    CANDIDATE,
    COLUMNS,
    ESTIMATED,
    GROUPS,
    IMAGES,
    MOVED,
    NEST,
    ROWS,
    SINGLE,
    VARIANTS,
    WHOLE_K,
    K,
    N,
    blocking_of,
    estimate_rows,
    list_candidates,
)
from simulator.system.tiling_needs import Limits, slots_of

Weights = npt.NDArray[np.float64]
"""Picojoules of one of each total of the machine, for the objective `energy`."""

AS_GOOD = 1.0005
"""Scores within 0.05 % of each other count as equal; fewer, larger transfers are then better."""
NEAR = 1.01
"""Latency: among tilings within 1 % of the fewest cycles the least traffic is taken."""


SINGLE_BITS: Mapping[Operand, int] = {"ifmap": 1, "filter": 2, "ofmap": 4}
WHOLE_REDUCTION = {NO_OPERAND: "neither", 0: "ifmap", 1: "filter"}


def moved_bytes(totals: Integers) -> int:
    """Useful DRAM bytes of all streams."""
    return int(totals[BYTES : BYTES + 4].sum())


@kernel
def play_candidates(work: LayerWork, limits: Limits, rows: Integers, totals: Integers) -> None:
    """Play every candidate; row i of `totals` is what candidate i does."""
    for i in range(len(rows)):
        b = blocking_of(rows[i])
        play_nest(work, b, slots_of(work, b, limits), totals[i])


class _Effort(NamedTuple):
    """How many candidates are played.

    first: of the fewest estimated cycles, before any is refined. near, most_near: of the least traffic, at
    once and in all. round: in each of `rounds` rounds of refinement.
    """

    first: int
    near: int
    most_near: int
    round: int
    rounds: int


_OF_EACH_NEST = 2
_MOST_CANDIDATES = 2_000_000
_MAY_BE_NEAR = 1.05
"""Estimates up to 5 % above the fewest cycles are worth a play: some are too high by that much."""
_USUAL = _Effort(first=12, near=8, most_near=48, round=40, rounds=6)
_CAREFUL = _Effort(first=24, near=10, most_near=120, round=60, rounds=8)
"""For convolutions, whose blocks have two sides."""
_THOROUGH = _Effort(first=800, near=40, most_near=400, round=100, rounds=8)
"""For small layers on small arrays, which take few steps."""


class Search:
    """One search: candidates that were played, and what they did."""

    def __init__(
        self, name: str, work: LayerWork, limits: Limits, fixed: TilingConfig, weights: Weights | None
    ) -> None:
        self.name, self.work, self.limits, self.fixed, self.weights = name, work, limits, fixed, weights
        self.rows = np.empty((0, CANDIDATE), np.int64)
        self.totals = np.empty((0, TOTALS), np.int64)
        self.known: set[bytes] = set()
        self.single = sum(SINGLE_BITS[operand] for operand in fixed.single_buffered)
        usual = _USUAL if work.geometry.is_product else _CAREFUL
        self.effort = _THOROUGH if is_small(work.geometry, work.array) else usual

    def run(self) -> bool:
        """Play what is promising, and its neighbours; False where nothing fits."""
        candidates = self._candidates(fine=False)
        if not len(candidates):
            candidates = self._candidates(fine=True)  # not even one fold fits
        if not len(candidates):
            return False
        self._play_promising(candidates)
        self._refine()
        self._polish(candidates)
        return True

    # --- candidates

    def _variants(self) -> Integers:
        order, loops, wanted = self.fixed.loop_order, self.fixed.loops, self.fixed.whole_reduction
        some = wanted == "auto" or order == loops == "auto"
        pairs = VARIANTS.tolist() if some else product(range(len(NEST_NAMES)), WHOLE_REDUCTION)
        return np.array(
            [
                (nest, held)
                for nest, held in pairs
                if order in ("auto", NEST_NAMES[nest][0])
                and loops in ("auto", NEST_NAMES[nest][1].replace(", ", ""))
                and wanted in ("auto", WHOLE_REDUCTION[held])
            ],
            np.int64,
        ).reshape(-1, 2)

    def _variants_of_whole(self) -> Integers:
        """With the whole reduction in a tile, nests differ by their innermost other loop only."""
        variants = self._variants()
        different = variants[(variants[:, 0] < 2) & (variants[:, 1] == NO_OPERAND)]
        return different if len(different) else variants[:1]

    def _candidates(self, *, fine: bool) -> Integers:
        g, array, fixed = self.work.geometry, self.work.array, self.fixed
        variants = self._variants()
        blocks = blocks_of(g, fixed, array, fine=fine)
        channels = channel_sizes(g, fixed, array, fine=fine)
        if g.is_product and fixed.tile_m is None and fixed.tile_columns is None:
            filling = [(1, 1, size) for size in self._filling_pixels()]
            blocks = np.unique(np.concatenate([blocks, np.array(filling, np.int64).reshape(-1, 3)]), axis=0)
        if fixed.tile_n is None:
            channels = np.union1d(channels, np.array(self._filling_channels(), np.int64))
        reductions = reduction_sizes(g, fixed, array, fine=fine)
        groups = group_sizes(g, fixed, array)
        found = []
        if reductions[-1] == g.k:
            found.append(self._listed(blocks, channels, reductions[-1:], groups, self._variants_of_whole()))
            reductions = reductions[:-1]
        if len(reductions):
            if array.dataflow == OUTPUTS_STAY:
                t = array.timing
                blocks = blocks[blocks.prod(axis=1) <= t.rows]
                channels, groups = channels[channels <= t.columns], groups[groups == 1]
            found.append(self._listed(blocks, channels, reductions, groups, variants))
        return np.concatenate(found)

    def _filling_pixels(self) -> Sizes:
        """Output pixels whose whole reduction fills the ifmap buffer."""
        g, limits = self.work.geometry, self.limits
        each = g.k * self.work.array.edges.ifmap_bits / 8
        return filling_sizes(g.columns.outputs, limits.ifmap, limits.ifmap_halves, each)

    def _filling_channels(self) -> Sizes:
        """Output channels whose whole reduction fills the filter buffer."""
        g, limits = self.work.geometry, self.limits
        each = g.k * self.work.array.edges.filter_bits / 8
        return filling_sizes(g.n, limits.filter, limits.filter_halves, each)

    def _listed(
        self, blocks: Integers, channels: Integers, reductions: Integers, groups: Integers, variants: Integers
    ) -> Integers:
        sizes = [blocks, channels, reductions, groups]
        while len(variants) * math.prod(map(len, sizes)) > _MOST_CANDIDATES:
            longest = max(range(len(sizes)), key=lambda place: len(sizes[place]))
            sizes[longest] = thinned(sizes[longest])
        blocks, channels, reductions, groups = sizes
        room = len(blocks) * len(channels) * len(reductions) * len(groups) * len(variants)
        found = np.empty((room, CANDIDATE), np.int64)
        count = list_candidates(
            self.work, self.limits, blocks, channels, reductions, groups, variants, self.single, found
        )
        return found[:count]

    # --- playing

    def _play(self, rows: Integers) -> bool:
        """Play those rows that have not been played; whether there were any."""
        fresh = []
        for row in rows:
            key = row[: SINGLE + 1].tobytes()
            if key not in self.known:
                self.known.add(key)
                fresh.append(row)
        if not fresh:
            return False
        played = np.array(fresh)
        totals = np.empty((len(played), TOTALS), np.int64)
        play_candidates(self.work, self.limits, played, totals)
        self.rows = np.concatenate([self.rows, played])
        self.totals = np.concatenate([self.totals, totals])
        return True

    def _play_promising(self, candidates: Integers) -> None:
        by_score = np.lexsort((candidates[:, MOVED], self._estimated_scores(candidates)))
        by_bytes = np.lexsort((candidates[:, ESTIMATED], candidates[:, MOVED]))
        first = [by_score[: self.effort.first], by_bytes[: self.effort.near]]
        for variant in np.unique(candidates[:, NEST : WHOLE_K + 1], axis=0):
            alike = (candidates[:, NEST : WHOLE_K + 1] == variant).all(axis=1)
            first += [order[alike[order]][:_OF_EACH_NEST] for order in (by_score, by_bytes)]
        self._play(candidates[np.concatenate(first)])
        fewest = int(self.totals[:, END].min())
        self._play_least_traffic(candidates[candidates[:, ESTIMATED] <= _MAY_BE_NEAR * fewest])

    def _play_least_traffic(self, near: Integers) -> None:
        """Of candidates that may come near the fewest cycles, those that move least, until one does."""
        near = near[np.lexsort((near[:, ESTIMATED], near[:, MOVED]))]
        at_once = self.effort.near
        for begin in range(0, min(len(near), self.effort.most_near), at_once):
            self._play(near[begin : begin + at_once])
            if moved_bytes(self.totals[self.chosen()]) <= near[begin, MOVED]:
                return

    def _refine(self) -> None:
        """Play the neighbours of the chosen and of the fastest candidate while that improves them."""
        refined: set[int] = set()
        for _ in range(self.effort.rounds):
            starts = {self.chosen(), int(np.argmin(self.totals[:, END]))} - refined
            if not starts:
                return
            refined |= starts
            neighbours = np.concatenate([self._neighbours(self.rows[start]) for start in starts])
            fewest = int(self.totals[:, END].min())
            promising = neighbours
            if self.fixed.objective == "latency":
                promising = neighbours[neighbours[:, ESTIMATED] <= _MAY_BE_NEAR * fewest]
            before = len(self.rows)
            order = np.lexsort((promising[:, MOVED], self._estimated_scores(promising)))
            self._play(promising[order[: self.effort.round]])
            self._play_least_traffic(promising)
            if len(self.rows) == before:
                return

    def _polish(self, candidates: Integers) -> None:
        """Play what moves no more than the chosen candidate and may take no longer."""
        chosen = self.chosen()
        rivals = candidates[candidates[:, MOVED] <= moved_bytes(self.totals[chosen])]
        rivals = rivals[rivals[:, ESTIMATED] <= self.totals[chosen, END]]
        self._play(rivals[np.argsort(rivals[:, ESTIMATED], kind="stable")[: self.effort.round]])

    def _neighbours(self, row: Integers) -> Integers:
        """Candidates with one loop cut otherwise."""
        g, array, fixed = self.work.geometry, self.work.array, self.fixed
        one_pixel_loop = g.rows.outputs == 1 and g.images == 1
        lengths = (
            (IMAGES, g.images, 1, fixed.tile_images or fixed.tile_m),
            (ROWS, g.rows.outputs, 1, fixed.tile_rows or fixed.tile_m),
            (
                COLUMNS,
                g.columns.outputs,
                unit_of_pixels(array) if one_pixel_loop else 1,
                fixed.tile_columns or fixed.tile_m,
            ),
            (N, g.n, unit_of_channels(array), fixed.tile_n),
            (K, g.k, unit_of_reduction(g, array), fixed.tile_k),
            (GROUPS, g.groups, 1, fixed.tile_groups),
        )
        found = []
        whole_image = row[ROWS] == g.rows.outputs and row[COLUMNS] == g.columns.outputs
        around: dict[int, Sizes] = {}
        for column, length, unit, given in lengths:
            if given is None:
                around[column] = nearby_sizes(length, int(row[column]), unit)
        for column, sizes in around.items():
            if column != IMAGES or whole_image:
                found += [_changed(row, {column: size}) for size in sizes]
        if not one_pixel_loop:
            pairs = product(around.get(ROWS, ()), around.get(COLUMNS, ()))
            found += [_changed(row, {ROWS: rows, COLUMNS: columns}) for rows, columns in pairs]
        if not found:
            return np.empty((0, CANDIDATE), np.int64)
        shapes = np.array(found)
        rows = np.concatenate(
            [
                _with_variants(shapes[shapes[:, K] >= g.k], self._variants_of_whole()),
                _with_variants(shapes[shapes[:, K] < g.k], self._variants()),
                self._singles(row),
            ]
        )
        return rows[: estimate_rows(self.work, self.limits, rows)]

    def _estimated_scores(self, candidates: Integers) -> npt.NDArray[np.float64]:
        """What candidates are ranked by before they are played: cycles, or the energy of cycles and bytes."""
        cycles = candidates[:, ESTIMATED].astype(np.float64)
        if self.weights is None:
            return cycles
        cycle_pj, byte_pj = float(self.weights[END]), float(self.weights[BURSTS])
        return cycles * cycle_pj + candidates[:, MOVED] * (byte_pj / self.work.memory.burst_bytes)

    def _singles(self, row: Integers) -> Integers:
        """The same blocking with one tile of an operand at a time, for every set of operands."""
        rows = np.repeat(row[None], 1 << len(SINGLE_BITS), axis=0)
        rows[:, SINGLE] = np.arange(len(rows)) | self.single
        return rows

    # --- choosing

    def _scores(self) -> npt.NDArray[np.float64]:
        weights = np.zeros(TOTALS) if self.weights is None else self.weights
        scores: npt.NDArray[np.float64] = np.matmul(self.totals, weights)
        return scores

    def chosen(self) -> int:
        """The row that is best for the objective; of rows as good as equal the one with the fewest steps."""
        cycles, steps = self.totals[:, END], self.totals[:, STEPS]
        moved = self.totals[:, BYTES : BYTES + 4].sum(axis=1)
        if self.fixed.objective == "traffic":
            return _fewest_steps(cycles, steps, moved == moved.min())
        if self.fixed.objective == "energy":
            return _fewest_steps(self._scores(), steps, np.ones(len(steps), bool))
        near = cycles <= NEAR * cycles.min()
        return _fewest_steps(cycles, steps, near & (moved == moved[near].min()))


def _changed(row: Integers, sizes: Mapping[int, int]) -> Integers:
    changed = row.copy()
    for column, size in sizes.items():
        changed[column] = size
        if column in (ROWS, COLUMNS):
            changed[IMAGES] = 1
    return changed


def _with_variants(shapes: Integers, variants: Integers) -> Integers:
    """Every row of sizes with every nest."""
    rows = np.repeat(shapes, len(variants), axis=0)
    rows[:, NEST : WHOLE_K + 1] = np.tile(variants, (len(shapes), 1))
    return rows


def _fewest_steps(scores: npt.NDArray[Any], steps: Integers, eligible: npt.NDArray[np.bool_]) -> int:
    """Of the eligible rows, one with the fewest steps among those whose score is as good as the best."""
    good = eligible & (scores <= AS_GOOD * scores[eligible].min())
    return int(np.lexsort((scores, steps, ~good))[0])
