"""Float accumulators that cut each sum off towards zero, as the adders of many matrix units do.

NVIDIA's tensor cores cut off what lies below the bits that they keep (Fasi, Higham, Mikaitis and Pranesh
2021, "Numerical behavior of NVIDIA tensor cores", PeerJ Computer Science 7:e330). They add several products
at once; here one product is added a step, in the order of k, into all bits of the format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from simulator.numerics.accumulators.coded import CodedAccumulator
from simulator.numerics.accumulators.section import AccumulatorSection
from simulator.numerics.array_types import Reals
from simulator.numerics.float_rounding import add_to_odd
from simulator.numerics.formats import Format, is_format, located_format
from simulator.numerics.hardware import ROUNDING_INCREMENT, Combinational
from simulator.numerics.product_rules import OperandPair, ProductRule

_PREFIX = "truncated "


@dataclass(frozen=True, slots=True)
class TruncatedAccumulator(CodedAccumulator):
    """A float that holds the exact sum of itself and a product, cut off towards zero.

    Bits below the format's precision are lost; below its smallest normal number, those below its smallest
    subnormal one. A finite sum past the largest value becomes the largest value, as rounding towards zero has
    it in IEEE 754, also where the format has an infinity. Infinite and NaN operands are as in IEEE 754.
    """

    kind: ClassVar[str] = "truncated"

    format: str

    @property
    def identity(self) -> str:
        """`truncated` and the format: rows of a MAC that rounds do not price one that does not."""
        return f"{_PREFIX}{self.format}"

    @property
    def on_overflow(self) -> str:
        """`saturate`."""
        return "saturate"

    @property
    def stays_finite(self) -> bool:
        """Always."""
        return True

    @property
    def relative_step(self) -> float:
        """A unit of the last place."""
        return float(2.0 ** (1 - self.number_format.significand_bits))

    def values_after(
        self,
        sums: Reals,
        activations: Reals,
        weights: Reals,
        pair: OperandPair,  # noqa: ARG002 - operands are taken as they are
    ) -> Reals:
        """The exact sum, cut off."""
        with np.errstate(invalid="ignore"):
            # Rounded to odd, an inexact sum ends in a 1: cut to fewer bits, it is the exact sum cut to them.
            total = add_to_odd(np.asarray(sums), np.asarray(activations * weights))
        fmt, finite = self.number_format, np.isfinite(total)
        safe = np.where(finite, total, 0.0)
        least = int(np.frexp(fmt.smallest_normal)[1]) - 1
        steps = np.maximum(np.frexp(safe)[1] - 1, least) - (fmt.significand_bits - 1)
        kept = np.ldexp(np.trunc(np.ldexp(safe, -steps)), steps)
        return np.where(finite, np.copysign(np.minimum(np.abs(kept), fmt.largest), safe), total)

    def combinational(self, pair: OperandPair) -> Combinational:
        """A fused multiply-add without the increment that rounds."""
        parts = CodedAccumulator.combinational(self, pair)
        return {name: tuple(p for p in each if p.what != ROUNDING_INCREMENT) for name, each in parts.items()}

    @property
    def summary(self) -> str:
        """The format, and that it is cut off."""
        return f"{self.format}, truncated"

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """The format, how it is cut off, and its overflow."""
        return (
            ("accumulator", f"{self.format}, cut off towards zero at every step in the order of k"),
            ("overflow", "saturates"),
        )

    def __str__(self) -> str:
        return f"truncated {self.format} accumulator"


class TruncatedAccumulatorConfig(AccumulatorSection):
    """A float accumulator, cut off towards zero at every step."""

    kind: Literal["truncated"] = Field(description="A float that every step is cut off to.")
    format: str = Field(description="A minifloat or standard float, such as `fp16`.")

    def usual_product(self, activation: Format, weight: Format) -> ProductRule:  # noqa: ARG002
        """`fused`."""
        return "fused"

    @classmethod
    def reads(cls, identity: str) -> bool:
        """`truncated` and a format."""
        return identity.startswith(_PREFIX) and is_format(identity.removeprefix(_PREFIX))

    def build(self, pair: OperandPair, reduction_length: int, source: str) -> TruncatedAccumulator:  # noqa: ARG002
        """The accumulator of this format."""
        return TruncatedAccumulator(located_format(self.format, source, "accumulator.format").spec)
