"""The figures of one result: energy, cycles, roofline, use of the PEs, area, accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from simulator.report import units
from simulator.report.components import PE_USES, Colour, cause_colours, cause_label, colours, in_order, label
from simulator.report.figures import Figure, Series, StackedBars
from simulator.report.pe_map import pe_utilization
from simulator.report.places import Place, gathered
from simulator.report.price_origin import LEGEND, MARKS, component_standing, marked, worst_of
from simulator.report.roofline import roofline
from simulator.report.run_conditions import of_what
from simulator.report.unpriced import with_mark
from simulator.result import TOTAL, Result, priced

_PLAIN = Colour("#0072b2", "#4fa8e0")


def result_figures(result: Result) -> list[Figure]:
    """Every figure of one result that it has data for, in the order of a report."""
    makers: tuple[Callable[[Result], Figure | None], ...] = (
        energy_by_component,
        area_by_component,
        energy_by_layer,
        cycles_by_layer,
        roofline,
        pe_utilization,
        pe_use_by_layer,
        accuracy_by_layer,
    )
    return [figure for maker in makers if (figure := maker(result)) is not None]


def energy_by_component(result: Result) -> StackedBars | None:
    """One bar a component, in the order of every table; None where nothing is priced."""
    parts = result.totals.energy_by_component_pj
    if result.totals.energy_pj is None:
        text = f"The priced components {of_what(result)}. Their sum is not the whole, which is not priced."
    else:
        text = f"Together {units.energy(result.totals.energy_pj)} {of_what(result)}, leakage included."
    return _one_bar_each(
        ("energy_by_component", "energy_by_place"),
        "Energy",
        text + _legend(result, parts),
        result,
        parts,
        units.energy_scale(parts.values()),
    )


def energy_by_layer(result: Result) -> StackedBars | None:
    """Stacked components, one bar a layer; None where nothing is priced."""
    parts = in_order(result.totals.energy_by_component_pj)
    values = {part: [layer.energy_pj.get(part, 0.0) for layer in result.layers] for part in parts}
    if not any(value for row in values.values() for value in row):
        return None
    totals_pj = [layer.energy_pj[TOTAL] for layer in result.layers]
    scale = units.energy_scale([sum(filter(None, column)) for column in zip(*values.values(), strict=True)])
    scaled = {part: [scale.scaled(value) for value in row] for part, row in values.items()}
    series = _by_layer(
        scaled, colours(parts), lambda part: marked(label(part), component_standing(result, part))
    )
    figure = StackedBars(
        "energy_by_layer",
        "Energy by layer",
        _layers_text(result, [part for part in parts if None in values[part]])
        + _legend(result, result.totals.energy_by_component_pj),
        f"energy [{scale.unit}]",
        in_part(_names(result), totals_pj),
        tuple(series.values()),
        upright=True,
    )
    totals = result.totals.energy_by_component_pj
    return _with_places(figure, series, "energy_by_layer_and_place", "Energy by layer", result, totals)


def _layers_text(result: Result, unpriced: Sequence[str]) -> str:
    """Which layer takes the most energy; where some energy is not priced, what the bars lack."""
    if unpriced:
        parts = ", ".join(map(label, unpriced))
        return f"Bars hold the priced parts only; not priced: {parts}."
    dearest_pj, dearest = max(
        ((priced(layer.energy_pj[TOTAL]), layer.name) for layer in result.layers), key=lambda pair: pair[0]
    )
    share = units.share(dearest_pj, result.totals.energy_pj)
    return f"{dearest} takes the most: {units.energy(dearest_pj)}, {share} of the total."


def cycles_by_layer(result: Result) -> StackedBars:
    """Compute, fill, drain and every named stall, one bar a layer."""
    stalls = list(dict.fromkeys(cause for layer in result.layers for cause in layer.stalls))
    causes: dict[str, Sequence[float]] = {
        "compute": [layer.cycles.compute for layer in result.layers],
        "fill": [layer.cycles.fill for layer in result.layers],
        "drain": [layer.cycles.drain for layer in result.layers],
    }
    for cause in stalls:
        causes[cause] = [layer.stalls.get(cause, 0) for layer in result.layers]
    stalled = sum(layer.cycles.stall for layer in result.layers)
    return StackedBars(
        "cycles_by_cause",
        "Cycles by cause",
        f"{units.whole(result.totals.cycles)} cycles {of_what(result)}, "
        f"{units.percent(stalled / result.totals.cycles)} of them stalls.",
        "cycles",
        _names(result),
        tuple(_by_layer(causes, cause_colours(causes), cause_label).values()),
        upright=True,
    )


def pe_use_by_layer(result: Result) -> StackedBars | None:
    """What the PEs do in each layer, as shares of all PE-cycles; None without data."""
    layers = result.layers
    uses = list(dict.fromkeys(use for layer in layers for use in layer.pe_cycles))
    if not uses:
        return None
    shares = {
        use: [100 * layer.pe_cycles.get(use, 0) / max(sum(layer.pe_cycles.values()), 1) for layer in layers]
        for use in uses
    }
    return StackedBars(
        "pe_use_by_layer",
        "What the PEs do",
        f"Useful work fills {units.percent(result.totals.utilization)} of all PE-cycles of the network.",
        "share of PE-cycles [%]",
        _names(result),
        tuple(_by_layer(shares, {use: PE_USES.get(use, PE_USES["idle"]) for use in uses}).values()),
        upright=True,
    )


def area_by_component(result: Result) -> StackedBars | None:
    """One bar a component of area; None where nothing is priced."""
    parts = {part: um2 for part, um2 in result.area_um2.items() if part != TOTAL}
    if result.totals.area_um2 is None:
        text = "The priced components. Their sum is not the whole, which is not priced."
    else:
        text = f"Together {units.area(result.totals.area_um2)}."
    return _one_bar_each(
        ("area", "area_by_place"),
        "Area",
        text + _legend(result, parts),
        result,
        parts,
        units.area_scale(parts.values()),
    )


def accuracy_by_layer(result: Result) -> StackedBars | None:
    """Signal to quantization noise of each layer's output; None when no layer has it."""
    layers = [layer for layer in result.layers if layer.accuracy and layer.accuracy.sqnr_db is not None]
    if not layers:
        return None
    values = tuple(layer.accuracy.sqnr_db or 0.0 for layer in layers if layer.accuracy)
    worst = min(zip(values, layers, strict=True), key=lambda pair: pair[0])
    return StackedBars(
        "accuracy_by_layer",
        "Accuracy by layer",
        f"Against float32; {worst[1].name} is the least exact with {worst[0]:.1f} dB.",
        "signal to noise [dB]",
        tuple(layer.name for layer in layers),
        (Series("SQNR", _PLAIN, values),),
        upright=True,
    )


