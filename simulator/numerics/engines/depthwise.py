"""Depthwise convolutions of codes without lowering: one filter for each channel, read where the input lies.

The sums are those of `multiply` for every channel's product, bit for bit: exact integers where a bound
proves that float32 or float64 holds them, table entries of log sums, or float steps in the order of k. What
is none of these (`attempt` returns None) goes through products of lowered channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.accumulators import wrap
from simulator.numerics.engines.blas import DOUBLE_BITS, SINGLE_BITS, Operand, Wide64
from simulator.numerics.engines.scaled import ScaledSteps
from simulator.numerics.engines.sequential import is_native
from simulator.numerics.engines.threads import for_row_ranges
from simulator.numerics.formats import TABLE_BITS
from simulator.numerics.formats.tables import has_special, look_up
from simulator.numerics.mac_spec import FixedAccumulator
from simulator.numerics.products import ExactProducts, LogProducts

if TYPE_CHECKING:
    from simulator.numerics.mac import Mac

Codes = npt.NDArray[np.unsignedinteger[Any]]

FEW_MACS = 1 << 20
"""Below this many multiply-accumulates threads cost more than they save."""


@dataclass(frozen=True, slots=True)
class Window:
    """Kernel, stride and dilation of a convolution, each down and across."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]

    def outputs(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the output of a padded input."""
        sizes = zip((height, width), self.kernel, self.stride, self.dilation, strict=True)
        rows, columns = ((size - d * (k - 1) - 1) // s + 1 for size, k, s, d in sizes)
        return rows, columns

    @property
    def numbers(self) -> tuple[int, int, int, int, int, int]:
        """As kernels take it."""
        return (*self.kernel, *self.stride, *self.dilation)


@dataclass(frozen=True, slots=True)
class DepthwiseResult:
    """Accumulators [channels, batch, rows, columns], where infinity took part, and why they are exact."""

    accumulators: npt.NDArray[Any]
    is_infinite: npt.NDArray[np.bool_]
    reason: str


def attempt(mac: Mac, x: Codes, w: Codes, window: Window) -> DepthwiseResult | None:
    """A depthwise convolution in a MAC's arithmetic; None where no fast way is exact.

    Args:
        mac: the arithmetic.
        x: activations [batch, channels, height, width], padding included.
        w: weights [channels, kernel height x width].
        window: the convolution.
    """
    if has_special(mac.activation, x) or has_special(mac.weight, w):
        return None
    if not isinstance(mac.accumulator, FixedAccumulator):
        return _in_steps(mac, x, w, window)
    if isinstance(mac.products, LogProducts):
        return _by_logarithm(mac, mac.products, x, w, window)
    if isinstance(mac.products, ExactProducts):
        return _exact(mac, mac.products, mac.accumulator, x, w, window)
    return None


def real_convolution(x: npt.NDArray[Any], w: npt.NDArray[Any], window: Window) -> npt.NDArray[Any]:
    """Fused multiply-adds w x + sum in the order of k from zero, [channels, batch, rows, columns].

    Args:
        x: [batch, channels, height, width], padding included; float32 or float64.
        w: [channels, kernel height x width], of the same type.
        window: the convolution.
    """
    from simulator.numerics.engines import depthwise_kernels as kernels

    sums = np.zeros(_shape(x, window), x.dtype)
    _run(partial(kernels.multiply, np.ascontiguousarray(x), np.ascontiguousarray(w), sums), sums, window)
    return sums


def _shape(x: npt.NDArray[Any], window: Window) -> tuple[int, int, int, int]:
    return (x.shape[1], x.shape[0], *window.outputs(x.shape[2], x.shape[3]))


def _run(work: Any, sums: npt.NDArray[Any], window: Window) -> None:
    macs = sums.size * window.kernel[0] * window.kernel[1]
    for_row_ranges(
        len(sums),
        lambda first, last: work(window.numbers, first, last),
        threads=1 if macs < FEW_MACS else None,
    )


def _exact(
    mac: Mac, rule: ExactProducts, fixed: FixedAccumulator, x: Codes, w: Codes, window: Window
) -> DepthwiseResult | None:
    """As the BLAS engine proves it: integers whose sums of magnitudes float32 or float64 holds."""
    a, b = Operand(x, rule.activation_integers), Operand(w, rule.weight_integers)
    bound = w.shape[1] * a.largest * b.largest
    shift = rule.shift
    if shift < 0 or fixed.overflow != "wrap" or bound > 1 << DOUBLE_BITS:
        a, b = a.narrowed(), b.narrowed()
        shift = rule.shift + a.unit + b.unit
        bound = w.shape[1] * a.largest * b.largest
        if shift < 0 and bound:
            return None
        shift = max(shift, 0)
    if bound > 1 << DOUBLE_BITS or (fixed.overflow != "wrap" and bound << shift > fixed.highest):
        return None
    single = max(bound, a.largest, b.largest) <= 1 << SINGLE_BITS
    dtype: type[np.float32 | np.float64] = np.float32 if single else np.float64
    total = real_convolution(a.matrix(dtype), b.matrix(dtype), window).astype(np.int64)
    terms, bits = Wide64([(total, shift)]), mac.accumulator_bits
    sums = wrap(terms.modulo_64(), bits) if bits <= 64 else terms.modulo_128().to_integers(bits)
    power, name = (SINGLE_BITS, "float32") if single else (DOUBLE_BITS, "float64")
    reason = f"depthwise, sum of |a b| <= {bound} <= 2^{power}: exact in {name}"
    return DepthwiseResult(sums, np.zeros(sums.shape, np.bool_), reason)


def _by_logarithm(mac: Mac, rule: LogProducts, x: Codes, w: Codes, window: Window) -> DepthwiseResult | None:
    from simulator.numerics.engines import depthwise_kernels as kernels
    from simulator.numerics.engines.table import log_sum_indices

    if rule.accumulator.overflow != "wrap":
        return None
    table, a_index, w_index = log_sum_indices(rule)
    sums = np.zeros(_shape(x, window), np.int64)
    _run(partial(kernels.add_products, table, a_index[x], w_index[w], sums), sums, window)
    reason = "depthwise, table entries by sums of logarithms, exact modulo 2^64"
    return DepthwiseResult(wrap(sums, mac.accumulator_bits), np.zeros(sums.shape, np.bool_), reason)


def _in_steps(mac: Mac, x: Codes, w: Codes, window: Window) -> DepthwiseResult | None:
    fmt, accumulator = mac.accumulator_format, mac.accumulator
    assert not isinstance(accumulator, FixedAccumulator)
    if is_native(fmt, accumulator, mac.activation, mac.weight):
        a, b = (_values(each, codes) for each, codes in ((mac.activation, x), (mac.weight, w)))
        sums = real_convolution(a, b, window)
        lost = ~np.isfinite(sums)
        codes = sums.view(np.uint32)
        codes[np.isnan(sums)] = fmt.encode(np.nan)
        return DepthwiseResult(codes, lost, "depthwise, float32 fused multiply-adds in the order of k")
    steps = ScaledSteps.of(mac)
    if steps is None:
        return None
    from simulator.numerics.engines import depthwise_kernels as kernels

    lanes = "single" if steps.is_single else "double"
    kernel = getattr(kernels, f"round_{lanes}" + ("_flushing" if steps.flushes else ""))
    scaled = np.zeros(_shape(x, window), steps.dtype)
    a, b = np.ascontiguousarray(steps.activations(x)), np.ascontiguousarray(steps.weights(w))
    _run(partial(kernel, a, b, scaled, steps.layout), scaled, window)
    codes = steps.codes(scaled)
    lost = ~np.isfinite(fmt.decode(codes))
    return DepthwiseResult(codes, lost, f"depthwise, {lanes} steps, then to {fmt.spec}, in the order of k")


def _values(fmt: Any, codes: Codes) -> npt.NDArray[np.float32]:
    if fmt.bits <= TABLE_BITS:
        return look_up(fmt.values().astype(np.float32), codes)
    return np.asarray(fmt.decode(codes), np.float32)
