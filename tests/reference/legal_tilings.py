"""Every tiling that an architecture file can fix for a small layer, with bytes and cycles none goes below.

Shares no code with `simulator.system`. All tilings are worked out at once, as arrays over their sizes; the
bounds are for leaving out tilings that cannot beat a given one. `tiling.walk` is the definition that
the traffic here is held to.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tests.reference.tiling import LOOPS, Axis, Problem, Tiling, Whole, touched, window_of

Array = npt.NDArray[np.int64]
Table = npt.NDArray[np.float64]

WHOLES: tuple[Whole, ...] = ("neither", "ifmap", "filter")


@dataclass(frozen=True)
class Pace:
    """What the bounds take from the machine: bytes a cycle, latencies, and the array's fixed times."""

    bytes_per_cycle: float
    latency: int
    output_latency: int
    overlap: str
    trimmed: bool
    interval: int = 1
    depth: int = 1


@dataclass(frozen=True)
class Legal:
    """Legal tilings, a row each: images, rows, columns, n, k, groups, number in `LOOPS`, number in `WHOLES`.

    slots: tiles of each operand in its memory; wanted: those that it would have alone; largest: bytes of its
    largest tile. traffic: bytes of the four streams, of codes of whole bytes.
    array: fewest cycles of the array. first: bytes of the first ifmap and filter tile. tiles: tiles of each
    operand in order of their coming.
    """

    rows: Array
    slots: Array
    wanted: Array
    largest: Array
    traffic: Array
    array: Table
    first: Array
    tiles: Array

    def tiling(self, row: int) -> Tiling:
        """One of them."""
        images, rows, columns, n, k, groups, loops, whole = self.rows[row].tolist()
        return Tiling(images, rows, columns, n, k, groups, LOOPS[loops], WHOLES[whole])

    def at(self, places: Array) -> Legal:
        """Some of them."""
        return Legal(*(getattr(self, part.name)[places] for part in fields(self)))

    def with_single(self, operands: int, p: Problem) -> Legal:
        """The same with one tile at a time of some operands (a sum of 1, 2 and 4), where two would fit."""
        single = np.array([operands & 1, operands & 2, operands & 4]) > 0
        changed = (single & (self.wanted == 2)).any(axis=1)
        slots = _pooled(np.where(single, np.minimum(self.wanted, 1), self.wanted), self.largest, p)
        return replace(self, slots=slots).at(np.nonzero(changed)[0])

    def cycles(self, pace: Pace) -> Table:
        """No play takes fewer cycles: the array's own and what it waits for, or those of the channel."""
        rate = pace.bytes_per_cycle
        # The first tiles come one after the other before the first step; the last results leave at the end.
        ends = pace.latency + self.first.sum(axis=1) / rate + pace.output_latency
        # A buffer with room for one tile is filled, or emptied, while the array waits.
        results = self.traffic[:, 3] / self.tiles[:, 2]
        waits = np.zeros((len(self.rows), 3))
        waits[:, :2] = (self.tiles[:, :2] - 1) * pace.latency + (self.traffic[:, :2] - self.first) / rate
        waits[:, 2] = (self.tiles[:, 2] - 1) * (pace.output_latency + results / rate)
        waits[self.slots != 1] = 0
        in_turn = self.array + waits.max(axis=1) + ends
        loads = self.traffic[:, :2].sum(axis=1) / rate + pace.latency + pace.output_latency
        return np.asarray(np.maximum(np.maximum(in_turn, loads), self.traffic.sum(axis=1) / rate))


# --- along one axis


@lru_cache(maxsize=20_000)
def _extents(axis: Axis, first_tap: int, stop_tap: int) -> tuple[Array, Array, Array]:
    """Input positions by tile size from 1 to all outputs: of all tiles, of the largest, of the first."""
    totals, largest, begins = (np.empty(axis.outputs, np.int64) for _ in range(3))
    for size in range(1, axis.outputs + 1):
        extents = [
            len(touched(axis, first, min(axis.outputs, first + size), first_tap, stop_tap))
            for first in range(0, axis.outputs, size)
        ]
        totals[size - 1], largest[size - 1], begins[size - 1] = sum(extents), max(extents), extents[0]
    return totals, largest, begins


