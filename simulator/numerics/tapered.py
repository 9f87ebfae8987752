"""Posit-tapered codes in the sign-magnitude reading of Johnson 2018: a regime, an exponent field, a fraction.

The top bit is the sign, and the other bits r read alike for both signs. r = 0 is zero (sign 0) or infinity
(sign 1, which also stands for NaN); there is no minus zero. Otherwise the leading run of equal bits of r
gives the regime k, then follow `exponent_field_bits` bits and up to `fraction_bits` bits of fraction, cut
short where the regime is long. Posits and tapered log numbers share this layout and differ in what the
fraction means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Codes, code_dtype
from simulator.numerics.hardware import UNPACKED_FLAG_BITS, Parts, tapered_decoder

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Fields(NamedTuple):
    """Unpacked codes, arrays of one shape; zero and infinity read as +2**(least exponent)."""

    sign: IntArray
    """1 where negative."""

    exponent: IntArray
    fraction: IntArray
    """In units of 2**-fraction_bits."""

    is_zero: BoolArray
    is_infinite: BoolArray


@dataclass(frozen=True, slots=True)
class TaperedLayout:
    """The layout of `bits`-wide codes with `exponent_field_bits` (the posit's `es`) beside the regime."""

    bits: int
    exponent_field_bits: int

    @property
    def fraction_bits(self) -> int:
        """The longest fraction, next to the shortest regime of two bits."""
        return self.bits - 3 - self.exponent_field_bits

    @property
    def greatest_exponent(self) -> int:
        """Exponents of codes run from minus this to this."""
        return (self.bits - 2) << self.exponent_field_bits

    @property
    def signed_exponent_bits(self) -> int:
        """Width of the two's complement register that holds an unpacked exponent."""
        return self.greatest_exponent.bit_length() + 1

    @property
    def register_bits(self) -> int:
        """Of an unpacked number: sign, infinity and zero flags, exponent, fraction; 12 for 8-bit codes."""
        return UNPACKED_FLAG_BITS + self.signed_exponent_bits + self.fraction_bits

    def register_patterns(self, codes: Codes) -> Codes:
        """Unpacked numbers: sign, is-infinite, is-zero, the exponent in two's complement, the fraction."""
        fields = self.unpack(np.arange(1 << self.bits))
        flags = (fields.sign << 2) | (fields.is_infinite.astype(np.int64) << 1) | fields.is_zero
        exponent = fields.exponent & ((1 << self.signed_exponent_bits) - 1)
        table = (((flags << self.signed_exponent_bits) | exponent) << self.fraction_bits) | fields.fraction
        return np.asarray(table.astype(code_dtype(self.register_bits))[codes])

    @property
    def decoder(self) -> Parts:
        """From a code to an unpacked number."""
        return tapered_decoder(
            self.bits, self.signed_exponent_bits, self.fraction_bits, self.exponent_field_bits
        )

    @property
    def code_of_infinity(self) -> int:
        """The sign bit alone."""
        return 1 << (self.bits - 1)

    @property
    def largest_code(self) -> int:
        """The positive code of the largest value: all ones behind the sign."""
        return (1 << (self.bits - 1)) - 1

    def unpack(self, codes: npt.NDArray[np.integer]) -> Fields:
        """The fields of valid codes."""
        patterns = np.asarray(codes).astype(np.int64)
        body_bits = self.bits - 1
        body = patterns & self.largest_code
        sign = patterns >> body_bits
        special = body == 0
        starts_with_one = (body >> (body_bits - 1)) & 1
        after_run = np.where(starts_with_one == 1, body ^ self.largest_code, body)
        run = body_bits - _bit_length(after_run)
        regime = np.where(starts_with_one == 1, run - 1, -run)
        tail = (body << np.maximum(run - 1, 0)) & ((1 << (body_bits - 2)) - 1)
        exponent_field = tail >> self.fraction_bits
        exponent = (regime << self.exponent_field_bits) + exponent_field
        return Fields(
            sign=np.where(special, 0, sign),
            exponent=np.where(special, -self.greatest_exponent, exponent),
            fraction=np.where(special, 0, tail & ((1 << self.fraction_bits) - 1)),
            is_zero=special & (sign == 0),
            is_infinite=special & (sign == 1),
        )

    def round_to_magnitude(self, exponent: IntArray, fraction: IntArray, trailing_bits: int) -> IntArray:
        """The code, without sign, of numbers that are not below the smallest: RTNE on the tapered bit string.

        The fraction is in units of 2**-(fraction_bits + trailing_bits). The tie's parity is that of the
        bits kept behind the regime; where the regime leaves none it counts as even, so that half of the way
        up from the smallest value goes down (a standard posit would go up). What is too large saturates.
        """
        offset = exponent + self.greatest_exponent
        regime = np.minimum((offset >> self.exponent_field_bits) - (self.bits - 2), self.bits - 2)
        extra = np.where(regime >= 0, regime, -regime - 1)  # regime bits beyond the shortest two
        field = offset & ((1 << self.exponent_field_bits) - 1)
        behind_regime = (field << (self.fraction_bits + trailing_bits)) | fraction
        drop = extra + trailing_bits
        # Codes grow by one per unit of the kept bits; a carry out of them steps into the next regime.
        magnitude = self._first_code(regime) + shift_right_to_nearest_even(behind_regime, drop)
        return np.where(regime == self.bits - 2, self.largest_code, np.minimum(magnitude, self.largest_code))

    def _first_code(self, regime: IntArray) -> IntArray:
        """The least code (without sign) of a regime."""
        top = self.bits - 2
        ones_then_zeros = (1 << (self.bits - 1)) - (np.int64(1) << (top - np.maximum(regime, 0)))
        zeros_then_one = np.int64(1) << np.maximum(top + np.minimum(regime, 0), 0)
        return np.where(regime >= 0, ones_then_zeros, zeros_then_one)


def shift_right_to_nearest_even(numbers: IntArray, drop: IntArray | int) -> IntArray:
    """`numbers / 2**drop` rounded to nearest, ties to even; numbers not negative, drop 0 to 62."""
    drops = np.asarray(drop, np.int64)
    half_less_one: IntArray = (np.int64(1) << np.maximum(drops - 1, 0)) - 1
    rounded: IntArray = (numbers + half_less_one + ((numbers >> drops) & 1)) >> drops
    return np.where(drops == 0, numbers, rounded)


def leading_one(numbers: IntArray) -> IntArray:
    """Index of the leading one of positive int64 numbers."""
    position: IntArray = np.frexp(numbers.astype(np.float64))[1].astype(np.int64) - 1
    # Past 2**53 the conversion may round up to the next power of two.
    return np.where((numbers >> np.minimum(position, 62)) == 0, position - 1, position)


def _bit_length(numbers: IntArray) -> IntArray:
    """Bits up to the leading one; 0 for 0. Exact up to 2**53."""
    length: IntArray = np.frexp(numbers.astype(np.float64))[1].astype(np.int64)
    return length
