"""A price, or the reason why there is none; both are data that pass through the cost model alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from simulator.cost.table_schema import PriceRow


@dataclass(frozen=True, slots=True)
class Price:
    """What a row costs on an architecture: its value times `factor`, and the steps that made the factor."""

    row: PriceRow
    factor: float = 1.0
    steps: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """The price in the row's base unit, scaled."""
        return self.row.value * self.factor


@dataclass(frozen=True, slots=True)
class NotPriced:
    """Why something has no price.

    reason: one sentence without a full stop, that ends with the way out; whatever shares a cause has the
        same reason, so that a reader sees it once.
    needs: the row, area or circuit that this price needs and does not have.
    """

    reason: str
    needs: str = ""

    def for_lack_of(self, needs: str) -> NotPriced:
        """The same reason for a price that follows from this one."""
        return replace(self, needs=needs)


@dataclass(frozen=True, slots=True)
class PriceUse:
    """`quantity` of a price inside one unit price."""

    price: Price
    quantity: float
    what: str = ""

    @property
    def value(self) -> float:
        """Quantity times price."""
        return self.quantity * self.price.value


Uses = tuple[PriceUse, ...] | NotPriced
"""The prices that make a unit price, or why one of them is missing."""


def use(price: Price | NotPriced, quantity: float, what: str = "") -> Uses:
    """`quantity` of a price, where there is one."""
    return price if isinstance(price, NotPriced) else (PriceUse(price, quantity, what),)


def together(parts: Iterable[Uses]) -> Uses:
    """All uses of all parts; the first reason where a part has no price."""
    found: list[PriceUse] = []
    for part in parts:
        if isinstance(part, NotPriced):
            return part
        found += part
    return tuple(found)


def times(uses: Uses, factor: float, prefix: str = "") -> Uses:
    """Every quantity times `factor`, with `prefix` before what the uses are said to be."""
    if isinstance(uses, NotPriced):
        return uses
    return tuple(PriceUse(each.price, each.quantity * factor, f"{prefix}{each.what}") for each in uses)


def total(uses: Uses) -> float | None:
    """Sum of quantity times price; None where a price is missing."""
    return None if isinstance(uses, NotPriced) else sum(each.value for each in uses)
