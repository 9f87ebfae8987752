"""Reading price tables: every row checked, fitted rows solved, every refusal naming file, row and line."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from simulator.cost.document_checks import SUM_TOLERANCE, DocumentChecks
from simulator.cost.row_checks import RowChecks
from simulator.cost.table_errors import TableErrors, key_of
from simulator.cost.table_schema import Fit, PriceRow, PriceTable, TableDocument, TableRow
from simulator.cost.vocabulary import SYNTHESISED, VALUE_FIELDS, BaseUnit
from simulator.foundation import UserError
from simulator.foundation.documents import parse_yaml, read_text, validate
from simulator.foundation.given_values import path_text
from simulator.foundation.plugins import plugins
from simulator.foundation.reading.content import is_file
from simulator.foundation.resources import bundled_names, data_folder, resolve_document

PLUGIN_GROUP: Final = "systolic.price_tables"
"""Entry points of other packages: a package that has NAME.yaml, by the name that `tables` uses."""

_MOST = 1e30
"""No value is larger, in pJ, um2, mW or ns, so that no sum of a run leaves the range of floats."""


def load_table(name_or_path: str | Path) -> PriceTable:
    """The table of a bundled name, of a name that another package adds, or of a YAML file.

    Raises:
        UserError: naming file, row and line: unknown component or action, a doubled row, missing or unknown
            source or conditions, no value or several, a zero without a reason, a negative value, parts that
            do not add up, or a fit that cannot be solved.
    """
    name = path_text(name_or_path, what="a price table")
    is_own = name in bundled_names("energy_tables") or Path(name).suffix
    more = None if is_own else _added_tables()
    return _load_path(resolve_document(name, "energy_tables", what="price table", more=more))


def _added_tables() -> dict[str, Path]:
    """Tables of other packages by name. Raises UserError where a package lacks the table that it names."""
    found = {}
    for plugin in plugins(PLUGIN_GROUP, ModuleType):
        for folder in getattr(plugin.value, "__path__", ()):
            path = Path(folder) / f"{plugin.name}.yaml"
            if is_file(path):
                found[plugin.name] = path
        if plugin.name not in found:
            raise UserError(f"has no file {plugin.name}.yaml", source=plugin.source)
    return found


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
        self._errors = TableErrors(text, source)
        self._row_checks = RowChecks(document, self._errors)

    def read(self, *, bundled: bool) -> PriceTable:
        document = self._document
        written = [self._row(index, fields) for index, fields in enumerate(document.rows)]
        checks = DocumentChecks(document, self._errors)
        checks.check_written(written)
        rows = {row.key: self._resolve(index, row) for index, row in enumerate(written) if row.fitted is None}
        rows |= self._fitted(written)
        checks.check_resolved(written, rows)
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
            synthesised=document.synthesised,
        )

    def _row(self, index: int, fields: dict[str, Any]) -> TableRow:
        for name in VALUE_FIELDS:
            if isinstance(fields.get(name), bool):
                raise self._errors.row(index, key_of(fields), f"{name} is no number", value=fields[name])
        try:
            row = TableRow.model_validate(fields)
        except ValidationError as error:
            raise self._errors.of_fields(index, fields, error) from error
        self._row_checks.check(index, row)
        return row

    def _resolve(self, index: int, row: TableRow) -> PriceRow:
        field = VALUE_FIELDS[row.given[0]]
        value = float(getattr(row, row.given[0])) * field.factor
        conditions = self._document.conditions[row.conditions]
        synthesis = self._document.synthesised.get(row.variant) if row.status == SYNTHESISED else None
        formula = "" if synthesis is None else synthesis.text
        if field.is_power:
            if conditions.clock_mhz is None:
                raise self._errors.row(index, row.key, "is a power, so its conditions need clock_mhz")
            formula = f"{value:g} uW / {conditions.clock_mhz:g} MHz"
            value /= conditions.clock_mhz
        if value > _MOST:
            raise self._errors.row(
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
            uncertainty=_uncertainty(row),
            capacity_kib=row.capacity_kib,
            word_bits=row.word_bits,
            formula=formula,
            note=row.note,
            max_clock_mhz=row.max_clock_mhz,
            formats=row.formats,
            accumulator=row.accumulator,
            capacity_exponent=row.capacity_exponent,
            word_exponent=row.word_exponent,
            low=_scaled(row, row.low, value),
            high=_scaled(row, row.high, value),
        )

    def _fitted(self, written: list[TableRow]) -> dict[str, PriceRow]:
        by_key = {row.key: (index, row) for index, row in enumerate(written)}
        fitted = {}
        for name, fit in self._document.fits.items():
            for key in fit.unknowns:
                if key not in by_key:
                    raise self._errors.fit(name, "gives a row that the table does not have", value=key)
                index, row = by_key[key]
                if row.fitted != name:
                    problem = f"is given by fit {name} and has a value or another fit beside it"
                    raise self._errors.row(index, key, problem, value=row.fitted or row.given[0])
            published = [self._published(name, equation.row) for equation in fit.equations]
            units = sorted({row.unit for row in published})
            if len(units) > 1:
                raise self._errors.fit(name, "mixes rows of different units", value=" and ".join(units))
            matrix = np.array([equation.counts for equation in fit.equations])
            if abs(float(np.linalg.det(matrix))) < SUM_TOLERANCE:
                raise self._errors.fit(name, "has equations that do not determine its unknowns")
            solution = np.linalg.solve(matrix, np.array([row.value for row in published]))
            for position, key in enumerate(fit.unknowns):
                index, row = by_key[key]
                value = float(solution[position])
                self._row_checks.check_unit(index, row, published[0].unit, f"fit {name}", value)
                if value <= 0:
                    raise self._errors.row(
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
            raise self._errors.fit(fit, f"{table_name} has no such row", value=key, candidates=table.rows)
        return table.rows[key]


def _scaled(row: TableRow, end: float | None, value: float) -> float | None:
    """An end of a row's interval in the unit of its value; None where it states none."""
    return None if end is None or not row.given else value * end / float(getattr(row, row.given[0]))


def _uncertainty(row: TableRow) -> float | None:
    """What a row states, or the farther end of its interval, relative to the value."""
    if row.uncertainty is not None or row.low is None or row.high is None or not row.given:
        return row.uncertainty
    value = float(getattr(row, row.given[0]))
    return max(row.high / value - 1, 1 - row.low / value)


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
