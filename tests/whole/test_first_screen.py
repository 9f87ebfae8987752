"""Does a report say first, in words and with its conditions, what a reader may take away?"""

from __future__ import annotations

from datetime import date

import pytest

from simulator.foundation.proportion import wilson_interval
from simulator.report.comparison import compare_results
from simulator.report.comparison_figures import comparison_figures
from simulator.report.figures import Scatter, StackedBars
from simulator.report.headline import headline_of_comparison, headline_of_result
from simulator.report.html import render_html
from simulator.report.result_figures import result_figures
from simulator.report.roofline import roofline
from simulator.report.run_conditions import cautions, conditions_of, of_what
from simulator.result import Result, priced
from simulator.result_accuracy import pack_outcomes
from tests.report_fixtures import make_result


def _with_images(result: Result, right: int, *, images: int = 100, **other: object) -> Result:
    """A result whose first `right` images of a data set are right."""
    assert result.accuracy is not None
    outcomes = pack_outcomes(index < right for index in range(images))
    fields = {
        "images": images,
        "top1": right / images,
        "right": outcomes,
        "images_hash": "h",
        "data": "digits",
    }
    return result.model_copy(update={"accuracy": result.accuracy.model_copy(update=fields | other)})


@pytest.fixture(scope="module")
def measured() -> list[Result]:
    return [
        _with_images(make_result(accuracy=True, arch_name="int8"), 90, policy="max"),
        _with_images(
            make_result(mac="elma8", accuracy=True, energy_scale=0.5, estimated=True, arch_name="elma8"),
            50,
            policy="max",
        ),
    ]


@pytest.mark.parametrize(
    ("right", "of", "ends"),
    [(0, 10, (0.0, 0.2775)), (5, 10, (0.2366, 0.7634)), (10, 10, (0.7225, 1.0)), (90, 100, (0.8256, 0.9448))],
)
def test_the_interval_of_a_share_is_wilson_s(right: int, of: int, ends: tuple[float, float]) -> None:
    assert wilson_interval(right / of, of) == pytest.approx(ends, abs=5e-5)


def test_one_result_is_told_in_a_sentence() -> None:
    result = make_result()
    said = headline_of_result(result)
    assert said.startswith("toynet takes ")
    assert "for one inference" in said
    parts = result.totals.energy_by_component_pj
    places = {
        "PE array": ("multiply", "accumulator_add", "alignment_shift", "table", "registers"),
        "array edge and wires": ("decoders", "converters", "output_path"),
        "SRAM": ("sram_ifmap", "sram_filter", "sram_ofmap"),
        "DRAM": ("dram",),
    }
    sums = ((sum(priced(parts[name]) for name in names), place) for place, names in places.items())
    dearest = max(sums)
    assert f"{dearest[0] / priced(result.totals.energy_pj):.1%}".replace("%", " %") in said
    assert said.endswith(f"that of the {dearest[1]}.")


def test_variants_are_told_by_energy_and_accuracy(measured: list[Result]) -> None:
    said = headline_of_comparison(compare_results(measured))
    assert said.startswith("~elma8 takes the least energy")
    assert said.endswith("int8 has the best top-1, 90.0 %.")


def test_the_front_of_accuracy_and_energy_comes_first_with_both_intervals(measured: list[Result]) -> None:
    figure = comparison_figures(compare_results(measured))[0]
    assert isinstance(figure, Scatter)
    assert figure.key == "pareto_top1_energy_pj"
    assert [point.name for point in figure.points] == ["int8", "~elma8"]
    assert figure.points[0].y_ends == pytest.approx((82.56, 94.48), abs=5e-3)
    assert "top-1 95 % by its images" in figure.text
    assert "~ MAC without a published price" in figure.text
    assert [x for x, _ in figure.line] == sorted(point.x for point in figure.points)


def test_runs_under_other_conditions_are_told(measured: list[Result]) -> None:
    one, two = measured
    assert cautions([("a", one), ("b", two)]) == []
    without = make_result(mac="posit8")
    told = cautions([("a", one), ("c", without)])
    assert len(told) == 1
    assert told[0].startswith("Only some variants ran tensors. c did not")
    told = cautions([("a", one), ("b", _with_images(two, 40, policy="mse"))])
    assert told == [
        "Policies differ (a: max; b: mse); differences are those of formats and policies together."
    ]
    told = cautions([("a", one), ("b", _with_images(two, 10, images=20, policy="max", images_hash="other"))])
    assert len(told) == 1
    assert "different images (a: 100 of digits; b: 20 of digits)" in told[0]


def test_conditions_are_told_once_where_they_are_shared(measured: list[Result]) -> None:
    told = dict(conditions_of([("a", measured[0]), ("b", measured[1])]))
    assert told["Clock"] == "500 MHz"
    assert told["Array"] == "32 × 32 PEs, output stationary"
    assert told["MAC"] == "a: int8; b: elma8"
    assert told["Images"] == "100 of digits"
    assert told["Policy"] == "max"


def test_a_condition_that_is_the_name_of_a_variant_is_not_told_twice(measured: list[Result]) -> None:
    def macs(*names: str) -> str:
        return dict(conditions_of(list(zip(names, measured, strict=True))))["MAC"]

    assert macs("int8", "elma8") == "int8; elma8"
    assert macs("int8", "b") == "int8; b: elma8"
    assert macs("elma8", "int8") == "elma8: int8; int8: elma8"


def test_totals_of_a_batch_are_said_to_be_of_it() -> None:
    result = make_result()
    batch = result.model_copy(update={"network": result.network.model_copy(update={"batch": 8})})
    assert of_what(result) == "for one inference"
    assert of_what(batch) == "for a batch of 8 inferences"
    page = render_html([batch], dated=date(2026, 1, 2))
    assert "Energy per inference" in page
    assert "for one inference" not in page
    assert "<dt>Report of</dt><dd>2026-01-02</dd>" in page


def test_places_hold_what_their_components_hold() -> None:
    result = make_result(mac="elma8", estimated=True)
    for figure in result_figures(result):
        if figure.key not in {"energy_by_component", "energy_by_layer"}:
            continue
        assert isinstance(figure, StackedBars)
        places = figure.gathered
        assert places is not None
        assert len(places.series) == 5
        assert [series.name.strip("~'") for series in places.series] == [
            "PE array",
            "array edge and wires",
            "SRAM",
            "DRAM",
            "leakage",
        ]
        assert places.series[0].name == "~PE array"
        whole = sum(priced(value) for series in figure.series for value in series.values)
        assert sum(priced(value) for series in places.series for value in series.values) == pytest.approx(
            whole
        )


def test_the_roof_knows_the_accumulation_interval_where_sums_stay() -> None:
    result = make_result()
    slow = [layer.model_copy(update={"accumulation_interval": 4}) for layer in result.layers]
    stays = roofline(result.model_copy(update={"layers": slow}))
    assert stays is not None
    # 32 x 32 PEs at 0.5 GHz add once in four cycles: 128 GMAC/s, which 25.6 GB/s feed from 5 MACs a byte.
    assert stays.line[1] == pytest.approx((5.0, 128.0))
    assert "one addition a PE in 4 cycles" in stays.text
    assert [point.filled for point in stays.points] == [point.x >= 5 for point in stays.points]
    arch = result.arch | {"array": result.arch["array"] | {"dataflow": "ws"}}
    moves = roofline(result.model_copy(update={"layers": slow, "arch": arch}))
    assert moves is not None
    assert moves.line[1] == pytest.approx((20.0, 512.0))
