"""The bits that really toggled in a layer's PE registers, which dynamic energy follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.cost.mac_structure import RegisterClass
from simulator.foundation.defects import DefectError

if TYPE_CHECKING:
    from simulator.numerics import activity


@dataclass(frozen=True, slots=True)
class SwitchingActivity:
    """Bits toggled in all PEs together over one layer.

    activation, weight, accumulator: while the array multiplies (fill included).
    shift: in accumulators while results shift out, or in operands while they are preloaded.
    zero_operand_macs: useful MACs with an operand of zero.
    """

    activation: float
    weight: float
    accumulator: float
    shift: float = 0.0
    zero_operand_macs: int = 0

    def __post_init__(self) -> None:
        """Refuse negative counts. Raises DefectError."""
        if min(self.activation, self.weight, self.accumulator, self.shift, self.zero_operand_macs) < 0:
            message = f"toggles must not be negative: {self}"
            raise DefectError(message)

    @property
    def toggles(self) -> float:
        """Every bit that changed."""
        return self.activation + self.weight + self.accumulator + self.shift


def counted_activity(counted: activity.SwitchingActivity, *, zero_operand_macs: int = 0) -> SwitchingActivity:
    """What `simulator.numerics.activity` counted, as prices take it: results shifting out told apart."""
    return SwitchingActivity(
        activation=counted.activation.toggles,
        weight=counted.weight.toggles,
        accumulator=counted.accumulator.toggles - counted.drain,
        shift=counted.drain,
        zero_operand_macs=zero_operand_macs,
    )


SUM_SHARE = 0.5
"""The adder follows both its inputs alike, the sum and the product."""


@dataclass(frozen=True, slots=True)
class RelativeActivity:
    """Activity as a multiple of the one a PE's prices were taken at.

    operands: of both operand registers, which multiplier, table and shifter follow.
    sums: mean of operands and accumulator, which the adder follows, as it sees both.
    """

    operands: float
    sums: float

    def of(self, component: str) -> float:
        """The multiple that a component's combinational energy follows."""
        return self.sums if component == "pe_add" else self.operands


def relative_activity(
    toggled: SwitchingActivity,
    useful_macs: int,
    characterised: Mapping[RegisterClass, float],
    gated_macs: int = 0,
) -> RelativeActivity:
    """Toggles in a MAC that switches its logic, over the characterised toggles per cycle.

    Operands pass all useful MACs, so a MAC that is not gated sees their mean over all of them: what gating
    holds back does not reach the logic. Sums toggle whether or not the logic is gated (a product of zero
    changes none), so all their toggles fall to the MACs that are left.

    Args:
        toggled: bits that toggled in all PEs.
        useful_macs: of the layer; without any, the activity is 1.
        characterised: toggles per cycle when the price was taken.
        gated_macs: those of them whose logic is held; if all are, the activity of sums is that of operands.
    """
    if not useful_macs:
        return RelativeActivity(1.0, 1.0)
    operands = (toggled.activation + toggled.weight) / useful_macs
    operands /= characterised["activation"] + characterised["weight"]
    switched = useful_macs - gated_macs
    if not switched:
        return RelativeActivity(operands, operands)
    sums = toggled.accumulator / switched / characterised["accumulator"]
    return RelativeActivity(operands, (1 - SUM_SHARE) * operands + SUM_SHARE * sums)
