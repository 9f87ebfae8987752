"""How a number of a result was formed: counts x price x scaling, down to the row of a table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from simulator.formation import AreaFormation, NoPrice, UsedPrice
from simulator.foundation import UserError
from simulator.foundation.femtojoules import decimal_pj
from simulator.report import units
from simulator.report.components import label
from simulator.result import TOTAL, LayerResult, PriceSource, Result
from simulator.result_sources import silicon_text

_INDENT = "  "


def explain(
    result: Result, layer: str | None = None, component: str | None = None, *, columns: int = 80
) -> str:
    """The formation of a layer's energy, of one of its components, or of the area where no layer is named.

    Args:
        result: a result with its formation.
        layer: a layer's name; None explains areas.
        component: a component of that layer's energy, or of the area; None explains all of them.
        columns: longer lines are wrapped.

    Raises:
        UserError: no such layer or component, or a result without formation.
    """
    said = _explain_area(result, component) if layer is None else _explain_layer(result, layer, component)
    return "".join(f"{line}\n" for long in said for line in _wrapped(long, columns))


def _explain_layer(result: Result, name: str, component: str | None) -> Iterator[str]:
    layer = next((layer for layer in result.layers if layer.name == name), None)
    if layer is None:
        names = [layer.name for layer in result.layers]
        raise UserError("the result has no such layer", location="--layer", value=name, candidates=names)
    components = _chosen([key for key in layer.energy_fj if key != TOTAL], component)
    if not layer.formation:
        raise UserError("the result does not say how its energies were formed", location="formation")
    yield f"{layer.name} of {result.network.name} on {layer.mac}"
    for chosen in components:
        yield ""
        yield from _component(result, layer, chosen)
    if component is None:
        yield ""
        yield f"total  {_pj(layer.energy_fj[TOTAL])}"
        if layer.energy_fj[TOTAL] is None:
            parts = ", ".join(label(part) for part in components if layer.energy_fj[part] is None)
            yield f"{_INDENT}a part of it is {units.NOT_PRICED}: {parts}"


def _component(result: Result, layer: LayerResult, component: str) -> Iterator[str]:
    prices = {unit.name: unit for unit in result.unit_prices}
    yield f"{label(component)}  {_pj(layer.energy_fj[component])}"
    for line in layer.formation:
        unit = prices[line.unit_price]
        if unit.component != component:
            continue
        operand = f" ({unit.operand})" if unit.operand else ""
        static = unit.kind == "static"
        yield f"{_INDENT}{unit.counted}{operand}, {unit.kind}"
        if unit.price_pj is None:
            yield from _unpriced(_count(line.count), unit.not_priced)
            continue
        each = f"{unit.price_pj:.6g} {'mW' if static else 'pJ'}"
        factor = f" x {line.factor:.4g}" if line.factor != 1 else ""
        yield f"{_INDENT * 2}{_count(line.count)} x {each}{factor} = {_pj(line.energy_fj)}"
        if line.factor_reason:
            yield f"{_INDENT * 2}activity: {line.factor_reason}"
        yield from _prices(result, unit.prices, f"each {each}")
        if unit.less_leakage_pj:
            yield f"{_INDENT * 3}- {unit.less_leakage_pj:.4g} pJ of leakage in these, paid by time instead"


def _explain_area(result: Result, component: str | None) -> Iterator[str]:
    if not result.area_formation:
        raise UserError("the result does not say how its areas were formed", location="area_formation")
    components = _chosen([key for key in result.area_um2 if key != TOTAL], component)
    yield f"area of {result.mac}"
    for chosen in components:
        yield ""
        yield f"{label(chosen)}  {_um2(result.area_um2[chosen])}"
        for line in result.area_formation:
            if line.component == chosen:
                yield f"{_INDENT}{line.counted}"
                yield from _area_line(result, line)


def _area_line(result: Result, line: AreaFormation) -> Iterator[str]:
    if line.unit_area_um2 is None:
        yield from _unpriced(f"{line.count:g}", line.not_priced)
    else:
        yield f"{_INDENT * 2}{line.count:g} x {line.unit_area_um2:.6g} um2 = {_um2(line.area_um2)}"
        yield from _prices(result, line.prices, f"each {line.unit_area_um2:.6g} um2")


def _unpriced(count: str, why: NoPrice | None) -> Iterator[str]:
    """How many of something without a price, what it needs for one, why that is missing, and the way out."""
    yield f"{_INDENT * 2}{count} x {units.NOT_PRICED}"
    if why is not None:
        needs = f"needs {why.needs}; " if why.needs else ""
        yield f"{_INDENT * 2}{needs}{why.reason}"


def _prices(result: Result, used: Sequence[UsedPrice], title: str) -> Iterator[str]:
    sources = {f"{price.table}:{price.row}": price for price in result.sources.prices}
    yield f"{_INDENT * 2}{title}:"
    for use in used:
        price = sources[use.row]
        what = f"  ({use.what})" if use.what else ""
        yield f"{_INDENT * 3}{use.quantity:.6g} x {price.value:.6g} {price.unit}{what}"
        yield f"{_INDENT * 4}{use.row}, {price.status}"
        for line in _provenance(price):
            yield f"{_INDENT * 4}{line}"


def _provenance(price: PriceSource) -> Iterator[str]:
    if price.formula:
        yield f"= {price.formula}"
    yield price.source
    stated = silicon_text(price)
    yield f"{stated}; {price.activity}" if stated else price.activity
    if price.uncertainty is not None:
        yield f"uncertainty {price.uncertainty:.0%}"
    for step in price.scaling:
        yield f"scaled: {step}"


def _chosen(components: Sequence[str], component: str | None) -> Sequence[str]:
    if component is None:
        return components
    if component not in components:
        raise UserError("no such component", location="--component", value=component, candidates=components)
    return [component]


def _wrapped(line: str, columns: int) -> list[str]:
    """A line in pieces of at most so many columns; those behind the first lie deeper than it."""
    indent = line[: len(line) - len(line.lstrip())] + _INDENT
    return textwrap.wrap(line, columns, subsequent_indent=indent) or [""]


def _count(count: float) -> str:
    """A whole count in full, whatever its size, any other to ten digits."""
    return f"{count:,}" if isinstance(count, int) else f"{count:,.10g}"


def _pj(energy_fj: int | None) -> str:
    return units.NOT_PRICED if energy_fj is None else f"{decimal_pj(energy_fj)} pJ"


def _um2(area_um2: float | None) -> str:
    return units.NOT_PRICED if area_um2 is None else f"{area_um2:,.1f} um2"
