"""Two's complement accumulators: sums of integers that wrap, saturate, or wrap and remember."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.accumulators import fixed_products
from simulator.numerics.accumulators.accumulator import Accumulator, StepFlags, WorstSum
from simulator.numerics.accumulators.lost_sums import IntegerRegister, lost_integer_sums
from simulator.numerics.array_types import Accumulators, Booleans, Codes, Integers, Reals
from simulator.numerics.formats import Format
from simulator.numerics.formats.codes import FLOAT64_SIGNIFICAND_BITS, integers_as_reals
from simulator.numerics.hardware import PeCircuit
from simulator.numerics.product_rules import OperandPair, Products
from simulator.numerics.twos_complement import width, wrap

OverflowRule = Literal["wrap", "saturate", "sticky"]

_whole = np.frompyfunc(int, 1, 1)

_MOST_UNITS: Final = 2.0**62
"""Offsets from here on are added as Python integers."""


@dataclass(frozen=True, slots=True)
class FixedAccumulator(Accumulator):
    """A two's complement integer of `bits` bits whose lowest bit weighs 2**lsb.

    Past either end it does as `overflow` says: `wrap` (modulo 2**bits), `saturate` (stay at the end, step
    by step), or `sticky` (wrap, and remember the first overflow and its sign for the output converter).
    Infinite and NaN operands add 0 and raise a flag beside it.
    """

    kind: ClassVar[str] = "fixed"

    bits: int
    lsb: int
    overflow: OverflowRule = "wrap"

    @property
    def lowest(self) -> int:
        """The most negative accumulator."""
        return -(1 << (self.bits - 1))

    @property
    def highest(self) -> int:
        """The largest accumulator."""
        return (1 << (self.bits - 1)) - 1

    @property
    def unit(self) -> Fraction:
        """The weight of the lowest bit."""
        return Fraction(2) ** self.lsb

    @property
    def width(self) -> int:
        """`bits`."""
        return self.bits

    @property
    def lowest_exponent(self) -> int:
        """`lsb`."""
        return self.lsb

    @property
    def dtype(self) -> np.dtype[Any]:
        """int64; object above 64 bits."""
        return np.dtype(np.int64 if self.bits <= 64 else object)

    @property
    def limit(self) -> Fraction:
        """The largest accumulator's value."""
        return self.highest * self.unit

    @property
    def on_overflow(self) -> str:
        """`overflow`."""
        return self.overflow

    @property
    def depends_on_order(self) -> bool:
        """Not where it only wraps."""
        return _ENDS[self.overflow].depends_on_order

    @property
    def is_modular(self) -> bool:
        """Whether its bits are those of the sum modulo 2**bits."""
        return _ENDS[self.overflow].is_modular

    @property
    def remembers_overflow(self) -> bool:
        """Where it is sticky."""
        return _ENDS[self.overflow].remembers

    def checked(self, values: npt.NDArray[Any]) -> Accumulators:
        """Integers from `lowest` to `highest`. Raises UserError for others."""
        if values.size and (int(values.min()) < self.lowest or int(values.max()) > self.highest):
            worst = int(values.min()) if int(values.min()) < self.lowest else int(values.max())
            raise UserError(
                f"initial accumulators outside {self.bits} bits",
                value=worst,
                allowed=f"{self.lowest} to {self.highest}",
            )
        return values.astype(self.dtype)

    # ---------------------------------------------------------------------------- steps and their results

    def check(self, pair: OperandPair, source: str) -> None:
        """Refuse a fused product, and a register that cannot hold one product. Raises UserError."""
        fixed_products.check_register(self.bits, self.lsb, pair, source)
        if not self.remembers_overflow:
            fixed_products.check_one_product(self.bits, self.lsb, pair, source)

    def products(self, pair: OperandPair) -> Products:
        """Exact or log products in units of the lowest bit."""
        return fixed_products.products_of(pair, self.bits, self.lsb)

    def product_bits(self, pair: OperandPair) -> int:
        """Fewest bits in two's complement of every increment, at most the accumulator's."""
        return min(width(*self.products(pair).limits), self.bits)

    def add(self, sums: Integers, increments: Integers) -> Integers:
        """`sums + increments` as the register keeps it; the dtype is object when either one's is.

        Increments of dtype object may also be floats that are whole numbers.
        """
        if increments.dtype == object:
            increments = np.asarray(_whole(increments), object)
        with np.errstate(over="ignore"):
            total = np.asarray(sums + increments)
        return _ENDS[self.overflow].keep(self, sums, increments, total)

    def step(self, pair: OperandPair, sums: Accumulators, activations: Codes, weights: Codes) -> Accumulators:
        """`add` of the product's increment."""
        increments = self.products(pair).increments(activations, weights)
        return np.asarray(self.add(np.asarray(sums, self.dtype), np.asarray(increments)), self.dtype)

    def product(self, pair: OperandPair, activations: Codes, weights: Codes) -> Integers:
        """The increment, cut to the register's bits as the hardware keeps them."""
        return wrap(np.asarray(self.products(pair).increments(activations, weights)), self.bits)

    def sign_of_overflow(self, sums: Integers, increments: Integers) -> npt.NDArray[np.int8]:
        """Where one step overflows: +1 or -1, the direction in which sum or product left the register."""
        sums, increments = np.broadcast_arrays(sums, increments)
        low, high = self.lowest, self.highest
        signs = np.zeros(sums.shape, np.int8)
        wide = (increments < low) | (increments > high)
        kept = wrap(np.asarray(increments), self.bits)
        total = sums.astype(object) + kept.astype(object) if self.bits >= 64 else sums + kept
        signs[np.asarray(total > high, bool)] = 1
        signs[np.asarray(total < low, bool)] = -1
        signs[np.asarray(wide, bool)] = np.where(increments[np.asarray(wide, bool)] < 0, -1, 1)
        return signs

    def overflow_sign(
        self, pair: OperandPair, sums: Accumulators, activations: Codes, weights: Codes
    ) -> npt.NDArray[np.int8]:
        """Both the product alone and the sum can overflow."""
        increments = np.asarray(self.products(pair).increments(activations, weights))
        return self.sign_of_overflow(np.asarray(sums, self.dtype), increments)

    def flags(self, pair: OperandPair, sums: Accumulators, activations: Codes, weights: Codes) -> StepFlags:
        """Infinite operands, and the overflow where it is remembered."""
        infinite = pair.has_special(activations, weights)
        if self.remembers_overflow:
            return StepFlags(infinite, self.overflow_sign(pair, sums, activations, weights))
        return StepFlags(infinite, np.zeros(infinite.shape, np.int8))

    def infinite(self, sums: Accumulators, operands: Callable[[], Booleans]) -> Booleans:  # noqa: ARG002
        """Those with an infinite or NaN operand."""
        return operands()

    def decode(self, sums: Accumulators) -> Reals:
        """Integers times the weight of the lowest bit."""
        return np.ldexp(np.asarray(sums).astype(np.float64), self.lsb)

    def reals(self, sums: Accumulators, target: Format) -> Reals:
        """As `decode`; what float64 drops still decides how `target` rounds."""
        nearest = target.significand_bits == FLOAT64_SIGNIFICAND_BITS
        integers = np.asarray(sums, self.dtype)
        return np.ldexp(integers_as_reals(integers, nearest=nearest), self.lsb)

    def shifted(self, sums: Accumulators, offsets: Reals, exponent: int) -> Accumulators:
        """Offsets rounded to units of the lowest bit; bits shifted out below are lost.

        NaN counts as 0, infinity as the largest float64.
        """
        with np.errstate(over="ignore"):
            units = np.nan_to_num(np.rint(np.ldexp(offsets, -self.lsb)))
        if sums.dtype != object and np.abs(units).max(initial=0.0) >= _MOST_UNITS:
            return np.asarray(self.shifted(sums.astype(object), offsets, exponent), sums.dtype)
        units = units.astype(sums.dtype)
        moved = self.add(sums, units)
        return self.add(moved << exponent, np.zeros_like(units)) if exponent > 0 else moved >> -exponent

    # -------------------------------------------------------------------------------------------- bounds

    def worst_sum(self, pair: OperandPair, length: int) -> WorstSum:
        """From the ends of the product rule."""
        low, high = self.products(pair).limits
        lengths = ([self.lowest // low] if low < 0 else []) + ([self.highest // high] if high > 0 else [])
        return WorstSum(max(-low, high) * length * self.unit, min(lengths, default=length))

    @property
    def undisturbed(self) -> float:
        """Half of the register."""
        return float(2.0 ** (self.bits - 2 + self.lsb))

    def rounding_error(self, pair: OperandPair, extent: Reals, length: int) -> Reals:
        """What the product rule rounds, and a unit of the lowest bit a product."""
        relative = self.products(pair).relative_error
        return np.asarray(extent * relative * 1.05 + length * 2.0**self.lsb)

    def lost_sums(self, pair: OperandPair, activations: Codes, weights: Codes, sums: Accumulators) -> int:
        """By the rule of its ends; see `simulator.numerics.accumulators.lost_sums`."""
        if not self.products(pair).vanishes:
            longest = self.worst_sum(pair, activations.shape[1]).longest_safe_reduction
            if activations.shape[1] <= longest:
                return 0
        register = IntegerRegister(self.highest, self.lsb, partial(_ENDS[self.overflow].left, self))
        return lost_integer_sums(register, self.products(pair), pair, activations, weights, sums)

    def outside(self, sums: Integers) -> Booleans:
        """Integers that the register cannot hold."""
        return np.asarray((sums > self.highest) | (sums < self.lowest), bool)

    # ------------------------------------------------------------------------------- hardware and words

    def circuit(self, pair: OperandPair) -> PeCircuit:
        """The product rule's parts; a converter only where both operands have exponents."""
        rule = self.products(pair)
        has_exponents = pair.activation.has_exponent and pair.weight.has_exponent
        return PeCircuit(
            combinational=rule.combinational(self.bits),
            accumulator_bits=self.bits,
            output_bits=rule.output_bits,
            status_bits=rule.status_bits,
            converter=pair.activation.converter(self.bits) if has_exponents else (),
        )

    @property
    def summary(self) -> str:
        """Width, lowest bit and rule."""
        return f"{self.bits} bits, 2^{self.lsb}, {self.overflow}"

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Register and ends."""
        return (
            ("accumulator", f"{self.bits}-bit two's complement, lowest bit 2^{self.lsb}"),
            ("overflow", _ENDS[self.overflow].text),
        )

    def safe_length_facts(self, longest: int) -> tuple[tuple[str, str], ...]:
        """Sums up to this length never overflow."""
        return (("safe length", f"sums of {longest} products or fewer never overflow"),)

    def __str__(self) -> str:
        return f"{self.bits}-bit accumulator, lowest bit 2^{self.lsb}, {self.overflow}"


Kept = Callable[[FixedAccumulator, Integers, Integers, Integers], Integers]
Left = Callable[[FixedAccumulator, Integers, Integers], Booleans]


@dataclass(frozen=True, slots=True)
class _Ends:
    """A rule for what happens past either end.

    keep(accumulator, sums, increments, total): what the register holds, where `total` is their sum, int64 of
    which may have wrapped. left(accumulator, increments [sums, K], ended): which sums could not be held.
    """

    keep: Kept
    left: Left
    text: str
    depends_on_order: bool = True
    is_modular: bool = True
    remembers: bool = False


def _wrapped(fixed: FixedAccumulator, _sums: Integers, _increments: Integers, total: Integers) -> Integers:
    return wrap(total, fixed.bits)


def _saturated(fixed: FixedAccumulator, sums: Integers, increments: Integers, total: Integers) -> Integers:
    if total.dtype == object:
        return np.asarray(np.clip(total, fixed.lowest, fixed.highest), object)
    # Two int64 of equal sign whose sum changes sign have left 64 bits.
    left = ((sums ^ total) & (increments ^ total)) < 0
    clipped = np.clip(total, fixed.lowest, fixed.highest)
    ends = np.where(np.asarray(increments) < 0, fixed.lowest, fixed.highest)
    return np.where(left, ends, clipped)


def _left_in_the_end(fixed: FixedAccumulator, increments: Integers, _ended: Integers) -> Booleans:
    return fixed.outside(increments.sum(axis=1))


def _left_on_the_way(fixed: FixedAccumulator, increments: Integers, _ended: Integers) -> Booleans:
    partial = np.cumsum(increments, axis=1)
    return np.asarray((fixed.outside(partial) | fixed.outside(increments)).any(axis=1))


def _ended_elsewhere(_fixed: FixedAccumulator, increments: Integers, ended: Integers) -> Booleans:
    return np.asarray(increments.sum(axis=1) != ended, bool)


_ENDS: Final[dict[OverflowRule, _Ends]] = {
    "wrap": _Ends(
        keep=_wrapped,
        left=_left_in_the_end,
        text="wraps silently, modulo 2^bits",
        depends_on_order=False,
    ),
    "saturate": _Ends(
        keep=_saturated, left=_ended_elsewhere, text="saturates at every step", is_modular=False
    ),
    "sticky": _Ends(
        keep=_wrapped,
        left=_left_on_the_way,
        text="wraps, and the first overflow and its sign are remembered for the output",
        remembers=True,
    ),
}
