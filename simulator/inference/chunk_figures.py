"""What chunks of images add up to, without their outputs: figures of a chunk, of a block, of a whole run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulator.inference.inputs import Feed
from simulator.inference.judge import Judge, OutputTally
from simulator.inference.metrics import Deviation
from simulator.inference.overflow_counts import SumsOutside
from simulator.inference.perplexity import Perplexity
from simulator.numerics.array_types import Tensor


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one chunk of images gave: outputs of both runs by name, and the layers' figures."""

    images: int
    inputs: Feed
    outputs: dict[str, Tensor]
    float32_outputs: Mapping[str, Tensor]
    deviations: Mapping[str, Deviation]
    sums: Mapping[str, SumsOutside]
    engines: Mapping[str, str]


@dataclass(slots=True)
class ChunkFigures:
    """Figures of consecutive chunks of images.

    Sums of real numbers depend on how they are grouped: chunks are added up to blocks, and blocks to the
    whole, each in the order of the images (`simulator.inference.blocks`).
    """

    images: int = 0
    judge: Judge = field(default_factory=Judge)
    outputs: OutputTally = field(default_factory=OutputTally)
    perplexity: Perplexity = field(default_factory=Perplexity)
    deviations: dict[str, Deviation] = field(default_factory=dict)
    sums: dict[str, SumsOutside] = field(default_factory=dict)
    engines: Mapping[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, chunk: Chunk, judged: str, labels: NDArray[np.int64] | None) -> None:
        """The next chunk; `judged` names its judged output, `labels` are None where they are not used."""
        output, reference = chunk.outputs[judged], chunk.float32_outputs[judged]
        self.images += chunk.images
        self.judge.add(output, reference, labels)
        self.outputs.add(chunk.outputs, chunk.float32_outputs)
        self.perplexity.add(output, reference, chunk.inputs)
        self._add_layers(chunk.deviations, chunk.sums, chunk.engines)

    def merge(self, later: ChunkFigures) -> None:
        """Figures of the images behind these."""
        self.images += later.images
        self.judge.merge(later.judge)
        self.outputs.merge(later.outputs)
        self.perplexity.merge(later.perplexity)
        self._add_layers(later.deviations, later.sums, later.engines)
        for about, note in later.notes.items():
            self.notes.setdefault(about, note)

    def _add_layers(
        self,
        deviations: Mapping[str, Deviation],
        sums: Mapping[str, SumsOutside],
        engines: Mapping[str, str],
    ) -> None:
        for name, part in deviations.items():
            self.deviations[name] = self.deviations.get(name, Deviation()) + part
            self.sums[name] = self.sums.get(name, SumsOutside()) + sums[name]
        self.engines = self.engines or engines
