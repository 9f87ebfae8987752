"""Which rows of the price tables a MAC takes: the first table with any row of its variant, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from simulator.cost.mac_structure import MacIdentity, MacStructure
from simulator.cost.price import NotPriced
from simulator.cost.run_prices import PriceBook
from simulator.cost.table_schema import MacMatch, PriceRow, PriceTable
from simulator.cost.vocabulary import PE_ROWS, SYNTHESISED
from simulator.foundation import UserError
from simulator.foundation.errors import nearest_name
from simulator.numerics.formats import get_format
from simulator.numerics.mac_spec import COMPOSED

_CROSS: Final = re.compile(r"\s+[xX×]\s+")


@dataclass(frozen=True, slots=True)
class MacRows:
    """All rows of one variant in one table."""

    table: PriceTable
    variant: str

    def row(self, component: str, action: str) -> PriceRow | None:
        """One of them, or None."""
        return self.table.row(component, self.variant, action)

    def rows(self) -> Iterator[PriceRow]:
        """All of them."""
        return (
            row
            for row in self.table.rows.values()
            if row.variant == self.variant and row.component in PE_ROWS
        )

    @property
    def are_synthesised(self) -> bool:
        """Whether any was synthesised from the MAC's own hardware."""
        return any(row.status == SYNTHESISED for row in self.rows())

    @property
    def max_clock_mhz(self) -> float | None:
        """The lowest clock up to which any of them meets timing; None where none says so."""
        limits = [row.max_clock_mhz for row in self.rows() if row.max_clock_mhz is not None]
        return min(limits, default=None)

    def mismatches(self, structure: MacStructure) -> tuple[str, ...]:
        """Where formats or accumulator that rows state, or the table for the variant, are not the MAC's."""
        identity = structure.identity
        if identity is None:
            return ()
        stated = [(row.formats, row.accumulator) for row in self.rows()]
        match = self.table.macs.get(self.variant)
        if match is not None:
            stated.append((f"{match.activation} x {match.weight}", match.accumulator))
        return tuple(
            dict.fromkeys(text for each in stated for text in self._mismatches(identity, structure, *each))
        )

    def _mismatches(
        self,
        identity: MacIdentity,
        structure: MacStructure,
        formats: str | None,
        accumulator: int | str | None,
    ) -> Iterator[str]:
        rows = f"MAC {structure.name!r} is priced by rows of {self.variant} in table {self.table.name}"
        if formats is not None and _spelled(formats) != _spelled(identity.formats):
            yield f"{rows}, which are of {formats}; the MAC multiplies {identity.formats}"
        if accumulator is not None and str(accumulator) != str(identity.accumulator):
            own = _sum(identity.accumulator)
            yield f"{rows}, whose accumulator is {_sum(accumulator)}; the MAC's is {own}"


def rows_of(structure: MacStructure, wanted: str | None, book: PriceBook) -> MacRows | NotPriced | None:
    """The rows that price a MAC; None where it is composed of parts.

    Args:
        structure: the MAC.
        wanted: the variant that its `price` names, `composed`, `synthesised`, or None for what fits it, below
            which synthesised rows rank.
        book: tables in their order.
    """
    if wanted == COMPOSED:
        return None
    if wanted == SYNTHESISED:
        return synthesised_rows(structure, book) or NotPriced(
            f"no table in `tables` has synthesised rows of the numerics of MAC {structure.name!r}: write "
            f"one with `systolic rtl price`, add it to `tables`, or set macs.{structure.name}.price "
            f"to {COMPOSED}",
            f"row pe/{structure.name}/*",
        )
    if wanted is not None:
        return _named(structure, wanted, book)
    return next((rows for rows in _fitting(structure, book) if not rows.are_synthesised), None)


def synthesised_rows(structure: MacStructure, book: PriceBook) -> MacRows | None:
    """The synthesised rows that fit a MAC; None where no table has any."""
    return next((rows for rows in _fitting(structure, book) if rows.are_synthesised), None)


def _fitting(structure: MacStructure, book: PriceBook) -> Iterator[MacRows]:
    """Rows of a MAC by its name, or by its numerics, in the order of tables."""
    for table in book.tables:
        if structure.name not in table.macs and table.has_rows(PE_ROWS, structure.name):
            yield MacRows(table, structure.name)
        for variant, match in table.macs.items():
            if structure.identity is not None and _is(structure.identity, match):
                yield MacRows(table, variant)


def _named(structure: MacStructure, variant: str, book: PriceBook) -> MacRows | NotPriced:
    table = next((table for table in book.tables if table.has_rows(PE_ROWS, variant)), None)
    if table is not None:
        return MacRows(table, variant)
    offered = {
        row.variant for table in book.tables for row in table.rows.values() if row.component in PE_ROWS
    }
    near = nearest_name(variant, sorted(offered))
    hint = f" (the nearest is {near})" if near else ""
    return NotPriced(
        f"no table in `tables` has a row of the variant {variant} that MAC {structure.name!r} takes its "
        f"price from{hint}: add a table that has it, or set macs.{structure.name}.price to another variant "
        f"or to {COMPOSED}",
        f"row pe/{variant}/*",
    )


def _is(identity: MacIdentity, match: MacMatch) -> bool:
    return (
        _spelled(identity.formats),
        identity.product,
        str(identity.accumulator),
        identity.pipeline_depth,
    ) == (
        _spelled(f"{match.activation} x {match.weight}"),
        match.product,
        str(match.accumulator),
        match.pipeline_depth,
    )


def _spelled(formats: str) -> tuple[str, ...]:
    """Activation and weight as formats spell themselves, or as written where one is unknown."""
    written = tuple(_CROSS.split(formats.strip()))
    try:
        return tuple(get_format(spec).spec for spec in written)
    except UserError:
        return written


def _sum(accumulator: int | str) -> str:
    """An accumulator in words."""
    return f"{accumulator} bits" if isinstance(accumulator, int) or accumulator.isdigit() else accumulator
