"""What one tile costs the array, compiled: cycles until the next tile may begin, delays, accesses."""

from __future__ import annotations

from typing import NamedTuple

from simulator.array.fold_kernels import (
    Folds,
    TimingCode,
    chain_end,
    chain_split,
    column_folds,
    folds_of,
    last_columns,
    last_rows,
    row_folds,
    split_total,
)
from simulator.dataflow import AXES, Dataflow
from simulator.numerics.engines.compiled import helper, kernel
from simulator.operands import OFMAP
from simulator.system.footprint import Integers
from simulator.system.ports import (
    Delay,
    Edges,
    delay_of_results,
    delay_of_stationary,
    operand_pace,
    stationary_pace,
    words_of,
)


class Tile(NamedTuple):
    """Shape of one step: sizes, whole groups; 1 where its reduction begins and ends the layer's."""

    m: int
    n: int
    k: int
    groups: int
    starts: int
    ends: int


PIXELS, CHANNELS, REDUCTION = range(3)
"""Dimensions of a tile, in the order of `AXES`."""


class Laid(NamedTuple):
    """Which dimension of a tile lies where on the upright array."""

    rows: int
    columns: int
    streamed: int


def laid(flow: Dataflow) -> Laid:
    """Where a dataflow lays the dimensions."""
    upright = flow.upright
    return Laid(*(AXES.index(axis) for axis in (upright.rows, upright.columns, upright.time)))


class Array(NamedTuple):
    """The upright array as a layer sees it, and the length of the layer's whole reduction.

    fold_pixels, fold_channels: how many of each a fold holds side by side; 1 where they stream.
    whole_results, whole_residuals: 1 where every result is stored (no pooling), and where every result has a
    residual operand; such results pass the ofmap buffer vector by vector.
    """

    laid: Laid
    timing: TimingCode
    edges: Edges
    k: int
    fold_pixels: int
    fold_channels: int
    whole_results: int
    whole_residuals: int


CYCLES, PORT, OUTPUT, TAIL = 0, 1, 2, 3
COMPUTE, FILL, DRAIN, SHIFTING = 4, 5, 6, 7
FOLDS = 8
ACTIVATIONS, WEIGHTS, SUMS_READ, SUMS_WRITTEN = 9, 10, 11, 12
ACTIVATION_WORDS, WEIGHT_WORDS, SUM_READ_WORDS, SUM_WRITE_WORDS, RESULT_WORDS, RESIDUAL_WORDS = (
    13,
    14,
    15,
    16,
    17,
    18,
)
HELD_ROWS = 19
COSTS = 20
"""Places in a row of costs: cycles of a step, its split, folds, elements and macro words at the edges, and
rows of operands that stay, over all folds."""


@helper
def tile_folds(array: Array, tile: Tile) -> Folds:
    """The chain of folds of a tile, its own part of the reduction only."""
    sizes, laid = (tile.m, tile.n, tile.k), array.laid
    return folds_of(array.timing, sizes[laid.rows], sizes[laid.columns], sizes[laid.streamed], tile.groups)


@helper
def _whole_folds(array: Array, tile: Tile) -> Folds:
    """Folds with sums that stay that a tile belongs to, with the layer's whole reduction."""
    return tile_folds(array, Tile(tile.m, tile.n, array.k, tile.groups, tile.starts, tile.ends))


@kernel
def beside_next_fold(array: Array) -> int:
    """Cycles in which an output-stationary fold's results may leave while the next one is under way."""
    return 0 if array.timing.overlap == 0 else array.timing.interval * array.k


@helper
def _stays_delay(array: Array, tile: Tile, f: Folds) -> Delay:
    t, e = array.timing, array.edges
    port, output = 0, 0
    for wide in range(2):
        columns, column_count = (
            (t.columns, f.columns_full) if wide else (f.columns_rest, min(1, f.columns_rest))
        )
        if not column_count:
            continue
        for high in range(2):
            rows, row_count = (t.rows, f.rows_full) if high else (f.rows_rest, min(1, f.rows_rest))
            if not row_count:
                continue
            times = row_count * column_count * f.groups
            port += times * tile.k * (operand_pace(e, rows, columns, t.interval) - t.interval)
            if tile.ends:
                late = delay_of_results(e, rows, columns, beside_next_fold(array))
                port += times * late.port
                output += times * late.output
    return Delay(port, output)


@helper
def _passes_delay(array: Array, tile: Tile, f: Folds) -> Delay:
    """Folds along the reduction differ by whether they begin or end it."""
    t, e = array.timing, array.edges
    port, output = 0, 0
    count = row_folds(f)
    for wide in range(2):
        columns, column_count = (
            (t.columns, f.columns_full) if wide else (f.columns_rest, min(1, f.columns_rest))
        )
        if not column_count:
            continue
        for kind in range(3):  # the first fold, the last one if it is another, those between
            if kind == 0:
                position, times = 0, 1
            elif kind == 1:
                position, times = count - 1, 1 if count > 1 else 0
            else:
                position, times = 1, max(0, count - 2)
            if not times:
                continue
            rows = last_rows(t, f) if position == count - 1 else t.rows
            first = 1 if tile.starts and position == 0 else 0
            last = 1 if tile.ends and position == count - 1 else 0
            pace = stationary_pace(e, rows, columns, first, last)
            late = delay_of_stationary(pace, rows, f.streamed)
            port += late.port * times * column_count * f.groups
            output += late.output * times * column_count * f.groups
    return Delay(port, output)


