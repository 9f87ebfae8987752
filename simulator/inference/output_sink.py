"""Where a network's outputs go while images stream: into .npy files, or into arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.lib import format as npy

from simulator.foundation import UserError
from simulator.foundation.files import safe_name
from simulator.foundation.staged_outputs import staged_folder
from simulator.numerics.array_types import Tensor


class OutputSink(Protocol):
    """Takes the outputs of one chunk of images after the other, in order."""

    def take(self, outputs: Mapping[str, Tensor]) -> None:
        """Outputs by name through the MACs; the first axis runs over the chunk's images."""
        ...


class Unsaved:
    """Forgets outputs."""

    def take(self, outputs: Mapping[str, Tensor]) -> None:
        """Do nothing."""

    def finish(self) -> dict[str, Path]:
        """No files."""
        return {}


class SavedOutputs:
    """Writes each output into `FOLDER/NAME.npy` while images stream; made by `saved_outputs`.

    Characters of a name that file names should not have become `_`. dtype and shape are the output's own,
    with all images along the first axis.
    """

    def __init__(self, staging: Path, folder: Path) -> None:
        """Write into `staging`, which exists; in the end its files are in `folder`."""
        self._staging, self._folder = staging, folder
        self._files: dict[str, _GrowingFile] = {}

    def take(self, outputs: Mapping[str, Tensor]) -> None:
        """Append one chunk. Raises UserError: a file that cannot be written, or shapes that change."""
        for name, values in outputs.items():
            if name not in self._files:
                self._files[name] = _GrowingFile(self._path(name))
            self._files[name].append(values)

    def finish(self) -> dict[str, Path]:
        """Complete every file; returns where each output will be. Raises UserError: cannot be written."""
        return {name: self._folder / file.finish().name for name, file in self._files.items()}

    def close(self) -> None:
        """Close every file, finished or not."""
        for file in self._files.values():
            file.close()

    def _path(self, name: str) -> Path:
        safe = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)
        safe = safe_name(safe.lstrip(".") or "output")
        taken = {file.path.name for file in self._files.values()}
        unique, count = safe, 1
        while f"{unique}.npy" in taken:
            count += 1
            unique = f"{safe}_{count}"
        return self._staging / f"{unique}.npy"


@contextmanager
def saved_outputs(folder: Path) -> Iterator[SavedOutputs]:
    """A sink whose files are all in `folder` once the block ends; where it fails, nothing there has changed.

    Raises:
        UserError: the folder cannot be made or written to, or a folder stands where a file should.
    """
    with staged_folder(folder) as staged:
        sink = SavedOutputs(staged.folder, folder)
        try:
            yield sink
        finally:
            sink.close()


class _GrowingFile:
    """An .npy file that grows along its first axis; its header leaves room for the final count.

    One number that comes once stays a number; numbers that come again become a row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream: IO[bytes] | None = None
        self._count = 0
        self._rest: tuple[int, ...] = ()
        self._dtype = np.dtype(np.float32)
        self._number: Tensor | None = None

    def append(self, values: Tensor) -> None:
        self._number = values if values.ndim == 0 and not self._count else None
        values = np.ascontiguousarray(np.atleast_1d(values))
        try:
            if self._stream is None:
                self._rest, self._dtype = values.shape[1:], values.dtype
                self._stream = self.path.open("w+b")
                self._write_header(self._stream)
            if values.shape[1:] != self._rest or values.dtype != self._dtype:
                raise UserError(
                    "outputs of different images have different shapes and cannot be saved in one array",
                    source=self.path,
                    value=values.shape[1:],
                    allowed=str(self._rest),
                )
            self._stream.write(values.data if values.size else b"")
        except OSError as error:
            raise UserError(f"cannot be written: {error.strerror}", source=self.path) from error
        self._count += len(values)

    def finish(self) -> Path:
        assert self._stream is not None
        try:
            self._stream.seek(0)
            self._write_header(self._stream)
            if self._number is not None:
                self._stream.seek(0)
                self._stream.truncate()
                np.save(self._stream, self._number)
            self._stream.close()
        except OSError as error:
            raise UserError(f"cannot be written: {error.strerror}", source=self.path) from error
        return self.path

    def close(self) -> None:
        if self._stream is not None:
            with suppress(OSError):  # of what is buffered when a disk is full, which was told before
                self._stream.close()

    def _write_header(self, stream: IO[bytes]) -> None:
        # NumPy pads headers so that the first axis may grow in place.
        header = {
            "descr": npy.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._count, *self._rest),
        }
        npy.write_array_header_1_0(stream, header)
