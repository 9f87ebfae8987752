"""Published prices told apart from models and from estimates, for components and for whole results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from simulator.report.components import MAC_LOGIC, family_of
from simulator.report.units import percent
from simulator.result import PriceSource, Result

Standing = Literal["published", "own", "model", "estimate"]

MARKS: dict[Standing, str] = {"published": "", "own": "+", "model": "'", "estimate": "~"}
"""Put behind (own, model) or before (estimate) whatever was priced so; nothing marks a published price."""

LEGEND: dict[Standing, str] = {
    "published": "price printed in the source, or arithmetic on printed prices",
    "own": "price of your own tables",
    "model": "price from a modelling tool, or a constant that a tool ships",
    "estimate": "price composed from parts or synthesised, or scaled from other conditions",
}

_STANDING: dict[str, Standing] = {
    "published": "published",
    "derived": "published",
    "own": "own",
    "model": "model",
    "tool_default": "model",
    "ratio": "estimate",
    "synthesised": "estimate",
    "composed": "estimate",
}
_WORST_LAST: tuple[Standing, ...] = ("published", "own", "model", "estimate")


def standing(price: PriceSource) -> Standing:
    """How far a price may be trusted; a scaled price is an estimate whatever it was scaled from."""
    return "estimate" if price.scaling else _STANDING[price.status]


def worst(prices: Iterable[PriceSource]) -> Standing | None:
    """The least trustworthy standing among prices; None when there are none."""
    return worst_of(map(standing, prices))


def worst_of(standings: Iterable[Standing | None]) -> Standing | None:
    """The least trustworthy of some standings; None when there are none."""
    found = {each for each in standings if each is not None}
    return max(found, key=_WORST_LAST.index) if found else None


def component_standing(result: Result, component: str) -> Standing | None:
    """The least trustworthy price that went into a component of energy or area; None when none names it."""
    return worst(
        price
        for price in result.sources.prices
        if component in price.used_for or (not price.used_for and price.component == component)
    )


def mac_is_estimated(result: Result) -> bool:
    """Whether the MAC's own logic has no published price, but one composed from parts or scaled."""
    return any(
        component_standing(result, component) == "estimate"
        for component, energy_pj in result.totals.energy_by_component_pj.items()
        if energy_pj and family_of(component).name in MAC_LOGIC
    )


MAC_LEGEND = "MAC without a published price: composed from parts, synthesised, or scaled"
"""What the mark of an estimate means on a variant's name."""


def marked(text: str, level: Standing | None) -> str:
    """A name or figure with the mark of its standing."""
    if level == "estimate":
        return f"{MARKS[level]}{text}"
    return f"{text}{MARKS[level]}" if level else text


def uncertainty_note(price: PriceSource) -> str:
    """The stated uncertainty of a price, empty when the source states none."""
    return "" if price.uncertainty is None else f"±{percent(price.uncertainty, 0)}"
