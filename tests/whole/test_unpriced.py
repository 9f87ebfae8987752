"""Whole runs whose prices are missing: time as ever, figures without a price in words, reasons once."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from simulator.arch import load_arch
from simulator.report.explain import explain
from simulator.result import SCHEMA_VERSION, TOTAL, Result, load_result, priced
from simulator.simulation import load_workload, run_machine, simulate
from tests.command import run

Capture = pytest.CaptureFixture[str]

NETWORK = """
name: tiny
source: made up for tests
layers:
  - {name: one, fc: {m: 40, k: 40, n: 30}}
  - {name: two, fc: {m: 40, k: 30, n: 10}, inputs: [one]}
"""
TABLES = ["johnson2018_28nm", "parts_28nm", "dram", "interconnect_28nm"]
"""All but that of memories."""

NO_SRAM = {"tables": TABLES}
NO_DRAM = {"tables": ["johnson2018_28nm", "parts_28nm", "interconnect_28nm", "sram_28nm"]}
SET_TABLES = f"tables={json.dumps(TABLES)}"
REASON = "no table in `tables` has the price: add the bundled table sram_28nm"
LOST = (
    "energy of SRAM ifmap, SRAM filter, SRAM ofmap, wires, leakage SRAM; area of SRAM ifmap, SRAM filter, "
    "SRAM ofmap"
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("network") / "tiny.yaml"
    file.write_text(NETWORK)
    return file


def gemm(folder: Path, m: int, n: int, k: int) -> Path:
    file = folder / "g.csv"
    file.write_text(f"Layer,M,N,K,\ng,{m},{n},{k},\n")
    return file


def array_cycles(result: Result) -> int:
    cycles = result.layers[0].cycles
    return cycles.compute + cycles.fill + cycles.drain


# Time needs no price


@pytest.mark.parametrize("side", [1, 2, 4, 512])
def test_an_array_of_any_size_takes_the_cycles_of_the_circuit(tmp_path: Path, side: int) -> None:
    """A fold takes K + 2R + C - 2 cycles; 8 x 8 outputs of K = 5 fill ceil(8 / side) folds either way."""
    result = simulate(gemm(tmp_path, 8, 8, 5), overrides={"array.rows": side, "array.columns": side})
    folds = math.ceil(8 / side) ** 2
    assert array_cycles(result) == folds * (5 + 2 * side + side - 2)


@pytest.mark.parametrize(
    ("overrides", "lost"),
    [
        (NO_SRAM, "sram_ofmap"),
        (NO_DRAM, "dram_filter"),
        ({"clock_mhz": 800}, "pe_multiply"),
        ({"clock_mhz": 5000}, "wires"),
        ({"process.node_nm": 7}, "sram_ifmap"),
        ({"process.node_nm": 7, "scaling.node": True}, "pe_add"),
        ({"process.voltage_v": 0.9}, "pe_registers"),
        ({"process.temperature_c": 125}, "output_path"),
        ({"tables": ["dram"]}, "leakage_sram"),
    ],
)
def test_no_price_stops_a_simulation_and_none_changes_its_time(
    network: Path, overrides: dict[str, Any], lost: str
) -> None:
    result = simulate(network, overrides=overrides)
    machine = run_machine(load_arch("int8_32x32", overrides), load_workload(network))
    assert result.totals.cycles == machine.cycles
    totals = result.totals
    assert totals.energy_by_component_pj[lost] is None
    without = (
        totals.energy_pj,
        totals.power_mw,
        totals.peak_layer_power_mw,
        totals.tops_per_w,
        totals.energy_delay_product_pj_ms,
        *(layer.energy_pj[TOTAL] for layer in result.layers),
        *(layer.power_mw for layer in result.layers),
    )
    assert set(without) == {None}
    assert totals.tops > 0
    assert lost in {missing.component for missing in result.not_priced if missing.figure == "energy"}


def test_area_and_what_follows_from_it_have_no_value_when_a_part_has_none(network: Path) -> None:
    totals = simulate(network, overrides=NO_SRAM).totals
    assert (totals.area_um2, totals.tops_per_mm2) == (None, None)
    totals = simulate(network, overrides=NO_DRAM).totals
    assert priced(totals.area_um2) > 0
    assert priced(totals.tops_per_mm2) == pytest.approx(totals.tops / (priced(totals.area_um2) / 1e6))


def test_a_clock_beyond_a_mac_is_a_warning_and_leaves_it_without_a_price(network: Path) -> None:
    fast = {"clock_mhz": 800, "scaling.frequency": True}
    result = simulate(network, mac="elma8", overrides=fast)
    assert result.warnings[0] == (
        "MAC 'elma8' meets timing up to 500 MHz only; cycles are those of 800 MHz all the same, its energy "
        "and area are not priced"
    )
    assert all("may overflow" in warning for warning in result.warnings[1:])
    assert result.area_um2["pe_array"] is None
    assert result.area_um2["output_path"] is not None
    assert result.totals.latency_ms == pytest.approx(result.totals.cycles / 800e3)
    assert simulate(network, mac="fp8", overrides=fast).warnings == []
    int8 = simulate(network, overrides=fast)
    assert (int8.warnings, int8.not_priced) == ([], [])


def test_a_layer_whose_own_mac_has_no_price_is_alone_without_one(network: Path) -> None:
    own = {"macs.slow": {"activation": "int8", "weight": "int4", "max_clock_mhz": 100}}
    result = simulate(network, overrides={**own, "layers.two": {"mac": "slow"}})
    usual = simulate(network)
    one, two = result.layers
    assert one.energy_pj == usual.layers[0].energy_pj
    assert {part for part, pj in two.energy_pj.items() if pj is None} == {
        "pe_multiply",
        "pe_add",
        "pe_registers",
        "wires",
        "leakage_array",
        TOTAL,
    }
    assert two.energy_pj["dram_ifmap"] is not None
    assert result.totals.energy_pj is None
    assert result.totals.energy_by_component_pj["pe_multiply"] is None
    sram = [layer.energy_pj["sram_filter"] for layer in result.layers]
    assert result.totals.energy_by_component_pj["sram_filter"] == pytest.approx(sum(map(priced, sram)))
    assert result.totals.area_um2 == usual.totals.area_um2
    assert len(result.warnings) == 1
    names = [unit.name for unit in result.unit_prices]
    assert len(set(names)) == len(names)
    prices = {unit.name: unit.price_pj for unit in result.unit_prices}
    for layer in result.layers:
        for line in layer.formation:
            assert (line.energy_pj is None) == (prices[line.unit_price] is None)


def test_column_blocks_with_one_mac_without_a_price(network: Path) -> None:
    overrides = {
        "macs.slow": {"activation": "int8", "weight": "int4", "max_clock_mhz": 100},
        "array.column_blocks": [{"mac": "int8", "columns": 16}, {"mac": "slow", "columns": 16}],
    }
    result = simulate(network, overrides=overrides)
    units = {unit.name: unit for unit in result.unit_prices}
    assert units["pe_multiply: useful MACs of int8"].price_pj is not None
    assert units["pe_multiply: useful MACs of slow"].price_pj is None
    assert result.totals.energy_by_component_pj["pe_multiply"] is None
    lines = [line for line in result.area_formation if line.component == "pe_array"]
    assert [line.area_um2 is None for line in lines] == [False, True]
    assert result.area_um2["pe_array"] is None


def test_equal_layers_are_priced_alike_and_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "same.csv"
    file.write_text("Layer,M,N,K,\na,40,30,20,\nb,8,8,8,\nc,40,30,20,\n")
    a, b, c = simulate(file).layers
    assert (a.energy_pj, a.formation) == (c.energy_pj, c.formation)
    assert b.energy_pj != a.energy_pj
    assert (c.name, c.start_cycle) == ("c", a.cycles.total + b.cycles.total)


# The file


def test_json_has_null_and_the_reason_and_is_read_back(
    network: Path, tmp_path: Path, capsys: Capture
) -> None:
    outcome = run(
        capsys, "simulate", network, "--set", SET_TABLES, "--out", tmp_path, "--json"
    ).must_succeed()
    document = json.loads(outcome.stdout)
    assert document["schema_version"] == SCHEMA_VERSION == 2
    assert document["totals"]["energy_pj"] is None
    assert document["totals"]["area_um2"] is None
    assert document["area_um2"][TOTAL] is None
    assert document["layers"][0]["energy_pj"]["sram_ifmap"] is None
    assert {
        "reason": REASON,
        "needs": "the area of sram_ifmap",
        "component": "wires",
        "figure": "energy",
    } in document["not_priced"]
    assert {entry["reason"] for entry in document["not_priced"]} == {REASON}
    result = load_result(tmp_path)
    assert result.to_json() == outcome.stdout
    rows = list(csv.DictReader(io.StringIO((tmp_path / "layers.csv").read_text())))
    assert [row["energy_total_pj"] for row in rows] == ["", ""]
    assert float(rows[0]["energy_dram_filter_pj"]) > 0
    assert [row["not_priced"] for row in rows] == [REASON, REASON]


def test_a_result_of_version_1_is_read(network: Path, tmp_path: Path) -> None:
    """In version 1 nothing could be without a price, nothing said why, and energies were picojoules alone.

    With gated clocks idle PEs take nothing, so that the energy is its own bound, as it was in version 1.
    """
    result = simulate(network, load_arch("int8_32x32", {"array.clock_gating": True}))
    document = json.loads(result.to_json())
    document["schema_version"] = 1
    del document["not_priced"], document["left_out"]
    for name in [name for name in document["totals"] if name.startswith(("chip_", "dram_", "energy_bound"))]:
        del document["totals"][name]
    for entry in (*document["unit_prices"], *document["area_formation"]):
        del entry["not_priced"]
    for layer in document["layers"]:
        del layer["energy_bound_pj"]
        for holder in (layer, document["totals"], *layer["formation"]):
            for field in [name for name in holder if name.endswith("_fj")]:
                del holder[field]
    file = tmp_path / "old.json"
    file.write_text(json.dumps(document))
    assert load_result(file) == result.model_copy(update={"left_out": []})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d["not_priced"].clear(), "energy is not priced for"),
        (lambda d: d["totals"].update(energy_pj=1.0), "1.0 pJ is not the rounded view of what is not priced"),
        (
            lambda d: d["totals"].update(energy_pj=1.0, energy_fj="1000"),
            "femtojoules over layers do not add up",
        ),
        (lambda d: d["totals"].update(power_mw=1.0), "totals: power_mw do not add up"),
        (lambda d: d["totals"].update(area_um2=1.0), "area do not add up"),
        (
            lambda d: (
                d["totals"]["energy_by_component_pj"].update(sram_ifmap=0.0),
                d["totals"]["energy_by_component_fj"].update(sram_ifmap="0"),
            ),
            "femtojoules of sram_ifmap",
        ),
        (
            lambda d: (
                d["layers"][0]["energy_pj"].update(total=1.0),
                d["layers"][0]["energy_fj"].update(total="1000"),
            ),
            "one: femtojoules do not add up",
        ),
        (lambda d: d["layers"][0].update(power_mw=0.0), "one: power_mw do not add up"),
    ],
)
def test_a_partial_sum_is_never_a_total(
    network: Path, tmp_path: Path, capsys: Capture, change: Any, complaint: str
) -> None:
    document = json.loads(simulate(network, overrides=NO_SRAM).to_json())
    change(document)
    file = tmp_path / "result.json"
    file.write_text(json.dumps(document))
    run(capsys, "report", file, "-o", tmp_path / "r.html").must_refuse(complaint)


# Readers


def test_the_console_says_not_priced_in_words_and_each_reason_once(network: Path, capsys: Capture) -> None:
    page = run(capsys, "simulate", network, "--set", SET_TABLES).must_succeed().stdout
    for headline in ("energy", "power", "TOPS/W", "area"):
        assert re.search(rf"{headline} +not priced", page), headline
    text = " ".join(page.split())
    assert text.count(REASON) == 1
    assert f"{LOST}: {REASON}" in text
    assert "so energy, power, TOPS/W and area of the whole cannot be given" in text
    assert not re.search(r"\b(nan|None|null)\b", page)
    assert re.search(r"^DRAM filter'? +\d", page, flags=re.MULTILINE)


def test_a_result_that_is_priced_says_nothing_of_it(network: Path, capsys: Capture) -> None:
    assert "priced" not in run(capsys, "simulate", network).must_succeed().stdout


def test_explain_says_why_a_component_has_no_price(network: Path) -> None:
    result = simulate(network, overrides=NO_SRAM)
    text = " ".join(explain(result, "one", "sram_ifmap").split())
    assert "SRAM ifmap not priced" in text
    assert f"needs row sram/*/read; {REASON}" in text
    wires = " ".join(explain(result, "one", "wires").split())
    assert f"needs the area of sram_ifmap; {REASON}" in wires
    assert "bytes between buffer and array (filter), dynamic" in wires
    whole = " ".join(explain(result, "one").split())
    total, _, parts = whole.rpartition(" a part of it is not priced: ")
    assert total.endswith("total not priced")
    assert set(parts.split(", ")) == {"SRAM ifmap", "SRAM filter", "SRAM ofmap", "wires", "leakage SRAM"}
    area = " ".join(explain(result, component="sram_ifmap").split())
    assert f"1 x not priced needs row sram/*/area; {REASON}" in area


def test_compare_against_a_reference_without_a_price(network: Path, tmp_path: Path, capsys: Capture) -> None:
    """The first variant's energy and area are unknown: no ratio to them exists, one of the others is best."""
    big = tmp_path / "big.yaml"
    big.write_text(f"name: big\n{SET_TABLES.replace('=', ': ')}\n")
    table = tmp_path / "out.csv"
    archs: list[str | Path] = ["--arch", big, "--arch", "int8_32x32", "--arch", "fp16_32x32"]
    outcome = run(capsys, "compare", network, *archs, "--csv", table, "--json").must_succeed()
    first, int8, fp16 = json.loads(outcome.stdout)["variants"]
    for key in ("energy_pj", "power_mw", "area_um2", "tops_per_w"):
        assert first[key] is None
        assert [variant[f"{key}_relative"] for variant in (first, int8, fp16)] == [None, None, None]
        assert int8[key] is not None
    assert int8["cycles_relative"] == int8["cycles"] / first["cycles"]
    assert "energy_pj" in int8["best_in"]
    assert "energy_pj" not in first["best_in"]
    assert [variant["on_pareto_front"] for variant in (first, int8, fp16)] == [False, True, False]
    assert first["energy_wires_pj"] is None
    assert REASON in first["not_priced"]
    assert int8["not_priced"] is None
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert rows[0]["energy_pj"] == rows[0]["energy_pj_relative"] == rows[1]["energy_pj_relative"] == ""
    assert REASON in rows[0]["not_priced"]
    page = run(capsys, "compare", network, *archs).must_succeed().stdout
    text = " ".join(page.split())
    assert "not priced" in next(line for line in page.splitlines() if line.startswith("big"))
    assert "the best is that of the priced variants; no ratio to a first variant that is not priced" in text
    assert f"- big: {LOST}: {REASON}" in text


