"""Is every line of a PE's energy the amount worked out by hand, with zeros, idle cycles and shifts?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.arch.config import ArchConfig
from simulator.cost.mac_parts import structure_of
from simulator.cost.mac_structure import RegisterClass
from simulator.cost.price_lines import LayerEnergy
from simulator.cost.pricing import ArchitecturePricing
from simulator.cost.register_toggles import (
    RelativeActivity,
    SwitchingActivity,
    counted_activity,
    relative_activity,
)
from simulator.foundation.defects import DefectError
from simulator.numerics import get_mac
from simulator.numerics.activity import switching_activity
from simulator.operands import OPERANDS
from simulator.result import priced
from simulator.system.counts import ActionCounts, CycleBreakdown, PECycles, Traffic
from tests.prices.worked import (
    ADD_PJ,
    CLOCKED_PJ,
    MULTIPLY_PJ,
    OPERAND_TOGGLES,
    SUM_TOGGLES,
    TOGGLE_PJ,
    USEFUL_PJ,
    lines_of,
    require_lines,
)


def pricing(**array: Any) -> ArchitecturePricing:
    return ArchitecturePricing(ArchConfig.model_validate({"array": array}), structure_of(get_mac("int8")))


def counts(
    useful: int, idle: int = 0, shifting: int = 0, holding: int = 0, dataflow: Any = "os"
) -> ActionCounts:
    return ActionCounts(
        macs=useful,
        cycles=CycleBreakdown(compute=0, fill=0, drain=0),
        pe_cycles=PECycles(useful, idle, shifting, holding),
        activation_codes=0,
        weight_codes=0,
        converter_operations=0,
        output_path_operations={},
        sram={operand: Traffic() for operand in OPERANDS},
        dram={operand: Traffic() for operand in OPERANDS},
        dataflow=dataflow,
    )


def require_gated(energy: LayerEnergy, useful: int, gated: int, toggled: SwitchingActivity) -> None:
    """The lines of an output-stationary layer without idle cycles whose zero operands are gated."""
    switched = useful - gated
    operands = (toggled.activation + toggled.weight) / useful / OPERAND_TOGGLES
    # Sums toggle in the MACs that are left alone, so the adder's share of them is not reduced.
    added_pj = ADD_PJ * (switched * operands / 2 + toggled.accumulator / SUM_TOGGLES / 2)
    held = [("pe_registers", gated, gated * CLOCKED_PJ * 16 / 48)] if gated else []
    expected = [
        ("pe_multiply", switched, switched * MULTIPLY_PJ * operands),
        ("pe_add", switched, added_pj),
        ("pe_registers", switched, switched * CLOCKED_PJ),
        *held,
        ("pe_registers", toggled.toggles, toggled.toggles * TOGGLE_PJ),
    ]
    require_lines(energy, expected)


# Zero gating


@pytest.mark.parametrize(("gated", "saved_pj"), [(400_000, 134_027.6), (800_000, 268_055.2)])
def test_gating_saves_the_logic_of_zero_operands_and_the_clock_of_their_accumulators(
    gated: int, saved_pj: float
) -> None:
    """A million MACs that toggle as when the prices were taken.

    A gated MAC saves the multiplication (214.978 fJ), the half of the addition that follows operands
    (61.803 fJ) and two thirds of 87.431 fJ of clock (58.288 fJ), 335.069 fJ together; of sums nothing is
    saved, as none toggles.
    """
    million = 10**6
    toggled = SwitchingActivity(4.02e6, 4.03e6, 6.68e6, zero_operand_macs=gated)
    with_gating = pricing(zero_gating=True).layer(counts(million), toggled)
    without = pricing().layer(counts(million), toggled)
    require_gated(with_gating, million, gated, toggled)
    require_gated(without, million, 0, toggled)
    assert priced(without.total_fj) - priced(with_gating.total_fj) == pytest.approx(saved_pj * 1000, abs=60)


@pytest.mark.parametrize(
    ("activations", "gated", "activation", "accumulator", "shift"),
    [
        # 0 3 0 5 0 7 0; sums 3, 3, 18, 18, 53 (bits 2, 2 and 4 change), then 53 leaves (4 bits)
        ([3, 0, 5, 0, 7], 2, 14, 8, 4),
        # 0 0 0 6 0 0 0; sums 0, 0, 18, 18, 18
        ([0, 0, 6, 0, 0], 4, 4, 2, 2),
    ],
)
def test_five_products_of_one_pe(
    activations: list[int], gated: int, activation: int, accumulator: int, shift: int
) -> None:
    """Weights 1 2 3 4 5 toggle 1 + 2 + 1 + 3 + 1 bits and 2 more back to zero."""
    mac = get_mac("int8")
    a, w = np.array([activations], np.uint8), np.array([[1], [2], [3], [4], [5]], np.uint8)
    counted = switching_activity(mac, a, w, "os", rows=1, columns=1)
    toggled = counted_activity(counted, zero_operand_macs=gated)
    assert toggled == SwitchingActivity(activation, 10, accumulator, shift, gated)
    require_gated(pricing(zero_gating=True).layer(counts(5), toggled), 5, gated, toggled)


@pytest.mark.parametrize("dataflow", ["ws", "is"])
def test_sums_that_pass_keep_their_clock(dataflow: str) -> None:
    """Where operands stay, the accumulator of a gated PE passes the sums of others on."""
    toggled = SwitchingActivity(4.02e3, 4.03e3, 6.68e3, zero_operand_macs=400)
    energy = pricing(zero_gating=True).layer(counts(1000, dataflow=dataflow), toggled)
    expected = [
        ("pe_multiply", 600, 600 * MULTIPLY_PJ),
        ("pe_add", 600, ADD_PJ * (600 + 1000) / 2),
        ("pe_registers", 1000, 1000 * CLOCKED_PJ),
        ("pe_registers", 14730.0, 14730 * TOGGLE_PJ),
    ]
    require_lines(energy, expected)


def test_a_layer_of_zeros_alone_switches_no_logic() -> None:
    toggled = SwitchingActivity(0, 4e3, 0, zero_operand_macs=1000)
    energy = pricing(zero_gating=True).layer(counts(1000), toggled)
    expected = [
        ("pe_registers", 1000, 1000 * CLOCKED_PJ / 3),
        ("pe_registers", 4000.0, 4000 * TOGGLE_PJ),
    ]
    require_lines(energy, expected)


def test_gating_without_tensors_takes_no_operand_to_be_zero() -> None:
    layer = counts(1000, idle=200, shifting=50)
    gated, plain = pricing(zero_gating=True).layer(layer), pricing().layer(layer)
    assert lines_of(gated, "pe_") == lines_of(plain, "pe_")


# Idle, shifting and holding cycles


def test_without_tensors_idle_pes_pay_for_their_clock_and_the_bound_for_toggles() -> None:
    energy = pricing().layer(counts(1000, idle=300, shifting=70, holding=20))
    expected = [
        ("pe_multiply", 1000, 1000 * MULTIPLY_PJ),
        ("pe_add", 1000, 1000 * ADD_PJ),
        ("pe_add", 70, 70 * ADD_PJ / 2),
        ("pe_registers", 1000, 1000 * USEFUL_PJ),
        ("pe_registers", 70, 70 * (CLOCKED_PJ + SUM_TOGGLES * TOGGLE_PJ)),
        ("pe_registers", 320, 320 * CLOCKED_PJ),
    ]
    require_lines(energy, expected)
    # 14.73 bits more in each of 300 idle PE-cycles; holding ones never toggle
    assert energy.toggling_idle_fj == pytest.approx(300 * 14.73 * TOGGLE_PJ * 1000, abs=1)
    assert energy.bound_fj == priced(energy.total_fj) + priced(energy.toggling_idle_fj)


@pytest.mark.parametrize(("dataflow", "moving"), [("ws", 4.03), ("is", 4.02)])
def test_operands_that_are_loaded_do_not_pass_the_adder(dataflow: str, moving: float) -> None:
    energy = pricing().layer(counts(0, shifting=70, dataflow=dataflow))
    # On 32 rows a register changes with the operands of its own row and of those below: 33 of 64 in the mean.
    require_lines(energy, [("pe_registers", 70, 70 * (CLOCKED_PJ + 33 / 64 * moving * TOGGLE_PJ))])
    below = "it changes with operands of its own row and of those below"
    assert energy.lines[0].factor_reason.endswith(below)
    assert not any(below in line.factor_reason for line in pricing().layer(counts(0, shifting=70)).lines)


def test_with_tensors_idle_cycles_are_clocked_and_the_bound_is_the_energy() -> None:
    toggled = SwitchingActivity(3e3, 4e3, 5e3, 600)
    energy = pricing().layer(counts(1000, idle=300, shifting=70, holding=20), toggled)
    operands = 7 / OPERAND_TOGGLES
    expected = [
        ("pe_multiply", 1000, 1000 * MULTIPLY_PJ * operands),
        ("pe_add", 1000, 1000 * ADD_PJ * (operands / 2 + 5 / SUM_TOGGLES / 2)),
        ("pe_add", 70, ADD_PJ * 600 / SUM_TOGGLES / 2),
        ("pe_registers", 1390, 1390 * CLOCKED_PJ),
        ("pe_registers", 12600.0, 12600 * TOGGLE_PJ),
    ]
    require_lines(energy, expected)
    assert energy.toggling_idle_fj == 0
    assert energy.bound_fj == energy.total_fj


def test_gated_clocks_leave_useful_and_shifting_cycles() -> None:
    layer = counts(1000, idle=300, shifting=70, holding=20)
    untold = pricing(clock_gating=True).layer(layer)
    assert [line for line in lines_of(untold, "pe_") if line[1] in (300, 320, 20)] == []
    assert untold.bound_fj == untold.total_fj
    told = pricing(clock_gating=True).layer(layer, SwitchingActivity(3e3, 4e3, 5e3, 600))
    assert ("pe_registers", 1070) in [line[:2] for line in lines_of(told, "pe_")]


def test_no_line_is_negative_with_any_gating() -> None:
    toggled = SwitchingActivity(3e3, 4e3, 5e3, 600, zero_operand_macs=1000)
    for gating in ({"zero_gating": True}, {"zero_gating": True, "clock_gating": True}):
        energy = pricing(**gating).layer(counts(1000, 300, 70, 20), toggled)
        assert min(energy_pj for *_, energy_pj in lines_of(energy, "")) >= 0


def test_an_unpriced_pe_has_no_bound() -> None:
    arch = ArchConfig.model_validate({"clock_mhz": 400})
    energy = ArchitecturePricing(arch, structure_of(get_mac("int8"))).layer(counts(1000, idle=1))
    assert energy.toggling_idle_fj is None
    assert energy.bound_fj is None


def test_parts_of_a_layer_that_is_measured_keep_their_bound() -> None:
    energy = pricing().layer(counts(10, idle=5))
    assert replace(energy, toggling_idle_fj=7).bound_fj == priced(energy.total_fj) + 7


# Counts of toggles


@pytest.mark.parametrize("place", range(5))
def test_no_count_of_toggles_is_negative(place: int) -> None:
    counted = [1, 2, 3, 4, 5]
    counted[place] = -1
    with pytest.raises(DefectError, match="must not be negative"):
        SwitchingActivity(*counted)


def test_what_is_not_counted_is_nothing() -> None:
    assert SwitchingActivity(1, 2, 3) == SwitchingActivity(1, 2, 3, 0.0, 0)
    mac = get_mac("int8")
    counted = switching_activity(
        mac, np.array([[3]], np.uint8), np.array([[1]], np.uint8), "os", rows=1, columns=1
    )
    assert counted_activity(counted) == SwitchingActivity(4, 2, 2, 2, 0)


def test_a_line_says_how_many_macs_are_gated() -> None:
    toggled = SwitchingActivity(4e3, 4e3, 5e3, zero_operand_macs=400)
    reasons = [
        pricing(zero_gating=gating).layer(counts(1000), toggled).lines[0].factor_reason
        for gating in (False, True)
    ]
    plain = "bits toggled, relative to the characterised"
    assert reasons == [plain, f"{plain}; 400 MACs with a zero operand gated"]


def test_without_useful_macs_no_logic_switches() -> None:
    energy = pricing().layer(counts(0, idle=10), SwitchingActivity(7, 0, 0))
    require_lines(energy, [("pe_registers", 10, 10 * CLOCKED_PJ), ("pe_registers", 7, 7 * TOGGLE_PJ)])


def test_a_bound_is_never_below_the_energy(tmp_path: Path) -> None:
    """Own rows of registers that take less than the clock of their 48 flip-flops by own rows of these."""
    rows = [
        ("pe_multiply", "int8", "operate", 0.2),
        ("pe_registers", "int8", "operate", 0.1),
        ("flip_flop", "28nm", "clock", 0.01),
        ("flip_flop", "28nm", "toggle", 0.001),
    ]
    conditions = {"node_nm": 28, "voltage_v": 0.81, "temperature_c": 25, "corner": "TT", "clock_mhz": 500}
    table = {
        "table": "mine",
        "description": "mine",
        "role": "prices",
        "sources": {"s": "synthesis"},
        "conditions": {"c": conditions | {"activity": "any"}},
        "rows": [
            {
                "component": component,
                "variant": variant,
                "action": action,
                "energy_pj": energy_pj,
                "conditions": "c",
                "source": "s",
                "status": "own",
            }
            for component, variant, action, energy_pj in rows
        ],
    }
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps(table))
    arch = ArchConfig.model_validate({"tables": [str(file), *ArchConfig().tables]})
    energy = ArchitecturePricing(arch, structure_of(get_mac("int8"))).layer(counts(0, idle=1000))
    assert energy.toggling_idle_fj == 0


@pytest.mark.parametrize("gated", [0, 5])
def test_without_macs_and_without_ungated_ones_activity_has_a_meaning(gated: int) -> None:
    """16 operand bits and 9 bits of sums over no MAC are 1; over 5 MACs, all gated, 16 / 5 / 8 for both."""
    characterised: dict[RegisterClass, float] = {"activation": 3.0, "weight": 5.0, "accumulator": 6.0}
    toggled = SwitchingActivity(10, 6, 9)
    found = relative_activity(toggled, gated, characterised, gated)
    assert found == (RelativeActivity(0.4, 0.4) if gated else RelativeActivity(1.0, 1.0))
