"""128-bit two's complement integers as pairs of arrays, for accumulators that 64 bits cannot hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Wide:
    """Integers modulo 2**128: high * 2**64 + low, arrays of one shape."""

    high: npt.NDArray[np.uint64]
    low: npt.NDArray[np.uint64]

    @classmethod
    def shifted(cls, values: npt.NDArray[np.int64], shift: int) -> Wide:
        """`values * 2**shift` modulo 2**128."""
        low = values.view(np.uint64)
        high = (values >> 63).view(np.uint64)  # all sign bits
        if shift >= 128:
            return cls(np.zeros_like(low), np.zeros_like(low))
        if shift >= 64:
            return cls(low << np.uint64(shift - 64), np.zeros_like(low))
        if shift == 0:
            return cls(high, low)
        left, right = np.uint64(shift), np.uint64(64 - shift)
        return cls((high << left) | (low >> right), low << left)

    def __add__(self, other: Wide) -> Wide:
        low = self.low + other.low
        carry = (low < self.low).astype(np.uint64)
        return Wide(self.high + other.high + carry, low)

    def to_integers(self, bits: int) -> npt.NDArray[Any]:
        """Python integers (dtype object), wrapped into two's complement of 65 to 128 `bits`."""
        spare = np.int64(max(128 - bits, 0))
        low, high = self.low.view(np.int64), (self.high.view(np.int64) << spare) >> spare
        found = low.astype(object)
        # Arithmetic on Python integers takes long; few sums need it.
        wide = high != low >> 63
        found[wide] = (high[wide].astype(object) << 64) | self.low[wide].astype(object)
        return found
