"""Accumulators: the registers that sum products, as data that answer for themselves.

A kind of accumulator is a module with a frozen `Accumulator` and its section of architecture files; it is
registered by its section's place in `AnyAccumulatorSection` here.
"""

from typing import get_args

from simulator.numerics.accumulators.accumulator import Accumulator, StepFlags, WorstSum
from simulator.numerics.accumulators.blocks import BlockAccumulator, BlockAccumulatorConfig
from simulator.numerics.accumulators.fixed import FixedAccumulator, OverflowRule
from simulator.numerics.accumulators.fixed_config import FixedAccumulatorConfig
from simulator.numerics.accumulators.floating import FloatAccumulator, FloatAccumulatorConfig
from simulator.numerics.accumulators.truncated import TruncatedAccumulator, TruncatedAccumulatorConfig

AnyAccumulatorSection = (
    FixedAccumulatorConfig | FloatAccumulatorConfig | TruncatedAccumulatorConfig | BlockAccumulatorConfig
)
"""What `accumulator` may be in an architecture file; `kind` tells which."""


def is_accumulator_identity(text: str) -> bool:
    """Whether some accumulator has this `identity`: a number of bits, or what a kind makes of its format."""
    return any(section.reads(text) for section in get_args(AnyAccumulatorSection))


__all__ = [
    "Accumulator",
    "AnyAccumulatorSection",
    "BlockAccumulator",
    "BlockAccumulatorConfig",
    "FixedAccumulator",
    "FixedAccumulatorConfig",
    "FloatAccumulator",
    "FloatAccumulatorConfig",
    "OverflowRule",
    "StepFlags",
    "TruncatedAccumulator",
    "TruncatedAccumulatorConfig",
    "WorstSum",
    "is_accumulator_identity",
]
