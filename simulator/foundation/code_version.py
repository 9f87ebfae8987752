"""Which code computes: the version with a hash of every file that a result can depend on."""

from __future__ import annotations

import hashlib
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
    for path in sorted(_files(package), key=lambda path: path.relative_to(package).as_posix()):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:_DIGITS]


def _files(package: Path) -> Iterator[Path]:
    for path in package.glob("*.py"):
        if path.name not in _NOT_COMPUTING:
            yield path
    for name in COMPUTING:
        for path in (package / name).rglob("*"):
            if path.suffix in _SUFFIXES and path.is_file():
                yield path
