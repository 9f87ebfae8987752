"""The tilings that a search begins with: open nests, sizes worth a try, and all that fit the buffers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from simulator.arch.config import TilingConfig
from simulator.operands import FILTER, IFMAP, OFMAP
from simulator.system.chosen_tiling import SINGLE_BITS, WHOLE_REDUCTION
from simulator.system.footprint import Integers
from simulator.system.layer_work import LayerWork
from simulator.system.nest import NEST_NAMES, NO_OPERAND
from simulator.system.nest_state import Scratch
from simulator.system.tile_sizes import (
    Sizes,
    blocks_of,
    channel_sizes,
    filling_sizes,
    group_sizes,
    reduction_sizes,
    thinned,
)
from simulator.system.tiling_candidates import CANDIDATE, VARIANTS, list_candidates
from simulator.system.tiling_needs import Limits, output_bytes

_MOST_CANDIDATES = 2_000_000
_PARTS_OF_SHARED = 6
"""Parts of a shared capacity that an operand's tiles are tried in."""


@dataclass(frozen=True, slots=True)
class Starts:
    """What is open of a layer's tiling, on its accelerator."""

    work: LayerWork
    limits: Limits
    fixed: TilingConfig
    scratch: Scratch

    @property
    def single(self) -> int:
        """Operands of which one tile is held, as a sum of `SINGLE_BITS`."""
        return sum(SINGLE_BITS[operand] for operand in self.fixed.single_buffered)

    def variants(self) -> Integers:
        """Nests that are open, each with the operand that is held with its whole reduction."""
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

    def variants_of_whole(self) -> Integers:
        """With the whole reduction in a tile, nests differ by their innermost other loop only."""
        variants = self.variants()
        different = variants[(variants[:, 0] < 2) & (variants[:, 1] == NO_OPERAND)]
        return different if len(different) else variants[:1]

    def candidates(self, *, fine: bool) -> Integers:
        """Candidates that fit, [count, `CANDIDATE`]; `fine`: of more sizes."""
        g, array, fixed = self.work.geometry, self.work.array, self.fixed
        variants = self.variants()
        blocks = blocks_of(g, fixed, array, fine=fine)
        channels = channel_sizes(g, fixed, array, fine=fine)
        if g.is_product and fixed.tile_m is None and fixed.tile_columns is None:
            filling = {(1, 1, size) for size in self._filling_pixels()}
            blocks = np.array(sorted(filling.union(map(tuple, blocks.tolist()))), np.int64)
        if fixed.tile_n is None:
            channels = np.union1d(channels, np.array(self._filling_channels(), np.int64))
        reductions = reduction_sizes(g, fixed, array, fine=fine)
        groups = group_sizes(g, fixed, array)
        found = []
        if reductions[-1] == g.k:
            found.append(self._listed(blocks, channels, reductions[-1:], groups, self.variants_of_whole()))
            reductions = reductions[:-1]
        if len(reductions):
            if array.timing.outputs_stay:
                blocks = blocks[blocks.prod(axis=1) <= array.fold_pixels]
                channels, groups = channels[channels <= array.fold_channels], groups[groups == 1]
            found.append(self._listed(blocks, channels, reductions, groups, variants))
        return np.concatenate(found)

    def _filling_pixels(self) -> Sizes:
        """Output pixels whose whole reduction fills the ifmap's memory, or whose results fill the ofmap's."""
        g = self.work.geometry
        each = g.k * self.work.array.edges.ifmap_bits / 8
        results = output_bytes(self.work.array, g.n, g.k)
        return (
            *self._filling(g.columns.outputs, IFMAP, each),
            *self._filling(g.columns.outputs, OFMAP, results),
        )

    def _filling_channels(self) -> Sizes:
        """Output channels whose whole reduction fills the filter's memory."""
        g = self.work.geometry
        return self._filling(g.n, FILTER, g.k * self.work.array.edges.filter_bits / 8)

    def _filling(self, length: int, operand: int, bytes_each: float) -> Sizes:
        """Sizes that fill an operand's capacity, or parts of one that it shares."""
        capacity, pool = self.limits.capacity[operand], self.limits.pool
        parts = range(1, 1 + (_PARTS_OF_SHARED if pool.count(pool[operand]) > 1 else 1))
        halves = self.limits.halves[operand]
        return tuple(
            size
            for part in parts
            for size in filling_sizes(length, capacity * part // len(parts), halves, bytes_each)
        )

    def _listed(
        self, blocks: Integers, channels: Integers, reductions: Integers, groups: Integers, variants: Integers
    ) -> Integers:
        sizes = [blocks, channels, reductions, groups]
        singles = self._singles()
        while len(singles) * len(variants) * math.prod(map(len, sizes)) > _MOST_CANDIDATES:
            longest = max(range(len(sizes)), key=lambda place: len(sizes[place]))
            sizes[longest] = thinned(sizes[longest])
        blocks, channels, reductions, groups = sizes
        room = len(blocks) * len(channels) * len(reductions) * len(groups) * len(variants)
        found = np.empty((len(singles) * room, CANDIDATE), np.int64)
        count = 0
        for single in singles:
            count += list_candidates(
                self.work,
                self.limits,
                blocks,
                channels,
                reductions,
                groups,
                variants,
                single,
                found[count : count + room],
                self.scratch.needs,
            )
        return found[:count]

    def _singles(self) -> list[int]:
        """Sets of operands of which one tile is held: where a capacity is shared, each leaves others room."""
        pool = self.limits.pool
        sharing = [
            bit for bit, number in zip(SINGLE_BITS.values(), pool, strict=True) if pool.count(number) > 1
        ]
        chosen = (sum(some) for count in range(1 + len(sharing)) for some in combinations(sharing, count))
        return list(dict.fromkeys(self.single | some for some in chosen))
