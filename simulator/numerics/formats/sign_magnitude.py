"""Sign-magnitude integers: a sign bit beside the magnitude (`sm8`), so that zero has two codes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Codes
from simulator.numerics.formats.number_format import NUMBER, Family, Format, check_width
from simulator.numerics.formats.tensor_fit import WHOLE_NUMBERS, Calibration


@dataclass(frozen=True, repr=False)
class SignMagnitude(Format):
    """A sign bit and `bits` - 1 bits of magnitude: -127 to 127 for sm8, plus and minus zero.

    Encoding rounds to nearest, ties to even, and saturates, infinities included. The sign of a zero is kept,
    also for values that round to zero; NaN becomes plus zero.
    """

    bits: int
    signed: bool = True

    @property
    def spec(self) -> str:
        """`sm8`."""
        return f"sm{self.bits}"

    @property
    def family(self) -> str:
        """Sign-magnitude integer."""
        return "sign-magnitude integer"

    @property
    def significand_bits(self) -> int:
        """The magnitude: a multiplier takes no sign."""
        return self.bits - 1

    @property
    def exponent_bits(self) -> int:
        """None."""
        return 0

    @property
    def calibration(self) -> Calibration:
        """Scaled, as every integer."""
        return WHOLE_NUMBERS

    @property
    def _largest_magnitude(self) -> int:
        return (1 << (self.bits - 1)) - 1

    def _decode(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        magnitude = (codes & self._largest_magnitude).astype(np.float64)
        return np.where(codes > self._largest_magnitude, -magnitude, magnitude)

    def _encode(self, reals: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        numbers = np.where(np.isnan(reals), 0.0, reals)
        magnitude = np.rint(np.minimum(np.abs(numbers), self._largest_magnitude)).astype(np.int64)
        return magnitude | (np.signbit(numbers).astype(np.int64) << (self.bits - 1))

    def _encode_compiled(self, reals: npt.NDArray[np.float32 | np.float64], codes: Codes) -> None:
        from simulator.numerics.formats import code_kernels as kernels

        # A float of one exponent bit whose normal and subnormal numbers have the same step, 1.
        fraction_bits = self.bits - 2
        largest, keeps_minus_zero = float(self._largest_magnitude), True
        kernels.encode_minifloat(
            reals, fraction_bits, 1 - fraction_bits, largest, 0, self.bits - 1, keeps_minus_zero, codes
        )


def _sign_magnitude(match: re.Match[str]) -> Format:
    bits = int(match["bits"])
    check_width(match[0], "width", bits, 2, 16)
    return SignMagnitude(bits)


FAMILIES = (
    Family(
        name="sign-magnitude integer",
        syntax="sm<bits>, 2 to 16 bits",
        pattern=re.compile(rf"sm(?P<bits>{NUMBER})"),
        build=_sign_magnitude,
        examples=("sm8", "sm4"),
        summary="a sign beside the magnitude, two zeros; rounds to nearest even, saturates; NaN becomes 0",
    ),
)
