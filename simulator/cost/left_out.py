"""What a real accelerator has and no price here covers, said in every result."""

from __future__ import annotations

from typing import Final

from simulator.arch.config import ArchConfig

ALWAYS: Final = (
    "DMA and address generators",
    "DRAM controller and PHY",
    "control logic and configuration registers",
    "clock tree above the flip-flops",
    "wires inside the array",
    "placement overhead (areas are of cells alone)",
    "I/O pads",
    "DRAM background power",
)
"""Parts of every chip."""

DESKEW: Final = "registers that align results of columns which finish one after another"
SHIFT_OUT: Final = "multiplexers that shift accumulators out"
GATES: Final = "detectors of zeros and what isolates gated logic"
CLOCK_GATES: Final = "clock gates"
SKEW: Final = "skew registers at the array's edges (array.skew_registers is off)"


def left_out(arch: ArchConfig) -> list[str]:
    """What has no price in an architecture, from what is largest in most designs on."""
    array = arch.array
    parts = list(ALWAYS)
    if "os" in arch.dataflows:
        parts.append(SHIFT_OUT)
    if set(arch.dataflows) != {"os"} or array.overlap != "none":
        parts.append(DESKEW)
    if not array.skew_registers:
        parts.append(SKEW)
    if array.zero_gating:
        parts.append(GATES)
    if array.clock_gating:
        parts.append(CLOCK_GATES)
    return parts
