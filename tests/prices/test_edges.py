"""Do decoders, converters, wires and skew registers follow what enters and leaves at each edge?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from simulator.arch import load_arch
from simulator.arch.config import ArchConfig
from simulator.cost.mac_parts import structure_of
from simulator.cost.price import NotPriced
from simulator.cost.pricing import ArchitecturePricing, MacBlock
from simulator.cost.register_toggles import SwitchingActivity
from simulator.foundation.defects import DefectError
from simulator.numerics import get_mac
from simulator.operands import OPERANDS
from simulator.result import priced
from simulator.system import simulate_network
from simulator.system.counts import ActionCounts, CycleBreakdown, PECycles, Traffic
from simulator.workload.layer import Network, matrix_layer
from tests.prices.worked import (
    CLOCKED_PJ,
    FLIP_FLOP_UM2,
    LEAKED_PJ_PER_UM2,
    TOGGLE_PJ,
    flip_flops_pj,
    require_lines,
)

SMALL_ADDER = (32.760 / 9, 17.1 / 500 / 9)  # um2, pJ a bit
SHIFTER = (81.774 / 38, 71.0 / 500 / 38)

# posit8.1: the run of 7 bits is counted, 4 fraction bits and 1 exponent bit are shifted out, 5 exponent bits
# are formed.
DECODER_UM2 = 12 * SMALL_ADDER[0] + 5 * SHIFTER[0]
DECODER_PJ = 12 * SMALL_ADDER[1] + 5 * SHIFTER[1] - DECODER_UM2 * LEAKED_PJ_PER_UM2


def pricing(mac: str, layers: dict[str, Any] | None = None, **array: Any) -> ArchitecturePricing:
    size = {"rows": 16, "columns": 32}
    arch = ArchConfig.model_validate({"array": size | array, "layers": layers or {}})
    return ArchitecturePricing(arch, structure_of(get_mac(mac)))


def counts(
    dataflow: Any = "os", activations: int = 700, weights: int = 900, cycles: int = 0, **more: Any
) -> ActionCounts:
    return ActionCounts(
        macs=0,
        cycles=CycleBreakdown(compute=cycles, fill=0, drain=0),
        pe_cycles=PECycles(0, 0, 0, 0),
        activation_codes=activations,
        weight_codes=weights,
        converter_operations=more.pop("converter_operations", 0),
        output_path_operations={},
        sram={operand: Traffic() for operand in OPERANDS},
        dram={operand: Traffic() for operand in OPERANDS},
        dataflow=dataflow,
        **more,
    )


# Decoders


@pytest.mark.parametrize(
    ("mac", "dataflow", "decoders", "decoded"),
    [
        ("posit8.1 x int8", "os", 16, 700),
        ("posit8.1 x int8", "ws", 16, 700),
        ("posit8.1 x int8", "is", 32, 700),
        ("int8 x posit8.1", "os", 32, 900),
        ("int8 x posit8.1", "ws", 32, 900),
        ("int8 x posit8.1", "is", 16, 900),
        ("posit8.1 x posit8.1", "os", 48, 1600),
        ("posit8.1 x posit8.1", "is", 48, 1600),
        ("int8", "os", 0, 0),
    ],
)
def test_an_edge_has_decoders_of_the_format_that_enters_there(
    mac: str, dataflow: Any, decoders: int, decoded: int
) -> None:
    prices = pricing(mac, dataflow=dataflow)
    assert prices.area.parts_um2.get("decoders", 0.0) == pytest.approx(decoders * DECODER_UM2)
    energy_fj = prices.layer(counts(dataflow)).parts_fj.get("decoders", 0)
    assert energy_fj == pytest.approx(decoded * DECODER_PJ * 1000, abs=1.01)


@pytest.mark.parametrize(
    ("mac", "decoders"), [("posit8.1 x int8", 48), ("int8 x posit8.1", 48), ("posit8.1 x posit8.1", 48)]
)
def test_an_array_of_two_dataflows_has_the_decoders_of_both(mac: str, decoders: int) -> None:
    """With `os` and `is` both operands enter at both edges; one kind of decoder serves both."""
    prices = pricing(mac, layers={"one": {"dataflow": "is"}})
    assert prices.area.parts_um2["decoders"] == pytest.approx(decoders * DECODER_UM2)


# Blocks of columns


def rescale_pj(accumulator_bits: int) -> float:
    """A shift over the accumulator and an increment of 8 bits."""
    area_um2 = accumulator_bits * SHIFTER[0] + 8 * SMALL_ADDER[0]
    return accumulator_bits * SHIFTER[1] + 8 * SMALL_ADDER[1] - area_um2 * LEAKED_PJ_PER_UM2


def test_rescaling_follows_the_channels_that_each_block_computed() -> None:
    own = {"short": {"activation": "int8", "weight": "int8", "accumulator": {"kind": "fixed", "bits": 24}}}
    blocks = [MacBlock(structure_of(get_mac(name, custom=own)), 16) for name in ("int8", "short")]
    prices = ArchitecturePricing(ArchConfig.model_validate({"macs": own}), blocks)
    energy = prices.layer(counts(converter_operations=800, results_by_block=(600, 200)))
    expected = [("output_path", 600, 600 * rescale_pj(32)), ("output_path", 200, 200 * rescale_pj(24))]
    require_lines(energy, expected, "output_path")


def test_converters_and_weight_decoders_follow_the_channels_of_their_block() -> None:
    """Blocks of 8 and 24 columns; 600 of 800 results, and so 675 of 900 weight codes, are the first one's."""
    blocks = [
        MacBlock(structure_of(get_mac(mac)), columns)
        for mac, columns in (("posit8.1 x posit8.1", 8), ("posit8.1 x int8", 24))
    ]
    arch = ArchConfig.model_validate({"array": {"rows": 16, "columns": 32}})
    prices = ArchitecturePricing(arch, blocks)
    energy = prices.layer(counts(converter_operations=800, results_by_block=(600, 200)))
    expected = [("decoders", 700, 700 * DECODER_PJ), ("decoders", 675, 675 * DECODER_PJ)]
    require_lines(energy, expected, "decoders")
    (converted,) = (line for line in energy.lines if line.component == "converters")
    assert converted.count == 600
    assert prices.area.parts_um2["decoders"] == pytest.approx((16 + 8) * DECODER_UM2)


