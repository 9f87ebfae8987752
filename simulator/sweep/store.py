"""Where finished work is kept: one JSON file a point of a sweep, so that what is killed loses nothing.

A store is a folder. A point's file has the hash of everything that decides its result for a name (its key),
holds this key and a checksum, appears whole by a rename, and is never changed. That needs no database: two
processes that finish the same point write the same bytes to the same name. A process claims a point before it
computes it by locking a byte of the file `claims`; the operating system lets go of the lock when the process
ends, however it ends, so that no claim outlives its owner.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from simulator.foundation import UserError
from simulator.foundation.files import PART, append_text, prepare_folder, remove_file, write_text
from simulator.foundation.messages import one_line
from simulator.foundation.reading.content import exists, is_file, is_folder, names_in, read_text, reason_of
from simulator.foundation.reading.json_documents import load_json
from simulator.foundation.reading.limits import LARGEST_JSON_BYTES
from simulator.result import Result, load_result
from simulator.result_seal import require_seal, seal

if sys.platform != "win32":
    import fcntl

_MARKER = "store.json"

_POINT: Final = re.compile(r"([0-9a-f]{64})\.json")
_HALF_WRITTEN: Final = re.compile(rf"\.([0-9a-f]{{64}})\.json\.[0-9]+{re.escape(PART)}")

_HEXADECIMAL_DIGITS_OF_A_LOCK = 15  # a byte offset below 2**60


@dataclass(frozen=True, slots=True)
class StoreKind:
    """What a store is called and holds.

    Attributes:
        format: what its marker says.
        version: of what its files hold; stores of other versions are refused.
        name: of the store, in words.
        piece: a single piece of finished work, in words.
        whole: what the pieces are of, in words.
    """

    format: str
    version: int
    name: str
    piece: str
    whole: str

    @property
    def folder(self) -> str:
        """Name of the folder of the pieces."""
        return f"{self.piece}s"


class PointStore:
    """A folder of finished pieces of work, called points here, each a sealed JSON document under its key.

    `facts` are what all of its work has in common: the marker of a new store gets them, and `self.facts` are
    those of the marker that is there.

    Raises:
        UserError: the folder cannot be written, is no store, is of another version, is corrupted, or has
            something else than points where its points are, which is named.
    """

    def __init__(self, folder: Path, kind: StoreKind, facts: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.kind = kind
        self._points = folder / kind.folder
        marker = folder / _MARKER
        if exists(folder) and not is_folder(folder):
            raise UserError(
                f"is a file, not the folder of a {kind.name}", source=folder, allowed="a new or empty folder"
            )
        if not exists(marker):
            self._require_no_other_files()
            prepare_folder(folder)
            mark = {"format": kind.format, "version": kind.version, **(facts or {})}
            write_text(marker, json.dumps(mark) + "\n")
        self.facts = self._checked_marker(marker)
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
        return is_file(self.path(key))

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
        """Keep the result of a claimed point, sealed. Raises UserError when it cannot be written."""
        write_text(self.path(key), seal(text, key))

    @property
    def defects(self) -> Path:
        """Where tracebacks of defects are kept; there is no such file where there were none."""
        return self.folder / "defects.log"

    def log_defect(self, label: str, traceback: str) -> None:
        """Keep a traceback of a worker. Raises UserError when it cannot be written."""
        append_text(self.defects, f"{one_line(label)}\n{traceback}\n")

    def keys(self) -> list[str]:
        """Keys of all finished points, those of other sweeps included, in order."""
        return sorted(found[1] for name in names_in(self._points) if (found := _POINT.fullmatch(name)))

    def require_sound(self, keys: Iterable[str]) -> None:
        """Refuse the store where a finished point among `keys` is not as it was written.

        Raises:
            UserError: naming the first such file; deleting it lets the point be computed again.
        """
        for key in keys:
            if self.finished(key):
                self.text(key)

    def text(self, key: str) -> str:
        """A finished point as it was written, seal included. Raises UserError: the file is corrupted."""
        text = read_text(self.path(key), most_bytes=LARGEST_JSON_BYTES)
        try:
            require_seal(text, source=self.path(key), key=key)
        except UserError as error:
            raise self._corrupted(key, error) from error
        return text

    def result(self, key: str) -> Result:
        """The result that a finished point is.

        Raises:
            UserError: the file is corrupted; deleting it lets the point be computed again.
        """
        try:
            return load_result(self.path(key), key=key)
        except UserError as error:
            raise self._corrupted(key, error) from error

    def _sweep_up(self) -> None:
        """Remove half-written files of processes that were killed; those of living ones are claimed."""
        for name in names_in(self._points):
            file = self._points / name
            if _POINT.fullmatch(name) and is_file(file):
                continue
            left_over = _HALF_WRITTEN.fullmatch(name)
            if left_over is None or (exists(file) and not is_file(file)):
                raise UserError(
                    f"is no {self.kind.piece} of {self.kind.whole}; move it out of the store",
                    source=file,
                    allowed=f"files KEY.json of a {self.kind.name}",
                )
            if self.claim(left_over[1]):
                remove_file(file)
                self.release(left_over[1])

    def _require_no_other_files(self) -> None:
        # Another process that makes the same store may already have put some of it there.
        own = (f".{_MARKER}", _MARKER, self.kind.folder, "claims", "defects.log")
        for name in names_in(self.folder) if exists(self.folder) else ():
            if not name.startswith(own):
                raise UserError(
                    f"is a folder with other files ({name}) and no {self.kind.name}",
                    source=self.folder,
                    allowed="a new or empty folder",
                )

    def _checked_marker(self, marker: Path) -> dict[str, object]:
        """What the marker says beside format and version."""
        try:
            document = load_json(marker)
        except UserError as error:
            raise UserError(
                f"the store is corrupted: {error.problem}", source=marker, location=error.location
            ) from error
        if not isinstance(document, dict) or document.get("format") != self.kind.format:
            raise UserError(f"the store is corrupted: this does not mark a {self.kind.name}", source=marker)
        version = document.get("version")
        if type(version) is not int or version != self.kind.version:
            raise UserError(
                "the store is of another version",
                source=marker,
                location="version",
                value=version,
                allowed=f"{self.kind.version}; give a new folder with --store, points of other versions are"
                " not reused",
            )
        return {name: value for name, value in document.items() if name not in ("format", "version")}

    def _corrupted(self, key: str, error: UserError) -> UserError:
        return UserError(
            f"the store is corrupted: {error.problem}; delete this file to compute its"
            f" {self.kind.piece} again",
            source=self.path(key),
            location=error.location,
        )


SWEEP_STORE: Final = StoreKind("systolic sweep store", 2, name="sweep store", piece="point", whole="a sweep")
"""Points of version 1 had no checksum."""


class SweepStore(PointStore):
    """A folder of the finished points of sweeps. Raises as `PointStore`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, SWEEP_STORE)


def _open_claims(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise UserError(f"cannot be opened: {reason_of(error)}", source=path) from error


def _lock_offset(key: str) -> int:
    return int(key[:_HEXADECIMAL_DIGITS_OF_A_LOCK], 16)
