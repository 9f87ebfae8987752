"""Does a whole array cost what its parts do: a cycle, a move, its area, what toggles in each block?

Amounts are worked by hand from the tables: int8 of arXiv 1811.01721, and 4.2 nW/um2 of leakage.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from simulator.arch.config import ArchConfig
from simulator.cost.mac_parts import structure_of
from simulator.cost.price import NotPriced
from simulator.cost.pricing import ArchitecturePricing, MacBlock
from simulator.cost.register_toggles import SwitchingActivity
from simulator.numerics import get_mac
from simulator.operands import OPERANDS
from simulator.result import priced
from simulator.system.counts import ActionCounts, CycleBreakdown, PECycles, Traffic
from simulator.system.objective import MovePrices

ALL_TABLES = ("johnson2018_28nm", "parts_28nm", "sram_28nm", "dram", "interconnect_28nm")


def pricing(*macs: str, **overrides: Any) -> ArchitecturePricing:
    arch = ArchConfig.model_validate(overrides)
    structures = [structure_of(get_mac(mac, custom=arch.macs)) for mac in macs or ("int8",)]
    width = arch.array.columns // len(structures)
    return ArchitecturePricing(arch, [MacBlock(structure, width) for structure in structures])


def counts(cycles: int = 0, **fields: Any) -> ActionCounts:
    nothing: dict[str, Any] = {
        "macs": 0,
        "cycles": CycleBreakdown(0, 0, 0, {"dram": cycles}),
        "pe_cycles": PECycles(0, 0, 0, 0),
        "activation_codes": 0,
        "weight_codes": 0,
        "converter_operations": 0,
        "output_path_operations": {},
        "sram": {operand: Traffic() for operand in OPERANDS},
        "dram": {operand: Traffic() for operand in OPERANDS},
    }
    return ActionCounts(**nothing | fields)


# A cycle in which nothing happens


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("overlap", ["none", "full"])
@pytest.mark.parametrize("macs", [["int8"], ["elma8", "elma8"], ["int8", "posit8"]])
def test_a_cycle_costs_what_a_stalled_layer_costs_in_one(
    macs: list[str], overlap: str, skewed: bool, gated: bool
) -> None:
    """The same energy in two forms: weighed by the tiling, and charged to a thousand stalled cycles."""
    array = {"rows": 8, "columns": 16, "clock_gating": gated, "skew_registers": skewed, "overlap": overlap}
    prices = pricing(*macs, array=array)
    found = prices.move_prices()
    assert isinstance(found, MovePrices)
    stalled = counts(1000, pe_cycles=PECycles(0, 0, 0, 8 * 16 * 1000), results_by_block=(0,) * len(macs))
    if len(macs) == 1:
        stalled = replace(stalled, results_by_block=())
    energy_fj = priced(prices.layer(stalled).total_fj)
    assert found.cycle_pj * 1000 * 1000 == pytest.approx(energy_fj, abs=10)


def test_a_cycle_of_int8_is_its_clock_and_what_leaks() -> None:
    """1024 PEs of 48 flip-flops; 22.9 uW of the clock of each follow from the two published register rows.

    With c for the clock and t for a toggle: 48 c + 14.73 t = 112.7 uW and 63 c + 14.26 t = 124.3 uW.
    """
    clock_uw = 48 * (112.7 * 14.26 - 124.3 * 14.73) / (48 * 14.26 - 63 * 14.73)
    tables = [name for name in ALL_TABLES if name != "interconnect_28nm"]
    gated = pricing(tables=tables, array={"clock_gating": True}).move_prices()
    assert isinstance(gated, NotPriced), "without a leakage density a cycle has no price"
    off, on = (
        pricing(array={"clock_gating": gating, "skew_registers": False}).move_prices()
        for gating in (False, True)
    )
    assert isinstance(off, MovePrices)
    assert isinstance(on, MovePrices)
    clock_pj = 1024 * (clock_uw / 500 - 4.2e-6 * 96.768 * 2)
    assert off.cycle_pj - on.cycle_pj == pytest.approx(clock_pj, rel=1e-9)


def test_leakage_is_the_area_of_all_logic_times_the_density() -> None:
    prices = pricing("elma8")
    (line,) = (line for line in prices.layer(counts(500)).lines if line.component == "leakage_array")
    logic_um2 = sum(
        priced(um2) for part, um2 in prices.area.parts_um2.items() if not part.startswith("sram_")
    )
    assert line.count == 1000  # nanoseconds of 500 cycles at 500 MHz
    assert line.action.unit_pj == pytest.approx(4.2e-6 * logic_um2, rel=1e-12)


# Moves


def test_moves_cost_what_their_rows_say() -> None:
    found = pricing().move_prices()
    assert isinstance(found, MovePrices)
    assert found.dram_pj_per_byte == pytest.approx(8 * 8)
    # 256 KiB x 256 bit of sram_28nm, added up in test_layer_energy.py
    assert set(found.read_pj_per_byte) == set(found.write_pj_per_byte) == set(OPERANDS)
    for operand in OPERANDS:
        assert found.read_pj_per_byte[operand] == pytest.approx(32.99363 / 32, rel=1e-4)
        assert found.write_pj_per_byte[operand] == pytest.approx(36.79546 / 32, rel=1e-4)


@pytest.mark.parametrize(
    ("without", "missing"),
    [
        ("dram", "dram"),
        ("interconnect_28nm", "cycle"),
        (
            "sram_28nm",
            "read ifmap, read filter, read ofmap, write ifmap, write filter, write ofmap, cycle",
        ),
    ],
)
def test_moves_without_a_price_are_named(without: str, missing: str) -> None:
    found = pricing(tables=[name for name in ALL_TABLES if name != without]).move_prices()
    assert found == NotPriced(f"no price of: {missing}")


# Blocks


def test_toggles_fall_to_blocks_as_their_macs_do() -> None:
    """600 of 1000 MACs in the first block: 600 of 1000 bits toggled; without MACs each has half."""
    prices = pricing("int8", "elma8")
    toggled = SwitchingActivity(400, 300, 200, 100)

    def bits(layer: ActionCounts) -> dict[str, float]:
        lines = prices.layer(layer, toggled).lines
        return {
            line.counted: line.count
            for line in lines
            if line.counted.startswith("register bits toggled in PEs")
        }

    work = counts(
        10,
        macs=1000,
        pe_cycles=PECycles(1000, 0, 0, 0),
        converter_operations=10,
        results_by_block=(6, 4),
        macs_by_name={"int8": 600, "elma8": 400},
    )
    found = bits(work)
    assert found == {
        "register bits toggled in PEs of int8": pytest.approx(600),
        "register bits toggled in PEs of elma8": pytest.approx(400),
    }
    still = bits(counts(10, pe_cycles=PECycles(0, 100, 0, 0), results_by_block=(0, 0)))
    assert still == {
        "register bits toggled in PEs of int8": pytest.approx(500),
        "register bits toggled in PEs of elma8": pytest.approx(500),
    }


def test_the_area_of_blocks_is_that_of_their_pes() -> None:
    prices = pricing("int8", "elma8", array={"rows": 8, "columns": 16})
    areas = [line.area_um2 for line in prices.area.lines if line.component == "pe_array"]
    assert areas == [pytest.approx(64 * 336.672), pytest.approx(64 * 376.110)]
    assert prices.name == "int8 | elma8"


def test_second_registers_stand_in_every_pe_of_a_block_and_are_composed() -> None:
    """`overlap: full` doubles accumulators of 32 and 38 + 1 bits in 8 x 8 PEs each, 2.016 um2 a bit."""
    prices = pricing("int8", "elma8", array={"rows": 8, "columns": 16, "overlap": "full"})
    lines = [line for line in prices.area.lines if line.component == "pe_array"]
    expected_um2 = {
        "PEs of int8": 336.672,
        "PEs of elma8": 376.110,
        "second accumulator registers of int8": 32 * 2.016,
        "second accumulator registers of elma8": 39 * 2.016,
    }
    assert {line.counted: priced(line.unit_um2) for line in lines} == pytest.approx(expected_um2)
    assert [line.count for line in lines] == [64] * 4
    assert [line.composed for line in lines] == [False, False, True, True]
    (pes,) = (line for line in pricing("posit8").area.lines if line.counted == "PEs of posit8")
    assert pes.composed


@pytest.mark.parametrize(("macs", "rescaled"), [(["int8"], 32), (["int8", "elma8"], 16)])
@pytest.mark.parametrize("lanes", [None, 8])
def test_the_output_path_has_its_steps_in_every_lane_and_rescales_where_sums_leave_raw(
    macs: list[str], rescaled: int, lanes: int | None
) -> None:
    """Rescaling: 32 shifter bits and 8 bits of rounding; two of the steps add 32 bits, two compare them."""
    prices = pricing(*macs, output_path={"values_per_cycle": lanes})
    shifter, small, adder = 81.774 / 38, 32.760 / 9, 117.810 / 32
    width = lanes or 32
    steps_um2 = width * (2 * 32 * adder + 2 * 32 * small)
    rescale_um2 = rescaled / 32 * width * (32 * shifter + 8 * small)
    assert prices.area.parts_um2["output_path"] == pytest.approx(steps_um2 + rescale_um2, rel=1e-9)


# Notes and warnings


def test_only_a_composed_mac_that_is_priced_is_said_to_be_composed() -> None:
    def composed(*macs: str, **overrides: Any) -> list[str]:
        return [note for note in pricing(*macs, **overrides).notes if "composed" in note]

    assert composed("int8") == []
    assert composed("posit8") == ["posit8: no published row; composed from parts, to about 25%"]
    assert composed("bf16") == ["bf16: no published row; composed from parts, to about 50%"]
    assert composed("posit8", process={"node_nm": 45}) == []
    assert composed("int8", macs={"int8": {"price": "composed"}}) == [
        "int8: as its `price` says, composed from parts, to about 25%"
    ]


@pytest.mark.parametrize(("clock_mhz", "warned"), [(499.0, False), (500.0, False), (500.5, True)])
def test_a_mac_is_warned_of_beyond_its_clock_and_not_at_it(clock_mhz: float, warned: bool) -> None:
    prices = pricing("elma8", clock_mhz=clock_mhz, scaling={"frequency": True})
    assert prices.warnings == (
        [
            "MAC 'elma8' meets timing up to 500 MHz only; cycles are those of 500.5 MHz all the same, its "
            "energy and area are not priced"
        ]
        if warned
        else []
    )
    assert prices.pes[0].is_priced != warned


def test_prices_of_what_nobody_published_are_said_to_be_composed() -> None:
    """Skew registers and second registers are of flip-flops that are fitted, whatever prices the PE."""
    prices = pricing("int8", array={"overlap": "full", "dataflow": "ws"})
    moving = counts(
        10,
        pe_cycles=PECycles(0, 100, 100, 100),
        activation_codes=100,
        weight_codes=100,
        converter_operations=100,
        hidden_shifts=100,
        handovers=100,
        dataflow="ws",
    )
    composed = {
        (line.component, line.action.composed)
        for line in prices.layer(moving).lines
        if line.component.startswith(("pe_", "skew", "second", "output"))
    }
    assert {component for component, is_composed in composed if is_composed} >= {
        "skew_registers",
        "output_path",
    }
    assert ("skew_registers", False) not in {
        (line.component, line.action.composed)
        for line in prices.layer(moving).lines
        if "clock" in line.counted
    }
    assert ("pe_registers", False) in composed
