"""Reports, plots, tables and notebooks of results without some prices: words instead of numbers, no zeros."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from simulator.notebook_views import ComparisonView, view
from simulator.report.comparison import compare_results
from simulator.report.comparison_figures import comparison_figures
from simulator.report.console import render_comparison, render_result
from simulator.report.figures import Figure, StackedBars
from simulator.report.html import render_html
from simulator.report.pareto import pareto_front
from simulator.report.plots import write_plots
from simulator.report.price_origin import mac_is_estimated
from simulator.report.report_tables import comparison_table, figure_table, layers_table
from simulator.report.result_figures import result_figures
from simulator.report.tabular import comparison_front, comparison_objectives, comparison_rows, layer_rows
from simulator.report.unpriced import reasons
from simulator.result import Result
from tests.report_fixtures import COMPONENTS, make_result

REASON = "memories of <8 KiB> have no price: set sram.dram to 16"
LOST = {"sram_ifmap": REASON, "dram": REASON}


def lacking(mac: str = "int8", *, layers: int = 6, from_layer: int = 0) -> Result:
    """A result whose SRAM ifmap and DRAM have no energy, and whose SRAM ifmap has no area."""
    return make_result(
        mac=mac,
        layers=layers,
        without_energy=LOST,
        without_area={"sram_ifmap": REASON},
        from_layer=from_layer,
    )


def nothing_priced() -> Result:
    components = dict.fromkeys(COMPONENTS, REASON)
    area = dict.fromkeys(("multiply", "registers", "sram_ifmap", "converters"), REASON)
    return make_result(without_energy=components, without_area=area)


def bars(figures: list[Figure], key: str) -> StackedBars:
    (figure,) = (figure for figure in figures if figure.key == key)
    assert isinstance(figure, StackedBars)
    return figure


def visible(page: str) -> str:
    """What a reader sees of a page: neither scripts nor tags."""
    page = re.sub(r"<script.*?</script>|<style.*?</style>", " ", page, flags=re.DOTALL)
    return re.sub(r"<[^>]+>", " ", page)


def test_a_reason_stands_once_with_everything_that_it_concerns() -> None:
    assert reasons(lacking()) == [f"energy of SRAM ifmap, DRAM; area of SRAM ifmap: {REASON}"]
    assert reasons(make_result()) == []


@pytest.mark.parametrize(
    "results",
    [
        pytest.param([lacking()], id="one"),
        pytest.param([lacking(), make_result(mac="elma8")], id="first lacks"),
        pytest.param([make_result(mac="elma8"), lacking()], id="second lacks"),
        pytest.param([nothing_priced()], id="nothing"),
        pytest.param([nothing_priced(), nothing_priced()], id="nothing twice"),
    ],
)
def test_the_report_says_not_priced_where_a_number_would_stand(results: list[Result]) -> None:
    page = render_html(results)
    text = visible(page)
    assert "not priced" in text
    assert "memories of &lt;8 KiB&gt; have no price" in text
    assert not re.search(r"\b(nan|NaN|None|null|inf)\b", text)
    data = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert data
    for figure in json.loads(data[1]).values():
        assert figure.get("points", True), figure["key"]


def test_the_headline_and_the_notice_of_a_report() -> None:
    page = render_html([lacking()])
    for name in ("Energy", "Area", "Power", "TOPS/W"):
        assert f"<dt>{name}</dt><dd>not priced</dd>" in page
    notice = re.search(r'<aside class="warnings" aria-label="Not priced">(.*?)</aside>', page, re.DOTALL)
    assert notice
    assert notice[1].count("<li>") == 1
    assert 'aria-label="Not priced"' not in render_html([make_result()])


def test_a_bar_that_lacks_a_part_is_marked_and_its_sum_is_no_number() -> None:
    result = lacking(layers=4, from_layer=2)
    figure = bars(result_figures(result), "energy_by_layer")
    assert figure.categories == ("conv_0", "conv_1", "conv_2 (in part)", "conv_3 (in part)")
    assert figure.text == (
        "Bars hold the priced parts only; not priced: SRAM ifmap, DRAM."
        " ' price from a modelling tool, or a constant that a tool ships."
    )
    dram = next(series for series in figure.series if series.name == "DRAM")
    assert [value is None for value in dram.values] == [False, False, True, True]
    rows = {row[0].text: row for row in figure_table(figure).rows}
    assert rows["conv_3 (in part)"][-1].text == "not priced"
    total = sum(series.values[1] or 0 for series in figure.series)
    assert rows["conv_1"][-1].value == pytest.approx(total)


def test_components_without_a_price_keep_their_place_without_a_bar() -> None:
    figure = bars(result_figures(lacking()), "energy_by_component")
    assert "SRAM ifmap (not priced)" in " ".join(figure.categories).replace("'", "")
    assert "Their sum is not the whole" in figure.text
    table = {row[0].text.replace("'", ""): row[1] for row in figure_table(figure).rows}
    assert table["SRAM ifmap (not priced)"].text == "not priced"
    assert table["SRAM ifmap (not priced)"].value is None
    area = bars(result_figures(lacking()), "area")
    assert "Together" not in area.text


def test_without_any_price_there_are_no_charts_of_energy_and_area() -> None:
    keys = {figure.key for figure in result_figures(nothing_priced())}
    assert keys == {"cycles_by_cause", "roofline", "pe_utilization", "pe_use_by_layer"} & keys
    assert "cycles_by_cause" in keys
    compared = compare_results([nothing_priced(), nothing_priced()])
    assert {figure.key for figure in comparison_figures(compared)} == {"compare_cycles"}


def test_plots_are_drawn_of_what_is_priced(tmp_path: Path) -> None:
    results = [make_result(mac="elma8"), lacking()]
    files = [file.relative_to(tmp_path).as_posix() for file in write_plots(results, tmp_path, ("svg",))]
    assert "compare_energy.svg" in files
    assert "2_int8_32x32/energy_by_component.svg" in files
    assert "(not priced)" in (tmp_path / "2_int8_32x32" / "energy_by_component.svg").read_text()
    assert "int8_32x32 (in part)" in (tmp_path / "compare_energy.svg").read_text()
    assert write_plots([nothing_priced()], tmp_path / "nothing", ("svg",))


def test_a_layer_table_keeps_numbers_and_words_apart() -> None:
    table = layers_table(lacking(layers=4, from_layer=3))
    place = next(index for index, column in enumerate(table.columns) if column.startswith("energy"))
    assert [row[place].text == "not priced" for row in table.rows] == [False, False, False, True]
    assert table.rows[3][place].value is None
    assert table.numeric[place]
    assert layers_table(nothing_priced()).columns[place] == "energy"


def test_the_best_is_that_of_the_priced_variants() -> None:
    """Energy scales 1 and 0.5 are priced, the cheapest of all is not."""
    first, second = make_result(), make_result(mac="elma8", energy_scale=0.5)
    comparison = compare_results([first, second, lacking("posit8")])
    energy = [metric.key for metric in comparison.metrics].index("energy_pj")
    cells = [variant.cells[energy] for variant in comparison.variants]
    assert [cell.best for cell in cells] == [False, True, False]
    assert [cell.relative is None for cell in cells] == [False, False, True]
    assert comparison.rules == "the best is that of the priced variants"
    assert compare_results([first, second]).rules == ""


def test_with_a_single_priced_variant_there_is_no_best() -> None:
    comparison = compare_results([lacking(), make_result(mac="elma8")])
    energy = [metric.key for metric in comparison.metrics].index("energy_pj")
    assert not [variant for variant in comparison.variants if variant.cells[energy].best]
    assert comparison.rules.endswith("no ratio to a first variant that is not priced")


def test_a_variant_without_a_price_is_on_no_front_and_beats_nobody() -> None:
    comparison = compare_results([lacking(), make_result(mac="elma8"), make_result(mac="posit8")])
    assert [metric.key for metric in comparison_objectives(comparison)] == ["energy_pj", "area_um2"]
    front = comparison_front(comparison)
    assert front[0] is False
    assert any(front[1:])
    assert comparison_front(compare_results([nothing_priced(), nothing_priced()])) == [False, False]
    assert pareto_front([[], []], []) == [False, False]


def test_an_accuracy_that_one_variant_lacks_is_no_objective_still() -> None:
    comparison = compare_results([make_result(accuracy=True), make_result(mac="elma8")])
    assert "top1" not in {metric.key for metric in comparison_objectives(comparison)}


def test_rows_have_null_and_the_reason() -> None:
    rows = layer_rows(lacking(layers=3, from_layer=1))
    assert [row["energy_total_pj"] is None for row in rows] == [False, True, True]
    assert [row["energy_dram_pj"] is None for row in rows] == [False, True, True]
    assert [row["not_priced"] for row in rows] == [None, REASON, REASON]
    assert "not_priced" not in layer_rows(make_result())[0]
    first, second = comparison_rows(compare_results([lacking(), make_result(mac="elma8")]))
    assert first["energy_pj"] is None
    assert REASON in first["not_priced"]
    assert second["not_priced"] is None


def test_cells_of_a_comparison_say_why_they_are_empty() -> None:
    table = comparison_table(compare_results([lacking(), make_result(mac="elma8", accuracy=True)]))
    texts = dict(zip((column.partition(" [")[0] for column in table.columns), table.rows[0], strict=True))
    assert texts["energy"].text == "not priced"
    assert texts["top-1"].text == "–"


@pytest.mark.parametrize("width", [80, 120])
def test_console_pages_say_it_in_words_at_every_width(width: int) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    console = Console(file=file, width=width, color_system=None)
    render_result(lacking(layers=14), console)
    render_comparison([lacking(), make_result(mac="elma8"), nothing_priced()], console)
    file.seek(0)
    page = file.read()
    assert max(map(len, page.splitlines())) <= width
    assert "…" not in page
    assert "the 10 of 14 that take the most cycles" in page
    assert not re.search(r"\b(nan|None|null)\b", page)


def test_layers_without_an_energy_are_ordered_by_cycles() -> None:
    result = lacking(layers=14)
    longest = sorted(result.layers, key=lambda layer: layer.cycles.total)[-10:]
    file = io.StringIO()
    render_result(result, Console(file=file, width=120, color_system=None))
    shown = set(re.findall(r"^conv_\d+", file.getvalue(), flags=re.MULTILINE))
    assert shown == {layer.name for layer in longest}


def test_a_mac_without_a_price_is_no_estimate() -> None:
    result = make_result(mac="elma8", estimated=True)
    assert mac_is_estimated(result)
    logic = dict.fromkeys(COMPONENTS[:5], REASON)
    assert not mac_is_estimated(make_result(mac="elma8", estimated=True, without_energy=logic))


def test_a_notebook_says_it_too() -> None:
    pandas = pytest.importorskip("pandas")
    page = view(lacking())._repr_html_()
    assert "energy <b>not priced</b>" in page
    assert page.count("memories of &lt;8 KiB&gt; have no price") == 1
    frame = view(lacking(layers=4, from_layer=2)).to_dataframe()
    assert list(frame["energy_dram_pj"].isna()) == [False, False, True, True]
    assert view(lacking()).plot("energy_by_layer") is not None
    both = ComparisonView([lacking(), make_result(mac="elma8")])
    assert "memories of &lt;8 KiB&gt; have no price" in both._repr_html_()
    assert pandas.isna(both.to_dataframe()["energy_pj"][0])
    assert both.plot("compare_energy") is not None
    assert "Not priced" not in view(make_result())._repr_html_()
