"""Test images with their labels, from a bundled name, an .npz or an .npy file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.foundation.reading.arrays import read_arrays
from simulator.foundation.resources import resolve_document

FALLBACK_CALIBRATION_IMAGES = 128
"""Calibration uses this many of the test images where the file brings none of its own."""


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

    def first(self, count: int | None) -> Images:
        """The same data with only the first `count` images; None keeps all.

        Raises:
            UserError: none, or more than there are.
        """
        if count is None:
            return self
        if not 1 <= count <= len(self.images):
            raise UserError(
                "cannot take that many images",
                source=self.source,
                value=count,
                allowed=f"1 to {len(self.images)}",
            )
        labels = None if self.labels is None else self.labels[:count]
        return Images(self.source, self.images[:count], labels, self.calibration, self.calibration_labels)

    @property
    def fingerprint(self) -> str:
        """A hash of the images and their labels: equal for the same images in the same order."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

    @property
    def for_calibration(self) -> NDArray[np.float32]:
        """Images to calibrate with: the file's own, else the first test images."""
        return self.images[:FALLBACK_CALIBRATION_IMAGES] if self.calibration is None else self.calibration


def load_images(name_or_path: str | Path) -> Images:
    """Images by bundled name (`fashion_mnist_1000`) or from a file.

    An .npz file has `images`, and optionally `labels`, `calibration_images` and `calibration_labels`; an .npy
    file has images alone. uint8 images are divided by 255; floating-point images are taken as they are.

    Raises:
        UserError: unreadable or truncated file, images missing, empty, not numbers or not finite, labels that
            are not integers or not one for each image.
    """
    path = resolve_document(str(name_or_path), "workloads", ".npz", what="image data")
    arrays = _read(path)
    if "images" not in arrays:
        raise UserError("has no images", source=path, location="images", candidates=arrays)
    images = _real(path, "images", arrays["images"])
    calibration = arrays.get("calibration_images")
    return Images(
        path.stem,
        images,
        _labels(path, "labels", arrays.get("labels"), len(images)),
        None if calibration is None else _real(path, "calibration_images", calibration),
        _labels(
            path,
            "calibration_labels",
            arrays.get("calibration_labels"),
            0 if calibration is None else len(calibration),
        ),
    )


def require_shape(data: Images, shape: tuple[int | None, ...], *, network: str) -> None:
    """Refuse images that do not fit a network's input shape, in which None is the batch.

    Raises:
        UserError: naming the array, its shape and the network's.
    """
    for what, images in (("images", data.images), ("calibration_images", data.calibration)):
        if images is not None and images.shape[1:] != tuple(shape[1:]):
            expected = " x ".join(["N", *map(str, shape[1:])])
            raise UserError(
                f"have not the shape that {network} takes",
                source=data.source,
                location=what,
                value=images.shape,
                allowed=expected,
            )


def require_labels(data: Images, classes: int) -> None:
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


def _read(path: Path) -> dict[str, NDArray[Any]]:
    content = read_arrays(path)
    return {"images": content} if isinstance(content, np.ndarray) else content


def _real(path: Path, what: str, images: NDArray[np.generic]) -> NDArray[np.float32]:
    if images.ndim < 2 or not images.size:
        raise UserError(
            "must be an array of images", source=path, location=what, value=images.shape, allowed="N x ..."
        )
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    if images.dtype.kind != "f":
        raise UserError(
            "have the wrong type",
            source=path,
            location=what,
            value=str(images.dtype),
            allowed="uint8 or float",
        )
    values = images.astype(np.float32)
    if not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))[0])
        raise UserError("hold NaN or infinity", source=path, location=f"{what}[{first}]")
    return values


def _labels(
    path: Path, what: str, labels: NDArray[np.generic] | None, images: int
) -> NDArray[np.int64] | None:
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
