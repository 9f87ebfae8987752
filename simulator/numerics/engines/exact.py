"""Exact products as sums of real integers: when float32 or float64 holds them, for any layout of operands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.accumulators import Accumulator, FixedAccumulator
from simulator.numerics.array_types import Codes
from simulator.numerics.engines.blas import DOUBLE_BITS, SINGLE_BITS, Factors, Operand, Wide64
from simulator.numerics.engines.log_sums import LogOperands, log_reason
from simulator.numerics.engines.shared_operand import SharedOperand
from simulator.numerics.mac import Mac
from simulator.numerics.product_rules import ExactProducts, Products

Reals = npt.NDArray[np.floating[Any]]
Combine = Callable[[Operand, Operand, type], Reals]
"""Sums of products of activations and weights, which it takes as integers of a float type."""


@dataclass(frozen=True, eq=False)
class ExactSums:
    """Sums as real integers in units of 2**shift accumulator bits.

    `fits` says that a bound excludes that any leaves the accumulator; where it does not, the accumulator
    wraps.
    """

    mac: Mac
    total: Reals
    shift: int
    fits: bool
    reason: str
    engine: str = "blas"

    @property
    def accumulators(self) -> npt.NDArray[Any]:
        """As the register holds them: int64, or Python integers above 64 bits."""
        integers, bits = self.total.astype(np.int64), self.mac.accumulator_bits
        if not self.outside and bits <= 64:
            return integers << np.int64(self.shift)
        return Wide64([(integers, self.shift)]).modulo(bits)

    @cached_property
    def outside(self) -> int:
        """How many of the sums the accumulator cannot hold.

        The ends are compared as floats of the sums' type. This is exact: an end that the type does not hold
        is beyond 2**24 (float32) or 2**53 (float64), which no sum is, and rounding does not bring it below.
        """
        if self.fits:
            return 0
        end = 1 << (self.mac.accumulator_bits - 1)
        highest, lowest = (end - 1) >> self.shift, -(end >> self.shift)
        if highest > 1 << DOUBLE_BITS:
            return 0
        beyond = np.count_nonzero(self.total > self.total.dtype.type(highest))
        return int(beyond + np.count_nonzero(self.total < self.total.dtype.type(lowest)))

    @property
    def unit(self) -> float:
        """The value of 1 in `total`."""
        return float(np.ldexp(1.0, self.shift + self.mac.accumulator_lsb))


def log_sums(mac: Mac, operands: LogOperands, total: npt.NDArray[np.float64]) -> ExactSums:
    """Sums of log products, which count units of the accumulator's lowest bit."""
    fits = operands.bound < 1 << (mac.accumulator_bits - 1)
    return ExactSums(mac, total, 0, fits, log_reason(operands.steps, operands.bound), "log")


def exact_sums(
    mac: Mac, x: Codes, w: Codes | SharedOperand, length: int, combine: Combine
) -> ExactSums | None:
    """Sums of exact products that `combine` forms of integers; None where no bound proves them exact.

    The proof is that of the BLAS engine: the sum of magnitudes stays within 2**53 (2**24 in float32), so that
    every partial sum in any order is an integer that the type holds. Codes must be finite.

    Args:
        mac: the arithmetic.
        x: activations in any layout.
        w: weights in any layout.
        length: products of a sum.
        combine: sums of products of the two as integers in the float type that it is given.
    """
    return _sums(mac.accumulator, _Layout(mac, x, w, length, combine))


@dataclass(frozen=True, slots=True)
class _Layout:
    """What `exact_sums` is asked."""

    mac: Mac
    x: Codes
    w: Codes | SharedOperand
    length: int
    combine: Combine


@singledispatch
def _sums(_accumulator: Accumulator, _asked: _Layout) -> ExactSums | None:
    return None


@_sums.register
def _(fixed: FixedAccumulator, asked: _Layout) -> ExactSums | None:
    return _of_products(fixed.products(asked.mac.pair), fixed, asked)


@singledispatch
def _of_products(_rule: Products, _fixed: FixedAccumulator, _asked: _Layout) -> ExactSums | None:
    return None


@_of_products.register
def _(rule: ExactProducts, fixed: FixedAccumulator, asked: _Layout) -> ExactSums | None:
    any_order = not fixed.depends_on_order
    factors = Factors.of(rule, asked.x, asked.w, asked.length, any_order=any_order)
    if factors is None:
        return None
    fits = factors.bound << factors.shift <= fixed.highest
    if factors.bound > 1 << DOUBLE_BITS or not (any_order or fits):
        return None
    single = factors.fit_single
    power, name = (SINGLE_BITS, "float32") if single else (DOUBLE_BITS, "float64")
    reason = f"sum of |a b| <= {factors.bound} <= 2^{power}: exact in {name}"
    total = asked.combine(factors.a, factors.w, np.float32 if single else np.float64)
    return ExactSums(asked.mac, total, factors.shift, fits, reason)