@helper
def _count_accesses(array: Array, tile: Tile, f: Folds, row: Integers) -> None:
    """Elements and macro words that cross the edges."""
    t, e = array.timing, array.edges
    down, across = row_folds(f), column_folds(f)
    results = tile.m * tile.n * tile.groups
    row[ACTIVATIONS] = tile.m * tile.k * tile.groups
    row[WEIGHTS] = tile.n * tile.k * tile.groups
    row[RESULT_WORDS] = row[RESIDUAL_WORDS] = 0
    high = f.rows_full * words_of(t.rows, e.left.bits, e.macro[e.left.operand])
    high += words_of(f.rows_rest, e.left.bits, e.macro[e.left.operand])
    wide = f.columns_full * words_of(t.columns, e.top.bits, e.macro[e.top.operand])
    wide += words_of(f.columns_rest, e.top.bits, e.macro[e.top.operand])
    row[ACTIVATIONS + e.left.operand] *= across
    row[ACTIVATION_WORDS + e.left.operand] = high * across * f.streamed * f.groups
    # Where sums stay, what moves down does so for every fold of its column; folds count where they end.
    stay, move = t.outputs_stay, 1 - t.outputs_stay
    passes = down * stay + move
    row[ACTIVATIONS + e.top.operand] *= passes
    row[ACTIVATION_WORDS + e.top.operand] = wide * tile.k * f.groups * passes
    row[FOLDS] = down * across * f.groups * max(tile.ends, move)
    row[HELD_ROWS] = tile.k * across * f.groups * move
    vectors = ((f.rows_full * t.rows + f.rows_rest) * stay + f.streamed * move) * f.groups
    sum_folds_read, sum_folds_written = (down - tile.starts) * move, (down - tile.ends) * move
    sums = f.columns_full * words_of(t.columns, e.sum_bits, e.macro[OFMAP])
    sums += words_of(f.columns_rest, e.sum_bits, e.macro[OFMAP])
    row[SUMS_READ], row[SUMS_WRITTEN] = results * sum_folds_read, results * sum_folds_written
    row[SUM_READ_WORDS] = sums * vectors * sum_folds_read
    row[SUM_WRITE_WORDS] = sums * vectors * sum_folds_written
    if tile.ends and array.whole_results:
        words = f.columns_full * words_of(t.columns, e.result_bits, e.macro[OFMAP])
        words += words_of(f.columns_rest, e.result_bits, e.macro[OFMAP])
        row[RESULT_WORDS] = words * vectors
    if tile.ends and array.whole_residuals:
        words = f.columns_full * words_of(t.columns, e.residual_bits, e.macro[OFMAP])
        words += words_of(f.columns_rest, e.residual_bits, e.macro[OFMAP])
        row[RESIDUAL_WORDS] = words * vectors


@helper
def _cost_of_staying(
    array: Array, tile: Tile, following: Tile, follows: int, goes_on: int, own: Folds, row: Integers
) -> None:
    """The cycles of a tile whose sums stay, or of a piece of its reduction.

    A piece streams on into the sums that the PEs hold; skew and shifting out belong to the last piece.
    """
    t = array.timing
    delay = _stays_delay(array, tile, own)
    row[PORT], row[OUTPUT] = delay.port, delay.output
    if not tile.ends:
        row[CYCLES] = row[COMPUTE] = t.interval * tile.k
        row[TAIL] = row[FILL] = row[DRAIN] = row[SHIFTING] = 0
        return
    chain = _whole_folds(array, tile)
    until = chain_split(t, chain, _whole_folds(array, following), follows, goes_on)
    rows, columns = last_rows(t, chain), last_columns(t, chain)
    slow = delay_of_results(array.edges, rows, columns, 0)
    counted = delay_of_results(array.edges, rows, columns, beside_next_fold(array))
    late = slow.port + slow.output - counted.port - counted.output
    streamed_before = t.interval * (array.k - tile.k)
    row[TAIL] = max(0, chain_end(t, chain) - split_total(until)) + late
    row[COMPUTE] = until.compute - streamed_before
    row[FILL], row[DRAIN], row[SHIFTING] = until.fill, until.drain, until.shifting
    row[CYCLES] = split_total(until) - streamed_before


@kernel
def cost_of_step(
    array: Array, tile: Tile, following: Tile, follows: int, goes_on: int, row: Integers
) -> None:
    """Write what a tile costs in front of the one that follows it into a row of `COSTS` numbers.

    follows: 0 where nothing follows, `following` is then not looked at.
    goes_on: 1 where the following tile adds to the same outputs.
    """
    t = array.timing
    own = tile_folds(array, tile)
    _count_accesses(array, tile, own, row)
    if t.outputs_stay:
        _cost_of_staying(array, tile, following, follows, goes_on, own, row)
        return
    delay = _passes_delay(array, tile, own)
    row[PORT], row[OUTPUT] = delay.port, delay.output
    until = chain_split(t, own, tile_folds(array, following), follows, goes_on)
    row[TAIL] = max(0, chain_end(t, own) - split_total(until))
    row[COMPUTE], row[FILL], row[DRAIN], row[SHIFTING] = (
        until.compute,
        until.fill,
        until.drain,
        until.shifting,
    )
    row[CYCLES] = split_total(until)
