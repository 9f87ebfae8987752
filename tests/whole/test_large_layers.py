"""Layers up to the simulator's range: does every energy close, in every output, and what lies beyond?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import onnx
import pytest

from simulator.cost.block_counts import block_counts
from simulator.foundation import UserError
from simulator.report import units
from simulator.report.comparison import compare_results
from simulator.report.explain import explain
from simulator.report.html import render_html
from simulator.report.pe_map import pe_utilization
from simulator.report.plots import draw
from simulator.report.report_tables import figure_table, layers_table
from simulator.report.result_figures import cycles_by_layer
from simulator.report.tabular import layer_rows, layers_csv
from simulator.result import Result, load_result, priced
from simulator.simulation import load_workload, simulate
from simulator.system.counts import ActionCounts, CycleBreakdown, PECycles
from simulator.workload import Network
from simulator.workload.layer import Convolution, Layer, convolution_layer, matrix_layer
from tests.command import run

Capture = pytest.CaptureFixture[str]

LARGEST_CUBE = 464_158
"""The largest whole cube root below 10^17; its squares are below 10^12."""

SIZES = {
    "weights of a large model": (131072, 12288, 49152),
    "a cube": (100_000, 100_000, 100_000),
    "a long reduction": (100, 100, 10**9),
    "a long stream": (10**9, 32, 32),
    "the largest cube": (LARGEST_CUBE,) * 3,
}


def gemms(m: int, n: int, k: int, *, layers: int = 1) -> Network:
    return Network("g", tuple(matrix_layer(f"g{i}", "fc", m=m, n=n, k=k) for i in range(layers)))


def require_closed(text: str) -> int:
    """Check every sum and every line of a result's text by integers and fractions; the total.

    Shares no code with the simulator.
    """
    document = json.loads(text, parse_float=Fraction)
    prices = {unit["name"]: unit for unit in document["unit_prices"]}
    totals = document["totals"]
    total_fj = int(totals["energy_fj"])
    by_component = {part: int(fj) for part, fj in totals["energy_by_component_fj"].items()}
    summed = dict.fromkeys(by_component, 0)
    leaked = 0
    for layer in document["layers"]:
        parts: dict[str, int] = {}
        static = 0
        for line in layer["formation"]:
            unit = prices[line["unit_price"]]
            product = Fraction(line["count"]) * Fraction(unit["price_pj"]) * Fraction(line["factor"]) * 1000
            assert round(product) == int(line["energy_fj"])
            parts[unit["component"]] = parts.get(unit["component"], 0) + int(line["energy_fj"])
            static += int(line["energy_fj"]) if unit["kind"] == "static" else 0
        energies = {part: int(fj) for part, fj in layer["energy_fj"].items()}
        assert energies.pop("total") == sum(parts.values())
        assert energies == parts
        assert int(layer["static_energy_fj"]) == static
        leaked += static
        for part, energy in parts.items():
            summed[part] += energy
    assert summed == by_component
    assert sum(by_component.values()) == total_fj
    assert int(totals["static_energy_fj"]) == leaked
    return total_fj


def exact(result: Result) -> Result:
    """A result whose text closes and gives the same text when it is read back."""
    text = result.to_json()
    require_closed(text)
    assert Result.model_validate_json(text).to_json() == text
    assert Result.model_validate(json.loads(text)) == result
    return result


# Results


@pytest.mark.parametrize("overrides", [{}, {"array.dataflow": "ws"}, {"array.mac": "posit8"}])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_product_of_any_size_closes_and_is_read_back(
    size: tuple[int, int, int], overrides: dict[str, Any]
) -> None:
    result = exact(simulate(gemms(*size), overrides=overrides))
    (layer,) = result.layers
    units_of = {unit.name: unit for unit in result.unit_prices}
    useful = [line for line in layer.formation if units_of[line.unit_price].counted.startswith("useful MACs")]
    assert useful
    assert all(line.count == layer.macs for line in useful)
    assert all(isinstance(line.count, int) for line in useful)


@pytest.mark.parametrize(("network", "batch"), [("vgg16", 512), ("resnet50", 2048), ("vgg16", 311_403)])
def test_a_network_of_a_large_batch_closes(network: str, batch: int) -> None:
    exact(simulate(network, batch=batch))


def test_dram_energy_is_its_bytes_times_64_picojoules_to_the_last_digit() -> None:
    """LPDDR4 takes 8 pJ a bit: 64,000 fJ a byte."""
    result = simulate(gemms(*SIZES["the largest cube"], layers=300))
    layer = result.layers[0]
    for operand in ("ifmap", "filter", "ofmap"):
        moved = getattr(layer.dram_bytes, operand)
        assert layer.energy_fj[f"dram_{operand}"] == 64_000 * (moved.moved_read + moved.moved_write)
        assert result.totals.energy_by_component_fj[f"dram_{operand}"] == 300 * priced(
            layer.energy_fj[f"dram_{operand}"]
        )
    assert priced(result.totals.energy_fj) == 300 * priced(layer.energy_fj["total"])
    assert priced(result.totals.energy_fj) > 2**64
    assert result.totals.energy_pj == priced(result.totals.energy_fj) / 1000


# Reading back


def altered(text: str) -> str:
    """A decimal string whose last digit is another one."""
    return text[:-1] + str((int(text[-1]) + 1) % 10)


def _alter(holder: dict[str, Any], key: str) -> None:
    holder[key] = altered(holder[key])


def _line(document: dict[str, Any]) -> dict[str, Any]:
    line: dict[str, Any] = document["layers"][0]["formation"][0]
    return line


def _both_totals(document: dict[str, Any]) -> None:
    _alter(document["totals"], "energy_fj")
    _alter(document["layers"][0]["energy_fj"], "total")


def _dearer(document: dict[str, Any]) -> None:
    """A line that is 1 fJ dearer, and with it every sum that it is a part of."""
    name = document["unit_prices"][0]["component"]
    for holder, key in (
        (_line(document), "energy_fj"),
        (document["layers"][0]["energy_fj"], name),
        (document["layers"][0]["energy_fj"], "total"),
        (document["totals"]["energy_by_component_fj"], name),
        (document["totals"], "energy_fj"),
    ):
        holder[key] = str(int(holder[key]) + 1)


def _swapped(document: dict[str, Any]) -> None:
    """1 fJ more for one component and 1 fJ less for another, in the layer and in the totals."""
    for energies in (document["layers"][0]["energy_fj"], document["totals"]["energy_by_component_fj"]):
        energies["dram_ifmap"] = str(int(energies["dram_ifmap"]) + 1)
        energies["dram_filter"] = str(int(energies["dram_filter"]) - 1)


def _leaking(document: dict[str, Any]) -> None:
    """Another static energy, in the layer and in the totals."""
    for holder in (document["layers"][0], document["totals"]):
        _alter(holder, "static_energy_fj")


@pytest.fixture(scope="module")
def large() -> str:
    return simulate(gemms(*SIZES["the largest cube"])).to_json()


TAMPERED: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "total": (lambda d: _alter(d["totals"], "energy_fj"), "femtojoules over layers do not add up"),
    "component": (
        lambda d: _alter(d["totals"]["energy_by_component_fj"], "dram_ifmap"),
        "femtojoules over components do not add up",
    ),
    "layer": (lambda d: _alter(d["layers"][0]["energy_fj"], "total"), "g0: femtojoules do not add up"),
    "layer's component": (
        lambda d: _alter(d["layers"][0]["energy_fj"], "wires"),
        "g0: femtojoules do not add up",
    ),
    "layer and total": (_both_totals, "g0: femtojoules do not add up"),
    "line": (lambda d: _alter(_line(d), "energy_fj"), "g0: femtojoules of pe_multiply: useful MACs of int8"),
    "line with all its sums": (_dearer, "g0: femtojoules of pe_multiply: useful MACs of int8"),
    "two components": (_swapped, "g0: femtojoules of dram_"),
    "static": (
        lambda d: _alter(d["totals"], "static_energy_fj"),
        "femtojoules of static energy do not add up",
    ),
    "layer's static": (_leaking, "g0: femtojoules of static energy do not add up"),
    "count": (lambda d: _line(d).update(count=_line(d)["count"] + 1), "g0: femtojoules of pe_multiply"),
    "factor": (lambda d: _line(d).update(factor=0.5), "g0: femtojoules of pe_multiply"),
    "price": (lambda d: d["unit_prices"][0].update(price_pj=0.25), "g0: femtojoules of pe_multiply"),
    "price without a name": (
        lambda d: d["unit_prices"][0].update(name="x"),
        "g0: there is no unit price 'pe_multiply: useful MACs of int8'",
    ),
    "view": (lambda d: d["totals"].update(energy_pj=1.0), "totals: 1.0 pJ is not the rounded view of"),
    "no integers": (lambda d: d["totals"].pop("energy_fj"), "totals.energy_fj: is not a valid result: Field"),
    "no energy": (
        lambda d: d["totals"].update(energy_fj="1e30"),
        "totals.energy_fj: is not a valid result: must be whole femtojoules as a decimal string",
    ),
    "huge count": (lambda d: _line(d).update(count=10**400), "holds a number of more than 300 digits"),
}


@pytest.mark.parametrize(("tamper", "complaint"), TAMPERED.values(), ids=TAMPERED)
def test_a_tampered_digit_is_refused_beyond_64_bits(
    large: str, tmp_path: Path, capsys: Capture, tamper: Callable[[dict[str, Any]], None], complaint: str
) -> None:
    """Picojoules round to the same floats before and after, so that only the integers can tell."""
    document = json.loads(large)
    assert int(document["totals"]["energy_fj"]) > 2**64
    tamper(document)
    file = tmp_path / "result.json"
    file.write_text(json.dumps(document))
    refused = run(capsys, "report", file, "-o", tmp_path / "r.html").must_refuse(str(file), complaint)
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "r.html").exists()


def test_a_result_of_version_1_has_integers_once_it_is_read(tmp_path: Path) -> None:
    """Version 1 had no integers, counts as floats, and lines rounded from float products.

    Clocks are gated, so that the energy is its own bound as in version 1.
    """
    result = simulate("alexnet", overrides={"array.clock_gating": True})
    document = json.loads(result.to_json())
    document["schema_version"] = 1
    for name in [name for name in document["totals"] if name.startswith(("chip_", "dram_", "energy_bound"))]:
        del document["totals"][name]
    for layer in document["layers"]:
        del layer["energy_bound_pj"]
        for holder in (layer, document["totals"], *layer["formation"]):
            for field in [name for name in holder if name.endswith("_fj")]:
                del holder[field]
        for line in layer["formation"]:
            line["count"] = float(line["count"])
    file = tmp_path / "old.json"
    file.write_text(json.dumps(document))
    read = load_result(file)
    assert read.totals == result.totals
    for before, after in zip(result.layers, read.layers, strict=True):
        assert after.energy_fj == before.energy_fj
        assert [line.energy_fj for line in after.formation] == [line.energy_fj for line in before.formation]


@pytest.mark.parametrize(
    ("energy_pj", "complaint"),
    [
        *((value, "is not a valid result") for value in ("lots", [1], True)),
        (float("inf"), "holds Infinity"),
        (float("nan"), "holds NaN"),
        (10**400, "holds a number of more than 300 digits"),
    ],
    ids=["text", "list", "boolean", "infinity", "nan", "401 digits"],
)
def test_what_is_no_energy_in_a_file_of_version_1_is_refused(
    tmp_path: Path, capsys: Capture, energy_pj: object, complaint: str
) -> None:
    document = json.loads(simulate("alexnet").to_json())
    document["schema_version"] = 1
    for holder in (document["totals"], *document["layers"]):
        for field in [name for name in holder if name.endswith("_fj")]:
            del holder[field]
    document["totals"]["energy_pj"] = energy_pj
    file = tmp_path / "result.json"
    file.write_text(json.dumps(document))
    run(capsys, "report", file, "-o", tmp_path / "r.html").must_refuse(str(file), complaint)


# Outputs


def test_an_explanation_has_every_digit_of_counts_and_energies() -> None:
    result = simulate(gemms(*SIZES["the largest cube"]))
    layer = result.layers[0]
    text = explain(result, "g0")
    (total,) = re.findall(r"^total  ([\d,]+\.\d{3}) pJ$", text, flags=re.MULTILINE)
    assert int(re.sub("[,.]", "", total)) == layer.energy_fj["total"]
    assert f"{LARGEST_CUBE**3:,} x " in text
    lines = re.findall(r"^    [\d,.e+]+ x .* = ([\d,]+\.\d{3}) pJ$", text, flags=re.MULTILINE)
    assert len(lines) == len(layer.formation)
    assert sum(int(re.sub("[,.]", "", line)) for line in lines) == layer.energy_fj["total"]


@pytest.fixture(scope="module")
def one_pe() -> Result:
    """One PE: a cycle a MAC, so that cycles lie beyond 64 bits in total and beyond 53 in a layer."""
    return simulate(
        gemms(*SIZES["the largest cube"], layers=200),
        overrides={
            "array": {"rows": 1, "columns": 1},
            **{f"sram.{operand}.word_bits": 64 for operand in ("ifmap", "filter", "ofmap")},
        },
    )


def test_counts_beyond_64_bits_stand_in_full_in_tables_and_files(one_pe: Result) -> None:
    exact(one_pe)
    cycles, compute = one_pe.totals.cycles, one_pe.layers[0].cycles.compute
    assert cycles > 2**64
    assert 2**53 < compute == LARGEST_CUBE**3
    figure = cycles_by_layer(one_pe)
    row = [cell.text for cell in figure_table(figure).rows[0]]
    assert row[:2] == ["g0", f"{compute:,}"]
    assert row[-1] == f"{one_pe.layers[0].cycles.total:,}"
    assert f"{one_pe.layers[0].cycles.total:,}" in [cell.text for cell in layers_table(one_pe).rows[0]]
    assert layer_rows(one_pe)[0]["compute_cycles"] == compute
    assert f",{compute}," in layers_csv(one_pe)
    metric = next(metric for metric in compare_results([one_pe]).metrics if metric.key == "cycles")
    assert metric.show(metric.column_scale([one_pe]), cycles) == f"{cycles:,}"


def test_pictures_and_utilization_are_drawn_of_counts_beyond_64_bits(one_pe: Result) -> None:
    heat = pe_utilization(one_pe)
    assert heat is not None
    assert heat.values[0][0] == pytest.approx(one_pe.totals.macs / one_pe.totals.cycles, rel=1e-12)
    axes = draw(cycles_by_layer(one_pe)).axes[0]
    tallest = max(patch.get_y() + patch.get_height() for patch in axes.patches)  # type: ignore[attr-defined]
    assert tallest == pytest.approx(one_pe.layers[0].cycles.total, rel=1e-12)


def test_the_page_embeds_no_integer_that_a_browser_would_change(one_pe: Result) -> None:
    page = render_html([one_pe])
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found
    numbers: list[int] = []

    def whole(text: str) -> int:
        numbers.append(int(text))
        return int(text)

    figures = json.loads(found[1], parse_int=whole)
    assert numbers
    assert max(map(abs, numbers)) < 2**53
    compute = figures["v0-cycles_by_cause"]["series"][0]["values"][0]
    assert compute == float(LARGEST_CUBE**3)
    total = one_pe.layers[0].cycles.total
    assert f'data-value="{total}">{total:,}<' in page


def test_the_console_cuts_no_digits_off(one_pe: Result, capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "g.csv"
    rows = [f"g{i}," + ",".join(map(str, SIZES["the largest cube"])) for i in range(200)]
    file.write_text("\n".join(["Layer,M,N,K", *rows]) + "\n")
    page = run(capsys, "simulate", file, "--set", "array={rows: 1, columns: 1}").must_succeed().stdout
    assert re.search(r"cycles +20\.00 E", page)
    tables = page.partition("Not priced")[0]
    assert "…" not in tables


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999_999_999_999_999, "999,999,999,999,999"),
        (10**15, "1.000 P"),
        (19_534_127_524_362_800, "19.53 P"),
        (19_999_928_900_097_169_600, "20.00 E"),
    ],
)
def test_counts_fit_narrow_tables(count: int, text: str) -> None:
    assert units.fitting(count) == text


# Column blocks and MACs of the same name


@pytest.mark.parametrize("size", [7, 10**6 + 1, 10**17 + 3])
def test_pe_cycles_of_column_blocks_sum_to_those_of_the_array(size: int) -> None:
    cycles = PECycles(useful=size, idle=11 * size + 5, shifting=3 * size + 1, holding=2 * size + 1)
    counts = ActionCounts(
        macs=size,
        cycles=CycleBreakdown(size, 0, 0),
        pe_cycles=cycles,
        activation_codes=0,
        weight_codes=5 * size,
        converter_operations=size,
        output_path_operations={},
        sram={},
        dram={},
        results_by_block=(size - 3, 2, 1),
        hidden_shifts=size,
        handovers=size + 2,
    )
    dealt = block_counts(counts, [9, 5, 18])
    assert [block.results for block in dealt] == [size - 3, 2, 1]
    assert [block.weight_codes for block in dealt] == [5 * (size - 3), 10, 5]
    assert sum(block.hidden_shifts for block in dealt) == size
    assert sum(block.handovers for block in dealt) == size + 2
    blocks = [block.cycles for block in dealt]
    assert [sum(getattr(block, use) for block in blocks) for use in ("shifting", "holding", "total")] == [
        cycles.shifting,
        cycles.holding,
        cycles.total,
    ]
    assert [block.useful for block in blocks] == [size - 3, 2, 1]
    assert blocks[0].shifting == cycles.shifting * 9 // 32


def test_macs_that_are_called_alike_and_cost_differently_have_unit_prices_of_their_own() -> None:
    """An accumulator of 40 bits has twice the adder of one of 20."""

    def mac(bits: int) -> dict[str, Any]:
        accumulator = {"kind": "fixed", "bits": bits}
        return {"mac": {"activation": "int8", "weight": "int8", "accumulator": accumulator}}

    network = replace(gemms(40, 30, 20, layers=3), name="three")
    result = exact(
        simulate(network, overrides={"layers.g0": mac(20), "layers.g1": mac(40), "layers.g2": mac(20)})
    )
    prices = {unit.name: unit for unit in result.unit_prices}
    assert len(prices) == len(result.unit_prices)
    adders = [
        [prices[line.unit_price] for line in layer.formation if line.unit_price.startswith("pe_add: useful")]
        for layer in result.layers
    ]
    (narrow,), (wide,), (again,) = adders
    assert narrow is again
    assert (narrow.name, wide.name) == (
        "pe_add: useful MACs of int8 x int8",
        "pe_add: useful MACs of int8 x int8 #2",
    )
    assert wide.prices[0].quantity == 2 * narrow.prices[0].quantity == 40


# Beyond the range


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("L,M,N,K\ng,1000000000001,1,1", ["line 2, M", "at most 1,000,000,000,000"]),
        ("L,M,N,K\ng,1,1,1e400", ["line 2, K", "is beyond the simulator's range", "1,000,000,000,000"]),
        ("L,M,N,K\ng,464159,464159,464159", ["line 2", "g.macs", "at most 100,000,000,000,000,000"]),
        (
            "L,M,N,K\nf,1,1,1\ng,1000001,1,1000000",
            ["line 3", "g.ifmap_elements", "at most 1,000,000,000,000"],
        ),
    ],
)
def test_a_topology_beyond_the_range_is_refused(
    tmp_path: Path, capsys: Capture, text: str, parts: list[str]
) -> None:
    file = tmp_path / "g.csv"
    file.write_text(text + "\n")
    run(capsys, "simulate", file).must_refuse(str(file), *parts)


@pytest.mark.parametrize(
    ("layer", "parts"),
    [
        ("fc: {m: 1000000000001, k: 1, n: 1}", ["one.m", "(got 1000000000001)", "at most 1,000,000,000,000"]),
        ("fc: {m: 464159, k: 464159, n: 464159}", ["one.macs", "at most 100,000,000,000,000,000"]),
        ("matmul: {m: 2, k: 2, n: 2, products: 500000000001}", ["one.n", "at most 1,000,000,000,000"]),
        (
            "conv: {channels: 1, filters: 1, ifmap: [1000001, 1000000], kernel: 1}",
            ["one.m", "at most 1,000,000,000,000"],
        ),
    ],
)
def test_a_network_file_beyond_the_range_is_refused(
    tmp_path: Path, capsys: Capture, layer: str, parts: list[str]
) -> None:
    file = tmp_path / "n.yaml"
    file.write_text(f"name: n\nsource: made up\nlayers:\n  - {{name: one, {layer}}}\n")
    run(capsys, "simulate", file).must_refuse(str(file), "layers.0 (one)", *parts)


def test_an_onnx_graph_beyond_the_range_is_refused(tmp_path: Path, capsys: Capture) -> None:
    shapes = {"x": [464_159, 464_159], "w": [464_159, 464_159]}
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    graph = onnx.helper.make_graph([node], "g", inputs, [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    file = tmp_path / "g.onnx"
    onnx.save(model, file)
    run(capsys, "simulate", file).must_refuse(str(file), "product.macs", "at most 100,000,000,000,000,000")


@pytest.mark.parametrize(
    ("network", "largest"),
    [
        ("vgg16", 10**12 // (64 * 224 * 224)),  # results of the first layer
        ("alexnet", 10**12 // (96 * 55 * 55)),
        ("vit_b32", 10**12 // (50 * 3072)),  # of the wider product in each block
    ],
)
def test_a_batch_beyond_the_range_is_refused_with_the_largest_that_is_not(
    capsys: Capture, network: str, largest: int
) -> None:
    refused = run(capsys, "simulate", network, "--batch", str(10**9))
    refused.must_refuse(f"{network}: batch: is too large", f"allowed: at most {largest:,}")
    assert load_workload(network, batch=largest).batch == largest
    with pytest.raises(UserError, match=f"got {largest + 1}"):
        load_workload(network, batch=largest + 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: matrix_layer("g", "fc", m=10**12 + 1, n=1, k=1), r"g\.m: .* at most 1,000,000,000,000$"),
        (
            lambda: matrix_layer("g", "fc", m=464_159, n=464_159, k=464_159),
            r"g\.macs: .* at most 100,000,000,000,000,000$",
        ),
        (
            lambda: convolution_layer("c", Convolution(10**7, 1, 1, (1000, 1000), (1000, 1000))),
            r"c\.ifmap_elements: .* at most 1,000,000,000,000$",
        ),
    ],
)
def test_a_layer_beyond_the_range_cannot_be_made(make: Callable[[], Layer], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()
