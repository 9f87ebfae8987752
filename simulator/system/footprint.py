"""How many bytes operands take: stored widths, packed codes, and what a layer has to move at least."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.system.geometry import Geometry, block_elements
from simulator.workload.layer import Layer

Integers = NDArray[np.int64]

Bits = int | Fraction
"""Of a stored element."""

_BIT_STEPS = 1 << 30


@dataclass(frozen=True, slots=True)
class StorageBits:
    """Bits of one stored element, by what it is; a share of a block's scale makes fractions of them.

    result: of the layer's results, as the layers that read them expect them.
    residual: of the other operand of a residual addition (0: there is none).
    """

    activation: Bits
    weight: Bits
    accumulator: int
    result: Bits = 0
    residual: Bits = 0

    def __post_init__(self) -> None:
        """Results are stored as activations where nothing else is said."""
        if not self.result:
            object.__setattr__(self, "result", self.activation)

    @property
    def is_whole(self) -> bool:
        """Whether no element has a share of a scale."""
        return all(bits == int(bits) for bits in (self.activation, self.weight, self.result, self.residual))


def bits_in_float(bits: Bits) -> float:
    """Bits of an element as kernels count them, cut off at 2**-30.

    Rounding down and no further keeps sums of up to 2**30 elements right once they are whole bytes.
    """
    return floor(bits * _BIT_STEPS) / _BIT_STEPS


def whole_bits(bits: float) -> int:
    """Bits of an element that has no share of a scale. Raises UserError: it has one."""
    if bits != int(bits):
        raise UserError(
            "an access trace does not know block scales", allowed="a layer whose MAC has no block scales"
        )
    return int(bits)


def packed_bytes(elements: int, bits: Bits | float) -> int:
    """Whole bytes that hold `elements` codes of `bits` bits, packed without gaps."""
    return int(-(-elements * bits // 8))


def compulsory_ifmap_bytes(layer: Layer, bits: Bits) -> int:
    """Bytes of activations that any tiling fetches at least once: the layer as a single tile."""
    g = Geometry.of(layer)
    elements = block_elements(g, 0, g.rows.outputs, 0, g.columns.outputs, 0, g.k)
    return packed_bytes(int(elements) * g.images * layer.groups, bits)
