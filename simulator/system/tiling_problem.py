"""What the choice of an outer tiling depends on, and the loop nests it chooses from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from simulator.arch.config import Dataflow, LoopOrder
from simulator.system.counts import Operand
from simulator.system.footprint import StorageBits
from simulator.workload.layer import Layer

Dimension = Literal["m", "n", "k"]

LOOP_NESTS: Mapping[LoopOrder, tuple[tuple[Dimension, Dimension, Dimension], ...]] = {
    "ifmap_resident": (("m", "k", "n"),),
    "filter_resident": (("n", "k", "m"),),
    "ofmap_resident": (("m", "n", "k"), ("n", "m", "k")),
}
"""Loops from the outermost in, by the operand whose tile the innermost loop leaves in place."""

Nest = tuple[LoopOrder, tuple[Dimension, Dimension, Dimension]]


@dataclass(frozen=True, slots=True)
class TilingProblem:
    """Everything the choice depends on.

    fold: output pixels, output channels and reduction length that one fold holds; 1 for the streamed one.
    fold_overhead_cycles: cycles of a fold that do not depend on the streamed length.
    tile_bytes: bytes that one tile of each operand may take.
    stored_bytes: results of the layer written to DRAM (0 when they stay on chip).
    loaded_bytes: the other operand of a residual addition, read from DRAM beside the results.
    ifmap_on_chip: the layer before left the ifmap on chip; its tiles cost no DRAM traffic.
    """

    layer: Layer
    dataflow: Dataflow
    bits: StorageBits
    fold: Mapping[Dimension, int]
    fold_overhead_cycles: int
    tile_bytes: Mapping[Operand, int]
    stored_bytes: int
    loaded_bytes: int
    dram_bytes_per_cycle: Fraction
    dram_latency_cycles: int
    ifmap_on_chip: bool = False

    @property
    def lengths(self) -> dict[Dimension, int]:
        """Loop lengths of one group's product."""
        return {"m": self.layer.m, "n": self.layer.n_per_group, "k": self.layer.k}

    @property
    def partial_sums_leave(self) -> bool:
        """Whether partial sums pass through the ofmap buffer, at accumulator width."""
        return self.dataflow != "os" and self.layer.k > self.fold["k"]

    @property
    def ofmap_bits(self) -> int:
        """Bits that a result takes in the ofmap buffer."""
        return self.bits.accumulator if self.partial_sums_leave else self.bits.activation


def relevant_loops(operand: Operand, whole_k: Operand | None) -> frozenset[Dimension]:
    """Loops that change which tile of an operand is needed."""
    dimensions: dict[Operand, frozenset[Dimension]] = {
        "ifmap": frozenset({"m", "k"}),
        "filter": frozenset({"n", "k"}),
        "ofmap": frozenset({"m", "n"}),
    }
    return dimensions[operand] - {"k"} if operand == whole_k else dimensions[operand]
