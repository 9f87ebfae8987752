"""Are the names of a sweep's points whole in narrow terminals?"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console

from simulator.report.console_parts import folded
from simulator.report.point_figures import PointFigures
from simulator.report.sweep_console import render_summary
from simulator.report.sweep_summary import SweepEntry, summary_of
from tests.report_fixtures import make_result

PATHS = (
    "sram.ifmap.capacity_kib=64, dram.bandwidth_gbyte_per_s=25.6",
    "sram.ifmap.capacity_kib=128, dram.bandwidth_gbyte_per_s=12.8",
)


@dataclass(frozen=True)
class Named:
    """A point that has a name and nothing else."""

    short_label: str
    network: str = "toynet"
    batch: int | None = None
    coordinates: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.short_label


def page(names: tuple[str, ...], width: int) -> str:
    """What is printed of points that are as fast and as large as each other, so that all are on the front."""
    entries = [
        SweepEntry(Named(name), PointFigures.of(make_result(energy_scale=1 / (place + 1))), None)
        for place, name in enumerate(names)
    ]
    shown = io.StringIO()
    console = Console(file=shown, width=width, force_terminal=False, color_system=None)
    render_summary(summary_of(entries, ["latency_ms", "area_um2"]), "sizes", console)
    return shown.getvalue()


@pytest.mark.parametrize("width", [40, 50, 60, 66])
def test_names_that_a_column_would_break_are_a_legend(width: int) -> None:
    lines = page(PATHS, width).splitlines()
    assert max(map(len, lines)) <= width
    first = next(place for place, line in enumerate(lines) if line.startswith("1  sram"))
    legend = " ".join(line.strip() for line in lines[first:])
    assert legend == f"1  {PATHS[0]} 2  {PATHS[1]}"
    assert sum(line.startswith("1      ") for line in lines) >= 1
    assert not any(line.startswith("sram") for line in lines)


@pytest.mark.parametrize(("names", "width"), [(PATHS, 80), (("int8", "elma8 x int8"), 40)])
def test_names_that_fit_stand_in_their_column(names: tuple[str, ...], width: int) -> None:
    lines = page(names, width).splitlines()
    assert max(map(len, lines)) <= width
    words = {word for line in lines for word in line.split()}
    assert words >= {word for name in names for word in name.split()}
    assert not any(line.startswith(("1 ", "2 ")) for line in lines)


@pytest.mark.parametrize(
    ("name", "width", "lines"),
    [
        ("a.bc=1, d=2", 20, ["a.bc=1, d=2"]),
        ("a.bc=1, d=2", 8, ["a.bc=1,", "d=2"]),
        ("dram.bandwidth_gbyte_per_s=25.6", 27, ["dram.bandwidth_gbyte_per_s=", "25.6"]),
        ("dram.bandwidth_gbyte_per_s=25.6", 10, ["dram.", "bandwidth_", "gbyte_per_", "s=25.6"]),
        ("x abcdefghij", 4, ["x", "abcd", "efgh", "ij"]),
        ("", 4, [""]),
    ],
)
def test_names_fold_between_words_and_else_between_their_parts(
    name: str, width: int, lines: list[str]
) -> None:
    assert folded(name, width) == lines
