"""A multiply-accumulate unit as data: two operand formats, a product rule, an accumulator, an output rule."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from simulator.numerics.accumulators import Accumulator
from simulator.numerics.block_scaled.block_scaling import BlockScaling
from simulator.numerics.product_rules import ProductRule

OutputRule = Literal["nearest", "log", "posit"]

DEFAULT_REDUCTION_LENGTH = 4608
"""Products in the longest sum of ResNet-50 (3 x 3 x 512), Aggarwal et al.'s choice for accumulator widths."""


COMPOSED = "composed"
"""The price of a MAC that is put together from the prices of parts, whatever rows the tables have."""

BY_KIND = (COMPOSED, "synthesised")
"""Prices that name a kind of price and no variant."""


@dataclass(frozen=True, slots=True)
class MacPrice:
    """Which rows of the price tables a MAC takes its energy and its area from.

    Each is a variant's name, `composed` for a sum of parts, `synthesised` for what `systolic rtl price` wrote
    of these numerics, or None: the variant of the MAC's own name, or a published one of the same formats,
    product and accumulator, else composed.
    """

    energy: str | None = None
    area: str | None = None


DEFAULT_PRICE = MacPrice()
"""The rows that fit a MAC, for energy and area alike."""


@dataclass(frozen=True, slots=True)
class MacSpec:
    """What one multiply-accumulate does, and how fast its hardware takes operands.

    `product`: `exact` into a fixed accumulator (bits below its lowest are cut off towards minus
    infinity), `log` (add logarithms, look up the power, shift: Johnson 2018), `fused` into a float
    accumulator (one rounding of product plus sum). `output`: how accumulators become codes; `nearest`
    rounds the real value, `log` and `posit` are the converters of the published circuits.
    `pipeline_depth` is the cycles from operands to sum, `accumulation_interval` the cycles before the
    same PE can add again; `max_clock_mhz` is a limit that the MAC's author sets, None without one (rows of
    price tables have limits of their own). `blocks` are the block scales of both operands; None without.
    """

    name: str
    activation: str
    weight: str
    product: ProductRule
    accumulator: Accumulator
    output: OutputRule = "nearest"
    reduction_length: int = DEFAULT_REDUCTION_LENGTH
    pipeline_depth: int = 1
    accumulation_interval: int = 1
    max_clock_mhz: float | None = None
    price: MacPrice = DEFAULT_PRICE
    blocks: BlockScaling | None = None
    description: str = field(default="", compare=False)
    source: str = field(default="", compare=False)

    def document(self) -> dict[str, Any]:
        """The MAC as plain data, the accumulator's kind beside its fields; `read_spec` reads it back."""
        fields = asdict(self)
        if self.blocks is None:
            del fields["blocks"]
        return fields | {"accumulator": {"kind": self.accumulator.kind, **fields["accumulator"]}}
