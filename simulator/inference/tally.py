"""What chunks of images add up to: the result of a run through a planned network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from simulator.inference.images import Data, require_labels
from simulator.inference.inputs import Feed
from simulator.inference.judge import Judge, OutputTally, as_logits
from simulator.inference.metrics import Deviation
from simulator.inference.model import Model
from simulator.inference.output_sink import OutputSink
from simulator.inference.overflow_counts import SumsOutside
from simulator.inference.perplexity import Perplexity
from simulator.inference.quantization import NetworkPlan
from simulator.numerics.array_types import Tensor
from simulator.result_accuracy import Accuracy, pack_outcomes

_FEW = 10
"""Of fewer images than this nobody can say that they are right by chance."""


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
class Tally:
    """Chunks so far. Outputs go into `sink` and are forgotten; without one the judged output is kept."""

    model: Model
    data: Data
    sink: OutputSink | None = None
    images: int = 0
    judge: Judge = field(default_factory=Judge)
    outputs: OutputTally = field(default_factory=OutputTally)
    perplexity: Perplexity = field(default_factory=Perplexity)
    deviations: dict[str, Deviation] = field(default_factory=dict)
    sums: dict[str, SumsOutside] = field(default_factory=dict)
    engines: Mapping[str, str] = field(default_factory=dict)
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
        self.judge.add(judged, reference, labels)
        self.outputs.add(chunk.outputs, chunk.float32_outputs)
        self.perplexity.add(judged, reference, chunk.inputs)
        if self.sink is None:
            self.logits.append(np.atleast_1d(judged))
            self.float32_logits.append(np.atleast_1d(reference))
        else:
            self.sink.take(chunk.outputs)
        for name, part in chunk.deviations.items():
            self.deviations[name] = self.deviations.get(name, Deviation()) + part
            self.sums[name] = self.sums.get(name, SumsOutside()) + chunk.sums[name]
        self.engines = self.engines or chunk.engines

    def accuracy(self, plan: NetworkPlan, images_hash: str) -> Accuracy:
        """Of all images."""
        judge = self.judge
        right, right_float32 = judge.outcomes, judge.outcomes_float32
        labelled = right_float32.size > 0
        if labelled and (hint := _at_chance(right_float32, judge.classes or 1, self.data)):
            self.notes["chance"] = hint
        return Accuracy(
            images=self.images,
            top1=float(right.mean()) if labelled else None,
            top5=judge.top5(judge.among_top),
            top1_float32=float(right_float32.mean()) if labelled else None,
            top5_float32=judge.top5(judge.among_top_float32),
            agreement_with_float32=judge.agreement,
            perplexity=self.perplexity.value(self.perplexity.nats),
            perplexity_float32=self.perplexity.value(self.perplexity.nats_float32),
            predicted_tokens=self.perplexity.tokens or None,
            judged=self.model.output,
            outputs=self.outputs.summary(),
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
        return (*self.data.facts.notes.values(), *self.notes.values())

    def _labels_for(self, reference: Tensor, images: int) -> NDArray[np.int64] | None:
        """The labels of the next images; None where the judged output has no classes."""
        labels = self.data.labels
        if labels is None:
            return None
        logits = as_logits(reference)
        if logits is None or len(logits) != images:
            self.notes.setdefault(
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