@dataclass(frozen=True)
class _Inputs:
    """Input elements of one image and group: [blocks, sizes of k], of all tiles, the largest, the first."""

    total: Array
    largest: Array
    first: Array


def _inputs(p: Problem, rows: Array, columns: Array, k_sizes: Array) -> _Inputs:
    total = np.zeros((len(rows), len(k_sizes)), np.int64)
    largest, begin = np.zeros_like(total), np.zeros_like(total)
    for place, k in enumerate(k_sizes.tolist()):
        windows = Counter(window_of(p, first, min(p.k, first + k)) for first in range(0, p.k, k))
        for number, (w, count) in enumerate(windows.items()):
            down_all, down, top = _extents(p.rows, w.first_row, w.stop_row)
            across_all, across, left = _extents(p.columns, w.first_column, w.stop_column)
            total[:, place] += down_all[rows - 1] * across_all[columns - 1] * (w.channels * count)
            one = down[rows - 1] * across[columns - 1] * w.channels
            largest[:, place] = np.maximum(largest[:, place], one)
            if number == 0:
                begin[:, place] = top[rows - 1] * left[columns - 1] * w.channels
    return _Inputs(total, largest, begin)


def _blocks(p: Problem) -> Array:
    height, width = p.rows.outputs, p.columns.outputs
    one = [(1, r, c) for r in range(1, height + 1) for c in range(1, width + 1)]
    return np.array(one + [(images, height, width) for images in range(2, p.images + 1)])


# --- cycles of the array


