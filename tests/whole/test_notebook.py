"""Do results show themselves in a notebook, and turn into data frames that add up?"""

from __future__ import annotations

import pytest

from simulator.foundation import UserError
from simulator.report.notebook import ComparisonView, ResultView, view
from simulator.result import Result
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
