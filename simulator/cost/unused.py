"""Rows of the user's own tables that nothing was priced from, each with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from simulator.arch.config import ArchConfig
from simulator.cost.book import PriceBook
from simulator.cost.mac_rows import MacRows, rows_of
from simulator.cost.mac_structure import MacStructure
from simulator.cost.price import NotPriced, Price
from simulator.cost.table_schema import PriceRow, PriceTable
from simulator.cost.vocabulary import PART_ROWS, PARTS_VARIANT, PE_ROWS, source_group
from simulator.foundation.errors import nearest_name
from simulator.numerics.mac_config import preset_names

_ONLY_VARIANT = {"wire": "intermediate", "logic": PARTS_VARIANT, **dict.fromkeys(PART_ROWS, PARTS_VARIANT)}
"""Components that are looked up under one name."""

_NOTHING_HAPPENS = "nothing that happens in this run is priced from it"
_COVERED = "other rows of the PE are used instead, which cover it"
_LEAKAGE_ALONE = (
    "it only tells how much of its component's energy is leakage; the area is that of the whole PE"
)
_LOOKED_UP = {
    ("pe", "operate"): _COVERED,
    ("pe_combinational", "operate"): _COVERED,
    ("sram", "access"): "an access time is compared with the clock and enters no figure",
    **{(component, "area"): _LEAKAGE_ALONE for component in PE_ROWS - {"pe"}},
}
"""Why a price that was looked up entered no figure, by component and action."""

_NEVER_PRICED = frozenset({"array", "multiplier"})


@dataclass(frozen=True, slots=True)
class Unused:
    """Why a row was not used; `never` where a name or the order of the tables is likely wrong."""

    reason: str
    never: bool


@dataclass(frozen=True, slots=True)
class RowUse:
    """What an architecture does with the rows of its tables.

    Args:
        arch: the architecture.
        book: its tables.
        structures: the MACs that it was priced with.
        looked_up: prices by `table:row`, those of the architecture's lookups.
    """

    arch: ArchConfig
    book: PriceBook
    structures: Sequence[MacStructure]
    looked_up: Mapping[str, Price | NotPriced]

    def unused(self, used: Collection[str]) -> Iterator[tuple[PriceRow, Unused]]:
        """Rows of tables that are not bundled and that are not among `used` (`table:row`)."""
        for table in self.book.tables:
            if not table.bundled:
                for row in table.rows.values():
                    if row.reference not in used:
                        yield row, self.reason(table, row)

    def reason(self, table: PriceTable, row: PriceRow) -> Unused:
        """Why a row of a table was not used."""
        if row.component in _NEVER_PRICED:
            return Unused(f"rows of {row.component} are only compared with", never=True)
        looked_up = self.looked_up.get(row.reference)
        if isinstance(looked_up, NotPriced):
            return Unused(looked_up.reason, never=False)
        if isinstance(looked_up, Price):
            return Unused(_LOOKED_UP.get((row.component, row.action), _NOTHING_HAPPENS), never=False)
        only = _ONLY_VARIANT.get(row.component, row.variant)
        if row.variant != only:
            return Unused(f"{row.component} is looked up as variant {only!r} alone", never=True)
        group = source_group(row.component)
        tables = self.book.tables
        if row.component == "sram":
            first = next(other for other in tables if any(r.component == "sram" for r in other.rows.values()))
        else:
            first = next(other for other in tables if other.has_rows(group, row.variant))
        if first.name != table.name:
            what = "memories" if row.component == "sram" else row.variant
            return Unused(f"table {first.name} comes before it and prices {what}", never=True)
        if row.component in PE_ROWS:
            return self._of_a_pe(table, row)
        if row.component == "dram" and row.variant != self.arch.dram.type:
            return Unused(f"dram.type is {self.arch.dram.type}", never=False)
        return Unused(_NOTHING_HAPPENS, never=False)

    def _of_a_pe(self, table: PriceTable, row: PriceRow) -> Unused:
        users = [
            structure.name
            for structure in self.structures
            for wanted in (structure.price.energy, structure.price.area)
            if _is(rows_of(structure, wanted, self.book), table, row.variant)
        ]
        if users:
            return Unused(f"MAC {users[0]!r} takes its {_figure(row)} from elsewhere", never=False)
        known = [*self.arch.macs, *preset_names(), *(structure.name for structure in self.structures)]
        variants = {
            spec.get("price") for spec in self.arch.macs.values() if isinstance(spec.get("price"), str)
        }
        if row.variant in table.macs or row.variant in known or row.variant in variants:
            return Unused(f"no MAC of this run takes its price from {row.variant}", never=False)
        near = nearest_name(row.variant, known)
        hint = f" (the nearest is {near!r})" if near else ""
        return Unused(f"no MAC is called {row.variant!r}{hint}, and no `price` names it", never=True)


def _figure(row: PriceRow) -> str:
    return "area" if row.action == "area" else "energy"


def _is(rows: MacRows | NotPriced | None, table: PriceTable, variant: str) -> bool:
    return isinstance(rows, MacRows) and (rows.table.name, rows.variant) == (table.name, variant)


def grouped(unused: Iterator[tuple[PriceRow, Unused]]) -> dict[tuple[str, str, bool], list[str]]:
    """Keys of unused rows by table, reason and whether no run could use them."""
    found: dict[tuple[str, str, bool], list[str]] = {}
    for row, why in unused:
        found.setdefault((row.table, why.reason, why.never), []).append(row.key)
    return found
