"""Integers and fixed point: codes that count equal steps (`int8`, `uint4`, `fix8.5`, `ufix8.5`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Codes
from simulator.numerics.formats.number_format import NUMBER, Family, Format, check_width
from simulator.numerics.formats.tensor_fit import SCALED, WHOLE_NUMBERS, Calibration


@dataclass(frozen=True, repr=False)
class FixedPoint(Format):
    """`bits`-wide codes in steps of 2**-fraction_bits, two's complement when signed.

    Encoding rounds to nearest, ties to even, and saturates; infinities saturate, NaN and minus zero become 0,
    and negative values become 0 when unsigned.
    """

    bits: int
    fraction_bits: int
    signed: bool
    twos_complement: ClassVar[bool] = True

    @property
    def spec(self) -> str:
        """`fix8.5` or `ufix8.5`."""
        return f"{'' if self.signed else 'u'}fix{self.bits}.{self.fraction_bits}"

    @property
    def family(self) -> str:
        """Fixed point."""
        return "fixed point"

    @property
    def significand_bits(self) -> int:
        """All bits of the code."""
        return self.bits

    @property
    def exponent_bits(self) -> int:
        """None."""
        return 0

    @property
    def calibration(self) -> Calibration:
        """Scaled: the binary point alone seldom suits a tensor."""
        return SCALED

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and the highest code as integers, in units of the lowest bit."""
        if self.signed:
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1

    def _decode(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        steps: npt.NDArray[np.int64] = codes
        if self.signed:
            sign_bit = 1 << (self.bits - 1)
            steps = (codes ^ sign_bit) - sign_bit
        return np.ldexp(steps.astype(np.float64), -self.fraction_bits)

    def _encode(self, reals: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        low, high = self.limits
        numbers = np.where(np.isnan(reals), 0.0, reals)
        # Clipping first keeps the scaling free of overflow; the limits themselves do not round.
        inside = np.clip(
            numbers, np.ldexp(float(low), -self.fraction_bits), np.ldexp(float(high), -self.fraction_bits)
        )
        with np.errstate(under="ignore"):
            steps = np.rint(np.ldexp(inside, self.fraction_bits))
        return np.asarray(steps.astype(np.int64) & ((1 << self.bits) - 1))

    def _encode_compiled(self, reals: npt.NDArray[np.float32 | np.float64], codes: Codes) -> None:
        from simulator.numerics.formats import code_kernels as kernels

        low, high = self.limits
        kernels.encode_fixed_point(reals, 2.0**self.fraction_bits, float(low), float(high), codes)
        codes &= codes.dtype.type((1 << self.bits) - 1)  # the sign bits beyond the code


@dataclass(frozen=True, repr=False)
class Integer(FixedPoint):
    """Fixed point without fraction bits; a real value is code x scale, the scale kept elsewhere."""

    @property
    def spec(self) -> str:
        """`int8` or `uint8`."""
        return f"{'' if self.signed else 'u'}int{self.bits}"

    @property
    def family(self) -> str:
        """Integer."""
        return "integer"

    @property
    def calibration(self) -> Calibration:
        """Scaled: whole numbers mean nothing without a scale."""
        return WHOLE_NUMBERS


def _integer(match: re.Match[str]) -> Format:
    bits = int(match["bits"])
    check_width(match[0], "width", bits, 2, 16)
    return Integer(bits, 0, signed=not match["unsigned"])


def _fixed_point(match: re.Match[str]) -> Format:
    bits, fraction_bits = int(match["bits"]), int(match["fraction"] or 0)
    check_width(match[0], "width", bits, 2, 16)
    check_width(match[0], "number of fraction bits", fraction_bits, 0, bits)
    return FixedPoint(bits, fraction_bits, signed=not match["unsigned"])


FAMILIES = (
    Family(
        name="integer",
        syntax="int<bits> or uint<bits>, 2 to 16 bits",
        pattern=re.compile(rf"(?P<unsigned>u?)int(?P<bits>{NUMBER})"),
        build=_integer,
        examples=("int8", "uint8", "int4", "uint4", "int16"),
        summary="two's complement or unsigned; rounds to nearest even, saturates; NaN becomes 0",
    ),
    Family(
        name="fixed point",
        syntax="fix<bits>.<fraction bits> or ufix<bits>.<fraction bits>, 2 to 16 bits",
        pattern=re.compile(rf"(?P<unsigned>u?)fix(?P<bits>{NUMBER})(\.(?P<fraction>{NUMBER}))?"),
        build=_fixed_point,
        examples=("fix8.5", "ufix8.5", "fix8.0"),
        summary="two's complement or unsigned with a binary point; otherwise as integers",
    ),
)
