"""How well a total is known, and whether two results differ by more than that.

Every price has a relative uncertainty: its row's own, that of what is composed from parts, or that of a
published price that states none. A share of a total that follows from one source is off as a whole; shares
of different sources are off independently, so their squares add. In a ratio of two results a source's shares
of both are off alike: what the results share cancels. Intervals are nominal 90 % intervals of the prices
alone; counts are exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from simulator.formation import UNSTATED_UNCERTAINTY, UsedPrice
from simulator.report import units
from simulator.result import PriceSource, Result

Figure = Literal["energy", "area"]


@dataclass(frozen=True, slots=True)
class Share:
    """What one source of error adds to a total, and how far it may be off, relative."""

    amount: float
    uncertainty: float


_FIGURES: Final[tuple[Figure, ...]] = ("energy", "area")

FIGURE_OF_METRIC: Final[Mapping[str, Figure]] = {"energy_pj": "energy", "area_um2": "area"}
"""Metrics of comparisons that have an interval of their prices, by key."""

Shares = Mapping[str, Share]
"""By the source of error: a family of rows of a table, or what one MAC was composed of."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the half-width of its interval, in the same unit."""

    value: float
    half_width: float

    @property
    def low(self) -> float:
        """The lower end, not below zero."""
        return max(0.0, self.value - self.half_width)

    @property
    def high(self) -> float:
        """The upper end."""
        return self.value + self.half_width


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a figure of one result lies above that of another, relative, with its half-width."""

    relative: float
    half_width: float

    @property
    def is_none(self) -> bool:
        """Whether the difference lies inside its interval, so that prices cannot tell the two apart."""
        return abs(self.relative) <= self.half_width

    def __str__(self) -> str:
        said = f"{self.relative:+.1%} ± {self.half_width:.1%}"
        return f"{said}: no difference" if self.is_none else said


def interval(result: Result, figure: Figure) -> Interval | None:
    """The interval of a result's total energy (pJ) or area (um2); None where it is not priced or zero."""
    shares = shares_of(result, figure)
    if shares is None:
        return None
    total = sum(share.amount for share in shares.values())
    if not total:
        return None
    return Interval(total, math.hypot(*(share.amount * share.uncertainty for share in shares.values())))


def ends_of(result: Result, figure: Figure) -> tuple[float, float] | None:
    """Both ends of `interval`; None where there is none."""
    found = interval(result, figure)
    return None if found is None else (found.low, found.high)


def difference(result: Result, reference: Result, figure: Figure) -> Difference | None:
    """A total relative to that of a reference; None where one of them is not priced or zero."""
    ours, theirs = shares_of(result, figure), shares_of(reference, figure)
    if ours is None or theirs is None:
        return None
    total, reference_total = (sum(share.amount for share in shares.values()) for shares in (ours, theirs))
    if not total or not reference_total:
        return None
    none = Share(0.0, 0.0)
    off = []
    for source in ours.keys() | theirs.keys():
        one, other = ours.get(source, none), theirs.get(source, none)
        apart = one.amount / total - other.amount / reference_total
        off.append(apart * max(one.uncertainty, other.uncertainty))
    ratio = total / reference_total
    return Difference(ratio - 1, ratio * math.hypot(*sorted(off)))


def shares_of(result: Result, figure: Figure) -> Shares | None:
    """A total by source of error; None where some of it is not priced or the result does not say of what."""
    prices = {f"{price.table}:{price.row}": price for price in result.sources.prices}
    used = [
        *(use.row for unit in result.unit_prices for use in unit.prices),
        *(use.row for line in result.area_formation for use in line.prices),
    ]
    if any(row not in prices for row in used):
        return None
    return _energy_shares(result, prices) if figure == "energy" else _area_shares(result, prices)


