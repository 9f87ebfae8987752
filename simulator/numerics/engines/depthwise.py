"""Depthwise convolutions of codes without lowering: one filter for each channel, read where the input lies.

The sums are those of `multiply` for every channel's product, bit for bit: exact integers where a bound
proves that float32 or float64 holds them, table entries of log sums, or float steps in the order of k. What
is none of these (`attempt` returns None) goes through products of lowered channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.accumulators import Accumulator, FixedAccumulator, FloatAccumulator
from simulator.numerics.array_types import Codes
from simulator.numerics.engines.exact import ExactSums, exact_sums, log_sums
from simulator.numerics.engines.float_steps import is_native, native_codes, native_values
from simulator.numerics.engines.log_sums import log_operands
from simulator.numerics.engines.pointwise import has_special_weights, native_weights, step_weights
from simulator.numerics.engines.scaled import ScaledSteps
from simulator.numerics.engines.shared_operand import SharedOperand
from simulator.numerics.engines.threads import FEW_MACS, for_row_ranges
from simulator.numerics.formats.code_tables import has_special
from simulator.numerics.mac import Mac
from simulator.numerics.product_rules import LogProducts, Products
from simulator.numerics.twos_complement import wrap


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


@dataclass(frozen=True, slots=True)
class DepthwiseResult:
    """Accumulators or their exact sums [batch, channels, pixels], where infinity took part, and why."""

    held: npt.NDArray[Any] | ExactSums
    is_infinite: npt.NDArray[np.bool_] | None
    reason: str

    @property
    def accumulators(self) -> npt.NDArray[Any]:
        """The accumulators."""
        return self.held.accumulators if isinstance(self.held, ExactSums) else self.held


def attempt(mac: Mac, x: Codes, w: Codes | SharedOperand, window: Window) -> DepthwiseResult | None:
    """A depthwise convolution in a MAC's arithmetic; None where no fast way is exact.

    Args:
        mac: the arithmetic.
        x: activations [batch, channels, height, width], padding included.
        w: weights [channels, kernel height x width].
        window: the convolution.
    """
    weights = SharedOperand.of(w)
    if has_special_weights(mac, weights) or has_special(mac.activation, x):
        return None
    return _attempt(mac.accumulator, mac, x, weights, window)


@singledispatch
def _attempt(
    _accumulator: Accumulator, _mac: Mac, _x: Codes, _w: SharedOperand, _window: Window
) -> DepthwiseResult | None:
    return None


@_attempt.register
def _(
    fixed: FixedAccumulator, mac: Mac, x: Codes, w: SharedOperand, window: Window
) -> DepthwiseResult | None:
    exact = exact_sums(mac, x, w, w.codes.shape[1], lambda a, b: real_convolution(a, b, window))
    if exact is not None:
        return DepthwiseResult(exact, None, f"depthwise, {exact.reason}")
    logs = log_operands(mac, x, w, w.codes.shape[1])
    if logs is not None:
        from simulator.numerics.engines import depthwise_kernels as kernels

        total = np.zeros(_shape(x, window))
        kernel, numbers = logs.steps.choose(kernels.add_logs_single, kernels.add_logs_double)
        _run(kernel, logs.a, logs.w, total, numbers, window)
        held = log_sums(mac, logs, _pixels(total))
        return DepthwiseResult(held, None, f"depthwise, {held.reason}")
    return None if fixed.depends_on_order else _by_rule(fixed.products(mac.pair), x, w.codes, window)


@singledispatch
def _by_rule(_products: Products, _x: Codes, _w: Codes, _window: Window) -> DepthwiseResult | None:
    return None


@_by_rule.register
def _(rule: LogProducts, x: Codes, w: Codes, window: Window) -> DepthwiseResult | None:
    from simulator.numerics.engines import depthwise_kernels as kernels
    from simulator.numerics.engines.table import log_sum_indices

    table, a_index, w_index = log_sum_indices(rule)
    sums = np.zeros(_shape(x, window), np.int64)
    _run(kernels.add_products, a_index[x], w_index[w], sums, table, window)
    reason = "depthwise, table entries by sums of logarithms, exact modulo 2^64"
    return DepthwiseResult(_pixels(wrap(sums, rule.accumulator_bits)), None, reason)


@_attempt.register
def _(
    accumulator: FloatAccumulator, mac: Mac, x: Codes, w: SharedOperand, window: Window
) -> DepthwiseResult | None:
    fmt = accumulator.number_format
    if is_native(accumulator, mac.activation, mac.weight):
        sums = real_convolution(native_values(mac.activation, x), native_weights(mac, w), window)
        lost = ~np.isfinite(sums)
        reason = "depthwise, float32 fused multiply-adds in the order of k"
        return DepthwiseResult(native_codes(accumulator, sums), lost, reason)
    steps = ScaledSteps.of(accumulator, mac.pair)
    if steps is None:
        return None
    from simulator.numerics.engines import depthwise_kernels as kernels

    lanes = "single" if steps.is_single else "double"
    kernel = getattr(kernels, f"round_{lanes}" + ("_flushing" if steps.flushes else ""))
    scaled = np.zeros(_shape(x, window), steps.dtype)
    _run(kernel, steps.activations(x), step_weights(mac, steps, w), scaled, steps.layout, window)
    codes = steps.codes(_pixels(scaled))
    lost = ~np.isfinite(fmt.decode(codes))
    return DepthwiseResult(codes, lost, f"depthwise, {lanes} steps, then to {fmt.spec}, in the order of k")


def real_convolution(x: npt.NDArray[Any], w: npt.NDArray[Any], window: Window) -> npt.NDArray[Any]:
    """Fused multiply-adds w x + sum in the order of k from zero, [batch, channels, pixels].

    Args:
        x: [batch, channels, height, width], padding included; float32 or float64.
        w: [channels, kernel height x width], of the same type.
        window: the convolution.
    """
    from simulator.numerics.engines import depthwise_kernels as kernels

    sums = np.zeros(_shape(x, window), x.dtype)
    _run(kernels.multiply, x, w, sums, 0, window)
    return _pixels(sums)


def _pixels(sums: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Sums [channels, batch, rows, columns] as [batch, channels, pixels]."""
    return np.ascontiguousarray(sums.swapaxes(0, 1)).reshape(sums.shape[1], sums.shape[0], -1)


