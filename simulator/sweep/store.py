"""Where finished points are kept: one `result.json` a point, so that a killed sweep loses nothing.

A store is a folder. A point's file has the hash of everything that decides its result for a name, appears
whole by a rename, and is never changed. That needs no database: two processes that finish the same point
write the same bytes to the same name. A process claims a point before it computes it by locking a byte of the
file `claims`; the operating system lets go of the lock when the process ends, however it ends, so that no
claim outlives its owner.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from simulator.foundation import UserError
from simulator.foundation.documents import read_text
from simulator.foundation.files import prepare_folder, write_text
from simulator.result import Result, load_result

if sys.platform != "win32":
    import fcntl

FORMAT = "systolic sweep store"
VERSION = 1

_BEING_MADE = (".store.json", "store.json", "points", "claims")
"""What another process that makes the same store may already have put there."""

_HEXADECIMAL_DIGITS_OF_A_LOCK = 15  # a byte offset below 2**60


class SweepStore:
    """A folder of finished points.

    Raises:
        UserError: the folder cannot be written, is no store, is of another version, or is corrupted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._points = folder / "points"
        marker = folder / "store.json"
        if not marker.exists():
            _require_no_other_files(folder)
            prepare_folder(folder)
            write_text(marker, json.dumps({"format": FORMAT, "version": VERSION}) + "\n")
        _check_marker(marker)
        prepare_folder(self._points)
        self._claims = _open_claims(folder / "claims")
        self._sweep_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of every claim."""
        os.close(self._claims)

    def path(self, key: str) -> Path:
        """Where a point's result is kept: a result file like any other, in compact JSON."""
        return self._points / f"{key}.json"

    def finished(self, key: str) -> bool:
        """Whether a point has its result."""
        return self.path(key).exists()

    def claim(self, key: str) -> bool:
        """Take a point to compute; False when another process has it.

        Windows has no such locks: there two processes on one store may compute a point twice.
        """
        if sys.platform == "win32":
            return True
        try:
            fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _lock_offset(key))
        except (BlockingIOError, PermissionError):
            return False
        return True

    def release(self, key: str) -> None:
        """Give a claimed point back."""
        if sys.platform != "win32":
            fcntl.lockf(self._claims, fcntl.LOCK_UN, 1, _lock_offset(key))

    def write(self, key: str, text: str) -> None:
        """Keep the result of a claimed point. Raises UserError when it cannot be written."""
        write_text(self.path(key), text)

    def _sweep_up(self) -> None:
        """Remove half-written files of processes that were killed; those of living ones are claimed."""
        for left_over in self._points.glob(".*.part"):
            key = left_over.name[1:].partition(".")[0]
            if self.claim(key):
                left_over.unlink(missing_ok=True)
                self.release(key)

    def result(self, key: str) -> Result:
        """A finished point's result.

        Raises:
            UserError: the file is corrupted; deleting it lets the point be computed again.
        """
        try:
            return load_result(self.path(key))
        except UserError as error:
            raise UserError(
                f"the store is corrupted: {error.problem}; delete this file to compute its point again",
                source=self.path(key),
                location=error.location,
            ) from error


def _require_no_other_files(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        others = (file.name for file in folder.iterdir() if not file.name.startswith(_BEING_MADE))
        for name in others:
            raise UserError(
                f"is a folder with other files ({name}) and no sweep store",
                source=folder,
                allowed="a new or empty folder",
            )


def _check_marker(marker: Path) -> None:
    try:
        document = json.loads(read_text(marker))
    except json.JSONDecodeError as error:
        raise UserError("the store is corrupted: this is not JSON", source=marker) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UserError("the store is corrupted: this does not mark a sweep store", source=marker)
    if document.get("version") != VERSION:
        raise UserError(
            "the store is of another version",
            source=marker,
            location="version",
            value=document.get("version"),
            allowed=str(VERSION),
        )


def _open_claims(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise UserError(f"cannot be opened: {error.strerror}", source=path) from error


def _lock_offset(key: str) -> int:
    return int(key[:_HEXADECIMAL_DIGITS_OF_A_LOCK], 16)
