"""Float accumulators that round to nearest even at every step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from simulator.numerics.accumulators.coded import CodedAccumulator
from simulator.numerics.accumulators.section import AccumulatorSection
from simulator.numerics.array_types import Reals
from simulator.numerics.float_rounding import FloatRounding
from simulator.numerics.formats import Format, get_format, is_format, located_format
from simulator.numerics.product_rules import OperandPair, ProductRule


@dataclass(frozen=True, slots=True)
class FloatAccumulator(CodedAccumulator):
    """A float that every step rounds into (to nearest, ties to even).

    With `flush_subnormals`, operands and results below the smallest normal number count as zeros of their
    sign.
    """

    kind: ClassVar[str] = "float"

    format: str
    flush_subnormals: bool = False

    @property
    def rounding(self) -> FloatRounding:
        """How a step rounds."""
        return _rounding(self)

    @property
    def relative_step(self) -> float:
        """Half a unit of the last place."""
        return float(2.0**-self.number_format.significand_bits)

    def values_after(self, sums: Reals, activations: Reals, weights: Reals, pair: OperandPair) -> Reals:
        """The exact sum, rounded once."""
        rounding = self.rounding
        sums = rounding.flush(sums, self.number_format.smallest_normal)
        a = rounding.flush(activations, pair.activation.smallest_normal)
        w = rounding.flush(weights, pair.weight.smallest_normal)
        with np.errstate(invalid="ignore"):
            products = np.asarray(a * w)
        return rounding.step(sums, products)

    @property
    def summary(self) -> str:
        """The format."""
        return f"{self.format}{', no subnormals' if self.flush_subnormals else ''}"

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """The format, its rounding and its overflow."""
        flushed = ", subnormal operands and sums become zero" if self.flush_subnormals else ""
        return (
            (
                "accumulator",
                f"{self.format}, rounded to nearest even at every step in the order of k{flushed}",
            ),
            ("overflow", _OVERFLOW_WORDS[self.on_overflow]),
        )


_OVERFLOW_WORDS: Final = {"infinity": "to infinity", "saturate": "saturates"}


@lru_cache(maxsize=256)
def _rounding(accumulator: FloatAccumulator) -> FloatRounding:
    return FloatRounding.of(get_format(accumulator.format), flush_subnormals=accumulator.flush_subnormals)


class FloatAccumulatorConfig(AccumulatorSection):
    """A float accumulator, rounded to nearest even at every step."""

    kind: Literal["float"] = Field(description="A float that every step rounds into.")
    format: str = Field(description="A minifloat or standard float, such as `fp16`.")
    flush_subnormals: bool = Field(
        default=False, description="Operands and results below the smallest normal number become zero."
    )

    def usual_product(self, activation: Format, weight: Format) -> ProductRule:  # noqa: ARG002
        """`fused`."""
        return "fused"

    @classmethod
    def reads(cls, identity: str) -> bool:
        """A format."""
        return is_format(identity)

    def build(self, pair: OperandPair, reduction_length: int, source: str) -> FloatAccumulator:  # noqa: ARG002
        """The accumulator of this format."""
        fmt = located_format(self.format, source, "accumulator.format")
        return FloatAccumulator(fmt.spec, self.flush_subnormals)
