"""What console pages are made of: plain tables, bars in eighths of a character, text for ASCII terminals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from simulator.report.components import Colour
from simulator.report.units import ascii_only

Justify = Literal["left", "right"]

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
        """One paragraph."""
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
        table = Table(
            box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim"
        )
        for title, justify in columns:
            table.add_column(self.text(title), justify=justify, no_wrap=True, overflow="ellipsis")
        return table
