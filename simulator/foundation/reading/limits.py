"""How large an input may be; docs/limits.md lists these."""

from __future__ import annotations

from typing import Final

_MEBIBYTE: Final = 2**20

LARGEST_TEXT_BYTES: Final = 64 * _MEBIBYTE
"""YAML, CSV and configuration files."""

LARGEST_JSON_BYTES: Final = 1024 * _MEBIBYTE
"""Results and manifests of traces."""

LARGEST_ARRAY_BYTES: Final = 8192 * _MEBIBYTE
"""One array of an .npy or .npz file, uncompressed."""

LARGEST_ARCHIVE_BYTES: Final = 16384 * _MEBIBYTE
"""All members of an archive together, uncompressed."""

LARGEST_ARCHIVE_MEMBERS: Final = 10_000

LARGEST_RATIO: Final = 2000
"""Uncompressed bytes for each compressed one; deflate can do 1,032 at most."""

LARGEST_ONNX_BYTES: Final = 2048 * _MEBIBYTE
"""An ONNX file: the limit of protobuf itself."""

LARGEST_EXTERNAL_BYTES: Final = 16384 * _MEBIBYTE
"""All tensors that an ONNX file keeps in other files."""

LARGEST_IMAGE_BYTES: Final = 256 * _MEBIBYTE
"""An image file."""

LARGEST_IMAGE_PIXELS: Final = 100_000_000
"""Pixels of one image, so that it takes 400 MB at most."""

DEEPEST: Final = 64
"""Levels of mappings and lists inside each other."""

LONGEST_KEY: Final = 1000
"""Characters of a key or name."""

LONGEST_TEXT: Final = 100_000
"""Characters of a text inside a YAML file."""

LONGEST_LINE: Final = 100_000
"""Characters of a line of CSV."""

MOST_CELLS: Final = 10_000
"""Cells of a line of CSV."""

MOST_DIGITS: Final = 300
"""Digits of a number, so that every whole number is in the range of floats."""

MOST_ALIASED: Final = 100_000
"""Values that the aliases of a YAML file stand for, all together."""

MOST_DIMENSIONS: Final = 32
"""Dimensions of an array."""
