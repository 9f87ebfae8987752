"""What Python code gives where a command has text: copied as plain data within limits, or refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from simulator.foundation.errors import UserError
from simulator.foundation.reading.limits import DEEPEST

MOST_VALUES: Final = 1_000_000
"""Values of one mapping or list, those inside of its parts included, as often as they stand there."""


def plain_copy(value: object, *, location: str | None = None) -> object:
    """A copy of mappings, lists and tuples, inner ones too; what else they hold is not copied.

    Raises:
        UserError: more than 64 levels, which an object that holds itself has, or more than 1,000,000 values.
    """
    return _Copier(location).copy(value, 1)


class _Copier:
    """Counts the values it has copied."""

    def __init__(self, location: str | None) -> None:
        self._location = location
        self._count = 0

    def copy(self, value: object, level: int) -> object:
        self._count += 1
        if self._count > MOST_VALUES:
            raise UserError(
                "holds too many values", location=self._location, allowed=f"{MOST_VALUES:,} in all"
            )
        if not isinstance(value, Mapping | list | tuple):
            return value
        if level > DEEPEST:
            raise UserError("is nested too deeply", location=self._location, allowed=f"{DEEPEST} levels")
        if isinstance(value, Mapping):
            return {key: self.copy(part, level + 1) for key, part in value.items()}
        parts = [self.copy(part, level + 1) for part in value]
        return tuple(parts) if isinstance(value, tuple) else parts


def override_values(overrides: object) -> dict[str, object]:
    """A copy of values by dotted field; empty for None.

    Raises:
        UserError: no mapping of text, or a value as `plain_copy` refuses it.
    """
    if overrides is None:
        return {}
    if not isinstance(overrides, Mapping):
        raise UserError(
            "overrides are a mapping of fields", value=overrides, allowed="such as {'array.rows': 16}"
        )
    for field in overrides:
        if not isinstance(field, str):
            raise UserError("overrides name fields in text", value=field, allowed="such as 'array.rows'")
    return {field: plain_copy(value, location=field) for field, value in overrides.items()}


def path_text(value: object, *, what: str) -> str:
    """The text of a name or path. Raises UserError for anything else."""
    if not isinstance(value, str | Path | os.PathLike) or isinstance(text := os.fspath(value), bytes):
        raise UserError(f"{what} is a name or a path", value=value)
    return text
