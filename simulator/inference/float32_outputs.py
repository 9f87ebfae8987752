"""Outputs of the float32 reference, computed once for any number of formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulator.foundation import UserError
from simulator.foundation.files import write_arrays
from simulator.foundation.reading.arrays import read_npz
from simulator.inference.arithmetic import float32_product
from simulator.inference.chunks import hashed_chunks
from simulator.inference.execute import execute_outputs
from simulator.inference.images import Data, Fingerprint
from simulator.inference.inputs import Feed, shapes_of
from simulator.inference.model import Model
from simulator.numerics.array_types import Tensor
from simulator.numerics.engines.threads import available_cores, in_order


@dataclass(frozen=True, slots=True)
class Float32Outputs:
    """Every output of a network in float32, [images, ...], and the hash of the images.

    Products are fused multiply-adds in the order of k, as everywhere: the bits are those that a run computes
    beside a MAC, on every machine.
    """

    outputs: Mapping[str, Tensor]
    images_hash: str

    def part(self, start: int, count: int) -> dict[str, Tensor]:
        """The outputs of `count` images from the `start`-th on."""
        return {name: tensor[start : start + count] for name, tensor in self.outputs.items()}

    def require_same(self, images_hash: str) -> None:
        """Raises UserError: these are the outputs of other images."""
        if images_hash != self.images_hash:
            raise UserError(
                "outputs in float32 are those of other images",
                value=self.images_hash,
                allowed=f"those of {images_hash}",
            )

    def save(self, path: Path) -> None:
        """Write a .npz file, whole or not at all. Raises UserError: it cannot be written."""
        stored = {f"output_{place}": each for place, each in enumerate(self.outputs.values())}
        named = {"names": np.array(list(self.outputs)), "images_hash": np.array(self.images_hash)}
        write_arrays(path, {**named, **stored})

    @classmethod
    def load(cls, path: Path) -> Float32Outputs:
        """What `save` wrote. Raises UserError: the file is damaged."""
        stored = read_npz(path)
        try:
            names = [str(name) for name in stored["names"]]
            outputs = {name: stored[f"output_{place}"] for place, name in enumerate(names)}
            return cls(outputs, str(stored["images_hash"]))
        except KeyError as error:
            raise UserError("is no file of float32 outputs: delete it", source=path) from error


def float32_outputs(model: Model, data: Data) -> Float32Outputs:
    """Run all images through a network in float32.

    Raises:
        UserError: an output that does not have the images along its first axis.
    """
    model.learn_sizes(shapes_of(data.images, model.input))
    fingerprint = Fingerprint(data.images.shape)
    parts: dict[str, list[Tensor]] = {name: [] for name in model.outputs}

    def run(part: tuple[int, Feed]) -> tuple[int, dict[str, Tensor]]:
        _, images = part
        return len(images), execute_outputs(model, images, float32_product, model.outputs)

    hashed = hashed_chunks(model, data.images, fingerprint)
    for images, found in in_order(hashed, run, threads=available_cores()):
        for name, tensor in found.items():
            if tensor.ndim == 0 or len(tensor) != images:
                raise UserError(
                    "has no row for each image, so that it cannot be kept",
                    source=model.path,
                    location=name,
                    value=tensor.shape,
                )
            parts[name].append(tensor)
    return Float32Outputs(
        {name: np.concatenate(tensors) for name, tensors in parts.items()}, fingerprint.finish(data.labels)
    )
