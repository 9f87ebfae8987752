"""Components gathered into the few places of a machine: PEs, edges, SRAM, DRAM, leakage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from simulator.report.components import Colour, family_of
from simulator.report.figures import Series, StackedBars


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the machine families of components are, and the colour of all of them together."""

    name: str
    families: frozenset[str]
    colour: Colour


PLACES = (
    Place(
        "PE array",
        frozenset({"multiply", "add", "shift", "table", "registers", "pe"}),
        Colour("#1b66a6", "#5aa2de"),
    ),
    Place(
        "array edge and wires",
        frozenset({"decoder", "converter", "output", "interconnect"}),
        Colour("#cc79a7", "#ecb3d0"),
    ),
    Place("SRAM", frozenset({"sram"}), Colour("#009e73", "#5fd1b0")),
    Place("DRAM", frozenset({"dram"}), Colour("#d55e00", "#f08a3c")),
    Place("leakage", frozenset({"leakage"}), Colour("#767676", "#9a9a9a")),
    Place("other", frozenset({"other"}), Colour("#4d4d4d", "#bdbdbd")),
)


def place_of(component: str) -> Place:
    """Where a component is."""
    family = family_of(component).name
    return next(place for place in PLACES if family in place.families)


def by_place(components: Iterable[str]) -> dict[Place, list[str]]:
    """Components by place, in the order of `PLACES`; places without one are left out."""
    found: dict[Place, list[str]] = {place: [] for place in PLACES}
    for component in components:
        found[place_of(component)].append(component)
    return {place: parts for place, parts in found.items() if parts}


def gathered(
    figure: StackedBars,
    series: Mapping[str, Series],
    key: str,
    title: str,
    name: Callable[[Place, list[str]], str],
) -> StackedBars | None:
    """A figure of components with one series a place; None where that would gather nothing.

    Args:
        figure: of the components.
        series: its series by component. Where each is a bar of its own, places become the bars.
        key: name of the new figure.
        title: its title.
        name: what a place is called, given its components.
    """
    places = by_place(series)
    if len(places) == len(series):
        return None
    sums = {
        name(place, parts): (place.colour, _sum([series[part].values for part in parts]))
        for place, parts in places.items()
    }
    if figure.is_one_part_each:
        totals = {label: _known(values) for label, (_, values) in sums.items()}
        bars = tuple(
            Series(label, colour, tuple(totals[label] if other == label else 0.0 for other in sums))
            for label, (colour, _) in sums.items()
        )
        return StackedBars(key, title, figure.text, figure.axis, tuple(sums), bars)
    stacks = tuple(Series(label, colour, values) for label, (colour, values) in sums.items())
    return StackedBars(
        key, title, figure.text, figure.axis, figure.categories, stacks, upright=figure.upright
    )


def _sum(rows: list[tuple[float | None, ...]]) -> tuple[float | None, ...]:
    return tuple(_known(column) for column in zip(*rows, strict=True))


def _known(values: Iterable[float | None]) -> float | None:
    """The sum of what is priced, which is what a bar shows; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
