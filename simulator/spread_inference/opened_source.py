"""A trained network and its data by name, opened where they are needed, with hashes of all that decides."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

import numpy as np

from simulator.foundation.reading.content import sha256_of, state_of
from simulator.foundation.reading.limits import LARGEST_ARCHIVE_BYTES, LARGEST_IMAGE_BYTES, LARGEST_ONNX_BYTES
from simulator.inference import Data, Model, load_data, load_model
from simulator.inference.calibration import Calibrations
from simulator.inference.data import is_image_files
from simulator.inference.image_files import ImageFiles
from simulator.inference.images import array_file, require_shape, uncut
from simulator.inference.inputs import shapes_of
from simulator.workload.onnx.sizes import Sizes


@dataclass(frozen=True, slots=True)
class InferenceSource:
    """What runs on what: names of files, which must be there wherever blocks are computed.

    Attributes:
        model: a bundled name or an ONNX file.
        data: a bundled name, a file or a folder (`load_data`).
        images: only the first so many; None: all.
        output: the tensor that is judged; None: the first output.
        preprocess: what is done to pixels (docs/data.md).
        labels: where classes of image files come from.
        sizes: of inputs that the file leaves open.
    """

    model: str
    data: str
    images: int | None = None
    output: str | None = None
    preprocess: str | None = None
    labels: str | None = None
    sizes: Sizes | None = field(default=None, hash=False)


@dataclass(frozen=True)
class OpenedSource:
    """A network with its weights, and its data; hashes are made when they are asked for."""

    source: InferenceSource
    model: Model
    data: Data
    known_notes: frozenset[str]

    @classmethod
    def of(cls, source: InferenceSource) -> OpenedSource:
        """Read a network and its data. Raises UserError: they cannot be read, or do not fit."""
        model = load_model(source.model, sizes=source.sizes)
        if source.output is not None:
            model = model.judged_by(source.output)
        data = load_data(source.data, model, preprocess=source.preprocess, labels=source.labels)
        data = data.first(source.images)
        model.learn_sizes(shapes_of(data.images, model.input))
        require_shape(data, model.input_shape, network=model.name)
        return cls(source, model, data, frozenset(data.facts.notes))

    @cached_property
    def calibrations(self) -> Calibrations:
        """What layers see of the calibration images, observed once for all plans that need it."""
        return Calibrations(self.model, self.data.for_calibration)

    @cached_property
    def model_hash(self) -> str:
        """Of the network's file, and of all constants, wherever they are stored."""
        digest = hashlib.sha256(sha256_of(self.model.path, most_bytes=LARGEST_ONNX_BYTES).encode())
        for name, constant in sorted(self.model.program.constants.items()):
            digest.update(f"{name} {constant.dtype} {constant.shape}\n".encode())
            digest.update(np.ascontiguousarray(constant.fresh()).data)
        for product in self.model.products:
            for values in (product.weights, product.bias):
                digest.update(b"none" if values is None else np.ascontiguousarray(values).data)
        return digest.hexdigest()

    @cached_property
    def arrays_hash(self) -> str:
        """Of the file of arrays; empty where the data are images in files, which are hashed one by one."""
        if is_image_files(Path(self.source.data)):
            return ""
        return sha256_of(array_file(self.source.data), most_bytes=LARGEST_ARCHIVE_BYTES)

    @cached_property
    def identity(self) -> str:
        """Of the network, of the names of all images in files, of arrays and of labels."""
        digest = hashlib.sha256(f"{self.model_hash} {self.arrays_hash}\n".encode())
        images, labels = uncut(self.data.images), self.data.labels
        if isinstance(images, ImageFiles):
            digest.update("\n".join(path.name for path in images.paths).encode("utf-8", "surrogateescape"))
        if labels is not None:
            digest.update(np.ascontiguousarray(labels).data)
        return digest.hexdigest()

    def content(self, start: int, stop: int) -> str:
        """A hash of what images `start` to `stop - 1` are made of, and of their labels."""
        digest = hashlib.sha256(self.arrays_hash.encode())
        images, labels = uncut(self.data.images), self.data.labels
        if isinstance(images, ImageFiles):
            for path in images.paths[start:stop]:
                digest.update(_file_hash(path, state_of(path)).encode())
        if labels is not None:
            digest.update(np.ascontiguousarray(labels[start:stop]).data)
        return digest.hexdigest()


@cache
def _file_hash(path: Path, _state: tuple[int, int]) -> str:
    """Read once as long as the file does not change."""
    return sha256_of(path, most_bytes=LARGEST_IMAGE_BYTES)


Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LastMade(Generic[Key, Value]):
    """The value that was asked for last, made once, whichever thread of a worker asks first."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._lock = Lock()
        self._held: tuple[Key, Value] | None = None

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key."""
        with self._lock:
            if self._held is None or self._held[0] != key:
                self._held = None  # not two at a time in memory
                self._held = (key, make())
            return self._held[1]
