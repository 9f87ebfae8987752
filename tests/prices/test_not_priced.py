"""What has no price is said with its reason and way out; everything else keeps its price; nothing stops."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.arch.config import ArchConfig
from simulator.cost.mac_parts import structure_of
from simulator.cost.price import NotPriced
from simulator.cost.price_lines import LayerEnergy
from simulator.cost.price_tables import load_table
from simulator.cost.pricing import ArchitecturePricing, MacBlock
from simulator.cost.run_prices import PriceBook
from simulator.foundation import UserError
from simulator.numerics import get_mac
from simulator.operands import OPERANDS
from simulator.result import priced
from simulator.system.counts import ActionCounts, CycleBreakdown, PECycles, Traffic

ALL_TABLES = ("johnson2018_28nm", "parts_28nm", "sram_28nm", "dram", "interconnect_28nm")
EVERYTHING = ActionCounts(
    macs=1000,
    cycles=CycleBreakdown(compute=100, fill=20, drain=10),
    pe_cycles=PECycles(useful=1000, idle=200, shifting=100, holding=50),
    activation_codes=40,
    weight_codes=30,
    converter_operations=80,
    output_path_operations={"relu": 90, "bias": 90},
    sram={operand: Traffic(2000, 1000, 2048, 1024) for operand in OPERANDS},
    dram={operand: Traffic(3000, 500, 3008, 512) for operand in OPERANDS},
    array_bytes=dict.fromkeys(OPERANDS, 2000),
)
"""Counts in which everything that has a price happens."""

PE = {"pe_multiply", "pe_add", "pe_registers"}
SRAMS = {"sram_ifmap", "sram_filter", "sram_ofmap"}
DRAMS = {"dram_ifmap", "dram_filter", "dram_ofmap"}
LEAKAGE = {"leakage_array", "leakage_sram"}
INT8 = PE | SRAMS | DRAMS | LEAKAGE | {"skew_registers", "output_path", "wires"}
"""Components of the energy of an int8 array, which has neither decoders nor converters."""


def pricing(mac: str = "int8", **overrides: Any) -> ArchitecturePricing:
    arch = ArchConfig.model_validate(overrides)
    return ArchitecturePricing(arch, structure_of(get_mac(mac, custom=arch.macs)))


def unpriced(energy: LayerEnergy) -> set[str]:
    return {component for component, fj in energy.parts_fj.items() if fj is None}


def unpriced_area(prices: ArchitecturePricing) -> set[str]:
    return {component for component, um2 in prices.area.parts_um2.items() if um2 is None}


def reasons(prices: ArchitecturePricing) -> set[str]:
    uses = [line.action.uses for line in prices.layer(EVERYTHING).lines]
    uses += [line.uses for line in prices.area.lines]
    return {use.reason for use in uses if isinstance(use, NotPriced)}


def test_with_every_table_everything_is_priced() -> None:
    prices = pricing()
    assert set(prices.layer(EVERYTHING).parts_fj) == INT8
    assert not reasons(prices)


# Memories


WITHOUT_SRAM = [name for name in ALL_TABLES if name != "sram_28nm"]


def test_what_can_be_priced_keeps_its_price() -> None:
    whole = pricing().layer(EVERYTHING).parts_fj
    part = pricing(tables=WITHOUT_SRAM).layer(EVERYTHING).parts_fj
    lost = SRAMS | {"leakage_sram", "wires"}
    assert {component for component in INT8 if part[component] is None} == lost
    assert {c: fj for c, fj in part.items() if fj is not None} == {
        c: fj for c, fj in whole.items() if c not in lost
    }


def test_a_sum_that_lacks_a_part_has_no_value(tmp_path: Path) -> None:
    areas = sram_table(tmp_path, [{"action": "area", "area_um2": 10_000, "capacity_kib": 256}])
    prices = pricing(tables=[areas, *WITHOUT_SRAM])
    energy = prices.layer(EVERYTHING)
    assert energy.total_fj is None
    assert energy.energy_pj["total"] is None
    assert energy.static_fj is None
    assert prices.area.total_um2 is not None
    assert pricing(tables=WITHOUT_SRAM).area.total_um2 is None


def test_what_does_not_happen_costs_nothing_whether_it_has_a_price_or_not() -> None:
    still = ActionCounts(
        macs=0,
        cycles=CycleBreakdown(0, 0, 0),
        pe_cycles=PECycles(0, 0, 0, 0),
        activation_codes=0,
        weight_codes=0,
        converter_operations=0,
        output_path_operations={},
        sram={operand: Traffic() for operand in OPERANDS},
        dram={operand: Traffic() for operand in OPERANDS},
    )
    assert pricing(tables=WITHOUT_SRAM).layer(still).total_fj == 0


# Tables that lack rows


@pytest.mark.parametrize(
    ("without", "energy", "area"),
    [
        ("sram_28nm", SRAMS | {"leakage_sram", "wires"}, SRAMS),
        ("dram", DRAMS, set()),
        ("interconnect_28nm", {"wires", "leakage_array"}, set()),
        (
            "parts_28nm",
            {"output_path", "leakage_array", "pe_registers", "skew_registers"},
            {"output_path", "skew_registers"},
        ),
    ],
)
def test_a_kind_of_row_that_no_table_has_leaves_its_components_alone_without_a_price(
    without: str, energy: set[str], area: set[str]
) -> None:
    prices = pricing(tables=[name for name in ALL_TABLES if name != without])
    assert unpriced(prices.layer(EVERYTHING)) == energy
    assert unpriced_area(prices) == area
    told = {f"no table in `tables` has the price: add the bundled table {without}"}
    assert reasons(prices) == told


def test_without_the_published_table_a_pe_is_composed_from_parts() -> None:
    prices = pricing(tables=[name for name in ALL_TABLES if name != "johnson2018_28nm"])
    assert prices.pes[0].status == "composed"
    assert not reasons(prices)


def test_every_table_may_be_missing_but_one() -> None:
    for name in ALL_TABLES:
        energy = pricing(tables=[name]).layer(EVERYTHING)
        assert energy.total_fj is None
        assert set(energy.parts_fj) == INT8


def test_without_a_leakage_row_published_energies_keep_their_leakage_and_say_so() -> None:
    prices = pricing(tables=[name for name in ALL_TABLES if name != "interconnect_28nm"])
    multiply_pj = 108.0 / 500  # uW over MHz, as printed
    parts = prices.layer(EVERYTHING).parts_fj
    assert parts["pe_multiply"] == round(1000 * multiply_pj * 1000)
    (note,) = (note for note in prices.notes if "leakage" in note)
    assert note.startswith(
        "pe_multiply, pe_add, pe_registers, skew_registers, output_path: leakage is inside"
    )
    assert not [note for note in pricing().notes if "leakage" in note]


def test_a_missing_dram_names_the_types_that_are_priced(tmp_path: Path) -> None:
    table = tmp_path / "mine.yaml"
    table.write_text(
        yaml.safe_dump(
            {
                "table": "mine",
                "description": "one DRAM",
                "sources": {"us": "measured"},
                "conditions": {"device": {"scope": "external", "activity": "streams"}},
                "rows": [
                    {
                        "component": "dram",
                        "variant": "hbm2",
                        "action": "transfer",
                        "energy_pj_per_bit": 4,
                        "conditions": "device",
                        "source": "us",
                        "status": "published",
                    }
                ],
            }
        )
    )
    prices = pricing(tables=[*(name for name in ALL_TABLES if name != "dram"), str(table)])
    assert reasons(prices) == {
        "no table in `tables` has the price: add the bundled table dram, or set dram.type to hbm2"
    }


def sram_table(folder: Path, fields: list[dict[str, Any]], node_nm: float = 28) -> str:
    """A table of SRAM rows, each given by its own fields."""
    table = folder / "memories.yaml"
    shared = {"component": "sram", "variant": "ram", "conditions": "cells", "source": "us", "status": "model"}
    table.write_text(
        yaml.safe_dump(
            {
                "table": "memories",
                "description": "memories",
                "sources": {"us": "a compiler"},
                "conditions": {"cells": {"scope": "macro", "node_nm": node_nm, "activity": "any"}},
                "rows": [shared | each for each in fields],
            }
        )
    )
    return str(table)


def test_sram_rows_without_a_capacity_price_nothing(tmp_path: Path) -> None:
    table = sram_table(tmp_path, [{"action": "read", "energy_pj_per_byte": 0.5}])
    prices = pricing(tables=[*(name for name in ALL_TABLES if name != "sram_28nm"), table])
    assert unpriced(prices.layer(EVERYTHING)) >= SRAMS
    assert (
        "the memory prices state no capacity: add a table whose sram rows have capacity_kib, or "
        "capacity_exponent and word_exponent"
    ) in reasons(prices)


def test_each_action_of_a_memory_is_priced_apart(tmp_path: Path) -> None:
    """A table of reads and areas alone: 2048 bytes of words read cost 0.5 pJ each."""
    table = sram_table(
        tmp_path,
        [
            {"action": "read", "energy_pj_per_byte": 0.5, "capacity_kib": 256},
            {"action": "area", "area_um2": 10_000, "capacity_kib": 256},
        ],
    )
    prices = pricing(tables=[*(name for name in ALL_TABLES if name != "sram_28nm"), table])
    energy = prices.layer(EVERYTHING)
    lines = {(line.component, line.counted): line.energy_fj for line in energy.lines}
    assert lines["sram_filter", "bytes of words read"] == 1_024_000
    assert lines["sram_filter", "bytes of words written"] is None
    assert unpriced(energy) == SRAMS | {"leakage_sram"}
    assert prices.area.parts_um2["sram_ofmap"] == 10_000


# Conditions


@pytest.mark.parametrize(
    ("overrides", "priced_energy"),
    [
        ({"clock_mhz": 250}, SRAMS | DRAMS | LEAKAGE),
        ({"process": {"voltage_v": 0.9}}, SRAMS | DRAMS | LEAKAGE),
        ({"process": {"temperature_c": 85}}, SRAMS | DRAMS | LEAKAGE),
        ({"process": {"corner": "FF"}}, SRAMS | DRAMS | LEAKAGE),
        ({"process": {"node_nm": 32}}, DRAMS),
        ({"process": {"node_nm": 7}, "scaling": {"node": True}}, DRAMS),
        ({"process": {"voltage_v": 1.2}, "scaling": {"voltage": True}}, SRAMS | DRAMS | LEAKAGE),
    ],
)
def test_at_conditions_that_nothing_bridges_only_what_is_free_of_them_is_priced(
    overrides: dict[str, Any], priced_energy: set[str]
) -> None:
    """Memories have a supply of their own and DRAM is another chip; leakage of the array needs its area."""
    prices = pricing(**overrides)
    lost = INT8 - priced_energy | {"leakage_array"}
    assert unpriced(prices.layer(EVERYTHING)) == lost
    (reason,) = reasons(prices)
    (field,) = (overrides.get("process") or overrides).keys() - {"scaling"}
    way_out = "clock_mhz" if field == "clock_mhz" else f"process.{field}"
    assert re.search(rf"{way_out} (to )?\S+", reason)


def test_a_row_of_a_node_outside_the_equations_is_not_scaled_to_one_inside(tmp_path: Path) -> None:
    """Rows at 65 nm and an array at 28 nm, with permission: the equations cover 20 to 45 nm at both ends."""
    table = sram_table(
        tmp_path, [{"action": "read", "energy_pj_per_byte": 1, "capacity_kib": 256}], node_nm=65
    )
    tables = [*(name for name in ALL_TABLES if name != "sram_28nm"), table]
    prices = pricing(tables=tables, scaling={"node": True})
    assert (
        "prices hold at 65 nm, process.node_nm is 28 nm, and prices scale inside 20 to 45 nm only: set "
        "process.node_nm to 65 or add a table with prices at 28 nm"
    ) in reasons(prices)


def test_a_table_that_only_serves_comparison_is_no_way_out() -> None:
    """The area of a float16 PE stands in `tsmc_28hpc_plus` alone, which prices nothing."""
    missing = PriceBook.load(["dram"]).missing("pe", "float16", "area")
    assert missing.reason == "no table in `tables` has the price: add a table that has it"


def test_reasons_are_the_same_for_all_that_share_a_cause() -> None:
    assert len(reasons(pricing(clock_mhz=250, process={"voltage_v": 0.9}))) == 1


# A clock beyond a MAC's


@pytest.mark.parametrize("mac", ["elma8", "fp16"])
def test_a_mac_has_no_price_at_a_clock_beyond_its_rows(mac: str) -> None:
    """800 MHz, where published rows may be taken at any clock of 10 to 1000 MHz; edges are of parts."""
    prices = pricing(mac, clock_mhz=800, scaling={"frequency": True})
    energy = prices.layer(EVERYTHING)
    own = {component for component in energy.parts_fj if component.startswith("pe_")}
    assert unpriced(energy) == own | {"wires", "leakage_array"}
    assert unpriced_area(prices) == {"pe_array"}
    assert reasons(prices) == {
        f"the rows of MAC '{mac}' meet timing up to 500 MHz only, clock_mhz is 800: set clock_mhz to 500, "
        f"add a table with rows of it at 800 MHz, or set macs.{mac}.price to composed and scaling.frequency "
        "to true, which prices it from parts as if it reached that clock"
    }


@pytest.mark.parametrize("mac", ["elma8", "fp16"])
def test_each_way_out_of_a_clock_beyond_the_rows_leads_to_a_price(mac: str) -> None:
    composed = {mac: {"price": "composed"}}
    assert not reasons(pricing(mac, macs=composed, clock_mhz=800, scaling={"frequency": True}))
    assert not reasons(pricing(mac, clock_mhz=500))


def test_int8_has_its_published_energy_at_800_megahertz_where_scaling_is_permitted() -> None:
    """0.566 pJ and 336.672 um2 at any clock up to 1 GHz, where another library closes the same PE."""
    assert reasons(pricing(clock_mhz=800)) == {
        "prices hold at 500 MHz, clock_mhz is 800 MHz: set scaling.frequency to true, clock_mhz to 500, or "
        "add a table with prices at 800 MHz"
    }
    (pe,) = pricing(clock_mhz=800, scaling={"frequency": True}).pes
    assert pe.energy_pj == pytest.approx(0.566, rel=1e-9)
    assert pe.area_um2 == 336.672
    assert pricing(clock_mhz=1000, scaling={"frequency": True}).pes[0].is_priced


def test_a_mac_without_a_published_clock_is_scaled_like_any_price() -> None:
    assert not reasons(pricing("posit8", clock_mhz=800, scaling={"frequency": True}))


@pytest.mark.parametrize(("clock_mhz", "has_price"), [(400, True), (400.5, False)])
def test_the_clock_of_a_mac_of_ones_own_is_its_limit(clock_mhz: float, has_price: bool) -> None:
    own = {"activation": "int8", "weight": "int4", "max_clock_mhz": 400}
    prices = pricing("mine", macs={"mine": own}, clock_mhz=clock_mhz, scaling={"frequency": True})
    assert ("pe_multiply" not in unpriced(prices.layer(EVERYTHING))) == has_price
    assert prices.pes[0].is_priced == has_price


def test_in_column_blocks_one_mac_without_a_price_leaves_the_lines_of_the_other() -> None:
    own = {"slow": {"activation": "int8", "weight": "int4", "max_clock_mhz": 100}}
    arch = ArchConfig.model_validate({"macs": own})
    blocks = [MacBlock(structure_of(get_mac(name, custom=own)), 16) for name in ("int8", "slow")]
    prices = ArchitecturePricing(arch, blocks)
    counts = replace(EVERYTHING, results_by_block=(48, 32))
    energy = prices.layer(counts)
    lines = {line.counted: line for line in energy.lines if line.component == "pe_multiply"}
    alone = pricing().layer(EVERYTHING)
    (whole,) = (line for line in alone.lines if line.component == "pe_multiply")
    assert lines["useful MACs of int8"].energy_fj == round(priced(whole.energy_fj) * 0.6)
    assert lines["useful MACs of slow"].energy_fj is None
    assert unpriced(energy) == PE | {"wires", "leakage_array"}
    assert unpriced_area(prices) == {"pe_array"}


# Whatever the architecture, a layer is priced or says why not


@settings(max_examples=60)
@given(
    rows=st.sampled_from([1, 2, 4, 32, 512]),
    columns=st.sampled_from([1, 2, 4, 32, 512]),
    capacity_kib=st.sampled_from([0.25, 1, 16, 100, 1024, 8192, 10240, 1048576]),
    word_bits=st.sampled_from([8, 64, 100, 256, 4096, 1048576]),
    ports=st.sampled_from([1, 2, 8]),
    clock_mhz=st.sampled_from([1.0, 500.0, 800.0, 5000.0]),
    node_nm=st.sampled_from([3.0, 7.0, 28.0, 45.0, 250.0]),
    voltage_v=st.sampled_from([0.31, 0.81, 1.5]),
    permitted=st.booleans(),
    tables=st.sets(st.sampled_from(ALL_TABLES), min_size=1),
    mac=st.sampled_from(["int8", "elma8", "posit8", "fp16", "fp32", "mixed8"]),
)
def test_no_architecture_stops_pricing_and_a_total_is_there_when_all_its_parts_are(
    rows: int,
    columns: int,
    capacity_kib: float,
    word_bits: int,
    ports: int,
    clock_mhz: float,
    node_nm: float,
    voltage_v: float,
    permitted: bool,
    tables: set[str],
    mac: str,
) -> None:
    prices = pricing(
        mac,
        array={"rows": rows, "columns": columns},
        sram={"filter": {"capacity_kib": capacity_kib, "word_bits": word_bits, "ports": ports}},
        clock_mhz=clock_mhz,
        process={"node_nm": node_nm, "voltage_v": voltage_v},
        scaling={"voltage": permitted, "frequency": permitted, "node": permitted},
        tables=sorted(tables),
    )
    energy = prices.layer(EVERYTHING)
    assert (energy.total_fj is None) == bool(unpriced(energy))
    assert (prices.area.total_um2 is None) == bool(unpriced_area(prices))
    if energy.total_fj is not None:
        assert energy.total_fj == sum(priced(fj) for fj in energy.parts_fj.values())
    for reason in reasons(prices):
        assert re.search(r"\b(set|add|choose) ", reason), reason
        assert "\n" not in reason


def test_a_malformed_table_stays_an_error(tmp_path: Path) -> None:
    table = sram_table(tmp_path, [{"action": "read", "energy_pj_per_byte": -1, "capacity_kib": 256}])
    with pytest.raises(UserError, match="must not be negative"):
        pricing(tables=[table])
    with pytest.raises(UserError, match="unknown price table"):
        pricing(tables=["sram_29nm"])
    with pytest.raises(UserError, match="nothing can be priced from it"):
        pricing(tables=["validation_28nm"])
    assert load_table("sram_28nm").rows
