"""Rows of the user's own tables that nothing was priced from, each with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from simulator.arch.config import ArchConfig
from simulator.cost.mac_rows import MacRows, rows_of, synthesised_rows
from simulator.cost.mac_structure import OPERAND_CLASSES, MacStructure
from simulator.cost.price import NotPriced, Price
from simulator.cost.run_prices import PriceBook
from simulator.cost.table_schema import PriceRow, PriceTable
from simulator.cost.vocabulary import (
    EDGE_ROWS,
    PART_ROWS,
    PARTS_VARIANT,
    PE_ROWS,
    SYNTHESISED,
    source_group,
)
from simulator.foundation import UserError
from simulator.foundation.errors import nearest_name
from simulator.numerics.formats import get_format
from simulator.numerics.mac_config import preset_names
from simulator.numerics.mac_spec import DEFAULT_PRICE

_ONLY_VARIANT = {"wire": "intermediate", "logic": PARTS_VARIANT, **dict.fromkeys(PART_ROWS, PARTS_VARIANT)}
"""Components that are looked up under one name."""

_NOTHING_HAPPENS = "nothing that happens in this run is priced from it"
_PE_LACKS = "its figure of the PE needs another price beside it, which is missing"
_COVERED = "other rows of the PE are used instead, which cover it"
_LEAKAGE_ALONE = (
    "it only tells how much of its component's energy is leakage; the area is that of the whole PE"
)
_LOOKED_UP = {
    ("pe", "operate"): _COVERED,
    ("pe_combinational", "operate"): _COVERED,
    ("sram", "access"): "an access time is compared with the clock and enters no figure",
    ("wire", "transfer"): "wires are as long as areas make them, and some area is not priced",
    ("logic", "leakage"): "leakage follows the area of all logic, and some of it is not priced",
    **{(component, "area"): _LEAKAGE_ALONE for component in PE_ROWS - {"pe"}},
}
"""Why a price that was looked up entered no figure, by component and action."""

_OTHER_MEMORY = (
    "every buffer is built of another memory of the table, with fewer missing rows, in time for the clock or "
    "of less area"
)

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
            if (why := self._of_an_unpriced_pe(table, row)) is not None:
                return why
            otherwise = _PE_LACKS if row.component in PE_ROWS else _NOTHING_HAPPENS
            return Unused(_LOOKED_UP.get((row.component, row.action), otherwise), never=False)
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
        return self._by_component(table, row)

    def _by_component(self, table: PriceTable, row: PriceRow) -> Unused:
        """Why a row was not looked up, of a table that prices its variant."""
        if row.component in PE_ROWS:
            return self._of_a_pe(table, row)
        if row.component == "sram":
            if row.capacity_kib is None and row.capacity_exponent is None:
                return Unused("it states no capacity_kib, so no buffer can be built of it", never=True)
            return Unused(_OTHER_MEMORY, never=False)
        if row.component in EDGE_ROWS:
            return self._of_an_edge(row)
        if row.component == "dram" and row.variant != self.arch.dram.type:
            return Unused(f"dram.type is {self.arch.dram.type}", never=False)
        return Unused(_NOTHING_HAPPENS, never=False)

    def _users(self, table: PriceTable, variant: str) -> list[MacStructure]:
        """MACs that take their energy or their area from a variant of a table."""
        return [
            structure
            for structure in self.structures
            if any(
                _is(rows_of(structure, wanted, self.book), table, variant)
                for wanted in (structure.price.energy, structure.price.area)
            )
        ]

    def _of_an_unpriced_pe(self, table: PriceTable, row: PriceRow) -> Unused | None:
        """Why a row that was looked up priced nothing: the PE is too slow, or other rows are missing."""
        if row.component in EDGE_ROWS:
            return self._of_a_slow_edge(row)
        if row.component not in PE_ROWS:
            return None
        rows = MacRows(table, row.variant)
        for structure in self._users(table, row.variant):
            limits = [mhz for mhz in (rows.max_clock_mhz, structure.max_clock_mhz) if mhz is not None]
            if limits and min(limits) < self.arch.clock_mhz:
                limit = f"MAC {structure.name!r} meets timing up to {min(limits):g} MHz only"
                return Unused(f"{limit}, clock_mhz is {self.arch.clock_mhz:g}", never=False)
        if row.action == "clock" and rows.row("pe_registers", "operate") is None:
            needed = f"pe_registers/{row.variant}/operate"
            return Unused(f"it is used together with the row {needed} alone, which is missing", never=False)
        return None

    def _of_a_slow_edge(self, row: PriceRow) -> Unused | None:
        """That the MAC of a decoder or converter does not reach the clock; None where it does."""
        for structure in self.structures:
            limit_mhz = structure.max_clock_mhz
            served = (structure.name, *(structure.format_of(operand) for operand in OPERAND_CLASSES))
            if row.variant in served and limit_mhz is not None and limit_mhz < self.arch.clock_mhz:
                limit = f"MAC {structure.name!r} meets timing up to {limit_mhz:g} MHz only"
                return Unused(f"{limit}, clock_mhz is {self.arch.clock_mhz:g}", never=False)
        return None

    def _of_an_edge(self, row: PriceRow) -> Unused:
        """Why nothing is decoded or converted by a circuit of a row."""
        if row.component == "converter":
            names = self._mac_names()
            if row.variant in names:
                return Unused(f"nothing that MAC {row.variant} computes is converted here", never=False)
            return Unused(f"no MAC is called {row.variant!r}{_nearest(row.variant, names)}", never=True)
        decoded = [
            spec
            for structure in self.structures
            for operand in OPERAND_CLASSES
            if structure.decoder(operand) and (spec := structure.format_of(operand)) is not None
        ]
        try:
            spelled = get_format(row.variant).spec
        except UserError:
            return Unused(f"there is no format {row.variant!r}{_nearest(row.variant, decoded)}", never=True)
        if spelled != row.variant:
            return Unused(f"the format {row.variant!r} is spelled {spelled!r} as a variant", never=True)
        if not get_format(row.variant).decoder:
            return Unused(f"codes of {row.variant} travel as they are, without a decoder", never=True)
        return Unused(f"no operand of this run has codes of {row.variant}", never=False)

    def _mac_names(self) -> list[str]:
        return [*self.arch.macs, *preset_names(), *(structure.name for structure in self.structures)]

    def _of_a_pe(self, table: PriceTable, row: PriceRow) -> Unused:
        users = self._users(table, row.variant)
        if row.status == SYNTHESISED and not users:
            for structure in self.structures:
                if _is(synthesised_rows(structure, self.book), table, row.variant):
                    way = f"set macs.{structure.name}.price to {SYNTHESISED} to use them"
                    return Unused(f"synthesised rows are shown beside other prices: {way}", never=False)
        if users:
            return Unused(f"MAC {users[0].name!r} takes its {_figure(row)} from elsewhere", never=False)
        for structure in self.structures:
            match = table.macs.get(row.variant)
            if match is not None and structure.name == row.variant and structure.price == DEFAULT_PRICE:
                described = f"{match.activation} x {match.weight}, {match.product}, into {match.accumulator}"
                return Unused(
                    f"macs.{row.variant} of the table describes another MAC than {structure.name!r} "
                    f"({described}): correct that entry, or delete it to price the MAC by its name",
                    never=True,
                )
        known = self._mac_names()
        variants = {name for spec in self.arch.macs.values() for name in _named(spec.get("price"))}
        if row.variant in table.macs or row.variant in known or row.variant in variants:
            return Unused(f"no MAC of this run takes its price from {row.variant}", never=False)
        hint = _nearest(row.variant, known)
        return Unused(f"no MAC is called {row.variant!r}{hint}, and no `price` names it", never=True)


def _nearest(name: str, known: Sequence[str]) -> str:
    near = nearest_name(name, known)
    return f" (the nearest is {near!r})" if near else ""


def _named(price: object) -> tuple[object, ...]:
    """Variants that the `price` of a MAC names, as an architecture file writes it."""
    return tuple(price.values()) if isinstance(price, Mapping) else (price,)


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
