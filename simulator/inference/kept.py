"""Tensors that are collected part by part: in memory while they fit, then in files of a temporary folder."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from simulator.foundation.files import append_bytes
from simulator.numerics.array_types import Tensor

MEMORY_BYTES: Final = 1 << 28
"""Bytes that a collection keeps in memory."""


class _Folder:
    """A temporary folder that goes with the last reference to this."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="systolic-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(slots=True)
class Kept:
    """The parts of one tensor along its first axis: those in memory, then those in a file in `folder`."""

    parts: list[Tensor] = field(default_factory=list)
    folder: _Folder | None = None
    file: Path | None = None
    shape: tuple[int, ...] = ()
    dtype: np.dtype[Any] | None = None

    def array(self) -> Tensor:
        """The whole tensor in memory; read from the file each time."""
        pieces = self.pieces()
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def pieces(self) -> list[Tensor]:
        """The tensor in memory, in pieces along its first axis; at least one."""
        pieces = list(self.parts)
        if self.file is not None:
            pieces.append(np.fromfile(self.file, self.dtype or np.float32).reshape(-1, *self.shape))
        return pieces


class KeptTensors:
    """Tensors by key; the temporary folder lives as long as this or one of its tensors is used."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._tensors: dict[Hashable, Kept] = {}
        self._bytes = 0
        self._folder: _Folder | None = None

    def add(self, key: Hashable, part: Tensor) -> Kept:
        """The next part of a tensor; returns all of it. Raises UserError where it cannot be kept."""
        kept = self._tensors.setdefault(key, Kept())
        part = np.ascontiguousarray(part)
        if kept.file is None and self._bytes + part.nbytes <= MEMORY_BYTES:
            kept.parts.append(part)
            self._bytes += part.nbytes
            return kept
        if kept.file is None:
            if self._folder is None:
                self._folder = _Folder()
            kept.folder = self._folder
            kept.file = kept.folder.path / f"{list(self._tensors).index(key)}.bin"
            kept.shape, kept.dtype = part.shape[1:], part.dtype
        append_bytes(kept.file, part.data.cast("B") if part.size else b"")
        return kept
