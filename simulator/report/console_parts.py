"""What console pages are made of: plain tables, bars in eighths of a character, text for ASCII terminals.

No figure is cut: where a table is wider than the page, it is printed as several tables of fewer columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Column, Table
from rich.text import Text

from simulator.report.components import Colour
from simulator.report.units import ascii_only

Justify = Literal["left", "right"]

_LEAST_NAME: Final = 12
"""Columns that a folded first column keeps."""

_GAP: Final = 2
"""Columns between two columns of a table."""

_BETWEEN_PARTS: Final = re.compile(r"[._=/]")
"""Behind which a long word is folded."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"


class Page:
    """Writes text and tables to a console, in ASCII where the console cannot encode more."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._ascii = console.options.ascii_only

    @property
    def width(self) -> int:
        """Columns to write in."""
        return self._console.width

    def text(self, content: str, style: str = "") -> Text:
        """Text in a style, never read as markup."""
        return Text(ascii_only(content) if self._ascii else content, style=style)

    def heading(self, content: str, note: str = "") -> None:
        """A section's title with a dim note behind it."""
        line = self.text(content, "bold")
        if note:
            line.append(ascii_only(f"  {note}") if self._ascii else f"  {note}", style="dim")
        self._console.print()
        self._console.print(line)

    def line(self, content: RenderableType = "") -> None:
        """One paragraph, or a table in as many pieces as the width takes."""
        if isinstance(content, Table):
            for piece in fitting_tables(content, self.width):
                self._console.print(piece)
            return
        self._console.print(self.text(content) if isinstance(content, str) else content)

    def bar(self, share: float, width: int, colour: Colour) -> Text:
        """A bar that fills `share` of `width` characters, to an eighth of a character."""
        share = min(max(share, 0.0), 1.0)
        if self._ascii:
            return Text("#" * round(share * width), style=colour.dark)
        whole, eighths = divmod(round(share * width * 8), 8)
        return Text("█" * whole + _EIGHTHS[eighths].strip(), style=colour.dark)

    def table(self, columns: Iterable[tuple[str, Justify]]) -> Table:
        """An empty table with a line under its heading; columns never break inside a word."""
        table = _empty_table()
        for title, justify in columns:
            table.add_column(self.text(title), justify=justify, no_wrap=justify == "right", overflow="fold")
        return table


def fitting_tables(table: Table, width: int) -> list[Table]:
    """A table as tables that fit `width` uncut: each has the first column and as many others as fit.

    Columns of bars, which have no title, are left out where they do not fit. A first column that leaves too
    little to its neighbours is folded; what alone is wider than the width is folded as well.
    """
    needed = [_needed(column) for column in table.columns]
    if not table.columns or sum(needed) - _GAP <= width:
        return [table]
    others = range(1, len(needed))
    first = needed[0]
    widest = max((needed[place] for place in others if _has_title(table.columns[place])), default=0)
    if first + widest - _GAP > width:
        first = min(first, max(_LEAST_NAME + _GAP, width + _GAP - widest))
    groups: list[list[int]] = [[]]
    for place in others:
        used = first + sum(needed[other] for other in groups[-1])
        if used + needed[place] - _GAP <= width:
            groups[-1].append(place)
        elif _has_title(table.columns[place]):
            groups.append([place])
    return [
        _piece(
            table,
            [0, *group],
            first - _GAP,
            folds=first + sum(needed[place] for place in group) - _GAP > width,
        )
        for group in groups
        if group
    ]


def breaks_a_name(table: Table, width: int) -> bool:
    """Whether the first column of a table, on a page of `width`, is narrower than one of its words."""
    needed = [_needed(column) for column in table.columns]
    longest = max(
        (cell_len(word) for cell in table.columns[0].cells for word in str(cell).split()), default=0
    )
    others = sum(needed[1:])
    return longest > (width - others if sum(needed) - _GAP <= width else needed[0] - _GAP)


def folded(name: str, width: int) -> list[str]:
    """A name in lines of at most `width`, folded between words, longer ones behind a dot, `_`, `=` or `/`."""
    lines = [""]
    for word in name.split():
        if cell_len(f"{lines[-1]} {word}".strip()) <= width:
            lines[-1] = f"{lines[-1]} {word}".strip()
            continue
        rest = word
        while cell_len(rest) > width:
            ends = [end.end() for end in _BETWEEN_PARTS.finditer(rest) if end.end() <= width]
            at = ends[-1] if ends else width
            lines.append(rest[:at])
            rest = rest[at:]
        lines.append(rest)
    return [line for line in lines if line] or [""]


def _needed(column: Column) -> int:
    """Columns of the terminal that a column of a table takes uncut, with the space behind it."""
    widest = max(map(_lines_width, (column.header, *column.cells)))
    if not column.no_wrap and column.min_width is not None:
        return _GAP + column.min_width
    return _GAP + min(widest, column.max_width or widest)


def _lines_width(cell: RenderableType) -> int:
    text = cell.plain if isinstance(cell, Text) else str(cell)
    return max(map(cell_len, text.split("\n")))


def _has_title(column: Column) -> bool:
    return bool(str(column.header).strip())


def _piece(table: Table, places: list[int], first_width: int, *, folds: bool) -> Table:
    """The columns of a table at `places`, with its rows and their sections; `folds`: figures may fold too."""
    piece = _empty_table()
    for place in places:
        old = table.columns[place]
        piece.add_column(old.header, justify=old.justify, no_wrap=old.no_wrap and not folds, overflow="fold")
    piece.columns[0].no_wrap, piece.columns[0].max_width = False, first_width
    cells = [list(table.columns[place].cells) for place in places]
    for row, content in enumerate(zip(*cells, strict=True)):
        piece.add_row(*content, end_section=table.rows[row].end_section)
    return piece


def _empty_table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim"
    )
