"""The drawing of accuracy against energy: where points stand, which are on the front, how wide ends are."""

from __future__ import annotations

import io
from math import sqrt

import pytest
from rich.console import Console

from simulator.foundation.proportion import wilson_interval
from simulator.report import units
from simulator.report.comparison import compare_results
from simulator.report.console import render_comparison
from simulator.report.console_front import FrontPoint, front_points, plane
from simulator.result import Result
from tests.report_fixtures import make_result


@pytest.mark.parametrize(
    ("right", "images", "low", "high"),
    [
        # Newcombe 1998 (Statistics in Medicine 17, 857), Table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0000),  # 29 / (29 + z²)
    ],
)
def test_the_interval_of_a_share_solves_the_equation_of_the_score_test(
    right: int, images: int, low: float, high: float
) -> None:
    share = right / images
    found = wilson_interval(share, images)
    assert found == pytest.approx((low, high), abs=5e-5)
    for end in found:
        if (
            1e-9 < end < 1 - 1e-9
        ):  # the share lies exactly 1.959964 standard deviations of the end from the end
            assert abs(share - end) / sqrt(end * (1 - end) / images) == pytest.approx(1.959964, rel=1e-9)


@pytest.mark.parametrize(("share", "images"), [(-0.1, 10), (1.1, 10), (float("nan"), 10), (0.5, 0)])
def test_no_interval_of_what_is_no_share(share: float, images: int) -> None:
    with pytest.raises(ValueError, match="no share of trials"):
        wilson_interval(share, images)


def with_accuracy(mac: str, energy_scale: float, top1: float, images: int = 1000) -> Result:
    result = make_result(mac=mac, energy_scale=energy_scale, accuracy=True)
    assert result.accuracy is not None
    accuracy = result.accuracy.model_copy(update={"top1": top1, "images": images})
    return result.model_copy(update={"accuracy": accuracy})


def test_the_front_is_what_no_other_beats_in_both() -> None:
    results = [
        with_accuracy("int8", 1.0, 0.90),
        with_accuracy("elma8", 2.0, 0.89),  # more energy, less right
        with_accuracy("fp16", 3.0, 0.95),
        with_accuracy("int4", 0.1, 0.70),
    ]
    points = front_points(compare_results(results))
    assert [point.on_front for point in points] == [True, False, True, True]
    assert [point.accuracy for point in points] == [0.90, 0.89, 0.95, 0.70]
    assert points[0].accuracy_ends == pytest.approx((0.8798, 0.9171), abs=1e-4)
    assert [point.energy_pj for point in points] == [result.totals.energy_pj for result in results]


def test_a_result_without_images_or_labels_has_no_point() -> None:
    labelled, plain = with_accuracy("int8", 1.0, 0.9), make_result(mac="elma8")
    empty = with_accuracy("fp16", 1.0, 0.9, images=0)
    assert len(front_points(compare_results([labelled, plain, empty]))) == 1


def point(energy_pj: float, low: float, accuracy: float, high: float) -> FrontPoint:
    return FrontPoint("", energy_pj, None, accuracy, (low, high), on_front=False)


def test_points_stand_where_their_figures_are() -> None:
    points = [point(1.0, 0.0, 0.0, 0.0), point(11.0, 0.5, 0.75, 1.0)]
    lines = plane(points, ["a", "B"], units.energy_scale([1.0, 11.0]), 28)  # 21 columns: two a picojoule
    interval, empty = "      |" + 20 * " " + "|", "      |"
    assert lines == [
        " top-1 %",
        "100.0 +" + 20 * " " + "|",
        interval,
        interval,
        "      |" + 20 * " " + "B",
        " 66.7 +" + 20 * " " + "|",
        interval,
        interval,  # a half is the seventh of thirteen rows
        empty,
        " 33.3 +",
        empty,
        empty,
        empty,
        "  0.0 +a",
        "      +" + 21 * "-",
        "       1.00" + 9 * " " + "11.00 pJ",
    ]


def test_two_points_of_one_cell_stand_side_by_side() -> None:
    points = [point(1.0, 0.5, 0.5, 0.5), point(1.0, 0.5, 0.5, 0.5), point(2.0, 0.0, 0.0, 0.0)]
    lines = plane(points, ["a", "b", "c"], units.energy_scale([1.0]), 18)
    assert lines[1] == " 50.0 +ab"


def test_equal_points_have_axes_of_some_width() -> None:
    lines = plane([point(1.0, 0.5, 0.5, 0.5)] * 2, ["A", "B"], units.energy_scale([1.0]), 40)
    assert sum(line.count("A") + line.count("B") for line in lines) == 2


@pytest.mark.parametrize("width", [40, 60, 80, 120, 1000])
def test_the_comparison_shows_the_front_within_its_width(width: int) -> None:
    results = [with_accuracy("int8", 1.0, 0.91), with_accuracy("e4m3 x e4m3", 0.8, 0.85)]
    file = io.StringIO()
    render_comparison(results, Console(file=file, width=width, color_system=None))
    page = file.getvalue()
    assert "Accuracy against energy" in page
    assert "89.1 to 92.6" in page  # by hand: 91.0 % of 1,000 images
    drawing = page.split("Accuracy against energy")[1].split("The chip without")[0].splitlines()
    assert max(map(len, drawing)) <= width
    assert sum(line.rstrip().count("A") + line.count("B") for line in drawing[1:] if "|" in line) >= 1


def test_no_front_of_one_variant() -> None:
    file = io.StringIO()
    render_comparison([with_accuracy("int8", 1.0, 0.9)], Console(file=file, width=80))
    assert "Accuracy against energy" not in file.getvalue()
