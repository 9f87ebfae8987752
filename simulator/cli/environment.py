"""Variables of the environment that libraries read when they are loaded, and fail where they are wrong."""

from __future__ import annotations

import os
from typing import Final

_DIGITS: Final = {"COLUMNS": 6, "LINES": 6, "TERMINAL_WIDTH": 6, "SOURCE_DATE_EPOCH": 11}
"""The most digits of each; those of SOURCE_DATE_EPOCH reach the year 5138."""


def forget_unusable() -> None:
    """Remove the variables that are no number, and that of Matplotlib's windows, which no command opens."""
    os.environ.pop("MPLBACKEND", None)
    for name, digits in _DIGITS.items():
        value = os.environ.get(name, "")
        if not (value.isascii() and value.isdigit() and len(value) <= digits):
            os.environ.pop(name, None)
