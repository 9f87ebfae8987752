"""Minifloats whose every code is finite: `e4m3`, `e3m0`, `ue4m4b9`.

The four factors (exponent bits, fraction bits, bias, sign) are those of FFP8 (Huang et al. 2021, arXiv
2104.07329), of which only abstract and introduction were available: that exponent field 0 holds subnormals
and that there are no special values is this project's reading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.array_types import Codes
from simulator.numerics.formats.code_tables import compiled_loops
from simulator.numerics.formats.number_format import NUMBER, Family, Format, check_width
from simulator.numerics.formats.tensor_fit import SCALED, Calibration

_FRACTION64 = 52
_BIAS64 = 1023
_INFINITY64 = np.int64(0x7FF0_0000_0000_0000)
_NEAR_LIMITS = 960
"""Exponents beyond which float64 has no room for the steps of `nearest_values`."""

_MAGNITUDE64 = np.int64(0x7FFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True, repr=False)
class Minifloat(Format):
    """Sign bit (unless unsigned), E exponent and M fraction bits, any bias; every code is finite.

    Exponent field 0 holds the subnormals; there is neither infinity nor NaN, up to the highest code.

    Encoding rounds to nearest with ties to the even code, and saturates, infinities included. The sign of a
    zero is kept when there is a sign bit, also for values that round to zero; without one, negative values
    become 0. NaN becomes (plus) zero.
    """

    exponent_field_bits: int
    fraction_bits: int
    bias: int
    signed: bool = True

    @property
    def bits(self) -> int:  # type: ignore[override]  # derived here, a field elsewhere; read-only in both
        """Width of a code."""
        return int(self.signed) + self.exponent_field_bits + self.fraction_bits

    @property
    def spec(self) -> str:
        """`e4m3`, `ue4m4b9`; the bias is left out when it is 2**(E-1) - 1."""
        bias = "" if self.bias == default_bias(self.exponent_field_bits) else f"b{self.bias}"
        return f"{'' if self.signed else 'u'}e{self.exponent_field_bits}m{self.fraction_bits}{bias}"

    @property
    def family(self) -> str:
        """Minifloat."""
        return "minifloat"

    @property
    def significand_bits(self) -> int:
        """Fraction bits and the hidden bit."""
        return self.fraction_bits + 1

    @property
    def exponent_bits(self) -> int:
        """The exponent field."""
        return self.exponent_field_bits

    @property
    def calibration(self) -> Calibration:
        """Scaled: few exponents reach few tensors."""
        return SCALED

    @property
    def smallest_normal(self) -> float:
        """2**(1 - bias)."""
        return 2.0**self._least_exponent

    @property
    def code_of_nan(self) -> int:
        """What NaN encodes to: zero, for want of a NaN."""
        return 0

    @property
    def keeps_minus_zero(self) -> bool:
        """Whether zeros keep their sign: with a sign bit they do."""
        return self.signed

    @property
    def _least_exponent(self) -> int:
        return 1 - self.bias

    @property
    def overflow_from(self) -> float:
        """Magnitudes from here on all have the code of this one: saturation."""
        return self.largest

    def _decode(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        M = self.fraction_bits
        field = (codes >> M) & ((1 << self.exponent_field_bits) - 1)
        fraction = codes & ((1 << M) - 1)
        significand = np.where(field > 0, fraction + (1 << M), fraction)
        exponent = np.maximum(field, 1) - self.bias - M
        magnitude: npt.NDArray[np.float64] = np.ldexp(significand.astype(np.float64), exponent)
        negative = (codes >> (self.exponent_field_bits + M)) & 1 if self.signed else np.zeros_like(codes)
        return np.where(negative == 1, -magnitude, magnitude)

    def _encode(self, reals: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        patterns = reals.view(np.int64)
        magnitude = patterns & _MAGNITUDE64
        is_nan = magnitude > _INFINITY64
        limited = np.minimum(np.where(is_nan, 0, magnitude), np.float64(self.overflow_from).view(np.int64))
        # Normal numbers: the float64 pattern with this format's bias, cut to M fraction bits; a carry out
        # of the fraction steps the exponent by itself, and the kept lowest bit is the parity of the code.
        drop = _FRACTION64 - self.fraction_bits
        rebased = limited - (np.int64(_BIAS64 - self.bias) << _FRACTION64)
        normal = (rebased + ((1 << (drop - 1)) - 1) + ((rebased >> drop) & 1)) >> drop
        # Subnormal numbers: adding 2**52 steps leaves the rounded number of steps in the low bits of the sum.
        anchor = np.float64(2.0) ** (self._least_exponent - self.fraction_bits + _FRACTION64)
        subnormal = (limited.view(np.float64) + anchor).view(np.int64) - anchor.view(np.int64)
        codes = np.where(limited < np.float64(self.smallest_normal).view(np.int64), subnormal, normal)
        negative = patterns < 0
        if self.signed:
            negative &= (codes != 0) | self.keeps_minus_zero
            codes = codes | (negative.astype(np.int64) << (self.bits - 1))
        else:
            codes = np.where(negative, 0, codes)
        return np.where(is_nan, self.code_of_nan, codes)

    def _encode_compiled(self, reals: npt.NDArray[np.float32 | np.float64], codes: Codes) -> None:
        from simulator.numerics.formats import code_kernels as kernels

        kernels.encode_minifloat(
            reals,
            self.fraction_bits,
            self.bias,
            self.overflow_from,
            self.code_of_nan,
            self.bits - 1 if self.signed else -1,
            self.keeps_minus_zero,
            codes,
        )

    def nearest_values(self, reals: npt.NDArray[np.float32 | np.float64]) -> npt.NDArray[np.float32]:
        """As every format's, by rounding the floats where they have a sign and minus zero.

        Without fraction bits a tie goes to the even exponent, which rounding of floats does not know.
        """
        if not self._is_rounded_as_float or not compiled_loops.pay_off(reals.size):
            return super().nearest_values(reals)
        from simulator.numerics.formats import code_kernels as kernels

        found = np.empty(reals.shape, np.float32)
        flat = np.ascontiguousarray(reals).reshape(-1)
        kernels.round_minifloat(flat, *self._float_rounding, found.reshape(-1))
        return found

    @cached_property
    def _is_rounded_as_float(self) -> bool:
        """Whether `round_minifloat` gives the values of codes, and float64 has room for its steps."""
        lowest = self._least_exponent - self.fraction_bits
        in_range = lowest > -_NEAR_LIMITS and self.overflow_from < 2.0**_NEAR_LIMITS
        in_steps = 0 < self.fraction_bits < _FRACTION64 // 2
        return self.signed and self.keeps_minus_zero and in_range and in_steps

    @cached_property
    def _float_rounding(self) -> tuple[int, int, float, float, float]:
        """What `round_minifloat` takes between reals and values."""
        overflow = np.inf if self.overflows_to_infinity else self.largest
        nan = float(self.decode(np.array([self.code_of_nan]))[0])
        return self.fraction_bits, self._least_exponent, self.largest, overflow, nan


def default_bias(exponent_bits: int) -> int:
    """The bias of IEEE 754: 2**(E-1) - 1."""
    return (1 << (exponent_bits - 1)) - 1


def _minifloat(match: re.Match[str]) -> Format:
    spec, signed = match[0], not match["unsigned"]
    exponent_field_bits, fraction_bits = int(match["exponent"]), int(match["fraction"])
    check_width(spec, "number of exponent bits", exponent_field_bits, 1, 10)
    check_width(spec, "width", int(signed) + exponent_field_bits + fraction_bits, 3, 16)
    bias = int(match["bias"]) if match["bias"] else default_bias(exponent_field_bits)
    # The subnormal anchor 2**(52 + step) and the half steps must be normal float64 values.
    finest, top = 1 - bias - fraction_bits, (1 << exponent_field_bits) - 1 - bias
    if finest < -1000 or max(top, finest + _FRACTION64) > 1000:
        raise UserError(
            f"format {spec!r} has an impossible bias: float64 could not hold its values",
            value=bias,
            allowed="biases that keep all values between 2**-1000 and 2**1000",
        )
    return Minifloat(exponent_field_bits, fraction_bits, bias, signed)


FAMILIES = (
    Family(
        name="minifloat",
        syntax="e<exponent bits>m<fraction bits>[b<bias>], with u in front for unsigned, 3 to 16 bits",
        pattern=re.compile(
            rf"(?P<unsigned>u?)e(?P<exponent>{NUMBER})m(?P<fraction>{NUMBER})(b(?P<bias>(?!-0)-?{NUMBER}))?"
        ),
        build=_minifloat,
        examples=(
            "e4m3",
            "e5m2",
            "e3m4",
            "e2m5",
            "e2m3",
            "e3m2",
            "e2m1",
            "e3m0",
            "e4m3b9",
            "ue4m4b9",
            "e3m4b5",
        ),
        summary="subnormals, every code finite; rounds to nearest even, saturates; NaN becomes 0",
    ),
)
