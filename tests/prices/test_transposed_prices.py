"""Does a transposed array cost what its mirror costs, with tensors and gating too, and at which edges?"""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import pytest

from simulator.arch.config import ArchConfig
from simulator.cost.area import AreaLine
from simulator.cost.left_out import DESKEW, DESKEW_ROWS, SHIFT_OUT, left_out
from simulator.cost.mac_parts import structure_of
from simulator.cost.price_lines import LayerEnergy
from simulator.cost.pricing import ArchitecturePricing
from simulator.cost.register_toggles import SwitchingActivity
from simulator.numerics import get_mac
from simulator.operands import OPERANDS
from simulator.result import priced
from simulator.system.counts import ActionCounts, CycleBreakdown, PECycles, Traffic

ROWS, COLUMNS = 16, 6
TOGGLED = SwitchingActivity(31e3, 47e3, 59e3, 0, 123)


def pricing(mac: str, layers: dict[str, Any] | None = None, **array: Any) -> ArchitecturePricing:
    arch = ArchConfig.model_validate({"array": array, "layers": layers or {}})
    return ArchitecturePricing(arch, structure_of(get_mac(mac)))


def counts(dataflow: str) -> ActionCounts:
    return ActionCounts(
        macs=1000,
        cycles=CycleBreakdown(compute=20, fill=3, drain=2),
        pe_cycles=PECycles(1000, 300, 70, 1030),
        activation_codes=411,
        weight_codes=97,
        converter_operations=53,
        output_path_operations={"relu": 53},
        sram=dict.fromkeys(OPERANDS, Traffic(1, 2, 3, 4)),
        dram=dict.fromkeys(OPERANDS, Traffic(1, 2, 3, 4)),
        dataflow=dataflow,
        hidden_shifts=500,
        handovers=40,
    )


def by_component(energy: LayerEnergy) -> Counter[str]:
    """Whole femtojoules; the sum over the lines of a component."""
    total: Counter[str] = Counter()
    for line in energy.lines:
        total[line.action.component] += priced(line.energy_fj)
    return total


SWITCHES = ("zero_gating", "clock_gating", "skew_registers")


@pytest.mark.parametrize("mac", ["int8", "elma8", "posit8.1 x int8", "int8 x posit8.1", "fp16"])
@pytest.mark.parametrize("overlap", ["none", "drain", "full"])
def test_energy_of_a_layer_is_that_of_the_mirror(mac: str, overlap: str) -> None:
    for switches in product((False, True), repeat=3):
        array: dict[str, Any] = {"overlap": overlap, **dict(zip(SWITCHES, switches, strict=True))}
        here = pricing(mac, rows=ROWS, columns=COLUMNS, dataflow="wst", **array)
        there = pricing(mac, rows=COLUMNS, columns=ROWS, dataflow="ws", **array)
        for activity in (None, TOGGLED):
            ours = by_component(here.layer(counts("wst"), activity))
            theirs = by_component(there.layer(counts("ws"), activity))
            assert ours == theirs, (switches, activity)
            assert ours["pe_registers"] > 0
        areas = [[priced(part) for part in each.area.parts_um2.values()] for each in (here, there)]
        assert sum(areas[0]) == pytest.approx(sum(areas[1]))


def lines_of(priced_array: ArchitecturePricing, component: str) -> dict[str, float]:
    lines: list[AreaLine] = [line for line in priced_array.area.lines if line.component == component]
    return {line.counted: line.count for line in lines}


def test_converters_stand_where_results_leave() -> None:
    """16 rows transposed, 6 columns otherwise; both where single layers run transposed."""
    size: dict[str, Any] = {"rows": ROWS, "columns": COLUMNS}
    assert lines_of(pricing("elma8", dataflow="wst", **size), "converters") == {"rows": 16}
    assert lines_of(pricing("elma8", dataflow="ws", **size), "converters") == {"columns": 6}
    mixed = pricing("elma8", {"l": {"dataflow": "wst"}}, dataflow="os", **size)
    assert lines_of(mixed, "converters") == {"columns": 6, "rows": 16}


def test_decoders_stand_where_their_operand_enters() -> None:
    """Posits enter at the top where they are activations, at the left where they are weights."""
    size: dict[str, Any] = {"rows": ROWS, "columns": COLUMNS, "dataflow": "wst"}
    assert lines_of(pricing("posit8.1 x int8", **size), "decoders") == {"activation decoders of columns": 6}
    assert lines_of(pricing("int8 x posit8.1", **size), "decoders") == {"weight decoders of rows": 16}


def test_weights_change_on_their_way_along_the_rows() -> None:
    """With 6 columns a weight register changes in 7 of 12 steps of loading, whatever the number of rows."""
    (line,) = (
        line
        for line in pricing("int8", rows=ROWS, columns=COLUMNS, dataflow="wst").layer(counts("wst")).lines
        if "weight moving" in line.counted
    )
    (other,) = (
        line
        for line in pricing("int8", rows=COLUMNS, columns=5, dataflow="ws").layer(counts("ws")).lines
        if "weight moving" in line.counted
    )
    assert line.count == other.count == 70
    assert line.energy_fj == other.energy_fj
    assert "own column and of those to the right" in line.factor_reason
    assert "own row and of those below" in other.factor_reason


@pytest.mark.parametrize(
    ("dataflow", "overlap", "parts"),
    [
        ("wst", "none", [DESKEW_ROWS]),
        ("ws", "none", [DESKEW]),
        ("os", "none", [SHIFT_OUT]),
        ("os", "drain", [SHIFT_OUT, DESKEW]),
    ],
)
def test_what_has_no_price_is_said_of_the_right_lanes(dataflow: str, overlap: str, parts: list[str]) -> None:
    arch = ArchConfig.model_validate({"array": {"dataflow": dataflow, "overlap": overlap}})
    assert [part for part in left_out(arch) if part in (SHIFT_OUT, DESKEW, DESKEW_ROWS)] == parts
