"""How well a share of independent trials is known: the interval of an accuracy from its number of images."""

from __future__ import annotations

from math import sqrt

from simulator.foundation.paired import Z95


def wilson_interval(share: float, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference" (Journal of
    the American Statistical Association 22, 209). It stays within 0 to 1 and has a width at 0 and 1.

    Args:
        share: successes by trials, 0 to 1.
        trials: 1 or more.

    Raises:
        ValueError: a share outside 0 to 1 (NaN included), or no trials.
    """
    if not 0 <= share <= 1 or trials < 1:
        raise ValueError(f"no share of trials: {share} of {trials}")
    square = Z95**2 / trials
    middle = (share + square / 2) / (1 + square)
    half = Z95 * sqrt(share * (1 - share) / trials + square / (4 * trials)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)
