"""The one way out: files that appear whole or not at all, whatever stands at their path.

A regular file is replaced by a rename, links followed, its mode and owner kept. What is no regular file, such
as `/dev/null` or a pipe, is written through and never replaced. A full disk, a folder that cannot be written
to, an empty or over-long path become one error, and what stood there before stays.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO

import numpy as np
from numpy.typing import NDArray

from simulator.foundation.errors import UserError
from simulator.foundation.reading.content import reason_of, require_path

PART: Final = ".part"
"""What names of half-written files end with."""

_LONGEST_NAME_BYTES: Final = 200
"""A file's name that leaves room for what is added to it while the file is half written."""

LONGEST_WAIT_FOR_READER_S: Final = 10.0
"""A pipe that nobody reads is waited for so long: its reader may be started after the command."""

_LOOK_FOR_READER_EVERY_S: Final = 0.05

_SYSTEM_FOLDERS: Final = ("/dev/", "/proc/", "/sys/")
_PIECE: Final = 1 << 20


def prepare_folder(path: Path) -> Path:
    """The folder `path`, made where missing.

    Raises:
        UserError: it cannot be made or written to.
    """
    made_folders(path)
    return path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path whose file takes the place of `path` only when the block ends without an error.

    The temporary file is there, empty, and is for the block to write. Where `path` is something else than a
    regular file, what was written is copied into it at the end.

    Raises:
        UserError: the folder or file cannot be written, or `path` is a folder.
    """
    with told(path):
        target = Target.of(path)
        temporary = target.temporary()
    try:
        with told(path):
            yield temporary
            target.take(temporary)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_text_file(path: Path) -> Iterator[TextIO]:
    """An open text file (UTF-8, lines ending as given) that appears whole or not at all, as `whole_file`."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, lines ending as given. Raises as `whole_file`."""
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError("holds text that is no Unicode", source=path, value=error.object) from error
    write_bytes(path, content)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a binary file whole or not at all. Raises as `whole_file`."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def append_text(path: Path, text: str) -> None:
    """Add text to the end of a file, which is made where missing. Raises UserError."""
    require_path(path)
    with told(path), path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)


def append_bytes(path: Path, content: bytes | memoryview) -> None:
    """Add bytes to the end of a file, which is made where missing. Raises UserError."""
    require_path(path)
    with told(path), path.open("ab") as stream:
        stream.write(content)


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write an .npy file whole or not at all; nothing is pickled.

    Whole numbers beyond 64 bits (arrays of Python's int) are written as decimal text, which `int` reads.

    Raises:
        UserError: as `whole_file`.
    """
    plain = array.astype(str) if array.dtype == object else array
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        np.save(_BytesOnly(stream.write), plain, allow_pickle=False)


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz file of plain arrays whole or not at all. Raises as `whole_file`."""
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


@dataclass(frozen=True, slots=True)
class _BytesOnly:
    """A stream that only takes bytes: to a file NumPy writes by itself, and loses why that failed."""

    write: Callable[[bytes], int]


def remove_file(path: Path) -> None:
    """Remove a file if it is there. Raises UserError where it cannot be removed."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot be removed: {reason_of(error)}", source=path) from error


def safe_name(name: str) -> str:
    """A file name for what is called `name`: letters, digits, `.`, `_` and `-`, 100 bytes at most.

    A longer one is cut and ends with a hash of the whole, so that different names stay different.
    """
    safe = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)
    if safe.strip("._"):
        encoded = safe.encode("utf-8")
        if len(encoded) <= _LONGEST_NAME_BYTES // 2:
            return safe
        beginning = encoded[: _LONGEST_NAME_BYTES // 2 - 18].decode("utf-8", errors="ignore")
        return f"{beginning}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return f"unnamed-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file goes: `path` as given, `place` with links followed, what is there now."""

    path: Path
    place: Path
    status: os.stat_result | None
    is_replaced: bool
    """Whether a rename puts the new file there; else it is copied into what is there."""

    @staticmethod
    def of(path: Path) -> Target:
        """What is to be at a path. Raises UserError or OSError: a folder, or it cannot be written."""
        require_path(path)
        if not path.name:
            raise UserError("is a folder, not a file", source=path)
        try:
            status = path.stat()
        except FileNotFoundError:
            status = None
        place = Path(os.path.realpath(path))
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise UserError("is a folder, not a file", source=path)
        is_regular = status is None or stat.S_ISREG(status.st_mode)
        is_replaced = is_regular and not str(path.absolute()).startswith(_SYSTEM_FOLDERS)
        if status is not None and not os.access(path, os.W_OK):
            raise UserError("cannot be written: Permission denied", source=path)
        return Target(path, place, status, is_replaced)

    def temporary(self) -> Path:
        """An empty file of this process alone, beside the place where a rename can put it."""
        if not self.is_replaced:
            descriptor, name = tempfile.mkstemp(suffix=PART)
            os.close(descriptor)
            return Path(name)
        name = self.place.name
        if len(os.fsencode(name)) > _LONGEST_NAME_BYTES:
            name = hashlib.sha256(os.fsencode(name)).hexdigest()
        temporary = self.place.with_name(f".{name}.{os.getpid()}{PART}")
        temporary.unlink(missing_ok=True)  # of a process with this number that was killed
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        return temporary

    def take(self, temporary: Path) -> None:
        """Put a finished file into its place."""
        if not self.is_replaced or not self._keeps_owner(temporary):
            self._write_through(temporary)
        else:
            temporary.replace(self.place)

    def _keeps_owner(self, temporary: Path) -> bool:
        """Give the file the mode and owner of the one it replaces; False where that is not allowed."""
        if self.status is None:
            return True
        status = temporary.stat()
        try:
            if (status.st_uid, status.st_gid) != (self.status.st_uid, self.status.st_gid):
                os.chown(temporary, self.status.st_uid, self.status.st_gid)
            temporary.chmod(stat.S_IMODE(self.status.st_mode))
        except OSError:
            return False
        return True

    def _write_through(self, temporary: Path) -> None:
        is_pipe = self.status is not None and stat.S_ISFIFO(self.status.st_mode)
        opened = _opened_pipe(self.path) if is_pipe else self.path.open("wb")
        with temporary.open("rb") as source, opened as stream:
            shutil.copyfileobj(source, stream, _PIECE)


def _opened_pipe(path: Path) -> BinaryIO:
    """A pipe to write to, once somebody reads it. Raises UserError where nobody does for 10 s."""
    ends_s = time.monotonic() + LONGEST_WAIT_FOR_READER_S
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > ends_s:
                raise UserError("cannot be written: nobody reads this pipe", source=path) from error
            time.sleep(_LOOK_FOR_READER_EVERY_S)
        else:
            os.set_blocking(descriptor, True)
            return os.fdopen(descriptor, "wb")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What the operating system refuses inside becomes a UserError about `path`."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot be written: {reason_of(error)}", source=path) from error


def made_folders(path: Path) -> list[Path]:
    """Make a folder and those above it; returns the ones that were missing, from the top down.

    Raises:
        UserError: it cannot be made or written to.
    """
    require_path(path)
    try:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"output directory cannot be made: {reason_of(error)}", source=path) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UserError("output directory cannot be written to", source=path)
    return missing[::-1]
