"""Matplotlib's settings while a chart is drawn: its own defaults and the report's, none of a user's file.

Matplotlib reads a user's file when it is imported, from the current folder first. What that says changes no
chart, but a file that cannot be read would end the import.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from simulator.foundation.reading.content import is_file, read_text

_FILE: Final = "matplotlibrc"


@contextmanager
def matplotlib_settings(settings: dict[Any, Any]) -> Iterator[None]:
    """Draw with Matplotlib's defaults and `settings` laid over them; what was set before returns afterwards.

    Raises:
        UserError: the user's `matplotlibrc` cannot be read.
    """
    require_readable_settings()
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        # Of a letter that the font lacks, in a name: a box stands for it, in SVG the letter itself.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        yield


def require_readable_settings() -> None:
    """Refuse a user's file of settings that Matplotlib could not read when it is imported.

    Its complaints about settings that nothing here is drawn with are not shown, unless the caller has logging
    set up; nor is that about a folder for its own files, in place of which it makes a temporary one.

    Raises:
        UserError: the file is no regular file, is too large, is not UTF-8 or cannot be read.
    """
    if "matplotlib" in sys.modules:
        return
    logging.getLogger("matplotlib").addHandler(logging.NullHandler())
    for file in _places():
        if is_file(file):
            read_text(file)
            return


def _places() -> Iterator[Path]:
    """Where Matplotlib looks for a user's file, in its order."""
    yield Path(_FILE)
    named = os.environ.get("MATPLOTLIBRC")
    if named:
        yield Path(named)
        yield Path(named) / _FILE
    folder = os.environ.get("MPLCONFIGDIR")
    if folder:
        yield Path(folder) / _FILE
        return
    above = os.environ.get("XDG_CONFIG_HOME")
    yield Path(above or os.path.expanduser("~/.config")) / "matplotlib" / _FILE  # noqa: PTH111 - never fails
