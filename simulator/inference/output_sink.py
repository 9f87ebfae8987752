"""Where a network's outputs go while images stream: into .npy files, or into arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.lib import format as npy

from simulator.foundation import UserError
from simulator.foundation.files import prepare_folder
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

    def __init__(self, folder: Path) -> None:
        """Write into `folder`, which exists."""
        self._folder = folder
        self._files: dict[str, _GrowingFile] = {}

    def take(self, outputs: Mapping[str, Tensor]) -> None:
        """Append one chunk. Raises UserError: a file that cannot be written, or shapes that change."""
        for name, values in outputs.items():
            if name not in self._files:
                self._files[name] = _GrowingFile(self._path(name))
            self._files[name].append(values)

    def finish(self) -> dict[str, Path]:
        """Give every file its name; returns the paths by output. Raises UserError: cannot be written."""
        return {name: file.finish() for name, file in self._files.items()}

    def discard(self) -> None:
        """Remove what is not finished."""
        for file in self._files.values():
            file.discard()

    def _path(self, name: str) -> Path:
        safe = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)
        safe = safe.lstrip(".") or "output"
        taken = {file.path.name for file in self._files.values()}
        unique, count = safe, 1
        while f"{unique}.npy" in taken:
            count += 1
            unique = f"{safe}_{count}"
        return self._folder / f"{unique}.npy"


@contextmanager
def saved_outputs(folder: Path) -> Iterator[SavedOutputs]:
    """A sink that writes into `folder`, made where missing; nothing is left where the block fails.

    Raises:
        UserError: the folder cannot be made or written to.
    """
    sink = SavedOutputs(prepare_folder(folder))
    try:
        yield sink
    finally:
        sink.discard()


class _GrowingFile:
    """An .npy file that grows along its first axis; its header leaves room for the final count."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._stream: IO[bytes] | None = None
        self._count = 0
        self._rest: tuple[int, ...] = ()
        self._dtype = np.dtype(np.float32)

    def append(self, values: Tensor) -> None:
        values = np.ascontiguousarray(np.atleast_1d(values))
        try:
            if self._stream is None:
                self._rest, self._dtype = values.shape[1:], values.dtype
                self._stream = self._temporary.open("w+b")
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
            self._stream.close()
            self._temporary.replace(self.path)
        except OSError as error:
            raise UserError(f"cannot be written: {error.strerror}", source=self.path) from error
        return self.path

    def discard(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._temporary.unlink(missing_ok=True)

    def _write_header(self, stream: IO[bytes]) -> None:
        # NumPy pads headers so that the first axis may grow in place.
        header = {
            "descr": npy.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._count, *self._rest),
        }
        npy.write_array_header_1_0(stream, header)
