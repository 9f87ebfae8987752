"""When the folds of a tile begin on the array, narrow ports and a slow output path included; compiled."""

from __future__ import annotations

from simulator.array.fold_kernels import (
    chain_start,
    column_folds,
    last_columns,
    last_rows,
    row_folds,
    split_total,
)
from simulator.numerics.engines.compiled import kernel
from simulator.system.footprint import Integers
from simulator.system.ports import (
    delay_of_results,
    delay_of_stationary,
    operand_pace,
    stationary_pace,
)
from simulator.system.tile_work import (
    Array,
    Tile,
    beside_next_fold,
    tile_folds,
)

GROUP, COLUMN, ROW, ROWS, COLUMNS, START = range(6)
PLACES = 6
"""Places in a row about a fold: its group, its place in the grid of folds, what it uses of the array, and the
cycle of its first vector, from the beginning of the step."""


@kernel
def count_folds(array: Array, tile: Tile) -> int:
    """Folds of a tile."""
    f = tile_folds(array, tile)
    return row_folds(f) * column_folds(f) * f.groups


@kernel
def place_folds(array: Array, tile: Tile, first: int, late: int, folds: Integers) -> int:
    """Write the folds from number `first` on into `folds`, [count, `PLACES`], in the order of the array.

    late: cycles by which the folds before them were longer than their phases; returned with these folds' own.
    """
    t, e = array.timing, array.edges
    f = tile_folds(array, tile)
    down, across = row_folds(f), column_folds(f)
    for i in range(len(folds)):
        index = first + i
        row, column, group = index % down, index // down % across, index // (down * across)
        rows = last_rows(t, f) if row == down - 1 else t.rows
        columns = last_columns(t, f) if column == across - 1 else t.columns
        folds[i, GROUP], folds[i, COLUMN], folds[i, ROW] = group, column, row
        folds[i, ROWS], folds[i, COLUMNS] = rows, columns
        folds[i, START] = late + split_total(chain_start(t, f, group, column, row))
        if t.outputs_stay:
            late += tile.k * (operand_pace(e, rows, columns, t.interval) - t.interval)
            if tile.ends:
                results = delay_of_results(e, rows, columns, beside_next_fold(array))
                late += results.port + results.output
        else:
            begins = 1 if tile.starts and row == 0 else 0
            ends = 1 if tile.ends and row == down - 1 else 0
            pace = stationary_pace(e, rows, columns, begins, ends)
            streaming = delay_of_stationary(pace, rows, f.streamed)
            late += streaming.port + streaming.output
    return late
