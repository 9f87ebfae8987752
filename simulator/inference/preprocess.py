"""From pixels to what a network was trained on: size, channel order, scale, mean and standard deviation.

A value is `(pixel * scale - mean) / std` in float64, rounded once to float32. Images are resized by Pillow,
which filters over all pixels that an output pixel covers, as torchvision does with files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor, isfinite
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.foundation.reading.limits import LARGEST_IMAGE_PIXELS

Channels = Literal["rgb", "bgr"]
Layout = Literal["nchw", "nhwc"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """What is done to pixels of 0 to 255 before a network sees them.

    Attributes:
        scale: factor of a pixel.
        mean: subtracted after scaling, one value or one for each channel as the network has them.
        std: divides then, likewise.
        resize: length of the shorter side, or height and width; None: what `crop_fraction` says.
        crop: height and width cut out of the middle; None: the network's.
        crop_fraction: share of the resized image's shorter side that the cut keeps; without `resize` images
            are resized to the network's size over this.
        channels: order of the channels.
        layout: `nchw` or `nhwc`; None: the network's.
        interpolation: Pillow's filter.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    resize: int | Size | None = None
    crop: Size | None = None
    crop_fraction: float = 1.0
    channels: Channels = "rgb"
    layout: Layout | None = None
    interpolation: Interpolation = "bilinear"

    @property
    def text(self) -> str:
        """As `--preprocess` takes it."""
        parts = [f"scale={_text(self.scale)}", f"mean={_listed(self.mean)}", f"std={_listed(self.std)}"]
        if self.resize is not None:
            sides = (self.resize,) if isinstance(self.resize, int) else self.resize
            parts.append(f"resize={'x'.join(map(str, sides))}")
        if self.crop is not None:
            parts.append(f"crop={self.crop[0]}x{self.crop[1]}")
        if self.crop_fraction != 1:
            parts.append(f"crop_fraction={_text(self.crop_fraction)}")
        parts.append(f"channels={self.channels}")
        if self.layout is not None:
            parts.append(f"layout={self.layout}")
        return ",".join([*parts, f"interpolation={self.interpolation}"])

    def resized(self, size: Size, wanted: Size) -> Size:
        """Height and width to which an image of `size` is resized for a cut of `wanted`."""
        if isinstance(self.resize, tuple):
            return self.resize
        if self.resize is None and wanted[0] != wanted[1]:
            return _covering(size, tuple(floor(side / self.crop_fraction) for side in wanted))
        shorter = self.resize if self.resize is not None else floor(wanted[0] / self.crop_fraction)
        height, width = size
        if height <= width:
            return shorter, max(1, int(shorter * width / height))
        return max(1, int(shorter * height / width)), shorter

    def table(self, channels: int) -> NDArray[np.float32]:
        """What each pixel value becomes in each channel, [channels, 256]."""
        return self.normalized(np.arange(256.0)[None], axis=0, channels=channels)

    def normalized(self, values: NDArray[Any], *, axis: int, channels: int) -> NDArray[np.float32]:
        """Values `(x * scale - mean) / std`, rounded once to float32; `axis` holds the channels.

        Raises:
            UserError: means or standard deviations for another number of channels, values beyond float32.
        """
        along = [1] * values.ndim
        along[axis] = -1
        mean, std = (self._of_channels(name, channels).reshape(along) for name in ("mean", "std"))
        with np.errstate(over="ignore", invalid="ignore"):
            real = ((values.astype(np.float64) * self.scale - mean) / std).astype(np.float32)
        if not np.isfinite(real).all():
            raise UserError("makes values beyond float32", location="--preprocess", value=self.text)
        return real

    def _of_channels(self, name: Literal["mean", "std"], channels: int) -> NDArray[np.float64]:
        given = self.mean if name == "mean" else self.std
        if len(given) not in (1, channels):
            raise UserError(
                f"the network takes {channels} channels",
                location=f"--preprocess {name}",
                value=_listed(given),
                allowed=f"one value, or {channels}",
            )
        return np.broadcast_to(np.asarray(given, np.float64), (channels,))


IMAGENET: Final = Preprocess(
    scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), crop_fraction=0.875
)
"""torchvision's: the shorter side to 256 for a cut of 224, then ImageNet's mean and standard deviation."""

UNIT: Final = Preprocess(scale=1 / 255)
"""Pixels from 0 to 1; the default."""

PRESETS: Final[Mapping[str, Preprocess]] = {"imagenet": IMAGENET, "unit": UNIT, "none": Preprocess()}


