"""What the zoo says of an architecture: how to build it, with which input, from where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tools.zoo.products import Product

Exporter = Literal["dynamo", "legacy"]
Built = tuple[Any, tuple[Any, ...]]
"""A module with random weights and its example inputs."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """One entry of the zoo.

    Attributes:
        name: distinct.
        family: what it is for, such as `classifier`.
        inputs: the sizes of the example inputs, for people.
        build: the module and its example inputs.
        exporter: of PyTorch, the one by `torch.export` or the older one by tracing.
        published_gmacs: multiply-accumulates as published for this input, in thousands of millions.
        constant_products: (groups, M, N, K) of products whose operands are all constant, which the reader
            computes once and does not count.
        note: what differs from the model as it is usually run.
    """

    name: str
    family: str
    inputs: str
    build: Callable[[], Built]
    exporter: Exporter = "dynamo"
    published_gmacs: float | None = None
    constant_products: tuple[Product, ...] = ()
    note: str = ""
