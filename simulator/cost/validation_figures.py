"""Published figures, and bundled prices at their own conditions, for the checks of `validation`."""

from __future__ import annotations

from functools import cache

from simulator.arch.config import ArchConfig
from simulator.cost.price import NotPriced, Price
from simulator.cost.price_tables import load_table
from simulator.cost.run_prices import Prices


def published(table: str, component: str, variant: str, action: str) -> float:
    """The value of a row of any bundled table, those that price nothing among them."""
    return load_table(table).rows[f"{component}/{variant}/{action}"].value


@cache
def bundled_prices() -> Prices:
    """The prices of the default architecture."""
    return Prices.of(ArchConfig())


def johnson(component: str, variant: str, action: str = "operate") -> float:
    """What the published PEs cost."""
    return value_of(bundled_prices().get(component, variant, action))


def value_of(price: Price | NotPriced) -> float:
    """The value of a bundled price at its own conditions. Raises ValueError where the tables lack it."""
    if isinstance(price, NotPriced):
        message = f"{price.needs} is not priced: {price.reason}"
        raise ValueError(message)
    return price.value
