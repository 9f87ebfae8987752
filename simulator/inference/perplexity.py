"""Perplexity of token ids under a language model: how well each position foretells the next token."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, isfinite, log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.inference.inputs import Feed, Inputs
from simulator.numerics.array_types import Tensor

MASK: Final = "attention_mask"
"""An input of this name says with 0 which tokens are padding."""

_LARGEST_MEAN = log(float(np.finfo(np.float64).max))


@dataclass(slots=True)
class Perplexity:
    """Sums over chunks of the negative logarithm of the next token's probability, in nats."""

    tokens: int = 0
    nats: float = 0.0
    nats_float32: float = 0.0

    def add(self, output: Tensor, reference: Tensor, feed: Feed) -> None:
        """One chunk's outputs [N, T, vocabulary], where the first input are token ids [N, T]; else nothing.

        The first token of a row is not foretold, nor is one that a mask leaves out.
        """
        tokens = feed.first if isinstance(feed, Inputs) else feed
        if tokens.dtype.kind not in "iu" or tokens.ndim != 2 or output.ndim != 3:
            return
        if output.shape[:2] != tokens.shape or output.shape[2] <= int(tokens.max(initial=0)):
            return
        wanted = tokens[:, 1:]
        counted = np.ones(wanted.shape, np.bool_)
        mask = feed.tensors.get(MASK) if isinstance(feed, Inputs) else None
        if mask is not None and mask.shape == tokens.shape:
            counted = np.asarray(mask[:, 1:] != 0)
        self.tokens += int(np.count_nonzero(counted))
        self.nats += _nats(output[:, :-1], wanted, counted)
        self.nats_float32 += _nats(reference[:, :-1], wanted, counted)

    def merge(self, later: Perplexity) -> None:
        """Sums over the chunks behind these."""
        self.tokens += later.tokens
        self.nats += later.nats
        self.nats_float32 += later.nats_float32

    def value(self, nats: float) -> float | None:
        """The exponential of the mean; None without tokens, and where it is no finite number."""
        if not self.tokens or not isfinite(nats):
            return None
        mean = nats / self.tokens
        return exp(mean) if mean < _LARGEST_MEAN else None


def _nats(logits: Tensor, wanted: Tensor, counted: NDArray[np.bool_]) -> float:
    reals = logits.astype(np.float64)
    largest = reals.max(axis=-1)
    sums = np.exp(reals - largest[..., None]).sum(axis=-1)
    chosen = np.take_along_axis(reals, wanted.astype(np.int64)[..., None], axis=-1)[..., 0]
    return float((largest + np.log(sums) - chosen)[counted].sum())
