"""Log numbers as the circuits of Johnson 2018 (arXiv 1811.01721) hold, round and convert them.

A log number is a sign, an integer exponent e and a log fraction f, and stands for 2**(e + f). The circuits
never compute that power: a table of `alpha` output bits takes f to a linear fraction (`pow2_table`), and
another one of `beta` input and `gamma` output bits takes a linear fraction back (`log2_table`). A value on
its way to a code is therefore rounded three times: its linear fraction to beta bits, the table entry to gamma
bits, and the log number to the code.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.formats.code_tables import compiled_loops
from simulator.numerics.tapered import Fields, IntArray, leading_one, shift_right_to_nearest_even


class LogFormat(Protocol):
    """What the conversions need to know of a log format; the formats `log8.1` and `log16` are such."""

    @property
    def spec(self) -> str:
        """The canonical spec string."""

    @property
    def bits(self) -> int:
        """Width of a code."""

    @property
    def code_dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The dtype of its codes."""

    @property
    def log_fraction_bits(self) -> int:
        """Fraction bits F of an unpacked code."""

    @property
    def alpha(self) -> int:
        """Output bits of the pow2 table."""

    @property
    def beta(self) -> int:
        """Linear fraction bits that the log2 table takes."""

    @property
    def gamma(self) -> int:
        """Output bits of the log2 table, without its carry bit."""

    @property
    def accumulator_bits(self) -> int:
        """Width of the Kulisch accumulator that holds sums of products, sign included."""

    @property
    def accumulator_lsb(self) -> int:
        """log2 of the weight of the accumulator's lowest bit."""

    @property
    def exponent_limits(self) -> tuple[int, int]:
        """The ends of the register that holds an unpacked exponent."""

    @property
    def code_of_infinity(self) -> int:
        """The code of infinity and NaN."""

    def encode(self, values: npt.ArrayLike) -> npt.NDArray[np.unsignedinteger[Any]]:
        """Codes of real values."""

    def unpack(self, codes: npt.NDArray[np.integer]) -> Fields:
        """The fields of valid codes."""

    def pack(self, sign: IntArray, exponent: IntArray, log_fraction: IntArray) -> IntArray:
        """The last rounding: codes of log numbers with `gamma` fraction bits, exponents within the limits."""


@lru_cache(maxsize=64)
def pow2_table(input_bits: int, output_bits: int) -> npt.NDArray[np.int64]:
    """Linear fraction of each log fraction, int64[2**input_bits], read-only.

    Entry f is (2**(f / 2**input_bits) - 1) * 2**output_bits, rounded to nearest. No entry
    reaches 2**output_bits as long as output_bits >= input_bits - 1.
    """
    fractions = np.arange(1 << input_bits) / (1 << input_bits)
    return _read_only(np.rint((np.exp2(fractions) - 1) * (1 << output_bits)).astype(np.int64))


@lru_cache(maxsize=64)
def log2_table(input_bits: int, output_bits: int) -> npt.NDArray[np.int64]:
    """Log fraction of each linear fraction, int64[2**input_bits], read-only.

    Entry q is log2(1 + q / 2**input_bits) * 2**output_bits, rounded to nearest. The last
    entries may be 2**output_bits: a carry into the exponent.
    """
    fractions = np.arange(1 << input_bits) / (1 << input_bits)
    return _read_only(np.rint(np.log2(1 + fractions) * (1 << output_bits)).astype(np.int64))


def linear_to_code(sign: IntArray, exponent: IntArray, fraction: IntArray, fmt: LogFormat) -> IntArray:
    """Codes of (-1)**sign * 2**exponent * (1 + fraction / 2**beta): the table and the rounding to a code.

    Past the top of the exponent register the number becomes the largest one; below its bottom it becomes 0.
    """
    log_fraction = log2_table(fmt.beta, fmt.gamma)[fraction]
    return log_to_code(sign, exponent + (log_fraction >> fmt.gamma), log_fraction & _ones(fmt.gamma), fmt)


def log_to_code(sign: IntArray, exponent: IntArray, log_fraction: IntArray, fmt: LogFormat) -> IntArray:
    """Codes of log numbers whose fraction has `gamma` bits; the exponent is held to its register first."""
    least, greatest = fmt.exponent_limits
    too_large = exponent >= greatest
    log_fraction = np.where(too_large, _ones(fmt.gamma), log_fraction)
    codes = fmt.pack(sign, np.clip(exponent, least, greatest), log_fraction)
    return np.where(exponent < least, 0, codes)


def accumulator_to_code(
    accumulators: npt.ArrayLike,
    is_infinite: npt.ArrayLike | None,
    fmt: LogFormat,
    *,
    accumulator_bits: int | None = None,
    accumulator_lsb: int | None = None,
) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Codes of Kulisch accumulators, as the circuit's converter at the edge of the grid gives them.

    Args:
        accumulators: two's complement sums in units of 2**accumulator_lsb, any shape, integers within int64.
        is_infinite: the sticky infinity flags, in the shape of `accumulators`; None where there are none.
        fmt: the log format of the codes.
        accumulator_bits: width of the accumulators, sign included; the format's own unless given.
        accumulator_lsb: log2 of the weight of the lowest bit; the format's own unless given.

    Returns:
        Codes of dtype `fmt.code_dtype`. Infinity flags give the code of infinity. The most negative
        accumulator has no magnitude in the circuit's register and gives code 0, as 0 does.

    Raises:
        UserError: accumulators wider than 64 bits.
    """
    bits = fmt.accumulator_bits if accumulator_bits is None else accumulator_bits
    lsb = fmt.accumulator_lsb if accumulator_lsb is None else accumulator_lsb
    if bits > 64:
        raise UserError(
            f"the accumulator of {fmt.spec} is too wide to convert", value=bits, allowed="up to 64 bits"
        )
    sums = np.asarray(accumulators, np.int64)
    kept = np.where(sums == -(1 << (bits - 1)), 0, sums)
    if fits_converter_from_floats(bits, lsb) and compiled_loops.pay_off(sums.size):
        # Sums that floats hold exactly take the converter from floats: the same roundings, compiled.
        codes = fmt.encode(kept.astype(np.float64) * 2.0**lsb)
    else:
        codes = _convert(kept, lsb, fmt).astype(fmt.code_dtype)
    if is_infinite is not None:
        codes[np.asarray(is_infinite, np.bool_)] = fmt.code_of_infinity
    return codes


def fits_converter_from_floats(bits: int, lsb: int) -> bool:
    """Whether the converter from float32 gives the codes of all accumulators: the same roundings."""
    return bits <= 54 and lsb >= -126 and lsb + bits <= 127


def _convert(sums: IntArray, lsb: int, fmt: LogFormat) -> IntArray:
    """Codes of sums: the leading one, the beta bits behind it rounded to nearest even, the table."""
    magnitude = np.abs(sums)
    position = leading_one(np.maximum(magnitude, 1))
    above, below = np.maximum(position - fmt.beta, 0), np.maximum(fmt.beta - position, 0)
    rounded = shift_right_to_nearest_even(magnitude, above) << below
    carry = rounded >> (fmt.beta + 1)  # rounding up past all ones leaves fraction 0 and the next exponent
    fraction = np.where(carry == 1, 0, rounded & _ones(fmt.beta))
    codes = linear_to_code((sums < 0).astype(np.int64), position + carry + lsb, fraction, fmt)
    return np.asarray(np.where(magnitude == 0, 0, codes))


def _ones(bits: int) -> int:
    return (1 << bits) - 1


def _read_only(table: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    table.setflags(write=False)
    return table
