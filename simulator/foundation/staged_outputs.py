"""Files and folders that a command writes: all of them take their places at its end, or none does.

They are written beside their places first, into a hidden folder that names the process and its machine. What
a killed process left of such folders goes when the next one writes there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from simulator.foundation.errors import UserError
from simulator.foundation.files import PART, Target, made_folders, told

_LONGEST_NAME: Final = 60
"""Characters of the name of a link to what is replaced, whatever the name of that."""


@dataclass(slots=True)
class _Staged:
    """A folder in which an output is written first, and the file or folder where it will be."""

    folder: Path
    place: Path
    is_file: bool

    def file(self) -> Path:
        return self.folder / self.place.name

    def moves(self) -> list[tuple[Path, Path]]:
        """Every file that has been written, and its place."""
        if self.is_file:
            return [(self.file(), self.place)] if self.file().exists() else []
        files = sorted(file for file in self.folder.rglob("*") if file.is_file())
        return [(file, self.place / file.relative_to(self.folder)) for file in files]

    def named(self, path: Path) -> Path | None:
        """What the user calls a path in this folder; None for others."""
        if not path.is_relative_to(self.folder):
            return None
        return self.place if self.is_file else self.place / path.relative_to(self.folder)


@dataclass(slots=True)
class StagedOutputs:
    """What a command writes, before it takes its place; `overwritten` is known at the end."""

    overwritten: list[Path] = field(default_factory=list)
    _staged: list[_Staged] = field(default_factory=list)
    _made: list[Path] = field(default_factory=list)

    def file(self, path: Path) -> Path:
        """Where to write the file that will be at `path`; nothing is there yet.

        Raises:
            UserError: the folder or file cannot be written, or `path` is a folder.
        """
        with told(path):
            target = Target.of(path)
            folder = _new_folder(target.place.parent if target.is_replaced else None)
        self._staged.append(_Staged(folder, path, is_file=True))
        return self._staged[-1].file()

    def folder(self, path: Path) -> Path:
        """The empty folder to write files into that will be in `path`, which is made where missing.

        Raises:
            UserError: it cannot be made or written to.
        """
        self._made += made_folders(path)
        with told(path):
            folder = _new_folder(path)
        self._staged.append(_Staged(folder, path, is_file=False))
        return folder

    def take_places(self) -> None:
        """Move every file to its place; what has been moved is put back where one cannot be."""
        moves = [move for staged in self._staged for move in staged.moves()]
        targets = []
        for _, place in moves:
            with told(place):
                self._made += made_folders(place.parent)
                targets.append(Target.of(place))
        # What is written through, such as a pipe, cannot be put back: it fails before others are moved.
        ordered = sorted(zip(moves, targets, strict=True), key=lambda each: each[1].is_replaced)
        undo: list[tuple[Path | None, Path]] = []
        try:
            for (file, place), target in ordered:
                with told(place):
                    if target.is_replaced and ((kept := _kept(target, file)) or target.status is None):
                        undo.append((kept, target.place))
                    target.take(file)
        except BaseException:
            for backup, place in reversed(undo):
                with contextlib.suppress(OSError):
                    place.unlink() if backup is None else backup.replace(place)
            raise
        self.overwritten = [target.path for target in targets if target.status is not None]

    def remove(self, *, made: bool) -> None:
        """Remove the temporary folders, and what was made for the outputs too."""
        for staged in self._staged:
            shutil.rmtree(staged.folder, ignore_errors=True)
            _remove_empty(staged.folder.parent)
        for folder in reversed(self._made if made else []):
            _remove_empty(folder)

    def name_places(self, error: UserError) -> None:
        """Let an error about a temporary path be about what the user calls it."""
        for staged in self._staged:
            if isinstance(error.source, Path) and (named := staged.named(error.source)) is not None:
                error.name_source(named)


@contextmanager
def staged_outputs() -> Iterator[StagedOutputs]:
    """Outputs that take their places all together or not at all.

    They do so when the block ends without an error; else nothing has changed, and folders that were made for
    them are gone. Errors name the places, not the temporary files.

    Raises:
        UserError: a file cannot be written, or a folder stands where a file should.
    """
    outputs = StagedOutputs()
    try:
        yield outputs
        outputs.take_places()
    except BaseException as error:
        outputs.remove(made=True)
        if isinstance(error, UserError):
            outputs.name_places(error)
        raise
    outputs.remove(made=False)


@dataclass(slots=True)
class StagedFolder:
    """A folder that files are written to before they take their places; `overwritten` is known at the end."""

    folder: Path
    overwritten: list[Path] = field(default_factory=list)


@contextmanager
def staged_folder(path: Path) -> Iterator[StagedFolder]:
    """A temporary folder whose files take their places in the folder `path` all together or not at all.

    Other files of `path` stay. As `staged_outputs` of one folder.

    Raises:
        UserError: the folder cannot be made or written to, or a folder stands where a file should.
    """
    with staged_outputs() as outputs:
        staged = StagedFolder(outputs.folder(path))
        yield staged
    staged.overwritten = outputs.overwritten


def _kept(target: Target, beside: Path) -> Path | None:
    """A link to what a file is about to replace; None where there is nothing, or links cannot be made."""
    if target.status is None:
        return None
    backup = beside.with_name(f"{beside.name}.before"[-_LONGEST_NAME:])
    try:
        os.link(target.place, backup)
    except OSError:
        return None
    return backup


def _new_folder(beside: Path | None) -> Path:
    """A new folder inside the hidden folder of this process in `beside`; None: where temporary files are."""
    if beside is None:
        return Path(tempfile.mkdtemp(dir=tempfile.mkdtemp(prefix="systolic-")))
    _remove_left_over(beside)
    hidden = beside / f".{os.getpid()}-{_machine()}{PART}"
    hidden.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(dir=hidden))


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _machine() -> str:
    """Short text for this machine: a process number says nothing about those of others."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _remove_left_over(folder: Path) -> None:
    """Remove what killed processes of this machine left of their temporary folders."""
    end = f"-{_machine()}{PART}"
    for entry in folder.glob(f".*{end}"):
        number = entry.name[1 : -len(end)]
        if number.isdecimal() and not entry.is_symlink() and not _is_alive(int(number)):
            shutil.rmtree(entry, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:
        return True  # someone else's
    except (OSError, OverflowError):
        return False
    return True
