"""The figures that put variants side by side: energy, cycles, area and the Pareto front."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from simulator.report import units
from simulator.report.comparison import Comparison, Metric
from simulator.report.components import cause_colours, cause_label, colours, in_order, label
from simulator.report.figures import Figure, Point, Scatter, Series, StackedBars
from simulator.report.result_figures import in_part
from simulator.report.tabular import comparison_front, comparison_objectives
from simulator.result import TOTAL, Result, sum_known


def comparison_figures(comparison: Comparison) -> list[Figure]:
    """Every figure that puts variants side by side."""
    figures: list[Figure | None] = [
        _variants_by_part(
            comparison,
            "compare_energy",
            "Energy by component",
            "Dynamic and leakage energy of one inference",
            lambda result: result.totals.energy_by_component_pj,
            units.energy_scale,
        ),
        _variants_by_cause(comparison),
        _variants_by_part(
            comparison,
            "compare_area",
            "Area",
            "Silicon area by component",
            lambda result: {part: um2 for part, um2 in result.area_um2.items() if part != TOTAL},
            units.area_scale,
        ),
    ]
    return [figure for figure in figures if figure is not None] + pareto_figures(comparison)


def pareto_figures(comparison: Comparison) -> list[Figure]:
    """Pairs of objectives with the variants on their common front filled; none for a single variant."""
    if len(comparison.variants) < 2:
        return []
    names = [variant.name for variant in comparison.variants]
    results = [variant.result for variant in comparison.variants]
    return pareto_scatters(names, results, comparison_objectives(comparison), comparison_front(comparison))


def pareto_scatters(
    names: Sequence[str], results: Sequence[Result], objectives: Sequence[Metric], on_front: Sequence[bool]
) -> list[Figure]:
    """A figure for every pair of objectives; `names` and `on_front` run along `results`.

    A result without one of a pair's figures has no point; a pair without points has no figure.
    """
    told = ", ".join(metric.label for metric in objectives)
    figures = (
        _pareto_scatter(x, y, names, results, on_front, told)
        for y, x in itertools.combinations(objectives, 2)
    )
    return [figure for figure in figures if figure.points]


def _pareto_scatter(
    x: Metric, y: Metric, names: Sequence[str], results: Sequence[Result], on_front: Sequence[bool], told: str
) -> Scatter:
    x_scale, y_scale = x.column_scale(results), y.column_scale(results)
    points = []
    for name, result, chosen in zip(names, results, on_front, strict=True):
        x_value, y_value = x.read(result), y.read(result)
        if x_value is not None and y_value is not None:
            points.append(Point(name, x_value / x_scale.factor, y_value / y_scale.factor, chosen))
    return Scatter(
        f"pareto_{y.key}_{x.key}",
        f"{y.label.capitalize()} against {x.label}",
        f"Filled: no other is better in one of {told} without being worse in another.",
        _axis(x.label, x_scale),
        _axis(y.label, y_scale),
        tuple(points),
        (),
        "",
        "on the front",
        "behind it",
        logarithmic=False,
    )


def _variants_by_part(
    comparison: Comparison,
    key: str,
    title: str,
    text: str,
    read: Callable[[Result], Mapping[str, float | None]],
    choose: Callable[[Sequence[float]], units.Scale],
) -> StackedBars | None:
    values = [read(variant.result) for variant in comparison.variants]
    if not any(part for value in values for part in value.values()):
        return None
    scale = choose([sum(filter(None, value.values())) for value in values])
    parts = in_order(part for value in values for part in value)
    parts = [part for part in parts if any(value.get(part, 0) != 0 for value in values)]
    colour = colours(parts)
    series = tuple(
        Series(label(part), colour[part], tuple(_scaled(value.get(part, 0.0), scale) for value in values))
        for part in parts
    )
    totals = [sum_known(value.values()) for value in values]
    lacking = "" if None not in totals else " Bars hold the priced parts only, less than the whole."
    return StackedBars(
        key,
        title,
        f"{text}.{lacking}",
        f"{title.partition(' ')[0].lower()} [{scale.unit}]",
        in_part(_variants(comparison), totals),
        series,
    )


def _scaled(value: float | None, scale: units.Scale) -> float | None:
    return None if value is None else value / scale.factor


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
        "compare_cycles", "Cycles by cause", "Where the time goes.", "cycles", _variants(comparison), series
    )


def _variants(comparison: Comparison) -> tuple[str, ...]:
    return tuple(variant.name for variant in comparison.variants)


def _axis(name: str, scale: units.Scale) -> str:
    return f"{name} [{scale.unit}]" if scale.unit else name
