"""Do second registers, which let folds overlap, cost their area, their clock and their hidden moves?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.arch import load_arch
from simulator.arch.config import ArchConfig
from simulator.cost.mac_parts import structure_of
from simulator.cost.pricing import ArchitecturePricing
from simulator.cost.register_toggles import SwitchingActivity
from simulator.numerics import get_mac
from simulator.numerics.activity import switching_activity
from simulator.operands import OPERANDS
from simulator.result import priced
from simulator.system import simulate_network
from simulator.system.counts import ActionCounts, CycleBreakdown, PECycles, Traffic
from simulator.workload.layer import Network, matrix_layer
from tests.prices.worked import (
    ADD_PJ,
    CLOCKED_PJ,
    MULTIPLY_PJ,
    OPERAND_TOGGLES,
    SUM_TOGGLES,
    TOGGLE_PJ,
    USEFUL_PJ,
    flip_flops_pj,
    require_lines,
)


def pricing(mac: str = "int8", **array: Any) -> ArchitecturePricing:
    return ArchitecturePricing(ArchConfig.model_validate({"array": array}), structure_of(get_mac(mac)))


def counts(dataflow: Any) -> ActionCounts:
    """1000 useful PE-cycles, 300 idle, 70 shifting in sight, 20 holding; 500 hidden shifts, 40 handovers."""
    return ActionCounts(
        macs=1000,
        cycles=CycleBreakdown(compute=0, fill=0, drain=0),
        pe_cycles=PECycles(1000, 300, 70, 20),
        activation_codes=0,
        weight_codes=0,
        converter_operations=0,
        output_path_operations={},
        sram={operand: Traffic() for operand in OPERANDS},
        dram={operand: Traffic() for operand in OPERANDS},
        dataflow=dataflow,
        hidden_shifts=500,
        handovers=40,
    )


LOGIC = [("pe_multiply", 1000, 1000 * MULTIPLY_PJ), ("pe_add", 1000, 1000 * ADD_PJ)]


@pytest.mark.parametrize("overlap", ["drain", "full"])
def test_results_leave_through_second_accumulators(overlap: str) -> None:
    """The first registers rest while results leave, and the adder does not see them pass.

    32 flip-flops more are clocked in 1,390 PE-cycles. 570 steps of shifting and two moves in each of 40
    handovers (a load, and a clear of the accumulator) toggle 6.68 bits each.
    """
    energy = pricing(overlap=overlap).layer(counts("os"))
    expected = [
        *LOGIC,
        ("pe_registers", 1000, 1000 * USEFUL_PJ),
        ("pe_registers", 390, 390 * CLOCKED_PJ),
        ("pe_registers", 1390, 1390 * flip_flops_pj(32)),
        ("pe_registers", 570, 570 * SUM_TOGGLES * TOGGLE_PJ),
        ("pe_registers", 80, 80 * SUM_TOGGLES * TOGGLE_PJ),
    ]
    require_lines(energy, expected)


@pytest.mark.parametrize(("dataflow", "toggles"), [("ws", 4.03), ("is", 4.02)])
def test_operands_are_loaded_through_shadow_registers(dataflow: Any, toggles: float) -> None:
    """8 flip-flops more. On 32 rows a register changes in 33 of 64 steps; a handover changes one."""
    energy = pricing(dataflow=dataflow, overlap="full").layer(counts(dataflow))
    expected = [
        *LOGIC,
        ("pe_registers", 1000, 1000 * USEFUL_PJ),
        ("pe_registers", 390, 390 * CLOCKED_PJ),
        ("pe_registers", 1390, 1390 * flip_flops_pj(8)),
        ("pe_registers", 570, 570 * 33 / 64 * toggles * TOGGLE_PJ),
        ("pe_registers", 40, 40 * toggles * TOGGLE_PJ),
    ]
    require_lines(energy, expected)


@pytest.mark.parametrize("dataflow", ["ws", "is"])
def test_operands_that_stay_need_no_shadow_to_drain(dataflow: str) -> None:
    one, other = (pricing(dataflow=dataflow, overlap=overlap) for overlap in ("none", "drain"))
    assert one.area.parts_um2 == other.area.parts_um2


def test_with_tensors_shifts_are_counted_and_handovers_toggle_like_a_step() -> None:
    """The 600 bits of shifts are among the 12,600; 80 moves of handovers toggle 600 / 570 bits each."""
    toggled = SwitchingActivity(3e3, 4e3, 5e3, 600)
    operands = 7 / OPERAND_TOGGLES
    energy = pricing(overlap="drain").layer(counts("os"), toggled)
    expected = [
        ("pe_multiply", 1000, 1000 * MULTIPLY_PJ * operands),
        ("pe_add", 1000, 1000 * ADD_PJ * (operands / 2 + 5 / SUM_TOGGLES / 2)),
        ("pe_registers", 1390, 1390 * CLOCKED_PJ),
        ("pe_registers", 12600.0, 12600 * TOGGLE_PJ),
        ("pe_registers", 1390, 1390 * flip_flops_pj(32)),
        ("pe_registers", 80, 80 * 600 / 570 * TOGGLE_PJ),
    ]
    require_lines(energy, expected)


def test_with_tensors_a_shadow_hands_over_what_a_step_of_loading_toggles() -> None:
    energy = pricing(dataflow="ws", overlap="full").layer(counts("ws"), SwitchingActivity(3e3, 4e3, 5e3))
    (handed,) = (line for line in energy.lines if line.counted.endswith("that change in a handover"))
    assert handed.count == 40
    assert priced(handed.energy_fj) / 1000 == pytest.approx(40 * 4000 / 570 * TOGGLE_PJ, abs=0.00051)


@pytest.mark.parametrize(("dataflow", "moves", "bits"), [("os", 610, 32), ("ws", 570, 8)])
def test_gated_second_registers_are_clocked_when_they_move(dataflow: Any, moves: int, bits: int) -> None:
    energy = pricing(dataflow=dataflow, overlap="full", clock_gating=True).layer(counts(dataflow))
    (clocked,) = (line for line in energy.lines if ", second " in line.counted)
    assert clocked.count == moves
    assert priced(clocked.energy_fj) / 1000 == pytest.approx(moves * flip_flops_pj(bits), abs=0.00051)
    assert not [line for line in energy.lines if line.count in (300, 320, 390)]


@pytest.mark.parametrize(
    ("mac", "dataflow", "overlap", "bits"),
    [
        ("int8", "os", "none", 0),
        ("int8", "os", "drain", 32),
        ("int8", "os", "full", 32),
        ("int8", "ws", "full", 8),
        ("elma8", "os", "full", 39),  # 38 bits and a flag
        ("elma8", "ws", "full", 12),  # decoded
        ("elma8", "is", "full", 12),
    ],
)
def test_their_area_is_that_of_their_flip_flops(mac: str, dataflow: str, overlap: str, bits: int) -> None:
    one = pricing(mac, dataflow=dataflow, overlap=overlap).area.of("pe_array")
    other = pricing(mac, dataflow=dataflow).area.of("pe_array")
    assert isinstance(one, float)
    assert isinstance(other, float)
    assert one - other == pytest.approx(1024 * bits * 96.768 / 48, abs=1e-6)


def test_an_array_of_two_dataflows_has_what_each_of_them_needs() -> None:
    """The drain registers of `os` are clocked while a `ws` layer runs, and do not move."""
    arch = ArchConfig.model_validate({"array": {"overlap": "full"}, "layers": {"one": {"dataflow": "ws"}}})
    both = ArchitecturePricing(arch, structure_of(get_mac("int8")))
    plain = pricing().area.of("pe_array")
    area = both.area.of("pe_array")
    assert isinstance(area, float)
    assert isinstance(plain, float)
    assert area - plain == pytest.approx(1024 * 40 * 96.768 / 48, abs=1e-6)
    lines = [
        (line.counted, line.count) for line in both.layer(counts("ws")).lines if "second" in line.counted
    ]
    assert lines == [
        ("clocked PE-cycles of int8, second accumulator register", 1390),
        ("clocked PE-cycles of int8, second weight register", 1390),
        ("weight moves of second registers in PEs of int8", 570),
        ("weight moves of second registers in PEs of int8", 40),
    ]


def test_gated_registers_of_another_dataflow_get_no_clock() -> None:
    array = {"overlap": "full", "clock_gating": True}
    arch = ArchConfig.model_validate({"array": array, "layers": {"one": {"dataflow": "ws"}}})
    energy = ArchitecturePricing(arch, structure_of(get_mac("int8"))).layer(counts("ws"))
    lines = [(line.counted, line.count) for line in energy.lines if "second" in line.counted]
    assert lines == [
        ("clocked PE-cycles of int8, second weight register", 570),
        ("weight moves of second registers in PEs of int8", 570),
        ("weight moves of second registers in PEs of int8", 40),
    ]


@pytest.mark.parametrize("activity", [None, SwitchingActivity(3e3, 4e3, 5e3, 600)])
def test_they_say_that_they_are_composed(activity: SwitchingActivity | None) -> None:
    prices = pricing(overlap="full")
    lines = [
        line
        for line in prices.layer(counts("os"), activity).lines
        if "second" in line.counted or "handover" in line.counted
    ]
    assert len(lines) == (3 if activity is None else 2)
    assert all(line.action.composed for line in lines)
    areas = {line.counted: line.composed for line in prices.area.lines if line.component == "pe_array"}
    assert areas == {"PEs of int8": False, "second accumulator registers of int8": True}


@pytest.mark.parametrize(("mac", "toggles"), [("int8", 4.03), ("elma8", 4.78)])
def test_registers_change_in_the_share_of_steps_that_is_assumed(mac: str, toggles: float) -> None:
    """Weights drawn from N(0,1), counted in every register: what is assumed without tensors, within 10 %."""
    unit, random = get_mac(mac), np.random.default_rng(5)
    scale = 64 if mac == "int8" else 1
    a, w = (np.rint(scale * random.standard_normal(n) * 64) / 64 for n in ((4, 512), (512, 32)))
    counted = switching_activity(unit, unit.activation.encode(a), unit.weight.encode(w), "ws")
    steps = 512 * 32  # 16 folds of 32 rows, each loaded in 32 steps on 32 columns: 16 x 32 x 1024 PE-cycles
    assert counted.weight.toggles / (32 * steps) == pytest.approx(toggles * 33 / 64, rel=0.1)


# What the machine counts


@settings(max_examples=40, deadline=None)
@given(
    m=st.integers(1, 40),
    n=st.integers(1, 40),
    k=st.integers(1, 40),
    rows=st.sampled_from([2, 4, 7]),
    columns=st.sampled_from([1, 4, 5]),
    dataflow=st.sampled_from(["os", "ws", "is"]),
    overlap=st.sampled_from(["drain", "full"]),
    partial=st.sampled_from(["full", "trimmed"]),
)
def test_hidden_and_visible_shifts_are_those_of_folds_one_after_the_other(
    m: int, n: int, k: int, rows: int, columns: int, dataflow: str, overlap: str, partial: str
) -> None:
    """Without overlap every step is in sight, and the register-level grid confirms their number."""
    network = Network("n", (matrix_layer("l", "fc", m=m, n=n, k=k),))
    fields: dict[str, Any] = {
        "array.rows": rows,
        "array.columns": columns,
        "array.dataflow": dataflow,
        "array.partial_folds": partial,
        "tiling": {"tile_m": m, "tile_n": n, "tile_k": k},
    }
    archs = [load_arch("int8_32x32", fields | {"array.overlap": each}) for each in ("none", overlap)]
    runs = [simulate_network(arch, network).layers[0] for arch in archs]
    alone, overlapped = (run.counts for run in runs)
    assert [run.folds for run in runs] == [runs[0].folds] * 2
    assert alone.hidden_shifts == alone.handovers == 0
    assert overlapped.pe_cycles.shifting + overlapped.hidden_shifts == alone.pe_cycles.shifting
    second = dataflow == "os" or overlap == "full"
    assert overlapped.handovers == (runs[0].folds * rows * columns if second else 0)
