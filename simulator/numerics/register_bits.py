"""What a PE's registers hold, bit by bit, for the codes that pass through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Codes
from simulator.numerics.formats import Format


def zero_pattern(fmt: Format) -> int:
    """What an operand register holds while nothing passes: the code of zero."""
    return int(fmt.register_patterns(fmt.encode(np.zeros(1)))[0])


@dataclass(frozen=True, slots=True)
class OperandRegisters:
    """A matrix of operands as the registers see it: patterns, the pattern of zero, and the width."""

    patterns: Codes
    zero: int
    bits: int

    @classmethod
    def of(cls, fmt: Format, codes: Codes) -> OperandRegisters:
        """Valid codes in operand registers."""
        return cls(fmt.register_patterns(codes), zero_pattern(fmt), fmt.register_bits)


def differing_bits(
    x: npt.NDArray[Any], y: npt.NDArray[Any] | np.integer[Any], bits: int
) -> npt.NDArray[np.integer[Any]]:
    """Differing bits among the lowest `bits` of integers (unsigned, int64, Python's), by element."""
    difference = np.bitwise_xor(x, y)
    if difference.dtype == object:
        counts = [(int(number) & ((1 << bits) - 1)).bit_count() for number in difference.flat]
        return np.array(counts, np.int64).reshape(difference.shape)
    if difference.dtype.kind == "i":
        difference = difference.astype(np.int64, copy=False).view(np.uint64)
    mask = difference.dtype.type((1 << min(bits, difference.dtype.itemsize * 8)) - 1)
    return np.asarray(np.bitwise_count(difference & mask))


def hamming(x: npt.NDArray[Any], y: npt.NDArray[Any] | np.integer[Any], bits: int) -> int:
    """The sum of `differing_bits`."""
    return int(differing_bits(x, y, bits).sum(dtype=np.int64))


def path_toggles(patterns: npt.NDArray[Any], rest: int, bits: int, *, axis: int = 0) -> int:
    """Toggles of registers that hold `rest`, then the values along an axis, then `rest` again."""
    if not patterns.shape[axis]:
        return 0
    along = patterns if axis == 0 else patterns.T
    still = np.asarray(rest, patterns.dtype)
    return (
        hamming(along[0], still, bits)
        + hamming(along[-1], still, bits)
        + hamming(along[1:], along[:-1], bits)
    )
