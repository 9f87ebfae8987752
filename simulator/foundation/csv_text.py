"""CSV for spreadsheets: text that one would take for a formula is marked as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\n")


def safe_cell(value: object) -> object:
    """A cell as it is; text that begins with `=`, `+`, `-`, `@` or white space gets an apostrophe in front.

    A layer can be called `=HYPERLINK(...)`, which a spreadsheet would run. Numbers are no text, so negative
    ones stay numbers. Carriage returns become line feeds.
    """
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").replace("\r", "\n")  # the library quotes cells for line feeds alone
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV with a header line; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([safe_cell(column) for column in columns])
    writer.writerows([[safe_cell(cell) for cell in row] for row in rows])
    return text.getvalue()
