"""Posits in the sign-magnitude reading of Johnson 2018: `posit8.1`, `posit8.0`, `posit9.1`.

They are not those of the Posit Standard of 2022: docs/formats.md lists the differences.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from simulator.numerics.formats.number_format import NUMBER, Family, Format, check_width
from simulator.numerics.formats.pattern_format import PatternFormat
from simulator.numerics.formats.pattern_table import PatternTable
from simulator.numerics.formats.tapered_format import TaperedFormat
from simulator.numerics.hardware import Parts, tapered_encoder
from simulator.numerics.tapered import IntArray

QUIRE_STATUS_BITS = 3
"""Infinity, overflow and the overflow's sign, kept beside a posit's quire."""


@dataclass(frozen=True, repr=False)
class Posit(TaperedFormat, PatternFormat):
    """(N, s) posit with a sign bit beside the magnitude; one infinity, also NaN; one zero.

    Encoding rounds to nearest even on the tapered bit string (which is the nearest value except where a
    regime leaves no room for the exponent field). Values from the top binade on saturate and never become
    infinity; values below the smallest become 0 and never round up. NaN and infinities give the code of
    infinity, minus zero gives 0.
    """

    bits: int
    exponent_field_bits: int
    signed: bool = True

    @property
    def spec(self) -> str:
        """`posit8.1`."""
        return f"posit{self.bits}.{self.exponent_field_bits}"

    @property
    def family(self) -> str:
        """Posit."""
        return "posit"

    @property
    def significand_bits(self) -> int:
        """The longest fraction and the leading one."""
        return self.layout.fraction_bits + 1

    @property
    def exponent_bits(self) -> int:
        """The unpacked signed exponent."""
        return self.layout.signed_exponent_bits

    def converter(self, accumulator_bits: int) -> Parts:
        """As a float's, then shifted behind the run of the regime."""
        return super().converter(accumulator_bits) + tapered_encoder(self.bits, 3)

    @property
    def status_bits(self) -> int:
        """Infinity, overflow and its sign."""
        return QUIRE_STATUS_BITS

    def _decode(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        fields, fraction_bits = self.unpack(codes), self.layout.fraction_bits
        magnitude = np.ldexp(
            (fields.fraction + (1 << fraction_bits)).astype(np.float64), fields.exponent - fraction_bits
        )
        magnitude = np.where(fields.is_zero, 0.0, np.where(fields.is_infinite, np.inf, magnitude))
        return np.where(fields.sign == 1, -magnitude, magnitude)

    @cached_property
    def pattern_table(self) -> PatternTable:
        """The code of every float, by its leading bits."""
        # Guard, round and a sticky bit that gathers all the rest decide as the whole fraction would.
        return PatternTable(
            least_exponent=-self.layout.greatest_exponent - 1,
            greatest_exponent=self.layout.greatest_exponent + 1,
            fraction_bits=self.layout.fraction_bits + 2,
            sticky=True,
            float32_range=False,
            code_of_infinity=self.code_of_infinity,
            code_of=self._from_float,
            dtype=self.code_dtype,
        )

    def _from_float(self, sign: IntArray, exponent: IntArray, fraction: IntArray) -> IntArray:
        """Codes of floats with three bits behind the longest fraction, from one below the least value on."""
        top = self.layout.greatest_exponent
        magnitude = self.layout.round_to_magnitude(np.clip(exponent, -top, top), fraction, 3)
        return np.where(exponent < -top, 0, magnitude | (sign << (self.bits - 1)))


def _posit(match: re.Match[str]) -> Format:
    spec, bits, exponent_field_bits = match[0], int(match["bits"]), int(match["exponent"])
    check_width(spec, "exponent field", exponent_field_bits, 0, 4)
    check_width(spec, "width", bits, exponent_field_bits + 3, 16)
    return Posit(bits, exponent_field_bits)


FAMILIES = (
    Family(
        name="posit",
        syntax="posit<bits>.<s>",
        pattern=re.compile(rf"posit(?P<bits>{NUMBER})\.(?P<exponent>{NUMBER})"),
        build=_posit,
        examples=("posit8.1", "posit8.0", "posit8.2", "posit9.1", "posit7.1"),
        summary="sign-magnitude posits; saturate, below the smallest value 0; infinity is also NaN",
    ),
)
