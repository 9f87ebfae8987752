"""What a chart shows, apart from how it is drawn; the HTML report and the plot files share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simulator.report.components import Colour


@dataclass(frozen=True, slots=True)
class Series:
    """One component's values, one a category, in the unit of its figure; None: not priced, so not drawn.

    Counts are ints, so that the table behind a chart has every digit; charts draw floats.
    """

    name: str
    colour: Colour
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class StackedBars:
    """Bars of stacked series; `upright` bars stand side by side (many), others lie (few).

    Series stand `beside` one another where they are no parts of a whole. `gathered` is the same with
    components gathered by place, which pages show until they are unfolded.
    """

    key: str
    title: str
    text: str
    axis: str
    categories: tuple[str, ...]
    series: tuple[Series, ...]
    upright: bool = False
    beside: bool = False
    gathered: StackedBars | None = None
    kind: Literal["bars"] = "bars"

    @property
    def is_one_part_each(self) -> bool:
        """Whether every bar is one part, named by its category; then no legend is needed."""
        return tuple(series.name for series in self.series) == self.categories


@dataclass(frozen=True, slots=True)
class Point:
    """A named point; `filled` ones are on the Pareto front, or under the flat part of a roof.

    `x_ends` and `y_ends` are intervals, in the units of the axes; None where there is none.
    """

    name: str
    x: float
    y: float
    filled: bool
    x_ends: tuple[float, float] | None = None
    y_ends: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Scatter:
    """Points on two axes, with lines drawn through given corners (a roof, a front).

    `named` are the places of points whose names are drawn as far as there is room, the most important first.
    """

    key: str
    title: str
    text: str
    x_axis: str
    y_axis: str
    points: tuple[Point, ...]
    line: tuple[tuple[float, float], ...]
    line_name: str
    filled_name: str
    open_name: str
    logarithmic: bool
    named: tuple[int, ...] = ()
    kind: Literal["scatter"] = "scatter"


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A grid of shares between 0 and 1, `values[row][column]`."""

    key: str
    title: str
    text: str
    x_axis: str
    y_axis: str
    values: tuple[tuple[float, ...], ...]
    kind: Literal["heat"] = "heat"


Figure = StackedBars | Scatter | HeatMap
