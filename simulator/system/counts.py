"""What the machine did for one layer: cycles by cause, PE-cycles by use, bytes moved; prices multiply it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from simulator.dataflow import DataflowName
from simulator.foundation.defects import DefectError
from simulator.operands import OPERANDS, Operand

StallCause = Literal["ifmap", "filter", "ofmap_space", "dram", "sram_port", "output_path"]
STALL_CAUSES: tuple[StallCause, ...] = ("ifmap", "filter", "ofmap_space", "dram", "sram_port", "output_path")


@dataclass(frozen=True, slots=True)
class CycleBreakdown:
    """Every cycle of a layer has one cause: compute, fill, drain, or a stall with a name."""

    compute: int
    fill: int
    drain: int
    stalls: Mapping[StallCause, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse negative counts. Raises DefectError."""
        if min(self.compute, self.fill, self.drain, *self.stalls.values()) < 0:
            message = f"cycles must not be negative: {self}"
            raise DefectError(message)

    @property
    def stall(self) -> int:
        """All stalls together."""
        return sum(self.stalls.values())

    @property
    def total(self) -> int:
        """All cycles of the layer."""
        return self.compute + self.fill + self.drain + self.stall


@dataclass(frozen=True, slots=True)
class PECycles:
    """PE-cycles (cycles x PEs) by what the PE does.

    useful: multiplies two operands of the layer (= MACs of the layer).
    idle: clocked with the multiply enabled but no useful operands (fill, unused rows and columns).
    shifting: accumulators or preloaded operands move through the PE.
    holding: nothing moves (stalls).
    """

    useful: int
    idle: int
    shifting: int
    holding: int

    def __post_init__(self) -> None:
        """Refuse negative counts. Raises DefectError."""
        if min(self.useful, self.idle, self.shifting, self.holding) < 0:
            message = f"PE-cycles must not be negative: {self}"
            raise DefectError(message)

    @property
    def total(self) -> int:
        """Rows x columns x cycles."""
        return self.useful + self.idle + self.shifting + self.holding


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes read from and written to one memory for one operand.

    read_bytes, write_bytes: useful ones, that somebody asked for.
    moved_read_bytes, moved_write_bytes: those of the whole words (SRAM) or bursts (DRAM) that were touched
    for them, which is what takes energy.
    """

    read_bytes: int = 0
    write_bytes: int = 0
    moved_read_bytes: int = 0
    moved_write_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        """Useful bytes in either direction."""
        return self.read_bytes + self.write_bytes

    @property
    def moved_bytes(self) -> int:
        """Bytes of touched words or bursts in either direction."""
        return self.moved_read_bytes + self.moved_write_bytes


@dataclass(frozen=True, slots=True)
class ActionCounts:
    """Everything of one layer that has a price.

    activation_codes, weight_codes: codes that enter at the array's edges (skew registers, decoders).
    converter_operations: results that leave through the boundary converters.
    results_by_block: those of each block of columns, left to right; empty where all columns have one MAC.
    output_path_operations: elementwise steps behind them (bias, ReLU, pooling, residual add), by kind.
    macs_by_name: useful MACs by the name of the MAC that computed them (column blocks may differ).
    array_bytes: bytes of codes that pass between each buffer and the array, either way.
    dataflow: what stayed in the PEs.
    hidden_shifts: PE-cycles in which second registers move while the PE does something else (`overlap`).
    handovers: moves between a PE's register and its second one, one a fold and PE.
    """

    macs: int
    cycles: CycleBreakdown
    pe_cycles: PECycles
    activation_codes: int
    weight_codes: int
    converter_operations: int
    output_path_operations: Mapping[str, int]
    sram: Mapping[Operand, Traffic]
    dram: Mapping[Operand, Traffic]
    macs_by_name: Mapping[str, int] = field(default_factory=dict)
    array_bytes: Mapping[Operand, int] = field(default_factory=lambda: dict.fromkeys(OPERANDS, 0))
    dataflow: DataflowName = "os"
    results_by_block: tuple[int, ...] = ()
    hidden_shifts: int = 0
    handovers: int = 0

    def __post_init__(self) -> None:
        """Check that the parts sum to the whole. Raises DefectError."""
        if self.pe_cycles.useful != self.macs:
            message = f"{self.pe_cycles.useful} useful PE-cycles for {self.macs} MACs"
            raise DefectError(message)
        if self.macs_by_name and sum(self.macs_by_name.values()) != self.macs:
            message = f"MACs by name {dict(self.macs_by_name)} do not sum to {self.macs}"
            raise DefectError(message)
        if self.results_by_block and sum(self.results_by_block) != self.converter_operations:
            message = f"results by block {self.results_by_block} do not sum to {self.converter_operations}"
            raise DefectError(message)
        if min(self.hidden_shifts, self.handovers) < 0:
            message = f"moves of second registers must not be negative: {self}"
            raise DefectError(message)