def test_the_machine_counts_the_results_of_each_block() -> None:
    """64 channels, 30 of them listed for 8 columns: 20 pixels each; the others take what is left."""
    blocks = [
        {"mac": "int8", "columns": 8, "channels": {"l": list(range(0, 60, 2))}},
        {"mac": "int8 x int4", "columns": 24},
    ]
    arch = load_arch("int8_32x32", {"array.column_blocks": blocks})
    (run,) = simulate_network(arch, Network("n", (matrix_layer("l", "fc", m=20, n=64, k=50),))).layers
    assert run.counts.results_by_block == (600, 680)
    assert run.counts.converter_operations == 1280


def test_results_by_block_that_do_not_sum_are_refused() -> None:
    with pytest.raises(DefectError, match="do not sum to 800"):
        counts(converter_operations=800, results_by_block=(600, 201))
    with pytest.raises(DefectError, match="must not be negative"):
        counts(hidden_shifts=-1)


# Wires


def test_wires_carry_the_partial_sums_that_are_read_back() -> None:
    """4 pixels, 4 channels and K = 12 on 4 rows: three folds along K.

    The first two write 16 sums of 32 bits each, the last two read them: 128 + 128 bytes, and 16 results of a
    byte leave. Activations enter once a fold (48 bytes), weights once (48 bytes).
    """
    arch = load_arch("int8_32x32", {"array.rows": 4, "array.columns": 4, "array.dataflow": "ws"})
    (run,) = simulate_network(arch, Network("n", (matrix_layer("l", "fc", m=4, n=4, k=12),))).layers
    assert run.counts.array_bytes == {"ifmap": 48, "filter": 48, "ofmap": 128 + 128 + 16}
    prices = ArchitecturePricing(arch, structure_of(get_mac("int8")))
    lines = [line for line in prices.layer(run.counts).lines if line.component == "wires"]
    assert {line.action.operand: line.count for line in lines} == run.counts.array_bytes


