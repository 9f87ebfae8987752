"""Do CSV, JSON and the Pareto front say what the results say?"""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.report.comparison import compare_results
from simulator.report.pareto import Direction, pareto_front
from simulator.report.tabular import comparison_json, comparison_rows, layer_rows, layers_csv, rows_csv
from tests.report_fixtures import COMPONENTS, make_result

_VALUES = st.one_of(st.none(), st.integers(0, 4).map(float))


def test_layers_csv_adds_up_to_the_totals() -> None:
    result = make_result(layers=9, accuracy=True)
    rows = list(csv.DictReader(io.StringIO(layers_csv(result))))
    assert [row["name"] for row in rows] == [layer.name for layer in result.layers]
    assert sum(int(row["total_cycles"]) for row in rows) == result.totals.cycles
    assert sum(int(row["macs"]) for row in rows) == result.totals.macs
    assert sum(float(row["energy_total_pj"]) for row in rows) == pytest.approx(
        result.totals.energy_pj, rel=1e-12
    )
    for row in rows:
        parts = sum(float(row[f"energy_{component}_pj"]) for component in COMPONENTS)
        assert parts == pytest.approx(float(row["energy_total_pj"]), rel=1e-12)
        stalls = int(row["stall_dram_cycles"]) + int(row["stall_ifmap_cycles"])
        assert stalls == int(row["stall_cycles"])


def test_layer_rows_have_the_same_columns() -> None:
    assert len({tuple(row) for row in layer_rows(make_result(accuracy=True))}) == 1


def test_comparison_tells_failures_and_survives_json() -> None:
    comparison = compare_results([make_result(), make_result(mac="elma8", energy_scale=0.5)])
    document = json.loads(comparison_json(comparison, {"posit8": "unknown MAC"}))
    assert document["failures"] == {"posit8": "unknown MAC"}
    first, second = document["variants"]
    assert second["energy_pj_relative"] == second["energy_pj"] / first["energy_pj"]
    assert "energy_pj" in second["best_in"].split()


def test_front_of_a_comparison_holds_the_one_that_is_better_in_everything() -> None:
    comparison = compare_results([make_result(), make_result(mac="elma8", energy_scale=0.5)])
    assert [row["on_pareto_front"] for row in comparison_rows(comparison)] == [False, True]


def test_a_missing_value_is_an_empty_field() -> None:
    assert rows_csv([{"a": 1, "b": None}, {"a": 2, "c": 3}]) == "a,b,c\n1,,\n2,,3\n"


@given(
    st.lists(st.tuples(_VALUES, _VALUES, _VALUES), max_size=25),
    st.tuples(*[st.sampled_from(("lower", "higher"))] * 3),
)
def test_front_is_exactly_the_points_that_no_other_point_dominates(
    points: list[tuple[float | None, ...]], directions: tuple[Direction, ...]
) -> None:
    """The definition itself, point against point."""

    def at_least_as_good(a: float, b: float, direction: Direction) -> bool:
        return a <= b if direction == "lower" else a >= b

    def dominates(one: tuple[float | None, ...], other: tuple[float | None, ...]) -> bool:
        if None in one or None in other:
            return False
        pairs = list(zip(one, other, directions, strict=True))
        good = all(at_least_as_good(a, b, d) for a, b, d in pairs if a is not None and b is not None)
        return good and one != other

    front = pareto_front(points, directions)
    for point, on_front in zip(points, front, strict=True):
        beaten = any(dominates(other, point) for other in points)
        assert on_front == (None not in point and not beaten)


def test_points_must_match_the_objectives() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        pareto_front([(1.0, 2.0)], ["lower"])
