"""Floats of published standards and of hardware, with their special values: fp16, tf32, e4m3fn, e5m2fnuz."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Codes
from simulator.numerics.formats.code_tables import TABLE_BITS
from simulator.numerics.formats.codes import as_codes
from simulator.numerics.formats.minifloat import Minifloat, default_bias
from simulator.numerics.formats.number_format import Family, Format
from simulator.numerics.formats.tensor_fit import UNSCALED, Calibration

Specials = Literal["ieee", "fn", "fnuz"]
"""`ieee`: the highest exponent field holds infinities and NaN. `fn`: no infinity, NaN is all ones but the
sign. `fnuz`: no infinity and no minus zero, whose code is the one NaN."""


@dataclass(frozen=True, repr=False)
class StandardFloat(Minifloat):
    """A float with NaN codes, and with infinities where `specials` is `ieee`.

    Encoding rounds to nearest even. Overflow becomes infinity as in IEEE 754, or, with `saturates`, the
    largest value; infinities then saturate too. Every NaN becomes the same quiet NaN, positive where it has
    a sign. Minus zero is kept; `fnuz` formats have none, and negative values that round to zero become zero.
    """

    name: str = ""
    specials: Specials = "ieee"
    saturates: bool = False

    @property
    def spec(self) -> str:
        """The name."""
        return self.name

    @property
    def family(self) -> str:
        """Standard float."""
        return "standard float"

    @property
    def calibration(self) -> Calibration:
        """Unscaled: values are taken as they are."""
        return UNSCALED

    @property
    def code_of_nan(self) -> int:
        """The quiet NaN: see `Specials`; among `ieee` ones the top fraction bit alone."""
        M = self.fraction_bits
        if self.specials == "fnuz":
            return 1 << (self.bits - 1)
        field = ((1 << self.exponent_field_bits) - 1) << M
        return field | (1 << (M - 1)) if self.specials == "ieee" else field | ((1 << M) - 1)

    @property
    def keeps_minus_zero(self) -> bool:
        """All but `fnuz`."""
        return self.specials != "fnuz"

    @property
    def overflows_to_infinity(self) -> bool:
        """Whether values past the largest become infinity."""
        return not self.saturates

    @property
    def overflow_from(self) -> float:
        """The largest value where overflow saturates, else the power of two above it."""
        if self.saturates:
            return self.largest
        exponent_of_infinity = (1 << self.exponent_field_bits) - 1 - self.bias
        return 2.0**exponent_of_infinity  # infinity's code, were it a number

    def decode(self, codes: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """As every format decodes; fp32 is too wide for a table and the machine's own float."""
        if self.bits != 32:
            return super().decode(codes)
        with np.errstate(invalid="ignore"):  # signalling NaNs become quiet ones
            return as_codes(self, codes).view(np.float32).astype(np.float64)

    def reals(self, codes: Codes) -> npt.NDArray[np.floating[Any]]:
        """Of fp32 a view."""
        return codes.view(np.float32) if self.bits == 32 else super().reals(codes)

    def _decode(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        M = self.fraction_bits
        values = super()._decode(codes)
        if self.specials == "fnuz":
            return np.where(codes == self.code_of_nan, np.nan, values)
        fraction = codes & ((1 << M) - 1)
        top = ((codes >> M) & ((1 << self.exponent_field_bits) - 1)) == (1 << self.exponent_field_bits) - 1
        if self.specials == "fn":
            return np.where(top & (fraction == (1 << M) - 1), np.nan, values)
        return np.where(top, np.where(fraction == 0, np.copysign(np.inf, values), np.nan), values)

    def _encode_compiled(self, reals: npt.NDArray[np.float32 | np.float64], codes: Codes) -> None:
        if self.name != "fp32" or reals.dtype != np.float32:
            super()._encode_compiled(reals, codes)
            return
        codes[:] = reals.view(np.uint32)  # the machine's own patterns, but for NaNs, which become one
        codes[np.isnan(reals)] = self.code_of_nan

    def _landmarks(self) -> npt.NDArray[np.float64]:
        if self.bits <= TABLE_BITS:
            return super()._landmarks()
        fractions = np.array([0, 1, (1 << self.fraction_bits) - 1])
        fields = np.arange(1 << (self.exponent_field_bits + 1)) << self.fraction_bits
        return self._decode((fields[:, None] + fractions).reshape(-1))


@dataclass(frozen=True, repr=False)
class Binary64(StandardFloat):
    """fp64: the machine's float64, whose patterns are the codes; only its NaNs become one."""

    def decode(self, codes: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The patterns as float64, in the shape of `codes`; NaN payloads are kept."""
        return as_codes(self, codes).view(np.float64).copy()

    def _decode(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return codes.view(np.float64)

    def _encode(self, reals: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        return np.where(np.isnan(reals), self.code_of_nan, reals.view(np.int64))

    def _encode_compiled(self, reals: npt.NDArray[np.float32 | np.float64], codes: Codes) -> None:
        codes[:] = self._encode(reals.astype(np.float64)).view(np.uint64)


def _standard(
    name: str,
    exponent_field_bits: int,
    fraction_bits: int,
    *,
    specials: Specials = "ieee",
    saturates: bool = False,
) -> StandardFloat:
    return StandardFloat(
        exponent_field_bits,
        fraction_bits,
        default_bias(exponent_field_bits),
        name=name,
        specials=specials,
        saturates=saturates,
    )


def _fnuz(name: str, exponent_field_bits: int, fraction_bits: int) -> StandardFloat:
    """With a bias of 2**(E-1), one more than that of IEEE 754."""
    bias = default_bias(exponent_field_bits) + 1
    return StandardFloat(exponent_field_bits, fraction_bits, bias, name=name, specials="fnuz", saturates=True)


_FORMATS: dict[str, StandardFloat] = {
    fmt.name: fmt
    for fmt in (
        _standard("e4m3fn", 4, 3, specials="fn", saturates=True),
        _standard("e5m2ieee", 5, 2),
        _standard("e5m2sat", 5, 2, saturates=True),
        _fnuz("e4m3fnuz", 4, 3),
        _fnuz("e5m2fnuz", 5, 2),
        _standard("fp16", 5, 10),
        _standard("bf16", 8, 7),
        _standard("tf32", 8, 10),
        _standard("fp32", 8, 23),
        Binary64(11, 52, default_bias(11), name="fp64"),
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
        summary="OCP, IEEE 754 and vendors' floats with NaN; overflow becomes infinity, or saturates in"
        f" {', '.join(name for name, fmt in _FORMATS.items() if fmt.saturates)}",
    ),
)