# Skew registers


def skew_um2(flip_flops: int) -> float:
    return flip_flops * FLIP_FLOP_UM2


@pytest.mark.parametrize(
    ("mac", "array", "flip_flops"),
    [
        ("int8", {"rows": 32, "columns": 32}, 7936),  # 2 x 496 registers of 8 bits
        ("elma8", {"rows": 32, "columns": 32}, 7936),  # codes of 8 bits, in front of their decoders
        ("int8", {"rows": 16, "columns": 64}, 8 * (120 + 2016)),
        ("int8", {"rows": 1, "columns": 1}, 0),
        ("int8 x int4", {"rows": 16, "columns": 64}, 8 * 120 + 4 * 2016),
        ("int8 x int4", {"rows": 16, "columns": 64, "dataflow": "ws"}, 8 * 120 + 4 * 2016),
        ("int8 x int4", {"rows": 16, "columns": 64, "dataflow": "is"}, 4 * 120 + 8 * 2016),
    ],
)
def test_row_r_and_column_c_have_r_and_c_registers(mac: str, array: Any, flip_flops: int) -> None:
    assert pricing(mac, **array).area.parts_um2.get("skew_registers", 0.0) == pytest.approx(
        skew_um2(flip_flops)
    )
    assert "skew_registers" not in pricing(mac, **array, skew_registers=False).area.parts_um2


def test_an_array_of_two_dataflows_holds_the_wider_code_of_each_edge() -> None:
    parts = pricing("int8 x int4", layers={"one": {"dataflow": "is"}}).area.parts_um2
    assert parts["skew_registers"] == pytest.approx(skew_um2(8 * 120 + 8 * 496))


def test_blocks_of_columns_hold_their_own_codes() -> None:
    """Columns 0 to 7 delay 28 codes of 8 bits, columns 8 to 31 delay 468 of 4 bits."""
    blocks = [MacBlock(structure_of(get_mac(m)), c) for m, c in (("int8", 8), ("int8 x int4", 24))]
    parts = ArchitecturePricing(ArchConfig(), blocks).area.parts_um2
    assert parts["skew_registers"] == pytest.approx(skew_um2(8 * 496 + 8 * 28 + 4 * 468))


def test_they_take_the_area_and_energy_that_the_published_array_leaves_room_for() -> None:
    """int8 on 32x32: +4.6 % of the PEs' area, and 6 to 9 % of the energy of an array that is always busy."""
    prices = pricing("int8", rows=32, columns=32)
    area = {part: priced(um2) for part, um2 in prices.area.parts_um2.items()}
    assert area["skew_registers"] / area["pe_array"] == pytest.approx(0.0464, abs=5e-5)
    cycles = 1000
    busy = counts(activations=32 * cycles, weights=32 * cycles, cycles=cycles)
    skewed_pj = priced(prices.layer(busy).parts_fj["skew_registers"]) / 1000
    # 7,936 flip-flops are clocked; 64 codes a cycle pass 15.5 registers and toggle 4.025 bits in each.
    by_hand_pj = flip_flops_pj(7936) + 64 * 15.5 * 4.025 * TOGGLE_PJ
    assert skewed_pj == pytest.approx(cycles * by_hand_pj, abs=0.002)
    assert 0.06 < by_hand_pj / (1024 * 0.566) < 0.09


