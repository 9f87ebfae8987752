"""Log numbers: posit-tapered `log8.1` and flat `log16` as in the circuits of arXiv 1811.01721.

float32 to code is the circuit's converter in every bit pattern, its quirks included: three roundings, 0 and
the smallest value alternating just below the smallest value, and 0 for values next to 2**128.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from simulator.numerics.formats.number_format import NUMBER, Family, Format, check_width
from simulator.numerics.formats.pattern_format import PatternFormat
from simulator.numerics.formats.pattern_table import PatternTable
from simulator.numerics.formats.tapered_format import TaperedFormat
from simulator.numerics.formats.tensor_fit import UNSCALED, Calibration
from simulator.numerics.hardware import Parts, float_converter, log_table, tapered_encoder
from simulator.numerics.logarithm import log2_table, log_to_code, pow2_table
from simulator.numerics.tapered import Fields, IntArray, TaperedLayout


class LogBase(PatternFormat):
    """What tapered and flat log formats share: the tables and the converter from float32.

    Encoding gives the code of infinity for NaN, infinities and values from 2**128 on, which float32 does
    not hold, and code 0 for zeros of either sign and float32 denormals. Everything else has its linear
    fraction rounded to beta bits, RTNE, from float64 as directly as from float32. The converter's 8-bit
    exponent register wraps from 128 to -128, so values that round up to 2**128 give code 0.
    """

    is_monotonic: ClassVar[bool] = False

    signed: bool = True
    alpha: int
    beta: int
    gamma: int

    @property
    @abstractmethod
    def log_fraction_bits(self) -> int:
        """Fraction bits F of an unpacked code."""

    @property
    @abstractmethod
    def exponent_limits(self) -> tuple[int, int]:
        """The ends of the two's complement register that holds an unpacked exponent."""

    @property
    @abstractmethod
    def accumulator_bits(self) -> int:
        """Width of the Kulisch accumulator that holds sums of products, sign included."""

    @property
    @abstractmethod
    def accumulator_lsb(self) -> int:
        """log2 of the weight of the accumulator's lowest bit."""

    @property
    @abstractmethod
    def code_of_infinity(self) -> int:
        """The code of infinity and NaN."""

    @abstractmethod
    def unpack(self, codes: npt.NDArray[np.integer]) -> Fields:
        """Sign, exponent and log fraction of codes, in units of 2**-log_fraction_bits."""

    @abstractmethod
    def pack(self, sign: IntArray, exponent: IntArray, log_fraction: IntArray) -> IntArray:
        """Codes of log numbers with `gamma` fraction bits and exponents within `exponent_limits`."""

    @property
    def significand_bits(self) -> int:
        """The linear significand behind the pow2 table: alpha bits and the leading one."""
        return self.alpha + 1

    @property
    def exponent_bits(self) -> int:
        """The unpacked signed exponent."""
        return (self.exponent_limits[1] + 1).bit_length()

    def converter(self, accumulator_bits: int) -> Parts:
        """A float of beta fraction bits, and the table from its fraction to a log fraction."""
        parts = float_converter(accumulator_bits, self.beta + 1, self.exponent_bits)
        return parts + log_table(self.beta, self.gamma)

    def _decode(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        fields = self.unpack(codes)
        significand = (1 << self.alpha) + pow2_table(self.log_fraction_bits, self.alpha)[fields.fraction]
        magnitude = np.ldexp(significand.astype(np.float64), fields.exponent - self.alpha)
        magnitude = np.where(fields.is_zero, 0.0, np.where(fields.is_infinite, np.inf, magnitude))
        return np.where(fields.sign == 1, -magnitude, magnitude)

    @cached_property
    def pattern_table(self) -> PatternTable:
        """The code of every float, by its leading bits."""
        return PatternTable(
            least_exponent=-127,
            greatest_exponent=128,
            fraction_bits=self.beta,
            sticky=False,
            float32_range=True,
            code_of_infinity=self.code_of_infinity,
            code_of=self._from_float32,
            dtype=self.code_dtype,
        )

    def _from_float32(self, sign: IntArray, exponent: IntArray, fraction: IntArray) -> IntArray:
        """Codes of float32 values already rounded to beta fraction bits; exponent -127 is zero and denormals.

        Exponent 128 stands for finite values that rounded up to it: true infinities never come here.
        """
        log_fraction = log2_table(self.beta, self.gamma)[fraction]
        carried = exponent + (log_fraction >> self.gamma)
        wrapped = ((carried + 128) & 0xFF) - 128
        codes = log_to_code(sign, wrapped, log_fraction & ((1 << self.gamma) - 1), self)
        return np.where(exponent == -127, 0, codes)


@dataclass(frozen=True, repr=False)
class TaperedLog(TaperedFormat, LogBase):
    """(N, s, alpha, beta, gamma) log number: the layout of a posit, with a log fraction."""

    bits: int
    exponent_field_bits: int
    alpha: int
    beta: int
    gamma: int

    @property
    def spec(self) -> str:
        """`log8.1`, with (alpha,beta,gamma) unless they are the default ones."""
        name = f"log{self.bits}.{self.exponent_field_bits}"
        tables = (self.alpha, self.beta, self.gamma)
        if tables == _default_tables(self.layout.fraction_bits):
            return name
        return f"{name}({','.join(map(str, tables))})"

    @property
    def family(self) -> str:
        """Tapered log."""
        return "tapered log"

    def converter(self, accumulator_bits: int) -> Parts:
        """As every log number's, then shifted behind the run of the regime."""
        trailing_bits = self.gamma - self.log_fraction_bits
        return super().converter(accumulator_bits) + tapered_encoder(self.bits, trailing_bits)

    @property
    def log_fraction_bits(self) -> int:
        """The longest fraction, N - 3 - s bits."""
        return self.layout.fraction_bits

    @property
    def exponent_limits(self) -> tuple[int, int]:
        """-16 to 15 for log8.1."""
        half = 1 << (self.layout.signed_exponent_bits - 1)
        return -half, half - 1

    def pack(self, sign: IntArray, exponent: IntArray, log_fraction: IntArray) -> IntArray:
        """RTNE on the tapered bit string, in the log domain; never infinity.

        Below the smallest value the circuit rounds by the lowest bits of the fraction alone, whatever the
        exponent: the smallest value where they are past half, else 0.
        """
        trailing_bits = self.gamma - self.log_fraction_bits
        trailing = log_fraction & ((1 << trailing_bits) - 1)
        smallest_or_zero = np.where(2 * trailing > (1 << trailing_bits), 1, 0)
        underflow = exponent < -self.layout.greatest_exponent
        regular = self.layout.round_to_magnitude(
            np.maximum(exponent, -self.layout.greatest_exponent), log_fraction, trailing_bits
        )
        magnitude = np.where(underflow, smallest_or_zero, regular)
        return np.where(magnitude == 0, 0, magnitude | (sign << (self.bits - 1)))


@dataclass(frozen=True, repr=False)
class FlatLog(LogBase):
    """The 16-bit log number laid out as an IEEE half: sign, 5 exponent bits, 10 log fraction bits.

    Exponent field 31 is infinity and field 0 is zero, whatever sign and fraction say. The table's rounding
    is the last one. The converter writes the field as (e + 15) mod 32, so that magnitudes in the binade of
    2**-16 give infinity and those in the binade of 2**-15 give zero.
    """

    infinity_of_tiny_values: ClassVar[bool] = True

    alpha: int
    beta: int
    bits: int = 16
    gamma: int = 10

    @property
    def spec(self) -> str:
        """`log16`, with (alpha,beta,gamma) unless they are (11,11,10)."""
        if (self.alpha, self.beta) == (11, 11):
            return "log16"
        return f"log16({self.alpha},{self.beta},{self.gamma})"

    @property
    def family(self) -> str:
        """Flat log."""
        return "flat log"

    @property
    def calibration(self) -> Calibration:
        """Unscaled."""
        return UNSCALED

    @property
    def log_fraction_bits(self) -> int:
        """10."""
        return self.gamma

    @property
    def exponent_limits(self) -> tuple[int, int]:
        """-16 to 15."""
        return -16, 15

    @property
    def accumulator_bits(self) -> int:
        """49."""
        return 49

    @property
    def accumulator_lsb(self) -> int:
        """-32."""
        return -32

    @property
    def code_of_infinity(self) -> int:
        """Exponent field 31, fraction 0."""
        return 31 << 10

    def unpack(self, codes: npt.NDArray[np.integer]) -> Fields:
        """Sign, exponent and log fraction of codes; zero and infinity read as positive, -15 and 0."""
        patterns = np.asarray(codes).astype(np.int64)
        field = (patterns >> 10) & 31
        special = (field == 0) | (field == 31)
        return Fields(
            sign=np.where(special, 0, patterns >> 15),
            exponent=np.where(special, 0, field) - 15,
            fraction=np.where(special, 0, patterns & 1023),
            is_zero=field == 0,
            is_infinite=field == 31,
        )

    def pack(self, sign: IntArray, exponent: IntArray, log_fraction: IntArray) -> IntArray:
        """The three fields side by side, the exponent field modulo 32."""
        return (sign << 15) | (((exponent + 15) & 31) << 10) | log_fraction


def _default_tables(fraction_bits: int) -> tuple[int, int, int]:
    """(alpha, beta, gamma) of (8,1,5,5,7), for fractions of any length."""
    return fraction_bits + 1, fraction_bits + 1, fraction_bits + 3


def _tables(match: re.Match[str]) -> tuple[int, int, int] | None:
    if match["tables"] is None:
        return None
    alpha, beta, gamma = (int(number) for number in match["tables"].split(","))
    return alpha, beta, gamma


def _tapered(match: re.Match[str]) -> Format:
    spec, bits, exponent_field_bits = match[0], int(match["bits"]), int(match["exponent"])
    check_width(spec, "exponent field", exponent_field_bits, 0, 3)
    check_width(spec, "width", bits, exponent_field_bits + 4, 16)
    fraction_bits = TaperedLayout(bits, exponent_field_bits).fraction_bits
    alpha, beta, gamma = _tables(match) or _default_tables(fraction_bits)
    check_width(spec, "alpha", alpha, max(1, fraction_bits - 1), 20)  # below, the pow2 table would carry
    check_width(spec, "beta", beta, 1, 14)
    check_width(spec, "gamma", gamma, fraction_bits, 20)
    return TaperedLog(bits, exponent_field_bits, alpha, beta, gamma)


def _flat(match: re.Match[str]) -> Format:
    alpha, beta, gamma = _tables(match) or (11, 11, 10)
    check_width(match[0], "alpha", alpha, 9, 20)
    check_width(match[0], "beta", beta, 1, 14)
    check_width(match[0], "gamma", gamma, 10, 10)
    return FlatLog(alpha, beta)


FAMILIES = (
    Family(
        name="tapered log",
        syntax="log<bits>.<s>[(<alpha>,<beta>,<gamma>)]",
        pattern=re.compile(
            rf"log(?P<bits>{NUMBER})\.(?P<exponent>{NUMBER})(\((?P<tables>{NUMBER},{NUMBER},{NUMBER})\))?"
        ),
        build=_tapered,
        examples=("log8.1", "log8.1(5,8,7)", "log8.0", "log7.1", "log9.1"),
        summary="Johnson 2018, posit-tapered; rounds and saturates as the circuit does; infinity is also NaN",
    ),
    Family(
        name="flat log",
        syntax="log16[(<alpha>,<beta>,10)]",
        pattern=re.compile(rf"log16(\((?P<tables>{NUMBER},{NUMBER},{NUMBER})\))?"),
        build=_flat,
        examples=("log16",),
        summary="Johnson 2018, half-float layout of a log number; infinity is also NaN",
    ),
)
