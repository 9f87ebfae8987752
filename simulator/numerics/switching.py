"""Counting the toggles of one MAC's sums and products over any part of a matrix product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.accumulators import wrap
from simulator.numerics.engines import sequential
from simulator.numerics.engines.scaled import ScaledSteps
from simulator.numerics.engines.table import log_sum_operands, pair_operands
from simulator.numerics.mac_spec import FloatAccumulator
from simulator.numerics.products import ExactProducts, LogProducts
from simulator.numerics.registers import hamming, path_toggles

if TYPE_CHECKING:
    from simulator.numerics.mac import Mac

_INTEGER_LANE_BITS = 51
"""Bits of two's complement in a lane of `integer_activity_kernels`."""

Sums = npt.NDArray[Any]
Codes = npt.NDArray[np.unsignedinteger[Any]]


def product_bits(mac: Mac) -> int:
    """Fewest bits in two's complement of every increment, at most the accumulator's; 0 for fused products."""
    if not mac.is_fixed:
        return 0
    low, high = mac.products.limits
    return min(max((-low - 1).bit_length() if low < 0 else 0, high.bit_length()) + 1, mac.accumulator_bits)


@dataclass(frozen=True, slots=True)
class Counted:
    """Toggles of accumulators and of products, and the final sums where they stay in their PEs."""

    accumulator: int
    product: int
    sums: Sums | None = None


class Counter:
    """Counts one MAC's toggles for activations [M, K] and weights [K, N]."""

    def __init__(self, mac: Mac, a: Codes, w: Codes) -> None:
        """Bind the codes; what a kernel needs is prepared once for the whole product."""
        self.mac, self.a, self.w = mac, a, w
        self._masks = (_mask(mac.accumulator_bits), _mask(product_bits(mac)))
        self._kind, self._operands = _prepare(mac, a, w)
        self._scaled = ScaledSteps.of(mac) if self._kind == "scaled" else None

    def still(self, rows: slice, columns: slice) -> Counted:
        """Output stationary: sums of these outputs over all k."""
        if self._kind == "numpy":
            return _still_numpy(self.mac, self.a[rows], self.w[:, columns], product_bits(self.mac))
        from simulator.numerics.engines import activity_kernels as kernels
        from simulator.numerics.engines import integer_activity_kernels as integer_kernels

        a, w = self._slice(rows, slice(None), columns)
        shape, counts = (a.shape[0], w.shape[1]), np.zeros(2, np.int64)
        if self._scaled is not None:
            values = np.zeros(shape, self._scaled.dtype)
            self._scaled.still(a, w, values, counts)
            if np.isnan(values).any():  # a NaN's code is the format's, not the processor's
                return _still_numpy(self.mac, self.a[rows], self.w[:, columns], 0)
            return _counted(counts, self._scaled.codes(values))
        if self._kind == "native":
            singles = np.zeros(shape, np.float32)
            kernels.still_native(a, w, singles, counts)
            return _counted(counts, singles.view(np.uint32))
        if self._kind == "rounding":
            doubles = np.zeros(shape)
            kernels.still_rounding(a, w, doubles, *_float_parameters(self.mac), counts)
            return _counted(counts, self.mac.accumulator_format.encode(doubles))
        if self._kind == "table":
            sums = np.zeros(shape, np.int64)
            kernels.still_table(self._operands["table"], a, w, sums, *self._masks, counts)
            return _counted(counts, sums)
        if self._kind == "integers":
            doubles = np.zeros(shape)
            integer_kernels.still_integers(a, w, doubles, *self._masks, counts)
            return _counted(counts, wrap(doubles.astype(np.int64), self.mac.accumulator_bits))
        if self._kind == "exact32":
            narrow = np.zeros(shape, np.int32)
            kernels.still_exact_32(a, w, narrow, *self._masks, counts)
            return _counted(counts, narrow.astype(np.int64))
        sums = np.zeros(shape, np.int64)
        kernels.still_exact_64(a, w, sums, *self._masks, counts)
        return _counted(counts, sums)

    def moving(self, stream: slice, reduction: slice, columns: slice, passed_on: int) -> Counted:
        """Weight stationary: a fold's partial sums while a stream passes, `passed_on` idle rows below."""
        if self._kind == "numpy":
            a, w = self.a[stream, reduction], self.w[reduction, columns]
            return _moving_numpy(self.mac, a, w, passed_on, product_bits(self.mac))
        from simulator.numerics.engines import activity_kernels as kernels
        from simulator.numerics.engines import integer_activity_kernels as integer_kernels

        a, w = self._slice(stream, reduction, columns)
        counts = np.zeros(2, np.int64)
        if self._scaled is not None:
            last = np.zeros((a.shape[0], w.shape[1]), self._scaled.dtype)
            self._scaled.moving(a, w, last, passed_on, counts)
            if np.isnan(last).any():
                return _moving_numpy(
                    self.mac, self.a[stream, reduction], self.w[reduction, columns], passed_on, 0
                )
        elif self._kind == "native":
            kernels.moving_native(a, w, passed_on, counts)
        elif self._kind == "rounding":
            kernels.moving_rounding(a, w, passed_on, *_float_parameters(self.mac), counts)
        elif self._kind == "table":
            kernels.moving_table(self._operands["table"], a, w, passed_on, *self._masks, counts)
        elif self._kind == "integers":
            integer_kernels.moving_integers(a, w, passed_on, *self._masks, counts)
        elif self._kind == "exact32":
            kernels.moving_exact_32(a, w, passed_on, *self._masks, counts)
        else:
            kernels.moving_exact_64(a, w, passed_on, *self._masks, counts)
        return _counted(counts, None)

    def _slice(self, rows: slice, reduction: slice, columns: slice) -> tuple[Any, Any]:
        a, w = self._operands["a"][rows, reduction], self._operands["w"][reduction, columns]
        return np.ascontiguousarray(a), np.ascontiguousarray(w)


