"""Arrays in .npy and .npz files; large ones stay on disk and are read part by part."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from simulator.foundation import UserError

Tensor = NDArray[Any]

LARGE_BYTES = 1 << 26
"""Arrays in files of at least this size are mapped, not loaded."""

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")


class Batches(Protocol):
    """An array that may be read part by part, along its first axis."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, as of an array."""
        ...

    def __len__(self) -> int:
        """Length of the first axis."""
        ...

    def __getitem__(self, part: slice, /) -> Tensor:
        """A part in memory."""
        ...


@dataclass(frozen=True, slots=True)
class Converted:
    """An array whose parts are converted when they are read; `convert` takes a part and its first place."""

    array: Tensor
    convert: Callable[[Tensor, int], Tensor]
    item: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the converted array."""
        return (len(self.array), *self.item)

    def __len__(self) -> int:
        """Length of the first axis."""
        return len(self.array)

    def __getitem__(self, part: slice, /) -> Tensor:
        """A converted part in memory."""
        first = part.indices(len(self.array))[0]
        return self.convert(np.array(self.array[part]), first)


def read_arrays(path: Path) -> dict[str, Tensor]:
    """The arrays of an .npz file by name, or that of an .npy file as `images`.

    Raises:
        UserError: unreadable, truncated, or not arrays of numbers.
    """
    try:
        large = path.stat().st_size >= LARGE_BYTES
        with path.open("rb") as stream:
            is_array = stream.read(6) == b"\x93NUMPY"
        if is_array:
            return {"images": np.load(path, mmap_mode="r" if large else None, allow_pickle=False)}
        with path.open("rb") as stream:
            content = np.load(stream, allow_pickle=False)
            mapped = _mapped_members(path) if large else {}
            return {name: mapped[name] if name in mapped else content[name] for name in content.files}
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", source=path) from error
    except (ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError("is not an .npz or .npy file of numbers, or is truncated", source=path) from error


def _mapped_members(path: Path) -> dict[str, Tensor]:
    """The uncompressed arrays of an .npz file, mapped where they lie."""
    arrays: dict[str, Tensor] = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as stream:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED or not member.filename.endswith(".npy"):
                continue
            stream.seek(member.header_offset)
            fields = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
            stream.seek(fields[-2] + fields[-1], 1)
            version = npy.read_magic(stream)
            if version not in ((1, 0), (2, 0)):
                continue
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, is_fortran, dtype = read(stream)
            if dtype.hasobject or is_fortran or not shape or 0 in shape:
                continue
            name = member.filename.removesuffix(".npy")
            arrays[name] = np.memmap(path, dtype, "r", stream.tell(), shape)
    return arrays
