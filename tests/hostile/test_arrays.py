"""Arrays, archives and pictures: what is read is what NumPy or Pillow wrote, and damage is one line."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.foundation.reading.arrays import map_npy, npz_headers, read_arrays, read_npy, read_npz
from simulator.foundation.reading.pictures import read_picture

ARRAYS = [
    np.arange(12, dtype=np.float32).reshape(3, 4),
    np.asfortranarray(np.arange(12, dtype=">i8").reshape(3, 4)),
    np.array(7, dtype=np.uint8),
    np.zeros((0, 5), dtype=np.float64),
    np.array([True, False]),
    np.array(["12345678901234567890123", "-4"]),
]


def npy_bytes(array: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_arrays(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@pytest.mark.parametrize("array", ARRAYS, ids=str)
def test_an_array_is_read_as_numpy_wrote_it(array: NDArray[np.generic], tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy_bytes(array))
    for read in (read_npy(path), map_npy(path), read_arrays(path)):
        assert isinstance(read, np.ndarray)
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_is_read_as_numpy_wrote_it(save: object, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    wanted = {f"a{number}": array for number, array in enumerate(ARRAYS)}
    assert callable(save)
    save(path, **wanted)
    read = read_npz(path)
    assert read.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(read[name], array)
    assert list(read_npz(path, ("a2", "absent"))) == ["a2"]
    assert npz_headers(path)["a0"].shape == (3, 4)


def npy_with_header(header: str, content: bytes = b"", *, version: int = 1) -> bytes:
    text = header.encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(text)) + text + content


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["neither an .npz nor an .npy"]),
        (b"\x93NUMPY\x01\x00", ["truncated"]),
        (npy_bytes(ARRAYS[0])[:-1], ["truncated", "shorter than its header says"]),
        (npy_bytes(ARRAYS[0]) + b"\0", ["more than its one array"]),
        (npy_bytes(ARRAYS[0])[:6] + b"\x09\x00" + npy_bytes(ARRAYS[0])[8:], ["unknown version", "'9.0'"]),
        (npy_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 10), }  0  !"), ["damaged"]),
        (npy_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,"), ["damaged"]),
        (npy_with_header("(" * 5000), ["no array of plain numbers"]),
        (npy_with_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"), ["plain", "|O"]),
        (
            npy_with_header("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,), }", b"\0" * 4),
            ["no plain numbers"],
        ),
        (npy_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"), ["damaged"]),
        (npy_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (True,), }"), ["damaged"]),
        (npy_with_header("{'descr': '<f4', 'fortran_order': 1, 'shape': (1,), }", b"\0" * 4), ["damaged"]),
        # 2**31 x 2**31 float64 are 32 EiB: refused before a byte of them is allocated.
        (
            npy_with_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**31}, {2**31}), }}"),
            ["too large", str(8 * 2**62)],
        ),
        (npy_with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (900000000,), }"), ["truncated"]),
    ],
)  # fmt: skip
def test_a_damaged_array_is_one_line(content: bytes, parts: list[str], tmp_path: Path) -> None:
    message = refusal(tmp_path / "a.npy", content)
    for part in parts:
        assert part in message


def archive(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return stream.getvalue()


def test_a_damaged_archive_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    good = archive([("images.npy", npy_bytes(ARRAYS[0]))], zipfile.ZIP_STORED)
    assert "archive" in refusal(path, good[:-10])
    flipped = bytearray(good)
    flipped[good.index(ARRAYS[0].tobytes()) + 5] ^= 1  # the checksum no longer holds
    assert "damaged" in refusal(path, bytes(flipped))
    assert "is not an array" in refusal(path, archive([("notes.txt", b"hello")]))
    assert "unknown way" in refusal(path, archive([("a.npy", npy_bytes(ARRAYS[0]))], zipfile.ZIP_LZMA))


def test_an_encrypted_archive_says_so(tmp_path: Path) -> None:
    content = bytearray(archive([("images.npy", npy_bytes(ARRAYS[0]))]))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + offset] |= 1
    assert "encrypted" in refusal(tmp_path / "a.npz", bytes(content))


def test_an_archive_that_lies_about_its_sizes_is_not_unpacked(tmp_path: Path) -> None:
    """A member of 10 MB of zeros whose directory says 100 TB: refused before memory is taken."""
    content = bytearray(archive([("images.npy", npy_bytes(np.zeros(10_000_000, np.uint8)))]))
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = (0xFFFFFFFE).to_bytes(4, "little")
    assert "far larger than what it is unpacked from" in refusal(tmp_path / "a.npz", bytes(content))


@pytest.mark.parametrize("file_format", ["png", "bmp", "ppm", "tiff", "webp"])
def test_a_picture_is_read_to_the_pixel(file_format: str, tmp_path: Path) -> None:
    from PIL import Image

    pixels = np.random.default_rng(3).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    path = tmp_path / f"a.{file_format}"
    Image.fromarray(pixels).save(path, lossless=True)
    np.testing.assert_array_equal(read_picture(path).pixels, pixels)


def test_a_picture_that_would_take_too_much_memory_or_is_damaged_is_one_line(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    good = path.read_bytes()
    for broken in (b"", b"GIF89a", good[: len(good) // 2], good[:40] + b"\xff" + good[41:]):
        path.write_bytes(broken)
        with pytest.raises(UserError, match="is not an image, or is truncated or damaged"):
            read_picture(path)
    for width, height in ((12_000, 10_000), (100_000, 100_000)):  # beyond our limit, and beyond Pillow's too
        path.write_bytes(f"P6 {width} {height} 255\n".encode())
        with pytest.raises(
            UserError, match=rf"too many pixels \(got \({height}, {width}\)\)|decompression bomb"
        ):
            read_picture(path)
    Image.fromarray(np.zeros((2, 2), np.uint16)).save(path)
    with pytest.raises(UserError, match=r"no pixels of 8 bits \(got 'I;16'\)"):
        read_picture(path)