@pytest.mark.parametrize(
    ("dataflow", "rows_codes", "columns_codes", "rows_toggles", "columns_toggles"),
    [("os", 700, 900, 4.02, 4.03), ("ws", 700, 900, 4.02, 4.03), ("is", 900, 700, 4.03, 4.02)],
)
def test_codes_toggle_in_the_registers_that_they_pass(
    dataflow: Any, rows_codes: int, columns_codes: int, rows_toggles: float, columns_toggles: float
) -> None:
    """16 rows: 7.5 registers a code in the mean; 32 columns: 15.5."""
    energy = pricing("int8", dataflow=dataflow).layer(counts(dataflow, cycles=100))
    expected = [
        ("skew_registers", 100, 100 * flip_flops_pj(8 * (120 + 496))),
        ("skew_registers", rows_codes, rows_codes * 7.5 * rows_toggles * TOGGLE_PJ),
        ("skew_registers", columns_codes, columns_codes * 15.5 * columns_toggles * TOGGLE_PJ),
    ]
    require_lines(energy, expected, "skew")


def test_codes_that_decoders_widen_toggle_by_their_share_of_the_bits() -> None:
    """elma8: registers of 12 bits toggle 4.75 and 4.78 bits, codes have 8."""
    energy = pricing("elma8").layer(counts())
    expected = [
        ("skew_registers", 700, 700 * 7.5 * 4.75 * 8 / 12 * TOGGLE_PJ),
        ("skew_registers", 900, 900 * 15.5 * 4.78 * 8 / 12 * TOGGLE_PJ),
    ]
    require_lines(energy, expected, "skew")


@pytest.mark.parametrize(
    ("dataflow", "rows", "columns"),
    [
        # A row's operand passes 32 PEs, a column's 16; where it stays it changes 8.5 registers in the mean.
        ("os", 3000 * 7.5 / 32, 4000 * 15.5 / 16),
        ("ws", 3000 * 7.5 / 32, 4000 * 15.5 / 8.5),
        ("is", 4000 * 7.5 / 32, 3000 * 15.5 / 8.5),
    ],
)
def test_with_tensors_they_follow_the_toggles_of_the_pes(dataflow: Any, rows: float, columns: float) -> None:
    toggled = SwitchingActivity(3000, 4000, 5000)
    energy = pricing("int8", dataflow=dataflow).layer(counts(dataflow), toggled)
    shown = [priced(line.energy_fj) / 1000 for line in energy.lines if line.component == "skew_registers"]
    assert shown == pytest.approx([rows * TOGGLE_PJ, columns * TOGGLE_PJ], abs=0.00051)


@pytest.mark.parametrize("activity", [None, SwitchingActivity(3000, 4000, 5000)])
def test_every_line_of_skew_registers_says_that_it_is_composed(activity: SwitchingActivity | None) -> None:
    lines = pricing("int8", clock_gating=True).layer(counts(cycles=100), activity).lines
    assert [line.action.composed for line in lines if line.component == "skew_registers"] == [True] * 4


def test_gated_skew_registers_are_clocked_where_codes_pass() -> None:
    energy = pricing("int8", clock_gating=True).layer(counts(cycles=100))
    expected = [
        ("skew_registers", 700, 700 * flip_flops_pj(7.5 * 8)),
        ("skew_registers", 700, 700 * 7.5 * 4.02 * TOGGLE_PJ),
        ("skew_registers", 900, 900 * flip_flops_pj(15.5 * 8)),
        ("skew_registers", 900, 900 * 15.5 * 4.03 * TOGGLE_PJ),
    ]
    require_lines(energy, expected, "skew")


# What results pass behind the array

ADDER = (117.810 / 32, 62.3 / 500 / 32)


def step_pj(bits: int, part: tuple[float, float]) -> float:
    """An adder, or a comparison, of so many bits."""
    return bits * (part[1] - part[0] * LEAKED_PJ_PER_UM2)


