"""`systolic simulate` from end to end: what it prints, what it writes, and that everything adds up."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from simulator.arch import load_arch
from simulator.arch.config import LayerConfig
from simulator.foundation.resources import bundled_names
from simulator.result import Result, load_result, priced
from simulator.simulation import simulate
from simulator.workload import load_network
from tests.command import run, run_process

ARCHITECTURES = ("int8_32x32", "elma8_32x32", "elma16_32x32", "fp16_32x32")
CONTRACT = {
    "totals": {
        "cycles",
        "macs",
        "latency_ms",
        "energy_pj",
        "power_mw",
        "area_um2",
        "utilization",
        "tops_per_w",
    },
    "layer": {
        "name",
        "kind",
        "m",
        "n",
        "k",
        "macs",
        "folds",
        "cycles",
        "utilization",
        "sram_bytes",
        "dram_bytes",
        "energy_pj",
    },
}


@pytest.fixture(scope="module")
def resnet50() -> Result:
    return simulate("resnet50", "int8_32x32")


def test_the_result_keeps_its_contract(resnet50: Result) -> None:
    document: dict[str, Any] = json.loads(resnet50.to_json())
    assert {"schema_version", "network", "arch", "totals", "layers", "area_um2", "sources"} <= document.keys()
    assert document["totals"].keys() >= CONTRACT["totals"]
    for layer in document["layers"]:
        assert layer.keys() >= CONTRACT["layer"]
        assert layer["cycles"].keys() == {"compute", "fill", "drain", "stall", "total"}
        assert layer["sram_bytes"].keys() == layer["dram_bytes"].keys() == {"ifmap", "filter", "ofmap"}
        assert "total" in layer["energy_pj"]


def test_output_stationary_folds_take_the_circuits_cycles(resnet50: Result) -> None:
    """A fold takes K + 2R + C - 2 cycles, the published circuit's schedule."""
    for layer in resnet50.layers:
        folds = math.ceil(layer.m / 32) * math.ceil(layer.n / layer.groups / 32) * layer.groups
        assert layer.folds == folds
        assert layer.cycles.compute == folds * layer.k
        assert layer.cycles.fill == folds * (32 + 32 - 2)
        assert layer.cycles.drain == folds * 32


def test_headline_figures_follow_from_each_other(resnet50: Result) -> None:
    totals = resnet50.totals
    assert totals.macs == 4_089_184_256
    assert totals.latency_ms == pytest.approx(totals.cycles / 500e6 * 1e3, rel=1e-12)
    energy_pj = priced(totals.energy_pj)
    assert totals.power_mw == pytest.approx(energy_pj / (totals.latency_ms * 1e6), rel=1e-12)
    assert totals.tops_per_w == pytest.approx(2 * totals.macs / energy_pj, rel=1e-12)
    assert totals.utilization == pytest.approx(totals.macs / (1024 * totals.cycles), rel=1e-12)


def test_every_price_says_where_it_comes_from(resnet50: Result) -> None:
    prices = resnet50.sources.prices
    assert prices
    for price in prices:
        assert price.source
        assert price.table in resnet50.sources.table_hashes
        assert price.status in {"published", "derived", "model", "tool_default", "ratio", "composed"}


@pytest.mark.parametrize("name", bundled_names("workloads"))
def test_every_bundled_network_runs(name: str) -> None:
    result = simulate(name)
    assert result.totals.macs == load_network(name).macs
    assert 0 < result.totals.utilization <= 1


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_every_bundled_architecture_runs_under_every_dataflow(arch: str, dataflow: str) -> None:
    result = simulate("resnet18", arch, dataflow=dataflow)
    assert result.totals.macs == load_network("resnet18").macs


def test_batches_multiply_the_work() -> None:
    assert simulate("resnet18", batch=4).totals.macs == 4 * simulate("resnet18").totals.macs


def test_json_stands_alone_on_stdout_and_is_the_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    outcome = run(capsys, "simulate", "alexnet", "--json", "--out", tmp_path / "out").must_succeed()
    assert outcome.stderr == ""
    assert outcome.stdout == (tmp_path / "out" / "result.json").read_text()
    assert load_result(tmp_path / "out").totals.macs == json.loads(outcome.stdout)["totals"]["macs"]


