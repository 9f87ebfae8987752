"""`kind: fixed` in an architecture file: widths that are left out are derived."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simulator.numerics.accumulators.fixed import FixedAccumulator, OverflowRule
from simulator.numerics.accumulators.fixed_products import (
    MAX_ACCUMULATOR_BITS,
    AskedRegister,
    chosen_register,
    usual_integer_product,
)
from simulator.numerics.accumulators.section import AccumulatorSection
from simulator.numerics.formats import Format
from simulator.numerics.product_rules import OperandPair, ProductRule


class FixedAccumulatorConfig(AccumulatorSection):
    """A two's complement accumulator; what is left out is derived so that nothing overflows or is lost."""

    kind: Literal["fixed"] = Field("fixed", description="A two's complement integer.")
    bits: int | None = Field(None, ge=2, le=MAX_ACCUMULATOR_BITS, description="Width, sign included.")
    lsb: int | None = Field(None, ge=-1022, le=1022, description="log2 of the weight of the lowest bit.")
    overflow: OverflowRule = Field(
        "wrap",
        description="Past either end: `wrap`, `saturate`, or `sticky` (wrap, remembered for the output).",
    )

    def usual_product(self, activation: Format, weight: Format) -> ProductRule:
        """`log` for two log formats, else `exact`."""
        return usual_integer_product(activation, weight)

    @classmethod
    def reads(cls, identity: str) -> bool:
        """A number of bits."""
        return identity.isdigit()

    def build(self, pair: OperandPair, reduction_length: int, source: str) -> FixedAccumulator:
        """With the rule's own width and lowest bit where they are left out."""
        register = chosen_register(pair, AskedRegister(self.bits, self.lsb, reduction_length, source))
        return FixedAccumulator(register.bits, register.lsb, self.overflow)
