"""What chunks of images add up to: the result of a run through a planned network."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from simulator.inference.chunk_figures import Chunk, ChunkFigures
from simulator.inference.chunks import BLOCK_IMAGES
from simulator.inference.images import Data, require_labels
from simulator.inference.judge import as_logits
from simulator.inference.model import Model
from simulator.inference.output_sink import OutputSink
from simulator.inference.quantization import NetworkPlan
from simulator.numerics.array_types import Tensor
from simulator.result_accuracy import Accuracy, pack_outcomes

_FEW = 10
"""Of fewer images than this nobody can say that they are right by chance."""


@dataclass(slots=True)
class Tally:
    """Chunks so far. Outputs go into `sink` and are forgotten; without one the judged output is kept.

    `total` has whole blocks; the chunks since the last one wait in `block`.
    """

    model: Model
    data: Data
    sink: OutputSink | None = None
    images: int = 0
    total: ChunkFigures = field(default_factory=ChunkFigures)
    block: ChunkFigures = field(default_factory=ChunkFigures)
    logits: list[Tensor] = field(default_factory=list)
    float32_logits: list[Tensor] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """The next chunk, in the order of the images.

        Raises:
            UserError: labels that the network cannot give.
        """
        judged, reference = (each[self.model.output] for each in (chunk.outputs, chunk.float32_outputs))
        labels = self._labels_for(reference, chunk.images)
        self.images += chunk.images
        self.block.add(chunk, self.model.output, labels)
        if self.sink is None:
            self.logits.append(np.atleast_1d(judged))
            self.float32_logits.append(np.atleast_1d(reference))
        else:
            self.sink.take(chunk.outputs)
        if self.block.images >= BLOCK_IMAGES:
            self.end_block()

    def end_block(self) -> None:
        """Add the chunks of the block so far to the total."""
        self.add_block(self.block)
        self.block = ChunkFigures()

    def add_block(self, figures: ChunkFigures) -> None:
        """The next whole block."""
        self.total.merge(figures)

    def accuracy(self, plan: NetworkPlan, images_hash: str) -> Accuracy:
        """Of all images, none of which may come after this."""
        self.end_block()
        judge, perplexity = self.total.judge, self.total.perplexity
        right, right_float32 = judge.outcomes, judge.outcomes_float32
        labelled = right_float32.size > 0
        if labelled and (hint := _at_chance(right_float32, judge.classes or 1, self.data)):
            self.notes["chance"] = hint
        return Accuracy(
            images=self.total.images,
            top1=float(right.mean()) if labelled else None,
            top5=judge.top5(judge.among_top),
            top1_float32=float(right_float32.mean()) if labelled else None,
            top5_float32=judge.top5(judge.among_top_float32),
            agreement_with_float32=judge.agreement,
            perplexity=perplexity.value(perplexity.nats),
            perplexity_float32=perplexity.value(perplexity.nats_float32),
            predicted_tokens=perplexity.tokens or None,
            judged=self.model.output,
            outputs=self.total.outputs.summary(),
            policy=plan.policy,
            choices=dict(plan.choices),
            data=self.data.source,
            preprocess=self.data.facts.preprocess,
            labels_from=self.data.facts.labels_from if labelled else "",
            images_hash=images_hash,
            right=pack_outcomes(right),
            right_float32=pack_outcomes(right_float32),
        )

    def all_notes(self) -> tuple[str, ...]:
        """What of the data was left out, assumed or is odd."""
        return (*self.data.facts.notes.values(), *self.total.notes.values(), *self.notes.values())

    def _labels_for(self, reference: Tensor, images: int) -> NDArray[np.int64] | None:
        """The labels of the next images; None where the judged output has no classes."""
        labels = self.data.labels
        if labels is None:
            return None
        logits = as_logits(reference)
        if logits is None or len(logits) != images:
            self.block.notes.setdefault(
                "labels",
                f"labels are not used: output {self.model.output} of shape {list(reference.shape)} is not one"
                " value for each class",
            )
            return None
        if not self.images:
            require_labels(self.data, logits.shape[1])
        return labels[self.images : self.images + images]


def _at_chance(right: NDArray[np.bool_], classes: int, data: Data) -> str:
    """A hint where float32 is right no more often than guesses: their mean and two standard deviations."""
    images, share = len(right), 1 / classes
    found = int(np.count_nonzero(right))
    if images < _FEW or found > images * share + 2 * sqrt(images * share * (1 - share)):
        return ""
    was = data.facts.preprocess or "none, as the file has them"
    return (
        f"float32 is right on {found} of {images} images, no better than guesses among {classes} classes: are"
        f" images prepared as in training (--preprocess, now {was}), and are labels the network's own"
        " class numbers?"
    )
