"""Where pages of text go: as wide as the terminal, or unbroken into a pipe or a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

TEXT_COLUMNS: Final = 80
"""Columns of running text and of tables in it, where the terminal has as many."""
TEXT_MARGIN: Final = 4
"""Columns of them that paragraphs and drawings leave free."""
_FEWEST_COLUMNS: Final = 20
_UNBROKEN: Final = 10_000
"""Columns in a pipe: lines that tools search and cut must not be folded."""


def page_console(width_in_a_pipe: int = _UNBROKEN) -> Console:
    """A console as wide as the terminal or as `COLUMNS` says; without either, nothing is folded.

    A terminal that says 0 columns, as consoles on a serial line do, does not know how many it has: 80 are
    taken. Under 20 the terminal folds lines itself.

    width_in_a_pipe: columns without either, for pages that are folded there too.
    """
    from rich.console import Console

    console = Console()
    if not (console.is_terminal or os.environ.get("COLUMNS", "").isdigit()):
        return Console(width=width_in_a_pipe)
    if console.width >= _FEWEST_COLUMNS:
        return console
    return Console(width=_FEWEST_COLUMNS if console.width else TEXT_COLUMNS)


def text_columns() -> int:
    """Columns for running text: `TEXT_COLUMNS`, or as many as a narrower terminal has."""
    return min(TEXT_COLUMNS, page_console(TEXT_COLUMNS).width)
