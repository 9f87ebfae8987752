"""Which arrays have a second register in every PE, so that folds overlap (docs/timing.md)."""

from __future__ import annotations

from simulator.arch.config import Dataflow, Overlap


def has_second_register(dataflow: Dataflow, overlap: Overlap) -> bool:
    """Whether a PE holds the register that moves between folds twice.

    With outputs that stay it is the accumulator, so that results leave while the next fold fills (`drain`,
    `full`). With operands that stay it is the operand, so that the next one is loaded in its shadow (`full`).
    """
    return overlap != "none" if dataflow == "os" else overlap == "full"
