"""Is every line of a result its count times its unit price times its factor, down to the rows of tables?"""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from simulator.arch import load_arch
from simulator.cost.register_toggles import SwitchingActivity
from simulator.foundation import UserError
from simulator.measurements import MeasuredLayer, Measurements
from simulator.result import Result, load_result, priced
from simulator.result_assembly import assemble
from simulator.simulation import run_machine
from simulator.workload.layer import Network, PostOperation, matrix_layer

NETWORK = Network(
    "n",
    (
        matrix_layer("one", "fc", m=70, n=65, k=40),
        matrix_layer("two", "fc", m=33, n=64, k=100),
        matrix_layer("three", "fc", m=5, n=9, k=7),
    ),
)
BLOCKS = [
    {"mac": "int8", "columns": 8, "channels": {"one": list(range(0, 60, 2))}},
    {"mac": "int8 x int4", "columns": 24},
]
TOGGLED = {
    layer.name: MeasuredLayer(
        SwitchingActivity(3.3 * layer.macs, 4.7 * layer.macs, 5.1 * layer.macs, 999, 2 * layer.macs // 5)
    )
    for layer in NETWORK.layers
}


def result_of(measured: bool, **overrides: Any) -> Result:
    arch = load_arch("int8_32x32", {name.replace("__", "."): value for name, value in overrides.items()})
    return assemble(arch, run_machine(arch, NETWORK), Measurements(TOGGLED if measured else {}))


CASES: dict[str, tuple[bool, dict[str, Any]]] = {
    "plain": (False, {}),
    "with tensors": (True, {}),
    "gated": (True, {"array__zero_gating": True, "array__clock_gating": True}),
    "blocks": (False, {"array__column_blocks": BLOCKS}),
    "blocks with tensors": (True, {"array__column_blocks": BLOCKS, "array__zero_gating": True}),
    "MACs of layers": (False, {"layers": {"two": {"mac": "elma8"}, "three": {"mac": "posit8"}}}),
    "dataflows of layers": (True, {"array__overlap": "full", "layers": {"two": {"dataflow": "ws"}}}),
    "scaled": (
        False,
        {
            "process__node_nm": 32,
            "process__voltage_v": 0.9,
            "clock_mhz": 250,
            "scaling": {"node": True, "voltage": True, "frequency": True},
        },
    ),
    "composed": (False, {"array__mac": "posit8.1 x int8", "array__dataflow": "is"}),
    "nothing priced": (False, {"clock_mhz": 400}),
}


def written(number: float) -> Fraction:
    """A number as JSON writes it."""
    return Fraction(json.dumps(number))


@pytest.mark.parametrize("case", CASES)
def test_count_times_unit_price_times_factor_is_the_energy_of_every_line(case: str) -> None:
    measured, overrides = CASES[case]
    result = result_of(measured, **overrides)
    prices = {f"{price.table}:{price.row}": price.value for price in result.sources.prices}
    units = {unit.name: unit for unit in result.unit_prices}
    assert len(units) == len(result.unit_prices)
    for unit in units.values():
        if unit.price_pj is not None:
            rows = sum(written(used.quantity) * written(prices[used.row]) for used in unit.prices)
            assert float(rows - written(unit.less_leakage_pj)) == pytest.approx(unit.price_pj, rel=1e-11)
    for layer in result.layers:
        parts: dict[str, int] = {}
        for line in layer.formation:
            unit = units[line.unit_price]
            if unit.price_pj is None:
                assert line.energy_fj is None
                continue
            exact = written(line.count) * written(unit.price_pj) * written(line.factor) * 1000
            assert line.energy_fj == round(exact)
            parts[unit.component] = parts.get(unit.component, 0) + line.energy_fj
        for part, energy_fj in layer.energy_fj.items():
            if part != "total" and energy_fj is not None:
                assert energy_fj == parts[part]
        assert (layer.energy_fj["total"] is None) == (case == "nothing priced")


def test_the_lines_of_blocks_name_their_mac_and_count_its_own_work() -> None:
    """30 of 65 channels of layer one are the first block's: 30 x 70 x 40 of its MACs."""
    result = result_of(False, array__column_blocks=BLOCKS)
    counts = {line.unit_price: line.count for line in result.layers[0].formation}
    assert counts["pe_multiply: useful MACs of int8"] == 84_000
    assert counts["pe_multiply: useful MACs of int8 x int4"] == 98_000
    assert counts["output_path: results rescaled (int8)"] == 2100
    assert counts["output_path: results rescaled (int8 x int4)"] == 2450


def test_a_layer_with_a_mac_of_its_own_has_its_leakage_and_wires() -> None:
    """Their unit prices follow from the area of the MAC that is configured, and say which it is."""
    result = result_of(False, layers={"two": {"mac": "elma8"}})
    by_layer = [{line.unit_price for line in layer.formation} for layer in result.layers]
    assert "leakage_array: nanoseconds (int8)" in by_layer[0]
    assert "leakage_array: nanoseconds (elma8)" in by_layer[1]
    assert "leakage_array: nanoseconds (elma8)" not in by_layer[2]


def test_the_result_says_what_is_assumed_without_tensors() -> None:
    def notes(measured: bool, **overrides: Any) -> str:
        return " | ".join(result_of(measured, **overrides).sources.notes)

    assumed = "zero gating: without tensors no operand is taken to be zero, so it saves nothing here"
    resting = "registers of idle PEs to be clocked and not to toggle; energy_bound is the energy if they"
    assert assumed in notes(False, array__zero_gating=True)
    assert assumed not in notes(True, array__zero_gating=True)
    assert assumed not in notes(False)
    assert resting in notes(False)
    assert resting not in notes(True)


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        ({}, "multiplexers that shift accumulators out"),
        ({"array__dataflow": "ws"}, "registers that align results of columns"),
        ({"array__overlap": "drain"}, "registers that align results of columns"),
        ({"layers": {"two": {"dataflow": "is"}}}, "registers that align results of columns"),
        ({"array__zero_gating": True}, "detectors of zeros"),
        ({"array__clock_gating": True}, "clock gates"),
        ({"array__skew_registers": False}, "skew registers at the array's edges"),
    ],
)
def test_what_the_architecture_has_without_a_price_is_listed(overrides: dict[str, Any], part: str) -> None:
    always = [
        "DMA and address generators",
        "DRAM controller and PHY",
        "control logic and configuration registers",
        "clock tree above the flip-flops",
        "wires inside the array",
        "placement overhead (areas are of cells alone)",
        "I/O pads",
        "DRAM background power",
    ]
    left_out = result_of(False, **overrides).left_out
    assert left_out[:8] == always
    assert [each for each in left_out[8:] if each.startswith(part)]
    plain = result_of(False).left_out
    assert plain == [*always, "multiplexers that shift accumulators out"]
    if overrides == {"array__dataflow": "ws"}:
        assert "multiplexers that shift accumulators out" not in left_out


