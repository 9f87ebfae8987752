"""Two classifiers on the same images: the difference of their accuracies, and what of it may be chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

Z95 = 1.959964
"""95 % of a normal distribution lie within so many standard deviations."""


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The difference of two accuracies in percentage points with its 95 % interval, from `images` images."""

    points: float
    low: float
    high: float
    images: int

    @property
    def margin(self) -> float:
        """Half the interval, in points."""
        return (self.high - self.low) / 2


def paired_difference(gained: int, lost: int, images: int) -> PairedDifference:
    """How far a classifier is above another one on the same images.

    The interval is that of Agresti and Min 2005 (Statistics in Medicine 24, 729): Wald's for matched pairs
    after half an image was added to each of the four outcomes, so that it has a width where nothing differs.

    Args:
        gained: images that only this classifier has right.
        lost: images that only the other one has right.
        images: all images, 1 or more.
    """
    total = images + 2
    more, less = gained + 0.5, lost + 0.5
    middle = (more - less) / total
    deviation = sqrt(more + less - (more - less) ** 2 / total) / total
    points = 100 * (gained - lost) / images
    low, high = 100 * (middle - Z95 * deviation), 100 * (middle + Z95 * deviation)
    return PairedDifference(points, max(low, -100.0), min(high, 100.0), images)


def paired_outcomes(right: Sequence[bool], beside: Sequence[bool]) -> PairedDifference:
    """`paired_difference` of a classifier and another one from what each has right, image by image."""
    pairs = list(zip(right, beside, strict=True))
    gained, lost = sum(one and not two for one, two in pairs), sum(two and not one for one, two in pairs)
    return paired_difference(gained, lost, len(pairs))


def standard_error_points(share: float, images: int) -> float:
    """Standard error, in percentage points, of an accuracy measured on `images` images."""
    return 100 * sqrt(share * (1 - share) / images)
