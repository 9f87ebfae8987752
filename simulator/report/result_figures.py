"""The figures of one result: energy, cycles, roofline, use of the PEs, area, accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from simulator.report import units
from simulator.report.components import PE_USES, Colour, cause_colours, cause_label, colours, in_order, label
from simulator.report.figures import Figure, Point, Scatter, Series, StackedBars
from simulator.report.pe_map import pe_utilization
from simulator.report.provenance import LEGEND, MARKS, component_standing, marked
from simulator.result import TOTAL, Result

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


def energy_by_component(result: Result) -> StackedBars:
    """One bar a component, in the order of every table."""
    parts = result.totals.energy_by_component_pj
    return _one_bar_each(
        "energy_by_component",
        "Energy by component",
        f"Together {units.energy(result.totals.energy_pj)} for one inference, leakage included."
        + _legend(result, parts),
        result,
        parts,
        units.energy_scale(parts.values()),
    )


def energy_by_layer(result: Result) -> StackedBars:
    """Stacked components, one bar a layer."""
    scale = units.energy_scale(layer.energy_pj[TOTAL] for layer in result.layers)
    parts = in_order(result.totals.energy_by_component_pj)
    dearest = max(result.layers, key=lambda layer: layer.energy_pj[TOTAL])
    return StackedBars(
        "energy_by_layer",
        "Energy by layer",
        f"{dearest.name} takes the most: {units.energy(dearest.energy_pj[TOTAL])}, "
        f"{units.percent(dearest.energy_pj[TOTAL] / result.totals.energy_pj)} of the total.",
        f"energy [{scale.unit}]",
        _names(result),
        _by_layer(
            {p: [layer.energy_pj.get(p, 0.0) / scale.factor for layer in result.layers] for p in parts},
            colours(parts),
        ),
        upright=True,
    )


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
        f"{units.whole(result.totals.cycles)} cycles, {units.percent(stalled / result.totals.cycles)} of "
        "them stalls.",
        "cycles",
        _names(result),
        _by_layer(causes, cause_colours(causes), cause_label),
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
        _by_layer(shares, {use: PE_USES.get(use, PE_USES["idle"]) for use in uses}),
        upright=True,
    )


def area_by_component(result: Result) -> StackedBars:
    """One bar a component of area."""
    parts = {part: um2 for part, um2 in result.area_um2.items() if part != TOTAL}
    return _one_bar_each(
        "area",
        "Area",
        f"Together {units.area(result.totals.area_um2)}." + _legend(result, parts),
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


def roofline(result: Result) -> Scatter | None:
    """Every layer's MACs per second over its MACs per DRAM byte, under the machine's roof.

    None when the configuration gives no grid, clock or DRAM rate, or no layer touches DRAM.
    """
    array, dram = result.arch.get("array", {}), result.arch.get("dram", {})
    try:
        clock_ghz = result.arch["clock_mhz"] / 1000
        peak = array["rows"] * array["columns"] * clock_ghz
        bandwidth = float(dram["bandwidth_gbyte_per_s"])
    except KeyError:
        return None
    points = []
    for layer in result.layers:
        moved = sum(
            side
            for operand in (layer.dram_bytes.ifmap, layer.dram_bytes.filter, layer.dram_bytes.ofmap)
            for side in (operand.read, operand.write)
        )
        if moved and layer.cycles.total:
            intensity = layer.macs / moved
            reached = layer.macs / layer.cycles.total * clock_ghz
            points.append(Point(layer.name, intensity, reached, filled=intensity >= peak / bandwidth))
    if not points:
        return None
    left = min([point.x for point in points] + [peak / bandwidth]) / 2
    right = max([point.x for point in points] + [peak / bandwidth]) * 2
    return Scatter(
        "roofline",
        "Roofline",
        f"Peak {peak:,.1f} GMAC/s, DRAM {bandwidth:g} GB/s; "
        f"below {peak / bandwidth:.1f} MACs a byte DRAM sets the limit.",
        "MACs per DRAM byte",
        "GMAC/s",
        tuple(points),
        ((left, left * bandwidth), (peak / bandwidth, peak), (right, peak)),
        "roof",
        "bound by compute",
        "bound by DRAM",
        logarithmic=True,
    )


def _one_bar_each(
    key: str, title: str, text: str, result: Result, parts: Mapping[str, float], scale: units.Scale
) -> StackedBars:
    """Each category is its own series, so that it keeps its colour; names bear the marks of their prices."""
    names = [part for part in in_order(parts) if parts[part]]
    labels = {part: marked(label(part), component_standing(result, part)) for part in names}
    colour = colours(parts)
    series = tuple(
        Series(
            labels[part],
            colour[part],
            tuple(parts[part] / scale.factor if other == part else 0.0 for other in names),
        )
        for part in names
    )
    return StackedBars(key, title, text, f"[{scale.unit}]", tuple(labels.values()), series)


def _legend(result: Result, parts: Mapping[str, float]) -> str:
    """What the marks on the names of parts mean, as far as there are any."""
    levels = {component_standing(result, part) for part, value in parts.items() if value}
    told = [f" {MARKS[level]} {LEGEND[level]}." for level in MARKS if MARKS[level] and level in levels]
    return "".join(told)


def _names(result: Result) -> tuple[str, ...]:
    return tuple(layer.name for layer in result.layers)


def _by_layer(
    values: Mapping[str, Sequence[float]],
    colour: Mapping[str, Colour],
    show: Callable[[str], str] = label,
) -> tuple[Series, ...]:
    """One series a part, those that are zero everywhere left out."""
    return tuple(
        Series(show(part), colour[part], tuple(map(float, row))) for part, row in values.items() if any(row)
    )
