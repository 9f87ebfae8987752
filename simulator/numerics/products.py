"""Product rules: what one pair of codes adds to a fixed accumulator, in units of its lowest bit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from simulator.numerics.accumulators import wrap
from simulator.numerics.formats import Format
from simulator.numerics.logarithm import LogFormat, pow2_table

if TYPE_CHECKING:
    from simulator.numerics.mac_spec import FixedAccumulator

_INT64_LIMIT = 1 << 63
_EVERYTHING = 63
"""A right shift that leaves only the sign of an int64."""

Codes = npt.NDArray[np.unsignedinteger[Any]]


class Products(Protocol):
    """A product rule bound to its formats and accumulator."""

    @property
    def limits(self) -> tuple[int, int]:
        """Lowest and highest increment of any pair of codes, before the accumulator keeps its bits."""

    def increments(self, activations: Codes, weights: Codes) -> npt.NDArray[Any]:
        """Increments of valid codes, broadcasting; int64, or Python integers where 64 bits are not enough.

        Infinity and NaN add 0.
        """


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

    @property
    def limits(self) -> tuple[int, int]:
        """From the four corners of the operand ranges."""
        corners = [
            _shift_floor(a * w, self.shift) for a in _ends(self.activation) for w in _ends(self.weight)
        ]
        return min(corners), max(corners)

    def increments(self, activations: Codes, weights: Codes) -> npt.NDArray[Any]:
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


@dataclass(frozen=True, slots=True)
class LogOperand:
    """Every code of a log format, unpacked."""

    logarithms: npt.NDArray[np.int64]
    """Exponent and fraction as one integer, in units of 2**-fraction_bits."""

    is_negative: npt.NDArray[np.bool_]
    is_special: npt.NDArray[np.bool_]
    """Zero and infinity, which add nothing."""

    @classmethod
    def of(cls, fmt: LogFormat) -> LogOperand:
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

    activation: LogFormat
    weight: LogFormat
    accumulator: FixedAccumulator

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
        return self.accumulator.bits - 2 + self.accumulator.lsb

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
        base = signed << (self.accumulator.bits - 2 - self.alpha)
        count = self.top_exponent - (log_sums >> self.fraction_bits)
        kept = np.where(count < 0, _EVERYTHING, np.minimum(count, _EVERYTHING))
        return wrap(base >> kept, self.accumulator.bits)

    def increments(self, activations: Codes, weights: Codes) -> npt.NDArray[Any]:
        """See `Products.increments`."""
        a, w = self.activation_logs, self.weight_logs
        log_sums = a.logarithms[activations] + w.logarithms[weights]
        negative = a.is_negative[activations] ^ w.is_negative[weights]
        nothing = a.is_special[activations] | w.is_special[weights]
        return np.where(nothing, 0, self.of_log_sum(log_sums, negative))


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
