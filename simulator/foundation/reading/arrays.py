"""Arrays of .npy and .npz files: numbers and text of fixed length, checked before memory is taken.

NumPy's own loader allocates what the header says. Here the header is checked first: one array of plain
numbers whose size is exactly what the file holds. Pickled objects are never read.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Collection
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulator.foundation.errors import UserError
from simulator.foundation.reading.archives import MAGIC as ZIP_MAGIC
from simulator.foundation.reading.archives import Archive, opened_archive
from simulator.foundation.reading.content import opened
from simulator.foundation.reading.foreign import decoding
from simulator.foundation.reading.limits import LARGEST_ARCHIVE_BYTES, LARGEST_ARRAY_BYTES, MOST_DIMENSIONS

Array = NDArray[Any]

_MAGIC: Final = b"\x93NUMPY"
_PREFIX_BYTES: Final = 12
"""Magic, version, and the length of the header in at most four bytes."""

_LONGEST_HEADER: Final = 10_000
_MOST_BRACKETS: Final = 8
_FIELDS: Final = frozenset({"descr", "fortran_order", "shape"})
_KINDS: Final = "biufU"


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """What an .npy file says of its array; `offset` bytes stand before the first element."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran_order: bool
    offset: int

    @property
    def elements(self) -> int:
        """Number of elements, which `stored_bytes` hold."""
        return math.prod(self.shape)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all elements."""
        return self.elements * self.dtype.itemsize

    def array(self, content: bytearray | bytes | memoryview) -> Array:
        """The array in the bytes of its elements, which it does not copy."""
        flat = np.frombuffer(content, self.dtype)
        return flat.reshape(self.shape, order="F" if self.fortran_order else "C")


def read_npy(path: Path) -> Array:
    """The array of an .npy file.

    Raises:
        UserError: unreadable, no .npy file, a header that NumPy does not write, elements that are no numbers,
            too large, or a file that is shorter or longer than its header says.
    """
    with opened(path, most_bytes=LARGEST_ARRAY_BYTES + _PREFIX_BYTES + _LONGEST_HEADER) as stream:
        header = _header_of(stream, path)
        content = bytearray(header.stored_bytes)
        if stream.readinto(content) != header.stored_bytes:
            raise _truncated(path, None)
    return header.array(content)


def map_npy(path: Path) -> Array:
    """The array of an .npy file, read-only and mapped into memory. Raises as `read_npy`."""
    with opened(path, most_bytes=LARGEST_ARRAY_BYTES + _PREFIX_BYTES + _LONGEST_HEADER) as stream:
        header = _header_of(stream, path)
        if not header.stored_bytes:
            return header.array(b"")
        order = "F" if header.fortran_order else "C"
        with decoding("an .npy file", source=path):
            return np.memmap(stream, header.dtype, "r", header.offset, header.shape, order)  # type: ignore[call-overload,no-any-return]


def read_npz(path: Path, names: Collection[str] | None = None) -> dict[str, Array]:
    """Arrays of an .npz file by name, all of them or those of `names` that are there.

    Raises:
        UserError: as `opened_archive` and `read_npy`.
    """
    with opened_archive(path) as archive:
        return {
            name: _member(archive, member, path)
            for member in archive.sizes
            if (name := member.removesuffix(".npy")) and (names is None or name in names)
        }


def npz_headers(path: Path) -> dict[str, ArrayHeader]:
    """What an .npz file says of each of its arrays; no element is read. Raises as `read_npz`."""
    with opened_archive(path) as archive:
        return {
            member.removesuffix(".npy"): _member_header(
                archive.read(member, most_bytes=_PREFIX_BYTES + _LONGEST_HEADER), archive, member, path
            )
            for member in archive.sizes
        }


def read_arrays(path: Path) -> Array | dict[str, Array]:
    """The array of an .npy file or the arrays of an .npz file by name, told apart by their first bytes.

    Raises:
        UserError: neither of them, and as `read_npy` and `read_npz`.
    """
    return read_npy(path) if _is_npy(path) else read_npz(path)


def map_arrays(path: Path) -> Array | dict[str, Array]:
    """`read_arrays`, but whatever lies in the file uncompressed is mapped. Raises as `read_arrays`."""
    return map_npy(path) if _is_npy(path) else map_npz(path)


def _is_npy(path: Path) -> bool:
    with opened(path, most_bytes=LARGEST_ARCHIVE_BYTES) as stream:
        magic = stream.read(len(_MAGIC))
    if magic != _MAGIC and not magic.startswith(ZIP_MAGIC):
        raise UserError("is neither an .npz nor an .npy file, or is truncated", source=path)
    return magic == _MAGIC


def map_npz(path: Path) -> dict[str, Array]:
    """Arrays of an .npz file by name: those that are stored uncompressed mapped into memory, others read.

    The checksums of mapped arrays are not checked, as nothing of them is read.

    Raises:
        UserError: as `read_npz`.
    """
    arrays: dict[str, Array] = {}
    with opened_archive(path) as archive:
        for member in archive.sizes:
            name, place = member.removesuffix(".npy"), archive.stored_at(member)
            beginning = archive.read(member, most_bytes=_PREFIX_BYTES + _LONGEST_HEADER)
            header = _member_header(beginning, archive, member, path)
            if place is None or not header.stored_bytes:
                arrays[name] = _member(archive, member, path)
                continue
            order: Any = "F" if header.fortran_order else "C"
            with decoding("an .npz file", source=path, location=member):
                mapped: Any = np.memmap(path, header.dtype, "r", place + header.offset, header.shape, order)
            arrays[name] = mapped
    return arrays


def _member(archive: Archive, member: str, path: Path) -> Array:
    if archive.sizes[member] > LARGEST_ARRAY_BYTES:
        raise _too_large(path, member, archive.sizes[member])
    content = archive.read(member)
    header = _member_header(content, archive, member, path)
    return header.array(memoryview(content)[header.offset :])


def _member_header(content: bytearray, archive: Archive, member: str, path: Path) -> ArrayHeader:
    size = archive.sizes[member]
    if not content.startswith(_MAGIC):
        raise UserError("is not an array", source=path, location=member)
    header = parse_header(bytes(content[: _PREFIX_BYTES + _LONGEST_HEADER]), source=path, location=member)
    _require_size(header, size, path, member)
    return header


def _header_of(stream: BufferedReader, path: Path) -> ArrayHeader:
    """The header of an open file, which stands behind it afterwards."""
    beginning = stream.read(_PREFIX_BYTES + _LONGEST_HEADER)
    size = stream.seek(0, 2)
    header = parse_header(beginning, source=path, location=None)
    _require_size(header, size, path, None)
    stream.seek(header.offset)
    return header


def _require_size(header: ArrayHeader, size: int, path: Path, location: str | None) -> None:
    if header.stored_bytes > LARGEST_ARRAY_BYTES:
        raise _too_large(path, location, header.stored_bytes)
    if header.offset + header.stored_bytes > size:
        raise _truncated(path, location)
    if header.offset + header.stored_bytes < size:
        raise UserError(
            "holds more than its one array", source=path, location=location, value=size - header.offset
        )


def parse_header(beginning: bytes, *, source: object, location: str | None) -> ArrayHeader:
    """The header at the beginning of an .npy file.

    Raises:
        UserError: no .npy file, another version, or a header that NumPy would not write for numbers.
    """
    if not beginning.startswith(_MAGIC) or len(beginning) < _PREFIX_BYTES:
        raise UserError("is not an .npy file, or is truncated", source=source, location=location)
    major, minor = beginning[6], beginning[7]
    if (major, minor) not in {(1, 0), (2, 0), (3, 0)}:
        raise UserError(
            "is an .npy file of an unknown version",
            source=source,
            location=location,
            value=f"{major}.{minor}",
        )
    length_bytes = 2 if major == 1 else 4
    length = int.from_bytes(beginning[8 : 8 + length_bytes], "little")
    offset = 8 + length_bytes + length
    if length > _LONGEST_HEADER or offset > len(beginning):
        raise UserError("has a damaged .npy header", source=source, location=location, value=length)
    fields = _fields(beginning[8 + length_bytes : offset], source, location)
    dtype = _dtype(fields["descr"], source, location)
    shape, fortran_order = fields["shape"], fields["fortran_order"]
    if not isinstance(fortran_order, bool) or not _is_shape(shape):
        raise UserError("has a damaged .npy header", source=source, location=location, value=shape)
    return ArrayHeader(dtype, shape, fortran_order, offset)


def _fields(text: bytes, source: object, location: str | None) -> dict[str, Any]:
    if sum(text.count(bracket) for bracket in b"([{") > _MOST_BRACKETS:
        raise UserError("is no array of plain numbers", source=source, location=location, value=text)
    with decoding("an .npy file", source=source, location=location):
        fields = ast.literal_eval(text.decode("utf-8").strip())
    if not isinstance(fields, dict) or fields.keys() != _FIELDS:
        raise UserError("has a damaged .npy header", source=source, location=location, value=text)
    return fields


def _dtype(described: object, source: object, location: str | None) -> np.dtype[Any]:
    if isinstance(described, str) and "," not in described:
        with decoding("an .npy file", source=source, location=location):
            dtype = np.dtype(described)
        if dtype.kind in _KINDS and dtype.itemsize and dtype.subdtype is None:
            return dtype
    raise UserError(
        "holds elements that are no plain numbers",
        source=source,
        location=location,
        value=described,
        allowed="booleans, integers, floats, text",
    )


def _is_shape(shape: object) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) <= MOST_DIMENSIONS
        and all(type(size) is int and 0 <= size <= LARGEST_ARRAY_BYTES for size in shape)
    )


def _too_large(path: Path, location: str | None, size: int) -> UserError:
    return UserError(
        "is too large",
        source=path,
        location=location,
        value=size,
        allowed=f"arrays of up to {LARGEST_ARRAY_BYTES:,} bytes",
    )


def _truncated(path: Path, location: str | None) -> UserError:
    return UserError("is truncated: it is shorter than its header says", source=path, location=location)
