"""A format's own rounding of reals as a staircase."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simulator.inference.quantization import to_codes
from simulator.numerics.array_types import Reals
from simulator.numerics.formats import TABLE_BITS, Format

_BISECTIONS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Staircase:
    """A format's rounding as a staircase: reals from `thresholds[i]` up have the value `levels[i + 1]`.

    Levels ascend and end in infinities where the format overflows to them.
    """

    levels: Reals
    thresholds: Reals


@lru_cache(maxsize=256)
def staircase(fmt: Format) -> Staircase | None:
    """Where a format's own encoder steps from one value to the next; None above 16 bits.

    The steps are found by bisection, so that log numbers and posits, which do not round to the nearest real
    value, have theirs.
    """
    if fmt.bits > TABLE_BITS:
        return None
    values = fmt.values()
    levels = np.unique(np.where(values == 0, 0.0, values)[np.isfinite(values)])
    below, beyond = fmt.decode(to_codes(np.array([4 * fmt.lowest, 4 * fmt.largest]), fmt)).tolist()
    low, high = levels[:-1], levels[1:]
    if np.isinf(beyond):
        low, high = np.append(low, fmt.largest), np.append(high, 4 * fmt.largest)
    if np.isinf(below):
        low, high = np.append(4 * fmt.lowest, low), np.append(fmt.lowest, high)
    upper = fmt.decode(to_codes(high, fmt))
    for _ in range(_BISECTIONS):
        middle = low + (high - low) / 2
        reached = fmt.decode(to_codes(middle, fmt)) >= upper
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return Staircase(np.append(fmt.decode(to_codes(low[:1], fmt)), upper), high)
