"""Floats with the special values of IEEE 754 and OCP: e4m3fn, e5m2ieee, fp16, bf16, fp32."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.formats.base import TABLE_BITS, Family, Format
from simulator.numerics.formats.codes import as_codes
from simulator.numerics.formats.minifloat import Minifloat, default_bias


@dataclass(frozen=True, repr=False)
class StandardFloat(Minifloat):
    """A float with NaN codes and, when `infinities`, with infinities.

    Encoding rounds to nearest even. With infinities overflow goes to infinity as in IEEE 754; without
    (e4m3fn) overflow and infinities saturate. Every NaN becomes the positive quiet NaN. Minus zero is kept.
    """

    name: str = ""
    infinities: bool = True

    @property
    def spec(self) -> str:
        """The name."""
        return self.name

    @property
    def family(self) -> str:
        """Standard float."""
        return "standard float"

    @property
    def code_of_nan(self) -> int:
        """The quiet NaN: all ones but the sign without infinities, else the top fraction bit alone."""
        M = self.fraction_bits
        field = ((1 << self.exponent_field_bits) - 1) << M
        return field | (1 << (M - 1)) if self.infinities else field | ((1 << M) - 1)

    @property
    def _overflow(self) -> float:
        if not self.infinities:
            return self.largest
        exponent_of_infinity = (1 << self.exponent_field_bits) - 1 - self.bias
        return 2.0**exponent_of_infinity  # infinity's code, were it a number

    def decode(self, codes: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """As every format decodes; fp32, the one too wide for a table, is the machine's own float."""
        if self.bits <= TABLE_BITS:
            return super().decode(codes)
        with np.errstate(invalid="ignore"):  # signalling NaNs become quiet ones
            return as_codes(self, codes).view(np.float32).astype(np.float64)

    def _decode(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        M = self.fraction_bits
        fraction = codes & ((1 << M) - 1)
        top = ((codes >> M) & ((1 << self.exponent_field_bits) - 1)) == (1 << self.exponent_field_bits) - 1
        values = super()._decode(codes)
        if not self.infinities:
            return np.where(top & (fraction == (1 << M) - 1), np.nan, values)
        return np.where(top, np.where(fraction == 0, np.copysign(np.inf, values), np.nan), values)

    def _landmarks(self) -> npt.NDArray[np.float64]:
        if self.bits <= TABLE_BITS:
            return super()._landmarks()
        fractions = np.array([0, 1, (1 << self.fraction_bits) - 1])
        fields = np.arange(1 << (self.exponent_field_bits + 1)) << self.fraction_bits
        return self._decode((fields[:, None] + fractions).reshape(-1))


def _standard(name: str, exponent_field_bits: int, fraction_bits: int, **options: Any) -> StandardFloat:
    return StandardFloat(
        exponent_field_bits, fraction_bits, default_bias(exponent_field_bits), name=name, **options
    )


_FORMATS = {
    fmt.name: fmt
    for fmt in (
        _standard("e4m3fn", 4, 3, infinities=False),
        _standard("e5m2ieee", 5, 2),
        _standard("fp16", 5, 10),
        _standard("bf16", 8, 7),
        _standard("fp32", 8, 23),
    )
}


def _named(match: re.Match[str]) -> Format:
    return _FORMATS[match[0]]


FAMILIES = (
    Family(
        name="standard float",
        syntax=", ".join(_FORMATS),
        pattern=re.compile("|".join(_FORMATS)),
        build=_named,
        examples=tuple(_FORMATS),
        summary="OCP and IEEE 754 floats with their NaNs; overflow becomes infinity, in e4m3fn it saturates",
    ),
)