def _folds(length: int, sizes: Array, unit: int) -> Array:
    """Folds along one dimension cut in tiles of some sizes."""
    whole, rest = length // sizes, length % sizes
    return whole * (-(-sizes // unit)) + -(-rest // unit)


def _block_folds(p: Problem, blocks: Array, unit: int) -> Array:
    """Folds of the output pixels of all blocks."""
    folds = np.zeros(len(blocks), np.int64)
    lengths = (p.images, p.rows.outputs, p.columns.outputs)
    parts = []
    for axis, length in enumerate(lengths):
        sizes = blocks[:, axis]
        parts.append(((sizes, length // sizes), (length % sizes, np.minimum(1, length % sizes))))
    for images, image_count in parts[0]:
        for rows, row_count in parts[1]:
            for columns, column_count in parts[2]:
                pixels = images * rows * columns
                folds += -(-pixels // unit) * image_count * row_count * column_count
    return folds


def _array_cycles(p: Problem, pace: Pace, blocks: Array, n_sizes: Array, k_sizes: Array) -> Table:
    """Fewest cycles of the array by block, n and k: docs/timing.md, ports and hand-overs at their best."""
    r, c, i, d = p.array_rows, p.array_columns, pace.interval, pace.depth
    m = p.images * p.rows.outputs * p.columns.outputs
    tiles_m = np.ones(len(blocks), np.int64)
    for axis, length in enumerate((p.images, p.rows.outputs, p.columns.outputs)):
        tiles_m *= -(-length // blocks[:, axis])
    if p.dataflow == "os":
        down, across = _block_folds(p, blocks, r)[:, None], _folds(p.n, n_sizes, c)[None, :]
        folds = down * across
        used = m * across + p.n * down  # rows and columns that all folds use
        skew = i * (used - 2 * folds) if pace.trimmed else i * (r + c - 2) * folds
        if pace.overlap == "none":
            cycles = folds * (i * (p.k - 1) + d + r) + skew
        elif pace.overlap == "drain":
            cycles = folds * (i * (p.k - 1) + d) + skew
        else:
            cycles = folds * (i * p.k if pace.trimmed else i * max(p.k, r))
        return np.repeat((cycles * p.groups)[:, :, None], len(k_sizes), axis=2).astype(float)
    down = _folds(p.k, k_sizes, r)[None, None, :]
    tiles_n = -(-p.n // n_sizes)
    if p.dataflow == "ws":
        across, tiles = _folds(p.n, n_sizes, c)[None, :, None], tiles_m[:, None, None]
        standing, streamed = p.n, m
    else:
        across, tiles = _block_folds(p, blocks, c)[:, None, None], tiles_n[None, :, None]
        standing, streamed = m, p.n
    folds = down * across * tiles
    streams = down * across * streamed
    if pace.overlap == "full":
        # Streams, or the preload of the next fold, whichever is longer.
        least = 1 if pace.trimmed else r
        cycles = np.maximum(streams, folds * least)
    else:
        preload = p.k * across * tiles if pace.trimmed else r * folds
        cycles = streams + preload + folds * (i * (r - 1) + d - 1)
        if pace.overlap == "none":
            skew = standing * down * tiles if pace.trimmed else c * folds
            cycles = cycles + skew - folds
    shape = (len(blocks), len(n_sizes), len(k_sizes))
    return np.broadcast_to(cycles * p.groups, shape).astype(float)


# --- all tilings


def _turns(order: str, own: str, counts: dict[str, Array]) -> Array:
    """Tiles in an operand's sequence: loops it does not depend on bring them again where they lie outside."""
    total: Array = np.ones_like(counts["g"])
    inner: npt.NDArray[np.bool_] = np.zeros(counts["g"].shape, bool)
    for letter in reversed(order):
        many = counts[letter] > 1
        if letter in own:
            total = total * counts[letter]
            inner = inner | many
        else:
            total = total * np.where(inner, counts[letter], 1)
    return total


def _slots(largest: Array, tiles: Array, capacity: int, halves: bool) -> Array:
    two = (tiles > 1) & halves & (2 * largest <= capacity)
    return np.where(largest > capacity, 0, np.where(two, 2, 1))


def _pooled(wanted: Array, largest: Array, p: Problem) -> Array:
    """Slots [count, 3] where operands share a capacity: second tiles go, from the last operand on."""
    slots = wanted.copy()
    for pool in set(p.pool):
        members = [operand for operand in (0, 1, 2) if p.pool[operand] == pool]
        for operand in reversed(members):
            over = (slots * largest)[:, members].sum(axis=1) > p.capacity[members[0]]
            slots[over, operand] = np.minimum(1, slots[over, operand])
        over = (slots * largest)[:, members].sum(axis=1) > p.capacity[members[0]]
        slots[np.ix_(over, members)] = 0
    return slots


def legal_tilings(p: Problem, pace: Pace) -> Legal:
    """All legal tilings of a layer of codes of whole bytes."""
    assert all(bits % 8 == 0 for bits in (p.bits.activation, p.bits.weight, p.bits.result))
    blocks, n_sizes, groups = _blocks(p), np.arange(1, p.n + 1), np.arange(1, p.groups + 1)
    whole, pieces = np.array([p.k]), np.arange(1, p.k)
    found = [_Sizes(p, pace, blocks, n_sizes, whole, groups).tilings(WHOLES[:1])]
    if p.dataflow == "os":  # a piece of the reduction belongs to one fold
        blocks = blocks[blocks.prod(axis=1) <= p.array_rows]
        n_sizes, groups = n_sizes[: p.array_columns], groups[:1]
    if len(blocks) and len(pieces):
        found.append(_Sizes(p, pace, blocks, n_sizes, pieces, groups).tilings(WHOLES))
    return Legal(*(np.concatenate([getattr(part, f.name) for part in found]) for f in fields(Legal)))


class _Sizes:
    """Sizes of tiles, all combined: arrays over [block, n, k, groups]."""

    def __init__(
        self, p: Problem, pace: Pace, blocks: Array, n_sizes: Array, k_sizes: Array, groups: Array
    ) -> None:
        self.p, self.blocks, self.n_sizes, self.k_sizes, self.groups = p, blocks, n_sizes, k_sizes, groups
        self.shape = (len(blocks), len(n_sizes), len(k_sizes), len(groups))
        self.inputs = _inputs(p, blocks[:, 1], blocks[:, 2], k_sizes)
        self.whole_inputs = _inputs(p, blocks[:, 1], blocks[:, 2], np.array([p.k]))
        self.array = _array_cycles(p, pace, blocks, n_sizes, k_sizes)
        self.images = blocks[:, 0][:, None, None, None]
        self.pixels = blocks.prod(axis=1)[:, None, None, None]
        self.n, self.k, self.g = n_sizes[None, :, None, None], k_sizes[None, None, :, None], groups
        tiles_m = np.ones(len(blocks), np.int64)
        for axis, length in enumerate((p.images, p.rows.outputs, p.columns.outputs)):
            tiles_m *= -(-length // blocks[:, axis])
        self.counts = {
            "m": np.broadcast_to(tiles_m[:, None, None, None], self.shape),
            "n": np.broadcast_to(-(-p.n // self.n), self.shape),
            "k": np.broadcast_to(-(-p.k // self.k), self.shape),
            "g": np.broadcast_to(-(-p.groups // self.g), self.shape),
        }

    @property
    def ofmap_tile(self) -> Array:
        """Bytes of an output tile: sums and what is added where sums pass it, else the wider of both."""
        bits = self.p.bits
        passes = (self.k < self.p.k) | (self.p.k > self.p.array_rows)
        with_sums = max(bits.accumulator, bits.result) + bits.residual
        width = np.where(passes & (self.p.dataflow != "os"), with_sums, max(bits.result, bits.residual))
        return np.asarray((self.pixels * self.n * self.g * width + 7) // 8)

    def tilings(self, wholes: tuple[Whole, ...]) -> Legal:
        """The legal ones, with every order of loops."""
        ordered = [self._ordered(loops, whole) for loops in range(len(LOOPS)) for whole in range(len(wholes))]
        return Legal(*(np.concatenate([getattr(part, f.name) for part in ordered]) for f in fields(Legal)))

    def _ordered(self, loops: int, number: int) -> Legal:
        p, counts, shape = self.p, self.counts, self.shape
        order, whole = "g" + LOOPS[loops], WHOLES[number]
        own_i, own_f = "gm" if whole == "ifmap" else "gmk", "gn" if whole == "filter" else "gnk"
        inputs = self.whole_inputs if whole == "ifmap" else self.inputs
        activation, weight = p.bits.activation // 8, p.bits.weight // 8

        def bytes_of_inputs(elements: Array) -> Array:
            tile = elements[:, None, :, None] * self.images * self.g * activation
            return np.broadcast_to(tile, shape)

        held_f = np.broadcast_to(self.n * (p.k if whole == "filter" else self.k) * self.g * weight, shape)
        loads_i, loads_f = _turns(order, own_i, counts), _turns(order, own_f, counts)
        visits = _turns(order, "gmn", counts)
        tiles = (loads_i, loads_f, visits)
        largest = (bytes_of_inputs(inputs.largest), held_f, np.broadcast_to(self.ofmap_tile, shape))
        alone = [_slots(*each) for each in zip(largest, tiles, p.capacity, p.halves, strict=True)]
        wanted = np.stack([each.ravel() for each in alone], axis=-1)
        sizes_of_tiles = np.stack([each.ravel() for each in largest], axis=-1)
        slots = _pooled(wanted, sizes_of_tiles, p)
        legal = (slots > 0).all(axis=1).reshape(shape)
        distinct = counts["g"] * counts["m"] * counts["n"]
        if p.dataflow == "os":
            legal &= visits == distinct
        place = np.nonzero(legal)
        kept = np.nonzero(legal.ravel())[0]
        again_i = loads_i[place] // _turns(own_i, own_i, counts)[place]
        again_f = loads_f[place] // _turns(own_f, own_f, counts)[place]
        total_i = np.broadcast_to(inputs.total[:, None, :, None], shape)[place]
        spilled = p.results * p.bits.accumulator // 8 * (visits[place] // distinct[place] - 1)
        added, stored = p.added * p.bits.residual // 8, p.stored * p.bits.result // 8
        streams = (
            total_i * again_i * (p.images * p.groups * activation),
            p.k * p.n * p.groups * weight * again_f,
            spilled + added,
            spilled + stored,
        )
        sizes = (self.n_sizes[place[1]], self.k_sizes[place[2]], self.groups[place[3]])
        nest = (np.full(len(place[0]), loops), np.full(len(place[0]), number))
        return Legal(
            rows=np.column_stack([self.blocks[place[0]], *sizes, *nest]),
            slots=slots[kept],
            wanted=wanted[kept],
            largest=sizes_of_tiles[kept],
            traffic=np.stack(streams, axis=-1),
            array=self.array[place[:3]],
            first=np.stack([bytes_of_inputs(inputs.first)[place], held_f[place]], axis=-1),
            tiles=np.stack([each[place] for each in tiles], axis=-1),
        )
