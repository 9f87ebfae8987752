"""Every tiling that an architecture file can fix for a small layer, with bytes and cycles that none goes below.

Shares no code with `simulator.system`. All tilings are worked out at once, as arrays over their sizes; the
bounds are for leaving out tilings that cannot be better than a given one. `tiling.walk` is the definition that
the traffic here is held to.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
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

    slots: tiles of each operand in its buffer. traffic: bytes of the four streams where codes are whole bytes.
    cycles: no play takes fewer.
    """

    rows: Array
    slots: Array
    traffic: Array
    cycles: Table

    def tiling(self, row: int) -> Tiling:
        """One of them."""
        *sizes, loops, whole = self.rows[row].tolist()
        return Tiling(*sizes, LOOPS[loops], WHOLES[whole])


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


def legal_tilings(p: Problem, pace: Pace) -> Legal:
    """All legal tilings of a layer of codes of whole bytes."""
    assert not (p.bits.activation % 8 or p.bits.weight % 8 or p.bits.result % 8)
    blocks = _blocks(p)
    sizes = {"n": np.arange(1, p.n + 1), "k": np.arange(1, p.k + 1), "g": np.arange(1, p.groups + 1)}
    inputs = _inputs(p, blocks[:, 1], blocks[:, 2], sizes["k"])
    array = _array_cycles(p, pace, blocks, sizes["n"], sizes["k"])
    shape = (len(blocks), p.n, p.k, p.groups)
    pixels = blocks.prod(axis=1)[:, None, None, None]
    n, k, g = (sizes[x].reshape([-1 if y == x else 1 for y in "bnkg"]) for x in "nkg")
    tiles_m = np.ones(len(blocks), np.int64)
    for axis, length in enumerate((p.images, p.rows.outputs, p.columns.outputs)):
        tiles_m *= -(-length // blocks[:, axis])
    counts = {
        "m": np.broadcast_to(tiles_m[:, None, None, None], shape),
        "n": np.broadcast_to(-(-p.n // n), shape),
        "k": np.broadcast_to(-(-p.k // k), shape),
        "g": np.broadcast_to(-(-p.groups // g), shape),
    }
    passes = (k < p.k) | (p.k > p.array_rows) if p.dataflow != "os" else np.zeros_like(k, bool)
    tile_bits = np.where(passes, p.bits.accumulator, max(p.bits.result, p.bits.residual))
    ofmap_tile = (pixels * n * g * tile_bits + 7) // 8
    activation, weight = p.bits.activation // 8, p.bits.weight // 8
    sums = p.results * p.bits.accumulator // 8
    added, stored = p.added * p.bits.residual // 8, p.stored * p.bits.result // 8
    found = []
    for loops, letters in enumerate(LOOPS):
        order = "g" + letters
        for number, whole in enumerate(WHOLES):
            held_i = inputs.largest[:, -1:] if whole == "ifmap" else inputs.largest
            held_i = held_i[:, None, :, None] * blocks[:, 0][:, None, None, None] * g * activation
            held_f = n * (p.k if whole == "filter" else k) * g * weight
            loads_i = _turns(order, "gm" if whole == "ifmap" else "gmk", counts)
            loads_f = _turns(order, "gn" if whole == "filter" else "gnk", counts)
            visits = _turns(order, "gmn", counts)
            slots = np.stack(
                [
                    _slots(np.broadcast_to(held_i, shape), loads_i, p.capacity[0], p.halves[0]),
                    _slots(np.broadcast_to(held_f, shape), loads_f, p.capacity[1], p.halves[1]),
                    _slots(np.broadcast_to(ofmap_tile, shape), visits, p.capacity[2], p.halves[2]),
                ],
                axis=-1,
            )
            legal = (slots > 0).all(axis=-1)
            distinct = counts["g"] * counts["m"] * counts["n"]
            if whole != "neither":  # with the whole reduction in a tile all operands are whole anyway
                legal &= counts["k"] > 1
            if p.dataflow == "os":
                one_fold = (pixels <= p.array_rows) & (n <= p.array_columns) & (g == 1)
                legal &= (counts["k"] == 1) | (one_fold & (visits == distinct))
            total_i = inputs.total[:, -1:] if whole == "ifmap" else inputs.total
            again_i = loads_i // _turns("gmk", "gm" if whole == "ifmap" else "gmk", counts)
            again_f = loads_f // _turns("gnk", "gn" if whole == "filter" else "gnk", counts)
            spilled = sums * (visits // distinct - 1)
            traffic = np.stack(
                np.broadcast_arrays(
                    total_i[:, None, :, None] * again_i * (p.images * p.groups * activation),
                    p.k * p.n * p.groups * weight * again_f,
                    spilled + added,
                    spilled + stored,
                ),
                axis=-1,
            )
            place = np.nonzero(legal)
            b = place[0]
            rows = np.column_stack(
                [blocks[b], place[1] + 1, place[2] + 1, place[3] + 1]
                + [np.full(len(b), loops), np.full(len(b), number)]
            )
            first_i = inputs.first[:, -1:] if whole == "ifmap" else inputs.first
            first_i = first_i[:, None, :, None] * blocks[:, 0][:, None, None, None] * g * activation
            cycles = _bound(
                pace,
                array[place[:3]],
                traffic[place],
                np.broadcast_to(first_i, shape)[place],
                np.broadcast_to(held_f, shape)[place],
                np.stack([loads_i[place], loads_f[place], visits[place]], axis=-1),
                slots[place],
            )
            found.append((rows, slots[place], traffic[place], cycles))
    return Legal(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _bound(
    pace: Pace, array: Table, traffic: Array, first_i: Array, first_f: Array, tiles: Array, slots: Array
) -> Table:
    """Cycles that any play takes: the array's own and what it waits for, or those of the channel."""
    rate = pace.bytes_per_cycle
    # The first tiles come one after the other before the first step; the last results leave after the last.
    results = traffic[:, 3] / tiles[:, 2]
    ends = pace.latency + (first_i + first_f) / rate + pace.output_latency
    # A buffer with room for one tile is filled, or emptied, while the array waits.
    waits = np.zeros((len(array), 3))
    waits[:, 0] = (tiles[:, 0] - 1) * pace.latency + (traffic[:, 0] - first_i) / rate
    waits[:, 1] = (tiles[:, 1] - 1) * pace.latency + (traffic[:, 1] - first_f) / rate
    waits[:, 2] = (tiles[:, 2] - 1) * (pace.output_latency + results / rate)
    waits[slots != 1] = 0
    in_turn = array + waits.max(axis=1) + ends
    loads = traffic[:, :2].sum(axis=1) / rate + pace.latency + pace.output_latency
    return np.asarray(np.maximum(np.maximum(in_turn, loads), traffic.sum(axis=1) / rate))
