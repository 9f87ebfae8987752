"""Does a result say which code made it, and can it be made again from what it says?"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import simulator
from simulator import __version__
from simulator.foundation.code_version import code_hash, code_version
from simulator.result import load_result
from simulator.simulation import load_workload, simulate
from simulator.sweep.jobs import Job, plan, run_job
from simulator.sweep.spec import SweepPoint
from tests.command import run
from tests.prices.own_table import row, write

PACKAGE = Path(simulator.__file__).resolve().parent
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package's sources, to be changed."""
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(PACKAGE, tmp_path / "simulator", ignore=ignored))


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.csv").write_text("Layer,M,N,K,\na,64,128,40,\nb,10,10,10,\n")
    return "g.csv"


# The code in the result


def test_a_result_names_version_and_code(network: str) -> None:
    made_by = simulate(network).simulator_version
    assert made_by == code_version()
    version, _, digits = made_by.partition("+")
    assert version == __version__
    assert len(digits) == 16
    assert int(digits, 16) >= 0


def test_a_copy_of_the_code_has_the_same_hash(package: Path) -> None:
    assert code_hash(package) == code_hash(PACKAGE) == code_version().partition("+")[2]


@pytest.mark.parametrize(
    "file",
    [
        "numerics/product_rules.py",
        "numerics/presets/macs.yaml",
        "array/fold.py",
        "system/run_network.py",
        "cost/composition.py",
        "workload/load.py",
        "inference/execute.py",
        "arch/widths.py",
        "foundation/femtojoules.py",
        "result_assembly.py",
    ],
)
def test_a_change_of_code_that_computes_changes_the_hash(package: Path, file: str) -> None:
    before = code_hash(package)
    changed = package / file
    changed.write_text(changed.read_text() + "# one more line\n")
    assert code_hash(package) != before


def test_moved_and_renamed_code_has_another_hash(package: Path) -> None:
    before = code_hash(package)
    (package / "cost" / "price.py").rename(package / "cost" / "prices.py")
    assert code_hash(package) != before


@pytest.mark.parametrize("file", ["report/console.py", "cli/commands.py", "sweep/store.py", "api.py"])
def test_what_only_shows_or_stores_results_does_not_count(package: Path, file: str) -> None:
    before = code_hash(package)
    changed = package / file
    changed.write_text(changed.read_text() + "# one more line\n")
    assert code_hash(package) == before


def test_line_ends_and_compiled_files_do_not_count(package: Path) -> None:
    before = code_hash(package)
    file = package / "cost" / "price.py"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    (package / "cost" / "__pycache__").mkdir()
    (package / "cost" / "__pycache__" / "price.nbi").write_bytes(b"machine code")
    assert code_hash(package) == before


# Stored results


def job(network: str) -> Job:
    (planned,) = plan([SweepPoint(network, "int8_32x32", None, None, {})])
    assert isinstance(planned, Job)
    return planned


def test_changed_code_has_another_key_in_the_sweep_store(
    network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = job(network)
    assert job(network).key == before.key
    monkeypatch.setattr("simulator.sweep.jobs.code_version", lambda: "0.1.0+0123456789abcdef")
    assert job(network).key != before.key


def test_a_worker_with_other_code_refuses_a_job(network: str) -> None:
    outcome = run_job(replace(job(network), code="0.1.0+0123456789abcdef"))
    assert outcome.text is None
    assert outcome.problem == (
        f"the worker runs other code: {code_version()}, planned with 0.1.0+0123456789abcdef"
    )


def test_a_sweeps_result_is_that_of_a_simulation(network: str) -> None:
    text = run_job(job(network)).text
    assert text is not None
    assert json.loads(text) == simulate(network).model_dump(mode="json")


# Made again


def again(capsys: Capture, *, exit_code: int = 0) -> dict[str, Any]:
    outcome = run(capsys, "reproduce", "out", "--json")
    assert outcome.exit_code == exit_code, outcome.stderr
    document: dict[str, Any] = json.loads(outcome.stdout)
    return document


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--batch", "3", "--mac", "e4m3 x int8", "--dataflow", "ws"],
        ["--set", "layers.b.mac=elma8", "--set", "sram.ifmap.capacity_kib=8"],
        ["--set", "macs.mine={activation: int8, weight: int4, price: {energy: composed}}", "--mac", "mine"],
    ],
)
def test_a_result_is_made_again_to_the_last_figure(network: str, capsys: Capture, options: list[str]) -> None:
    run(capsys, "simulate", network, *options, "--out", "out", "--quiet").must_succeed()
    found = again(capsys)
    assert found["same"]
    assert found["made_from"] == found["figures"] == []
    assert found["compared"] > 100
    text = run(capsys, "reproduce", "out").must_succeed().stdout
    assert text == f"all {found['compared']:,} figures are the same\n"


