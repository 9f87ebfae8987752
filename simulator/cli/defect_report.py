"""What went wrong although nobody did anything wrong: told in one line, with all of it in a file."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Mapping

from simulator import __version__
from simulator.foundation.code_version import code_version
from simulator.foundation.messages import cut, one_line

_LONGEST: int = 200


def told(error: BaseException, arguments: list[str]) -> str:
    """One line on a defect, which names the file that has the traceback and says how to report it."""
    name = type(error).__name__
    what = cut(one_line(f"{name}: {error}" if str(error) else name), _LONGEST)
    return _sentence(what, f"arguments: {arguments!r}\n\n{''.join(traceback.format_exception(error))}")


def told_of_workers(tracebacks: Mapping[str, str]) -> str:
    """One line on defects in workers, by what they worked on."""
    text = "\n".join(f"{one_line(what)}\n{text}" for what, text in tracebacks.items())
    return _sentence(f"in {len(tracebacks)} variants", text)


def _sentence(what: str, text: str) -> str:
    return (
        f"internal error ({what}): this is a defect of systolic, not of your input; report it as SECURITY.md"
        f" and README.md say, with {_written(text)}"
    )


def _written(traceback_text: str) -> str:
    """Where the traceback is."""
    version = __version__
    with contextlib.suppress(Exception):
        version = code_version()
    head = f"systolic {version}, Python {sys.version.split()[0]}, {platform.platform()}\n"
    text = head + traceback_text
    try:
        descriptor, path = tempfile.mkstemp(prefix="systolic-defect-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return f"this traceback: {one_line(text)}"
    return f"the traceback in {path}"
