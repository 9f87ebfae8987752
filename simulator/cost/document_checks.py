"""Checks of a price table's rows together: none doubled, parts that make their whole, MACs that exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from simulator.cost.table_errors import TableErrors
from simulator.cost.table_schema import PriceRow, TableDocument, TableRow
from simulator.cost.vocabulary import PE_PARTS, PE_ROWS
from simulator.foundation import UserError
from simulator.numerics.formats import get_format

SUM_TOLERANCE = 1e-9
"""Parts, remainder and whole are decimal figures: they add up but for binary rounding."""


class DocumentChecks:
    """Checks rows of one document against each other."""

    def __init__(self, document: TableDocument, errors: TableErrors) -> None:
        self._document = document
        self._source = errors.source
        self._error = errors.row
        self._line = errors.line

    def check_written(self, written: Sequence[TableRow]) -> None:
        """Raises UserError where rows as written do not go together."""
        self._refuse_doubled(written)
        self._refuse_two_kinds_of_memory(written)

    def check_resolved(self, written: Sequence[TableRow], rows: Mapping[str, PriceRow]) -> None:
        """Raises UserError where values, fitted ones among them, do not go together."""
        for index, row in enumerate(written):
            self._check_parts(index, row, rows)
            self._check_whole(index, row, rows)
        self._check_matches(written)

    def _refuse_doubled(self, rows: Iterable[TableRow]) -> None:
        first: dict[str, int] = {}
        for index, row in enumerate(rows):
            if row.key in first:
                raise self._error(
                    index, row.key, f"is doubled; first given in line {self._line(first[row.key])}"
                )
            first[row.key] = index

    def _refuse_two_kinds_of_memory(self, rows: Iterable[TableRow]) -> None:
        """A table either gives its memories or fits them, so that none of its rows goes unused."""
        srams = [(index, row) for index, row in enumerate(rows) if row.component == "sram"]
        if any(row.capacity_exponent is not None for _, row in srams):
            for index, row in srams:
                if row.capacity_exponent is None:
                    problem = "gives a memory in a table that fits memories: put it into a table of its own"
                    raise self._error(index, row.key, problem)

    def _check_parts(self, index: int, row: TableRow, rows: Mapping[str, PriceRow]) -> None:
        if not row.parts:
            if row.remainder is not None:
                raise self._error(index, row.key, "has a remainder but no parts", value=row.remainder)
            return
        for part in row.parts:
            if part not in rows:
                raise self._error(index, row.key, "names a part that is no row", value=part, candidates=rows)
        whole = rows[row.key].value
        scale = whole / float(getattr(row, row.given[0]))
        parts = sum(rows[part].value for part in row.parts)
        missing = (whole - parts) / scale - (row.remainder or 0.0)
        if abs(missing) > SUM_TOLERANCE * max(1.0, whole / scale):
            raise self._error(
                index,
                row.key,
                f"its parts give {parts / scale:g} and its stated remainder is {row.remainder or 0:g}, "
                f"which do not add up to it",
                value=getattr(row, row.given[0]),
            )

    def _check_whole(self, index: int, row: TableRow, rows: Mapping[str, PriceRow]) -> None:
        """A whole is no less than the parts that the table gives of it, stated as its parts or not."""
        inside: tuple[str, ...] = {
            "pe": ("pe_combinational", "pe_registers"),
            "pe_combinational": PE_PARTS,
        }.get(row.component, ())
        if row.component == "pe" and f"pe_combinational/{row.variant}/{row.action}" not in rows:
            inside = ("pe_registers", *PE_PARTS)
        keys = [f"{component}/{row.variant}/{row.action}" for component in inside]
        if row.component == "pe_registers" and row.action == "operate":
            keys = [f"pe_registers/{row.variant}/clock"]
        parts = sum(rows[key].value for key in keys if key in rows)
        whole = rows[row.key].value
        if parts > whole * (1 + SUM_TOLERANCE):
            given = ", ".join(f"{key} ({rows[key].value:g})" for key in keys if key in rows)
            raise self._error(
                index, row.key, f"is less than its parts: {given} {rows[row.key].unit}", value=whole
            )

    def _check_matches(self, written: Iterable[TableRow]) -> None:
        variants = {row.variant for row in written if row.component in PE_ROWS}
        document = self._document
        for section, named in (
            ("macs", document.macs),
            ("characterised", document.characterised),
            ("synthesised", document.synthesised),
        ):
            for variant in named:
                if variant not in variants:
                    raise UserError(
                        "is no variant of the table's rows of PEs",
                        source=self._source,
                        location=f"{section}.{variant}",
                        value=variant,
                        candidates=variants,
                    )
        for variant, match in document.macs.items():
            for field in ("activation", "weight"):
                try:
                    get_format(getattr(match, field))
                except UserError as error:
                    location = f"macs.{variant}.{field}"
                    raise UserError(str(error), source=self._source, location=location) from error
