"""How long a sum an accumulator holds in the worst case."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import log2

from simulator.foundation import UserError
from simulator.numerics.mac import Mac


@dataclass(frozen=True, slots=True)
class OverflowBound:
    """The worst sum of `reduction_length` products beside what the accumulator holds, real magnitudes."""

    mac: str
    reduction_length: int
    worst_sum: Fraction
    limit: Fraction
    longest_safe_reduction: int
    """Products of which no sum overflows; 0 where one product can."""

    on_overflow: str
    """`wrap`, `saturate`, `sticky`, or `infinity` and `saturate` of a float accumulator."""

    @property
    def may_overflow(self) -> bool:
        """Whether some operands make this sum overflow."""
        return self.reduction_length > self.longest_safe_reduction

    def __str__(self) -> str:
        """One sentence for a warning."""
        worst, limit = (_log2(value) for value in (self.worst_sum, self.limit))
        verb = "may overflow" if self.may_overflow else "cannot overflow"
        return (
            f"the accumulator of {self.mac} {verb} ({self.on_overflow}) in sums of {self.reduction_length}"
            f" products: they reach up to 2^{worst:.1f}, it holds 2^{limit:.1f}; safe up to a length of"
            f" {self.longest_safe_reduction} whatever the data"
        )


def _log2(value: Fraction) -> float:
    """log2 of a value that float64 need not hold; minus infinity of 0."""
    return log2(value.numerator) - log2(value.denominator) if value else float("-inf")


def overflow_bound(mac: Mac, reduction_length: int) -> OverflowBound:
    """The worst case of a sum of `reduction_length` products of any codes; real data usually stay far below.

    Raises:
        UserError: a reduction length below 1.
    """
    if reduction_length < 1:
        raise UserError("a reduction has at least one product", value=reduction_length)
    accumulator = mac.accumulator
    worst = accumulator.worst_sum(mac.pair, reduction_length)
    return OverflowBound(
        mac.name,
        reduction_length,
        worst.worst,
        accumulator.limit,
        worst.longest_safe_reduction,
        accumulator.on_overflow,
    )
