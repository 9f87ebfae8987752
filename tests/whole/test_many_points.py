"""Sweeps of very many points: what is kept of each, what is drawn and what is shown of them."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path

import pytest
from rich.console import Console

from simulator.foundation import UserError
from simulator.report.comparison import METRICS, Metric
from simulator.report.comparison_figures import MOST_DRAWN, pareto_scatters
from simulator.report.figures import Scatter
from simulator.report.pareto import pareto_front
from simulator.report.point_figures import PointFigures
from simulator.report.sweep_console import render_summary
from simulator.report.sweep_summary import SweepEntry, SweepSummary, summary_of
from simulator.sweep.jobs import KeyedPoint, plan, plan_keys
from simulator.sweep.spec import SweepPoint, SweepSpec, sweep_points

ENERGY, AREA = (next(m for m in METRICS if m.key == key) for key in ("energy_pj", "area_um2"))


def figures(energy: float | None, area: float | None) -> PointFigures:
    """Of a result with these two alone."""

    def value(metric: Metric) -> float | None:
        return {"energy_pj": energy, "area_um2": area}.get(metric.key)

    none = (None,) * len(METRICS)
    return PointFigures(tuple(map(value, METRICS)), none, 0.5, False, (), False, None, None, (), None)


def charts(front: int, behind: int) -> Scatter:
    """The chart of so many points on the front (energy + area = const) and so many behind it."""
    points = [figures(float(i + 1), float(front - i)) for i in range(front)]
    points += [figures(float(front + 1 + i), float(2 * front)) for i in range(behind)]
    names = [str(place) for place in range(front + behind)]
    flags = pareto_front([(p.value(ENERGY), p.value(AREA)) for p in points], ["lower", "lower"])
    assert sum(flags) == front
    (chart,) = pareto_scatters(names, points, (ENERGY, AREA), flags)
    assert isinstance(chart, Scatter)
    return chart


def test_five_thousand_points_are_all_drawn() -> None:
    chart = charts(10, 4990)
    assert len(chart.points) == 5000 == MOST_DRAWN
    assert (chart.filled_name, chart.open_name) == ("on the front", "behind it")
    assert "Drawn are" not in chart.text


def test_of_more_each_nth_is_drawn_and_said() -> None:
    """Room for 4,990 of 5,500 beside the front: each 2nd of them, 2,750."""
    chart = charts(10, 5500)
    assert (chart.filled_name, chart.open_name) == ("on the front", "behind it (2,750 of 5,500)")
    assert chart.text.endswith(" Drawn are 2,760 of 5,510 points.")
    assert [int(point.name) for point in chart.points] == [*range(10), *range(10, 5510, 2)]
    assert len(chart.line) == 10
    assert [chart.points[place].filled for place in chart.named[:11]] == [True] * 10 + [False]


def test_a_front_of_more_is_thinned_too_and_its_line_is_whole() -> None:
    """Half of the room for the front: each 3rd of 6,000, 2,000; 3,000 remain for the 7 others."""
    chart = charts(6000, 7)
    assert (chart.filled_name, chart.open_name) == ("on the front (2,000 of 6,000)", "behind it")
    assert len(chart.points) == 2007
    assert len(chart.line) == 6000


def test_the_front_is_that_of_the_definition() -> None:
    """Every point against every other, with ties, equal points and points without data."""
    values = [None, 0.0, 1.0, 2.0, float("nan")]
    points = [*itertools.product(values, repeat=3), (1.0, 0.0, 2.0)]

    def known(point: tuple[float | None, ...]) -> bool:
        return all(value is not None and value == value for value in point)

    def beats(one: tuple[float | None, ...], other: tuple[float | None, ...]) -> bool:
        better = [o - t if sign > 0 else t - o for o, t, sign in zip(one, other, (-1, 1, -1), strict=True)]  # type: ignore[operator]
        return all(b >= 0 for b in better) and any(b > 0 for b in better)

    expected = [
        known(point) and not any(known(other) and beats(other, point) for other in points) for point in points
    ]
    assert sum(expected) == 1
    assert pareto_front(points, ["lower", "higher", "lower"]) == expected


def entries(count: int) -> SweepSummary:
    points = [SweepPoint("net", "int8_32x32", None, None, {"array.rows": i}) for i in range(count)]
    return summary_of(
        [SweepEntry(p, figures(float(i + 1), float(count - i)), None) for i, p in enumerate(points)],
        ("energy_pj", "area_um2"),
    )


def test_a_page_shows_a_hundred_of_a_front_and_says_how_many_more() -> None:
    out = io.StringIO()
    render_summary(entries(1234), "many", Console(file=out, width=120))
    assert "1,134 more on the front (--csv and --json have all)" in " ".join(out.getvalue().split())
    assert out.getvalue().count("array.rows=") == 100
    out = io.StringIO()
    render_summary(entries(100), "many", Console(file=out, width=120))
    assert "more on the front" not in out.getvalue()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_written_point_by_point_is_that_of_the_whole(count: int) -> None:
    text = entries(count).to_json('a "name" with\nlines')
    document = json.loads(text)
    assert len(document["points"]) == count
    assert text == json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def test_columns_are_those_of_all_rows() -> None:
    points = [
        SweepPoint("net", "a", None, None, {"array.rows": 1}),
        SweepPoint("net", "a", "int8", 2, {"clock": 3}),
    ]
    summary = summary_of([SweepEntry(point, figures(1.0, 1.0), None) for point in points], ("energy_pj",))
    rows = list(summary.rows())
    assert set(summary.columns) == {column for row in rows for column in row}
    assert summary.columns[:3] == ["network", "arch", "array.rows"]
    assert summary.columns[-3:] == ["mac", "batch", "clock"]


def test_keys_are_those_of_the_jobs_and_jobs_are_made_again(tmp_path: Path) -> None:
    network = tmp_path / "one.yaml"
    network.write_text("{name: one, source: a test, layers: [{name: fc1, fc: {k: 64, n: 10}}]}")
    spec = SweepSpec(networks=(str(network),), grid={"array.rows": [8, 16, -1]})
    points = sweep_points(spec)
    told: list[tuple[str, int, int]] = []
    keyed = plan_keys(points, progress=lambda *at: told.append(at), total=3)
    for one, other in zip(keyed, plan(points), strict=True):
        if isinstance(one, KeyedPoint):
            assert one.job() == other
            assert one.label == one.job().label
        else:
            assert str(one) == str(other)
            assert one.__traceback__ is None
            assert one.__cause__ is None
    assert isinstance(keyed[2], UserError)
    assert told == [("points to plan", number, 3) for number in (1, 2, 3)]