# A result that says otherwise is refused


def tampered(tmp_path: Path, change: Any) -> Path:
    document = json.loads(result_of(False).to_json())
    change(document)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _longer(value: float) -> float:
    return value * (1 + 1e-9)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d["layers"][0]["formation"][0].update(count=1), "femtojoules of pe_multiply: useful MACs"),
        (lambda d: d["layers"][0]["formation"][0].update(factor=1.0001), "femtojoules of pe_multiply"),
        (lambda d: d["layers"][0]["formation"].pop(), "femtojoules of leakage_sram"),
        (
            lambda d: d["unit_prices"][0].update(price_pj=_longer(d["unit_prices"][0]["price_pj"])),
            "unit price 'pe_multiply: useful MACs of int8': its prices give",
        ),
        (
            lambda d: d["unit_prices"][0].update(less_leakage_pj=0.0),
            "unit price 'pe_multiply: useful MACs of int8': its prices give",
        ),
        (lambda d: d["unit_prices"][0]["prices"][0].update(row="a:b"), "there is no price 'a:b'"),
        (lambda d: d["sources"]["prices"][0].update(value=7.0), "its prices give"),
        (lambda d: d["area_formation"][0].update(count=1023), "area of pe_array"),
        (lambda d: d["area_formation"][0].update(unit_area_um2=300.0), "unit area of pe_array"),
        (lambda d: d["area_formation"].pop(0), "area of pe_array"),
    ],
)
def test_a_formation_that_is_not_true_is_refused(tmp_path: Path, change: Any, complaint: str) -> None:
    with pytest.raises(UserError, match="is not a valid result") as caught:
        load_result(tampered(tmp_path, change))
    assert complaint in str(caught.value)


def test_elementwise_steps_are_counted_in_the_formation() -> None:
    layer = matrix_layer("l", "fc", m=6, n=7, k=8)
    steps = (PostOperation("relu", 42), PostOperation("bias", 42), PostOperation("other", 13))
    network = Network("n", (replace(layer, post_operations=steps),))
    arch = load_arch("int8_32x32")
    (result,) = assemble(arch, run_machine(arch, network)).layers
    counts = {line.unit_price: line.count for line in result.formation}
    assert counts["output_path: relu operations (int8)"] == 42
    assert counts["output_path: bias operations (int8)"] == 42
    assert counts["output_path: other operations (int8)"] == 13
    assert priced(result.energy_fj["output_path"]) > 0
