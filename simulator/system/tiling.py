"""Outer tiling: which tiles of a layer stand in the buffers, in which order, for the least DRAM traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from simulator.arch.config import LoopOrder, TilingConfig
from simulator.foundation import UserError
from simulator.system.counts import OPERANDS, Operand
from simulator.system.footprint import (
    Integers,
    Spans,
    filter_tile_bytes,
    ifmap_tile_bytes,
)
from simulator.system.tile_sizes import multiples, preferred_sizes, tile_sizes
from simulator.system.tiling_problem import LOOP_NESTS, Dimension, Nest, TilingProblem, relevant_loops


@dataclass(frozen=True, slots=True)
class Tiling:
    """A chosen loop nest and tile sizes, with the DRAM bytes that they imply.

    `loops` run from the outermost in, inside a loop over tiles of `groups` groups. An operand named in
    `whole_k` keeps its whole reduction length in the buffer while the other one passes in pieces of `k`.
    """

    loop_order: LoopOrder
    loops: tuple[Dimension, Dimension, Dimension]
    m: int
    n: int
    k: int
    groups: int
    whole_k: Operand | None
    dram_bytes: Mapping[Operand, int]
    reason: str

    @property
    def total_dram_bytes(self) -> int:
        """Bytes moved to and from DRAM for all three operands."""
        return sum(self.dram_bytes.values())

    def summary(self) -> dict[str, int | str]:
        """Fields for a result."""
        return {
            "loop_order": self.loop_order,
            "tile_m": self.m,
            "tile_n": self.n,
            "tile_k": self.k,
            "tile_groups": self.groups,
            "reason": self.reason,
        }


def choose_tiling(problem: TilingProblem, fixed: TilingConfig) -> Tiling:
    """The tiling with the least DRAM traffic among those the architecture file leaves open.

    Ties go to the least exposed time (the first tiles on their way in, the last one on its way out, a DRAM
    latency a step, fixed costs of extra folds), then to fewer steps, then to the larger tile of output
    pixels, of output channels, of the reduction.

    Raises:
        UserError: not even the smallest tile fits, or a fixed tile cannot work; names the buffer.
    """
    sizes = tile_sizes(problem, fixed)
    candidates: list[_Candidate] = []
    for preferred in preferred_sizes(problem, fixed, sizes):
        candidates = candidates or _fitting(problem, fixed, preferred)
    if not candidates:
        raise _does_not_fit(problem, {name: values[0] for name, values in sizes.items()})
    best = min(candidates, key=lambda candidate: candidate.rank)
    others = [c for c in candidates if c.loop_order != best.loop_order]
    return best.tiling(min(others, key=lambda candidate: candidate.rank) if others else None)


@dataclass(frozen=True, slots=True)
class _Candidate:
    loop_order: LoopOrder
    loops: tuple[Dimension, Dimension, Dimension]
    m: int
    n: int
    k: int
    groups: int
    whole_k: Operand | None
    dram_bytes: Mapping[Operand, int]
    exposed_cycles: int
    steps: int

    @property
    def total_bytes(self) -> int:
        return sum(self.dram_bytes.values())

    @property
    def rank(self) -> tuple[int | str | tuple[str, ...], ...]:
        sizes = (-self.m, -self.n, -self.k, -self.groups)
        return self.total_bytes, self.exposed_cycles, self.steps, *sizes, self.whole_k or "", self.loops

    def tiling(self, runner_up: _Candidate | None) -> Tiling:
        return Tiling(
            loop_order=self.loop_order,
            loops=self.loops,
            m=self.m,
            n=self.n,
            k=self.k,
            groups=self.groups,
            whole_k=self.whole_k,
            dram_bytes=self.dram_bytes,
            reason=_reason(self, runner_up),
        )


def _reason(chosen: _Candidate, runner_up: _Candidate | None) -> str:
    bytes_by_operand = ", ".join(f"{name} {count:,}" for name, count in chosen.dram_bytes.items())
    reason = (
        f"{chosen.loop_order} with tiles of {chosen.m} x {chosen.n} x {chosen.k} (m x n x k)"
        + (f" in {chosen.groups} groups" if chosen.groups > 1 else "")
        + (f", the whole reduction of the {chosen.whole_k} kept" if chosen.whole_k else "")
        + f" moves {chosen.total_bytes:,} bytes ({bytes_by_operand})"
    )
    if runner_up is None:
        return reason
    more = runner_up.total_bytes - chosen.total_bytes
    comparison = f"{more:,} bytes more" if more else "as many bytes, but more waiting or more steps"
    return f"{reason}; {runner_up.loop_order} would move {comparison}"


def _fitting(
    problem: TilingProblem, fixed: TilingConfig, sizes: Mapping[Dimension, tuple[int, ...]]
) -> list[_Candidate]:
    """The best fitting candidate of every loop nest, tile of the reduction and residency."""
    m_sizes, n_sizes = (np.array(sizes[name], dtype=np.int64) for name in ("m", "n"))
    candidates = []
    for k in sizes["k"]:
        nests = list(_nests(problem, fixed, k))
        residencies: tuple[Operand | None, ...] = (None, "ifmap", "filter")
        for whole_k in residencies if k < problem.layer.k else residencies[:1]:
            grid = _Grid.of(problem, m_sizes, n_sizes, k, whole_k)
            candidates += [grid.best(problem, order, loops) for order, loops in nests]
    if problem.layer.groups > 1:
        candidates += _several_groups(problem, sizes, next(iter(_nests(problem, fixed, problem.layer.k))))
    return [candidate for candidate in candidates if candidate is not None]


def _nests(problem: TilingProblem, fixed: TilingConfig, k: int) -> Iterator[Nest]:
    """Loop nests worth trying: with the whole reduction in a tile, results stay in any of them."""
    for order, nests in LOOP_NESTS.items():
        if fixed.loop_order not in ("auto", order):
            continue
        if order == "ofmap_resident" and k >= problem.layer.k and fixed.loop_order == "auto":
            continue
        yield from ((order, loops) for loops in nests)


def _several_groups(
    problem: TilingProblem,
    sizes: Mapping[Dimension, tuple[int, ...]],
    nest: Nest,
) -> list[_Candidate | None]:
    """Candidates whose tiles hold several whole groups (depthwise layers, attention heads)."""
    lengths = problem.lengths
    if any(sizes[name][-1] < length for name, length in lengths.items()):
        return []  # the user fixed a tile smaller than a group
    m, n = (np.array([lengths[name]], dtype=np.int64) for name in ("m", "n"))
    return [
        _Grid.of(problem, m, n, lengths["k"], None, groups).best(problem, *nest)
        for groups in multiples(problem.layer.groups, 1)
    ]


@dataclass(frozen=True, slots=True)
class _Grid:
    """Tiles of every m (first axis) and n (second axis) at once, for one k; bytes of one tile of groups."""

    m: Integers
    n: Integers
    k: int
    groups: int
    whole_k: Operand | None
    trips: Mapping[Dimension, Integers]
    distinct_bytes: Mapping[Operand, Integers]
    largest_bytes: Mapping[Operand, Integers]

    @classmethod
    def of(
        cls,
        problem: TilingProblem,
        m_sizes: Integers,
        n_sizes: Integers,
        k: int,
        whole_k: Operand | None,
        groups: int = 1,
    ) -> _Grid:
        layer, bits, lengths = problem.layer, problem.bits, problem.lengths
        pieces = Spans.of(lengths["k"], k)
        whole = Spans.of(lengths["k"], lengths["k"])
        rounds = [groups] * (layer.groups // groups) + [layer.groups % groups] * bool(layer.groups % groups)
        counted = {count: rounds.count(count) for count in set(rounds)}

        m_cut = [Spans.of(lengths["m"], size) for size in m_sizes.tolist()]
        n_cut = [Spans.of(lengths["n"], size) for size in n_sizes.tolist()]
        ifmap_k, filter_k = (whole if whole_k == name else pieces for name in ("ifmap", "filter"))
        ifmap_total, weights_total = np.zeros_like(m_sizes), np.zeros_like(n_sizes)
        for count, times in counted.items():
            tiles = ifmap_tile_bytes(layer, Spans.joined(m_cut), ifmap_k, count, bits.activation)
            total, largest = _by_cut(tiles.sum(axis=1), tiles.max(axis=1), m_cut)
            ifmap_total += times * total
            if count == groups:
                ifmap_largest = largest
            tiles = filter_tile_bytes(Spans.joined(n_cut), filter_k, count, bits.weight)
            total, largest = _by_cut(tiles.sum(axis=0), tiles.max(axis=0), n_cut)
            weights_total += times * total
            if count == groups:
                weights_largest = largest
        results = m_sizes[:, None] * n_sizes[None, :] * groups
        return cls(
            m=m_sizes,
            n=n_sizes,
            k=k,
            groups=groups,
            whole_k=whole_k,
            trips={
                "m": -(-lengths["m"] // m_sizes)[:, None],
                "n": -(-lengths["n"] // n_sizes)[None, :],
                "k": np.array([[len(pieces)]], dtype=np.int64),
            },
            distinct_bytes={
                "ifmap": ifmap_total[:, None],
                "filter": weights_total[None, :],
            },
            largest_bytes={
                "ifmap": ifmap_largest[:, None],
                "filter": weights_largest[None, :],
                "ofmap": -(-results * problem.ofmap_bits // 8),
            },
        )

    def relevant(self, operand: Operand) -> frozenset[Dimension]:
        """Loops that change which tile of an operand is needed."""
        return relevant_loops(operand, self.whole_k)

    def repetitions(self, operand: Operand, loops: tuple[Dimension, ...]) -> Integers:
        """How often each tile of an operand comes back: trips of outer loops it does not depend on."""
        relevant = self.relevant(operand)
        times = np.ones((1, 1), dtype=np.int64)
        for position, loop in enumerate(loops):
            if loop not in relevant:
                inner = [self.trips[name] > 1 for name in loops[position + 1 :] if name in relevant]
                changes = np.logical_or.reduce(np.broadcast_arrays(*inner)) if inner else np.False_
                times = times * np.where(changes, self.trips[loop], 1)
        return times

    def best(
        self, problem: TilingProblem, order: LoopOrder, loops: tuple[Dimension, Dimension, Dimension]
    ) -> _Candidate | None:
        """The fitting tile with the least traffic for a loop nest, None when none fits."""
        fits = np.logical_and.reduce(
            np.broadcast_arrays(*(self.largest_bytes[name] <= problem.tile_bytes[name] for name in OPERANDS))
        )
        visits = self.repetitions("ofmap", loops)
        if problem.dataflow == "os":
            one_fold = (self.m[:, None] <= problem.fold["m"]) & (self.n[None, :] <= problem.fold["n"])
            fits = fits & (visits == 1) & ((self.trips["k"] == 1) | one_fold)
        if not fits.any():
            return None
        rounds = -(-problem.layer.groups // self.groups)
        spilled = 2 * (visits - 1) * self.partial_sum_bytes(problem) * problem.layer.groups
        traffic = {
            "ifmap": self.distinct_bytes["ifmap"] * self.repetitions("ifmap", loops),
            "filter": self.distinct_bytes["filter"] * self.repetitions("filter", loops),
            "ofmap": spilled + problem.stored_bytes + problem.loaded_bytes,
        }
        if problem.ifmap_on_chip:
            traffic["ifmap"] = np.zeros_like(traffic["ifmap"])
        steps = rounds * self.trips["m"] * self.trips["n"] * self.trips["k"]
        exposed = self._exposed_cycles(problem, steps)
        total = np.broadcast_to(traffic["ifmap"] + traffic["filter"] + traffic["ofmap"], fits.shape)
        rank = np.lexsort(
            [
                array.ravel()
                for array in np.broadcast_arrays(
                    -self.n[None, :], -self.m[:, None], steps, exposed, total, ~fits
                )
            ]
        )
        i, j = (int(index) for index in np.unravel_index(rank[0], fits.shape))

        def at(array: Integers) -> int:
            return int(np.broadcast_to(array, fits.shape)[i, j])

        return _Candidate(
            loop_order=order,
            loops=loops,
            m=int(self.m[i]),
            n=int(self.n[j]),
            k=self.k,
            groups=self.groups,
            whole_k=self.whole_k,
            dram_bytes={name: at(traffic[name]) for name in OPERANDS},
            exposed_cycles=at(exposed),
            steps=at(steps),
        )

    def partial_sum_bytes(self, problem: TilingProblem) -> Integers:
        """Bytes of one group's partial sums, packed tile by tile."""
        m_length, n_length = problem.lengths["m"], problem.lengths["n"]
        m_full, m_rest = m_length // self.m[:, None], m_length % self.m[:, None]
        n_full, n_rest = n_length // self.n[None, :], n_length % self.n[None, :]

        def packed(results: Integers) -> Integers:
            return -(-results * problem.bits.accumulator // 8)

        m, n = self.m[:, None], self.n[None, :]
        whole_tiles: Integers = m_full * n_full * packed(m * n)
        edge_tiles: Integers = n_full * packed(m_rest * n) + m_full * packed(m * n_rest)
        corner: Integers = packed(m_rest * n_rest)
        return whole_tiles + edge_tiles + corner

    def _exposed_cycles(self, problem: TilingProblem, steps: Integers) -> Integers:
        """An estimate of the cycles in which nothing can overlap, to tell tilings of equal traffic apart."""
        first_and_last = sum(self.largest_bytes[name] for name in OPERANDS)
        rate = problem.dram_bytes_per_cycle
        transfer = -(-first_and_last * rate.denominator // rate.numerator)
        return transfer + steps * problem.dram_latency_cycles + self._fixed_cycles(problem)

    def _fixed_cycles(self, problem: TilingProblem) -> Integers:
        """Preload and skew of all folds; output stationary folds are as many whatever the tiles."""
        if problem.dataflow == "os":
            return np.zeros((1, 1), dtype=np.int64)
        streamed: Dimension
        standing: Dimension
        streamed, standing = ("m", "n") if problem.dataflow == "ws" else ("n", "m")
        folds = -(-problem.lengths[standing] // problem.fold[standing])
        folds *= -(-problem.lengths["k"] // problem.fold["k"]) * problem.layer.groups
        cycles: Integers = self.trips[streamed] * (folds * problem.fold_overhead_cycles)
        return cycles


def _by_cut(totals: Integers, largest: Integers, cuts: list[Spans]) -> tuple[Integers, Integers]:
    """Sums and maxima over the tiles of each way to cut a dimension; all ways stand one behind the other."""
    begins = np.cumsum([0, *(len(cut) for cut in cuts[:-1])])
    return np.add.reduceat(totals, begins), np.maximum.reduceat(largest, begins)


def _does_not_fit(problem: TilingProblem, smallest: Mapping[Dimension, int]) -> UserError:
    layer = problem.layer
    grid = _Grid.of(
        problem,
        np.array([smallest["m"]], dtype=np.int64),
        np.array([smallest["n"]], dtype=np.int64),
        smallest["k"],
        None,
    )
    for name in OPERANDS:
        needed, available = int(grid.largest_bytes[name].max()), problem.tile_bytes[name]
        if needed > available:
            tile = f"{smallest['m']} x {smallest['n']} x {smallest['k']}"
            return UserError(
                f"the {name} buffer is too small for layer {layer.name!r}: its smallest tile ({tile} of "
                f"m x n x k) needs {needed} bytes, one tile may take {available}; {needed - available} bytes "
                "are missing",
                location=f"sram.{name}.capacity_kib",
            )
    return UserError(
        f"layer {layer.name!r} cannot be tiled as fixed: output stationary partial sums stay in the PEs, so "
        "a tile shorter than the reduction must be one fold (tile_m <= rows, tile_n <= columns) under "
        "loop_order ofmap_resident or auto",
        location="tiling",
        value=f"{smallest['m']} x {smallest['n']} x {smallest['k']}",
    )
