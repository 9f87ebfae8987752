"""All prices of one run, found by component, variant and action, at the architecture's conditions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from simulator.arch.config import ArchConfig
from simulator.cost.scaling import Price, PriceScaling
from simulator.cost.table_schema import Characterisation, PriceRow, PriceTable
from simulator.cost.tables import load_table
from simulator.foundation import UserError


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Tables in the order in which they are asked; the first that has a row prices it."""

    tables: Sequence[PriceTable]

    def __post_init__(self) -> None:
        """Refuse tables that only serve comparison. Raises UserError."""
        for table in self.tables:
            if table.role != "prices":
                raise UserError(
                    f"holds figures for {table.role.replace('_', ' ')}, so nothing can be priced from it",
                    location="tables",
                    value=table.name,
                )

    @classmethod
    def load(cls, names: Iterable[str]) -> PriceBook:
        """The book of bundled names or files. Raises UserError as `load_table`."""
        return cls(tuple(load_table(name) for name in names))

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each table's text by its name."""
        return {table.name: table.sha256 for table in self.tables}

    def find(self, component: str, variant: str, action: str) -> PriceRow | None:
        """The first table's row, or None."""
        key = f"{component}/{variant}/{action}"
        return next((table.rows[key] for table in self.tables if key in table.rows), None)

    def rows(self, component: str, action: str) -> list[PriceRow]:
        """All rows of a component and action, of the first table that has any."""
        for table in self.tables:
            rows = [row for row in table.rows.values() if (row.component, row.action) == (component, action)]
            if rows:
                return rows
        return []

    def characterisation(self, variant: str) -> Characterisation | None:
        """Flip-flops and toggles under which a published variant's power was taken, where known."""
        return next((t.characterised[variant] for t in self.tables if variant in t.characterised), None)


@dataclass(slots=True)
class Prices:
    """The book at the conditions of one architecture; every row is scaled once."""

    book: PriceBook
    scaling: PriceScaling
    used: dict[str, Price] = field(default_factory=dict)

    @classmethod
    def of(cls, arch: ArchConfig, book: PriceBook | None = None) -> Prices:
        """Prices for `arch`, from its own tables unless `book` is given."""
        return cls(book or PriceBook.load(arch.tables), PriceScaling.of(arch))

    def get(self, component: str, variant: str, action: str) -> Price:
        """The price of one action.

        Raises:
            UserError: no table prices it, or its conditions do not match the architecture.
        """
        price = self.find(component, variant, action)
        if price is None:
            offered = {row.variant for row in self.book.rows(component, action)}
            raise UserError(
                f"no price table has {component} / {action} of this variant",
                value=variant,
                candidates=offered,
            )
        return price

    def find(self, component: str, variant: str, action: str) -> Price | None:
        """As `get`, but None where no table has the row."""
        row = self.book.find(component, variant, action)
        return None if row is None else self.take(row)

    def take(self, row: PriceRow) -> Price:
        """The price of a row already found. Raises UserError as `get`."""
        if row.reference not in self.used:
            self.used[row.reference] = self.scaling.price(row)
        return self.used[row.reference]

    def part(self, part: str, action: str) -> Price:
        """The price of one of the parts that MACs are composed of."""
        return self.get(part, "28nm", action)


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


def total(uses: Iterable[PriceUse]) -> float:
    """Sum of quantity times price."""
    return sum(use.value for use in uses)
