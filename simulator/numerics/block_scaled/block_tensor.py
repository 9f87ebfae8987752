"""A tensor in a block-scaled format: element codes, block scales, perhaps a scale of the whole tensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Codes

NO_SCALE = np.float32(1.0)
"""The scale of a tensor in a format that has none."""


@dataclass(frozen=True)
class BlockTensor:
    """Codes of elements and scales; the blocks lie along the last axis.

    Attributes:
        elements: element codes [..., length].
        scales: scale codes [..., ceil(length / block)]; the last block of a row may be shorter.
        tensor_scale: multiplies everything; 1 in formats without one.
        saturated: elements whose scaled value lies beyond the largest element.
        underflowed: elements that are not zero and became it.
        lost_blocks: blocks that hold NaN or infinity, whose scale is NaN.
    """

    elements: Codes
    scales: Codes
    tensor_scale: np.float32 = NO_SCALE
    saturated: int = 0
    underflowed: int = 0
    lost_blocks: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the elements."""
        return self.elements.shape


def spread(scales: npt.NDArray[np.float64], block: int, length: int) -> npt.NDArray[np.float64]:
    """One value for each element of a row from one for each block."""
    return np.repeat(scales, block, axis=-1)[..., :length]
