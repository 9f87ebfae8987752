"""The figures that put variants side by side: fronts with intervals, energy, cycles and area."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from simulator.report import units
from simulator.report.comparison import Comparison, Metric
from simulator.report.components import cause_colours, cause_label, colours, in_order, label
from simulator.report.figures import Figure, Point, Scatter, Series, StackedBars
from simulator.report.intervals import FIGURE_OF_METRIC
from simulator.report.layer_differences import layer_differences
from simulator.report.pareto import pareto_front
from simulator.report.places import Place, gathered
from simulator.report.point_figures import Ends, PointFigures
from simulator.report.price_origin import MAC_LEGEND, MARKS, mac_is_estimated
from simulator.report.result_figures import in_part
from simulator.report.run_conditions import of_what
from simulator.report.tabular import comparison_front, comparison_objectives
from simulator.result import TOTAL, Result, sum_known

MOST_DRAWN: Final = 5000
"""Points of a chart; a chart of more is no clearer, and takes seconds and megabytes."""


def comparison_figures(comparison: Comparison) -> list[Figure]:
    """Every figure that puts variants side by side."""
    figures: list[Figure | None] = [
        _variants_by_part(
            comparison,
            ("compare_energy", "compare_energy_by_place"),
            "Energy",
            f"Dynamic and leakage energy {_of_what(comparison)}",
            lambda result: result.totals.energy_by_component_pj,
            units.energy_scale,
        ),
        _variants_by_cause(comparison),
        layer_differences(comparison),
        _variants_by_part(
            comparison,
            ("compare_area", "compare_area_by_place"),
            "Area",
            "Silicon area by component",
            lambda result: {part: um2 for part, um2 in result.area_um2.items() if part != TOTAL},
            units.area_scale,
        ),
    ]
    return pareto_figures(comparison) + [figure for figure in figures if figure is not None]


def pareto_figures(comparison: Comparison) -> list[Figure]:
    """Pairs of objectives with the variants on their common front filled; none for a single variant."""
    if len(comparison.variants) < 2:
        return []
    names = _variants(comparison)
    figures = [PointFigures.of(variant.result) for variant in comparison.variants]
    return pareto_scatters(names, figures, comparison_objectives(comparison), comparison_front(comparison))


def pareto_scatters(
    names: Sequence[str],
    points: Sequence[PointFigures],
    objectives: Sequence[Metric],
    on_front: Sequence[bool],
) -> list[Figure]:
    """A figure for every pair of objectives; `names` and `on_front` run along `points`.

    Accuracies stand upright, and first. A point without one of a pair's figures is not drawn; a pair
    without points has no figure. Of more than 5,000 points each 2nd, 3rd, ... is drawn, first of those that
    are on no front; legend and text say how many.
    """
    told = ", ".join(metric.label for metric in objectives)
    figures = (
        _pareto_scatter(x, y, names, points, on_front, told)
        for y, x in itertools.combinations(sorted(objectives, key=lambda metric: not metric.is_accuracy), 2)
    )
    return [figure for figure in figures if figure.points]


def _pareto_scatter(
    x: Metric,
    y: Metric,
    names: Sequence[str],
    figures: Sequence[PointFigures],
    on_front: Sequence[bool],
    told: str,
) -> Scatter:
    x_scale, y_scale = (metric.scale(each.value(metric) for each in figures) for metric in (x, y))
    points = []
    for name, each, chosen in zip(names, figures, on_front, strict=True):
        x_value, y_value = each.value(x), each.value(y)
        if x_value is not None and y_value is not None:
            ends = _ends(each.interval(x), x_scale), _ends(each.interval(y), y_scale)
            points.append(Point(name, x_value / x_scale.factor, y_value / y_scale.factor, chosen, *ends))
    front = pareto_front([(point.x, point.y) for point in points], [x.better, y.better])
    corners = sorted((point.x, point.y) for point, of_both in zip(points, front, strict=True) if of_both)
    line = tuple(dict.fromkeys(corners))
    drawn, of_front, of_others = _drawn(points)
    return Scatter(
        f"pareto_{y.key}_{x.key}",
        f"{y.label.capitalize()} against {x.label}",
        f"Filled: no other is better in one of {told} without being worse in another."
        f"{_of_bars(x, y, drawn)}{_of_estimates(each.is_estimated for each in figures)}"
        f"{f' Drawn are {len(drawn):,} of {len(points):,} points.' if len(drawn) < len(points) else ''}",
        _axis(x.label, x_scale),
        _axis(y.label, y_scale),
        tuple(drawn),
        line if len(line) > 1 else (),
        f"front of {y.label} and {x.label}",
        f"on the front{of_front}",
        f"behind it{of_others}",
        logarithmic=False,
        named=tuple(sorted(range(len(drawn)), key=lambda place: not drawn[place].filled)),
    )


def _drawn(points: Sequence[Point]) -> tuple[list[Point], str, str]:
    """The points that are drawn, in order, and behind a legend how many of the front and of the others."""
    if len(points) <= MOST_DRAWN:
        return list(points), "", ""
    front = [place for place, point in enumerate(points) if point.filled]
    others = [place for place, point in enumerate(points) if not point.filled]
    kept_front = _each_nth(front, MOST_DRAWN // 2)
    kept_others = _each_nth(others, MOST_DRAWN - len(kept_front))
    counts = (
        f" ({len(kept):,} of {len(all_):,})" if len(kept) < len(all_) else ""
        for kept, all_ in ((kept_front, front), (kept_others, others))
    )
    return [points[place] for place in sorted(kept_front + kept_others)], next(counts), next(counts)


def _each_nth(places: list[int], most: int) -> list[int]:
    """The places, or each n-th of them with the least n that leaves no more than `most`."""
    return places[:: max(1, -(-len(places) // most))]


def _ends(ends: Ends | None, scale: units.Scale) -> Ends | None:
    """The interval of a figure in the unit of an axis; None where there is none."""
    return None if ends is None else (ends[0] / scale.factor, ends[1] / scale.factor)


def _of_bars(x: Metric, y: Metric, points: Sequence[Point]) -> str:
    """What the bars on points are; empty without any."""
    told = []
    for metric, drawn in ((x, [point.x_ends for point in points]), (y, [point.y_ends for point in points])):
        if any(drawn):
            told.append(
                f"{metric.label} 90 % by its prices"
                if metric.key in FIGURE_OF_METRIC
                else f"{metric.label} 95 % by its images"
            )
    return f" Bars are intervals: {', '.join(told)}." if told else ""


def _of_estimates(are_estimated: Iterable[bool]) -> str:
    """What the mark on names means; empty where none has it."""
    return f" {MARKS['estimate']} {MAC_LEGEND}." if any(are_estimated) else ""


def _variants_by_part(
    comparison: Comparison,
    keys: tuple[str, str],
    title: str,
    text: str,
    read: Callable[[Result], Mapping[str, float | None]],
    choose: Callable[[Sequence[float]], units.Scale],
) -> StackedBars | None:
    """A bar a variant, of components; keys: of that figure and of the one by place."""
    values = [read(variant.result) for variant in comparison.variants]
    if not any(part for value in values for part in value.values()):
        return None
    scale = choose([sum(filter(None, value.values())) for value in values])
    parts = in_order(part for value in values for part in value)
    parts = [part for part in parts if any(value.get(part, 0) != 0 for value in values)]
    colour = colours(parts)
    series = {
        part: Series(label(part), colour[part], tuple(scale.scaled(value.get(part, 0.0)) for value in values))
        for part in parts
    }
    totals = [sum_known(value.values()) for value in values]
    lacking = "" if None not in totals else " Bars hold the priced parts only, less than the whole."
    figure = StackedBars(
        keys[0],
        f"{title} by component",
        f"{text}.{lacking}{_of_estimates(mac_is_estimated(v.result) for v in comparison.variants)}",
        f"{title.lower()} [{scale.unit}]",
        in_part(_variants(comparison), totals),
        tuple(series.values()),
    )
    by_place = gathered(figure, series, keys[1], f"{title} by place", _place_name)
    return replace(figure, gathered=by_place)


def _place_name(place: Place, _: list[str]) -> str:
    return place.name


def _variants_by_cause(comparison: Comparison) -> StackedBars:
    causes = list(
        dict.fromkeys(c for v in comparison.variants for c, n in v.result.totals.cycles_by_cause.items() if n)
    )
    colour = cause_colours(causes)
    series = tuple(
        Series(
            cause_label(cause),
            colour[cause],
            tuple(v.result.totals.cycles_by_cause.get(cause, 0) for v in comparison.variants),
        )
        for cause in causes
    )
    return StackedBars(
        "compare_cycles",
        "Cycles by cause",
        f"Where the time goes, {_of_what(comparison)}.",
        "cycles",
        _variants(comparison),
        series,
    )


def _variants(comparison: Comparison) -> tuple[str, ...]:
    return tuple(variant.shown_name for variant in comparison.variants)


def _of_what(comparison: Comparison) -> str:
    told = {of_what(variant.result) for variant in comparison.variants}
    return told.pop() if len(told) == 1 else "of each run, whose batches differ"


def _axis(name: str, scale: units.Scale) -> str:
    return f"{name} [{scale.unit}]" if scale.unit else name
