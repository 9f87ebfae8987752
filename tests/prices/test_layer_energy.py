"""Is a layer's energy its counts times its prices, to the last unit, and does it obey the laws of energy?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.arch.config import ArchConfig
from simulator.cost.mac_parts import structure_of
from simulator.cost.price_lines import LayerEnergy
from simulator.cost.pricing import ArchitecturePricing, MacBlock
from simulator.cost.register_toggles import SwitchingActivity
from simulator.foundation.defects import DefectError
from simulator.foundation.femtojoules import femtojoules
from simulator.numerics import get_mac
from simulator.operands import OPERANDS, Operand
from simulator.result import TOTAL, priced
from simulator.system.counts import ActionCounts, CycleBreakdown, PECycles, Traffic

MACS = ("int8", "elma8", "elma16", "fp16", "fp8", "mixed8")
COUNT = st.integers(0, 10**9)


def pricing(mac: str = "int8", **overrides: Any) -> ArchitecturePricing:
    return ArchitecturePricing(ArchConfig.model_validate(overrides), structure_of(get_mac(mac)))


def total_fj(energy: LayerEnergy) -> int:
    return priced(energy.total_fj)


def parts_fj(energy: LayerEnergy) -> dict[str, int]:
    return {part: priced(fj) for part, fj in energy.parts_fj.items()}


BY_MAC = {mac: pricing(mac) for mac in MACS}


def counts(
    useful: int = 0,
    idle: int = 0,
    shifting: int = 0,
    holding: int = 0,
    cycles: int = 0,
    edge: int = 0,
    moved: int = 0,
) -> ActionCounts:
    # Useful bytes are fewer than those that move, and cost nothing by themselves.
    traffic = {operand: Traffic(moved, moved // 2, 2 * moved, moved) for operand in OPERANDS}
    return ActionCounts(
        macs=useful,
        cycles=CycleBreakdown(compute=cycles, fill=0, drain=0),
        pe_cycles=PECycles(useful, idle, shifting, holding),
        activation_codes=edge,
        weight_codes=edge,
        converter_operations=edge,
        output_path_operations={"relu": edge, "bias": edge},
        sram=traffic,
        dram=traffic,
        array_bytes=dict.fromkeys(OPERANDS, moved),
    )


drawn_counts = st.builds(counts, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT)
drawn_mac = st.sampled_from(MACS)


@given(mac=drawn_mac, layer=drawn_counts)
def test_energies_are_never_negative(mac: str, layer: ActionCounts) -> None:
    assert all(priced(line.energy_fj) >= 0 for line in BY_MAC[mac].layer(layer).lines)


@given(mac=drawn_mac, layer=drawn_counts)
def test_lines_sum_to_components_and_components_to_the_total_to_the_last_unit(
    mac: str, layer: ActionCounts
) -> None:
    energy = BY_MAC[mac].layer(layer)
    lines_fj = sum(priced(line.energy_fj) for line in energy.lines)
    assert sum(parts_fj(energy).values()) == energy.total_fj == lines_fj
    assert energy.energy_fj == {**energy.parts_fj, TOTAL: lines_fj}
    assert energy.energy_pj == {part: priced(fj) / 1000 for part, fj in energy.energy_fj.items()}


@given(mac=drawn_mac, one=drawn_counts, other=drawn_counts)
def test_energy_is_additive_but_for_rounding_each_line(
    mac: str, one: ActionCounts, other: ActionCounts
) -> None:
    parts = [BY_MAC[mac].layer(layer) for layer in (one, other)]
    together = BY_MAC[mac].layer(
        counts(
            one.pe_cycles.useful + other.pe_cycles.useful,
            one.pe_cycles.idle + other.pe_cycles.idle,
            one.pe_cycles.shifting + other.pe_cycles.shifting,
            one.pe_cycles.holding + other.pe_cycles.holding,
            one.cycles.total + other.cycles.total,
            one.activation_codes + other.activation_codes,
            one.dram["ifmap"].moved_write_bytes + other.dram["ifmap"].moved_write_bytes,
        )
    )
    rounding_fj = 2 * len(together.lines)  # each line of the three layers is rounded to a femtojoule
    assert abs(total_fj(together) - sum(map(total_fj, parts))) <= rounding_fj


@given(
    mac=drawn_mac,
    layer=drawn_counts,
    field=st.sampled_from(["useful", "idle", "shifting", "holding"]),
    more=COUNT,
)
def test_energy_grows_with_every_pe_count(mac: str, layer: ActionCounts, field: str, more: int) -> None:
    pe_cycles = replace(layer.pe_cycles, **{field: getattr(layer.pe_cycles, field) + more})
    grown = replace(layer, pe_cycles=pe_cycles, macs=pe_cycles.useful)
    assert total_fj(BY_MAC[mac].layer(grown)) >= total_fj(BY_MAC[mac].layer(layer))


@given(mac=drawn_mac, layer=drawn_counts, operand=st.sampled_from(OPERANDS), more=COUNT)
def test_energy_grows_with_every_byte(mac: str, layer: ActionCounts, operand: Operand, more: int) -> None:
    def with_more(moved: Mapping[Operand, Traffic]) -> dict[Operand, Traffic]:
        before = moved[operand]
        reads, words = before.read_bytes + more, before.moved_read_bytes + more
        return {**moved, operand: Traffic(reads, before.write_bytes, words, before.moved_write_bytes)}

    before_fj = total_fj(BY_MAC[mac].layer(layer))
    assert total_fj(BY_MAC[mac].layer(replace(layer, sram=with_more(layer.sram)))) >= before_fj
    assert total_fj(BY_MAC[mac].layer(replace(layer, dram=with_more(layer.dram)))) >= before_fj


@given(layer=drawn_counts)
@settings(max_examples=50)
def test_doubling_the_clock_at_equal_cycles_halves_static_energy_and_leaves_dynamic(
    layer: ActionCounts,
) -> None:
    slow, fast = (SCALED[clock_mhz].layer(layer) for clock_mhz in (250, 500))
    static_lines = sum(line.kind == "static" for line in slow.lines)
    slow_fj, fast_fj = priced(slow.static_fj), priced(fast.static_fj)
    assert abs(slow_fj - 2 * fast_fj) <= 2 * static_lines
    assert total_fj(slow) - slow_fj == total_fj(fast) - fast_fj


SCALED = {clock: pricing(clock_mhz=clock, scaling={"frequency": True}) for clock in (250, 500)}


@pytest.mark.parametrize("mac", ["int8", "elma8", "elma16", "fp16"])
def test_a_fully_busy_pe_costs_what_was_published_static_and_dynamic_together(mac: str) -> None:
    cycles = 10**6
    pes = 32 * 32
    energy = BY_MAC[mac].layer(counts(useful=pes * cycles, cycles=cycles))
    dynamic_pj = sum(pe_parts(energy).values()) / 1000
    pe = BY_MAC[mac].pes[0]
    leaked_pj = 4.2e-6 * priced(pe.area_um2) * pes * cycles * 2  # nW/um2 for 2 ns a cycle
    assert (dynamic_pj + leaked_pj) / (pes * cycles) == pytest.approx(pe.energy_pj, rel=1e-6)


@pytest.mark.parametrize("mac", ["int8", "elma8", "elma16", "fp16"])
@pytest.mark.parametrize(
    ("node_nm", "voltage_v", "factor", "larger"),
    [
        # a V^2 + b V + c of Stillmaker and Baas, over 0.352234 at 28 nm and 0.81 V; areas over 0.368138
        (28, 0.9, 0.412673 / 0.352234, 1.0),
        (28, 0.7, (0.099378 + 8 / 12 * (0.391781 - 0.099378)) / 0.352234, 1.0),
        (45, 0.81, 0.7071583 / 0.352234, 1 / 0.368138),
        (32, 1.0, 0.6446 / 0.352234, 0.46 / 0.368138),
        (20, 0.81, 0.12769552 / 0.352234, 0.21 / 0.368138),
    ],
)
def test_a_busy_pe_costs_what_was_published_at_every_node_and_voltage(
    mac: str, node_nm: float, voltage_v: float, factor: float, larger: float
) -> None:
    """Dynamic energy and what leaks in a cycle of 2 ns are together the published energy, scaled."""
    process = {"node_nm": node_nm, "voltage_v": voltage_v}
    prices = pricing(mac, process=process, scaling={"node": True, "voltage": True})
    published_pj, published_um2 = {
        "int8": (0.566, 336.672),
        "elma8": (0.544, 376.110),
        "elma16": (1.610, 1043.154),
        "fp16": (2.716, 1545.012),
    }[mac]
    million = 10**6
    dynamic_pj = sum(pe_parts(prices.layer(counts(useful=million))).values()) / 1000 / million
    leaked_pj = 4.2e-6 * published_um2 * 2  # the same a gate, on every node and supply
    assert dynamic_pj + leaked_pj == pytest.approx(published_pj * factor, rel=2e-5)
    assert prices.pes[0].area_um2 == pytest.approx(published_um2 * larger, rel=1e-5)


# A buffer of 256 KiB x 256 bit, added up by hand from the terms of sram_28nm: 256^0.5 is 16, 256^0.75 is 64.
# Read 0.24813 + 5.40896 + 20.09088 + 7.24566 and write 0.05912 + 6.11318 + 2.56464 + 26.44787 + 0.36999 +
# 1.24066 pJ an access of 32 bytes; leakage 0.76116 + 1.93264 + 0.33796 mW; area 2475.1 + 379750.4 um2.
READ_FJ_PER_BYTE = 1e3 * 32.99363 / 32
WRITE_FJ_PER_BYTE = 1e3 * 36.79546 / 32


def test_sram_and_dram_bytes_cost_what_the_tables_say() -> None:
    layer = counts(moved=500)
    parts = BY_MAC["int8"].layer(layer).parts_fj
    assert parts["sram_ifmap"] == pytest.approx(1000 * READ_FJ_PER_BYTE + 500 * WRITE_FJ_PER_BYTE, abs=1)
    assert parts["dram_filter"] == femtojoules(1500 * 8 * 8)


def test_leakage_is_power_times_time() -> None:
    parts = BY_MAC["int8"].layer(counts(cycles=1000)).parts_fj
    assert parts["leakage_sram"] == pytest.approx(3 * 3031.765 * 2000, rel=1e-5)


# Activity and gating

TOGGLES = SwitchingActivity(4.02e6, 4.03e6, 6.68e6)


def pe_parts(energy: LayerEnergy) -> dict[str, int]:
    return {part: fj for part, fj in parts_fj(energy).items() if part.startswith("pe_")}


def test_the_characterised_toggles_cost_the_same_as_no_tensors() -> None:
    layer = counts(useful=10**6, cycles=1000)
    assert pe_parts(BY_MAC["int8"].layer(layer, TOGGLES)) == pytest.approx(
        pe_parts(BY_MAC["int8"].layer(layer))
    )


def test_silent_tensors_cost_the_clock_alone() -> None:
    layer = counts(useful=10**6, cycles=1000)
    parts = pe_parts(BY_MAC["int8"].layer(layer, SwitchingActivity(0, 0, 0)))
    assert parts["pe_multiply"] == parts["pe_add"] == 0
    share_pj = 0.0042e-3 * 96.768 / 500 * 1000
    assert parts["pe_registers"] == pytest.approx(1e9 * (48 * 0.0018384214 - share_pj), rel=1e-5)


def test_clock_gating_stops_the_registers_of_pes_without_work() -> None:
    gated = pricing(array={"clock_gating": True})
    idle = counts(idle=10**6, holding=10**6, cycles=1000)
    assert "pe_registers" not in gated.layer(idle).parts_fj
    # 2 x 10^6 PE-cycles of 48 flip-flops at 1.83842 fJ, less their leakage of 0.8129 fJ
    assert parts_fj(BY_MAC["int8"].layer(idle))["pe_registers"] == pytest.approx(174_862_000, rel=1e-5)
    busy = counts(useful=10**6, shifting=10**6, cycles=1000)
    assert pe_parts(gated.layer(busy)) == pe_parts(BY_MAC["int8"].layer(busy))


def test_negative_toggles_are_refused() -> None:
    with pytest.raises(DefectError, match="must not be negative"):
        SwitchingActivity(-1, 0, 0)


# Blocks of columns with MACs of their own


def test_column_blocks_of_one_mac_cost_what_the_whole_array_does() -> None:
    structure = structure_of(get_mac("int8"))
    blocks = ArchitecturePricing(ArchConfig(), [MacBlock(structure, 16), MacBlock(structure, 16)])
    layer = replace(counts(10**6, 10**5, 10**4, 10**3, 5000, 64, 1000), results_by_block=(32, 32))
    whole = BY_MAC["int8"].layer(layer)
    assert blocks.layer(layer).total_fj == pytest.approx(whole.total_fj, rel=1e-6)
    assert blocks.area.total_um2 == pytest.approx(BY_MAC["int8"].area.total_um2)


@pytest.mark.parametrize("results", [(), (64,), (16, 16, 32)])
def test_counts_of_another_number_of_blocks_are_refused(results: tuple[int, ...]) -> None:
    blocks = [MacBlock(structure_of(get_mac(mac)), 16) for mac in ("int8", "elma8")]
    layer = replace(counts(10, 10, 0, 0, 10, 64), results_by_block=results)
    with pytest.raises(ValueError, match=f"2 column blocks, but results of {len(results)}"):
        ArchitecturePricing(ArchConfig(), blocks).layer(layer)


# Area


@pytest.mark.parametrize(
    ("mac", "components"),
    [("int8", {"pe_array", "output_path"}), ("elma8", {"pe_array", "decoders", "converters", "output_path"})],
)
def test_area_has_the_components_that_the_format_needs(mac: str, components: set[str]) -> None:
    parts = BY_MAC[mac].area.parts_um2
    assert set(parts) == components | {"skew_registers", "sram_ifmap", "sram_filter", "sram_ofmap"}
    assert parts["sram_ifmap"] == pytest.approx(382225.5, rel=1e-5)
    assert sum(map(priced, parts.values())) == pytest.approx(BY_MAC[mac].area.total_um2)


def test_decoders_stand_on_two_edges_and_converters_on_one() -> None:
    small, large = (pricing("elma8", array={"rows": 32, "columns": n}).area.parts_um2 for n in (16, 32))
    assert large["converters"] == pytest.approx(2 * priced(small["converters"]))
    assert priced(large["decoders"]) / priced(small["decoders"]) == pytest.approx(64 / 48)
