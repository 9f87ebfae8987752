"""Which sums of real operands left their register: counted, and cheap where a bound excludes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Accumulators, Booleans, Codes, Integers, Reals
from simulator.numerics.formats import TABLE_BITS, Format
from simulator.numerics.formats.code_tables import blocks_of, present_codes
from simulator.numerics.product_rules import OperandPair, Products

_PRODUCTS_AT_ONCE = 1 << 20
_SLACK = 1 + 2.0**-20
"""More than sums in float64 can lose."""

_LOG_SLACK = 1 + 2.0**-3
"""More than the tables of log products round up."""


@dataclass(frozen=True, slots=True)
class IntegerRegister:
    """A register of integers: the largest one, log2 of what the integer 1 is worth, and what it cannot hold.

    could_not_hold(increments [sums, K], ended [sums]): which sums of increments that ended so have left it.
    """

    highest: int
    lsb: int
    could_not_hold: Callable[[Integers, Integers], Booleans]


def lost_integer_sums(
    register: IntegerRegister,
    products: Products,
    pair: OperandPair,
    activations: Codes,
    weights: Codes,
    sums: Accumulators,
) -> int:
    """How many sums [M, N] of activations [M, K] and weights [K, N] a register of integers could not hold.

    Args:
        register: where the sums are.
        products: increments of pairs of codes.
        pair: the operands' formats.
        activations: codes [M, K].
        weights: codes [K, N].
        sums: what the MAC made of them.
    """
    highest, lsb = register.highest, register.lsb
    length = activations.shape[1]
    w = magnitudes(pair.weight, weights)
    slack = _LOG_SLACK if products.vanishes else _SLACK
    # What is cut off below the lowest bit is less than a unit a product.
    limit = (highest - length) * 2.0**lsb / slack
    if largest_magnitude(pair.activation, activations) * float(w.sum(axis=0).max()) < limit:
        return 0
    a = magnitudes(pair.activation, activations)
    if float(a.max(axis=0) @ w.max(axis=1)) < limit:
        return 0
    endangered = np.argwhere(a @ w >= limit)
    step = max(1, _PRODUCTS_AT_ONCE // length)
    count = 0
    for start in range(0, len(endangered), step):
        rows, columns = endangered[start : start + step].T
        increments = products.increments(activations[rows], weights[:, columns].T)
        exact = increments if _sums_fit_int64(increments) else increments.astype(object)
        wrong = register.could_not_hold(exact, sums[rows, columns])
        if products.vanishes:
            wrong |= (a[rows] * w[:, columns].T).max(axis=1) > highest * 2.0**lsb
        count += int(np.count_nonzero(wrong))
    return count


def lost_float_sums(
    fmt: Format,
    stays_finite: bool,  # noqa: FBT001 - a property of the accumulator beside its format
    pair: OperandPair,
    activations: Codes,
    weights: Codes,
    sums: Accumulators,
) -> int:
    """Sums, codes of `fmt`, that are infinite or NaN, or at the largest value where they stay finite."""
    ended = fmt.decode(sums)
    past: Booleans = ~np.isfinite(ended)
    if stays_finite:
        past = past | (np.abs(ended) >= fmt.largest)
    if not past.any():
        return 0
    fine = np.outer(_finite(pair.activation, activations, 1), _finite(pair.weight, weights, 0))
    return int(np.count_nonzero(past & fine))


def _finite(fmt: Format, codes: Codes, axis: int) -> Booleans:
    return np.asarray(np.isfinite(fmt.decode(codes)).all(axis=axis))


def magnitudes(fmt: Format, codes: Codes) -> Reals:
    """Magnitudes, with zero for infinity and NaN, which add nothing."""
    values = fmt.decode(codes)
    return np.where(np.isfinite(values), np.abs(values), 0.0)


def largest_magnitude(fmt: Format, codes: Codes) -> float:
    """The largest finite magnitude among codes."""
    if fmt.bits > TABLE_BITS:
        return max((_largest(fmt.reals(block)) for block in blocks_of(codes)), default=0.0)
    present = np.flatnonzero(present_codes(codes, 1 << fmt.bits)).astype(fmt.code_dtype)
    return float(magnitudes(fmt, present).max())


def _largest(reals: npt.NDArray[np.floating[Any]]) -> float:
    """The largest finite magnitude, 0 where there is none."""
    largest = max(float(reals.max()), -float(reals.min()))
    return largest if np.isfinite(largest) else float(np.abs(reals[np.isfinite(reals)]).max(initial=0.0))


def _sums_fit_int64(increments: Integers) -> bool:
    if increments.dtype == object:
        return False
    largest = max(abs(int(increments.min())), abs(int(increments.max())))
    return bool(largest * increments.shape[1] < 1 << 63)
