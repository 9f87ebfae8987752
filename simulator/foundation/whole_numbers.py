"""Whole numbers in texts that people wrote: of so few digits that no array or library chokes on them."""

from __future__ import annotations

from numbers import Integral
from typing import Final

MOST_WHOLE_DIGITS: Final = 18
"""So that every such number fits in 64 bits."""


def whole_number(text: str) -> int | None:
    """The number that decimal digits are, without blanks around them; None: no number, or 10^18 or more."""
    digits = text.strip()
    if not digits.isdecimal() or len(digits) > MOST_WHOLE_DIGITS:
        return None
    return int(digits)


def is_whole(value: object) -> bool:
    """Whether a value is a whole number of Python's or NumPy's; 2.0 and "2" only look so."""
    return isinstance(value, Integral)
