"""What a real accelerator has and no price here covers, said in every result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulator.arch.config import ArchConfig
from simulator.dataflow import DATAFLOWS, Motion

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
DESKEW_ROWS: Final = "registers that align results of rows which finish one after another"
SHIFT_OUT: Final = "multiplexers that shift accumulators out"
GATES: Final = "detectors of zeros and what isolates gated logic"
CLOCK_GATES: Final = "clock gates"
SKEW: Final = "skew registers at the array's edges (array.skew_registers is off)"


_OF_MOTION: Final[Mapping[Motion, str]] = {"nowhere": SHIFT_OUT, "down": DESKEW, "right": DESKEW_ROWS}
"""What sums need that leave the array in one of these ways."""


def left_out(arch: ArchConfig) -> list[str]:
    """What has no price in an architecture, from what is largest in most designs on."""
    array = arch.array
    parts = list(ALWAYS)
    # With drain registers, results of columns finish one after another where sums stay, too.
    overlapping = {DESKEW} if array.overlap != "none" else set()
    wanted = {_OF_MOTION[DATAFLOWS[name].sums_move] for name in arch.dataflows} | overlapping
    parts += [part for part in (SHIFT_OUT, DESKEW, DESKEW_ROWS) if part in wanted]
    if not array.skew_registers:
        parts.append(SKEW)
    if array.zero_gating:
        parts.append(GATES)
    if array.clock_gating:
        parts.append(CLOCK_GATES)
    return parts
