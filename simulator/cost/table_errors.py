"""Errors of a price table for people: they name the file and, for a row, its line and key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from simulator.cost.table_schema import TableRow
from simulator.foundation import UserError
from simulator.foundation.errors import NO_VALUE
from simulator.foundation.reading.yaml_documents import entry_lines


class TableErrors:
    """Makes the errors of one table's text; `source` names it."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self._text = text

    def row(
        self,
        index: int,
        key: str,
        problem: str,
        *,
        value: object = NO_VALUE,
        allowed: str | None = None,
        candidates: Iterable[str] = (),
    ) -> UserError:
        """What is wrong with a row; `value` is left out where there is none."""
        return UserError(
            problem,
            source=self.source,
            location=f"line {self.line(index)}: row {key}",
            value=value,
            allowed=allowed,
            candidates=candidates,
        )

    def fit(
        self, fit: str, problem: str, *, value: object = NO_VALUE, candidates: Iterable[str] = ()
    ) -> UserError:
        """What is wrong with a fit."""
        location = f"fits.{fit}"
        return UserError(problem, source=self.source, location=location, value=value, candidates=candidates)

    def of_fields(self, index: int, fields: dict[str, Any], error: ValidationError) -> UserError:
        """What pydantic refused in a row's fields."""
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        key = key_of(fields)
        if first["type"] == "missing":
            return self.row(index, key, f"{field} is required but missing")
        if first["type"] == "extra_forbidden":
            return self.row(index, key, "unknown field", value=field, candidates=tuple(TableRow.model_fields))
        return self.row(index, key, f"{field}: {first['msg'].lower()}", value=first["input"])

    def line(self, index: int) -> int:
        """Line of a row; the text is parsed again only when an error has to be told."""
        lines = entry_lines(self._text, "rows")
        return lines[index] if index < len(lines) else 0


def key_of(fields: Mapping[str, Any]) -> str:
    """What a row is called that may lack fields."""
    return "/".join(str(fields.get(name, "?")) for name in ("component", "variant", "action"))
