"""Formats of block scales: powers of two (E8M0), and floats whose sign is not used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.array_types import Codes, Reals
from simulator.numerics.formats import Format, get_format, is_format

POWER_OF_TWO = "e8m0"
"""The scale format of OCP MX: 2**(code - 127), 255 is NaN; it has no zero, sign or infinity."""

E8M0_BIAS = 127
_E8M0_NAN = 255
_MOST_BITS = 16
_USUAL = (POWER_OF_TWO, "e4m3fn", "fp16", "bf16")


class ScaleFormat(ABC):
    """Codes of scales and what they are worth, as significand x 2**exponent."""

    spec: str
    bits: int
    code_of_nan: int
    significand_bits: int
    exponent_bits: int

    @property
    @abstractmethod
    def values(self) -> Reals:
        """The value of every code, float64[2**bits]; NaN where the scale is NaN."""

    def decode(self, codes: npt.ArrayLike) -> Reals:
        """Values of codes, float64."""
        return np.asarray(self.values[np.asarray(codes)])

    @property
    def exponent_span(self) -> int:
        """Binades between the smallest and the largest scale."""
        values = self.values[np.isfinite(self.values) & (self.values > 0)]
        return int(np.frexp(values.max())[1] - np.frexp(values.min())[1])

    @property
    def largest_integer(self) -> int:
        """The largest scale in units of the smallest."""
        values = self.values[np.isfinite(self.values) & (self.values > 0)]
        return int(Fraction(float(values.max())) / Fraction(float(values.min())))

    def parts(self) -> tuple[Reals, npt.NDArray[np.int64]]:
        """Every code as an integer significand (float64, 0 for NaN) and the exponent of its lowest bit."""
        values = self.values
        finite = np.where(np.isfinite(values), values, 0.0)
        fractions, exponents = np.frexp(finite)
        significands = np.ldexp(fractions, self.significand_bits)
        lowest = np.where(finite == 0, 0, exponents.astype(np.int64) - self.significand_bits)
        return significands, lowest


@dataclass(frozen=True)
class PowerOfTwoScale(ScaleFormat):
    """E8M0: 2**(code - 127) for codes 0 to 254; 255 is NaN."""

    spec: str = POWER_OF_TWO
    bits: int = 8
    code_of_nan: int = _E8M0_NAN
    significand_bits: int = 1
    exponent_bits: int = 8

    @property
    def values(self) -> Reals:
        """2**-127 to 2**127, then NaN."""
        values = np.ldexp(1.0, np.arange(1 << self.bits) - E8M0_BIAS)
        values[_E8M0_NAN] = np.nan
        return values

    def codes_of_exponents(self, exponents: npt.NDArray[np.int64]) -> Codes:
        """Codes of 2**exponent, clamped to 2**-127 to 2**127."""
        return (np.clip(exponents, -E8M0_BIAS, E8M0_BIAS) + E8M0_BIAS).astype(np.uint8)


@dataclass(frozen=True)
class FloatScale(ScaleFormat):
    """A float format as scales: its sign bit counts nothing, and codes are never negative."""

    fmt: Format

    @property
    def spec(self) -> str:  # type: ignore[override]
        """Of the float format."""
        return self.fmt.spec

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Stored bits, the unused sign included."""
        return self.fmt.bits

    @property
    def code_of_nan(self) -> int:  # type: ignore[override]
        """The float format's own NaN, positive."""
        return int(self.fmt.encode(np.nan))

    @property
    def significand_bits(self) -> int:  # type: ignore[override]
        """Hidden bit included."""
        return self.fmt.significand_bits

    @property
    def exponent_bits(self) -> int:  # type: ignore[override]
        """The exponent field."""
        return self.fmt.exponent_bits

    @property
    def values(self) -> Reals:
        """Magnitudes: the sign is ignored."""
        values = np.abs(self.fmt.values())
        return np.where(np.isfinite(values), values, np.nan)

    def codes_of_values(self, values: Reals) -> Codes:
        """The nearest codes (ties to even), at most the largest finite one."""
        return self.fmt.encode(np.minimum(values, self.fmt.largest))


@lru_cache(maxsize=64)
def get_scale_format(spec: str) -> PowerOfTwoScale | FloatScale:
    """The scale format of a name: `e8m0`, or a float with NaN of up to 16 bits such as `e4m3fn` or `fp16`.

    Raises:
        UserError: an unknown format, one without NaN, or one that is too wide; it is about a field `scale`.
    """
    if spec.strip().lower() == POWER_OF_TWO:
        return PowerOfTwoScale()
    fmt = get_format(spec) if is_format(spec) else None
    if fmt is None or fmt.bits > _MOST_BITS or not fmt.has_nan or not fmt.has_exponent:
        raise UserError(
            "cannot be the format of block scales",
            location="scale",
            value=spec,
            allowed=f"{POWER_OF_TWO}, or a float with NaN of up to {_MOST_BITS} bits such as"
            " e4m3fn, fp16 or bf16",
            candidates=() if fmt else _USUAL,
        )
    return FloatScale(fmt)
