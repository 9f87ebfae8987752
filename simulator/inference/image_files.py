"""Images in files: decoded, resized, cut and normalized as they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.foundation.reading.foreign import decoding
from simulator.foundation.reading.limits import LARGEST_IMAGE_PIXELS
from simulator.foundation.reading.pictures import opened_picture
from simulator.inference.preprocess import Layout, Preprocess, Size, middle

_GRAY_OR_COLOUR = (1, 3)


@dataclass(frozen=True, slots=True)
class Frame:
    """How a network takes an image; a side is None where the network leaves it open."""

    channels: int
    height: int | None
    width: int | None
    layout: Layout

    @classmethod
    def of(cls, shape: Sequence[int | None], layout: Layout | None, *, network: str) -> Frame:
        """The frame of a network's input of this shape, the batch first.

        Raises:
            UserError: an input that takes no images of one or three channels.
        """
        if len(shape) == 4:
            known = {"nchw": shape[1], "nhwc": shape[3]}
            found: Layout | None = layout or next(
                (each for each in ("nchw", "nhwc") if known[each] in _GRAY_OR_COLOUR),
                None,
            )
            channels = None if found is None else known[found]
            if found is not None and channels in _GRAY_OR_COLOUR:
                height, width = shape[2:] if found == "nchw" else shape[1:3]
                return cls(channels, height or None, width or None, found)
        raise UserError(
            f"{network} takes no images of one or three channels",
            value=" x ".join("N" if side is None else str(side) for side in shape),
            allowed="an input of N x C x H x W or N x H x W x C; for others, arrays in .npz or .npy",
        )

    def shape(self, size: Size) -> tuple[int, int, int]:
        """Of one image of this height and width."""
        return (self.channels, *size) if self.layout == "nchw" else (*size, self.channels)


@dataclass(frozen=True)
class ImageFiles:
    """Files as an array of images, float32 [N, ...]; a slice decodes those images alone."""

    paths: tuple[Path, ...]
    frame: Frame
    preprocess: Preprocess
    notes: dict[str, str] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """float32."""
        return np.dtype(np.float32)

    @cached_property
    def size(self) -> Size:
        """Height and width of every image: the cut asked for, else the network's, else the first image's."""
        if self.preprocess.crop is not None:
            return self.preprocess.crop
        if self.frame.height is not None and self.frame.width is not None:
            return self.frame.height, self.frame.width
        with opened_picture(self.paths[0]) as image:
            first = (int(image.height), int(image.width))
        resize = self.preprocess.resize
        return first if resize is None else self.preprocess.resized(first, first)

    @property
    def shape(self) -> tuple[int, ...]:
        """Images first."""
        return (len(self.paths), *self.frame.shape(self.size))

    def __getitem__(self, part: slice) -> NDArray[np.float32]:
        """Some of the images.

        Raises:
            UserError: a file that cannot be read or decoded, or is too small for the cut.
        """
        paths = self.paths[part]
        images = np.empty((len(paths), *self.frame.shape(self.size)), np.float32)
        for path, image in zip(paths, images, strict=True):
            image[...] = self._image(path)
        return images

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        return self.preprocess.table(self.frame.channels)

    def _image(self, path: Path) -> NDArray[np.float32]:
        pixels = self.pixels(path)
        if self.preprocess.channels == "bgr":
            pixels = pixels[:, :, ::-1]
        values = np.empty(pixels.shape, np.float32)
        for channel, table in enumerate(self._table):
            values[:, :, channel] = table[pixels[:, :, channel]]
        return values.transpose(2, 0, 1) if self.frame.layout == "nchw" else values

    def pixels(self, path: Path) -> NDArray[np.uint8]:
        """One image resized and cut, [height, width, channels] in RGB or gray."""
        from PIL import Image

        wanted = self.size
        with opened_picture(path) as image:
            if image.mode[:1] in "IF":
                raise UserError("has pixels of more than 8 bits", source=path, value=image.mode)
            with decoding("an image", source=path):
                decoded = image.convert("RGB" if self.frame.channels == 3 else "L")
        size = (decoded.height, decoded.width)
        height, width = self.preprocess.resized(size, wanted)
        if height * width > LARGEST_IMAGE_PIXELS:
            raise UserError(
                "would have too many pixels once it is resized",
                source=path,
                value=f"{height}x{width}",
                allowed=f"up to {LARGEST_IMAGE_PIXELS:,}",
            )
        if (height, width) != size:
            self._note_growth(size, wanted, (height, width))
            resample = Image.Resampling[self.preprocess.interpolation.upper()]
            decoded = decoded.resize((width, height), resample)
        if height < wanted[0] or width < wanted[1]:
            raise UserError(
                "is too small for the cut once it is resized",
                source=path,
                value=f"{height}x{width}",
                allowed=f"{wanted[0]}x{wanted[1]} or more",
            )
        top, left = middle((height, width), wanted)
        decoded = decoded.crop((left, top, left + wanted[1], top + wanted[0]))
        return np.asarray(decoded, np.uint8).reshape(*wanted, self.frame.channels)

    def _note_growth(self, size: Size, wanted: Size, resized: Size) -> None:
        if size == wanted:
            self.notes.setdefault(
                "growth",
                f"images of the network's size were resized to {resized[0]}x{resized[1]} and cut:"
                " crop_fraction=1 takes them as they are",
            )
