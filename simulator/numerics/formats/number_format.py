"""What every number format offers: a finite table of values and a rule that rounds a real value to a code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import log10
from re import Match, Pattern
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.array_types import Codes, code_dtype
from simulator.numerics.formats.code_tables import TABLE_BITS, compiled_loops, look_up
from simulator.numerics.formats.codes import FLOAT64_SIGNIFICAND_BITS, as_codes, as_reals
from simulator.numerics.formats.tensor_fit import Calibration
from simulator.numerics.hardware import Parts, float_converter

NUMBER = "(?:0|[1-9][0-9]{0,3})"
"""A number in a spec, as a regular expression: ASCII digits without leading zeros."""


class Format(ABC):
    """A number format: codes of `bits` bits, their real values, and the rounding of a real value to a code.

    Formats are frozen, hashable and compare by their parameters. Codes are unsigned integers (of two's
    complement formats the unsigned bit pattern). What NaN, infinity, minus zero and overflow do stands with
    each family.
    """

    bits: int
    """Width of a code."""

    signed: bool
    """Whether the format holds negative values."""

    twos_complement: ClassVar[bool] = False
    """Whether codes are two's complement patterns, so that signed integer arrays are codes as they are."""

    is_monotonic: ClassVar[bool] = True
    """Whether of two finite values the larger one never has a code of smaller value."""

    infinity_of_tiny_values: ClassVar[bool] = False
    """Whether some values below the smallest positive one are encoded as infinity."""

    @property
    @abstractmethod
    def spec(self) -> str:
        """The canonical spec string; `get_format(spec)` gives this format again."""

    @property
    @abstractmethod
    def family(self) -> str:
        """What kind of format this is, in a word or two."""

    @property
    @abstractmethod
    def significand_bits(self) -> int:
        """Width of the integer significand that a multiplier takes, hidden bit included.

        Two's complement codes count their sign bit; sign-magnitude formats do not.
        """

    @property
    @abstractmethod
    def exponent_bits(self) -> int:
        """Width of the exponent that an adder takes, 0 for integers and fixed point.

        The field of a float, the unpacked signed exponent of a posit or log number.
        """

    @property
    @abstractmethod
    def calibration(self) -> Calibration:
        """How values of tensors are fitted to the format, unless somebody chooses otherwise."""

    @property
    def has_exponent(self) -> bool:
        """Whether values have an exponent of their own; codes of formats without one count equal steps."""
        return self.exponent_bits > 0

    @property
    def register_bits(self) -> int:
        """Width of an operand register of a PE; codes travel as they are unless the format says otherwise."""
        return self.bits

    def register_patterns(self, codes: Codes) -> Codes:
        """The bits that an operand register holds for valid codes, in the smallest unsigned dtype."""
        return codes.astype(self.code_dtype, copy=False)

    @property
    def decoder(self) -> Parts:
        """From a code to an operand register, at the array's edge; empty where codes travel as they are."""
        return ()

    def converter(self, accumulator_bits: int) -> Parts:
        """From a fixed accumulator to a code, at the edge of the array; empty for formats of equal steps."""
        if not self.has_exponent:
            return ()
        return float_converter(accumulator_bits, self.significand_bits, self.exponent_bits)

    @property
    def status_bits(self) -> int:
        """Flags that the format's circuit keeps beside an exact accumulator."""
        return 0

    @abstractmethod
    def _decode(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Values of valid codes, from the definition of the format."""

    @abstractmethod
    def _encode(self, reals: npt.NDArray[np.float64]) -> npt.NDArray[np.integer[Any]]:
        """Codes of float64 values with plain numpy."""

    @abstractmethod
    def _encode_compiled(self, reals: npt.NDArray[np.float32 | np.float64], codes: Codes) -> None:
        """Codes of a contiguous float32 or float64 vector, written into `codes` by a compiled loop."""

    @property
    def code_dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The smallest unsigned integer dtype that holds a code."""
        return code_dtype(self.bits)

    def decode(self, codes: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The exact real values of codes, float64, in the shape of `codes`.

        Raises:
            UserError: codes that are not integers or lie outside the format.
        """
        patterns = as_codes(self, codes)
        if self.bits > TABLE_BITS:
            return self._decode(patterns.astype(np.int64))
        return np.asarray(look_up(self.values(), patterns))

    def encode(self, values: npt.ArrayLike) -> Codes:
        """The codes that real values round to, in the shape of `values` and of dtype `code_dtype`.

        float64 input is rounded once, straight from float64; float16, float32 and integers, Python's of any
        size included, are taken exactly.

        Raises:
            UserError: values that are not real numbers.
        """
        with np.errstate(invalid="ignore"):  # numpy warns when it widens a signalling NaN
            reals = as_reals(values, nearest=self.significand_bits == FLOAT64_SIGNIFICAND_BITS)
            if not compiled_loops.pay_off(reals.size):
                return np.asarray(self._encode(reals.astype(np.float64)), self.code_dtype)
            codes = np.empty(reals.shape, self.code_dtype)
            self._encode_compiled(np.ascontiguousarray(reals).reshape(-1), codes.reshape(-1))
            return codes

    def reals(self, codes: Codes) -> npt.NDArray[np.floating[Any]]:
        """As `decode`, unchecked; float32 patterns are viewed as float32."""
        return self.decode(codes)

    def nearest_values(self, reals: npt.NDArray[np.float32 | np.float64]) -> npt.NDArray[np.float32]:
        """`decode(encode(reals))` as float32, in the shape of `reals`, without codes where that is faster.

        Values that float32 does not hold are rounded to it. NaN, infinity and overflow do as in `encode`.
        """
        if self.bits > TABLE_BITS:
            return self.decode(self.encode(reals)).astype(np.float32)
        return look_up(self.values_in_float32, self.encode(reals))

    @cached_property
    def values_in_float32(self) -> npt.NDArray[np.float32]:
        """The value of every code in float32, read-only, for formats of up to 16 bits."""
        table = self.values().astype(np.float32)
        table.setflags(write=False)
        return table

    def values(self) -> npt.NDArray[np.float64]:
        """The value of every code, float64[2**bits], read-only, for formats of up to 16 bits.

        Raises:
            UserError: the format is wider.
        """
        if self.bits > TABLE_BITS:
            raise UserError(
                "has no table of all values",
                location=self.spec,
                allowed=f"formats of up to {TABLE_BITS} bits",
            )
        return self._table

    @cached_property
    def _table(self) -> npt.NDArray[np.float64]:
        table = self._decode(np.arange(1 << self.bits, dtype=np.int64))
        table.setflags(write=False)
        return table

    def _landmarks(self) -> npt.NDArray[np.float64]:
        """Values among which are the extremes of the format, its finest value and all its special values."""
        return self._table

    @cached_property
    def _magnitudes(self) -> npt.NDArray[np.float64]:
        """Magnitudes of the landmarks that are finite and not zero."""
        values = np.abs(self._landmarks())
        return values[np.isfinite(values) & (values > 0)]

    @cached_property
    def largest(self) -> float:
        """The largest finite value."""
        values = self._landmarks()
        return float(values[np.isfinite(values)].max())

    @cached_property
    def lowest(self) -> float:
        """The most negative finite value; 0 for unsigned formats."""
        values = self._landmarks()
        return float(values[np.isfinite(values)].min()) + 0.0

    @cached_property
    def smallest_positive(self) -> float:
        """The smallest value above zero."""
        return float(self._magnitudes.min())

    @cached_property
    def smallest_step(self) -> float:
        """The smallest distance between two values."""
        values = self._landmarks()
        return float(np.diff(np.unique(values[np.isfinite(values)])).min())

    @property
    def smallest_normal(self) -> float:
        """The smallest value with all significand bits; the smallest positive one without subnormals."""
        return self.smallest_positive

    @cached_property
    def has_infinity(self) -> bool:
        """Whether some code is an infinity."""
        return bool(np.isinf(self._landmarks()).any())

    @property
    def overflows_to_infinity(self) -> bool:
        """Whether values past the largest become infinity as in IEEE 754, and do not saturate."""
        return False

    @cached_property
    def has_nan(self) -> bool:
        """Whether some code is not a number."""
        return bool(np.isnan(self._landmarks()).any())

    @cached_property
    def has_negative_zero(self) -> bool:
        """Whether some code is minus zero."""
        values = self._landmarks()
        return bool((np.signbit(values) & (values == 0)).any())

    @property
    def decades(self) -> float:
        """Dynamic range: powers of ten from the smallest to the largest positive value."""
        return log10(self.largest) - log10(self.smallest_positive)

    @cached_property
    def exponent_range(self) -> tuple[int, int]:
        """The least and the greatest floor(log2(|value|)) of values that are finite and not zero."""
        exponents = np.frexp(self._magnitudes)[1] - 1
        return int(exponents.min()), int(exponents.max())

    @cached_property
    def lsb(self) -> int:
        """log2 of the grid: the largest s such that every finite value is an integer multiple of 2**s."""
        fractions, exponents = np.frexp(self._magnitudes)
        significands = (fractions * 2.0**53).astype(np.int64)
        trailing_zeros = np.frexp((significands & -significands).astype(np.float64))[1] - 1
        return int((exponents - 53 + trailing_zeros).min())

    def describe(self) -> dict[str, str | int | float | bool]:
        """The facts of the format by name, JSON-ready; `decades` are powers of ten."""
        return {
            "spec": self.spec,
            "family": self.family,
            "bits": self.bits,
            "signed": self.signed,
            "largest": self.largest,
            "lowest": self.lowest,
            "smallest_positive": self.smallest_positive,
            "smallest_normal": self.smallest_normal,
            "smallest_step": self.smallest_step,
            "decades": self.decades,
            "significand_bits": self.significand_bits,
            "exponent_bits": self.exponent_bits,
            "least_exponent": self.exponent_range[0],
            "greatest_exponent": self.exponent_range[1],
            "lsb": self.lsb,
            "has_infinity": self.has_infinity,
            "has_nan": self.has_nan,
            "has_negative_zero": self.has_negative_zero,
        }

    def __repr__(self) -> str:
        low = f"{self.lowest:.6g}" if self.signed else "0"
        return (
            f"<Format {self.spec}: {self.bits} bits, {low} to {self.largest:.6g},"
            f" smallest {self.smallest_positive:.6g}, {self.decades:.1f} decades>"
        )

    def __str__(self) -> str:
        return self.spec


@dataclass(frozen=True, slots=True)
class Family:
    """A family of formats as the registry knows it: how its specs look and how a format is made from one."""

    name: str
    syntax: str
    """The spec in words a person can fill in, `e<exponent>m<fraction>[b<bias>]`."""

    pattern: Pattern[str]
    build: Callable[[Match[str]], Format]
    """Makes the format; raises UserError for widths that cannot be."""

    examples: tuple[str, ...]
    """Specs to list and to suggest."""

    summary: str
    """What the family is and what it does with overflow, infinity, NaN and minus zero."""


def check_width(spec: str, what: str, value: int, low: int, high: int) -> None:
    """Refuse a width (or another parameter of a spec) outside `low` to `high`.

    Raises:
        UserError: naming the spec, the parameter, its value and the range.
    """
    if not low <= value <= high:
        raise UserError(
            f"format {spec!r} has impossible {what}",
            value=value,
            allowed=f"{low} to {high}" if low < high else str(low),
        )