def get_preprocess(choice: str | Preprocess) -> Preprocess:
    """Preprocessing by a preset's name, `KEY=VALUE,...`, or a preset with changes: `imagenet,channels=bgr`.

    Values of several channels follow one another: `scale=1/255,mean=0.5,0.5,0.5,std=0.25`.

    Raises:
        UserError: an unknown preset or key, a value that cannot be, or no text.
    """
    if isinstance(choice, Preprocess):
        return choice
    if not isinstance(choice, str):
        raise UserError("is text or a Preprocess", location="--preprocess", value=choice)
    fields: dict[str, list[str]] = {}
    chosen, key = Preprocess(), ""
    for place, part in enumerate(piece.strip() for piece in choice.split(",")):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if equals:
            if name not in _FIELDS:
                raise UserError("unknown key", location="--preprocess", value=name, candidates=_FIELDS)
            if name in fields:
                raise UserError("is given twice", location="--preprocess", value=name)
            key, fields[name] = name, [value]
        elif key:
            fields[key].append(part)
        elif not place:
            if part not in PRESETS:
                raise UserError(
                    "unknown preprocessing",
                    location="--preprocess",
                    value=part,
                    allowed=f"{', '.join(PRESETS)}, or KEY=VALUE with {', '.join(_FIELDS)}",
                    candidates=PRESETS,
                )
            chosen = PRESETS[part]
    changes: dict[str, Any] = {name: _FIELDS[name](name, values) for name, values in fields.items()}
    return replace(chosen, **changes)


def middle(size: Size, wanted: Size) -> Size:
    """Top and left of a cut out of the middle; half pixels go to the even one, as in torchvision."""
    return round((size[0] - wanted[0]) / 2), round((size[1] - wanted[1]) / 2)


def _covering(size: Size, wanted: tuple[int, ...]) -> Size:
    """The smallest size of an image's own proportions that covers `wanted`."""
    factor = max(Fraction(wanted[0], size[0]), Fraction(wanted[1], size[1]))
    return max(round(size[0] * factor), wanted[0]), max(round(size[1] * factor), wanted[1])


def _listed(values: tuple[float, ...]) -> str:
    return ",".join(map(_text, values))


def _text(value: float) -> str:
    """The shortest text that reads back as the same number."""
    return repr(float(value)).removesuffix(".0")


def _refused(name: str, value: object, allowed: str) -> UserError:
    return UserError("cannot be", location=f"--preprocess {name}", value=value, allowed=allowed)


def _number(name: str, text: str, *, positive: bool) -> float:
    try:
        value = float(Fraction(text)) if "/" in text else float(text)
    except (ValueError, ArithmeticError):
        value = float("nan")
    if not isfinite(value) or (positive and value <= 0):
        raise _refused(name, text, "a number above 0, such as 1/255" if positive else "a number")
    return value


def _one(name: str, values: list[str]) -> str:
    if len(values) != 1:
        raise _refused(name, ",".join(values), "one value")
    return values[0]


def _positive(name: str, values: list[str]) -> float:
    return _number(name, _one(name, values), positive=True)


def _fraction(name: str, values: list[str]) -> float:
    value = _positive(name, values)
    if value > 1:
        raise _refused(name, value, "above 0 and at most 1")
    return value


def _means(name: str, values: list[str]) -> tuple[float, ...]:
    return tuple(_number(name, value, positive=False) for value in values)


def _deviations(name: str, values: list[str]) -> tuple[float, ...]:
    return tuple(_number(name, value, positive=True) for value in values)


def _sides(name: str, values: list[str]) -> Size | int:
    text = _one(name, values)
    if not re.fullmatch(r"[1-9]\d{0,4}(x[1-9]\d{0,4})?", text):
        raise _refused(name, text, "pixels, as 256 or 256x320 (height x width)")
    sides = [int(side) for side in text.split("x")]
    if sides[0] * sides[-1] > LARGEST_IMAGE_PIXELS:
        raise _refused(name, text, f"up to {LARGEST_IMAGE_PIXELS:,} pixels")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _cut(name: str, values: list[str]) -> Size:
    sides = _sides(name, values)
    return (sides, sides) if isinstance(sides, int) else sides


def _word(kind: Any) -> Callable[[str, list[str]], str]:
    def parse(name: str, values: list[str]) -> str:
        word = _one(name, values).lower()
        if word not in get_args(kind):
            raise UserError(
                "cannot be", location=f"--preprocess {name}", value=word, candidates=get_args(kind)
            )
        return word

    return parse


_FIELDS: Final[Mapping[str, Callable[[str, list[str]], object]]] = {
    "scale": _positive,
    "mean": _means,
    "std": _deviations,
    "resize": _sides,
    "crop": _cut,
    "crop_fraction": _fraction,
    "channels": _word(Channels),
    "layout": _word(Layout),
    "interpolation": _word(Interpolation),
}
