"""Members of zip archives (.npz files), none of them unpacked before its size is known."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulator.foundation.errors import NO_VALUE, UserError
from simulator.foundation.reading.content import opened
from simulator.foundation.reading.foreign import decoding
from simulator.foundation.reading.limits import (
    LARGEST_ARCHIVE_BYTES,
    LARGEST_ARCHIVE_MEMBERS,
    LARGEST_RATIO,
    LONGEST_KEY,
)

MAGIC: Final = b"PK"
"""What every zip archive begins with."""

_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x1
_PIECE: Final = 1 << 20
_LOCAL_HEADER: Final = struct.Struct("<4s5H3I2H")
_LOCAL_MAGIC: Final = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Archive:
    """An open archive: its members' uncompressed sizes in bytes by name, in the order of the file."""

    path: Path
    sizes: dict[str, int]
    _archive: zipfile.ZipFile

    def read(self, name: str, *, most_bytes: int | None = None) -> bytearray:
        """The bytes of a member, all of them or the first `most_bytes`.

        Raises:
            UserError: damaged, or not of the size that the archive says.
        """
        size = self.sizes[name]
        wanted = size if most_bytes is None else min(size, most_bytes)
        content = bytearray(wanted)
        with decoding("a zip archive", source=self.path, location=name), self._archive.open(name) as member:
            view, done = memoryview(content), 0
            while done < wanted and (piece := member.read(min(wanted - done, _PIECE))):
                view[done : done + len(piece)] = piece
                done += len(piece)
            more = member.read(1) if most_bytes is None else b""  # the last read also checks the checksum
        if done != wanted or more:
            raise UserError(
                "is damaged: a member has another size than the archive says", source=self.path, location=name
            )
        return content

    def stored_at(self, name: str) -> int | None:
        """Where in the file the bytes of a member begin; None where they are compressed.

        Raises:
            UserError: no member begins where the archive says, or it ends behind the file.
        """
        member, stream = self._archive.getinfo(name), self._archive.fp
        if member.compress_type != zipfile.ZIP_STORED or stream is None:
            return None
        with decoding("a zip archive", source=self.path, location=name):
            stream.seek(member.header_offset)
            magic, *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
            place = member.header_offset + _LOCAL_HEADER.size + int(name_bytes) + int(extra_bytes)
            is_there = magic == _LOCAL_MAGIC and place + member.file_size <= stream.seek(0, 2)
        if not is_there or member.file_size != member.compress_size:
            raise UserError("is damaged: a member is not where it should be", source=self.path, location=name)
        return place


@contextmanager
def opened_archive(path: Path) -> Iterator[Archive]:
    """A zip archive whose members are plain: not encrypted, stored or deflated, each name once.

    Raises:
        UserError: unreadable, no zip archive, damaged, encrypted, compressed in another way, a name that is
            given twice or too long, or more members or bytes than `limits` allows.
    """
    with opened(path, most_bytes=LARGEST_ARCHIVE_BYTES) as stream:
        with decoding("a zip archive", source=path):
            archive = zipfile.ZipFile(stream)
        with archive:
            yield Archive(path, _checked(archive.infolist(), path), archive)


def _checked(members: list[zipfile.ZipInfo], path: Path) -> dict[str, int]:
    if len(members) > LARGEST_ARCHIVE_MEMBERS:
        raise _refused(path, None, "has too many members", len(members), f"up to {LARGEST_ARCHIVE_MEMBERS:,}")
    sizes: dict[str, int] = {}
    for member in members:
        name = member.filename
        if len(name) > LONGEST_KEY:
            raise _refused(path, name[:40], "has too long a name", len(name), f"up to {LONGEST_KEY} letters")
        if name in sizes:
            raise _refused(path, name, "is given twice")
        if member.flag_bits & _ENCRYPTED:
            raise _refused(path, name, "is encrypted")
        if member.compress_type not in _METHODS:
            raise _refused(
                path, name, "is compressed in an unknown way", member.compress_type, "stored, deflated"
            )
        if member.file_size > LARGEST_RATIO * max(member.compress_size, 1):
            raise _refused(path, name, "is far larger than what it is unpacked from", member.file_size)
        sizes[name] = member.file_size
    if sum(sizes.values()) > LARGEST_ARCHIVE_BYTES:
        raise _refused(
            path, None, "is too large unpacked", sum(sizes.values()), f"up to {LARGEST_ARCHIVE_BYTES:,} bytes"
        )
    return sizes


def _refused(
    path: Path, name: str | None, problem: str, value: object = NO_VALUE, allowed: str | None = None
) -> UserError:
    return UserError(problem, source=path, location=name, value=value, allowed=allowed)
