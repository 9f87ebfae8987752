"""What a result says of its prices: every row that was used, and what has none."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.cost.area import AreaLine
from simulator.cost.price import NotPriced, Price
from simulator.cost.price_lines import Action
from simulator.result import MissingPrice, PriceSource


def price_sources(used_by: Iterable[Action | AreaLine]) -> list[PriceSource]:
    """The provenance of every price: each row once, again as a part of what is composed."""
    used: dict[tuple[str, bool], tuple[Price, list[str]]] = {}
    for user in used_by:
        for use in () if isinstance(user.uses, NotPriced) else user.uses:
            key = (use.price.row.reference, user.composed)
            _, components = used.setdefault(key, (use.price, []))
            if user.component not in components:
                components.append(user.component)
    return [
        _source(price, components, composed=composed) for (_, composed), (price, components) in used.items()
    ]


def missing_prices(actions: Iterable[Action], area_lines: Iterable[AreaLine]) -> list[MissingPrice]:
    """Which components have no energy or no area, and why; each reason of a component once."""
    missing: dict[tuple[str, str, str], MissingPrice] = {}
    for action in actions:
        if isinstance(action.uses, NotPriced):
            found = MissingPrice(
                component=action.component,
                figure="energy",
                reason=action.uses.reason,
                needs=action.uses.needs,
            )
            missing.setdefault((found.figure, found.component, found.reason), found)
    for line in area_lines:
        if isinstance(line.uses, NotPriced):
            found = MissingPrice(
                component=line.component, figure="area", reason=line.uses.reason, needs=line.uses.needs
            )
            missing.setdefault((found.figure, found.component, found.reason), found)
    return list(missing.values())


def _source(price: Price, components: list[str], *, composed: bool) -> PriceSource:
    row, conditions = price.row, price.row.conditions
    return PriceSource(
        component=row.component,
        action=row.action,
        value=price.value,
        unit=row.unit,
        status="composed" if composed else row.status,
        source=row.source,
        table=row.table,
        row=row.key,
        node_nm=conditions.node_nm,
        voltage_v=conditions.voltage_v,
        temperature_c=conditions.temperature_c,
        corner=conditions.corner,
        clock_mhz=conditions.clock_mhz,
        activity=conditions.activity,
        uncertainty=row.uncertainty,
        formula=row.formula,
        scaling=list(price.steps),
        used_for=components,
    )
