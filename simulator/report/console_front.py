"""Accuracy against energy of several results, drawn in characters, with the intervals of both below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

from simulator.foundation.proportion import wilson_interval
from simulator.report import units
from simulator.report.comparison import Comparison
from simulator.report.console_parts import Page
from simulator.report.intervals import ends_of
from simulator.report.pareto import pareto_front

_HEIGHT: Final = 13
_WIDEST: Final = 64
_AXIS: Final = 7
"""Columns of the figures beside the vertical axis, and the axis."""
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """A variant in the plane of energy (pJ) and accuracy (0 to 1), each with its interval.

    energy_ends_pj: the 90 % interval of the prices; None where a result does not say of what it follows.
    accuracy_ends: the 95 % interval that its number of images allows.
    on_front: no other variant has less energy and no lower accuracy, or the same and a higher one.
    """

    name: str
    energy_pj: float
    energy_ends_pj: tuple[float, float] | None
    accuracy: float
    accuracy_ends: tuple[float, float]
    on_front: bool


def front_points(comparison: Comparison) -> list[FrontPoint]:
    """The variants that have both figures, in their order."""
    known = []
    for variant in comparison.variants:
        energy_pj, accuracy = variant.result.totals.energy_pj, variant.result.accuracy
        if energy_pj is None or accuracy is None or accuracy.top1 is None:
            continue
        if isfinite(energy_pj) and 0 <= accuracy.top1 <= 1 <= accuracy.images:
            known.append((variant, energy_pj, accuracy.top1, accuracy.images))
    chosen = pareto_front([(energy_pj, share) for _, energy_pj, share, _ in known], ("lower", "higher"))
    return [
        FrontPoint(
            variant.shown_name,
            energy_pj,
            ends_of(variant.result, "energy"),
            share,
            wilson_interval(share, images),
            on_front,
        )
        for (variant, energy_pj, share, images), on_front in zip(known, chosen, strict=True)
    ]


def draw_front(page: Page, points: Sequence[FrontPoint]) -> None:
    """Print the plane and a line for each point; nothing for fewer than two points or more than 26."""
    if not 2 <= len(points) <= len(_LETTERS):
        return
    scale = units.energy_scale(point.energy_pj for point in points)
    page.heading("Accuracy against energy", "capital letters are on the front")
    letters = [
        letter.upper() if point.on_front else letter for letter, point in zip(_LETTERS, points, strict=False)
    ]
    for line in plane(points, letters, scale, min(page.width, _AXIS + _WIDEST)):
        page.line(page.text(line))
    table = page.table(
        [
            ("", "left"),
            ("variant", "left"),
            (f"energy {scale.unit}", "right"),
            ("90 % interval", "right"),
            ("top-1 %", "right"),
            ("95 % interval", "right"),
        ]
    )
    for letter, point in zip(letters, points, strict=True):
        table.add_row(
            page.text(letter, "bold"),
            page.text(point.name),
            page.text(scale.show(point.energy_pj)),
            page.text(_ends(point.energy_ends_pj, scale.show)),
            page.text(f"{100 * point.accuracy:.1f}"),
            page.text(_ends(point.accuracy_ends, lambda share: f"{100 * share:.1f}")),
        )
    page.line(table)


def plane(points: Sequence[FrontPoint], letters: Sequence[str], scale: units.Scale, width: int) -> list[str]:
    """The lines of the drawing, at most `width` columns wide, energy to the right, accuracy upwards.

    A letter stands in the cell of its point, or in the next free one to the right or left; `|` is the
    interval of its accuracy.
    """
    energies = [point.energy_pj for point in points]
    heights = [end for p in points for end in (p.accuracy, *p.accuracy_ends)]
    left, right = _widened(min(energies), max(energies))
    bottom, top = _widened(min(heights), max(heights))
    first, last = scale.show(left), f"{scale.show(right)} {scale.unit}"
    columns = max(len(first) + 1 + len(last), width - _AXIS)
    cells = [[" "] * columns for _ in range(_HEIGHT)]

    def row_of(share: float) -> int:
        return round((top - share) / (top - bottom) * (_HEIGHT - 1))

    places = [round((energy_pj - left) / (right - left) * (columns - 1)) for energy_pj in energies]
    for column, point in zip(places, points, strict=True):
        low, high = point.accuracy_ends
        for row in range(row_of(high), row_of(low) + 1):
            cells[row][column] = "|"
    taken: set[tuple[int, int]] = set()
    for column, letter, point in zip(places, letters, points, strict=True):
        row = row_of(point.accuracy)
        order = sorted(range(columns), key=lambda other: (abs(other - column), -other))
        free = next(other for other in order if (row, other) not in taken)
        taken.add((row, free))
        cells[row][free] = letter
    lines = []
    for row, content in enumerate(cells):
        share = top - (top - bottom) * row / (_HEIGHT - 1)
        named = row % 4 == 0
        beside = f"{100 * share:>5.1f} +" if named else f"{'':5} |"
        lines.append(f"{beside}{''.join(content)}".rstrip())
    lines.append(" " * 6 + "+" + "-" * columns)
    lines.append(" " * _AXIS + first + last.rjust(columns - len(first)))
    return [" top-1 %", *lines]


def _ends(ends: tuple[float, float] | None, show: Callable[[float], str]) -> str:
    return units.NO_DATA if ends is None else " to ".join(map(show, ends))


def _widened(low: float, high: float) -> tuple[float, float]:
    """Two different ends around two values, which may be equal."""
    return (low, high) if high > low else (low - (abs(low) or 1.0) / 10, high + (abs(high) or 1.0) / 10)
