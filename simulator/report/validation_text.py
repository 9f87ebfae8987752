"""Published figures beside predictions, as text for a terminal, as data and as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from simulator.prediction import Check

_TABLE = 80
"""Columns that the table of figures takes."""

_TITLES = {
    "prediction": "Predictions: the model was not given these figures",
    "other_hardware": "Other hardware: libraries and machines that the prices are not of",
    "fitted": "Fitted: prices were solved from these very figures, so they predict nothing",
    "consistency": "Consistency: the tables repeat what their source says of itself",
}


def validation_text(checks: Sequence[Check], *, columns: int = _TABLE) -> str:
    """Checks as text: figures first, then how each was formed.

    The column `in` says whether the published figure lies inside the interval of the prediction. In fewer
    than 80 columns the name of a check is a line above its figures.
    """
    lines: list[str] = []
    for nature, title in _TITLES.items():
        lines += _wrapped(title, "", columns)
        lines += _cells("", "", "published", "predicted", "off by", "in", columns)
        for check in checks:
            if check.nature == nature:
                published, predicted = _figure(check.published), _figure(check.predicted)
                off_by = f"{check.difference:+.1%}"
                lines += _cells(check.name, check.unit, published, predicted, off_by, _inside(check), columns)
        lines.append("")
    lines += _synthesised_text(checks, columns)
    lines.append("How each was formed")
    for check in checks:
        used = f" From {', '.join(check.used)}." if check.used else ""
        lines += _wrapped(f"{check.name}: {check.how}.{used}", "", columns)
        if check.cause:
            lines += _wrapped(f"Off because: {check.cause}.", "  ", columns)
    return "\n".join(lines) + "\n"


def validation_document(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Checks as plain data for `--json`."""
    return [
        {
            "name": check.name,
            "unit": check.unit,
            "published": check.published,
            "predicted": check.predicted,
            "difference": check.difference,
            "interval": None if check.interval is None else list(check.interval),
            "is_inside": check.is_inside,
            "synthesised": check.synthesised,
            "synthesised_difference": check.synthesised_difference,
            "nearer": check.nearer,
            "nature": check.nature,
            "how": check.how,
            "used": list(check.used),
            "cause": check.cause,
        }
        for check in checks
    ]


def validation_markdown(checks: Sequence[Check], before: Mapping[str, float]) -> str:
    """Checks as the body of docs/validation.md; `before` has earlier predictions by the name of the check."""
    lines: list[str] = []
    for nature, title in _TITLES.items():
        lines += [
            f"## {title}",
            "",
            "| figure | unit | published | before | predicted | difference | interval | inside |",
            "|---|---|---:|---:|---:|---:|---:|---|",
        ]
        lines += [_markdown_row(check, before) for check in checks if check.nature == nature]
        lines.append("")
    lines += _synthesised_markdown(checks)
    lines += ["## How each was formed, and why it is off", ""]
    for check in checks:
        used = f" From {', '.join(check.used)}." if check.used else ""
        cause = f" Off because: {check.cause}." if check.cause else ""
        lines.append(f"- **{check.name}**: {check.how}.{used}{cause}")
    return "\n".join(lines) + "\n"


_BESIDE = "Composed and synthesised: PEs from parts, and from gates of their own hardware"
_BY_GATES = (
    "Synthesised figures are ratios of PEs in the generic library of `systolic rtl synth`, times the int8 PE "
    "of the same source, or its float16 PE for float16 fed with e5m2"
)


def _beside(checks: Sequence[Check]) -> list[tuple[str, ...]]:
    """Name, unit, published, composed and synthesised with their differences, and the nearer one."""
    rows: list[tuple[str, ...]] = []
    for check in checks:
        if check.synthesised is not None and check.synthesised_difference is not None:
            fitted = "fitted" if check.nature == "fitted" else f"{check.difference:+.1%}"
            rows.append(
                (
                    check.name.removesuffix(", composed"),
                    check.unit,
                    _figure(check.published),
                    fitted,
                    f"{check.synthesised_difference:+.1%}",
                    check.nearer or "",
                )
            )
    return rows


def _mean_errors(checks: Sequence[Check]) -> str:
    """Of both estimates over the figures that neither was fitted to."""
    both = [
        (abs(check.difference), abs(check.synthesised_difference))
        for check in checks
        if check.nearer is not None and check.synthesised_difference is not None
    ]
    composed, synthesised = (sum(errors) / len(both) for errors in zip(*both, strict=True))
    return (
        f"mean error over the {len(both)} figures that nothing was fitted to: composed {composed:.1%}, "
        f"synthesised {synthesised:.1%}"
    )


def _synthesised_text(checks: Sequence[Check], columns: int) -> list[str]:
    rows = _beside(checks)
    if not any(row[-1] for row in rows):
        return []
    lines = _wrapped(_BESIDE, "", columns)
    head = ("", "", "published", "composed", "synth.", "nearer")
    for name, unit, *cells in (head, *rows):
        nearer = "synth." if cells[3] == "synthesised" else cells[3]
        figures = f"{unit:4}{cells[0]:>9}{cells[1]:>9}{cells[2]:>8}  {nearer}".rstrip()
        if columns >= _TABLE:
            lines.append(f"{name:38} {figures}")
        else:
            lines += [*_wrapped(name, "", columns), f"  {figures}"]
    return [*lines, *_wrapped(f"{_BY_GATES}; {_mean_errors(checks)}.", "", columns), ""]


def _synthesised_markdown(checks: Sequence[Check]) -> list[str]:
    rows = _beside(checks)
    if not any(row[-1] for row in rows):
        return []
    return [
        f"## {_BESIDE}",
        "",
        "| figure | unit | published | composed | synthesised | nearer |",
        "|---|---|---:|---:|---:|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        f"{_BY_GATES}; {_mean_errors(checks)}. [Hardware](hardware.md) says how PEs are synthesised.",
        "",
    ]


def _markdown_row(check: Check, before: Mapping[str, float]) -> str:
    earlier = _figure(before[check.name]) if check.name in before else ""
    interval = "" if check.interval is None else " to ".join(map(_figure, check.interval))
    cells = (
        check.name,
        check.unit,
        _figure(check.published),
        earlier,
        _figure(check.predicted),
        f"{check.difference:+.1%}",
        interval,
        _inside(check),
    )
    return f"| {' | '.join(cells)} |"


def _cells(
    name: str, unit: str, published: str, predicted: str, off_by: str, inside: str, columns: int
) -> list[str]:
    """A line of the table of figures, or two where it would not fit."""
    figures = f"{unit:7}{published:>10}{predicted:>11}{off_by:>9}{inside:>4}".rstrip()
    if columns >= _TABLE:
        return [f"{name:38} {figures}"]
    return [*_wrapped(name, "", columns), f"  {figures}"]


def _inside(check: Check) -> str:
    return "" if check.is_inside is None else "yes" if check.is_inside else "no"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 10000 else f"{value:.4g}"


def _wrapped(text: str, indent: str, columns: int) -> list[str]:
    return textwrap.wrap(text, columns, initial_indent=indent, subsequent_indent=indent + "  ")
