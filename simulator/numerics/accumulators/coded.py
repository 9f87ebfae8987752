"""Accumulators whose register holds codes of a float format: what they share, however a step rounds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.accumulators.accumulator import Accumulator, WorstSum
from simulator.numerics.accumulators.lost_sums import lost_float_sums
from simulator.numerics.array_types import Accumulators, Booleans, Codes, Integers, Reals
from simulator.numerics.formats import Format, as_codes, get_format
from simulator.numerics.formats.minifloat import Minifloat
from simulator.numerics.hardware import Combinational, PeCircuit, fused_parts
from simulator.numerics.product_rules import OperandPair

MAX_FUSED_PRECISION = 24
"""Significand bits of operands and float accumulators: two fit one float64 product exactly."""

_FUSED_RANGE = 960
"""Products and sums stay within 2**-960 .. 2**960: float64 steps neither overflow nor lose bits there."""


class CodedAccumulator(Accumulator):
    """A float that every step rounds into; infinity and NaN are in its codes, as far as the format has them.

    At every step the register holds what the format encodes: a format that saturates makes the largest value
    of an infinity, and one without NaN makes 0 of it.
    """

    __slots__ = ()

    format: str
    """The spec of the register's format."""

    @property
    def stays_finite(self) -> bool:
        """Whether finite sums past the largest value end at it, and do not become infinite."""
        return not self.number_format.overflows_to_infinity

    @property
    @abstractmethod
    def relative_step(self) -> float:
        """The largest error of one rounding, relative to the result."""

    @abstractmethod
    def values_after(self, sums: Reals, activations: Reals, weights: Reals, pair: OperandPair) -> Reals:
        """The values after one more product, numbers of the format."""

    @property
    def number_format(self) -> Format:
        """The register's format."""
        return get_format(self.format)

    @property
    def identity(self) -> str:
        """The format."""
        return self.number_format.spec

    @property
    def width(self) -> int:
        """Of the format's codes."""
        return self.number_format.bits

    @property
    def lowest_exponent(self) -> int:
        """log2 of the smallest subnormal number."""
        return self.number_format.lsb

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the format's codes."""
        return self.number_format.code_dtype

    @property
    def limit(self) -> Fraction:
        """The format's largest value."""
        return Fraction(self.number_format.largest)

    @property
    def on_overflow(self) -> str:
        """By the format: `infinity` or `saturate`."""
        return "infinity" if self.number_format.overflows_to_infinity else "saturate"

    @property
    def carries_specials(self) -> bool:
        """In its codes."""
        return True

    def checked(self, values: npt.NDArray[Any]) -> Accumulators:
        """Codes of the format. Raises UserError for others."""
        return as_codes(self.number_format, values)

    def check(self, pair: OperandPair, source: str) -> None:
        """Refuse whatever float64 steps could not do exactly. Raises UserError."""
        if pair.product != "fused":
            raise UserError(
                "does not go with a float accumulator",
                source=source,
                location="product",
                value=pair.product,
                allowed="fused",
            )
        fmt = self.number_format
        if not isinstance(fmt, Minifloat) or not fmt.signed:
            raise UserError(
                "is not a signed float format",
                source=source,
                location="accumulator.format",
                value=self.format,
                allowed="fp16, bf16, fp32 or a minifloat such as 'e6m9'",
            )
        fields = ((pair.activation, "activation"), (pair.weight, "weight"), (fmt, "accumulator.format"))
        for each, field in fields:
            if each.significand_bits > MAX_FUSED_PRECISION:
                raise UserError(
                    "is too precise to be fused",
                    source=source,
                    location=field,
                    value=each.spec,
                    allowed=f"up to {MAX_FUSED_PRECISION} significand bits",
                )
        least, greatest = _product_range(pair.activation, pair.weight)
        least, greatest = min(least, fmt.lsb), max(greatest, fmt.exponent_range[1])
        if least < -_FUSED_RANGE or greatest >= _FUSED_RANGE:
            raise UserError(
                f"products of {pair.specs}, or sums in {fmt.spec}, leave the range that float steps are"
                " exact in",
                source=source,
                value=f"2^{least} to 2^{greatest}",
                allowed=f"2^-{_FUSED_RANGE} to 2^{_FUSED_RANGE}",
            )

    def step(self, pair: OperandPair, sums: Accumulators, activations: Codes, weights: Codes) -> Accumulators:
        """Codes after one more product."""
        fmt = self.number_format
        a, w = pair.activation.decode(activations), pair.weight.decode(weights)
        return fmt.encode(self.values_after(fmt.decode(sums), a, w, pair))

    def product(self, pair: OperandPair, activations: Codes, weights: Codes) -> Integers:
        """The code after this one product from zero."""
        return self.step(pair, np.zeros((), self.dtype), activations, weights).astype(np.int64)

    def infinite(self, sums: Accumulators, operands: Callable[[], Booleans]) -> Booleans:
        """Those that are infinite or NaN; where the format saturates, also those with such an operand."""
        fmt = self.number_format
        lost = ~np.isfinite(fmt.decode(sums))
        return lost if fmt.overflows_to_infinity else lost | operands()

    def decode(self, sums: Accumulators) -> Reals:
        """The values of codes."""
        return self.number_format.decode(sums)

    def shifted(self, sums: Accumulators, offsets: Reals, exponent: int) -> Accumulators:
        """Rounded to the format once."""
        return self.number_format.encode((self.decode(sums) + offsets) * 2.0**exponent)

    def worst_sum(self, pair: OperandPair, length: int) -> WorstSum:
        """From the largest product; what rounds away is not counted."""
        product = pair.largest_product
        return WorstSum(product * length, int(self.limit / product))

    @property
    def undisturbed(self) -> float:
        """Half of the largest value."""
        return float(self.number_format.largest) / 2

    def rounding_error(self, pair: OperandPair, extent: Reals, length: int) -> Reals:  # noqa: ARG002
        """Each step rounds a partial sum of at most `extent`; flushing loses up to a normal number."""
        growth = np.expm1((length + 1) * np.log1p(self.relative_step))
        return np.asarray(extent * growth + length * 2 * self.number_format.smallest_normal)

    def lost_sums(self, pair: OperandPair, activations: Codes, weights: Codes, sums: Accumulators) -> int:
        """Those that became infinite or NaN, or ended at the largest value where finite sums stay there."""
        return lost_float_sums(self.number_format, self.stays_finite, pair, activations, weights, sums)

    def combinational(self, pair: OperandPair) -> Combinational:
        """A fused multiply-add in the textbook structure."""
        fmt = self.number_format
        return fused_parts(pair.significand_bits, pair.exponent_bits, fmt.significand_bits, fmt.exponent_bits)

    def circuit(self, pair: OperandPair) -> PeCircuit:
        """A fused multiply-add; sums leave as they are."""
        return PeCircuit(
            combinational=self.combinational(pair),
            accumulator_bits=self.width,
            output_bits=self.width,
            composition="float",
        )

    def __str__(self) -> str:
        return f"{self.format} accumulator"


def can_be_fused(activation: Format, weight: Format) -> bool:
    """Whether some float accumulator takes products of these formats."""
    least, greatest = _product_range(activation, weight)
    precise = max(fmt.significand_bits for fmt in (activation, weight)) > MAX_FUSED_PRECISION
    return not precise and least >= -_FUSED_RANGE and greatest < _FUSED_RANGE


def _product_range(activation: Format, weight: Format) -> tuple[int, int]:
    """log2 of the grid of all products, and an exponent that none reaches."""
    operands = (activation, weight)
    return sum(fmt.lsb for fmt in operands), sum(fmt.exponent_range[1] + 1 for fmt in operands)