def _shape(x: npt.NDArray[Any], window: Window) -> tuple[int, int, int, int]:
    return (x.shape[1], x.shape[0], *window.outputs(x.shape[2], x.shape[3]))


def _run(
    kernel: Callable[..., None],
    x: npt.NDArray[Any],
    w: npt.NDArray[Any],
    sums: npt.NDArray[Any],
    numbers: Any,
    window: Window,
) -> None:
    planes, starts, pitch = _planes(x, window)
    weights = np.ascontiguousarray(w)
    macs = sums.size * starts.size
    for_row_ranges(
        len(sums),
        lambda first, last: kernel(planes, weights, sums, numbers, starts, pitch, first, last),
        threads=1 if macs < FEW_MACS else None,
    )


def _planes(x: npt.NDArray[Any], window: Window) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], int]:
    """An input in which outputs are neighbours: every stride-th row and column makes a plane of its own.

    Returns:
        The input [batch, channels, places]; where in it each weight's first place is; the length of a row.
    """
    batch, channels, height, width = x.shape
    (down, across), (apart_down, apart) = window.stride, window.dilation
    rows, columns = -(-height // down), -(-width // across)
    if down > 1 or across > 1:
        filled = np.zeros((batch, channels, rows * down, columns * across), x.dtype)
        filled[:, :, :height, :width] = x
        apart_planes = filled.reshape(batch, channels, rows, down, columns, across)
        x = apart_planes.transpose(0, 1, 3, 5, 2, 4)
    h, k = (np.arange(size) * step for size, step in zip(window.kernel, (apart_down, apart), strict=True))
    plane = (h % down * across)[:, None] + (k % across)[None, :]
    starts = (plane * rows + (h // down)[:, None]) * columns + (k // across)[None, :]
    return np.ascontiguousarray(x).reshape(batch, channels, -1), starts.reshape(-1), columns
