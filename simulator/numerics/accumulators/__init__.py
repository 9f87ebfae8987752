"""Accumulators: the registers that sum products, as data that answer for themselves.

A kind of accumulator is a module with a frozen `Accumulator` and its section of architecture files; it is
registered by its section's place in `AnyAccumulatorSection` here.
"""

from simulator.numerics.accumulators.base import Accumulator, StepFlags, WorstSum
from simulator.numerics.accumulators.fixed import FixedAccumulator, OverflowRule
from simulator.numerics.accumulators.fixed_config import FixedAccumulatorConfig
from simulator.numerics.accumulators.floating import FloatAccumulator, FloatAccumulatorConfig

AnyAccumulatorSection = FixedAccumulatorConfig | FloatAccumulatorConfig
"""What `accumulator` may be in an architecture file; `kind` tells which."""

__all__ = [
    "Accumulator",
    "AnyAccumulatorSection",
    "FixedAccumulator",
    "FixedAccumulatorConfig",
    "FloatAccumulator",
    "FloatAccumulatorConfig",
    "OverflowRule",
    "StepFlags",
    "WorstSum",
]
