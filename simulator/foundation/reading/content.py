"""Bytes and text of files within limits, and paths that can be asked whether they exist."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Final

from simulator.foundation.errors import UserError
from simulator.foundation.messages import is_plain
from simulator.foundation.reading.limits import LARGEST_TEXT_BYTES

_CHUNK: Final = 1 << 20


def is_file(path: Path) -> bool:
    """Whether something that is no folder is at `path`. Raises UserError where that cannot be told."""
    mode = _mode(path)
    return mode is not None and not stat.S_ISDIR(mode)


def is_folder(path: Path) -> bool:
    """Whether a folder is at `path`. Raises UserError where that cannot be told."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def exists(path: Path) -> bool:
    """Whether anything is at `path`. Raises UserError where that cannot be told."""
    return _mode(path) is not None


def identity_of(path: Path) -> tuple[int, int] | str | None:
    """What a path leads to: the same for all links to a file, symbolic and hard, and all spellings of it.

    None for a device or pipe, which takes what many write. Raises UserError where it cannot be told.
    """
    require_path(path)
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return os.path.realpath(path)
    except OSError as error:
        raise UserError(f"cannot be read: {reason_of(error)}", source=path) from error
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return None
    return status.st_dev, status.st_ino


def names_in(folder: Path) -> list[str]:
    """Names of everything in a folder, in order. Raises UserError where they cannot be told."""
    require_path(folder)
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names, of which there may be a million
    except OSError as error:
        raise UserError(f"cannot be read: {reason_of(error)}", source=folder) from error


def everything_below(folder: Path) -> list[Path]:
    """All that is in a folder and below, in the order of paths. Raises UserError where that is unknown."""
    require_path(folder)
    try:
        return sorted(folder.rglob("*"))
    except OSError as error:
        raise UserError(f"folder cannot be read: {reason_of(error)}", source=folder) from error


def is_regular_or_absent(path: Path) -> bool:
    """Whether a regular file or nothing is at `path`. Raises UserError where that cannot be told."""
    mode = _mode(path)
    return mode is None or stat.S_ISREG(mode)


def require_path(path: str | Path) -> None:
    """Refuse what no file can be called: nothing, a zero character, text that is no Unicode.

    Raises:
        UserError: any of these.
    """
    text = str(path)
    if not text.strip():
        raise UserError("a path must not be empty", value=text)
    if "\0" in text:
        raise UserError("a path must not hold a zero character", value=text)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError("a path must be UTF-8 text", value=text) from error


def _mode(path: Path) -> int | None:
    require_path(path)
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"cannot be read: {reason_of(error)}", source=path) from error


def reason_of(error: OSError) -> str:
    """Why the operating system refused something, in its words."""
    return error.strerror or str(error) or type(error).__name__


@contextmanager
def opened(path: Path, *, most_bytes: int) -> Iterator[BufferedReader]:
    """An open regular file of limited size; what goes wrong while it is read becomes one error.

    A pipe or device has no size, could give bytes without end, and is refused.

    Raises:
        UserError: missing, a folder, no regular file, not readable, or larger than `most_bytes`.
    """
    require_path(path)
    try:
        # Without O_NONBLOCK opening a pipe that nobody writes to waits without end.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise UserError(f"cannot be read: {reason_of(error)}", source=path) from error
    try:
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(stream.fileno())
            if stat.S_ISDIR(status.st_mode):
                raise UserError("cannot be read: Is a directory", source=path)
            if not stat.S_ISREG(status.st_mode):
                raise UserError("cannot be read: it is no regular file", source=path)
            if status.st_size > most_bytes:
                raise UserError(
                    "is too large", source=path, value=status.st_size, allowed=f"up to {most_bytes:,} bytes"
                )
            yield stream
    except OSError as error:
        raise UserError(f"cannot be read: {reason_of(error)}", source=path) from error


def read_bytes(path: Path, *, most_bytes: int) -> bytes:
    """The bytes of a regular file. Raises as `opened`."""
    with opened(path, most_bytes=most_bytes) as stream:
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:  # it has grown since it was opened
        raise UserError("is too large", source=path, allowed=f"up to {most_bytes:,} bytes")
    return content


def read_text(path: Path, *, most_bytes: int = LARGEST_TEXT_BYTES) -> str:
    """The text of a file; line ends become line feeds.

    Raises:
        UserError: as `opened`, or it is not UTF-8 text.
    """
    content = read_bytes(path, most_bytes=most_bytes)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError("is not UTF-8 text", source=path, location=f"line {line}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def size_of(path: Path) -> int:
    """Bytes of a file. Raises UserError where it cannot be told."""
    return state_of(path)[0]


def state_of(path: Path) -> tuple[int, int]:
    """Bytes of a file and when it was changed, in nanoseconds. Raises UserError where it cannot be told."""
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"cannot be read: {reason_of(error)}", source=path) from error
    return status.st_size, status.st_mtime_ns


def sha256_of(path: Path, *, most_bytes: int) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces. Raises as `opened`."""
    digest = hashlib.sha256()
    with opened(path, most_bytes=most_bytes) as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def require_plain(text: str, *, source: object, location: str | None = None) -> str:
    """The text, which must have no control characters but tabs and line feeds. Raises UserError."""
    if not is_plain(text):
        raise UserError(
            "holds a control character", source=source, location=location, value=text, allowed="plain text"
        )
    return text
