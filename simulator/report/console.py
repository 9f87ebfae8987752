"""A result, or several side by side, as a page of text that reads well from 80 columns upwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.report import units
from simulator.report.captions import describe_accuracy, describe_array
from simulator.report.comparison import Cell, Comparison, Metric, Variant, compare_results
from simulator.report.components import cause_colours, cause_label, colours, in_order, label
from simulator.report.console_front import draw_front, front_points
from simulator.report.console_parts import Page
from simulator.report.headline_figures import headline_figures
from simulator.report.hints import hint
from simulator.report.intervals import shown_differences, shown_interval
from simulator.report.price_origin import LEGEND, MAC_LEGEND, MARKS, Standing, component_standing, marked
from simulator.report.unpriced import reasons, reasons_of_variants, shared_lines, unpriced_totals
from simulator.result import TOTAL, LayerResult, Result

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_TOP_LAYERS = 10
_MOST_WARNINGS = 8
_BAR = 30
_FIGURE = 17
"""Columns that a headline figure takes beside its name."""
_NAME = 24
_NARROW_NAME = 16


def render_result(result: Result, console: Console, *, full: bool = False) -> None:
    """Print one result: headline figures, energy by component, cycles by cause, layers, what has no price.

    Args:
        result: what to show.
        console: where; its width, colours and encoding are respected.
        full: every layer in execution order instead of the ten that take the most energy.
    """
    page = Page(console)
    page.line(page.text(f"{result.network.name} on {describe_array(result)}", "bold"))
    page.line(_headline(page, result))
    if known := shown_interval(result):
        page.line(page.text(f"  known to 90 %: {known}", "dim"))
    page.line(page.text(_what_figures_are(result), "dim"))
    _energy_by_component(page, result)
    _cycles_by_cause(page, result)
    _layers(page, result, full=full)
    if result.accuracy is not None:
        page.heading("Accuracy")
        page.line(describe_accuracy(result))
    _legend(page, _standings(result))
    if result.not_priced:
        page.heading("Not priced", _consequence(unpriced_totals(result)))
        _list(page, reasons(result))
    if result.left_out:
        page.heading("Left out", "parts of a real chip that no figure contains")
        page.line(page.text("; ".join(result.left_out), "dim"))
    _warnings(page, result.warnings)


def render_comparison(results: Sequence[Result], console: Console, *, mixed: bool = False) -> None:
    """Print results side by side, each relative to the first, the best of each column marked.

    Raises:
        UserError: results of different networks without `mixed`.
    """
    comparison = compare_results(results, mixed=mixed)
    page = Page(console)
    title = f"{' and '.join(comparison.networks)}: {len(results)} variants"
    page.line(page.text(title, "bold"))
    page.line(_variants(page, comparison, of_chip=False))
    notes = [f"* best of its column; × relative to the first variant{_and(comparison.rules)}"]
    if any(variant.estimated for variant in comparison.variants):
        notes.append(f"{MARKS['estimate']} {MAC_LEGEND}")
    for note in notes:
        page.line(page.text(note, "dim"))
    draw_front(page, front_points(comparison))
    page.heading("The chip without its DRAM", "one MAC is two operations")
    page.line(_variants(page, comparison, of_chip=True))
    _energy_of_variants(page, comparison)
    if apart := shown_differences(comparison.named_results):
        page.heading("Differences", f"from {comparison.variants[0].name}, with the uncertainty of the prices")
        _list(page, apart)
    if unpriced := reasons_of_variants(comparison.named_results):
        page.heading("Not priced", "and no total that includes it")
        _list(page, unpriced)
    _warnings(page, shared_lines([(name, result.warnings) for name, result in comparison.named_results]))


def _headline(page: Page, result: Result) -> Table:
    """Three figures a line, or as many as the width takes."""
    from rich.table import Table

    figures = headline_figures(result)
    grid = Table.grid(padding=(0, 2))
    widest = max(len(name) for name, _ in figures)
    beside = max(1, min(3, page.width // (widest + _FIGURE)))
    for row in range(0, len(figures), beside):
        cells: list[Text] = []
        for name, figure in figures[row : row + beside]:
            cells += [page.text(f"  {name}", "dim"), page.text(figure, "bold")]
        grid.add_row(*cells)
    return grid


def _what_figures_are(result: Result) -> str:
    """What belongs to the headline figures, and the bound of the energy where it is another."""
    totals = result.totals
    text = "energy, power and TOPS/W with DRAM, those of the chip without; one MAC is two operations"
    if totals.energy_bound_fj == totals.energy_fj:
        return text
    return f"{text}; energy at most {units.energy(totals.energy_bound_pj)} if idle PEs toggled as busy ones"


def _energy_by_component(page: Page, result: Result) -> None:
    parts = result.totals.energy_by_component_pj
    total_pj = result.totals.energy_pj
    colour = colours(parts)
    known = [energy_pj for energy_pj in parts.values() if energy_pj is not None]
    largest = max(known, default=0.0) or 1.0
    scale = units.energy_scale(known)
    page.heading("Energy by component")
    unit = scale.unit or "energy"
    table = page.table([("component", "left"), (unit, "right"), ("share", "right"), ("", "left")])
    for part in in_order(parts):
        energy_pj = parts[part]
        if energy_pj == 0:
            continue
        table.add_row(
            page.text(marked(label(part), None if energy_pj is None else component_standing(result, part))),
            page.text(scale.show(energy_pj)),
            page.text(units.share(energy_pj, total_pj)),
            page.bar((energy_pj or 0.0) / largest, _bar_width(page, 46), colour[part]),
        )
    page.line(table)


def _cycles_by_cause(page: Page, result: Result) -> None:
    causes = result.totals.cycles_by_cause
    colour = cause_colours(causes)
    largest = max(causes.values(), default=0) or 1
    page.heading("Cycles by cause")
    table = page.table([("cause", "left"), ("cycles", "right"), ("share", "right"), ("", "left")])
    for cause, cycles in causes.items():
        if cycles:
            table.add_row(
                page.text(cause_label(cause)),
                page.text(units.fitting(cycles)),
                page.text(units.percent(cycles / result.totals.cycles)),
                page.bar(cycles / largest, _bar_width(page, 46), colour[cause]),
            )
    page.line(table)
    if said := hint(result):
        page.line(page.text(f"> {said}", "bold"))


def _layers(page: Page, result: Result, *, full: bool) -> None:
    layers = list(result.layers)
    if full or len(layers) <= _TOP_LAYERS:
        page.heading("Layers", "in execution order")
    else:
        layers, what = _dearest(layers)
        page.heading("Layers", f"the {_TOP_LAYERS} of {len(result.layers)} that take the most {what}")
    scale = units.energy_scale(map(_layer_energy, layers))
    table = page.table(
        [
            ("layer", "left"),
            ("M×N×K", "right"),
            ("cycles", "right"),
            ("util.", "right"),
            ("stall", "right"),
            (scale.unit or "energy", "right"),
            ("share", "right"),
        ]
    )
    table.columns[0].max_width = max(_NAME, page.width - 66)
    for layer in layers:
        cycles = layer.cycles
        table.add_row(
            page.text(layer.name),
            page.text(f"{layer.m}×{layer.n}×{layer.k}"),
            page.text(units.fitting(cycles.total)),
            page.text(units.percent(layer.utilization, 0)),
            page.text(units.percent(cycles.stall / cycles.total, 0) if cycles.total else "-"),
            page.text(scale.show(_layer_energy(layer))),
            page.text(units.share(_layer_energy(layer), result.totals.energy_pj)),
        )
    page.line(table)


def _dearest(layers: Sequence[LayerResult]) -> tuple[list[LayerResult], str]:
    """The layers that take the most energy, or the most cycles where some energy is not priced."""
    energies_pj = {layer.name: energy for layer in layers if (energy := _layer_energy(layer)) is not None}
    if len(energies_pj) == len(layers):
        ordered, what = sorted(layers, key=lambda layer: energies_pj[layer.name], reverse=True), "energy"
    else:
        ordered, what = sorted(layers, key=lambda layer: layer.cycles.total, reverse=True), "cycles"
    return ordered[:_TOP_LAYERS], what


def _layer_energy(layer: LayerResult) -> float | None:
    return layer.energy_pj[TOTAL]


def _variants(page: Page, comparison: Comparison, *, of_chip: bool) -> Table:
    """Variants down, figures across: those with DRAM, or those of the chip alone."""
    results = [variant.result for variant in comparison.variants]
    shown = [
        (place, metric, metric.column_scale(results))
        for place, metric in enumerate(comparison.metrics)
        if metric.of_chip == of_chip
    ]
    table = page.table(
        [("variant", "left"), *((f"{metric.label}\n{scale.unit}", "right") for _, metric, scale in shown)]
    )
    table.columns[0].min_width = min(
        _NARROW_NAME, max(len(variant.shown_name) for variant in comparison.variants)
    )
    for variant in comparison.variants:
        cells = [_cell(page, metric, scale, variant.cells[place]) for place, metric, scale in shown]
        name = page.text(variant.shown_name)
        if variant.conditions and not of_chip:
            name = name.append("\n").append_text(page.text(variant.conditions, "dim"))
        table.add_row(name, *cells)
    return table


def _cell(page: Page, metric: Metric, scale: units.Scale, cell: Cell) -> Text:
    if cell.value is None:
        return page.text(metric.absent, "dim")
    star = "*" if cell.best else ""
    text = page.text(f"{star}{scale.show(cell.value)}", "bold green" if cell.best else "")
    return text.append("\n").append_text(page.text(cell.beside_first, "dim"))


def _energy_of_variants(page: Page, comparison: Comparison) -> None:
    """Components down, variants across; as many variants a table as the width holds."""
    variants = comparison.variants
    parts = in_order(part for v in variants for part in v.result.totals.energy_by_component_pj)
    parts = [p for p in parts if any(v.result.totals.energy_by_component_pj.get(p, 0) != 0 for v in variants)]
    scale = units.energy_scale(v.result.totals.energy_pj for v in variants)
    widths = [max(len(variant.shown_name), len("~88.888  88.8 %")) + 3 for variant in variants]
    name_width = max(len(label(part)) for part in (*parts, TOTAL)) + 3
    unit = f"in {scale.unit}, and " if scale.unit else ""
    page.heading("Energy by component", f"{unit}its share of each variant's total")
    for group in _fitting(list(zip(variants, widths, strict=True)), page.width - name_width):
        page.line(_energy_table(page, parts, group, scale))
    _legend(page, {level for variant in variants for level in _standings(variant.result)})


def _fitting(items: list[tuple[Variant, int]], width: int) -> list[list[Variant]]:
    groups: list[list[Variant]] = []
    used = width + 1
    for variant, needed in items:
        if used + needed > width:
            groups.append([])
            used = 0
        groups[-1].append(variant)
        used += needed
    return groups


def _energy_table(page: Page, parts: Sequence[str], variants: Sequence[Variant], scale: units.Scale) -> Table:
    table = page.table([("component", "left"), *((v.shown_name, "right") for v in variants)])
    colour = colours(parts)
    for part in parts:
        name = page.text("█ ", colour[part].dark).append_text(page.text(label(part)))
        table.add_row(name, *(_energy_cell(page, variant.result, part, scale) for variant in variants))
    table.add_section()
    energies_pj = [v.result.totals.energy_pj for v in variants]
    totals = (f"{scale.show(energy_pj)} {units.share(energy_pj, energy_pj):>8}" for energy_pj in energies_pj)
    table.add_row(page.text(TOTAL, "bold"), *(page.text(total, "bold") for total in totals))
    return table


def _energy_cell(page: Page, result: Result, part: str, scale: units.Scale) -> Text:
    energy_pj = result.totals.energy_by_component_pj.get(part, 0.0)
    if energy_pj == 0:
        return page.text("–", "dim")
    figure = marked(scale.show(energy_pj), None if energy_pj is None else component_standing(result, part))
    share = units.share(energy_pj, result.totals.energy_pj)
    return page.text(f"{figure} ").append_text(page.text(f"{share:>7}", "dim"))


def _standings(result: Result) -> set[Standing | None]:
    """How far the energies shown may be trusted."""
    parts = result.totals.energy_by_component_pj
    return {component_standing(result, part) for part, energy_pj in parts.items() if energy_pj is not None}


def _legend(page: Page, levels: set[Standing | None]) -> None:
    for level in ("own", "model", "estimate"):
        if level in levels:
            page.line(page.text(f"{MARKS[level]} {LEGEND[level]}", "dim"))


def _consequence(totals: str) -> str:
    return f"so {totals} of the whole cannot be given" if totals else ""


def _and(rules: str) -> str:
    return f"; {rules}" if rules else ""


def _list(page: Page, lines: Sequence[str]) -> None:
    for line in lines:
        page.line(page.text(f"- {line}"))


def _warnings(page: Page, warnings: Sequence[str]) -> None:
    for warning in warnings[:_MOST_WARNINGS]:
        page.line(page.text(f"! {warning}", "yellow"))
    if len(warnings) > _MOST_WARNINGS:
        page.line(page.text(f"! and {len(warnings) - _MOST_WARNINGS} more, all in the JSON", "yellow"))


def _bar_width(page: Page, other_columns: int) -> int:
    return max(8, min(_BAR, page.width - other_columns))
