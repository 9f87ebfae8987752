"""All prices of one run, found by component, variant and action, at the architecture's conditions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from simulator.arch.config import ArchConfig
from simulator.cost.price import NotPriced, Price
from simulator.cost.price_tables import load_table
from simulator.cost.scaling import PriceScaling
from simulator.cost.table_schema import Characterisation, PriceRow, PriceTable
from simulator.cost.vocabulary import PARTS_VARIANT, source_group
from simulator.foundation import UserError
from simulator.foundation.resources import bundled_names


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Tables in the order in which they are asked.

    The first table with any row of a variant prices all of it: a PE, the parts that MACs are composed of, or
    another component. What it lacks has no price, so that one source is never filled up from another.
    """

    tables: Sequence[PriceTable]

    def __post_init__(self) -> None:
        """Refuse tables that only serve comparison, and two of one name. Raises UserError."""
        names: set[str] = set()
        for table in self.tables:
            if table.name in names:
                raise UserError(
                    "two tables have the same name, so their rows could not be told apart: leave one out or "
                    "rename it (the field `table` of its file)",
                    location="tables",
                    value=table.name,
                )
            names.add(table.name)
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

    def table_of(self, component: str, variant: str) -> PriceTable | None:
        """The first table with any row of a variant, of this component or of those priced with it."""
        group = source_group(component)
        return next((table for table in self.tables if table.has_rows(group, variant)), None)

    def find(self, component: str, variant: str, action: str) -> PriceRow | None:
        """The row of the table that prices the variant; None where no table does, or it lacks the row."""
        table = self.table_of(component, variant)
        return None if table is None else table.row(component, variant, action)

    def parts_of_source(self, table: PriceTable) -> PriceTable | None:
        """The table whose flip-flop prices are of the same source: itself, or one that is fitted to it."""
        flip_flops = frozenset({"flip_flop"})
        own = (
            other
            for other in (table, *self.tables)
            if (other.name == table.name or table.name in other.fitted_to)
            and other.has_rows(flip_flops, PARTS_VARIANT)
        )
        return next(own, None)

    def rows(self, component: str, action: str) -> list[PriceRow]:
        """All rows of a component and action, of the first table that has any."""
        for table in self.tables:
            rows = [row for row in table.rows.values() if (row.component, row.action) == (component, action)]
            if rows:
                return rows
        return []

    def missing(self, component: str, variant: str | None, action: str, chosen_by: str = "") -> NotPriced:
        """Why a row that no table has cannot be priced, with the table to add or the field to change.

        `variant` is None where any would do.
        """
        needs = f"row {component}/{variant or '*'}/{action}"
        table = None if variant is None else self.table_of(component, variant)
        if table is not None:
            return NotPriced(
                f"table {table.name} prices {variant} and lacks a row of it, and no other source fills it "
                f"up: add the row to table {table.name}, or leave its rows of {variant} out",
                needs,
            )
        offered = sorted({row.variant for row in self.rows(component, action)})
        bundled = _bundled_table_with(component, action, variant)
        ways = [f"add the bundled table {bundled}" if bundled else "add a table that has it"]
        if chosen_by and offered:
            ways.append(f"set {chosen_by} to {' or '.join(offered)}")
        return NotPriced(
            f"no table in `tables` has the price: {', or '.join(ways)}",
            needs,
        )

    def characterisation(self, variant: str) -> Characterisation | None:
        """Flip-flops and toggles under which a variant's power was taken, where a table says so."""
        return next((t.characterised[variant] for t in self.tables if variant in t.characterised), None)


@dataclass(slots=True)
class Prices:
    """The book at the conditions of one architecture; every row is scaled once."""

    book: PriceBook
    scaling: PriceScaling
    used: dict[str, Price | NotPriced] = field(default_factory=dict)

    @classmethod
    def of(cls, arch: ArchConfig, book: PriceBook | None = None) -> Prices:
        """Prices for `arch`, from its own tables unless `book` is given. Raises UserError as `load_table`."""
        return cls(book or PriceBook.load(arch.tables), PriceScaling.of(arch))

    @property
    def clock_mhz(self) -> float:
        """The architecture's clock."""
        return self.scaling.clock_mhz

    def get(self, component: str, variant: str, action: str, *, chosen_by: str = "") -> Price | NotPriced:
        """The price of one action, or why there is none: no table has it, or its conditions do not match.

        `chosen_by` is the architecture's field that chooses the variant, a way out where others are priced.
        """
        row = self.book.find(component, variant, action)
        return self.book.missing(component, variant, action, chosen_by) if row is None else self.take(row)

    def take(self, row: PriceRow) -> Price | NotPriced:
        """The price of a row already found, or why its conditions do not match the architecture's."""
        if row.reference not in self.used:
            self.used[row.reference] = self.scaling.price(row)
        return self.used[row.reference]

    def part(self, part: str, action: str) -> Price | NotPriced:
        """The price of one of the parts that MACs are composed of."""
        return self.get(part, PARTS_VARIANT, action)


def _bundled_table_with(component: str, action: str, variant: str | None) -> str | None:
    """The bundled price table that has a row, of any variant where none is named."""
    for name in bundled_names("energy_tables"):
        table = load_table(name)
        if table.role == "prices" and any(
            (row.component, row.action) == (component, action) and variant in (None, row.variant)
            for row in table.rows.values()
        ):
            return table.name
    return None
