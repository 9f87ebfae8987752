"""Variables of the environment that libraries read when they are loaded, and fail where they are wrong."""

from __future__ import annotations

import os
import re
from typing import Final

from simulator.foundation.errors import UserError

_DIGITS: Final = {"COLUMNS": 6, "LINES": 6, "TERMINAL_WIDTH": 6, "SOURCE_DATE_EPOCH": 11}
"""The most digits of each; those of SOURCE_DATE_EPOCH reach the year 5138."""


_COMPLETION: Final = "_SYSTOLIC_COMPLETE"
_COMPLETIONS: Final = re.compile(r"(source|complete)_(bash|zsh|fish|powershell|pwsh)")


def require_completion() -> None:
    """Refuse a request for completion that no shell makes.

    Raises:
        UserError: what it asks for, or the word to complete is not there.
    """
    asked = os.environ.get(_COMPLETION, "")
    if not asked:
        return
    if _COMPLETIONS.fullmatch(asked) is None:
        raise UserError(
            "is no request of a shell for completion",
            source=_COMPLETION,
            value=asked,
            allowed="what `systolic --install-completion` sets",
        )
    word = os.environ.get("COMP_CWORD", "")
    if asked == "complete_bash" and not ("COMP_WORDS" in os.environ and word.isascii() and word.isdigit()):
        raise UserError(
            f"needs COMP_WORDS, and COMP_CWORD for the number of a word, beside {asked}",
            source=_COMPLETION,
            value=word,
        )


def forget_unusable() -> None:
    """Remove the variables that are no number, and that of Matplotlib's windows, which no command opens."""
    os.environ.pop("MPLBACKEND", None)
    for name, digits in _DIGITS.items():
        value = os.environ.get(name, "")
        if not (value.isascii() and value.isdigit() and len(value) <= digits):
            os.environ.pop(name, None)
