"""Test images with their labels: what inference takes, and bundled names, .npz and .npy files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.foundation.reading.content import is_file
from simulator.foundation.resources import resolve_document
from simulator.foundation.whole_numbers import is_whole
from simulator.inference.array_files import Converted, read_arrays
from simulator.inference.image_listing import IMAGE_SUFFIXES
from simulator.inference.inputs import Feed, each_tensor
from simulator.inference.preprocess import Preprocess
from simulator.numerics.array_types import Tensor

FALLBACK_CALIBRATION_IMAGES = 128
"""Calibration uses this many of the test images where the file brings none of its own."""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """How data came to be what a network sees.

    Attributes:
        preprocess: what was done to pixels, as `--preprocess` takes it; empty where nothing was.
        labels_from: where labels come from, in words.
        notes: what was left out or assumed, one sentence each, by what it is about; loading adds to them.
    """

    preprocess: str
    labels_from: str
    notes: dict[str, str]

    @classmethod
    def none(cls) -> DataFacts:
        """Nothing to say."""
        return cls("", "", {})


class Parts(Protocol):
    """Inputs that may be read part by part, along the axis of inferences."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first input."""
        ...

    def __len__(self) -> int:
        """Number of inferences."""
        ...

    def __getitem__(self, part: slice, /) -> Feed:
        """A part in memory."""
        ...


class Data(Protocol):
    """What a network runs on: images that may be read part by part, and their labels."""

    @property
    def source(self) -> str:
        """Where they come from."""
        ...

    @property
    def images(self) -> Parts:
        """As the network takes them, [N, ...]."""
        ...

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """int64[N], or None."""
        ...

    @property
    def calibration(self) -> Feed | None:
        """Images for calibration alone, or None."""
        ...

    @property
    def calibration_labels(self) -> NDArray[np.int64] | None:
        """Of the images for calibration alone, or None."""
        ...

    @property
    def facts(self) -> DataFacts:
        """How they came to be."""
        ...

    @property
    def for_calibration(self) -> Feed:
        """Images to calibrate with: the file's own, else the first test images."""
        ...

    def first(self, count: int | None) -> Data:
        """The same data with only the first `count` images; None keeps all. Raises UserError."""
        ...


@dataclass(frozen=True, slots=True)
class Images:
    """Images as a network takes them, float32[N, ...]; labels are int64[N] or None.

    `calibration` are images for calibration alone, with `calibration_labels`; None when the file has none.
    """

    source: str
    images: NDArray[np.float32]
    labels: NDArray[np.int64] | None = None
    calibration: NDArray[np.float32] | None = None
    calibration_labels: NDArray[np.int64] | None = None
    facts: DataFacts = DataFacts("", "", {})

    def first(self, count: int | None) -> Self:
        """The same data with only the first `count` images; None keeps all.

        Raises:
            UserError: none, or more than there are.
        """
        return self if count is None else replace(self, **_first(self, count))

    @property
    def fingerprint(self) -> str:
        """A hash of the images and their labels: equal for the same images in the same order."""
        return fingerprint_of(self)

    @property
    def for_calibration(self) -> NDArray[np.float32]:
        """Images to calibrate with: the file's own, else the first test images."""
        return self.images[:FALLBACK_CALIBRATION_IMAGES] if self.calibration is None else self.calibration


@dataclass(frozen=True, slots=True)
class StreamedImages:
    """Images that stay in their files until they are needed, [N, ...]; the rest is as in `Images`."""

    source: str
    images: Parts
    facts: DataFacts
    labels: NDArray[np.int64] | None = None
    calibration: Feed | None = None
    calibration_labels: NDArray[np.int64] | None = None

    def first(self, count: int | None) -> Self:
        """The same data with only the first `count` images; None keeps all. Raises as `Images.first`."""
        return self if count is None else replace(self, **_first(self, count))

    @property
    def for_calibration(self) -> Feed:
        """Images to calibrate with: the file's own, else the first test images."""
        return self.images[:FALLBACK_CALIBRATION_IMAGES] if self.calibration is None else self.calibration


