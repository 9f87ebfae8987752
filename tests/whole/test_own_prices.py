"""Does docs/own_prices.md lead from two synthesis reports to a report, with the amounts of its table?"""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.arch import load_arch
from simulator.cost.price_tables import load_table
from simulator.cost.table_check import check_tables
from simulator.cost.table_template import table_template
from simulator.foundation import UserError
from simulator.result import Result, load_result
from simulator.simulation import simulate
from tests.command import ROOT, run

PAGE = (ROOT / "docs" / "own_prices.md").read_text(encoding="utf-8")
Capture = pytest.CaptureFixture[str]


def shown_file(name: str) -> str:
    found = re.search(rf"```yaml\n# {re.escape(name)}\n(.*?)```", PAGE, re.DOTALL)
    assert found, name
    return found[1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("accelerator.yaml", "my_28nm.yaml"):
        (tmp_path / name).write_text(shown_file(name))
    (tmp_path / "g.csv").write_text("Layer,M,N,K,\ng,64,128,40,\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # readline sets it for the workers of pytest
    return tmp_path


@pytest.fixture
def result(folder: Path) -> Result:
    return simulate("g.csv", "accelerator.yaml")


def lines_of(result: Result, component: str) -> dict[str, tuple[float, float | None]]:
    units = {unit.name: unit for unit in result.unit_prices}
    return {
        units[line.unit_price].counted: (line.count, units[line.unit_price].price_pj)
        for line in result.layers[0].formation
        if units[line.unit_price].component == component
    }


def test_the_pages_commands_run_one_after_the_other(folder: Path, capsys: Capture) -> None:
    commands = re.findall(r"^\$ systolic (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 8
    for command in commands:
        run(capsys, *shlex.split(command)).must_succeed()
    page = html.unescape((folder / "own.html").read_text())
    assert "not used of table my_28nm: pe/w4a8/operate: other rows of the PE are used instead" in page
    assert "no MAC of this run takes its price from int8" in page


def test_every_figure_of_a_pe_is_that_of_the_synthesis_report(result: Result) -> None:
    """(192, 104, 88, 48) uW / 800 MHz; leakage of 4.2 nW/um2 is inside, told apart by area."""
    leakage_pj = 4.2e-6 * 227.0 / 800 * 1000
    ((_, logic_pj),) = lines_of(result, "pe_multiply_add").values()
    (working_pj,) = (
        price
        for counted, (_, price) in lines_of(result, "pe_registers").items()
        if counted.startswith("useful")
    )
    assert logic_pj is not None
    assert working_pj is not None
    assert logic_pj + working_pj + leakage_pj == pytest.approx(0.24, rel=1e-9)
    assert logic_pj == pytest.approx(0.13 - leakage_pj * 0.13 / 0.24, rel=1e-9)
    assert result.area_um2["pe_array"] == pytest.approx(16 * 64 * 227.0)
    assert result.mac == "w4a8"


def test_buffers_and_dram_cost_what_their_rows_say(result: Result) -> None:
    """8 macros of 16 KiB x 128 bit make 128 KiB; an access reads 16 bytes for 6.4 pJ; LPDDR5 32 pJ a byte."""
    sram = lines_of(result, "sram_ifmap")
    assert sram["bytes of words read"][1] == pytest.approx(6.4 / 16)
    assert sram["bytes of words written"][1] == pytest.approx(7.2 / 16)
    assert result.area_um2["sram_ifmap"] == 8 * 45000
    assert lines_of(result, "dram_filter")["bytes of bursts read or written"][1] == pytest.approx(4.0 * 8)
    leaking = [unit for unit in result.unit_prices if unit.component == "leakage_sram"]
    assert [unit.price_pj for unit in leaking] == [pytest.approx(8 * 0.05)] * 3


def test_everything_has_a_price_and_every_own_row_is_used_or_named(result: Result) -> None:
    assert result.not_priced == []
    assert result.warnings == []
    rows = set(load_table("my_28nm.yaml").rows)
    used = {price.row for price in result.sources.prices if price.table == "my_28nm"}
    named = {key: unused for unused in result.sources.unused for key in unused.rows}
    assert used | set(named) == rows
    assert not used & set(named)
    assert {price.status for price in result.sources.prices if price.table == "my_28nm"} == {"own"}
    assert used >= {
        "pe_combinational/w4a8/operate",
        "pe_registers/w4a8/operate",
        "pe_registers/w4a8/clock",
        "pe/w4a8/area",
        "dram/lpddr5/transfer",
    }
    assert named["pe/w4a8/operate"].reason == "other rows of the PE are used instead, which cover it"
    assert {key for key, why in named.items() if "int8" in key} == {key for key in rows if "/int8/" in key}
    assert all("no MAC of this run" in named[key].reason for key in named if "/int8/" in key)


def test_the_second_mac_is_priced_by_its_own_rows_too(folder: Path) -> None:
    result = simulate("g.csv", "accelerator.yaml", mac="int8")
    assert result.area_um2["pe_array"] == pytest.approx(16 * 64 * 341.0)
    assert result.not_priced == []
    assert {price.table for price in result.sources.prices if price.component == "pe_registers"} == {
        "my_28nm"
    }


# The commands


def test_a_new_table_has_a_row_for_everything_and_no_figure(folder: Path, capsys: Capture) -> None:
    run(capsys, "tables", "new", "template.yaml", "--arch", "accelerator.yaml").must_succeed()
    document = yaml.safe_load((folder / "template.yaml").read_text())
    rows = document["rows"]
    units = ("energy_pj", "area_um2", "leakage_mw", "time_ns", "energy_pj_per_bit")
    assert [[row[unit] for unit in units if unit in row] for row in rows] == [[None]] * len(rows)
    assert {(row["component"], row["variant"]) for row in rows} == {
        *((part, "w4a8") for part in ("pe", "pe_combinational", "pe_registers")),
        ("sram", "macro"),
        ("dram", "lpddr5"),
    }
    logic = {"node_nm": 28, "voltage_v": 0.9, "temperature_c": 25, "corner": "TT", "clock_mhz": 800}
    assert document["conditions"]["logic"] | {"activity": ""} == logic | {"activity": ""}
    run(capsys, "tables", "show", "template.yaml").must_refuse(
        "energy_pj is empty: fill it in, or delete the row"
    )


def test_a_template_that_is_filled_in_prices_its_architecture(folder: Path) -> None:
    arch = load_arch("accelerator.yaml")
    text = re.sub(
        r"(energy_pj_per_bit|energy_pj|area_um2|leakage_mw|time_ns): ,",
        r"\1: 0.5,",
        table_template("my_28nm", arch),
    )
    text = text.replace(
        "pe, variant: w4a8, action: operate, energy_pj: 0.5",
        "pe, variant: w4a8, action: operate, energy_pj: 1",
    )
    (folder / "my_28nm.yaml").write_text(text)
    check = check_tables(arch)
    assert check.not_priced == ()
    assert not [unused for unused in check.unused if unused.never]
    assert {price.row.split("/")[0] for price in check.used if price.table == "my_28nm"} >= {
        "sram",
        "dram",
        "pe_registers",
    }


@pytest.mark.parametrize("mac", ["e4m3 x int8", "bf16", "elma8"])
def test_a_template_for_any_mac_is_yaml_that_names_it(folder: Path, capsys: Capture, mac: str) -> None:
    run(capsys, "tables", "new", "t.yaml", "--mac", mac).must_succeed()
    rows = yaml.safe_load((folder / "t.yaml").read_text())["rows"]
    assert {row["variant"] for row in rows if row["component"] == "pe"} == {mac}


def test_new_never_writes_over_a_file(folder: Path, capsys: Capture) -> None:
    before = (folder / "my_28nm.yaml").read_text()
    run(capsys, "tables", "new", "my_28nm.yaml").must_refuse("my_28nm.yaml", "exists already")
    assert (folder / "my_28nm.yaml").read_text() == before
    run(capsys, "tables", "new", "table.txt").must_refuse("table.txt", "ends in .yaml")
    assert not (folder / "table.txt").exists()


def test_show_prints_every_row_with_value_status_and_conditions(folder: Path, capsys: Capture) -> None:
    text = run(capsys, "tables", "show", "my_28nm.yaml").must_succeed().stdout
    assert re.search(r"pe/w4a8/operate +0.24 pJ +own, up to 800 MHz", text)
    assert "at 28 nm, 0.9 V, 25 C, TT, 800 MHz, logic: random operands" in text
    assert "source: synthesis report of 1 March" in text
    for key in load_table("my_28nm.yaml").rows:
        assert key in text
    document = json.loads(run(capsys, "tables", "show", "johnson2018_28nm", "--json").must_succeed().stdout)
    assert document["macs"]["int8"]["accumulator"] == 32
    assert {row["key"]: row["value"] for row in document["rows"]}["pe/int8/area"] == 336.672


def test_check_names_used_unused_and_unpriced(folder: Path, capsys: Capture) -> None:
    text = run(capsys, "tables", "check", "--arch", "accelerator.yaml").must_succeed().stdout
    assert re.search(r"pe/w4a8/area +227 um2 +own +pe_array", text)
    assert "not used: pe/int8/operate, pe_combinational/int8/operate, " in text
    assert "no MAC of this run takes its price from int8" in text
    assert "scaled: voltage 0.81 -> 0.9 V" in text
    assert "not priced" not in text
    assert "never used" not in text
    spoilt = (folder / "my_28nm.yaml").read_text().replace("variant: w4a8", "variant: w4a88")
    (folder / "my_28nm.yaml").write_text(spoilt.replace("lpddr5", "lpddr5x"))
    text = run(capsys, "tables", "check", "--arch", "accelerator.yaml").must_succeed().stdout
    assert "never used: pe/w4a88/operate" in text
    assert "no MAC is called 'w4a88' (the nearest is 'w4a8')" in text
    assert "not used: dram/lpddr5x/transfer: dram.type is lpddr5" in text
    document = json.loads(
        run(capsys, "tables", "check", "--arch", "accelerator.yaml", "--json").must_succeed().stdout
    )
    assert set(document) == {"tables", "used", "unused", "not_priced", "warnings"}
    assert any(unused["never"] for unused in document["unused"])


def test_a_missing_table_is_one_message_with_the_path_beside_the_architecture(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "my_28nm.yaml").unlink()
    monkeypatch.chdir(folder.parent)
    with pytest.raises(UserError, match="price table file cannot be found"):
        check_tables(load_arch(f"{folder.name}/accelerator.yaml"))
    run(capsys, "tables", "check", "--arch", f"{folder.name}/accelerator.yaml").must_refuse(
        f"{folder.name}/my_28nm.yaml: price table file cannot be found"
    )


def test_the_results_of_the_page_say_where_prices_come_from(folder: Path, capsys: Capture) -> None:
    run(capsys, "simulate", "g.csv", "--arch", "accelerator.yaml", "--out", "out", "--quiet").must_succeed()
    loaded = load_result(folder / "out")
    document: dict[str, Any] = json.loads((folder / "out" / "result.json").read_text())
    assert document["sources"]["unused"] == [unused.model_dump() for unused in loaded.sources.unused]
    text = run(capsys, "explain", "out", "--layer", "g", "--component", "pe_registers").must_succeed().stdout
    assert "my_28nm:pe_registers/w4a8/operate, own" in text


def test_check_covers_column_blocks_and_layers_with_a_mac_of_their_own(folder: Path) -> None:
    blocks = {
        "array.column_blocks": [{"mac": "w4a8", "columns": 32}, {"mac": "int8", "columns": 32}],
        "layers.conv1.dataflow": "ws",
    }
    check = check_tables(load_arch("accelerator.yaml", blocks))
    used = {price.row for price in check.used if price.table == "my_28nm"}
    assert {"pe/w4a8/area", "pe/int8/area", "pe_registers/int8/clock"} <= used
    assert check.not_priced == ()
    layers = {"layers.conv1": {"mac": "int8", "dataflow": "ws"}}
    check = check_tables(load_arch("accelerator.yaml", layers))
    assert {"pe_registers/w4a8/clock", "pe_registers/int8/clock"} <= {price.row for price in check.used}
