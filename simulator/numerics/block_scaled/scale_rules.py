"""Exponents of power-of-two block scales, from the bits of the largest magnitude in a block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Reals

Exponents = npt.NDArray[np.int64]

Rule = Callable[[Reals, float, int], Exponents]
"""(largest magnitudes above 0, the largest element, fraction bits of an element) -> scale exponents."""


_SMALLEST_NORMAL = 2.0**-126
"""Of float32."""


def floor_exponents(amax: Reals, largest: float, _fraction_bits: int) -> Exponents:
    """floor(log2(amax)) - emax: the minimum that OCP MX asks for."""
    return _floor_log2(amax) - int(_floor_log2(np.asarray(largest)))


def ceil_exponents(amax: Reals, largest: float, _fraction_bits: int) -> Exponents:
    """ceil(log2(amax)) - emax."""
    fractions, exponents = np.frexp(amax)
    ceilings = np.asarray(exponents, np.int64) - (fractions == 0.5)
    return np.asarray(ceilings - int(_floor_log2(np.asarray(largest))), np.int64)


def even_exponents(amax: Reals, largest: float, fraction_bits: int) -> Exponents:
    """Round amax to the element's significand, halves up, then as `floor_exponents`.

    A float32 denormal has no full significand and is taken as it is.
    """
    fractions, exponents = np.frexp(amax)
    steps = np.floor(np.ldexp(fractions, fraction_bits + 1) + 0.5)
    carried = (steps >= 2.0 ** (fraction_bits + 1)) & (amax >= _SMALLEST_NORMAL)
    floors = np.asarray(exponents, np.int64) - 1 + carried
    return np.asarray(floors - int(_floor_log2(np.asarray(largest))), np.int64)


def rceil_exponents(amax: Reals, largest: float, _fraction_bits: int) -> Exponents:
    """ceil(log2(amax / largest element)), exactly: the least exponent at which nothing saturates."""
    fractions, exponents = np.frexp(amax)
    fraction, exponent = np.frexp(largest)
    return np.asarray(np.asarray(exponents, np.int64) - int(exponent) + (fractions > fraction), np.int64)


def _floor_log2(magnitudes: Reals) -> Exponents:
    return np.asarray(np.frexp(magnitudes)[1], np.int64) - 1


POWER_OF_TWO_RULES: Final[dict[str, Rule]] = {
    "floor": floor_exponents,
    "ceil": ceil_exponents,
    "even": even_exponents,
    "rceil": rceil_exponents,
}
"""By the names that libraries give them (docs/block_scaled.md)."""
