"""Product rules: what one pair of codes adds to a fixed accumulator, in units of its lowest bit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Booleans, Codes, Integers
from simulator.numerics.block_scaled.block_scaling import BlockScaling
from simulator.numerics.formats import Format
from simulator.numerics.formats.log import LogBase
from simulator.numerics.hardware import (
    Combinational,
    exact_float_parts,
    integer_parts,
    log_parts,
    mixed_parts,
)
from simulator.numerics.logarithm import pow2_table
from simulator.numerics.twos_complement import wrap

ProductRule = Literal["exact", "log", "fused"]

_INT64_LIMIT = 1 << 63
_EVERYTHING = 63
"""A right shift that leaves only the sign of an int64."""


@dataclass(frozen=True, slots=True)
class OperandPair:
    """The formats of a MAC's operands, the rule by which they multiply, and their block scales if any."""

    activation: Format
    weight: Format
    product: ProductRule
    blocks: BlockScaling | None = None

    @property
    def specs(self) -> str:
        """Activation x weight."""
        return f"{self.activation.spec} x {self.weight.spec}"

    @property
    def register_bits(self) -> tuple[int, int]:
        """Widths of the operand registers."""
        return self.activation.register_bits, self.weight.register_bits

    @property
    def significand_bits(self) -> tuple[int, int]:
        """Widths that a multiplier takes."""
        return self.activation.significand_bits, self.weight.significand_bits

    @property
    def exponent_bits(self) -> int:
        """Width of an adder of exponents."""
        return max(self.activation.exponent_bits, self.weight.exponent_bits)

    @property
    def largest_product(self) -> Fraction:
        """The largest magnitude of a product of finite values."""
        largest = [max(fmt.largest, -fmt.lowest) for fmt in (self.activation, self.weight)]
        return Fraction(largest[0]) * Fraction(largest[1])

    def has_special(self, activations: npt.ArrayLike, weights: npt.ArrayLike) -> Booleans:
        """Where either of two codes is infinite or NaN; broadcasting."""
        return np.logical_or(
            ~np.isfinite(self.activation.decode(activations)), ~np.isfinite(self.weight.decode(weights))
        )


class Products(Protocol):
    """A product rule bound to its formats and accumulator."""

    @property
    def limits(self) -> tuple[int, int]:
        """Lowest and highest increment of any pair of codes, before the accumulator keeps its bits."""

    def increments(self, activations: Codes, weights: Codes) -> Integers:
        """Increments of valid codes, broadcasting; int64, or Python integers where 64 bits are not enough.

        Infinity and NaN add 0.
        """

    @property
    def relative_error(self) -> float:
        """How far, relative to its value, the rule may take a product from the exact one."""

    @property
    def vanishes(self) -> bool:
        """Whether products past the accumulator's top vanish in place of overflowing."""

    def combinational(self, accumulator_bits: int) -> Combinational:
        """The parts that multiply, shift and add."""

    @property
    def status_bits(self) -> int:
        """Flags beside the accumulator."""

    @property
    def output_bits(self) -> int:
        """Width of what goes on to the next layer."""


