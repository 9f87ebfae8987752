"""Synthesised prices in words: beside the price that a MAC has, or of that price itself."""

from __future__ import annotations

from collections.abc import Iterator

from simulator.cost.mac_rows import MacRows, rows_of, synthesised_rows
from simulator.cost.mac_structure import MacStructure
from simulator.cost.run_prices import PriceBook
from simulator.cost.table_schema import PriceRow


def synthesised_notes(structure: MacStructure, book: PriceBook) -> Iterator[str]:
    """What synthesised rows say of a MAC, whether it is priced by them or only shown beside its price."""
    rows = synthesised_rows(structure, book)
    if rows is None:
        return
    figures = [_figure(row) for action in ("operate", "area") if (row := rows.row("pe", action)) is not None]
    if not figures:
        return
    taken = [
        _same(rows_of(structure, wanted, book), rows)
        for wanted in (structure.price.energy, structure.price.area)
    ]
    provenance = rows.table.synthesised.get(rows.variant)
    least = "at least " if provenance is not None and provenance.at_least else ""
    beside = (
        ""
        if all(taken)
        else f"; shown beside its price: set macs.{structure.name}.price to synthesised to use it"
    )
    whole = f"{least}{' and '.join(figures)} a PE"
    yield f"{structure.name}: synthesised in table {rows.table.name}, {whole}{beside}"


def _figure(row: PriceRow) -> str:
    interval = "" if row.low is None or row.high is None else f" ({row.low:.3g} to {row.high:.3g})"
    return f"{row.value:.3g} {row.unit}{interval}"


def _same(found: object, rows: MacRows) -> bool:
    return isinstance(found, MacRows) and (found.table.name, found.variant) == (rows.table.name, rows.variant)
