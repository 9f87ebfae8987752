"""Values of trained models' kind where a fresh model has all zeros or all ones, which an exporter leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

NORMALIZATION_BUFFERS = ("running_mean", "running_var", "weight", "bias")
"""What a normalization keeps beside its parameters; a frozen one keeps all of its values so."""


def randomize_uniform_values(model: Any, *, seed: int) -> None:
    """Give parameters and statistics that are the same number everywhere random values in place.

    A fresh model's biases and means are 0, its scales and variances 1. PyTorch's exporter folds normalizations
    into convolutions and leaves out what adds 0 or multiplies by 1, which no trained model has. Zeros become
    uniform in -0.5 to 0.5; another number c becomes uniform in 0.5 c to 1.5 c, so that variances stay positive.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in _learned(model):
            first = tensor.flatten()[0].item()
            if bool((tensor == first).all()):
                random = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
                tensor.copy_(random - 0.5 if first == 0 else first * (random + 0.5))


def _learned(model: Any) -> Iterator[Any]:
    yield from model.parameters()
    for name, buffer in model.named_buffers():
        if name.rpartition(".")[2] in NORMALIZATION_BUFFERS and buffer.is_floating_point():
            yield buffer
