"""Accuracies side by side: differences in points on the same images, and whether they exceed the noise."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.foundation.paired import PairedDifference, paired_outcomes
from simulator.result import Result
from simulator.result_accuracy import Accuracy

RULE = (
    "accuracy: points above the first variant with the 95 % interval on the same images; the best is marked"
    " only where it is above all others by more than that"
)
"""What marks and differences of an accuracy mean."""

NOT_THE_SAME_IMAGES = "accuracies on different images are not compared"


def above(result: Result, other: Result) -> PairedDifference | None:
    """How far a result's accuracy is above another one's; None unless both tell it of the same images.

    A result is above itself by nothing, without an interval.
    """
    one, two = result.accuracy, other.accuracy
    if one is None or two is None or not _same_images(one, two):
        return None
    if result is other:
        return PairedDifference(0.0, 0.0, 0.0, one.images)
    return paired_outcomes(one.outcomes, two.outcomes)


def is_best(result: Result, others: Sequence[Result]) -> bool:
    """Whether a result's accuracy is above all others' by more than the noise."""
    differences = [above(result, other) for other in others]
    return bool(differences) and all(
        difference is not None and difference.low > 0 for difference in differences
    )


def conditions(result: Result) -> str:
    """The policy and the images that an accuracy holds for; empty without one."""
    accuracy = result.accuracy
    if accuracy is None:
        return ""
    images = f"{accuracy.images:,} image{'s' if accuracy.images != 1 else ''}"
    return ", ".join(filter(None, [accuracy.policy, images]))


def in_points(difference: PairedDifference | None) -> str:
    """A difference with half its interval, `-0.8 ±0.7`; `–` where there is none."""
    if difference is None:
        return "–"
    margin = f" ±{difference.margin:.1f}" if difference.margin else ""
    return f"{difference.points:+.1f}{margin}"


def _same_images(one: Accuracy, two: Accuracy) -> bool:
    known = one.right and two.right and one.images_hash == two.images_hash
    return bool(known) and (one.images, one.top1 is None) == (two.images, two.top1 is None)