@dataclass(frozen=True)
class ExactProducts:
    """The exact product, cut off (towards minus infinity) below the accumulator's lowest bit 2**lsb."""

    activation: Format
    weight: Format
    lsb: int

    @property
    def shift(self) -> int:
        """Left shift from the integer product to accumulator units; negative where bits are cut off."""
        return self.activation.lsb + self.weight.lsb - self.lsb

    @cached_property
    def activation_integers(self) -> npt.NDArray[np.float64]:
        """Every activation code's value in units of 2**activation.lsb; exact integers, 0 for specials."""
        return _integers(self.activation)

    @cached_property
    def weight_integers(self) -> npt.NDArray[np.float64]:
        """Every weight code's value in units of 2**weight.lsb; exact integers, 0 for specials."""
        return _integers(self.weight)

    @cached_property
    def limits(self) -> tuple[int, int]:
        """From the four corners of the operand ranges."""
        corners = [
            _shift_floor(a * w, self.shift) for a in _ends(self.activation) for w in _ends(self.weight)
        ]
        return min(corners), max(corners)

    def increments(self, activations: Codes, weights: Codes) -> Integers:
        """See `Products.increments`."""
        a, w = self.activation_integers[activations], self.weight_integers[weights]
        if self._fits_int64:
            whole = a.astype(np.int64) * w.astype(np.int64)
            return whole << self.shift if self.shift >= 0 else whole >> min(-self.shift, 63)
        whole = _python_integers(a) * _python_integers(w)
        return np.asarray(whole << self.shift if self.shift >= 0 else whole >> -self.shift, object)

    @cached_property
    def _fits_int64(self) -> bool:
        largest = max(abs(a * w) for a in _ends(self.activation) for w in _ends(self.weight))
        return max(largest, largest << max(self.shift, 0)) < _INT64_LIMIT

    @property
    def relative_error(self) -> float:
        """None but what float64 loses in a long sum that one compares it with."""
        return 2.0**-40

    @property
    def vanishes(self) -> bool:
        """Products past the top overflow."""
        return False

    def combinational(self, accumulator_bits: int) -> Combinational:
        """By which of the operands has an exponent: integer, mixed or float arithmetic."""
        a, w = self.activation, self.weight
        if a.has_exponent and w.has_exponent:
            significands = a.significand_bits, w.significand_bits
            return exact_float_parts(significands, max(a.exponent_bits, w.exponent_bits), accumulator_bits)
        if not (a.has_exponent or w.has_exponent):
            return integer_parts((a.significand_bits, w.significand_bits), accumulator_bits)
        floating, uniform = (a, w) if a.has_exponent else (w, a)
        return mixed_parts(
            floating.significand_bits, floating.exponent_bits, uniform.significand_bits, accumulator_bits
        )

    @property
    def status_bits(self) -> int:
        """Those of a format whose circuit keeps some, where both operands are of its kind."""
        return self.activation.status_bits if self.weight.has_exponent else 0

    @property
    def output_bits(self) -> int:
        """As an activation's register."""
        return self.activation.register_bits


@dataclass(frozen=True, slots=True)
class LogOperand:
    """Every code of a log format, unpacked."""

    logarithms: npt.NDArray[np.int64]
    """Exponent and fraction as one integer, in units of 2**-fraction_bits."""

    is_negative: npt.NDArray[np.bool_]
    is_special: npt.NDArray[np.bool_]
    """Zero and infinity, which add nothing."""

    @classmethod
    def of(cls, fmt: LogBase) -> LogOperand:
        """Unpack all codes of a format."""
        fields = fmt.unpack(np.arange(1 << fmt.bits))
        return cls(
            (fields.exponent << fmt.log_fraction_bits) + fields.fraction,
            fields.sign == 1,
            fields.is_zero | fields.is_infinite,
        )


