"""Published figures beside predictions, as text for a terminal and as a page of Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from simulator.cost.validation import Check, validate

_WIDTH = 80

_INTRODUCTION = """\
# Validation

What the cost model makes of published figures; `systolic validate` prints the same. The rows of the
published arrays stand in `energy_tables/validation_28nm.yaml`, which the loader refuses as a price table:
neither they nor anything derived from them price anything, and no constant was moved to bring a prediction
closer.

docs/energy.md describes the model. Data for "by toggles" is drawn from N(0,1) with a fixed seed.
"""

_TITLES = {
    "prediction": "Predictions: the model was not given these figures",
    "consistency": "Consistency: the tables repeat what their source says of itself",
}


def validation_text(checks: Sequence[Check]) -> str:
    """Checks as text of 80 columns: figures first, then how each was formed."""
    lines: list[str] = []
    for nature, title in _TITLES.items():
        lines += [title, f"{'':38}{'unit':5}{'published':>12}{'predicted':>12}{'difference':>12}"]
        lines += [
            f"{check.name:38}{check.unit:5}{_figure(check.published):>12}{_figure(check.predicted):>12}"
            f"{check.difference:>+12.1%}"
            for check in checks
            if check.nature == nature
        ]
        lines.append("")
    lines.append("How each was formed")
    for check in checks:
        lines += _wrapped(f"{check.name}: {check.how}. From {', '.join(check.used)}.", "")
        if check.cause:
            lines += _wrapped(f"Off because: {check.cause}.", "  ")
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
            "nature": check.nature,
            "how": check.how,
            "used": list(check.used),
            "cause": check.cause,
        }
        for check in checks
    ]


def validation_markdown(checks: Sequence[Check]) -> str:
    """Checks as the body of docs/validation.md."""
    lines: list[str] = []
    for nature, title in _TITLES.items():
        lines += [
            f"## {title}",
            "",
            "| figure | unit | published | predicted | difference |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {check.name} | {check.unit} | {_figure(check.published)} | {_figure(check.predicted)} "
            f"| {check.difference:+.1%} |"
            for check in checks
            if check.nature == nature
        ]
        lines.append("")
    lines += ["## How each was formed, and why it is off", ""]
    for check in checks:
        cause = f" Off because: {check.cause}." if check.cause else ""
        lines.append(f"- **{check.name}**: {check.how}. From {', '.join(check.used)}.{cause}")
    return "\n".join(lines) + "\n"


def validation_page() -> str:
    """docs/validation.md."""
    return _INTRODUCTION + "\n" + validation_markdown(validate())


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 10000 else f"{value:.4g}"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")
