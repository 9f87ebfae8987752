"""How many bytes operands take: stored widths, packed codes, and what a layer has to move at least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.system.geometry import Geometry, block_elements
from simulator.workload.layer import Layer

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StorageBits:
    """Bits of one stored element, by what it is.

    result: of the layer's results, as the layers that read them expect them.
    residual: of the other operand of a residual addition (0: there is none).
    """

    activation: int
    weight: int
    accumulator: int
    result: int = 0
    residual: int = 0

    def __post_init__(self) -> None:
        """Results are stored as activations where nothing else is said."""
        if not self.result:
            object.__setattr__(self, "result", self.activation)


def packed_bytes(elements: int, bits: int) -> int:
    """Whole bytes that hold `elements` codes of `bits` bits, packed without gaps."""
    return -(-elements * bits // 8)


def compulsory_ifmap_bytes(layer: Layer, bits: int) -> int:
    """Bytes of activations that any tiling fetches at least once: the layer as a single tile."""
    g = Geometry.of(layer)
    elements = block_elements(g, 0, g.rows.outputs, 0, g.columns.outputs, 0, g.k)
    return packed_bytes(int(elements) * g.images * layer.groups, bits)
