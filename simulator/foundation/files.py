"""Writing files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator.foundation.errors import UserError


def prepare_folder(path: Path) -> Path:
    """The folder `path`, made where missing.

    Raises:
        UserError: it cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"output directory cannot be made: {error.strerror}", source=path) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UserError("output directory cannot be written to", source=path)
    return path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place only when the block ends without an error.

    Raises:
        UserError: the folder or file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", source=path) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, lines ending as given. Raises as `whole_file`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a binary file whole or not at all. Raises as `whole_file`."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
