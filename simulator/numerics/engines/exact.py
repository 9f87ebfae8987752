"""Exact products as sums of real integers: when float32 or float64 holds them, for any layout of operands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.accumulators import Accumulator, FixedAccumulator
from simulator.numerics.arrays import Codes
from simulator.numerics.engines.blas import DOUBLE_BITS, SINGLE_BITS, Operand, Wide64
from simulator.numerics.mac import Mac
from simulator.numerics.products import ExactProducts, Products
from simulator.numerics.twos_complement import wrap

Reals = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class ExactSums:
    """Sums as real integers in units of 2**shift accumulator bits.

    `fits` says that none can leave the accumulator, so that accumulators are these sums.
    """

    mac: Mac
    total: Reals
    shift: int
    fits: bool
    reason: str

    @property
    def accumulators(self) -> npt.NDArray[Any]:
        """As the register holds them: int64, or Python integers above 64 bits."""
        terms, bits = Wide64([(self.total.astype(np.int64), self.shift)]), self.mac.accumulator_bits
        return wrap(terms.modulo_64(), bits) if bits <= 64 else terms.modulo_128().to_integers(bits)

    @property
    def unit(self) -> float:
        """The value of 1 in `total`."""
        return float(np.ldexp(1.0, self.shift + self.mac.accumulator_lsb))


def exact_sums(
    mac: Mac, x: Codes, w: Codes, length: int, combine: Callable[[Reals, Reals], Reals]
) -> ExactSums | None:
    """Sums of exact products that `combine` forms of integers; None where no bound proves them exact.

    The proof is that of the BLAS engine: the sum of magnitudes stays within 2**53 (2**24 in float32), so that
    every partial sum in any order is an integer that the type holds. Codes must be finite.

    Args:
        mac: the arithmetic.
        x: activations in any layout.
        w: weights in any layout.
        length: products of a sum.
        combine: sums of products of the two as integers in float32 or float64, in the layouts of their codes.
    """
    return _sums(mac.accumulator, _Layout(mac, x, w, length, combine))


@dataclass(frozen=True, slots=True)
class _Layout:
    """What `exact_sums` is asked."""

    mac: Mac
    x: Codes
    w: Codes
    length: int
    combine: Callable[[Reals, Reals], Reals]


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
    any_order, length = not fixed.depends_on_order, asked.length
    a, b = Operand(asked.x, rule.activation_integers), Operand(asked.w, rule.weight_integers)
    bound, shift = length * a.largest * b.largest, rule.shift
    if shift < 0 or not any_order or bound > 1 << DOUBLE_BITS:
        a, b = a.narrowed(), b.narrowed()
        bound, shift = length * a.largest * b.largest, rule.shift + a.unit + b.unit
        if shift < 0 and bound:
            return None
        shift = max(shift, 0)
    fits = bound << shift <= fixed.highest
    if bound > 1 << DOUBLE_BITS or not (any_order or fits):
        return None
    single = max(bound, a.largest, b.largest) <= 1 << SINGLE_BITS
    dtype: type[np.float32 | np.float64] = np.float32 if single else np.float64
    power, name = (SINGLE_BITS, "float32") if single else (DOUBLE_BITS, "float64")
    reason = f"sum of |a b| <= {bound} <= 2^{power}: exact in {name}"
    return ExactSums(asked.mac, asked.combine(a.matrix(dtype), b.matrix(dtype)), shift, fits, reason)
