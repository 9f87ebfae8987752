"""What every accumulator answers: its register, one step of a sum, its ends, its hardware, its description.

An accumulator is data (a frozen record). What depends on a MAC's operands takes an `OperandPair`. Engines and
kernels that only some accumulators have are registered by type where they are (`functools.singledispatch`):
a new accumulator works everywhere at once, by its own step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.array_types import Accumulators, Booleans, Codes, Integers, Reals
from simulator.numerics.block_scaled.sum_rules import SumRule
from simulator.numerics.formats import Format
from simulator.numerics.hardware import PeCircuit
from simulator.numerics.product_rules import OperandPair, Products


@dataclass(frozen=True, slots=True)
class WorstSum:
    """The worst sum of some products, as a real magnitude, and how many products never overflow."""

    worst: Fraction
    longest_safe_reduction: int


@dataclass(frozen=True, slots=True)
class StepFlags:
    """What one step raises beside its sum: an infinite or NaN operand, and the sign of an overflow or 0."""

    is_infinite: Booleans
    overflow: npt.NDArray[np.int8]


class Accumulator(ABC):
    """The register that sums products, as data with methods. Subclasses are frozen dataclasses.

    Arrays of accumulators are as `simulator.numerics.array_types.Accumulators` says; operands are valid
    codes.
    What NaN, infinity and overflow do stands with each subclass.
    """

    __slots__ = ()

    kind: ClassVar[str]
    """How architecture files and results name it."""

    # ---------------------------------------------------------------------------------------- register

    @property
    @abstractmethod
    def width(self) -> int:
        """Bits of the register."""

    @property
    @abstractmethod
    def lowest_exponent(self) -> int:
        """log2 of the weight of the lowest bit; of a float's smallest subnormal number."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Of arrays of accumulators."""

    @property
    def number_format(self) -> Format | None:
        """The format whose codes the register holds; None for a plain integer."""
        return None

    @property
    def identity(self) -> int | str:
        """What rows of price tables state: the bits, or the format."""
        return self.width

    @property
    @abstractmethod
    def limit(self) -> Fraction:
        """The largest value that it holds."""

    @property
    @abstractmethod
    def on_overflow(self) -> str:
        """What becomes of sums past the ends, in a word: `wrap`, `saturate`, `sticky` or `infinity`."""

    @property
    def depends_on_order(self) -> bool:
        """Whether the order of a sum can change its bits."""
        return True

    @property
    def remembers_overflow(self) -> bool:
        """Whether the direction of the first overflow is kept beside the sum, for the output."""
        return False

    @property
    def sum_rule(self) -> SumRule | None:
        """How sums of blocks are rounded; None where single products are added."""
        return None

    @property
    def carries_specials(self) -> bool:
        """Whether an infinite or NaN operand shows in the sum itself, also where a zero meets it."""
        return False

    @abstractmethod
    def checked(self, values: npt.NDArray[Any]) -> Accumulators:
        """Integers as accumulators to start from. Raises UserError where one does not fit."""

    # ---------------------------------------------------------------------------- steps and their results

    @abstractmethod
    def check(self, pair: OperandPair, source: str) -> None:
        """Refuse operands that it cannot sum. Raises UserError, which names `source`."""

    def products(self, pair: OperandPair) -> Products:
        """The rule that makes increments of pairs of codes. Raises UserError where products are fused."""
        raise self._fused(pair)

    def _fused(self, pair: OperandPair) -> UserError:
        return UserError(f"products of {pair.specs} are fused into a {self.kind} accumulator")

    def product_bits(self, pair: OperandPair) -> int:  # noqa: ARG002 - others need the pair
        """Width of the wire between multiplier and adder; 0 where there is none."""
        return 0

    @abstractmethod
    def step(self, pair: OperandPair, sums: Accumulators, activations: Codes, weights: Codes) -> Accumulators:
        """What the register holds after one more product; elementwise, broadcasting."""

    @abstractmethod
    def product(self, pair: OperandPair, activations: Codes, weights: Codes) -> Integers:
        """What one product leaves in an empty register, as integers; elementwise, broadcasting."""

    def flags(
        self,
        pair: OperandPair,  # noqa: ARG002 - others need the pair
        sums: Accumulators,
        activations: Codes,
        weights: Codes,
    ) -> StepFlags:
        """What one step raises beside the sum; nothing where the sum itself says it."""
        shape = np.broadcast_shapes(np.shape(sums), np.shape(activations), np.shape(weights))
        return StepFlags(np.zeros(shape, np.bool_), np.zeros(shape, np.int8))

    def overflow_sign(
        self,
        pair: OperandPair,
        sums: Accumulators,  # noqa: ARG002 - others need the sums and codes
        activations: Codes,  # noqa: ARG002
        weights: Codes,  # noqa: ARG002
    ) -> npt.NDArray[np.int8]:
        """+1 or -1 where one step overflows an integer, else 0. Raises UserError where products are fused."""
        raise self._fused(pair)

    @abstractmethod
    def infinite(self, sums: Accumulators, operands: Callable[[], Booleans]) -> Booleans:
        """Which sums count as infinite; `operands` says where an infinite or NaN operand took part."""

    @abstractmethod
    def decode(self, sums: Accumulators) -> Reals:
        """The values of accumulators; exact up to 53 significant bits, else the nearest float64."""

    def reals(self, sums: Accumulators, target: Format) -> Reals:  # noqa: ARG002 - others need the target
        """Real values that `target` rounds as it would round the accumulators themselves."""
        return self.decode(sums)

    @abstractmethod
    def shifted(self, sums: Accumulators, offsets: Reals, exponent: int) -> Accumulators:
        """`(sums + offsets) * 2**exponent` as it keeps them: a bias added, then a shift."""

    # -------------------------------------------------------------------------------------------- bounds

    @abstractmethod
    def worst_sum(self, pair: OperandPair, length: int) -> WorstSum:
        """Of `length` products of any codes."""

    @property
    @abstractmethod
    def undisturbed(self) -> float:
        """Sums of magnitudes below this can neither overflow nor lose a product to a shifter's range."""

    @abstractmethod
    def rounding_error(self, pair: OperandPair, extent: Reals, length: int) -> Reals:
        """The largest error that rounding can cause in sums of `length` products of magnitudes `extent`."""

    @abstractmethod
    def lost_sums(self, pair: OperandPair, activations: Codes, weights: Codes, sums: Accumulators) -> int:
        """How many sums [M, N] of finite operands [M, K] and [K, N] it could not hold."""

    # ------------------------------------------------------------------------------- hardware and words

    @abstractmethod
    def circuit(self, pair: OperandPair) -> PeCircuit:
        """What one PE computes with, in parts."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """The accumulator in a few words, for a table."""

    @property
    @abstractmethod
    def facts(self) -> tuple[tuple[str, str], ...]:
        """The accumulator in sentences, by what they are about."""

    def safe_length_facts(self, longest: int) -> tuple[tuple[str, str], ...]:  # noqa: ARG002
        """How long sums are safe whatever the data, where that is a property worth telling."""
        return ()