@dataclass(frozen=True, slots=True)
class _Leading:
    """The first items of an array that is read part by part."""

    whole: Parts
    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.count, *self.whole.shape[1:])

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, part: slice, /) -> Feed:
        return self.whole[slice(*part.indices(self.count))]


def uncut(images: Parts) -> Parts:
    """Images of which these are the first ones, or these themselves."""
    return images.whole if isinstance(images, _Leading) else images


def _first(data: Images | StreamedImages, count: int) -> dict[str, Any]:
    if not is_whole(count) or not 1 <= count <= len(data.images):
        raise UserError(
            "cannot take that many images",
            source=data.source,
            value=count,
            allowed=f"1 to {len(data.images)}",
        )
    whole = data.images
    images = whole[:count] if isinstance(whole, np.ndarray) else _Leading(whole, count)
    return {"images": images, "labels": None if data.labels is None else data.labels[:count]}


def _add_to(digest: hashlib._Hash, tensor: Tensor) -> None:
    digest.update(tensor.data)


def image_digests(images: Feed) -> bytes:
    """A SHA-256 of each image, 32 bytes after the other; of several inputs together."""
    digests = []
    for place in range(len(images)):
        digest = hashlib.sha256()
        each_tensor(images[place : place + 1], partial(_add_to, digest))
        digests.append(digest.digest())
    return b"".join(digests)


