"""A page about one synthesised MAC: its PE as blocks, area against delay, candidates and energy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from simulator.report.pe_blocks import PeBlocks, pe_diagram
from simulator.report.svg import box, drawing, text


@dataclass(frozen=True, slots=True)
class CandidatePoint:
    """A candidate: its name, area, shortest period, and whether it is on the curve or chosen."""

    name: str
    area: float
    period_ns: float
    on_curve: bool
    chosen: bool


@dataclass(frozen=True, slots=True)
class SynthesisPage:
    """What the page shows; areas in `area_unit`.

    facts: rows of a table, a name and a figure each.
    """

    title: str
    area_unit: str
    blocks: PeBlocks
    points: Sequence[CandidatePoint]
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str]


def synthesis_page(page: SynthesisPage) -> str:
    """The page as one HTML file without anything from elsewhere."""
    candidates = [
        (
            ("chosen, " if point.chosen else "") + point.name,
            f"{point.area:,.1f}",
            f"{point.period_ns:.3f}",
            "yes" if point.on_curve else "",
        )
        for point in page.points
    ]
    head = ("candidate", f"area in {page.area_unit}", "period in ns", "on the curve")
    body = [
        f"<h1>{escape(page.title)}</h1>",
        "<h2>The PE</h2>",
        f'<div class="wide">{pe_diagram(page.blocks)}</div>',
        "<h2>Area against delay</h2>",
        f'<div class="wide">{area_delay_curve(page.points, page.area_unit)}</div>',
        _table(head, candidates),
        "<h2>The chosen candidate</h2>",
        _table(("figure", "value"), page.facts),
        "<h2>Notes</h2>",
        f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in page.notes)}</ul>",
    ]
    return _PAGE.format(title=escape(page.title), body="\n".join(body))


_LEFT, _TOP, _WIDTH, _HEIGHT = 90.0, 20.0, 660.0, 320.0
_TICKS: Final = 4


def area_delay_curve(points: Sequence[CandidatePoint], area_unit: str) -> str:
    """Candidates as dots over their period; the curve joins those that nothing is smaller and faster than."""
    periods, areas = [point.period_ns for point in points], [point.area for point in points]
    x_ends, y_ends = _ends(periods), _ends(areas)

    def place(point: CandidatePoint) -> tuple[float, float]:
        x = _LEFT + _WIDTH * (point.period_ns - x_ends[0]) / (x_ends[1] - x_ends[0])
        y = _TOP + _HEIGHT * (1 - (point.area - y_ends[0]) / (y_ends[1] - y_ends[0]))
        return x, y

    parts = [box(_LEFT, _TOP, _WIDTH, _HEIGHT, "frame")]
    for tick in range(_TICKS + 1):
        share = tick / _TICKS
        period, area = (low + share * (high - low) for low, high in (x_ends, y_ends))
        parts.append(text(_LEFT + share * _WIDTH, _TOP + _HEIGHT + 18, f"{period:.2f}", "quiet"))
        y = _TOP + (1 - share) * _HEIGHT
        parts.append(text(_LEFT - 8, y + 4, f"{area:,.0f}", "quiet", anchor="end"))
    curve = sorted((point for point in points if point.on_curve), key=lambda point: point.period_ns)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, curve))
    parts.append(f'<polyline points="{line}" class="curve"/>')
    for point in points:
        x, y = place(point)
        css = "chosen" if point.chosen else "curved" if point.on_curve else "other"
        told = f"{point.name}: {point.area:,.1f} {area_unit}, {point.period_ns:.3f} ns"
        dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{7 if point.chosen else 5}" class="{css}">'
        parts.append(f"{dot}<title>{escape(told)}</title></circle>")
    parts += [
        text(_LEFT + _WIDTH / 2, _TOP + _HEIGHT + 38, "shortest clock period in ns"),
        text(_LEFT, _TOP - 6, f"area in {area_unit}", anchor="start"),
    ]
    told = f"{len(points)} candidates, area against the shortest clock period; {len(curve)} on the curve"
    return drawing(780, 400, parts, told)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis, a tenth beyond the values."""
    low, high = min(values), max(values)
    beyond = (high - low) / 10 or high / 10
    return low - beyond, high + beyond


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>'


_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark;
  --ink: #1b1f24; --quiet: #57606a; --paper: #fff; --line: #8c959f; --blue: #0a58ca; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e6edf3; --quiet: #9198a1; --paper: #0d1117; --line: #656c76; --blue: #6cb0ff; }}
}}
body {{ margin: 2rem auto; max-width: 60rem; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); }}
.wide {{ overflow-x: auto; }}
svg {{ width: 100%; min-width: var(--wide); }}
svg text {{ fill: var(--ink); font-size: 14px; }}
svg text.quiet {{ fill: var(--quiet); font-size: 12px; }}
svg text.name {{ font-weight: 600; }}
svg rect {{ fill: none; stroke: var(--line); }}
svg .arrow line {{ stroke: var(--line); }}
svg .arrow polygon {{ fill: var(--line); }}
svg .curve {{ fill: none; stroke: var(--blue); stroke-width: 2; }}
svg .curved, svg .chosen {{ fill: var(--blue); }}
svg .chosen {{ stroke: var(--ink); stroke-width: 2; }}
svg .other {{ fill: var(--quiet); }}
table {{ border-collapse: collapse; }}
th, td {{ padding: 0.2rem 0.8rem; text-align: left; border-bottom: 1px solid var(--line); }}
</style>
</head>
<body>
{body}
</body>
</html>
"""
