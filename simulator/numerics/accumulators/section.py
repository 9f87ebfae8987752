"""What every kind of accumulator says in an architecture file, and how an accumulator is made of it."""

from __future__ import annotations

from abc import abstractmethod

from pydantic import BaseModel, ConfigDict

from simulator.numerics.accumulators.accumulator import Accumulator
from simulator.numerics.formats import Format
from simulator.numerics.product_rules import OperandPair, ProductRule


class AccumulatorSection(BaseModel):
    """One kind's fields; each kind has a literal `kind` of its own, which tells them apart."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @abstractmethod
    def usual_product(self, activation: Format, weight: Format) -> ProductRule:
        """The product rule of operands that leave it out."""

    def beside_blocks(self) -> AccumulatorSection | None:
        """Itself where it goes with operands that have block scales; None where it does not."""
        return None

    @classmethod
    @abstractmethod
    def reads(cls, identity: str) -> bool:
        """Whether a text is the `identity` of an accumulator of this kind, as price tables state it."""

    @abstractmethod
    def build(self, pair: OperandPair, reduction_length: int, source: str) -> Accumulator:
        """The accumulator, with what is left out derived. Raises UserError, which names `source`."""
