"""`systolic validate`, `explain` and `tables`: what people see, and what a pipe gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.cost.price_tables import load_table
from tests.command import run

Command = Callable[..., str]


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Command:
    """What a command that succeeds prints on stdout."""
    return lambda *arguments: run(capsys, *arguments).must_succeed().stdout


def test_validate_prints_published_predicted_and_difference_in_80_columns(output: Command) -> None:
    text = output("validate")
    assert "int8 array area                        um2       348,231    344,752    -1.0%" in text
    assert "NVDLA 2048 MACs area                   mm2           5.5" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_validate_json_is_json_alone(output: Command) -> None:
    checks = json.loads(output("validate", "--json"))
    assert {"name", "published", "predicted", "difference", "how", "used", "cause"} <= set(checks[0])
    for check in checks:
        assert check["difference"] == pytest.approx(check["predicted"] / check["published"] - 1)


def test_explain_reads_a_result_back(output: Command, tmp_path: Path) -> None:
    output("simulate", "alexnet", "--out", str(tmp_path), "--quiet")
    layer = json.loads((tmp_path / "result.json").read_text())["layers"][0]
    text = output("explain", str(tmp_path), "--layer", layer["name"], "--component", "pe_add")
    assert f"{layer['macs']:,} x" in text
    assert "johnson2018_28nm:pe_add/int8/operate, published" in text


def test_tables_lists_every_table_and_its_role(output: Command) -> None:
    text = output("tables", "list")
    assert "johnson2018_28nm" in text
    assert "validation" in text


def test_a_table_goes_to_accelergy_and_comes_back(output: Command, tmp_path: Path) -> None:
    output("tables", "export", "johnson2018_28nm", "--out", str(tmp_path))
    files = [str(tmp_path / f"johnson2018_28nm.{kind}.yaml") for kind in ("ert", "art")]
    conditions = "--node-nm 28 --voltage-v 0.81 --temperature-c 25 --clock-mhz 500 --corner TT"
    said = ["--source", "round trip", "--status", "model", "--activity", "as before"]
    output("tables", "import", *files, "--out", str(tmp_path / "back.yaml"), *said, *conditions.split())
    back, table = load_table(str(tmp_path / "back.yaml")), load_table("johnson2018_28nm")
    assert {key: row.value for key, row in back.rows.items()} == pytest.approx(
        {key: row.value for key, row in table.rows.items()}
    )


def test_a_table_of_ones_own_prices_a_run(output: Command, tmp_path: Path) -> None:
    own = tmp_path / "cheap_dram.yaml"
    own.write_text(
        "table: cheap_dram\ndescription: a test\nsources: {mine: made up for a test}\n"
        "conditions: {device: {scope: external, activity: none}}\nrows:\n"
        "- {component: dram, variant: lpddr4, action: transfer, energy_pj_per_bit: 1, conditions: device,"
        " source: mine, status: model}\n"
    )
    arch = tmp_path / "arch.yaml"
    arch.write_text(f"tables: [{own}, johnson2018_28nm, parts_28nm, sram_28nm, dram, interconnect_28nm]\n")
    cheap = json.loads(output("simulate", "alexnet", "--arch", str(arch), "--json"))
    usual = json.loads(output("simulate", "alexnet", "--arch", "int8_32x32", "--json"))
    one, eight = (run["totals"]["energy_by_component_pj"]["dram_filter"] for run in (cheap, usual))
    assert eight == pytest.approx(8 * one, rel=1e-6)
    assert "cheap_dram" in cheap["sources"]["table_hashes"]


def test_what_is_not_there_is_one_message(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(capsys, "tables", "export", "johnson2018", "--out", tmp_path).must_refuse(
        "did you mean 'johnson2018_28nm'"
    )
    run(capsys, "explain", tmp_path / "nothing.json").must_refuse("nothing.json", "cannot be read")