def _one_bar_each(
    keys: tuple[str, str],
    title: str,
    text: str,
    result: Result,
    parts: Mapping[str, float | None],
    scale: units.Scale,
) -> StackedBars | None:
    """Each category is its own series, so that it keeps its colour; names bear the marks of their prices.

    keys: of the figure of components, and of that of places.
    """
    names = [part for part in in_order(parts) if parts[part] != 0]
    if not any(parts.values()):
        return None
    labels = {
        part: with_mark(marked(label(part), component_standing(result, part)), parts[part]) for part in names
    }
    colour = colours(parts)
    series = {
        part: Series(
            labels[part],
            colour[part],
            tuple(scale.scaled(parts[part]) if other == part else 0.0 for other in names),
        )
        for part in names
    }
    figure = StackedBars(
        keys[0],
        f"{title} by component",
        text,
        f"[{scale.unit}]",
        tuple(labels.values()),
        tuple(series.values()),
    )
    return _with_places(figure, series, keys[1], f"{title} by place", result, parts)


def _with_places(
    figure: StackedBars,
    series: Mapping[str, Series],
    key: str,
    title: str,
    result: Result,
    parts: Mapping[str, float | None],
) -> StackedBars:
    """A figure of components that can be shown by place first."""

    def name(place: Place, components: list[str]) -> str:
        level = worst_of(component_standing(result, part) for part in components if parts[part] != 0)
        lacks = any(parts[part] is None for part in components)
        return marked(place.name, level) + (" (in part)" if lacks else "")

    return replace(figure, gathered=gathered(figure, series, key, title, name))


def in_part(names: Sequence[str], totals: Sequence[float | None]) -> tuple[str, ...]:
    """Names of stacked bars, with a mark on those whose total is not priced, unless it holds for all."""
    if not any(total is not None for total in totals):
        return tuple(names)
    return tuple(
        name if total is not None else f"{name} (in part)" for name, total in zip(names, totals, strict=True)
    )


def _legend(result: Result, parts: Mapping[str, float | None]) -> str:
    """What the marks on the names of parts mean, as far as there are any."""
    levels = {component_standing(result, part) for part, value in parts.items() if value}
    told = [f" {MARKS[level]} {LEGEND[level]}." for level in MARKS if MARKS[level] and level in levels]
    return "".join(told)


def _names(result: Result) -> tuple[str, ...]:
    return tuple(layer.name for layer in result.layers)


def _by_layer(
    values: Mapping[str, Sequence[float | None]],
    colour: Mapping[str, Colour],
    show: Callable[[str], str] = label,
) -> dict[str, Series]:
    """One series a part, those that are zero everywhere left out."""
    return {
        part: Series(show(part), colour[part], tuple(row))
        for part, row in values.items()
        if any(value != 0 for value in row)
    }