@dataclass(frozen=True)
class LogProducts:
    """Johnson's log multiply: add logarithms, look up the fraction's power of two, shift.

    The significand (1 and `alpha` table bits) is negated first and then shifted right from the
    accumulator's top, arithmetically: what falls below the lowest bit is cut off towards minus infinity.
    Products above the accumulator's top vanish: 0, or -1 if negative. (In the published circuits, of 38 and
    49 bits, that is what their shift count of 6 bits does: below 0 it wraps to more than the accumulator has
    bits. At other widths, where it might wrap to less, the count is taken to be wide enough to vanish too.)
    """

    activation: LogBase
    weight: LogBase
    accumulator_bits: int
    accumulator_lsb: int

    @property
    def fraction_bits(self) -> int:
        """Fraction bits of a logarithm, the same in both operands."""
        return self.activation.log_fraction_bits

    @property
    def alpha(self) -> int:
        """Fraction bits of the significand that the table gives."""
        return self.activation.alpha

    @cached_property
    def activation_logs(self) -> LogOperand:
        """The activation codes, unpacked."""
        return LogOperand.of(self.activation)

    @cached_property
    def weight_logs(self) -> LogOperand:
        """The weight codes, unpacked."""
        return LogOperand.of(self.weight)

    @property
    def top_exponent(self) -> int:
        """log2 of the accumulator's highest bit below its sign."""
        return self.accumulator_bits - 2 + self.accumulator_lsb

    @cached_property
    def limits(self) -> tuple[int, int]:
        """From the finest steps of every sum of logarithms that two codes can make."""
        sums = np.arange(self.least_log_sum, self.greatest_log_sum + 1)
        positive, negative = self.of_log_sum(sums, np.False_), self.of_log_sum(sums, np.True_)
        return min(int(negative.min()), 0), max(int(positive.max()), 0)

    @property
    def least_log_sum(self) -> int:
        """Smallest sum of two logarithms, in units of 2**-fraction_bits."""
        return int(self.activation_logs.logarithms.min() + self.weight_logs.logarithms.min())

    @property
    def greatest_log_sum(self) -> int:
        """Largest sum of two logarithms, in units of 2**-fraction_bits."""
        return int(self.activation_logs.logarithms.max() + self.weight_logs.logarithms.max())

    def of_log_sum(
        self, log_sums: npt.NDArray[np.int64], negative: npt.NDArray[np.bool_] | np.bool_
    ) -> npt.NDArray[np.int64]:
        """The increment of a product whose logarithm is `log_sums` (units of 2**-fraction_bits)."""
        powers = pow2_table(self.fraction_bits, self.alpha)
        significand = (1 << self.alpha) + powers[log_sums & ((1 << self.fraction_bits) - 1)]
        signed = np.where(negative, -significand, significand)
        base = signed << (self.accumulator_bits - 2 - self.alpha)
        count = self.top_exponent - (log_sums >> self.fraction_bits)
        kept = np.where(count < 0, _EVERYTHING, np.minimum(count, _EVERYTHING))
        return wrap(base >> kept, self.accumulator_bits)

    def increments(self, activations: Codes, weights: Codes) -> Integers:
        """See `Products.increments`."""
        a, w = self.activation_logs, self.weight_logs
        log_sums = a.logarithms[activations] + w.logarithms[weights]
        negative = a.is_negative[activations] ^ w.is_negative[weights]
        nothing = a.is_special[activations] | w.is_special[weights]
        return np.where(nothing, 0, self.of_log_sum(log_sums, negative))

    @property
    def relative_error(self) -> float:
        """Three table entries, each half a unit of 2**-alpha off, relative to significands of 1 or more."""
        return 3 * 2.0 ** -(self.alpha + 1)

    @property
    def vanishes(self) -> bool:
        """Products past the top vanish."""
        return True

    def combinational(self, accumulator_bits: int) -> Combinational:
        """Logarithms added, made linear by a table, shifted and added."""
        exponent_bits = max(self.activation.exponent_bits, self.weight.exponent_bits)
        return log_parts(exponent_bits, self.fraction_bits, self.alpha, accumulator_bits)

    @property
    def status_bits(self) -> int:
        """Infinity."""
        return 1

    @property
    def output_bits(self) -> int:
        """As an activation's code."""
        return self.activation.bits


def _integers(fmt: Format) -> npt.NDArray[np.float64]:
    values = fmt.values()
    integers = np.ldexp(np.where(np.isfinite(values), values, 0.0), -fmt.lsb) + 0.0
    integers.setflags(write=False)
    return integers


def _ends(fmt: Format) -> tuple[int, int]:
    """The least and the greatest value in units of 2**lsb."""
    unit = Fraction(2) ** fmt.lsb
    return int(Fraction(fmt.lowest) / unit), int(Fraction(fmt.largest) / unit)


def _shift_floor(number: int, shift: int) -> int:
    return number << shift if shift >= 0 else number >> -shift


def _python_integers(values: npt.NDArray[np.float64]) -> npt.NDArray[np.object_]:
    return np.asarray(np.frompyfunc(int, 1, 1)(values), object)
