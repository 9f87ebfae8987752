"""Two's complement integers of any width: wrapped, and how many bits hold them."""

from __future__ import annotations

import numpy as np

from simulator.numerics.array_types import Integers


def wrap(values: Integers, bits: int) -> Integers:
    """An array reduced into `bits`-bit two's complement; int64 may have wrapped modulo 2**64 before."""
    if values.dtype == object:
        half = 1 << (bits - 1)
        return np.asarray(((values + half) & ((1 << bits) - 1)) - half, object)
    if bits >= 64:
        return values
    spare = np.int64(64 - bits)
    return (values << spare) >> spare


def width(low: int, high: int) -> int:
    """Fewest bits in two's complement, sign included, that hold every integer from `low` to `high`."""
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length()) + 1