def _energy_shares(result: Result, prices: Mapping[str, PriceSource]) -> Shares | None:
    counts: dict[str, float] = {}
    for layer in result.layers:
        for line in layer.formation:
            counts[line.unit_price] = counts.get(line.unit_price, 0.0) + line.count * line.factor
    shares: dict[str, Share] = {}
    for unit in result.unit_prices:
        times = counts.get(unit.name, 0.0)
        if not times:
            continue
        if unit.price_pj is None:
            return None
        if unit.uncertainty is not None:
            source = _composed(unit.component, unit.composed_for, result)
            _add(shares, source, times * unit.price_pj, unit.uncertainty)
        else:
            _add_rows(shares, times, unit.prices, prices, less=unit.less_leakage_pj)
    return shares


def _area_shares(result: Result, prices: Mapping[str, PriceSource]) -> Shares | None:
    shares: dict[str, Share] = {}
    for line in result.area_formation:
        if line.area_um2 is None:
            return None
        if line.uncertainty is not None:
            source = _composed(line.component, line.composed_for, result)
            _add(shares, source, line.area_um2, line.uncertainty)
        else:
            _add_rows(shares, line.count, line.prices, prices)
    return shares


def _add_rows(
    shares: dict[str, Share],
    times: float,
    uses: list[UsedPrice],
    prices: Mapping[str, PriceSource],
    *,
    less: float = 0.0,
) -> None:
    """Rows of one unit price; leakage that is taken out of it is taken out of them alike."""
    amounts = [use.quantity * prices[use.row].value for use in uses]
    whole = sum(amounts)
    kept = (whole - less) / whole if whole else 0.0
    for use, amount in zip(uses, amounts, strict=True):
        price = prices[use.row]
        stated = UNSTATED_UNCERTAINTY if price.uncertainty is None else price.uncertainty
        _add(shares, _family(price, use.what), times * amount * kept, stated)


def _composed(component: str, mac: str, result: Result) -> str:
    """Parts of one MAC are off together, those of another otherwise; what is of no MAC is off alike.

    Results written before unit prices named their MAC are taken to be of the array's.
    """
    of_a_mac = component.startswith("pe_") or component in {"decoders", "converters"}
    return f"composed {mac or result.mac}" if of_a_mac else f"composed {component}"


def _family(price: PriceSource, what: str) -> str:
    """Rows that are off together: terms of one fitted memory, components of one published PE.

    A fit is off otherwise at each size: ratios of two memories that differ by two in capacity are missed by
    about as much as the memories themselves (docs/energy.md). `what` names the memory.
    """
    parts = price.row.split("/")
    if parts[0].startswith("pe"):
        return f"{price.table}:pe/{parts[1]}/{parts[2]}"
    family = f"{price.table}:{'/'.join(parts[:3])}"
    return f"{family} of {what}" if any("^" in part for part in parts[3:]) else family


def _add(shares: dict[str, Share], source: str, amount: float, uncertainty: float) -> None:
    before = shares.get(source, Share(0.0, uncertainty))
    shares[source] = Share(before.amount + amount, max(before.uncertainty, uncertainty))


def shown_interval(result: Result) -> str:
    """The intervals of energy and area in words; empty where neither has one."""
    scales = {"energy": units.energy_scale, "area": units.area_scale}
    parts = []
    for figure in _FIGURES:
        ends = ends_of(result, figure)
        if ends is not None:
            scale = scales[figure](ends)
            parts.append(f"{figure} {scale.show(ends[0])} to {scale.show(ends[1])} {scale.unit}")
    return ", ".join(parts)


def shown_differences(results: list[tuple[str, Result]]) -> list[str]:
    """A line for each result but the first: how far its energy and area lie from those of the first."""
    lines = []
    for name, result in results[1:]:
        parts = [
            f"{figure} {found}"
            for figure in _FIGURES
            if (found := difference(result, results[0][1], figure)) is not None
        ]
        if parts:
            lines.append(f"{name}: {'; '.join(parts)}")
    return lines
