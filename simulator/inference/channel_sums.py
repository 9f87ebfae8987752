"""The mean of each output channel of a layer, from tensors that come part by part."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simulator.numerics.array_types import Reals, Tensor


@dataclass(slots=True)
class ChannelSums:
    """The sum of each channel in float64, terms in the order of images and places, and their number."""

    sums: Reals = field(default_factory=lambda: np.zeros(0))
    places: int = 0

    def add(self, tensor: Tensor, axis: int) -> None:
        """The next images; `axis` is that of the channels, 1 or the last."""
        from simulator.inference.tensor_kernels import add_channels

        channels = tensor.shape[axis]
        apart = tensor.reshape(len(tensor), channels, -1) if axis == 1 else tensor.reshape(-1, channels, 1)
        if not self.places:
            self.sums = np.zeros(channels)
        add_channels(np.ascontiguousarray(apart), self.sums)
        self.places += tensor.size // channels

    @property
    def means(self) -> Reals:
        """Of each channel."""
        return self.sums / self.places

    @classmethod
    def of(cls, tensor: Tensor, axis: int) -> ChannelSums:
        """Those of one tensor."""
        found = cls()
        found.add(tensor, axis)
        return found
