"""Which code computes: the version with a hash of every file that a result can depend on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from simulator import __version__

COMPUTING: Final = ("arch", "array", "cost", "foundation", "inference", "numerics", "system", "workload")
"""Packages whose code decides what a result says. Reports, sweeps and commands only show or store it."""

_NOT_COMPUTING: Final = frozenset({"__init__.py", "__main__.py", "api.py"})
_SUFFIXES: Final = frozenset({".py", ".yaml"})
_DIGITS: Final = 16


@cache
def code_version() -> str:
    """`VERSION+HASH` of the code that runs, such as `0.1.0+3f9a60c2d41b87e5`; files are read once."""
    return f"{__version__}+{code_hash(Path(__file__).resolve().parent.parent)}"


def code_hash(package: Path) -> str:
    """Sixteen hexadecimal digits for the computing code under a package's folder.

    Line ends do not count, so that a checkout with another convention has the same hash. Any other change
    does, comments included.
    """
    digest = hashlib.sha256()
    for name, path in sorted(_files(package)):
        with open(path, "rb") as stream:  # noqa: PTH123 - hundreds of files, on the way to every result
            content = stream.read().replace(b"\r\n", b"\n")
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:_DIGITS]


def _files(package: Path) -> Iterator[tuple[str, str]]:
    """Every file by its name relative to the package, `/` between folders, and its path."""
    for entry in os.scandir(package):
        if entry.name.endswith(".py") and entry.name not in _NOT_COMPUTING:
            yield entry.name, entry.path
    for name in COMPUTING:
        yield from _files_below(str(package / name), name)


def _files_below(folder: str, name: str) -> Iterator[tuple[str, str]]:
    if not os.path.isdir(folder):  # noqa: PTH112 - as above
        return
    for entry in os.scandir(folder):
        inner = f"{name}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(entry.path, inner)
        elif os.path.splitext(entry.name)[1] in _SUFFIXES and entry.is_file():  # noqa: PTH122 - as above
            yield inner, entry.path