@pytest.mark.parametrize(("mac", "bits", "rescales"), [("int8", 32, 1), ("fp16", 16, 0), ("elma8", 8, 0)])
def test_steps_are_as_wide_as_what_leaves_the_array(mac: str, bits: int, rescales: int) -> None:
    """Sums of int8 leave raw and are rescaled; floats leave as they are, log numbers as codes."""
    layer = replace(
        counts(converter_operations=800),
        output_path_operations={"bias": 100, "relu": 200, "pool": 300, "add": 400, "other": 500},
    )
    prices = pricing(mac)
    expected = [("output_path", 800, 800 * rescale_pj(32))] * rescales
    add, compare = step_pj(bits, ADDER), step_pj(bits, SMALL_ADDER)
    for count, each in ((100, add), (200, compare), (300, compare), (400, add), (500, add)):
        expected.append(("output_path", count, count * each))
    require_lines(prices.layer(layer), expected, "output_path")
    # 32 lanes, each with an adder for bias and addition, a comparison for ReLU and pooling
    rescale_um2 = rescales * (32 * SHIFTER[0] + 8 * SMALL_ADDER[0])
    lane_um2 = rescale_um2 + 2 * bits * ADDER[0] + 2 * bits * SMALL_ADDER[0]
    assert prices.area.parts_um2["output_path"] == pytest.approx(32 * lane_um2)


def test_lanes_are_those_of_the_output_path() -> None:
    arch = ArchConfig.model_validate({"output_path": {"values_per_cycle": 5}})
    parts = ArchitecturePricing(arch, structure_of(get_mac("fp16"))).area.parts_um2
    assert parts["output_path"] == pytest.approx(5 * 2 * 16 * (ADDER[0] + SMALL_ADDER[0]))


def test_converters_stand_below_every_column() -> None:
    one, other = (pricing("elma8", columns=n).area.parts_um2["converters"] for n in (16, 48))
    assert priced(other) == pytest.approx(3 * priced(one))


def test_steps_are_as_wide_as_the_widest_block() -> None:
    own = {"short": {"activation": "int8", "weight": "int8", "accumulator": {"kind": "fixed", "bits": 24}}}
    blocks = [MacBlock(structure_of(get_mac(name, custom=own)), 16) for name in ("short", "int8", "fp16")]
    arch = ArchConfig.model_validate({"macs": own, "array": {"columns": 48}})
    layer = replace(counts(results_by_block=(0, 0, 0)), output_path_operations={"bias": 100})
    energy = ArchitecturePricing(arch, blocks).layer(layer)
    require_lines(energy, [("output_path", 100, 100 * step_pj(32, ADDER))], "output_path")


@pytest.mark.parametrize("mac", ["int8", "posit8"])
def test_all_but_published_pes_says_that_it_is_composed(mac: str) -> None:
    prices = pricing(mac, overlap="full")
    composed = {line.component for line in prices.area.lines if line.composed}
    edges = {"decoders", "converters"} if mac == "posit8" else set()
    assert composed == {"pe_array", "skew_registers", "output_path"} | edges
    told = {line.counted: line.composed for line in prices.area.lines}
    assert not told.pop("buffer")
    assert [counted for counted, is_composed in told.items() if not is_composed] == (
        ["PEs of int8"] if mac == "int8" else []
    )


# A cycle in which nothing happens


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("overlap", ["none", "full"])
def test_a_cycle_in_which_nothing_happens_costs_what_a_stalled_layer_does(overlap: str, gated: bool) -> None:
    """What tilings of the least energy are chosen by: leakage, and all clocks where they are not gated."""
    prices = pricing("int8", overlap=overlap, clock_gating=gated)
    moves = prices.move_prices()
    assert not isinstance(moves, NotPriced)
    million = 10**6
    still = counts(activations=0, weights=0, cycles=million)
    stalled = replace(still, pe_cycles=PECycles(0, 0, 0, 512 * million))
    energy = prices.layer(stalled)
    assert moves.cycle_pj == pytest.approx(priced(energy.total_fj) / 1000 / million, rel=1e-9)
    clocks_pj = 512 * (CLOCKED_PJ + (flip_flops_pj(32) if overlap == "full" else 0))
    clocks_pj += flip_flops_pj(8 * (120 + 496))
    leaked_pj = priced(energy.static_fj) / 1000 / million
    assert moves.cycle_pj - leaked_pj == pytest.approx(0 if gated else clocks_pj, abs=1e-6)
