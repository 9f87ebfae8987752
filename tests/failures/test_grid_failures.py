"""Does the grid refuse what it cannot do, in one message?"""

from __future__ import annotations

import pytest

from simulator.array import ArrayTiming, Grid, run_product
from simulator.foundation import UserError


@pytest.mark.parametrize(
    ("activations", "weights", "message"),
    [
        ([1, 2, 3], [1, 2], "activations: has the wrong length .*allowed: 2 codes"),
        ([1, 2], [1], "weights: has the wrong length"),
        ([1, 256], [1, 2], "outside format int8"),
        ([1, -129], [1, 2], "outside format int8"),
        ([1.5, 2], [1, 2], "must be integers"),
    ],
)
def test_pins(activations: list[int], weights: list[int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Grid("int8", 2, 2).step(activations, weights, multiply=True)


def test_names_and_sizes() -> None:
    with pytest.raises(UserError, match=r"dataflow: is unknown .*os, ws, is"):
        Grid("int8", 2, 2, dataflow="rs")
    with pytest.raises(UserError, match="rows: must be positive"):
        Grid("int8", 0, 2)
    with pytest.raises(UserError, match="unknown MAC"):
        Grid("int88", 2, 2)


def test_controls_of_another_dataflow() -> None:
    with pytest.raises(UserError, match=r"lacks .*reset, multiply, shift_out"):
        Grid("int8", 2, 2).step([1, 2], [1, 2], load=True)
    with pytest.raises(UserError, match=r"lacks .*reset, multiply, load"):
        Grid("int8", 2, 2, dataflow="ws").step([1, 2], [1, 2], shift_out=True)


def test_operands_that_come_too_fast() -> None:
    grid = Grid("int8", 2, 2, pipeline_depth=2, accumulation_interval=2)
    grid.step([1, 2], [1, 2], multiply=True)
    with pytest.raises(UserError, match="cycle 1: operands advanced before the adders had their sums"):
        grid.step([1, 2], [1, 2], multiply=True)


def test_shapes_of_a_product() -> None:
    with pytest.raises(UserError, match="shapes do not match"):
        run_product(ArrayTiming(2, 2), "int8", [[1, 2]], [[1], [2], [3]])
