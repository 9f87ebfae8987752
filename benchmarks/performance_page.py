"""The measured part of docs/performance.md, between two marks; the rest of the page is written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.figures import ROOT, Figure, Spread

PAGE: Final = ROOT / "docs" / "performance.md"
BEGIN: Final = "<!-- measured: begin -->"
END: Final = "<!-- measured: end -->"
BUSY: Final = 1.5
"""Load average from which a figure says that the machine was busy."""


def figure_of(document: Mapping[str, Any]) -> Figure:
    """A figure from plain data."""
    peer, goal = document["peer"], document["goal"]
    return Figure(
        document["name"],
        document["unit"],
        Spread(**document["measured"]),
        document["peer_name"],
        None if peer is None else Spread(**peer),
        None if goal is None else (goal[0], goal[1]),
    )


def lines_of(document: Mapping[str, Any]) -> list[str]:
    """A section as Markdown."""
    lines = [f"### {document['title']}", ""]
    figures = [figure_of(each) for each in document["figures"]]
    if figures:
        lines += [
            "| what | median (lowest to highest) | beside it | multiple | goal |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(figure) for figure in figures]
        lines.append("")
    for note in document["notes"]:
        lines += [note, ""]
    for skipped in document["skipped"]:
        lines += [f"Skipped: {skipped}", ""]
    loads = document["load_before"], document["load_after"]
    busy = ", so that times are too long: measure again on a quiet machine" if max(loads) > BUSY else ""
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    lines += [
        f"{document['date']}, {document['seconds']} s on {document['machine']}; {versions}. Load average"
        f" {loads[0]} before, {loads[1]} after{busy}.",
        "",
    ]
    return lines


def _row(figure: Figure) -> str:
    peer = "" if figure.peer is None else f"{figure.peer_name}: {_number(figure.peer.median)} {figure.unit}"
    multiple = "" if figure.per_peer is None else f"{figure.per_peer:.3g}"
    goal = ""
    if figure.goal is not None:
        goal = f"{figure.goal[0]} {figure.goal[1]:g}{'' if figure.meets_goal else ', missed'}"
    spread = figure.measured
    shown = f"{_number(spread.median)} {figure.unit}"
    if spread.runs > 1:
        shown += f" ({_number(spread.lowest)} to {_number(spread.highest)}, {spread.runs} runs)"
    return f"| {figure.name} | {shown} | {peer} | {multiple} | {goal} |".replace("  ", " ")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def write_page(documents: Sequence[Mapping[str, Any]]) -> None:
    """Put the sections between the marks of the page."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    body = "\n".join(line for document in documents for line in lines_of(document))
    PAGE.write_text(f"{before}{BEGIN}\n\n{body}{END}{after}")
