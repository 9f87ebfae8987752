"""Values of several inputs that belong together, sliced like one array."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from simulator.inference.array_files import Batches
from simulator.numerics.array_types import Tensor


@dataclass(frozen=True, slots=True)
class Inputs:
    """Values of every input by name, whose first axes run over the same inferences.

    Attributes:
        tensors: by input; the first one is what `shape` and `len` speak of.
        axes: of inputs whose inferences do not run along their first axis, such as the state of a recurrent
            layer; None for an input without a batch, which every part takes as it is.
    """

    tensors: Mapping[str, Tensor]
    axes: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def first(self) -> Tensor:
        """Values of the first input."""
        return next(iter(self.tensors.values()))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first input."""
        return self.first.shape

    def __len__(self) -> int:
        """Number of inferences."""
        return len(self.first)

    def __getitem__(self, part: slice, /) -> Inputs:
        """Some of the inferences."""
        cut = {name: _part(each, part, self.axes.get(name, 0)) for name, each in self.tensors.items()}
        return Inputs(cut, self.axes)


def _part(values: Tensor, part: slice, axis: int | None) -> Tensor:
    return values if axis is None else values[(*[slice(None)] * axis, part)]


Feed = Tensor | Inputs
"""What a network is given at once: values of its only input, or of several."""


@dataclass(frozen=True, slots=True)
class InputBatches:
    """As `Inputs`, of arrays that are read part by part."""

    tensors: Mapping[str, Batches]
    axes: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first input."""
        return next(iter(self.tensors.values())).shape

    def __len__(self) -> int:
        """Number of inferences."""
        return len(next(iter(self.tensors.values())))

    def __getitem__(self, part: slice, /) -> Inputs:
        """Some of the inferences in memory."""
        cut = {
            name: each[part] if axis == 0 else _part(each[:], part, axis)
            for name, each in self.tensors.items()
            for axis in (self.axes.get(name, 0),)
        }
        return Inputs(cut, self.axes)


def each_tensor(feed: Feed, visit: Callable[[Tensor], object]) -> None:
    """Call `visit` on the values of every input, in order."""
    for tensor in feed.tensors.values() if isinstance(feed, Inputs) else (feed,):
        visit(np.ascontiguousarray(tensor))


class _Shaped(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...


def shapes_of(parts: _Shaped, first: str) -> dict[str, tuple[int, ...]]:
    """Shapes by input of values of one input, named `first`, or of several."""
    if isinstance(parts, Inputs | InputBatches):
        return {name: each.shape for name, each in parts.tensors.items()}
    return {first: parts.shape}
