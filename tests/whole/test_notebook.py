"""Do results show themselves in a notebook, and turn into data frames that add up?"""

from __future__ import annotations

import csv
import json
import re
from html import escape
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from simulator.foundation import UserError
from simulator.notebook_views import ComparisonView, ResultView, view
from simulator.report import units
from simulator.report.console import render_result
from simulator.report.frames import data_frame
from simulator.report.headline_figures import headline_figures
from simulator.report.html import render_html
from simulator.report.tabular import comparison_rows
from simulator.result import Result, load_result, priced
from tests.command import run
from tests.report_fixtures import make_result

pandas = pytest.importorskip("pandas")


def test_a_view_is_the_result_itself() -> None:
    result = make_result()
    shown = view(result)
    assert isinstance(shown, Result)
    assert shown.to_json() == result.to_json()
    assert view(shown) is shown


def test_layers_as_a_data_frame_add_up() -> None:
    result = make_result(layers=7)
    frame = view(result).to_dataframe()
    assert len(frame) == 7
    assert frame["total_cycles"].sum() == result.totals.cycles
    assert frame["energy_total_pj"].sum() == pytest.approx(result.totals.energy_pj, rel=1e-12)


def test_html_escapes_what_a_result_says() -> None:
    result = make_result()
    network = result.network.model_copy(update={"name": "<script>"})
    page = view(result.model_copy(update={"network": network}))._repr_html_()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert f"{result.totals.cycles:,}" in page


def test_plots_by_name() -> None:
    shown = view(make_result(layers=3))
    assert "roofline" in shown.plots()
    assert shown.plot("roofline").axes[0].get_xscale() == "log"
    with pytest.raises(UserError, match="did you mean 'roofline'"):
        shown.plot("rooflin")


def test_a_comparison_is_a_sequence_of_views_and_a_table() -> None:
    results = [make_result(), make_result(mac="elma8", energy_scale=0.5)]
    comparison = ComparisonView(results)
    assert [type(each) for each in comparison] == [ResultView, ResultView]
    assert comparison[1].mac == "elma8"
    frame = comparison.to_dataframe()
    assert list(frame["mac"]) == ["int8", "elma8"]
    assert frame["energy_pj_relative"][0] == 1
    assert "elma8_32x32" in comparison._repr_html_()
    with pytest.raises(UserError, match="different networks"):
        ComparisonView([make_result("a"), make_result("b")])


def test_short_forms_have_the_headline_and_little_else() -> None:
    result = make_result(layers=40)
    assert len(repr(result)) > 10_000
    text = repr(view(result))
    assert text.startswith("<toynet on int8_32x32 · int8 · 32×32")
    assert text == str(view(result))
    assert len(text) < 150
    both = repr(ComparisonView([result, make_result(mac="elma8", layers=40, energy_scale=0.5)]))
    assert both.splitlines()[0] == "<2 variants of toynet"
    assert len(both.splitlines()) == 3


def test_console_report_and_notebook_show_the_same_figures_of_a_batch() -> None:
    """The energy of one inference is a quarter of that of four."""
    made = make_result(layers=2, accuracy=True)
    network = made.network.model_copy(update={"batch": 4})
    result = made.model_copy(update={"network": network})
    figures = headline_figures(result)
    assert len(figures) == 13
    energy_pj = priced(result.totals.energy_pj)
    assert dict(figures)["energy per inference"] == units.energy(energy_pj / 4)
    assert dict(figures)["energy"] == units.energy(energy_pj)
    assert "energy per inference" not in dict(headline_figures(made))
    report, notebook = render_html([result]), view(result)._repr_html_()
    written = StringIO()
    render_result(result, Console(width=80, file=written))
    page = " ".join(written.getvalue().split())
    for name, figure in figures:
        assert f"{name} {figure}" in page
        assert f"{name} <b>{escape(figure)}</b>" in notebook
        assert f"<dt>{name[0].upper()}{name[1:]}</dt><dd>{escape(figure)}</dd>" in report