def _counted(counts: npt.NDArray[np.int64], sums: Sums | None) -> Counted:
    return Counted(int(counts[0]), int(counts[1]), sums)


def _mask(bits: int) -> int:
    """The lowest bits as an int64."""
    return (1 << bits) - 1 if bits < 64 else -1


def _prepare(mac: Mac, a: Codes, w: Codes) -> tuple[str, dict[str, Any]]:
    """The kind of kernel and its operands; `numpy` where none of them fits."""
    fixed = mac.accumulator
    if isinstance(fixed, FloatAccumulator):
        return _prepare_float(mac, fixed, a, w)
    rule = mac.products
    if fixed.overflow == "saturate" or fixed.bits > 64 or a.size * w.size == 0:
        return "numpy", {}
    largest = max(map(abs, rule.limits))
    if isinstance(rule, ExactProducts) and rule.shift >= 0 and fixed.bits <= 32 and largest < 1 << 31:
        return "exact32", _integer_operands(rule, a, w, np.int32)
    integers = _small_integers(mac, rule, a, w) if isinstance(rule, ExactProducts) else None
    if integers is not None:
        return "integers", integers
    if mac.has_product_table:
        table, offsets = pair_operands(mac, a)
        return "table", {"table": table, "a": offsets, "w": w}
    if isinstance(rule, LogProducts):
        table, offsets, w_index = log_sum_operands(rule, a, w)
        return "table", {"table": table, "a": offsets, "w": w_index}
    if isinstance(rule, ExactProducts) and rule.shift >= 0 and largest < 1 << 62:
        return "exact64", _integer_operands(rule, a, w, np.int64)
    return "numpy", {}


def _small_integers(mac: Mac, rule: ExactProducts, a: Codes, w: Codes) -> dict[str, Any] | None:
    """Operands as float64 integers, if no sum of these products leaves the kernels' 51 bits."""
    if rule.shift < 0 or mac.accumulator_bits > _INTEGER_LANE_BITS:
        return None
    activations = (rule.activation_integers * 2.0**rule.shift)[a]
    weights = rule.weight_integers[w]
    bound = a.shape[1] * int(np.abs(activations).max()) * int(np.abs(weights).max())
    return {"a": activations, "w": weights} if bound < 1 << (_INTEGER_LANE_BITS - 1) else None


def _integer_operands(
    rule: ExactProducts, a: Codes, w: Codes, integer: type[np.int32 | np.int64]
) -> dict[str, Any]:
    """Integers whose products are the increments."""
    return {
        "a": (rule.activation_integers * 2.0**rule.shift).astype(integer)[a],
        "w": rule.weight_integers.astype(integer)[w],
    }


def _prepare_float(mac: Mac, accumulator: FloatAccumulator, a: Codes, w: Codes) -> tuple[str, dict[str, Any]]:
    fmt = mac.accumulator_format
    if sequential.is_native(fmt, accumulator, mac.activation, mac.weight):
        return "native", {
            "a": mac.activation.decode(a).astype(np.float32),
            "w": mac.weight.decode(w).astype(np.float32),
        }
    steps = ScaledSteps.of(mac)
    if steps is not None:
        return "scaled", {"a": steps.activations(a), "w": steps.weights(w)}
    if sequential.is_rounded_once(fmt, mac.activation, mac.weight) and fmt.has_infinity:
        return "rounding", {
            "a": sequential.operand_values(mac.activation, a, mac.rounding),
            "w": sequential.operand_values(mac.weight, w, mac.rounding),
        }
    return "numpy", {}


def _float_parameters(mac: Mac) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    rounding, fmt = mac.rounding, mac.accumulator_format
    least, smallest = rounding.kernel_limits
    anchor = ((53 - rounding.precision) << 52) | 1 << 51
    end = rounding.overflow_value
    bias = 1 - rounding.least_exponent
    layout = (rounding.precision - 1, bias, fmt.smallest_normal, fmt.bits - 1)
    return (anchor, least, smallest, rounding.largest, end), layout


def _still_numpy(mac: Mac, a: Codes, w: Codes, wire_bits: int) -> Counted:
    sums = np.zeros((a.shape[0], w.shape[1]), mac.accumulator_dtype)
    last = np.zeros_like(sums)
    toggles = product_toggles = 0
    for k in range(a.shape[1]):
        after = mac.accumulate(sums, a[:, k, None], w[k])
        toggles += hamming(after, sums, mac.accumulator_bits)
        if wire_bits:
            product = mac.product(a[:, k, None], w[k])
            product_toggles += hamming(product, last, wire_bits)
            last = product
        sums = after
    product_toggles += hamming(last, np.zeros_like(last), wire_bits) if wire_bits else 0
    return Counted(toggles, product_toggles, sums)


def _moving_numpy(mac: Mac, a: Codes, w: Codes, passed_on: int, wire_bits: int) -> Counted:
    sums = np.zeros((a.shape[0], w.shape[1]), mac.accumulator_dtype)
    toggles = product_toggles = 0
    K = a.shape[1]
    for k in range(K):
        sums = mac.accumulate(sums, a[:, k, None], w[k])
        times = 1 + passed_on if k == K - 1 else 1
        toggles += times * path_toggles(sums, 0, mac.accumulator_bits)
        if wire_bits:
            product_toggles += path_toggles(mac.product(a[:, k, None], w[k]), 0, wire_bits)
    return Counted(toggles, product_toggles)
