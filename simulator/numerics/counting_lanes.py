"""The compiled kernels that count one MAC's toggles: what they take, and how accumulators look there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from simulator.numerics.accumulators import Accumulator, FixedAccumulator, FloatAccumulator
from simulator.numerics.array_types import Array, Codes
from simulator.numerics.engines.float_steps import (
    is_native,
    is_rounded_once,
    native_values,
    operand_values,
)
from simulator.numerics.engines.scaled import ScaledSteps
from simulator.numerics.engines.table import log_sum_operands, pair_operands
from simulator.numerics.mac import Mac
from simulator.numerics.product_rules import ExactProducts, LogProducts, Products
from simulator.numerics.twos_complement import wrap

_INTEGER_LANE_BITS = 51
"""Bits of two's complement in a lane of `integer_activity_kernels`."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """One kind of kernel with its operands, for activations [M, K] and weights [K, N].

    a, w: operands as the kernels take them.
    zero: a lane of the sum 0.
    into, out: accumulators to lanes and back. still(a, w, sums, counts) and moving(a, w, sums, passed_on,
        counts) are kernels as described in `simulator.numerics.engines.activity_kernels`; sums are lanes [M,
        N] and change in place. Where lanes are NaN in the end, the counts are wrong.
    """

    a: Array
    w: Array
    zero: np.generic
    into: Callable[[Array], Array]
    out: Callable[[Array], Array]
    still: Callable[[Array, Array, Array, Array], None]
    moving: Callable[[Array, Array, Array, int, Array], None]


def lanes_of(mac: Mac, a: Codes, w: Codes) -> Lanes | None:
    """The fastest kernels that count these operands exactly; None where only plain numpy does."""
    return _lanes(mac.accumulator, mac, a, w)


@singledispatch
def _lanes(_accumulator: Accumulator, _mac: Mac, _a: Codes, _w: Codes) -> Lanes | None:
    return None


@_lanes.register
def _(fixed: FixedAccumulator, mac: Mac, a: Codes, w: Codes) -> Lanes | None:
    if not fixed.is_modular or fixed.bits > 64 or a.size * w.size == 0:
        return None
    return _integer_sums(mac.products, mac, a, w)


@_lanes.register
def _(accumulator: FloatAccumulator, mac: Mac, a: Codes, w: Codes) -> Lanes | None:
    if is_native(accumulator, mac.activation, mac.weight):
        return _native_lanes(mac, a, w)
    steps = ScaledSteps.of(accumulator, mac.pair)
    if steps is not None:
        return Lanes(
            a=steps.activations(a),
            w=steps.weights(w),
            zero=steps.dtype(0),
            into=steps.sums,
            out=steps.codes,
            still=steps.still,
            moving=steps.moving,
        )
    fmt = accumulator.number_format
    if is_rounded_once(fmt, mac.activation, mac.weight) and fmt.overflows_to_infinity:
        return _rounding_lanes(accumulator, mac, a, w)
    return None


@singledispatch
def _integer_sums(_rule: Products, mac: Mac, a: Codes, w: Codes) -> Lanes | None:
    return _table_lanes(mac, *pair_operands(mac, a), w) if mac.has_product_table else None


@_integer_sums.register
def _(rule: LogProducts, mac: Mac, a: Codes, w: Codes) -> Lanes | None:
    if mac.has_product_table:
        return _table_lanes(mac, *pair_operands(mac, a), w)
    return _table_lanes(mac, *log_sum_operands(rule, a, w))


@_integer_sums.register
def _(rule: ExactProducts, mac: Mac, a: Codes, w: Codes) -> Lanes | None:
    largest = max(map(abs, rule.limits))
    is_whole = rule.shift >= 0
    if is_whole and mac.accumulator_bits <= 32 and largest < 1 << 31:
        return _exact_lanes(mac, rule, a, w, np.int32)
    integers = _integer_lanes(mac, rule, a, w) if is_whole else None
    if integers is not None:
        return integers
    if mac.has_product_table:
        return _table_lanes(mac, *pair_operands(mac, a), w)
    return _exact_lanes(mac, rule, a, w, np.int64) if is_whole and largest < 1 << 62 else None


def _exact_lanes(
    mac: Mac, rule: ExactProducts, a: Codes, w: Codes, integer: type[np.int32 | np.int64]
) -> Lanes:
    """Integers modulo the lane's width."""
    from simulator.numerics.engines import activity_kernels as kernels

    narrow = integer is np.int32
    still = kernels.still_exact_32 if narrow else kernels.still_exact_64
    moving = kernels.moving_exact_32 if narrow else kernels.moving_exact_64
    masks = _masks(mac)
    return Lanes(
        a=(rule.activation_integers * 2.0**rule.shift).astype(integer)[a],
        w=rule.weight_integers.astype(integer)[w],
        zero=integer(0),
        into=lambda sums: sums.astype(integer),
        out=lambda lanes: lanes.astype(np.int64),
        still=lambda a, w, sums, counts: still(a, w, sums, *masks, counts),
        moving=lambda a, w, sums, passed_on, counts: moving(a, w, sums, passed_on, *masks, counts),
    )