def test_figures_show_themselves_without_pyplot() -> None:
    picture = view(make_result(layers=3)).plot("roofline")._repr_png_()  # type: ignore[attr-defined]
    assert picture.startswith(b"\x89PNG\r\n")


def test_every_column_of_a_data_frame_has_its_type() -> None:
    rows = [
        {
            "name": "a",
            "count": 3,
            "images": None,
            "energy_pj": None,
            "share": 0.5,
            "ok": True,
            "policy": None,
        },
        {
            "name": "b",
            "count": 2**40,
            "images": 7,
            "energy_pj": None,
            "share": 1,
            "ok": False,
            "policy": None,
        },
    ]
    frame = data_frame([row | {"cycles": 2**70} for row in rows])
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "name": "str",
        "count": "int64",
        "images": "Int64",
        "energy_pj": "float64",
        "share": "float64",
        "ok": "bool",
        "policy": "str",
        "cycles": "object",
    }
    assert frame["energy_pj"].isna().all()
    assert frame["cycles"].tolist() == [2**70, 2**70]


def test_columns_of_a_comparison_that_nothing_prices_are_columns_of_figures() -> None:
    without = {"multiply": "no row"}
    frame = ComparisonView(
        [make_result(without_energy=without), make_result(without_energy=without)]
    ).to_dataframe()
    assert frame["energy_pj"].dtype == frame["tops_per_w"].dtype == "float64"
    assert frame["energy_pj"].isna().all()
    assert frame["mac_is_estimated"].dtype == "bool"


def test_a_result_is_saved_as_json_rows_or_report(tmp_path: Path) -> None:
    result = view(make_result(layers=3))
    assert load_result(result.save(tmp_path / "a.json")).to_json() == result.to_json()
    with (result.save(str(tmp_path / "a.csv"))).open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [int(row["total_cycles"]) for row in rows] == [layer.cycles.total for layer in result.layers]
    assert "toynet" in result.save(tmp_path / "a.html").read_text(encoding="utf-8")


def test_a_comparison_is_saved_as_json_rows_or_report(tmp_path: Path) -> None:
    both = ComparisonView([make_result(), make_result(mac="elma8", energy_scale=0.5)])
    document = json.loads(both.save(tmp_path / "c.json").read_text(encoding="utf-8"))
    assert document["variants"] == comparison_rows(both.comparison)
    with both.save(tmp_path / "c.CSV").open(encoding="utf-8") as lines:
        assert [row["mac"] for row in csv.DictReader(lines)] == ["int8", "elma8"]
    assert "elma8" in both.save(tmp_path / "c.html").read_text(encoding="utf-8")


def test_a_file_of_another_kind_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.json, \.csv, \.html"):
        view(make_result()).save(tmp_path / "a.xlsx")
    assert list(tmp_path.iterdir()) == []


DRAWING = re.compile(r'<svg [^>]*role="img".*?</svg>', re.DOTALL)


def test_saved_pages_have_the_drawings_that_the_command_makes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each result: its memories, its folds, the array at work, and the formats of its operands."""
    one, two = view(make_result()), view(make_result(mac="e4m3 x int8", energy_scale=0.5))
    files = [one.save(tmp_path / "one.json"), two.save(tmp_path / "two.json")]
    for shown, given, formats in ((one, files[:1], 1), (ComparisonView([one, two]), files, 1 + 2)):
        saved = shown.save(tmp_path / "saved.html").read_text(encoding="utf-8")
        run(capsys, "report", *map(str, given), "-o", tmp_path / "made.html").must_succeed()
        made = (tmp_path / "made.html").read_text(encoding="utf-8")
        assert DRAWING.findall(saved) == DRAWING.findall(made)
        assert len(DRAWING.findall(saved)) == 3 * len(given) + formats
        for place in range(len(given)):
            assert all(f'id="v{place}-{key}"' in saved for key in ("memories", "folds", "array", "formats"))
