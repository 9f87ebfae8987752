"""How the values of real tensors are fitted to a family of formats: what each format says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a conversion of tensors must know of a format.

    needs_scales: codes only mean something with a scale, or reach too little without one; such formats are
        calibrated by default, and a policy without scales leaves them uncalibrated.
    whole_numbers: values are whole numbers, so that data without a scale have to be spread over them.
    is_tapered: values are finest far below the largest one, so that scales that reach for the largest do not
        suit.
    """

    needs_scales: bool
    whole_numbers: bool = False
    is_tapered: bool = False


UNSCALED: Final = Calibration(needs_scales=False)
"""Formats with range enough to take values as they are, such as standard floats."""

SCALED: Final = Calibration(needs_scales=True)
"""Narrow formats, such as minifloats and fixed point."""

WHOLE_NUMBERS: Final = Calibration(needs_scales=True, whole_numbers=True)
"""Integers."""

TAPERED: Final = Calibration(needs_scales=False, is_tapered=True)
"""Posits and tapered log numbers."""