def _integer_lanes(mac: Mac, rule: ExactProducts, a: Codes, w: Codes) -> Lanes | None:
    """Integers in float64, if no sum of these products leaves the kernels' 51 bits."""
    from simulator.numerics.engines import integer_activity_kernels as kernels

    if mac.accumulator_bits > _INTEGER_LANE_BITS:
        return None
    activations, weights = rule.activation_integers[a], rule.weight_integers[w]
    largest = [int(np.abs(integers).max()) for integers in (activations, weights)]
    bound = max(a.shape[1] * largest[0] * largest[1], *largest, 1)  # zeros take a scale too
    if bound << rule.shift >= 1 << (_INTEGER_LANE_BITS - 1):
        return None
    masks, bits = _masks(mac), mac.accumulator_bits
    return Lanes(
        a=activations * 2.0**rule.shift,
        w=weights,
        zero=np.float64(kernels.ZERO),
        into=lambda sums: sums + kernels.ZERO,
        out=lambda lanes: wrap((lanes - kernels.ZERO).astype(np.int64), bits),
        still=lambda a, w, sums, counts: kernels.still_integers(a, w, sums, *masks, counts),
        moving=lambda a, w, sums, passed_on, counts: kernels.moving_integers(
            a, w, sums, passed_on, *masks, counts
        ),
    )


def _table_lanes(mac: Mac, table: Array, offsets: Array, w: Array) -> Lanes:
    """Products looked up, sums modulo 2**64."""
    from simulator.numerics.engines import activity_kernels as kernels

    masks, bits = _masks(mac), mac.accumulator_bits
    return Lanes(
        a=offsets,
        w=w,
        zero=np.int64(0),
        into=lambda sums: sums.astype(np.int64),
        out=lambda lanes: wrap(lanes, bits),
        still=lambda a, w, sums, counts: kernels.still_table(table, a, w, sums, *masks, counts),
        moving=lambda a, w, sums, passed_on, counts: kernels.moving_table(
            table, a, w, sums, passed_on, *masks, counts
        ),
    )


def _native_lanes(mac: Mac, a: Codes, w: Codes) -> Lanes:
    """The processor's float32."""
    from simulator.numerics.engines import activity_kernels as kernels

    return Lanes(
        a=native_values(mac.activation, a),
        w=native_values(mac.weight, w),
        zero=np.float32(0),
        into=lambda sums: sums.astype(np.uint32).view(np.float32),
        out=lambda lanes: lanes.view(np.uint32),
        still=kernels.still_native,
        moving=kernels.moving_native,
    )


def _rounding_lanes(accumulator: FloatAccumulator, mac: Mac, a: Codes, w: Codes) -> Lanes:
    """float64 that every step rounds to the format."""
    from simulator.numerics.engines import activity_kernels as kernels

    fmt, rounding = accumulator.number_format, accumulator.rounding
    least, smallest = rounding.kernel_limits
    anchor = ((53 - rounding.precision) << 52) | 1 << 51
    steps = (anchor, least, smallest, rounding.largest, rounding.overflow_value)
    layout = (rounding.precision - 1, 1 - rounding.least_exponent, fmt.smallest_normal, fmt.bits - 1)
    return Lanes(
        a=operand_values(mac.activation, a, rounding),
        w=operand_values(mac.weight, w, rounding),
        zero=np.float64(0),
        into=lambda sums: rounding.flush(fmt.decode(sums), fmt.smallest_normal),
        out=fmt.encode,
        still=lambda a, w, sums, counts: kernels.still_rounding(a, w, sums, steps, layout, counts),
        moving=lambda a, w, sums, passed_on, counts: kernels.moving_rounding(
            a, w, sums, passed_on, steps, layout, counts
        ),
    )


def _masks(mac: Mac) -> tuple[int, int]:
    """The bits of an accumulator and of a product in a lane."""
    return _mask(mac.accumulator_bits), _mask(mac.product_bits)


def _mask(bits: int) -> int:
    """The lowest bits as an int64."""
    return (1 << bits) - 1 if bits < 64 else -1