def test_a_sweep_with_one_side_without_a_price(network: Path, tmp_path: Path, capsys: Capture) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        json.dumps({"networks": [str(network)], "grid": {"tables": [TABLES, [*TABLES, "sram_28nm"]]}})
    )
    outcome = run(
        capsys,
        "sweep",
        spec,
        "--jobs",
        "1",
        "--csv",
        tmp_path / "out.csv",
        "--plots",
        tmp_path / "plots",
        "--json",
    ).must_succeed()
    document = json.loads(outcome.stdout)
    assert document["objectives"] == ["energy_pj", "area_um2"]
    big, small = document["points"]
    assert (big["energy_pj"], big["area_um2"], big["on_pareto_front"]) == (None, None, False)
    assert big["cycles"] > 0
    assert big["problem"] is None
    assert REASON in big["not_priced"]
    assert small["not_priced"] is None
    assert small["on_pareto_front"]
    assert list((tmp_path / "plots" / "tiny").glob("pareto_*.svg"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [row["energy_pj"] == "" for row in rows] == [True, False]
    text = " ".join(run(capsys, "sweep", spec).must_succeed().stdout.split())
    assert "of 2 points" in text
    assert f"- 1 of 2 points: {LOST}: {REASON}" in text


def test_a_sweep_in_which_nothing_is_priced_names_another_objective(
    network: Path, tmp_path: Path, capsys: Capture
) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(json.dumps({"networks": [str(network)], "grid": {"tables": [TABLES, TABLES[::-1]]}}))
    text = " ".join(run(capsys, "sweep", spec, "--jobs", "1").must_succeed().stdout.split())
    assert "No front: no point has energy, area, top-1; choose others, such as --objective latency_ms" in text
    outcome = run(capsys, "sweep", spec, "--objective", "latency_ms", "--json").must_succeed()
    assert any(point["on_pareto_front"] for point in json.loads(outcome.stdout)["points"])


# Memories that are slower than the clock


def test_a_result_warns_of_a_slow_macro(tmp_path: Path) -> None:
    """4096 KiB x 256 bit: 0.00677 + 0.14032 x 8 + 0.018582 x 64 + 0.00022016 x 64 x 16 = 2.544 ns at 2 ns."""
    file = tmp_path / "n.csv"
    file.write_text("Layer,M,N,K,\na,8,8,8,\n")
    result = simulate(file, overrides={"sram.filter.capacity_kib": 4096})
    (warning,) = [text for text in result.warnings if "macro" in text]
    assert warning.startswith(
        "sram.filter: a macro of 4096 KiB x 256 bit takes 2.54 ns, longer than the 2 ns"
    )
    assert not [text for text in simulate(file).warnings if "macro" in text]
