"""In which formats and widths charts are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from simulator.foundation import UserError

PlotFormat = Literal["png", "svg", "pdf"]
PLOT_FORMATS: Final[tuple[PlotFormat, ...]] = ("png", "svg", "pdf")

PlotWidth = Literal["screen", "column", "page"]

WIDTHS_IN: Final[dict[PlotWidth, float | None]] = {"screen": None, "column": 3.5, "page": 7.16}
"""Inches: of one column and of both of a two-column paper (IEEE's), or what suits a screen."""


def plot_formats(names: Sequence[str], *, source: str) -> tuple[PlotFormat, ...]:
    """File formats by name, PNG and SVG without any. Raises UserError of `source` for an unknown one."""
    known: dict[str, PlotFormat] = {name: name for name in PLOT_FORMATS}
    for name in names:
        if name not in known:
            raise UserError("unknown file format of charts", source=source, value=name, candidates=known)
    return tuple(known[name] for name in dict.fromkeys(names)) or ("png", "svg")
