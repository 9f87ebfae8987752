"""Data as people have it: a folder of images, a table of files, or arrays, made ready for a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.foundation.given_values import path_text
from simulator.foundation.reading.content import is_file, is_folder
from simulator.inference.arithmetic import float32_product
from simulator.inference.array_data import bind
from simulator.inference.array_files import LARGE_BYTES, Converted, read_arrays
from simulator.inference.execute import execute
from simulator.inference.image_files import Frame, ImageFiles
from simulator.inference.image_listing import LABEL_RULES, LABELS_FILES, list_images
from simulator.inference.images import (
    Data,
    DataFacts,
    Images,
    StreamedImages,
    array_file,
    real_images,
    split_arrays,
)
from simulator.inference.inputs import Inputs
from simulator.inference.judge import as_logits
from simulator.inference.model import Model
from simulator.inference.preprocess import UNIT, Preprocess, get_preprocess
from simulator.numerics.array_types import Tensor

TABLE_SUFFIXES = (".csv", ".txt")
_LABELLED = "the file's labels"


def load_data(
    name_or_path: str | Path,
    model: Model,
    *,
    preprocess: str | Preprocess | None = None,
    labels: str | None = None,
) -> Data:
    """Images for a network: a bundled name, an .npz or .npy file, a folder of images, or a table of them.

    Images in files are decoded while they stream and become what `preprocess` says; without it pixels from 0
    to 1 of the network's size. Arrays are taken as `load_images` takes them, unless `preprocess` is given;
    large ones stay on disk and stream.

    Args:
        name_or_path: where the images are.
        model: the network that takes them.
        preprocess: a preset or `KEY=VALUE,...` (`get_preprocess`).
        labels: where the classes of image files come from (`list_images`); `none` also for arrays.

    Raises:
        UserError: data that cannot be used, or preprocessing that does not fit them.
    """
    chosen = None if preprocess is None else get_preprocess(preprocess)
    if not isinstance(labels, str | None):
        raise UserError("is text", location="labels", value=labels)
    path = Path(path_text(name_or_path, what="data"))
    if is_image_files(path):
        return _of_files(path, model, chosen, labels)
    data = _of_arrays(str(name_or_path), model, chosen)
    if labels is None:
        return data
    if labels != "none":
        raise UserError(
            "is for images in files; arrays bring their labels", location="--labels", value=labels
        )
    return StreamedImages(data.source, data.images, data.facts, None, data.calibration)


def data_files(name_or_path: str, labels: str | None = None) -> tuple[Path, ...]:
    """Every file that decides what `load_data` gives. Raises UserError: images that are not there."""
    path = Path(name_or_path)
    if not is_image_files(path):
        return (array_file(name_or_path),)
    tables = [path] if is_file(path) else [path / name for name in LABELS_FILES]
    if labels is not None and labels not in LABEL_RULES:
        tables.append(Path(labels))
    listed = list_images(path, "none", classes=None).paths
    return (*listed, *(table for table in tables if is_file(table)))


def is_image_files(path: Path) -> bool:
    """Whether data are images in files, not arrays: a folder, or a table of files."""
    return is_folder(path) or (path.suffix.lower() in TABLE_SUFFIXES and is_file(path))


def _of_files(path: Path, model: Model, chosen: Preprocess | None, labels: str | None) -> StreamedImages:
    preprocess = chosen or UNIT
    frame = Frame.of(model.input_shape, preprocess.layout, network=model.name)
    unlabelled = list_images(path, "none", classes=None)
    first = ImageFiles(unlabelled.paths[:1], frame, preprocess)[:1]
    listing = list_images(path, labels, classes=_classes(model, first))
    notes = {f"listing {place}": note for place, note in enumerate(listing.notes)}
    if chosen is None:
        notes["preprocess"] = "pixels were divided by 255, as --preprocess was not given"
    images = ImageFiles(listing.paths, frame, preprocess, notes)
    facts = DataFacts(preprocess.text, listing.labels_from, notes)
    known = None if listing.labels is None else np.asarray(listing.labels, np.int64)
    return StreamedImages(path.name or str(path), images, facts, known)


def _classes(model: Model, image: NDArray[np.float32]) -> int | None:
    """How many values the judged output has for each image; None where that is not known."""
    try:
        logits = as_logits(execute(model, image, float32_product))
    except UserError:  # a network for a batch of another size
        return None
    return None if logits is None else logits.shape[1]


def _of_arrays(name: str, model: Model, chosen: Preprocess | None) -> Data:
    path = array_file(name)
    arrays = read_arrays(path)
    if chosen is None:
        return _of_inputs(path, arrays, model)
    images, labels, calibration, calibration_labels = split_arrays(path, arrays)
    prepared = [
        None if each is None else _prepared(path, what, each, model, chosen)
        for what, each in (("images", images), ("calibration_images", calibration))
    ]
    tested, calibrating = prepared
    assert tested is not None
    facts = DataFacts(chosen.text, "" if labels is None else _LABELLED, {})
    whole = None if calibrating is None else calibrating[:]
    if images.nbytes >= LARGE_BYTES:
        return StreamedImages(path.stem, tested, facts, labels, whole, calibration_labels)
    return Images(path.stem, tested[:], labels, whole, calibration_labels, facts)


def _of_inputs(path: Path, arrays: dict[str, Tensor], model: Model) -> Data:
    found = bind(path, arrays, model)
    facts = DataFacts("", "" if found.labels is None else _LABELLED, found.notes)
    calibration = None if found.calibration is None else found.calibration[:]
    small = sum(each.nbytes for each in arrays.values()) < LARGE_BYTES
    if isinstance(found.inputs, Converted) and not isinstance(calibration, Inputs) and small:
        labels = (found.labels, calibration, found.calibration_labels)
        return Images(path.stem, found.inputs[:], *labels, facts)
    return StreamedImages(path.stem, found.inputs, facts, found.labels, calibration, found.calibration_labels)


def _prepared(path: Path, what: str, images: Tensor, model: Model, chosen: Preprocess) -> Converted:
    """Images as the network takes them; axes and channels are brought in order."""
    if images.dtype.kind not in "uif":
        raise UserError(
            "have the wrong type", source=path, location=what, value=str(images.dtype), allowed="numbers"
        )
    for field in ("resize", "crop"):
        if getattr(chosen, field) is not None:
            raise UserError(
                f"{field} is for images in files; arrays must have the network's size",
                source=path,
                location="--preprocess",
            )
    frame = Frame.of(model.input_shape, chosen.layout, network=model.name)
    axis = _channel_axis(path, what, images.shape, frame)
    first = np.moveaxis(images, axis, 1) if axis else images[:, None]
    if chosen.channels == "bgr":
        first = first[:, ::-1]
    real = real_images(path, what, first, chosen)
    if frame.layout == "nchw":
        return real
    item = (*first.shape[2:], first.shape[1])
    return Converted(first, lambda part, at: np.moveaxis(real.convert(part, at), 1, -1), item)


def _channel_axis(path: Path, what: str, shape: tuple[int, ...], frame: Frame) -> int:
    """Where the channels of an array of images are, as in the network first; 0 for gray images without."""
    if len(shape) == 3 and frame.channels == 1:
        return 0
    axes = (1, 3) if frame.layout == "nchw" else (3, 1)
    for axis in axes:
        if len(shape) == 4 and shape[axis] == frame.channels:
            sides = shape[2:] if axis == 1 else shape[1:3]
            wanted = (frame.height, frame.width)
            if all(side is None or side == given for side, given in zip(wanted, sides, strict=True)):
                return axis
    height, width = (side or "any" for side in (frame.height, frame.width))
    raise UserError(
        "have not the shape that the network takes",
        source=path,
        location=what,
        value=shape,
        allowed=f"N x {frame.channels} x {height} x {width}, or channels last",
    )
