"""Reading price tables: every row checked, fitted rows solved, every refusal naming file, row and line."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from simulator.cost.table_schema import Fit, PriceRow, PriceTable, TableDocument, TableRow
from simulator.cost.vocabulary import COMPONENTS, PART_ROWS, PE_PARTS, PE_ROWS, VALUE_FIELDS, BaseUnit
from simulator.foundation import UserError
from simulator.foundation.documents import parse_yaml, read_text, validate
from simulator.foundation.reading.yaml_documents import entry_lines
from simulator.foundation.resources import data_folder, resolve_document
from simulator.numerics.formats import get_format

_OF_A_PE = ("max_clock_mhz", "formats", "accumulator")
"""Fields that only rows of a PE have."""

_UNIT_OF: Mapping[str, BaseUnit] = {"dram": "pJ/bit", "wire": "pJ/bit/mm", "logic": "mW/um2"}
"""Components whose every row is in one unit."""

_MOST = 1e30
"""No value is larger, in pJ, um2, mW or ns, so that no sum of a run leaves the range of floats."""

_SUM_TOLERANCE = 1e-9
"""Parts, remainder and whole are decimal figures: they add up but for binary rounding."""


def load_table(name_or_path: str) -> PriceTable:
    """The table of a bundled name or a YAML file.

    Raises:
        UserError: naming file, row and line: unknown component or action, a doubled row, missing or unknown
            source or conditions, no value or several, a zero without a reason, a negative value, parts that
            do not add up, or a fit that cannot be solved.
    """
    path = resolve_document(name_or_path, "energy_tables", what="price table")
    return _load_path(path)


def parse_table(text: str, *, source: str, bundled: bool = False) -> PriceTable:
    """The table in a YAML text; `source` names it in errors. Raises as `load_table`."""
    document = validate(TableDocument, parse_yaml(text, source=source), source=source)
    return _TableReader(document, text, source).read(bundled=bundled)


def _load_path(path: Path) -> PriceTable:
    bundled = path.parent == data_folder("energy_tables")
    return _parse_cached(read_text(path), f"energy_tables/{path.name}" if bundled else str(path), bundled)


@cache
def _parse_cached(text: str, source: str, bundled: bool) -> PriceTable:  # noqa: FBT001 - a cached function
    return parse_table(text, source=source, bundled=bundled)


class _TableReader:
    """Checks one document row by row; every refusal names file, row and line."""

    def __init__(self, document: TableDocument, text: str, source: str) -> None:
        self._document = document
        self._text = text
        self._source = source

    def read(self, *, bundled: bool) -> PriceTable:
        document = self._document
        written = [self._row(index, fields) for index, fields in enumerate(document.rows)]
        self._refuse_doubled(written)
        self._refuse_two_kinds_of_memory(written)
        rows = {row.key: self._resolve(index, row) for index, row in enumerate(written) if row.fitted is None}
        rows |= self._fitted(written)
        for index, row in enumerate(written):
            self._check_parts(index, row, rows)
            self._check_whole(index, row, rows)
        self._check_matches(written)
        in_file_order = {row.key: rows[row.key] for row in written}
        return PriceTable(
            name=document.table,
            description=document.description,
            role=document.role,
            rows=in_file_order,
            characterised=document.characterised,
            sha256=hashlib.sha256(self._text.encode()).hexdigest(),
            macs=document.macs,
            fitted_to=frozenset(
                equation.row.partition(":")[0] for fit in document.fits.values() for equation in fit.equations
            ),
            bundled=bundled,
            fitted_memories=document.fitted_memories,
        )

    def _row(self, index: int, fields: dict[str, Any]) -> TableRow:
        for name in VALUE_FIELDS:
            if isinstance(fields.get(name), bool):
                raise self._error(index, _key(fields), f"{name} is no number", value=fields[name])
        try:
            row = TableRow.model_validate(fields)
        except ValidationError as error:
            raise self._explain(index, fields, error) from error
        self._check_names(index, row)
        self._check_value(index, row)
        self._check_memory(index, row)
        return row

    def _check_names(self, index: int, row: TableRow) -> None:
        if row.component not in COMPONENTS:
            raise self._error(
                index, row.key, "unknown component", value=row.component, candidates=tuple(COMPONENTS)
            )
        if row.action not in COMPONENTS[row.component]:
            raise self._error(
                index,
                row.key,
                f"{row.component} has no such action",
                value=row.action,
                candidates=tuple(COMPONENTS[row.component]),
            )
        stated = [name for name in _OF_A_PE if getattr(row, name) is not None]
        if stated and row.component not in PE_ROWS:
            raise self._error(
                index, row.key, f"{stated[0]} is a field of rows of a PE", value=getattr(row, stated[0])
            )
        self._check_accumulator(index, row)
        if row.source not in self._document.sources:
            raise self._error(
                index,
                row.key,
                "source is not among the table's sources",
                value=row.source,
                candidates=tuple(self._document.sources),
            )
        if row.conditions not in self._document.conditions:
            raise self._error(
                index,
                row.key,
                "conditions are not among the table's conditions",
                value=row.conditions,
                candidates=tuple(self._document.conditions),
            )

    def _check_accumulator(self, index: int, row: TableRow) -> None:
        if not isinstance(row.accumulator, str) or row.accumulator.isdigit():
            return
        try:
            get_format(row.accumulator)
        except UserError as error:
            problem = "accumulator is neither a number of bits nor a format"
            allowed = "24 for a fixed accumulator of 24 bits, fp16 for a float one"
            raise self._error(index, row.key, problem, value=row.accumulator, allowed=allowed) from error

    def _check_value(self, index: int, row: TableRow) -> None:
        given = [*row.given, *(["fitted"] if row.fitted is not None else [])]
        empty = [name for name in VALUE_FIELDS if name in row.model_fields_set and name not in given]
        if empty and not given:
            raise self._error(index, row.key, f"{empty[0]} is empty: fill it in, or delete the row")
        if len(given) != 1:
            raise self._error(
                index,
                row.key,
                "needs exactly one value",
                value=given,
                allowed=", ".join((*VALUE_FIELDS, "fitted")),
            )
        if row.fitted is not None:
            fit = self._document.fits.get(row.fitted)
            if fit is None or row.key not in fit.unknowns:
                raise self._error(
                    index,
                    row.key,
                    "is not an unknown of that fit",
                    value=row.fitted,
                    candidates=self._document.fits,
                )
            return
        value = float(getattr(row, row.given[0]))
        if not math.isfinite(value) or value < 0:
            raise self._error(
                index, row.key, f"{row.given[0]} must not be negative or infinite, nor NaN", value=value
            )
        if value == 0 and row.reason is None:
            raise self._error(
                index, row.key, "is zero without a reason", value=value, allowed="a `reason` field"
            )
        unit = VALUE_FIELDS[row.given[0]].unit
        only = _UNIT_OF.get(row.component, unit)
        if unit != only:
            raise self._error(
                index,
                row.key,
                f"{row.given[0]} is no value of {row.component}, which is priced in {only}",
                value=value,
                allowed=", ".join(name for name, field in VALUE_FIELDS.items() if field.unit == only),
            )
        if row.component in PE_ROWS | PART_ROWS and unit not in {"pJ", "um2"}:
            raise self._error(
                index,
                row.key,
                f"{row.given[0]} is no value of {row.component}",
                value=value,
                allowed=", ".join(
                    name for name, field in VALUE_FIELDS.items() if field.unit in {"pJ", "um2"}
                ),
            )
        is_area = VALUE_FIELDS[row.given[0]].unit == "um2"
        is_leakage = VALUE_FIELDS[row.given[0]].unit in {"mW", "mW/um2"}
        is_time = VALUE_FIELDS[row.given[0]].unit == "ns"
        kinds = ((is_area, "area"), (is_leakage, "leakage"), (is_time, "access"))
        if any(is_kind != (row.action == action) for is_kind, action in kinds):
            raise self._error(index, row.key, f"{row.given[0]} is no value of this action", value=row.action)

    def _check_memory(self, index: int, row: TableRow) -> None:
        """Fitted terms have both exponents and a stated range; an access has a word to be divided by."""
        exponents = (row.capacity_exponent, row.word_exponent)
        if row.component != "sram":
            if exponents != (None, None):
                raise self._error(index, row.key, "only sram rows have exponents", value=row.component)
            return
        if row.given and VALUE_FIELDS[row.given[0]].unit not in {"pJ", "pJ/byte", "um2", "mW", "ns"}:
            allowed = "energy_pj or energy_fj of an access, energy_pj_per_byte"
            raise self._error(index, row.key, "is no energy of an SRAM", value=row.given[0], allowed=allowed)
        is_energy = row.action in {"read", "write"}
        per_access = bool(row.given) and VALUE_FIELDS[row.given[0]].unit == "pJ"
        if exponents == (None, None):
            if is_energy and per_access and row.word_bits is None:
                raise self._error(index, row.key, "is the energy of an access, so it needs word_bits")
            return
        if None in exponents:
            raise self._error(index, row.key, "needs both capacity_exponent and word_exponent, or neither")
        if row.capacity_kib is not None or row.word_bits is not None:
            raise self._error(index, row.key, "has exponents, so it holds for no single capacity or word")
        if self._document.fitted_memories is None:
            raise self._error(index, row.key, "has exponents, so the table needs fitted_memories")
        if is_energy and not per_access:
            raise self._error(index, row.key, "has exponents, so it needs energy_pj, the energy of an access")

    def _refuse_two_kinds_of_memory(self, rows: Iterable[TableRow]) -> None:
        """A table either gives its memories or fits them, so that none of its rows goes unused."""
        srams = [(index, row) for index, row in enumerate(rows) if row.component == "sram"]
        if any(row.capacity_exponent is not None for _, row in srams):
            for index, row in srams:
                if row.capacity_exponent is None:
                    problem = "gives a memory in a table that fits memories: put it into a table of its own"
                    raise self._error(index, row.key, problem)

    def _refuse_doubled(self, rows: Iterable[TableRow]) -> None:
        first: dict[str, int] = {}
        for index, row in enumerate(rows):
            if row.key in first:
                raise self._error(
                    index, row.key, f"is doubled; first given in line {self._line(first[row.key])}"
                )
            first[row.key] = index

    def _resolve(self, index: int, row: TableRow) -> PriceRow:
        field = VALUE_FIELDS[row.given[0]]
        value = float(getattr(row, row.given[0])) * field.factor
        conditions = self._document.conditions[row.conditions]
        formula = ""
        if field.is_power:
            if conditions.clock_mhz is None:
                raise self._error(index, row.key, "is a power, so its conditions need clock_mhz")
            formula = f"{value:g} uW / {conditions.clock_mhz:g} MHz"
            value /= conditions.clock_mhz
        if value > _MOST:
            raise self._error(
                index,
                row.key,
                f"{row.given[0]} is larger than any price",
                value=getattr(row, row.given[0]),
                allowed=f"up to {_MOST:g} {field.unit}",
            )
        return self._price_row(row, value, field.unit, formula)

    def _price_row(self, row: TableRow, value: float, unit: BaseUnit, formula: str) -> PriceRow:
        return PriceRow(
            table=self._document.table,
            key=row.key,
            component=row.component,
            variant=row.variant,
            action=row.action,
            value=value,
            unit=unit,
            status=row.status,
            source=self._document.sources[row.source],
            conditions=self._document.conditions[row.conditions],
            uncertainty=row.uncertainty,
            capacity_kib=row.capacity_kib,
            word_bits=row.word_bits,
            formula=formula,
            note=row.note,
            max_clock_mhz=row.max_clock_mhz,
            formats=row.formats,
            accumulator=row.accumulator,
            capacity_exponent=row.capacity_exponent,
            word_exponent=row.word_exponent,
        )

    def _fitted(self, written: list[TableRow]) -> dict[str, PriceRow]:
        by_key = {row.key: (index, row) for index, row in enumerate(written)}
        fitted = {}
        for name, fit in self._document.fits.items():
            for key in fit.unknowns:
                if key not in by_key:
                    raise self._fit_error(name, "gives a row that the table does not have", value=key)
            published = [self._published(name, equation.row) for equation in fit.equations]
            matrix = np.array([equation.counts for equation in fit.equations])
            if abs(float(np.linalg.det(matrix))) < _SUM_TOLERANCE:
                raise self._fit_error(name, "has equations that do not determine its unknowns")
            solution = np.linalg.solve(matrix, np.array([row.value for row in published]))
            for position, key in enumerate(fit.unknowns):
                index, row = by_key[key]
                value = float(solution[position])
                if value <= 0:
                    raise self._error(
                        index, key, f"fit {name} gives a price that is not positive", value=value
                    )
                fitted[key] = self._price_row(
                    row, value, published[0].unit, _fit_formula(fit, position, published)
                )
        return fitted

    def _published(self, fit: str, reference: str) -> PriceRow:
        table_name, _, key = reference.partition(":")
        table = load_table(table_name)
        if key not in table.rows:
            raise self._fit_error(fit, f"{table_name} has no such row", value=key, candidates=table.rows)
        return table.rows[key]

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
        if abs(missing) > _SUM_TOLERANCE * max(1.0, whole / scale):
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
        if parts > whole * (1 + _SUM_TOLERANCE):
            given = ", ".join(f"{key} ({rows[key].value:g})" for key in keys if key in rows)
            raise self._error(
                index, row.key, f"is less than its parts: {given} {rows[row.key].unit}", value=whole
            )

    def _check_matches(self, written: Iterable[TableRow]) -> None:
        variants = {row.variant for row in written if row.component in PE_ROWS}
        document = self._document
        for section, named in (("macs", document.macs), ("characterised", document.characterised)):
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

    def _explain(self, index: int, fields: dict[str, Any], error: ValidationError) -> UserError:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        key = _key(fields)
        if first["type"] == "missing":
            return self._error(index, key, f"{field} is required but missing")
        if first["type"] == "extra_forbidden":
            return self._error(
                index, key, "unknown field", value=field, candidates=tuple(TableRow.model_fields)
            )
        return self._error(index, key, f"{field}: {first['msg'].lower()}", value=first["input"])

    def _error(
        self,
        index: int,
        key: str,
        problem: str,
        *,
        value: object = ...,
        allowed: str | None = None,
        candidates: Iterable[str] = (),
    ) -> UserError:
        location = f"line {self._line(index)}: row {key}"
        if value is ...:
            return UserError(problem, source=self._source, location=location)
        return UserError(
            problem,
            source=self._source,
            location=location,
            value=value,
            allowed=allowed,
            candidates=candidates,
        )

    def _fit_error(
        self, fit: str, problem: str, *, value: str | None = None, candidates: Iterable[str] = ()
    ) -> UserError:
        location = f"fits.{fit}"
        if value is None:
            return UserError(problem, source=self._source, location=location)
        return UserError(problem, source=self._source, location=location, value=value, candidates=candidates)

    def _line(self, index: int) -> int:
        """Line of a row; the text is parsed again only when an error has to be told."""
        lines = entry_lines(self._text, "rows")
        return lines[index] if index < len(lines) else 0


def _key(fields: Mapping[str, Any]) -> str:
    """What a row is called that may lack fields."""
    return "/".join(str(fields.get(name, "?")) for name in ("component", "variant", "action"))


def _fit_formula(fit: Fit, position: int, published: list[PriceRow]) -> str:
    if len(fit.unknowns) == 1:
        row = published[0]
        return f"{row.reference} ({row.value:g} {row.unit}) / {fit.equations[0].counts[0]:g}"
    equations = "; ".join(
        " + ".join(f"{count:g} {name}" for count, name in zip(equation.counts, fit.unknowns, strict=True))
        + f" = {row.reference} ({row.value:g} {row.unit})"
        for equation, row in zip(fit.equations, published, strict=True)
    )
    return f"{fit.unknowns[position]} of: {equations}"
