"""Accumulators of block-scaled products: float32 sums to which whole blocks are added."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from simulator.foundation import UserError
from simulator.numerics.accumulators.accumulator import WorstSum
from simulator.numerics.accumulators.coded import CodedAccumulator
from simulator.numerics.accumulators.section import AccumulatorSection
from simulator.numerics.array_types import Accumulators, Codes, Reals
from simulator.numerics.block_scaled.block_circuit import BlockWidths, block_circuit
from simulator.numerics.block_scaled.block_format import BlockFormat
from simulator.numerics.block_scaled.sum_rules import SumRule, check_pair
from simulator.numerics.formats import Format
from simulator.numerics.hardware import Combinational, PeCircuit
from simulator.numerics.product_rules import OperandPair, ProductRule

_PREFIX: Final = "blocks "

_RULES: Final[dict[SumRule, str]] = {
    "once": "the exact sum of all blocks, rounded once to float32",
    "fused": "float32, rounded to nearest even after the exact value of every block, in their order",
    "blackwell": "float32, as the published model of NVIDIA Blackwell's tensor cores cuts sums off",
}


@dataclass(frozen=True, slots=True)
class BlockAccumulator(CodedAccumulator):
    """A float32 that holds sums of blocks; `simulator.numerics.engines.block_products` has the rules.

    `bits` are those of the register: 32, or of `once` enough for every sum of a reduction with any scales.
    There is no step of one product, since scales belong to whole blocks.
    """

    kind: ClassVar[str] = "blocks"

    sum: SumRule
    bits: int
    reduction_length: int

    @property
    def format(self) -> str:  # type: ignore[override]  # a field elsewhere; always float32 here
        """`fp32`."""
        return "fp32"

    @property
    def width(self) -> int:
        """Of the register."""
        return self.bits

    @property
    def identity(self) -> str:
        """`blocks`, and the rule."""
        return f"{_PREFIX}{self.sum}"

    @property
    def sum_rule(self) -> SumRule:
        """As `sum`."""
        return self.sum

    @property
    def depends_on_order(self) -> bool:
        """Unless it is rounded once."""
        return self.sum != "once"

    @property
    def relative_step(self) -> float:
        """Half a unit of the last place; a unit where sums are cut off."""
        return 2.0 ** (-23 if self.sum == "blackwell" else -24)

    def check(self, pair: OperandPair, source: str) -> None:
        """Refuse operands without blocks, or of formats that do not go together. Raises UserError."""
        if pair.product != "exact":
            raise UserError(
                "does not go with blocks",
                source=source,
                location="product",
                value=pair.product,
                allowed="exact",
            )
        try:
            check_pair(*_formats(pair, source), self.sum)
        except UserError as error:
            raise UserError(str(error), source=source) from error

    def step(
        self,
        pair: OperandPair,
        sums: Accumulators,  # noqa: ARG002 - refused
        activations: Codes,  # noqa: ARG002
        weights: Codes,  # noqa: ARG002
    ) -> Accumulators:
        """Refused: a product alone has no scale. Raises UserError."""
        raise UserError(
            f"a MAC of {pair.specs} with block scales adds whole blocks, not single products",
            allowed="simulator.numerics.engines.block_products.multiply_blocks, or another MAC",
        )

    def values_after(
        self,
        sums: Reals,  # noqa: ARG002 - refused
        activations: Reals,  # noqa: ARG002
        weights: Reals,  # noqa: ARG002
        pair: OperandPair,
    ) -> Reals:
        """Refused, as `step`. Raises UserError."""
        raise UserError(f"a MAC of {pair.specs} with block scales adds whole blocks, not single products")

    def worst_sum(self, pair: OperandPair, length: int) -> WorstSum:
        """From the largest product and the largest scales."""
        product = pair.largest_product
        for fmt in _formats(pair, "MAC"):
            product *= Fraction(float(np.nanmax(fmt.scale_format.values)))
        return WorstSum(product * length, int(self.limit / product))

    def lost_sums(self, pair: OperandPair, activations: Codes, weights: Codes, sums: Accumulators) -> int:  # noqa: ARG002
        """Those that are infinite or NaN."""
        return int(np.count_nonzero(~np.isfinite(self.decode(sums))))

    def combinational(self, pair: OperandPair) -> Combinational:
        """As `circuit`."""
        return self.circuit(pair).combinational

    def circuit(self, pair: OperandPair) -> PeCircuit:
        """A serial PE with an exact sum of the block, and its end."""
        return block_circuit(*_formats(pair, "MAC"), self.sum, self.bits, self.reduction_length)

    @property
    def summary(self) -> str:
        """Blocks, and the rule."""
        return f"fp32, blocks {self.sum}"

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """The rule, the register and its overflow."""
        return (
            ("accumulator", f"{_RULES[self.sum]}; {self.bits} bits"),
            ("overflow", "to infinity"),
        )

    def __str__(self) -> str:
        return f"blocks {self.sum} accumulator"


def _formats(pair: OperandPair, source: str) -> tuple[BlockFormat, BlockFormat]:
    if pair.blocks is None:
        raise UserError(
            "has an accumulator of blocks, and operands without block scales",
            source=source,
            location="blocks",
            allowed="a section `blocks`, or formats such as mxfp8_e4m3",
        )
    return pair.blocks.format_of(pair.activation.spec), pair.blocks.format_of(pair.weight.spec)


class BlockAccumulatorConfig(AccumulatorSection):
    """A float32 that whole blocks of a block-scaled MAC are added to."""

    kind: Literal["blocks"] = Field("blocks", description="A float32 that whole blocks are added to.")
    sum: SumRule = Field(
        "fused", description="`fused`: rounded after every block; `once`: at the end; or `blackwell`."
    )
    bits: int | None = Field(None, ge=1, description="Derived; results state it.")
    reduction_length: int | None = Field(None, ge=1, description="Derived; results state it.")

    def usual_product(self, activation: Format, weight: Format) -> ProductRule:  # noqa: ARG002
        """`exact`."""
        return "exact"

    def beside_blocks(self) -> BlockAccumulatorConfig:
        """Itself."""
        return self

    @classmethod
    def reads(cls, identity: str) -> bool:
        """`blocks` and a rule."""
        return identity.startswith(_PREFIX) and identity.removeprefix(_PREFIX) in _RULES

    def build(self, pair: OperandPair, reduction_length: int, source: str) -> BlockAccumulator:
        """The accumulator, wide enough for sums of `reduction_length` products where it rounds only once."""
        formats = _formats(pair, source)
        bits = 32
        if self.sum == "once":
            bits = BlockWidths.of(*formats, reduction_length).whole
        return BlockAccumulator(self.sum, bits, reduction_length)
