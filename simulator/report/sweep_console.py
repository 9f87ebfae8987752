"""A sweep's Pareto front as a page of text."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from simulator.report.comparison import METRICS
from simulator.report.console_parts import Page, breaks_a_name, folded
from simulator.report.sweep_summary import SweepEntry, SweepSummary
from simulator.report.units import NOT_PRICED

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_SHOWN = ("latency_ms", "energy_pj", "power_mw", "area_um2", "tops_per_w", "top1")
_NAMES = "point"
_SHORTEST_NAME = 16
_MOST_REASONS = 8
_MOST_ROWS = 100


def render_summary(summary: SweepSummary, name: str, console: Console) -> None:
    """Print how many points have results, and the Pareto front of every network."""
    page = Page(console)
    entries = summary.entries
    done = len(entries) - len(summary.failures)
    page.line(page.text(f"{name}: {done} of {len(entries)} points have results", "bold"))
    told = ", ".join(metric.label for metric in summary.objectives)
    unpriced = ", ".join(metric.label for metric in summary.left_out if metric.follows_prices)
    left_out = f" ({unpriced}: {NOT_PRICED})" if unpriced else ""
    groups = Counter(entry.group for entry in entries if entry.figures)
    for (network, batch), of in groups.items() if told else ():
        front = [entry for entry in summary.front if entry.group == (network, batch)]
        title = network if batch is None else f"{network}, batch {batch}"
        page.heading(title, f"Pareto front of {told}{left_out}: {len(front)} of {of} points")
        if front:
            _front(page, front[:_MOST_ROWS])
        if len(front) > _MOST_ROWS:
            page.line(f"and {len(front) - _MOST_ROWS:,} more on the front (--csv and --json have all)")
    if not told and done:
        lacking = ", ".join(metric.label for metric in summary.left_out)
        page.line(f"No front: no point has {lacking}; choose others, such as --objective latency_ms")
    _not_priced(page, summary.not_priced, done)
    for warning, concerned in summary.warnings.items():
        page.line(page.text(f"! {concerned} of {done} points: {warning}", "yellow"))


def _not_priced(page: Page, reasons: dict[str, int], points: int) -> None:
    if not reasons:
        return
    page.heading("Not priced", "points that lack an objective are on no front")
    for reason, concerned in list(reasons.items())[:_MOST_REASONS]:
        page.line(f"- {concerned} of {points} points: {reason}")
    if len(reasons) > _MOST_REASONS:
        page.line(f"- and {len(reasons) - _MOST_REASONS} more reasons, all in the CSV and JSON")


def _front(page: Page, front: list[SweepEntry]) -> None:
    """The points of a front by name, or by number with the names below where a name would break in a word."""
    names = [entry.point.short_label for entry in front]
    table = _front_table(page, front, names)
    if not breaks_a_name(table, page.width):
        page.line(table)
        return
    numbers = [str(number) for number in range(1, len(front) + 1)]
    page.line(_front_table(page, front, numbers))
    margin = len(numbers[-1]) + 2
    for number, name in zip(numbers, names, strict=True):
        first, *more = folded(name, page.width - margin)
        page.line(f"{number:<{margin}}{first}")
        for line in more:
            page.line(f"{'':{margin}}{line}")


def _front_table(page: Page, front: list[SweepEntry], names: list[str]) -> Table:
    found = [
        (name, entry.figures) for name, entry in zip(names, front, strict=True) if entry.figures is not None
    ]
    metrics = [
        m
        for m in METRICS
        if m.key in _SHOWN and (m.follows_prices or any(f.value(m) is not None for _, f in found))
    ]
    scales = [metric.scale(figures.value(metric) for _, figures in found) for metric in metrics]
    heads = (f"{metric.label}\n{scale.unit}" for metric, scale in zip(metrics, scales, strict=True))
    table = page.table([(_NAMES, "left"), *((head, "right") for head in heads)])
    table.columns[0].min_width = min(_SHORTEST_NAME, max(map(len, [_NAMES, *names])))
    for name, figures in found:
        cells = (m.show(scale, figures.value(m)) for m, scale in zip(metrics, scales, strict=True))
        table.add_row(page.text(name), *map(page.text, cells))
    return table
