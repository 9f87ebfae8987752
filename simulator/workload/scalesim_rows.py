"""The lines of a SCALE-Sim topology as rows of cells: separators, quotes and comments, whoever wrote them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulator.foundation.documents import read_text
from simulator.foundation.reading.csv_rows import split_cells
from simulator.workload.scalesim_columns import column_of

_NUMBER: Final = re.compile(r"[+-]?[0-9]+([.][0-9]*)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Row:
    """A line that holds something: its number, its cells without trailing empty ones, and its text."""

    line: int
    cells: tuple[str, ...]
    text: str


def read_rows(path: Path) -> list[Row]:
    """The rows of a file; blank lines, comments, a byte-order mark and trailing separators are left out.

    Cells are separated by commas, or by semicolons or tabs where the first row has no comma. A `#` begins a
    comment, except inside quotes and inside the first cell (`conv#1`); a first line that is a comment and
    names columns is the header.

    Raises:
        UserError: unreadable, not UTF-8, or (with the line) a quotation mark that is not closed.
    """
    rows: list[Row] = []
    separator = ""
    for line, text in enumerate(read_text(path).removeprefix("\ufeff").splitlines(), start=1):
        content = text.strip()
        headless = all(len(row.cells) == 1 for row in rows)
        content = _as_header(content) if headless and _is_header(content) else _without_comment(content)
        if not content:
            continue
        separator = separator or _separator(content)
        cells = _cells(content, separator, path, line)
        if cells:
            rows.append(Row(line, tuple(cells), text))
    return rows


def is_number(cell: str) -> bool:
    """Whether a cell is a number, so that its line is a layer and no header."""
    return _NUMBER.fullmatch(cell) is not None


def _separator(content: str) -> str:
    return next((mark for mark in (",", ";", "\t") if mark in content), ",")


def _cells(content: str, separator: str, path: Path, line: int) -> list[str]:
    cells = split_cells(content, separator=separator, source=path, location=f"line {line}")
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _without_comment(content: str) -> str:
    quoted, first_cell = False, True
    for place, character in enumerate(content):
        if character == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif character in ",;\t":
            first_cell = False
        elif character == "#" and (not first_cell or place == 0 or content[place - 1].isspace()):
            return content[:place].rstrip()
    return content


def _is_header(content: str) -> bool:
    """Whether a line with a `#` is a header all the same: `# Layer, M, N, K`, or `Layer, # Filters, ...`."""
    titles = [title for title in _as_header(content).split(_separator(content)) if title.strip()]
    known = sum(bool(column_of(title)) for title in titles)
    return known > 3 and (known == len(titles) or not content.startswith("#"))


def _as_header(content: str) -> str:
    return content.replace("#", " ").strip()
