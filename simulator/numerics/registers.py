"""What a PE's registers hold, bit by bit, for the codes that pass through them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.formats import Format
from simulator.numerics.formats.log import TaperedLog
from simulator.numerics.formats.posit import Posit

Patterns = npt.NDArray[np.int64]


def register_bits(fmt: Format) -> int:
    """Width of an operand register: tapered codes travel unpacked, everything else as it is coded."""
    if isinstance(fmt, TaperedLog | Posit):
        return 3 + fmt.layout.signed_exponent_bits + fmt.layout.fraction_bits
    return fmt.bits


def register_patterns(fmt: Format, codes: npt.NDArray[np.unsignedinteger[Any]]) -> Patterns:
    """The bits that an operand register holds for each code, int64, not negative.

    `log8.1` and posits are decoded once at the edge of the array (Johnson 2018); their registers hold sign,
    is-infinite, is-zero, the exponent in two's complement and the fraction, 12 bits for 8-bit codes.
    """
    if not isinstance(fmt, TaperedLog | Posit):
        return codes.astype(np.int64)
    fields = fmt.unpack(np.arange(1 << fmt.bits))
    exponent_bits, fraction_bits = fmt.layout.signed_exponent_bits, fmt.layout.fraction_bits
    flags = (fields.sign << 2) | (fields.is_infinite.astype(np.int64) << 1) | fields.is_zero
    exponent = fields.exponent & ((1 << exponent_bits) - 1)
    table = (((flags << exponent_bits) | exponent) << fraction_bits) | fields.fraction
    return np.asarray(table[codes], np.int64)


def zero_pattern(fmt: Format) -> int:
    """What an operand register holds while nothing passes: the code of zero."""
    return int(register_patterns(fmt, fmt.encode(np.zeros(1)))[0])


def hamming(x: npt.NDArray[Any], y: npt.NDArray[Any] | np.int64, bits: int) -> int:
    """Differing bits among the lowest `bits` of integers (int64 or Python ones), summed over all."""
    difference = np.bitwise_xor(x, y)
    if bits <= 64:
        mask = np.uint64((1 << bits) - 1)
        return int(np.bitwise_count(difference.astype(np.int64).view(np.uint64) & mask).sum(dtype=np.int64))
    return sum((int(number) & ((1 << bits) - 1)).bit_count() for number in difference.flat)


def path_toggles(patterns: npt.NDArray[Any], rest: int, bits: int) -> int:
    """Toggles of registers that hold `rest`, then the values along the first axis, then `rest` again."""
    if not patterns.shape[0]:
        return 0
    ends = hamming(patterns[0], np.asarray(rest), bits) + hamming(patterns[-1], np.asarray(rest), bits)
    return ends + hamming(patterns[1:], patterns[:-1], bits)
