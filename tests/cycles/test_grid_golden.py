"""Is the register-level grid the published circuit? Its recorded clock edges, replayed one by one.

They are computed again by the slow reference, and have the hashes of the recorded ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from simulator.array import Grid
from tests.reference.recorded import recomputed

TILE = 4


def edges(name: str) -> Iterator[dict[str, int]]:
    columns = {key: column for key, column in recomputed(name).items() if column.ndim == 1}
    for row in zip(*columns.values(), strict=True):
        yield {key: int(value) for key, value in zip(columns, row, strict=True)}


def vector(edge: dict[str, int], prefix: str) -> list[int]:
    return [edge[f"{prefix}{index}"] for index in range(TILE)]


def step(grid: Grid, edge: dict[str, int]) -> list[int]:
    bottom = grid.step(
        vector(edge, "a"),
        vector(edge, "b"),
        reset=bool(edge["reset"]),
        multiply=bool(edge["enableMul"]),
        shift_out=bool(edge["enableShiftOut"]),
    )
    return [int(value) for value in bottom]


@pytest.mark.parametrize(("name", "count"), [("int8_grid_t4_k12", 22), ("int8_grid_t4_random_control", 600)])
def test_the_int8_circuits_outputs_are_equal_after_every_edge(name: str, count: int) -> None:
    grid = Grid("int8", TILE, TILE)
    replayed = 0
    for edge in edges(name):
        assert step(grid, edge) == vector(edge, "c"), edge
        replayed += 1
    assert replayed == count


def test_the_log_circuits_accumulators_flags_and_codes_are_equal_after_every_edge() -> None:
    grid = Grid("elma8", TILE, TILE)
    replayed = 0
    for edge in edges("log8_grid_t4_k12"):
        assert step(grid, edge) == vector(edge, "acc"), edge
        assert grid.accumulators.is_infinite[-1].astype(int).tolist() == vector(edge, "inf"), edge
        assert grid.codes().tolist() == vector(edge, "code"), edge
        replayed += 1
    assert replayed == 22


def test_a_bulk_run_equals_single_steps() -> None:
    rows = list(edges("int8_grid_t4_random_control"))
    control = np.array([r["reset"] | r["enableMul"] << 1 | r["enableShiftOut"] << 2 for r in rows], np.uint8)
    activations = np.array([vector(r, "a") for r in rows])
    weights = np.array([vector(r, "b") for r in rows])
    bottoms = Grid("int8", TILE, TILE).run(activations, weights, control)
    assert bottoms.tolist() == [vector(r, "c") for r in rows]


def test_the_recorded_run_gives_the_recorded_matrix_product() -> None:
    operands = recomputed("int8_grid_t4_k12")
    a, b = operands["A"].astype(np.int64), operands["B"].astype(np.int64)
    rows = list(edges("int8_grid_t4_k12"))
    multiply_edges = sum(row["enableMul"] for row in rows)
    bottom_up = [vector(row, "c") for row in rows[multiply_edges:]]
    assert bottom_up[::-1] == (a @ b).tolist()