def test_the_same_command_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        run_process("simulate", "resnet18", "--quiet", "--out", tmp_path / folder).must_succeed()
    for name in ("result.json", "layers.csv"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_layers_csv_has_a_row_a_layer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(capsys, "simulate", "alexnet", "--quiet", "--out", tmp_path).must_succeed()
    rows = list(csv.DictReader((tmp_path / "layers.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == [layer.name for layer in load_network("alexnet").layers]
    assert sum(int(row["macs"]) for row in rows) == load_network("alexnet").macs


def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(capsys, "simulate", "alexnet", "--quiet").must_succeed()
    assert outcome.stdout == outcome.stderr == ""


def test_options_override_single_fields(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["simulate", "alexnet", "--mac", "elma8", "--rows", "16", "--cols", "8", "--clock-mhz", "250"]
    outcome = run(
        capsys, *command, "--set", "sram.ifmap.capacity_kib=64", "--set", "scaling.frequency=true", "--json"
    ).must_succeed()
    arch = json.loads(outcome.stdout)["arch"]
    assert (arch["array"]["mac"], arch["array"]["rows"], arch["array"]["columns"]) == ("elma8", 16, 8)
    assert (arch["clock_mhz"], arch["sram"]["ifmap"]["capacity_kib"]) == (250, 64)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["resnet5"], ["unknown network", "did you mean 'resnet50'"]),
        (["resnet50", "--arch", "int8_32"], ["unknown architecture", "did you mean 'int8_32x32'"]),
        (["resnet50", "--rows", "0"], ["array.rows", "got 0"]),
        (["resnet50", "--rows", "-4"], ["array.rows", "got -4"]),
        (["resnet50", "--dataflow", "sw"], ["array.dataflow", "got 'sw'", "'os', 'ws', 'is' or 'wst'"]),
        (["resnet50", "--mac", "int88"], ["int88"]),
        (["resnet50", "--set", "array.rows"], ["FIELD=VALUE", "'array.rows'"]),
        (["resnet50", "--set", "array.rwos=3"], ["array.rwos", "did you mean 'rows'"]),
        (["resnet50", "--batch", "0"], ["batch"]),
        (["missing.onnx"], ["missing.onnx", "cannot be found"]),
        (["resnet50", "--set", "sram.ifmap.capacity_kib=0.003", "--set", "tiling.tile_rows=4"], ["ifmap"]),
        (["resnet50", "--set", "tables=[nowhere]"], ["nowhere"]),
    ],
)
def test_a_users_mistake_is_one_message(
    arguments: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = run(capsys, "simulate", *arguments).must_refuse(*parts)
    assert outcome.stderr.startswith("systolic: ")
    assert outcome.stderr.count("\n") == 1


def test_an_output_folder_that_cannot_be_written_is_said_before_any_work(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    run(capsys, "simulate", "alexnet", "--out", tmp_path / "file" / "out").must_refuse("output directory")


def test_a_layers_own_mac_is_priced_in_all_columns_though_the_array_has_blocks() -> None:
    """The array's `mac` stands idle beside its blocks; a layer that names it gets it everywhere."""
    blocks = [{"mac": "int8", "columns": 16}, {"mac": "int8 x int4", "columns": 16}]
    arch = load_arch("int8_32x32", {"array.column_blocks": blocks})
    own = arch.model_copy(update={"layers": {"conv2": LayerConfig(mac=arch.array.mac)}})
    assert own.mac_choices("conv2") == (("int8", 32),)
    assert own.mac_choices("conv1") == (("int8", 16), ("int8 x int4", 16))
    in_blocks, plain = simulate("alexnet", own), simulate("alexnet")
    for name, same in (("conv1", False), ("conv2", True)):
        energies = [
            next(layer for layer in result.layers if layer.name == name).energy_pj["pe_multiply"]
            for result in (in_blocks, plain)
        ]
        assert (energies[0] == energies[1]) is same
