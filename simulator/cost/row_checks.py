"""Checks of single rows of a price table: names, exactly one value, and units that the component has."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from simulator.cost.table_errors import TableErrors
from simulator.cost.table_schema import Scope, TableDocument, TableRow
from simulator.cost.vocabulary import (
    COMPONENTS,
    EDGE_ROWS,
    PART_ROWS,
    PE_ROWS,
    SYNTHESISED,
    VALUE_FIELDS,
    BaseUnit,
)
from simulator.foundation import UserError
from simulator.numerics.accumulators import is_accumulator_identity
from simulator.numerics.formats import get_format

_OF_A_PE = ("max_clock_mhz", "formats", "accumulator")
"""Fields that only rows of a PE have."""

_UNIT_OF: Mapping[str, BaseUnit] = {"dram": "pJ/bit", "wire": "pJ/bit/mm", "logic": "mW/um2"}
"""Components whose every row is in one unit."""

_SCOPES: Mapping[str, tuple[Scope, ...]] = {
    "sram": ("logic", "macro"),
    "dram": ("logic", "macro", "bound", "external"),
    "logic": ("logic", "bound"),
}
"""Scopes of conditions that a component may hold at; any other is logic, so that nothing goes unchecked."""

_CROSS = re.compile(r"\s+[xX×]\s+")


class RowChecks:
    """Checks rows of one document, each by itself."""

    def __init__(self, document: TableDocument, errors: TableErrors) -> None:
        self._document = document
        self._error = errors.row

    def check(self, index: int, row: TableRow) -> None:
        """Raises UserError where a row is wrong, whatever the others are."""
        self._check_names(index, row)
        self._check_value(index, row)
        self._check_memory(index, row)

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
        self._check_scope(index, row)
        self._check_formats(index, row)

    def _check_scope(self, index: int, row: TableRow) -> None:
        """A scope decides what of the conditions must match the architecture, so a component has its own."""
        scope = self._document.conditions[row.conditions].scope
        allowed = _SCOPES.get(row.component, ("logic",))
        if scope not in allowed:
            raise self._error(
                index,
                row.key,
                f"its conditions {row.conditions!r} have a scope that {row.component} cannot hold at",
                value=scope,
                allowed=" or ".join(allowed),
            )

    def _check_formats(self, index: int, row: TableRow) -> None:
        if row.formats is None:
            return
        written = _CROSS.split(row.formats.strip())
        if len(written) != len(("activation", "weight")):
            problem = "formats are not those of an activation and of a weight"
            allowed = "two formats with a cross between spaces, int8 x int4"
            raise self._error(index, row.key, problem, value=row.formats, allowed=allowed)
        for spec in written:
            try:
                get_format(spec)
            except UserError as error:
                raise self._error(index, row.key, f"formats: {error}") from error

    def _check_accumulator(self, index: int, row: TableRow) -> None:
        if not isinstance(row.accumulator, str) or is_accumulator_identity(row.accumulator):
            return
        problem = "accumulator is neither a number of bits nor a format"
        allowed = "24 for a fixed accumulator of 24 bits, fp16 for a float one"
        raise self._error(index, row.key, problem, value=row.accumulator, allowed=allowed)

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
        self._check_interval(index, row, value)
        if not math.isfinite(value) or value < 0:
            raise self._error(
                index, row.key, f"{row.given[0]} must not be negative or infinite, nor NaN", value=value
            )
        if value == 0 and row.reason is None:
            raise self._error(
                index, row.key, "is zero without a reason", value=value, allowed="a `reason` field"
            )
        self.check_unit(index, row, VALUE_FIELDS[row.given[0]].unit, row.given[0], value)

    def _check_interval(self, index: int, row: TableRow, value: float) -> None:
        """Both ends or none, the value between them; a synthesised row has them, and its provenance."""
        ends = (row.low, row.high)
        if row.status == SYNTHESISED:
            if row.component not in PE_ROWS:
                raise self._error(index, row.key, "only rows of a PE are synthesised", value=row.component)
            if None in ends:
                raise self._error(index, row.key, "is synthesised, so it needs low and high")
            if row.variant not in self._document.synthesised:
                raise self._error(
                    index,
                    row.key,
                    "is synthesised, so its variant needs an entry in the section synthesised",
                    value=row.variant,
                    candidates=tuple(self._document.synthesised),
                )
        if ends == (None, None):
            return
        if row.low is None or row.high is None:
            raise self._error(index, row.key, "needs both low and high, or neither")
        if value <= 0 or not row.low <= value <= row.high:
            raise self._error(
                index,
                row.key,
                "has a value outside of low to high",
                value=value,
                allowed=f"{row.low:g} to {row.high:g}",
            )

    def check_unit(self, index: int, row: TableRow, unit: BaseUnit, what: str, value: float) -> None:
        """Raises UserError where `what`, a value field or a fit, gives a unit that the row cannot have."""
        only = _UNIT_OF.get(row.component, unit)
        if unit != only:
            raise self._error(
                index,
                row.key,
                f"{what} is no value of {row.component}, which is priced in {only}",
                value=value,
                allowed=", ".join(name for name, field in VALUE_FIELDS.items() if field.unit == only),
            )
        if row.component in PE_ROWS | PART_ROWS | EDGE_ROWS and unit not in {"pJ", "um2"}:
            raise self._error(
                index,
                row.key,
                f"{what} is no value of {row.component}",
                value=value,
                allowed=", ".join(
                    name for name, field in VALUE_FIELDS.items() if field.unit in {"pJ", "um2"}
                ),
            )
        is_leakage = unit in {"mW", "mW/um2"}
        kinds = ((unit == "um2", "area"), (is_leakage, "leakage"), (unit == "ns", "access"))
        if any(is_kind != (row.action == action) for is_kind, action in kinds):
            raise self._error(index, row.key, f"{what} is no value of this action", value=row.action)

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
