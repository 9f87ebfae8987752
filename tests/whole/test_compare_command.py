"""`systolic compare` and `systolic report`: what they print and write is what the results say."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from simulator.numerics import preset_names
from simulator.report.pe_map import pe_utilization
from simulator.result import load_result
from simulator.simulation import simulate
from simulator.sweep.side_by_side import compare
from tests.command import run

Capture = pytest.CaptureFixture[str]


def test_variants_side_by_side_are_those_simulated_alone(tmp_path: Path, capsys: Capture) -> None:
    table, kept = tmp_path / "out.csv", tmp_path / "kept"
    arguments: list[str | Path] = ["--mac", "int8", "--mac", "elma8", "--csv", table, "--out", kept, "--json"]
    outcome = run(capsys, "compare", "squeezenet", *arguments).must_succeed()
    assert outcome.stderr == ""
    alone = [simulate("squeezenet", mac=mac) for mac in ("int8", "elma8")]
    variants = json.loads(outcome.stdout)["variants"]
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    for variant, row, result in zip(variants, rows, alone, strict=True):
        assert variant["energy_pj"] == float(row["energy_pj"]) == result.totals.energy_pj
        assert variant["cycles"] == int(row["cycles"]) == result.totals.cycles
    assert [load_result(file) for file in sorted(kept.iterdir())] == alone


def test_one_process_and_two_give_the_same(capsys: Capture) -> None:
    macs = ("int8", "elma8")
    assert compare("alexnet", macs=macs, jobs=1) == compare("alexnet", macs=macs, jobs=2)


@pytest.mark.slow
def test_without_options_every_preset_runs(capsys: Capture) -> None:
    document = json.loads(run(capsys, "compare", "squeezenet", "--json").must_succeed().stdout)
    assert [variant["mac"] for variant in document["variants"]] == list(preset_names())
    assert document["failures"] == {}


def test_fields_of_the_architecture_can_be_set_for_all(capsys: Capture) -> None:
    arguments = ["--mac", "int8", "--set", "array.rows=16", "--batch", "2", "--json"]
    (variant,) = json.loads(run(capsys, "compare", "alexnet", *arguments).must_succeed().stdout)["variants"]
    expected = simulate("alexnet", batch=2, overrides={"array.rows": 16})
    assert (variant["batch"], variant["cycles"]) == (2, expected.totals.cycles)


def test_a_report_of_real_results_is_written_with_its_plots(tmp_path: Path, capsys: Capture) -> None:
    run(capsys, "simulate", "alexnet", "--out", tmp_path / "int8", "-q").must_succeed()
    file = tmp_path / "report.html"
    places: list[str | Path] = ["-o", file, "--plots", tmp_path / "plots"]
    outcome = run(capsys, "report", tmp_path / "int8", *places).must_succeed()
    assert str(file) in outcome.stdout
    page = file.read_text(encoding="utf-8")
    for chart in ("energy_by_layer", "cycles_by_cause", "roofline", "pe_utilization", "area"):
        assert f'data-chart="v0-{chart}"' in page
        assert (tmp_path / "plots" / f"{chart}.svg").is_file()
    result = load_result(tmp_path / "int8")
    assert f"{result.totals.cycles:,}" in page
    assert all(price.row in page for price in result.sources.prices)


def test_one_plot_is_told_as_one(tmp_path: Path, capsys: Capture) -> None:
    run(capsys, "simulate", "lenet5_fashion", "--out", tmp_path / "int8", "-q").must_succeed()
    places: list[str | Path] = ["-o", tmp_path / "report.html", "--plots", tmp_path / "plots"]
    chosen = ["--figure", "energy_by_component", "--format", "svg"]
    outcome = run(capsys, "report", tmp_path / "int8", *places, *chosen).must_succeed()
    assert outcome.stdout.splitlines()[-1].endswith("plots: 1 plot")


def test_the_table_is_plain_text_where_colours_are_not_wanted(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "NO_COLOR", "1")
    monkeypatch.setitem(os.environ, "COLUMNS", "80")
    page = run(capsys, "compare", "alexnet", "--mac", "int8", "--mac", "elma8").must_succeed().stdout
    assert "\x1b" not in page
    assert max(map(len, page.splitlines())) <= 80
    assert "Energy by component" in page


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_pe_utilization_of_real_folds_averages_to_that_of_the_run(dataflow: str) -> None:
    result = simulate("alexnet", dataflow=dataflow)
    figure = pe_utilization(result)
    assert figure is not None
    shares = [share for row in figure.values for share in row]
    assert len(shares) == 1024
    assert sum(shares) / 1024 == pytest.approx(result.totals.utilization, rel=1e-12)
