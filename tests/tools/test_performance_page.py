"""The page of figures says what was measured: medians, spread, multiples, goals, and what was left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.__main__ import NAMES
from benchmarks.figures import ROOT, Figure, Section, Spread
from benchmarks.measured_files import kept
from benchmarks.performance_page import BEGIN, END, PAGE, figure_of, lines_of


def document(**changed: Any) -> dict[str, Any]:
    figures = [
        Figure("a", "s", Spread.of([3.0, 1.0, 2.0]), "b", Spread.of([4.0]), ("at most", 0.4)),
        Figure("c", "cycles/s", Spread.of([1234567.0]), goal=("at least", 1e6)),
    ]
    section = Section("Some", figures, ["A note."], ["something: it is not here"])
    return section.document(61.4, 0.25) | {"load_after": 0.5, "machine": "M", "date": "2026-01-02"} | changed


def test_a_median_of_three_and_its_multiple_of_the_peer() -> None:
    figure = Figure("a", "s", Spread.of([3.0, 1.0, 2.0]), "b", Spread.of([4.0]), ("at most", 0.5))
    assert figure.measured == Spread(2.0, 1.0, 3.0, 3)
    assert figure.per_peer == 0.5
    assert figure.meets_goal is True


def test_the_shortest_time_is_the_highest_rate() -> None:
    assert Spread.of([2.0, 1.0, 4.0]).rates(8.0) == Spread(4.0, 2.0, 8.0, 3)


@pytest.mark.parametrize(
    ("goal", "met"),
    [(("at most", 0.49), False), (("at least", 0.5), True), (("at least", 0.51), False), (None, None)],
)
def test_a_goal_is_for_the_multiple(goal: tuple[str, float] | None, met: bool | None) -> None:
    figure = Figure("a", "s", Spread.of([2.0]), "b", Spread.of([4.0]), goal)
    assert figure.meets_goal is met


def test_a_section_as_it_stands_on_the_page() -> None:
    lines = lines_of(document())
    assert lines[0] == "### Some"
    assert "| a | 2 s (1 to 3, 3 runs) | b: 4 s | 0.5 | at most 0.4, missed |" in lines
    assert "| c | 1,234,567 cycles/s | | | at least 1e+06 |" in lines
    assert "A note." in lines
    assert "Skipped: something: it is not here" in lines
    assert lines[-2].startswith("2026-01-02, 61 s on M; Python ")
    assert lines[-2].endswith("Load average 0.2 before, 0.5 after.")


def test_a_busy_machine_is_named() -> None:
    assert "measure again on a quiet machine" in lines_of(document(load_after=9.0))[-2]


def test_a_figure_survives_its_file() -> None:
    written = json.loads(json.dumps(document()))
    assert [figure_of(each) for each in written["figures"]] == [
        Figure("a", "s", Spread(2.0, 1.0, 3.0, 3), "b", Spread(4.0, 4.0, 4.0, 1), ("at most", 0.4)),
        Figure("c", "cycles/s", Spread(1234567.0, 1234567.0, 1234567.0, 1), goal=("at least", 1e6)),
    ]


def test_the_page_holds_what_the_files_say() -> None:
    measured = kept(NAMES)
    assert measured
    body = "\n".join(line for found in measured for line in lines_of(found))
    text = PAGE.read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == f"\n\n{body}"


def test_every_name_is_a_benchmark() -> None:
    assert [name for name in NAMES if not (ROOT / "benchmarks" / f"{name}.py").exists()] == []
