"""A stream for what nobody can read."""

from __future__ import annotations

import os
from typing import TextIO


def discarding_stream(descriptor: int) -> TextIO:
    """A text stream that keeps nothing and holds a descriptor, so that no file is given it.

    The descriptor must be closed; libraries that write to it otherwise write into whatever is opened next.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
    return os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace")