def test_a_scalesim_configuration_is_found_again(network: str, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "s.cfg").write_text(
        "[general]\nrun_name = x\n[architecture_presets]\nArrayHeight: 8\nArrayWidth: 8\nIfmapSramSzkB: 64\n"
        "FilterSramSzkB: 64\nOfmapSramSzkB: 64\nIfmapOffset: 0\nFilterOffset: 10000000\n"
        "OfmapOffset: 20000000\nDataflow: ws\nBandwidth: 10\n[run_presets]\nInterfaceBandwidth: USER\n"
    )
    run(capsys, "simulate", network, "--scalesim-cfg", "s.cfg", "--out", "out", "--quiet").must_succeed()
    assert load_result(Path("out")).warnings
    assert again(capsys)["same"]


@pytest.mark.slow
def test_a_run_on_images_is_made_again(network: str, capsys: Capture) -> None:
    data = ["--data", "fashion_mnist_1000", "--images", "16", "--mac", "int8"]
    run(capsys, "simulate", "lenet5_fashion", *data, "--out", "out", "--quiet").must_succeed()
    assert again(capsys)["same"]


def test_a_changed_table_is_named_with_what_came_out_of_it(
    network: str, capsys: Capture, tmp_path: Path
) -> None:
    """The DRAM's price of 8 pJ/bit becomes 4, so its energy halves; nothing that has no energy changes."""
    dram = {"component": "dram", "variant": "lpddr4", "action": "transfer", "energy_pj_per_bit": 8.0}
    stated = {key: row("pe/mine/operate", 1)[key] for key in ("conditions", "source", "status")}
    write(tmp_path, dram | stated)
    tables = "tables=[mine.yaml, johnson2018_28nm, parts_28nm, sram_28nm, interconnect_28nm]"
    run(capsys, "simulate", network, "--set", tables, "--out", "out", "--quiet").must_succeed()
    write(tmp_path, dram | stated | {"energy_pj_per_bit": 4.0})
    found = again(capsys, exit_code=1)
    assert [cause["field"] for cause in found["made_from"]] == ["table mine"]
    figures = {figure["field"]: figure for figure in found["figures"]}
    halved = figures["totals.energy_by_component_pj.dram_ifmap"]
    assert halved["after"] == pytest.approx(halved["before"] / 2)
    assert not any(".cycles" in field or field.startswith("area") for field in figures)
    text = run(capsys, "reproduce", "out")
    assert text.exit_code == 1
    assert text.stdout.startswith("table mine is another: ")
    assert f"{len(figures):,} of {found['compared']:,} figures differ:" in text.stdout


def test_changed_code_and_changed_networks_are_named(
    network: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, "simulate", network, "--out", "out", "--quiet").must_succeed()
    (tmp_path / "g.csv").write_text("Layer,M,N,K,\na,64,128,41,\nb,10,10,10,\n")
    monkeypatch.setattr("simulator.result_assembly.code_version", lambda: "0.1.0+0123456789abcdef")
    found = again(capsys, exit_code=1)
    assert [cause["field"] for cause in found["made_from"]] == ["code", "network"]
    figures = {figure["field"]: figure for figure in found["figures"]}
    assert figures["layers[a].k"] == {"field": "layers[a].k", "before": 40, "after": 41}
    assert figures["totals.macs"]["after"] - figures["totals.macs"]["before"] == 64 * 128
    assert not [field for field in figures if field.startswith("layers[b].macs")]


def test_a_result_of_an_object_says_that_it_cannot_be_made_again(
    network: str, capsys: Capture, tmp_path: Path
) -> None:
    result = simulate(load_workload(network))
    assert result.made_from is None
    (tmp_path / "result.json").write_text(result.to_json())
    run(capsys, "reproduce", "result.json").must_refuse(
        "result.json: made_from: does not say what it was made"
    )


def test_a_network_that_is_gone_is_one_message(network: str, capsys: Capture, tmp_path: Path) -> None:
    run(capsys, "simulate", network, "--out", "out", "--quiet").must_succeed()
    (tmp_path / "g.csv").unlink()
    run(capsys, "reproduce", "out").must_refuse("g.csv: network file cannot be found")


def test_the_hash_is_not_made_at_start_up() -> None:
    """Importing every command and the simulation reads no source for a hash; the first result does."""
    code = (
        "import simulator.cli.commands, simulator.simulation, simulator.sweep.jobs\n"
        "from simulator.foundation.code_version import code_version\n"
        "print(code_version.cache_info().currsize)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "0\n"
