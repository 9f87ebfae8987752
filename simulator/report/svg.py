"""Drawings as text: elements of an SVG that take the page's colours."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from simulator.report.components import Colour


def text(x: float, y: float, words: str, css: str = "", *, anchor: str = "middle", key: str = "") -> str:
    """Words at a place; `key` names them for the page's script."""
    named = f' data-key="{escape(key)}"' if key else ""
    style = f' class="{css}"' if css else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}{named}>{escape(words)}</text>'


def box(
    x: float,
    y: float,
    width: float,
    height: float,
    css: str = "box",
    *,
    colour: Colour | None = None,
    title: str = "",
    key: str = "",
) -> str:
    """A rectangle, in a colour of both schemes or in that of its class; `title` shows where a mouse rests."""
    named = f' data-key="{escape(key)}"' if key else ""
    filled = f' style="--light:{colour.light};--dark:{colour.dark}"' if colour else ""
    told = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{max(width, 0):.2f}" height="{height:.2f}" class="{css}"'
        f"{filled}{named}>{told}</rect>"
    )


def arrow(start: tuple[float, float], end: tuple[float, float], thick: float) -> str:
    """A straight arrow along one axis."""
    (x1, y1), (x2, y2) = start, end
    length = abs(x2 - x1) + abs(y2 - y1)
    right, down = (x2 - x1) / length, (y2 - y1) / length
    head = 5 + thick
    xm, ym = x2 - right * head, y2 - down * head
    half = head * 0.6
    across = (down * half, right * half)
    points = ((x2, y2), (xm - across[0], ym + across[1]), (xm + across[0], ym - across[1]))
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    line = f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{xm:.1f}" y2="{ym:.1f}" stroke-width="{thick:.1f}"/>'
    return f'<g class="arrow">{line}<polygon points="{corners}"/></g>'


def drawing(width: float, height: float, parts: Iterable[str], told: str) -> str:
    """A whole SVG; `told` is what a screen reader says of it.

    The page never draws it smaller than it is, so that its letters stay readable, and lets it scroll instead.
    """
    body = "".join(parts)
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(told)}"'
        f' style="--wide:{width:g}px">{body}</svg>'
    )


def shortened(words: str, most: int) -> str:
    """Words of at most so many characters; what is left out stands as `…` in the middle."""
    if len(words) <= most:
        return words
    return f"{words[: most // 2]}…{words[-(most - most // 2 - 1) :]}"
