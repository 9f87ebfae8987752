"""What a PE's registers hold, bit by bit, for the codes that pass through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.formats import Format
from simulator.numerics.formats.codes import code_dtype
from simulator.numerics.formats.log import TaperedLog
from simulator.numerics.formats.posit import Posit

if TYPE_CHECKING:
    from simulator.numerics.mac import Mac

Patterns = npt.NDArray[np.unsignedinteger[Any]]


def register_bits(fmt: Format) -> int:
    """Width of an operand register: tapered codes travel unpacked, everything else as it is coded."""
    if isinstance(fmt, TaperedLog | Posit):
        return 3 + fmt.layout.signed_exponent_bits + fmt.layout.fraction_bits
    return fmt.bits


def register_patterns(fmt: Format, codes: npt.NDArray[np.unsignedinteger[Any]]) -> Patterns:
    """The bits that an operand register holds for each code, in the smallest unsigned dtype.

    `log8.1` and posits are decoded once at the edge of the array (Johnson 2018); their registers hold sign,
    is-infinite, is-zero, the exponent in two's complement and the fraction, 12 bits for 8-bit codes.
    """
    if not isinstance(fmt, TaperedLog | Posit):
        return codes.astype(fmt.code_dtype, copy=False)
    fields = fmt.unpack(np.arange(1 << fmt.bits))
    exponent_bits, fraction_bits = fmt.layout.signed_exponent_bits, fmt.layout.fraction_bits
    flags = (fields.sign << 2) | (fields.is_infinite.astype(np.int64) << 1) | fields.is_zero
    exponent = fields.exponent & ((1 << exponent_bits) - 1)
    table = (((flags << exponent_bits) | exponent) << fraction_bits) | fields.fraction
    return np.asarray(table.astype(code_dtype(register_bits(fmt)))[codes])


def product_bits(mac: Mac) -> int:
    """Fewest bits in two's complement of every increment, at most the accumulator's; 0 for fused products."""
    if not mac.is_fixed:
        return 0
    low, high = mac.products.limits
    return min(max((-low - 1).bit_length() if low < 0 else 0, high.bit_length()) + 1, mac.accumulator_bits)


def zero_pattern(fmt: Format) -> int:
    """What an operand register holds while nothing passes: the code of zero."""
    return int(register_patterns(fmt, fmt.encode(np.zeros(1)))[0])


@dataclass(frozen=True, slots=True)
class OperandRegisters:
    """A matrix of operands as the registers see it: patterns, the pattern of zero, and the width."""

    patterns: Patterns
    zero: int
    bits: int

    @classmethod
    def of(cls, fmt: Format, codes: npt.NDArray[np.unsignedinteger[Any]]) -> OperandRegisters:
        """Valid codes in operand registers."""
        return cls(register_patterns(fmt, codes), zero_pattern(fmt), register_bits(fmt))


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
