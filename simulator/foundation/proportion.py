"""How well a share is known that was counted on so many trials."""

from __future__ import annotations

from math import sqrt

from simulator.foundation.paired import Z95


def share_interval(successes: int, trials: int) -> tuple[float, float]:
    """Both ends of the 95 % interval of a share, between 0 and 1.

    Wilson's score interval (E. B. Wilson, Journal of the American Statistical Association 22, 209, 1927),
    which has a width where all trials or none succeed.

    Args:
        successes: 0 to `trials`.
        trials: 1 or more.
    """
    share, spread = successes / trials, Z95**2 / trials
    middle = (share + spread / 2) / (1 + spread)
    half = sqrt(spread * share * (1 - share) + spread**2 / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