class Fingerprint:
    """A hash of images and their labels: equal for the same images in the same order, however they come."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        """Of images of this shape, the number of images first."""
        self._digest = hashlib.sha256(repr(shape).encode())

    def add(self, images: Feed) -> None:
        """The next images, or values of all inputs."""
        self.add_digests(image_digests(images))

    def add_digests(self, digests: bytes) -> None:
        """The next images by their `image_digests`."""
        self._digest.update(digests)

    def finish(self, labels: NDArray[np.int64] | None) -> str:
        """With the labels of all images."""
        if labels is not None:
            self._digest.update(np.ascontiguousarray(labels).data)
        return self._digest.hexdigest()


def fingerprint_of(data: Data) -> str:
    """The `Fingerprint` of all of some data."""
    fingerprint = Fingerprint(data.images.shape)
    for part in in_parts(data.images, 256):
        fingerprint.add(part)
    return fingerprint.finish(data.labels)


def in_parts(images: Parts, size: int) -> Iterator[Feed]:
    """Images `size` at a time, each part read when it is asked for."""
    for start in range(0, len(images), size):
        yield images[start : start + size]


def array_file(name_or_path: str | Path) -> Path:
    """The file of arrays that a bundled name or a path means.

    Raises:
        UserError: there is none, or it is a picture; says all that data can be.
    """
    path = Path(name_or_path)
    files = "an .npz or .npy file, a folder of images, or a table of images and labels (.csv, .txt)"
    if path.suffix.lower() in IMAGE_SUFFIXES and is_file(path):
        raise UserError("is a single image", source=path, allowed=files)
    return resolve_document(str(name_or_path), "workloads", ".npz", what="image data", or_else=files)


def load_images(name_or_path: str | Path) -> Images:
    """Images by bundled name (`fashion_mnist_1000`) or from a file, in memory.

    An .npz file has `images`, and optionally `labels`, `calibration_images` and `calibration_labels`; an .npy
    file has images alone. uint8 images are divided by 255; floating-point images are taken as they are.

    Raises:
        UserError: unreadable or truncated file, images missing, empty, not numbers or not finite, labels that
            are not integers or not one for each image.
    """
    path = array_file(name_or_path)
    arrays = read_arrays(path)
    images, labels, calibration, calibration_labels = split_arrays(path, arrays)
    return Images(
        path.stem,
        real_images(path, "images", images)[:],
        labels,
        None if calibration is None else real_images(path, "calibration_images", calibration)[:],
        calibration_labels,
    )


def split_arrays(
    path: Path, arrays: dict[str, Tensor]
) -> tuple[Tensor, NDArray[np.int64] | None, Tensor | None, NDArray[np.int64] | None]:
    """Images, labels, images for calibration and their labels of a file's arrays.

    Raises:
        UserError: images that are missing or empty, labels that are not one integer for each.
    """
    if "images" not in arrays:
        raise UserError("has no images", source=path, location="images", candidates=arrays)
    images, calibration = arrays["images"], arrays.get("calibration_images")
    for what, each in (("images", images), ("calibration_images", calibration)):
        if each is not None and (each.ndim < 2 or not each.size):
            raise UserError(
                "must be an array of images", source=path, location=what, value=each.shape, allowed="N x ..."
            )
    count = 0 if calibration is None else len(calibration)
    return (
        images,
        checked_labels(path, "labels", arrays.get("labels"), len(images)),
        calibration,
        checked_labels(path, "calibration_labels", arrays.get("calibration_labels"), count),
    )


def real_images(path: Path, what: str, images: Tensor, preprocess: Preprocess | None = None) -> Converted:
    """Images as float32, converted when they are read: uint8 divided by 255, floats as they are.

    Args:
        path: of the file.
        what: the array's name in it.
        images: [N, ...].
        preprocess: scale, mean and standard deviation in place of that, for any numbers; the channels are
            axis 1.

    Raises:
        UserError: images that are neither uint8 nor floats; when a part is read, NaN or infinity in it.
    """
    if preprocess is None and images.dtype != np.uint8 and images.dtype.kind != "f":
        raise UserError(
            "have the wrong type",
            source=path,
            location=what,
            value=str(images.dtype),
            allowed="uint8 or float",
        )

    def convert(part: Tensor, first: int) -> NDArray[np.float32]:
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            rows = np.atleast_1d(part)
            bad = int(np.flatnonzero(~np.isfinite(rows).reshape(len(rows), -1).all(axis=1))[0])
            raise UserError("hold NaN or infinity", source=path, location=f"{what}[{first + bad}]")
        if preprocess is not None:
            return preprocess.normalized(part, axis=1, channels=part.shape[1])
        if part.dtype == np.uint8:
            return part.astype(np.float32) / np.float32(255)
        return part.astype(np.float32)

    return Converted(images, convert, images.shape[1:])


def require_shape(data: Data, shape: tuple[int | None, ...], *, network: str) -> None:
    """Refuse images that do not fit a network's input shape, in which None is the batch.

    Raises:
        UserError: naming the array, its shape and the network's.
    """
    for what, images in (("images", data.images), ("calibration_images", data.calibration)):
        if images is not None and not _fits(images.shape[1:], shape[1:]):
            expected = " x ".join(["N", *("any" if size is None else str(size) for size in shape[1:])])
            raise UserError(
                f"have not the shape that {network} takes",
                source=data.source,
                location=what,
                value=images.shape,
                allowed=expected,
            )


def require_labels(data: Data, classes: int) -> None:
    """Refuse labels that a network with this many classes cannot give. Raises UserError."""
    for what, labels in (("labels", data.labels), ("calibration_labels", data.calibration_labels)):
        if labels is not None and len(labels) and not (labels.min() >= 0 and labels.max() < classes):
            worst = int(labels.max()) if labels.max() >= classes else int(labels.min())
            raise UserError(
                "do not match the network",
                source=data.source,
                location=what,
                value=worst,
                allowed=f"0 to {classes - 1}, the network has {classes} outputs",
            )


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        not side or given == side for given, side in zip(shape, wanted, strict=True)
    )


def checked_labels(
    path: Path, what: str, labels: NDArray[np.generic] | None, images: int
) -> NDArray[np.int64] | None:
    """Labels of so many images, or None. Raises UserError: not one integer for each."""
    if labels is None:
        return None
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise UserError(
            "must be one integer for each image",
            source=path,
            location=what,
            value=f"{labels.dtype}{list(labels.shape)}",
        )
    if len(labels) != images:
        raise UserError(f"do not match the {images} images", source=path, location=what, value=len(labels))
    return labels.astype(np.int64)
