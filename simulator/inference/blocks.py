"""Blocks of images: cut by the network and the data alone, computed apart, added up in their order.

A run adds chunks of images up to blocks of at least `BLOCK_IMAGES` images, and blocks to the whole. Whoever
computes the blocks, and in whatever order, the sums of a result are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from simulator.inference.chunk_figures import Chunk, ChunkFigures
from simulator.inference.chunk_runs import run_chunk_of_plans
from simulator.inference.chunks import BLOCK_IMAGES, images_of_a_chunk
from simulator.inference.images import Data, StreamedImages, image_digests
from simulator.inference.model import Model
from simulator.inference.quantization import NetworkPlan
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


def run_block(model: Model, data: Data, plans: Sequence[NetworkPlan], block: Block) -> list[BlockRun]:
    """One block through each of some planned networks, by the calling thread alone; in float32 once.

    Raises:
        UserError: images that cannot be read, or labels that the network cannot give.
    """
    labels = None if data.labels is None else data.labels[block.start : block.stop]
    part = StreamedImages(
        data.source, data.images, data.facts, labels, calibration_labels=data.calibration_labels
    )
    gathered = [_Gathered(model, part) for _ in plans]
    digests = b""
    with one_thread():
        for start in range(block.start, block.stop, block.together):
            images = data.images[start : min(start + block.together, block.stop)]
            digests += image_digests(images)
            for run, chunk in zip(gathered, run_chunk_of_plans(model, images, plans), strict=True):
                run.add(chunk)
    return [run.finish(digests) for run in gathered]


class _Gathered:
    """What the chunks of a block gave in one plan."""

    def __init__(self, model: Model, part: Data) -> None:
        self._kept = _Parts()
        self._tally = Tally(model, part, self._kept)
        self._judged: tuple[list[Tensor], list[Tensor]] = ([], [])

    def add(self, chunk: Chunk) -> None:
        """The next chunk."""
        for parts, outputs in zip(self._judged, (chunk.outputs, chunk.float32_outputs), strict=True):
            parts.append(np.atleast_1d(outputs[self._tally.model.output]))
        self._tally.add(chunk)

    def finish(self, digests: bytes) -> BlockRun:
        """The block, all of whose chunks have been added."""
        self._tally.end_block()
        return BlockRun(self._tally.total, digests, self._kept.outputs, self._judged)
