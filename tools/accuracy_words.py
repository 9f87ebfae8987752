"""Accuracies and their differences as the pages of docs/ write them."""

from __future__ import annotations

from simulator.foundation.paired import PairedDifference


def points(difference: PairedDifference | None) -> str:
    """`-0.8 (-1.5 to -0.1)`: a difference in points with its 95 % interval."""
    if difference is None:
        return "-"
    return f"{difference.points:+.1f} ({difference.low:+.1f} to {difference.high:+.1f})"


def at_least(difference: PairedDifference, wanted: float) -> str:
    """Whether a difference reaches some points; neither where its interval leaves that open."""
    if difference.low >= wanted:
        return "yes"
    return "no" if difference.high < wanted else "within the noise"


def percent(share: float | None) -> str:
    """`87.0 %`."""
    return "-" if share is None else f"{100 * share:.1f} %"
