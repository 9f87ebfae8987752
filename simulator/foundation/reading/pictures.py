"""Image files as arrays of 8-bit pixels, their size known before they are decoded."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulator.foundation.errors import UserError
from simulator.foundation.reading.content import opened
from simulator.foundation.reading.foreign import decoding
from simulator.foundation.reading.limits import LARGEST_IMAGE_BYTES, LARGEST_IMAGE_PIXELS

_WHAT: Final = "an image"
_SILENCE: Final = logging.NullHandler()
_FORMATS: Final = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_EIGHT_BIT_MODES: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})


@dataclass(frozen=True, slots=True)
class Picture:
    """An image, uint8[height, width, 3] in red, green, blue; `mode` is what the file had (Pillow's names).

    Grey levels stand in all three channels. Transparency (`LA`, `PA`, `RGBA`) is dropped: pixels have the
    colours that the file gives them. The orientation that a camera noted (EXIF) is not applied.
    """

    pixels: NDArray[np.uint8]
    mode: str


def read_picture(path: Path) -> Picture:
    """The one image of a PNG, JPEG, BMP, GIF, PPM, TIFF or WebP file.

    Raises:
        UserError: as `opened_picture`, damaged or truncated, more than one frame, pixels of more than 8 bits.
    """
    with opened_picture(path) as picture:
        with decoding(_WHAT, source=path):
            frames, mode = int(getattr(picture, "n_frames", 1)), str(picture.mode)
        if frames != 1:
            raise UserError("has more than one frame", source=path, value=frames, allowed="1")
        if mode not in _EIGHT_BIT_MODES:
            raise UserError("has no pixels of 8 bits", source=path, value=mode, allowed="grey, RGB")
        with decoding(_WHAT, source=path):
            pixels = np.array(picture.convert("RGB"), dtype=np.uint8)
    return Picture(pixels, mode)


@contextmanager
def opened_picture(path: Path) -> Iterator[Any]:
    """An image of Pillow that is not decoded yet; what is done with it may raise anything for damaged files.

    Raises:
        UserError: unreadable, none of the formats of `read_picture`, or more than 100 million pixels.
    """
    from PIL import Image

    logging.getLogger("PIL").addHandler(_SILENCE)  # it tells of damage on stderr, which is told here
    with opened(path, most_bytes=LARGEST_IMAGE_BYTES) as stream:
        with decoding(_WHAT, source=path):
            picture = Image.open(stream, formats=_FORMATS)
        with picture:
            width, height = picture.size
            if not 0 < width * height <= LARGEST_IMAGE_PIXELS:
                raise UserError(
                    "has too many pixels",
                    source=path,
                    value=(height, width),
                    allowed=f"up to {LARGEST_IMAGE_PIXELS:,}",
                )
            yield picture
