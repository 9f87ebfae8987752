"""Toggles by register class, of one matrix product or of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from simulator.dataflow import DataflowName
from simulator.foundation import UserError
from simulator.numerics.sampling import Estimate

CONFIDENCE = 1.96
"""Standard errors on either side of a 95 % confidence interval."""


@dataclass(frozen=True, slots=True)
class RegisterActivity:
    """Toggles of one register class, summed over all PEs.

    `bits` is one register's width. `bit_steps` is the register bits of all PEs times the steps at which
    they take new data (K a fold for `os`, the stream for `ws` and `is`, the rows loaded for what stays in
    place). `standard_error` is that of a sampled count, 0 for an exact one.
    """

    bits: int
    toggles: float
    bit_steps: int
    standard_error: float = 0.0

    @classmethod
    def of(cls, bits: int, estimate: Estimate, steps: int) -> RegisterActivity:
        """Of registers `bits` wide that take new data `steps` times, all PEs together."""
        return cls(bits, estimate.total, bits * steps, estimate.standard_error)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the toggles."""
        margin = CONFIDENCE * self.standard_error
        return self.toggles - margin, self.toggles + margin

    def __add__(self, other: RegisterActivity) -> RegisterActivity:
        """Toggles of both; errors are independent. Raises UserError for registers of different widths."""
        if self.bits != other.bits:
            raise UserError(
                "registers of different widths have no common activity", value=(self.bits, other.bits)
            )
        return RegisterActivity(
            self.bits,
            self.toggles + other.toggles,
            self.bit_steps + other.bit_steps,
            sqrt(self.standard_error**2 + other.standard_error**2),
        )


@dataclass(frozen=True, slots=True)
class SwitchingActivity:
    """Bits toggled by each register class of a PE array during one matrix product, or several.

    `drain` is the part of the accumulators' toggles in which results shift out (os only); it is included in
    `accumulator`. `macs` counts the useful multiply-accumulates.
    """

    dataflow: DataflowName
    rows: int
    columns: int
    macs: int
    activation: RegisterActivity
    weight: RegisterActivity
    product: RegisterActivity
    accumulator: RegisterActivity
    drain: int = 0

    @property
    def toggles(self) -> float:
        """Bits toggled by all classes."""
        return self.activation.toggles + self.weight.toggles + self.product.toggles + self.accumulator.toggles

    def __add__(self, other: SwitchingActivity) -> SwitchingActivity:
        """Activity of both products. Raises UserError for different arrays, dataflows or MACs."""
        ours, theirs = (self.dataflow, self.rows, self.columns), (other.dataflow, other.rows, other.columns)
        if ours != theirs:
            raise UserError("activity of different arrays has no sum", value=theirs, allowed=str(ours))
        return SwitchingActivity(
            *ours,
            self.macs + other.macs,
            self.activation + other.activation,
            self.weight + other.weight,
            self.product + other.product,
            self.accumulator + other.accumulator,
            self.drain + other.drain,
        )


def total_activity(parts: Sequence[SwitchingActivity]) -> SwitchingActivity:
    """Activity of a network from its layers (the strata of a sampled count). Raises UserError when empty."""
    if not parts:
        raise UserError("there is no activity to add up")
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
