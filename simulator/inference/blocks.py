"""Blocks of images: cut by the network and the data alone, computed apart, added up in their order.

A run adds chunks of images up to blocks of at least `BLOCK_IMAGES` images, and blocks to the whole. Whoever
computes the blocks, and in whatever order, the sums of a result are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from simulator.inference.chunk_figures import ChunkFigures
from simulator.inference.chunks import BLOCK_IMAGES, images_of_a_chunk
from simulator.inference.images import Data, StreamedImages, image_digests
from simulator.inference.model import Model
from simulator.inference.quantization import NetworkPlan
from simulator.inference.run_inference import run_chunk
from simulator.inference.tally import Tally
from simulator.numerics.array_types import Tensor
from simulator.numerics.engines.threads import one_thread


@dataclass(frozen=True, slots=True)
class Block:
    """Images `start` to `stop - 1`, which go through the network `together` at a time."""

    start: int
    stop: int
    together: int

    @property
    def images(self) -> int:
        """How many images it has."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class BlockRun:
    """What a block gave: its figures, and of each image in order a digest of 32 bytes.

    `outputs` are all outputs through the MACs by name, each in the parts of the chunks; `judged` are the
    judged outputs through the MACs and in float32. Those that were not asked for are empty. `data_notes` is
    what was learned of the data while they were read.
    """

    figures: ChunkFigures
    digests: bytes
    outputs: Mapping[str, list[Tensor]]
    judged: tuple[list[Tensor], list[Tensor]]
    data_notes: Mapping[str, str] = field(default_factory=dict)


def blocks_of(model: Model, data: Data) -> list[Block]:
    """The blocks of all images, in order; they do not depend on who computes them."""
    together = images_of_a_chunk(model, data.images)
    size = -(-BLOCK_IMAGES // together) * together
    count = len(data.images)
    return [Block(start, min(start + size, count), together) for start in range(0, count, size)]


class _Parts:
    """A sink that keeps outputs in memory, by name."""

    def __init__(self) -> None:
        self.outputs: dict[str, list[Tensor]] = {}

    def take(self, outputs: Mapping[str, Tensor]) -> None:
        for name, values in outputs.items():
            self.outputs.setdefault(name, []).append(np.atleast_1d(values))


def run_block(model: Model, data: Data, plan: NetworkPlan, block: Block) -> BlockRun:
    """One block through a planned network, by the calling thread alone.

    Raises:
        UserError: images that cannot be read, or labels that the network cannot give.
    """
    labels = None if data.labels is None else data.labels[block.start : block.stop]
    part = StreamedImages(
        data.source, data.images, data.facts, labels, calibration_labels=data.calibration_labels
    )
    kept = _Parts()
    judged: tuple[list[Tensor], list[Tensor]] = ([], [])
    tally = Tally(model, part, kept)
    digests = b""
    with one_thread():
        for start in range(block.start, block.stop, block.together):
            images = data.images[start : min(start + block.together, block.stop)]
            digests += image_digests(images)
            chunk = run_chunk(model, images, plan)
            for parts, outputs in zip(judged, (chunk.outputs, chunk.float32_outputs), strict=True):
                parts.append(np.atleast_1d(outputs[model.output]))
            tally.add(chunk)
    tally.end_block()
    return BlockRun(tally.total, digests, kept.outputs, judged)
