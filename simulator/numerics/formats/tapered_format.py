"""What posits and tapered log numbers share: the layout of their codes, and all that follows from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Codes
from simulator.numerics.formats.number_format import Format
from simulator.numerics.formats.tensor_fit import TAPERED, Calibration
from simulator.numerics.hardware import Parts
from simulator.numerics.tapered import Fields, TaperedLayout


class TaperedFormat(Format):
    """A format whose codes have a regime, an exponent field and a fraction; one infinity, one zero."""

    exponent_field_bits: int
    """Width of the exponent field, a posit's `es`."""

    @property
    def layout(self) -> TaperedLayout:
        """Regime, exponent field and fraction."""
        return TaperedLayout(self.bits, self.exponent_field_bits)

    @property
    def calibration(self) -> Calibration:
        """Unscaled, and tapered."""
        return TAPERED

    @property
    def register_bits(self) -> int:
        """Flags, exponent and fraction: codes are decoded once, at the edge of the array (Johnson 2018)."""
        return self.layout.register_bits

    def register_patterns(self, codes: Codes) -> Codes:
        """Sign, is-infinite, is-zero, the exponent in two's complement and the fraction."""
        return self.layout.register_patterns(codes)

    @property
    def decoder(self) -> Parts:
        """From the tapered code to its fields."""
        return self.layout.decoder

    @property
    def code_of_infinity(self) -> int:
        """The sign bit alone."""
        return self.layout.code_of_infinity

    @property
    def accumulator_bits(self) -> int:
        """Of exact sums: products down to twice the least exponent, sums past the greatest.

        Sign included: 38 for posit8.1, the circuit's quire, and for log8.1.
        """
        return 2 + 3 * self.layout.greatest_exponent

    @property
    def accumulator_lsb(self) -> int:
        """log2 of the weight of the lowest bit of exact sums: -24 for posit8.1 and log8.1."""
        return -2 * self.layout.greatest_exponent

    def unpack(self, codes: npt.NDArray[np.integer]) -> Fields:
        """Sign, exponent and fraction of codes, the fraction in units of 2**-layout.fraction_bits."""
        return self.layout.unpack(codes)
