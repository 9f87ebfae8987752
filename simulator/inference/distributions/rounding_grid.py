"""Formats whose values form a grid that steps double along: rounding to them takes no table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simulator.inference.distributions.staircase import Staircase, staircase
from simulator.numerics.array_types import Reals
from simulator.numerics.formats import Format

_MOST_FRACTION_BITS = 16
_EXPONENT = np.int64(0x7FF0_0000_0000_0000)


@dataclass(frozen=True, slots=True)
class RoundingGrid:
    """Reals clip to `low` .. `high` and round to even multiples of a step.

    The step is 2**-`fraction_bits` of a magnitude's own power of two, or of `first` below it.
    """

    first: float
    fraction_bits: int
    low: float
    high: float

    @property
    def anchor(self) -> float:
        """Added to a real and taken away again, times its power of two, this rounds it in float64."""
        return 1.5 * 2.0 ** (52 - self.fraction_bits)

    def round(self, reals: Reals) -> Reals:
        """The grid's value of each real."""
        clipped = np.minimum(np.maximum(reals, self.low), self.high)
        powers = np.maximum((clipped.view(np.int64) & _EXPONENT).view(np.float64), self.first)
        anchors = powers * self.anchor
        return np.asarray(clipped + anchors - anchors)


@lru_cache(maxsize=256)
def rounding_grid(fmt: Format) -> RoundingGrid | None:
    """The grid that a format's own encoder rounds to; None where there is none.

    It is proven where the encoder steps, at and just below every threshold: between two of them both are
    constant, as neither ever falls.
    """
    steps = staircase(fmt)
    if steps is None or not np.isfinite(steps.levels).all() or not (steps.levels > 0).any():
        return None
    smallest = float(steps.levels[steps.levels > 0][0])
    low, high = float(steps.levels[0]), float(steps.levels[-1])
    for bits in range(_MOST_FRACTION_BITS):
        grid = RoundingGrid(smallest * 2.0**bits, bits, low, high)
        if _is_exact(grid, steps):
            return grid
    return None


def _is_exact(grid: RoundingGrid, steps: Staircase) -> bool:
    below = np.nextafter(steps.thresholds, -np.inf)
    ends = np.array([-np.finfo(np.float64).max, np.finfo(np.float64).max])
    return bool(
        (grid.round(steps.thresholds) == steps.levels[1:]).all()
        and (grid.round(below) == steps.levels[:-1]).all()
        and (grid.round(ends) == steps.levels[[0, -1]]).all()
    )
