"""What is said of figures without a price: each reason once, with everything that it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from simulator.report.components import label
from simulator.report.units import NOT_PRICED
from simulator.result import MissingPrice, Result


def reasons(result: Result) -> list[str]:
    """One line for each reason: what it leaves without a price, then why and the way out."""
    by_reason: dict[str, list[MissingPrice]] = {}
    for missing in result.not_priced:
        by_reason.setdefault(missing.reason, []).append(missing)
    return [f"{_concerned(missing)}: {reason}" for reason, missing in by_reason.items()]


def reasons_of_variants(variants: Sequence[tuple[str, Result]]) -> list[str]:
    """Each reason of named results once, behind the names that it concerns unless it concerns all."""
    return shared_lines([(name, reasons(result)) for name, result in variants])


def shared_lines(lines: Sequence[tuple[str, Iterable[str]]]) -> list[str]:
    """Each line once, behind the names of those that have it unless all have it."""
    concerned: dict[str, list[str]] = {}
    for name, own in lines:
        for line in own:
            concerned.setdefault(line, []).append(name)
    return [
        line if len(names) == len(lines) else f"{', '.join(names)}: {line}"
        for line, names in concerned.items()
    ]


def unpriced_totals(result: Result) -> str:
    """The headline figures that have no value because a part of them is not priced; empty where all have."""
    totals = result.totals
    names = [
        *(("energy", "power", "TOPS/W") if totals.energy_pj is None else ()),
        *(("area",) if totals.area_um2 is None else ()),
    ]
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def with_mark(name: str, value: float | None) -> str:
    """A name of a figure, followed by `not priced` where it has no value."""
    return name if value is not None else f"{name} ({NOT_PRICED})"


def _concerned(missing: Iterable[MissingPrice]) -> str:
    by_figure: dict[str, list[str]] = {}
    for each in missing:
        by_figure.setdefault(each.figure, []).append(label(each.component))
    return "; ".join(f"{figure} of {', '.join(names)}" for figure, names in by_figure.items())
