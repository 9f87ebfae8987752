"""Does a dataflow know what follows from where it lays M, N and K? By hand, from the product's axes."""

from __future__ import annotations

from typing import NamedTuple, get_args

import pytest

from simulator.arch.config import ArchConfig
from simulator.array import ArrayTiming
from simulator.dataflow import (
    CHANNELS_IN_COLUMNS,
    DATAFLOWS,
    SUMS_MOVE,
    SUMS_STAY,
    Axis,
    Dataflow,
    DataflowName,
    get_dataflow,
)
from simulator.foundation import UserError


class Facts(NamedTuple):
    """What must hold; edges, lanes and places on 5 rows and 3 columns."""

    stationary: str
    sums_move: str
    at_rows: str
    at_columns: str
    lanes: int
    lane_length: int
    places: tuple[int, int, int]
    ifmap: tuple[str, str]
    filter: tuple[str, str]


FACTS = {
    "os": Facts("accumulator", "nowhere", "activation", "weight", 3, 5, (5, 3, 1), ("k", "m"), ("k", "n")),
    "ws": Facts("weight", "down", "activation", "weight", 3, 5, (1, 3, 5), ("m", "k"), ("k", "n")),
    "is": Facts("activation", "down", "weight", "activation", 3, 5, (3, 1, 5), ("k", "m"), ("n", "k")),
    "wst": Facts("weight", "right", "weight", "activation", 5, 3, (1, 5, 3), ("m", "k"), ("k", "n")),
}


@pytest.mark.parametrize("name", FACTS)
def test_what_follows_from_the_axes(name: str) -> None:
    flow, facts = DATAFLOWS[name], FACTS[name]
    assert (flow.stationary, flow.sums_move) == (facts.stationary, facts.sums_move)
    assert (flow.at_rows, flow.at_columns) == (facts.at_rows, facts.at_columns)
    assert (flow.lanes(5, 3), flow.lane_length(5, 3)) == (facts.lanes, facts.lane_length)
    assert tuple(flow.places(axis, 5, 3) for axis in ("m", "n", "k")) == facts.places
    assert flow.buffer_order("activation") == facts.ifmap
    assert flow.buffer_order("weight") == facts.filter
    assert flow.lane_name == ("rows" if name == "wst" else "columns")


def test_every_dataflow_has_facts_and_is_a_name_in_configurations() -> None:
    assert set(FACTS) == set(DATAFLOWS) == set(get_args(DataflowName))
    for name in DATAFLOWS:
        assert ArchConfig.model_validate({"array": {"dataflow": name}}).array.dataflow == name
        assert ArrayTiming(dataflow=name).flow.name == name
    assert CHANNELS_IN_COLUMNS == ("os", "ws")
    assert [name for name, flow in DATAFLOWS.items() if flow.scalesim] == ["os", "ws", "is"]


def test_a_turned_array_stands_upright_as_another_dataflow() -> None:
    assert DATAFLOWS["wst"].upright is DATAFLOWS["ws"]
    for name in ("os", "ws", "is"):
        assert DATAFLOWS[name].upright is DATAFLOWS[name]
    timing = ArrayTiming(5, 3, "wst", "full", "trimmed", pipeline_depth=4, accumulation_interval=2)
    upright = ArrayTiming(3, 5, "ws", "full", "trimmed", pipeline_depth=4, accumulation_interval=2)
    assert timing.upright == upright
    assert timing.code == upright.code
    assert (timing.code.rows, timing.code.columns) == (3, 5)
    assert upright.upright is upright


def test_axes_that_no_bundled_dataflow_has() -> None:
    """Outputs stay with N along the rows: weights enter at the left, and results still leave downwards."""
    flow = Dataflow("ost", "output stationary, transposed", rows="n", columns="m", time="k")
    assert (flow.stationary, flow.sums_move, flow.lane_name) == ("accumulator", "nowhere", "columns")
    assert (flow.at_rows, flow.at_columns) == ("weight", "activation")
    assert flow.buffer_order("weight") == ("k", "n")
    assert flow.buffer_order("activation") == ("k", "m")
    turned = Dataflow("ist", "input stationary, transposed", rows="m", columns="k", time="n")
    assert (turned.stationary, turned.sums_move, turned.lane_name) == ("activation", "right", "rows")
    assert (turned.at_rows, turned.at_columns) == ("activation", "weight")
    assert turned.upright is DATAFLOWS["is"]


@pytest.mark.parametrize("axes", [("m", "m", "k"), ("m", "n", "n"), ("k", "k", "k"), ("m", "n", "x")])
def test_axes_are_a_permutation(axes: tuple[Axis, Axis, Axis]) -> None:
    with pytest.raises(ValueError, match="must be m, n and k"):
        Dataflow("x", "x", *axes)


def test_circuits() -> None:
    """Sums move from all PEs of a lane; of 5 operands that come in, PE i is changed by 5 - i: 15 of 25."""
    assert SUMS_STAY.moving_share(5) == 1
    assert SUMS_MOVE.moving_share(5) == 15 / 25
    assert SUMS_MOVE.moving_share(1) == 1
    doubled = {
        (circuit.preloads, overlap): circuit.is_doubled(overlap)
        for circuit in (SUMS_STAY, SUMS_MOVE)
        for overlap in ("none", "drain", "full")
    }
    assert [key for key, value in doubled.items() if value] == [(0, "drain"), (0, "full"), (1, "full")]
    assert (SUMS_STAY.handover_changes, SUMS_STAY.handover_loads) == (2, 1)
    assert (SUMS_MOVE.handover_changes, SUMS_MOVE.handover_loads) == (1, 0)


def test_an_unknown_name_is_told_the_nearest() -> None:
    assert get_dataflow("ws") is DATAFLOWS["ws"]
    with pytest.raises(UserError, match="did you mean 'wst'"):
        get_dataflow("wsst")


def test_people_read_what_lies_where() -> None:
    assert DATAFLOWS["wst"].description == "weights stay, N along the rows, K along the columns"
    assert DATAFLOWS["os"].description == "outputs stay, M along the rows, N along the columns"
    assert DATAFLOWS["is"].stays_title == "inputs"
