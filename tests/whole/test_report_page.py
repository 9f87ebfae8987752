"""Is the HTML report whole in itself, honest about its text, and the same for the same results?"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time

import numpy as np
import pytest

from simulator.foundation import UserError
from simulator.report.comparison import compare_results
from simulator.report.comparison_figures import comparison_figures
from simulator.report.figures import HeatMap, Scatter, StackedBars
from simulator.report.html import render_html
from simulator.report.pe_map import pe_utilization
from simulator.report.report_tables import figure_table, prices_table
from simulator.report.result_figures import result_figures
from simulator.result import Result, priced
from tests.report_fixtures import make_result


@pytest.fixture(scope="module")
def page() -> str:
    return render_html([make_result(accuracy=True), make_result(mac="elma8", estimated=True)])


def test_the_same_results_give_the_same_page(page: str) -> None:
    assert render_html([make_result(accuracy=True), make_result(mac="elma8", estimated=True)]) == page


def test_the_legend_explains_only_marks_that_are_there() -> None:
    def legend(*standings: str) -> list[str]:
        results: list[Result] = []
        for status in standings:
            result = make_result(mac=f"mac{len(results)}")
            prices = [price.model_copy(update={"status": status}) for price in result.sources.prices]
            sources = result.sources.model_copy(update={"prices": prices})
            results.append(result.model_copy(update={"sources": sources}))
        return re.findall(r"<li><b>(.*?)</b>", render_html(results))

    assert legend("published", "published") == []
    assert legend("published", "own") == ["+"]
    assert legend("model", "composed") == ["~", "&#39;"]
    assert legend("own", "ratio") == ["~", "+"]


def test_only_the_scripts_of_the_page_itself_may_run(page: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]


def test_text_from_a_result_is_escaped_in_html_and_in_data() -> None:
    result = make_result()
    layers = [
        layer.model_copy(update={"name": "</script><b>x"}) if index == 0 else layer
        for index, layer in enumerate(result.layers)
    ]
    page = render_html([result.model_copy(update={"layers": layers, "warnings": ["<i>w</i>"]})])
    assert "</script><b>" not in page
    assert "&lt;i&gt;w&lt;/i&gt;" in page
    data = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert data
    assert "</script><b>x" in json.loads(data[1])["v0-energy_by_layer"]["categories"]


def test_every_price_stands_in_the_table_with_its_source() -> None:
    result = make_result(estimated=True)
    table = prices_table(result.sources.prices)
    assert len(table.rows) == len(result.sources.prices)
    assert {row[4].emphasis for row in table.rows} == {"published", "model", "estimate"}
    assert all("28 nm, 0.81 V, 25 °C, TT, 500 MHz" in row[6].text for row in table.rows)


def test_stacked_figures_sum_to_the_result() -> None:
    result = make_result(accuracy=True)
    figures = {figure.key: figure for figure in result_figures(result)}
    energy = figures["energy_by_layer"]
    assert isinstance(energy, StackedBars)
    assert energy.axis == "energy [µJ]"
    for index, layer in enumerate(result.layers):
        stacked = sum(priced(series.values[index]) for series in energy.series)
        assert stacked * 1e6 == pytest.approx(layer.energy_pj["total"], rel=1e-9)
    cycles = figures["cycles_by_cause"]
    assert isinstance(cycles, StackedBars)
    assert sum(sum(map(priced, series.values)) for series in cycles.series) == result.totals.cycles
    use = figures["pe_use_by_layer"]
    assert isinstance(use, StackedBars)
    assert [sum(priced(s.values[i]) for s in use.series) for i in range(len(result.layers))] == pytest.approx(
        [100] * len(result.layers)
    )
    assert "accuracy_by_layer" in figures
    assert "accuracy_by_layer" not in {figure.key for figure in result_figures(make_result())}


def test_no_layer_stands_above_the_roof() -> None:
    figures = {figure.key: figure for figure in result_figures(make_result(layers=20))}
    roofline = figures["roofline"]
    assert isinstance(roofline, Scatter)
    assert len(roofline.points) == 20
    assert all(point.y <= 512 for point in roofline.points)


def _utilization_pe_by_pe(result: Result) -> np.ndarray:
    """Every output pixel and channel of an untiled output-stationary run, dealt to its PE one at a time."""
    useful = np.zeros((32, 32))
    for layer in result.layers:
        for pixel in range(layer.m):
            for channel in range(layer.n // layer.groups):
                useful[pixel % 32, channel % 32] += layer.k * layer.groups
    return useful / result.totals.cycles


def test_pe_utilization_is_that_of_every_output_dealt_to_its_pe() -> None:
    result = make_result(layers=4, network="pe map")
    figure = pe_utilization(result)
    assert isinstance(figure, HeatMap)
    expected = _utilization_pe_by_pe(result)
    np.testing.assert_allclose(np.array(figure.values), expected, rtol=1e-12)
    assert expected.mean() == pytest.approx(result.totals.utilization, rel=1e-12)


def test_pe_utilization_is_not_guessed_when_folds_do_not_come_out() -> None:
    result = make_result()
    first = result.layers[0].model_copy(update={"folds": result.layers[0].folds + 1})
    assert pe_utilization(result.model_copy(update={"layers": [first, *result.layers[1:]]})) is None


def test_every_figure_has_its_numbers_as_a_table() -> None:
    results = [make_result(accuracy=True), make_result(mac="elma8", accuracy=True)]
    figures = result_figures(results[0]) + comparison_figures(compare_results(results))
    assert len(figures) == 8 + 4 + 3
    for figure in figures:
        table = figure_table(figure)
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_a_report_needs_a_result() -> None:
    with pytest.raises(UserError, match="no result"):
        render_html([])


def test_a_page_of_ten_thousand_layers_is_made_in_seconds_and_says_what_it_leaves_out() -> None:
    result = make_result(layers=10_000)
    begun = time.process_time()
    page = render_html([result])
    assert time.process_time() - begun < 40  # 4 s of one core; minutes before columns were looked at once
    assert len(page) < 25e6
    assert "The first 2,000 rows of 10,000; result.json and layers.csv have all." in page
