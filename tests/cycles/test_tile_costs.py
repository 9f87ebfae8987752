"""What does one tile cost the array? Accesses, words, cycles and delays of small tiles, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.array.fold_kernels import OVERLAP_DRAIN, OVERLAP_FULL, OVERLAP_NONE, TimingCode
from simulator.dataflow import DATAFLOWS
from simulator.operands import FILTER, IFMAP
from simulator.system import tile_work
from simulator.system.ports import Edges, Side
from simulator.system.tile_work import Array, Laid, Tile, cost_of_step, laid

WIDE = 1 << 16
EDGES = Edges(
    left=Side(IFMAP, 8, 0, 2),
    top=Side(FILTER, 4, 1, 2),
    ifmap_bits=8,
    filter_bits=4,
    sum_bits=24,
    result_bits=8,
    residual_bits=16,
    word=(WIDE, WIDE, WIDE),
    ports=(1, 1, 1),
    macro=(16, 8, 32),
    turns=(0, 1, 2),
    values_per_cycle=3,
)
"""Memories that never make a vector wait."""

PLACES = (
    "CYCLES", "PORT", "OUTPUT", "TAIL", "COMPUTE", "FILL", "DRAIN", "SHIFTING", "FOLDS", "ACTIVATIONS",
    "WEIGHTS", "SUMS_READ", "SUMS_WRITTEN", "ACTIVATION_WORDS", "WEIGHT_WORDS", "SUM_READ_WORDS",
    "SUM_WRITE_WORDS", "RESULT_WORDS", "RESIDUAL_WORDS", "HELD_ROWS",
)  # fmt: skip
PHASES = ("COMPUTE", "FILL", "DRAIN", "SHIFTING")
SUMS = ("SUMS_READ", "SUMS_WRITTEN", "SUM_READ_WORDS", "SUM_WRITE_WORDS")

NO_RESIDUALS = EDGES._replace(residual_bits=0)


def array_of(dataflow: str, edges: Edges = EDGES, k: int = 6, **timing: int) -> Array:
    """Two rows and three columns."""
    stays = int(dataflow == "os")
    code = TimingCode(stays, OVERLAP_NONE, 0, 2, 3, shift_out=2, depth=1, interval=1)._replace(**timing)
    return Array(laid(DATAFLOWS[dataflow]), code, edges, k, 1, 1, 1, int(edges.residual_bits > 0))


def cost(array: Array, tile: Tile) -> dict[str, int]:
    """What a tile that nothing follows costs, by name."""
    row = np.zeros(tile_work.COSTS, np.int64)
    cost_of_step(array, tile, tile, 0, 0, row)
    return {name: int(row[getattr(tile_work, name)]) for name in PLACES}


def test_places_in_a_row_of_costs_are_told_apart() -> None:
    places = [getattr(tile_work, name) for name in PLACES]
    assert sorted(places) == list(range(tile_work.COSTS))


@pytest.mark.parametrize(
    ("dataflow", "expected"),
    [("os", Laid(0, 1, 2)), ("ws", Laid(2, 1, 0)), ("is", Laid(2, 0, 1)), ("wst", Laid(2, 1, 0))],
)
def test_a_dataflow_lays_pixels_channels_and_reduction_on_the_upright_array(
    dataflow: str, expected: Laid
) -> None:
    assert laid(DATAFLOWS[dataflow]) == expected


def test_results_may_leave_while_the_next_fold_computes_if_folds_overlap() -> None:
    assert tile_work.beside_next_fold(array_of("os", interval=2)) == 0
    assert tile_work.beside_next_fold(array_of("os", interval=2, overlap=OVERLAP_FULL)) == 2 * 6


STAYS = Tile(m=5, n=4, k=6, groups=2, starts=1, ends=1)
"""Rows 2 + 2 + 1, columns 3 + 1: six folds in each of two groups."""


def test_accesses_where_sums_stay() -> None:
    found = cost(array_of("os"), STAYS)
    assert found["FOLDS"] == 12
    assert found["ACTIVATIONS"] == 5 * 6 * 2 * 2  # again for every column of folds
    assert found["WEIGHTS"] == 4 * 6 * 2 * 3  # and for every row of folds
    assert found["ACTIVATION_WORDS"] == (1 + 1 + 1) * 2 * 6 * 2  # 16, 16 and 8 bits in words of 16
    assert found["WEIGHT_WORDS"] == (2 + 1) * 3 * 6 * 2  # 12 and 4 bits in words of 8
    assert found["RESULT_WORDS"] == (1 + 1) * 5 * 2  # 24 and 8 bits in words of 32, for each row
    assert found["RESIDUAL_WORDS"] == (2 + 1) * 5 * 2  # 48 and 16 bits
    assert [found[name] for name in SUMS] == [0] * 4
    assert found["HELD_ROWS"] == 0


def test_cycles_where_sums_stay() -> None:
    found = cost(array_of("os"), STAYS)
    # Each fold: 6 products, a skew of 2 + 3 - 2, and 2 rows that shift out.
    assert [found[name] for name in PHASES] == [12 * 6, 12 * 3, 12 * 2, 12 * 2]
    assert found["CYCLES"] == 12 * 11
    assert (found["TAIL"], found["PORT"], found["OUTPUT"]) == (0, 0, 0)


def test_a_piece_of_a_reduction_streams_on_into_its_sums() -> None:
    piece = cost(array_of("os", k=10, interval=3), Tile(2, 3, 4, 1, starts=0, ends=0))
    assert piece["CYCLES"] == piece["COMPUTE"] == 3 * 4
    assert [piece[name] for name in ("FILL", "DRAIN", "SHIFTING", "TAIL", "FOLDS")] == [0] * 5
    assert (piece["RESULT_WORDS"], piece["RESIDUAL_WORDS"]) == (0, 0)
    last = cost(array_of("os", k=10, interval=3), Tile(2, 3, 4, 1, starts=0, ends=1))
    # All ten products take 3 x 9 + 1; six of them, 3 x 6, were before.
    assert (last["COMPUTE"], last["FILL"], last["DRAIN"]) == (28 - 18, 3 * 3, 2)
    assert last["CYCLES"] == 10 + 9 + 2


def test_operands_through_a_narrow_port_delay_folds_whose_sums_stay() -> None:
    # Two rows take two words of 8 bits, one row one: 8 of 12 folds are late by 6 vectors of a cycle.
    assert cost(array_of("os", EDGES._replace(word=(8, WIDE, WIDE))), STAYS)["PORT"] == 8 * 6
    # Three columns take two words of 8 bits, one column one: 6 of 12 folds.
    assert cost(array_of("os", EDGES._replace(word=(WIDE, 8, WIDE))), STAYS)["PORT"] == 6 * 6


def test_results_through_a_narrow_port_or_path_delay_folds_whose_sums_stay() -> None:
    # Three columns take three words of 8 bits, two more than a cycle; 5 rows in two groups.
    narrow = array_of("os", NO_RESIDUALS._replace(word=(WIDE, WIDE, 8)))
    found = cost(narrow, STAYS)
    assert (found["PORT"], found["OUTPUT"]) == (2 * 5 * 2, 0)
    slow = array_of("os", NO_RESIDUALS._replace(values_per_cycle=1))
    found = cost(slow, STAYS)
    assert (found["PORT"], found["OUTPUT"]) == (0, 2 * 5 * 2)
    assert cost(slow._replace(k=9), STAYS._replace(m=2, n=3, ends=0))["OUTPUT"] == 0


PASSES = Tile(m=5, n=4, k=5, groups=2, starts=1, ends=1)
"""Rows 2 + 2 + 1, columns 3 + 1, 5 pixels that stream."""


@pytest.mark.parametrize(
    ("starts", "ends", "read", "written"), [(1, 1, 2, 2), (0, 1, 3, 2), (1, 0, 2, 3), (0, 0, 3, 3)]
)
def test_accesses_where_weights_stay(starts: int, ends: int, read: int, written: int) -> None:
    found = cost(array_of("ws", k=5), PASSES._replace(starts=starts, ends=ends))
    assert found["FOLDS"] == 12
    assert found["ACTIVATIONS"] == 5 * 5 * 2 * 2
    assert found["WEIGHTS"] == 4 * 5 * 2  # once
    assert found["ACTIVATION_WORDS"] == 3 * 2 * 5 * 2
    assert found["WEIGHT_WORDS"] == 3 * 5 * 2
    assert found["HELD_ROWS"] == 5 * 2 * 2
    # The first fold of a reduction reads no sums, the last one writes none; 72 and 24 bits in words of 32.
    assert (found["SUMS_READ"], found["SUMS_WRITTEN"]) == (5 * 4 * 2 * read, 5 * 4 * 2 * written)
    assert found["SUM_READ_WORDS"] == (3 + 1) * 5 * 2 * read
    assert found["SUM_WRITE_WORDS"] == (3 + 1) * 5 * 2 * written
    assert found["RESULT_WORDS"] == (1 + 1) * 5 * 2 * ends
    assert found["RESIDUAL_WORDS"] == (2 + 1) * 5 * 2 * ends


def test_results_that_are_pooled_are_not_stored_one_by_one() -> None:
    for dataflow, tile in (("os", STAYS), ("ws", PASSES)):
        found = cost(array_of(dataflow, k=tile.k)._replace(whole_results=0, whole_residuals=0), tile)
        assert (found["RESULT_WORDS"], found["RESIDUAL_WORDS"]) == (0, 0)


def test_cycles_where_weights_stay() -> None:
    found = cost(array_of("ws", k=5), PASSES)
    # Each fold: 2 rows come in and a sum goes down past one more, 5 vectors, 2 columns behind the first.
    assert [found[name] for name in PHASES] == [12 * 5, 12 * 3, 12 * 2, 12 * 2]
    assert found["CYCLES"] == 12 * 10
    assert (found["TAIL"], found["PORT"], found["OUTPUT"]) == (0, 0, 0)


def test_operands_through_narrow_ports_delay_folds_where_weights_stay() -> None:
    # Three columns of weights take two words of 8 bits, so a row of them is a cycle late; so are two rows.
    narrow = array_of("ws", NO_RESIDUALS._replace(word=(8, 8, WIDE)), k=5)
    wide_folds = (2 + 5) + (2 + 5) + (1 + 0)
    small_folds = 5 + 5 + 0
    found = cost(narrow, PASSES)
    assert (found["PORT"], found["OUTPUT"]) == (2 * (wide_folds + small_folds), 0)


@pytest.mark.parametrize(
    ("starts", "ends", "late"),
    # Words of 24 bits, one a cycle. A column moves one for the first fold, two for one in the middle and one
    # and a third for the last; two for the first where sums come back, two for the last where they go on.
    [(1, 1, (2 + 5 + 3) + (0 + 1 + 1)), (0, 1, (5 + 5 + 3) + (1 + 1 + 1)), (1, 0, (2 + 5 + 5) + (0 + 1 + 1))],
)
def test_sums_through_a_narrow_port_delay_folds_where_weights_stay(starts: int, ends: int, late: int) -> None:
    narrow = array_of("ws", NO_RESIDUALS._replace(word=(WIDE, WIDE, 24)), k=5)
    assert cost(narrow, PASSES._replace(starts=starts, ends=ends))["PORT"] == 5 * 2 * late


def test_only_the_last_fold_of_a_reduction_waits_for_the_output_path() -> None:
    slow = array_of("ws", NO_RESIDUALS._replace(values_per_cycle=1), k=5)
    found = cost(slow, PASSES)
    assert (found["PORT"], found["OUTPUT"]) == (0, 5 * 2 * 2)
    assert cost(slow, PASSES._replace(ends=0))["OUTPUT"] == 0
    one_fold = Tile(m=5, n=3, k=2, groups=1, starts=1, ends=1)
    assert cost(slow._replace(k=2), one_fold)["OUTPUT"] == 5 * 2
    two_folds = one_fold._replace(k=4)
    assert cost(slow._replace(k=4), two_folds)["OUTPUT"] == 5 * 2


def test_folds_of_several_whole_columns_are_late_one_by_one() -> None:
    # Columns 3 + 3 + 1, rows 2 + 2 + 1: the 6 of 9 folds with two rows are late by 6 vectors, in two groups.
    narrow = array_of("os", EDGES._replace(word=(8, WIDE, WIDE)))
    assert cost(narrow, STAYS._replace(n=7))["PORT"] == 2 * 6 * 6


def test_a_tile_that_another_one_follows_leaves_its_last_columns_behind() -> None:
    """A second register lets the next fold begin 2 cycles before the sums of the last column are out."""
    array = array_of("ws", k=2, overlap=OVERLAP_DRAIN)
    one_fold = Tile(m=5, n=3, k=2, groups=1, starts=1, ends=1)
    row = np.zeros(tile_work.COSTS, np.int64)
    cost_of_step(array, one_fold, one_fold, 1, 0, row)
    assert (row[tile_work.CYCLES], row[tile_work.TAIL]) == (5 + 3, 2)
    assert row[[tile_work.COMPUTE, tile_work.FILL, tile_work.DRAIN]].tolist() == [5, 3, 0]
