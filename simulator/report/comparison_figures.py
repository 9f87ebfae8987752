"""The figures that put variants side by side: energy, cycles, area and the Pareto front."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from simulator.report import units
from simulator.report.comparison import Comparison, Metric
from simulator.report.components import cause_colours, cause_label, colours, in_order, label
from simulator.report.figures import Figure, Point, Scatter, Series, StackedBars
from simulator.report.tabular import comparison_front, comparison_objectives
from simulator.result import TOTAL, Result


def comparison_figures(comparison: Comparison) -> list[Figure]:
    """Every figure that puts variants side by side."""
    figures: list[Figure] = [
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
    return figures + pareto_figures(comparison)


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
    """A figure for every pair of objectives; `names` and `on_front` run along `results`."""
    told = ", ".join(metric.label for metric in objectives)
    return [
        _pareto_scatter(x, y, names, results, on_front, told)
        for y, x in itertools.combinations(objectives, 2)
    ]


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
    read: Callable[[Result], Mapping[str, float]],
    choose: Callable[[Sequence[float]], units.Scale],
) -> StackedBars:
    values = [read(variant.result) for variant in comparison.variants]
    scale = choose([sum(value.values()) for value in values])
    parts = [p for p in in_order(part for value in values for part in value) if any(v.get(p) for v in values)]
    colour = colours(parts)
    series = tuple(
        Series(label(part), colour[part], tuple(value.get(part, 0.0) / scale.factor for value in values))
        for part in parts
    )
    return StackedBars(
        key,
        title,
        f"{text}.",
        f"{title.partition(' ')[0].lower()} [{scale.unit}]",
        _variants(comparison),
        series,
    )


def _variants_by_cause(comparison: Comparison) -> StackedBars:
    causes = list(
        dict.fromkeys(c for v in comparison.variants for c, n in v.result.totals.cycles_by_cause.items() if n)
    )
    colour = cause_colours(causes)
    series = tuple(
        Series(
            cause_label(cause),
            colour[cause],
            tuple(float(v.result.totals.cycles_by_cause.get(cause, 0)) for v in comparison.variants),
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
