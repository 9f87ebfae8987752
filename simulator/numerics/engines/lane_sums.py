"""Sums of a float accumulator as compiled steps leave them, before they become codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Booleans, Codes


@dataclass(frozen=True, eq=False)
class LaneSums:
    """Sums times a power of two, `unit`, in float32 or float64; infinity and NaN are themselves.

    `encode` makes the accumulator's codes of the lanes, when somebody asks for them.
    """

    lanes: npt.NDArray[np.floating[Any]]
    unit: float
    encode: Callable[[npt.NDArray[Any]], Codes]

    @cached_property
    def accumulators(self) -> Codes:
        """Codes, in the shape of `lanes`."""
        return self.encode(self.lanes)

    @cached_property
    def lost(self) -> Booleans:
        """Which sums are infinite or NaN."""
        return np.asarray(~np.isfinite(self.lanes))
