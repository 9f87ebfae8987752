"""Depthwise convolutions of codes without lowering: one filter for each channel, read where the input lies.

The sums are those of `multiply` for every channel's product, bit for bit: exact integers where a bound
proves that float32 or float64 holds them, table entries of log sums, or float steps in the order of k. What
is none of these (`attempt` returns None) goes through products of lowered channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial, singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.numerics.accumulators import Accumulator, FixedAccumulator, FloatAccumulator
from simulator.numerics.array_types import Codes
from simulator.numerics.engines.blas import Operand
from simulator.numerics.engines.exact import ExactSums, exact_sums, log_sums
from simulator.numerics.engines.float_steps import is_native, native_codes, native_values
from simulator.numerics.engines.lane_sums import LaneSums
from simulator.numerics.engines.log_sums import log_operands
from simulator.numerics.engines.pointwise import native_weights, step_weights
from simulator.numerics.engines.scaled import ScaledSteps
from simulator.numerics.engines.shared_operand import SharedOperand
from simulator.numerics.engines.threads import FEW_MACS, for_row_ranges
from simulator.numerics.formats.code_tables import TABLE_BITS
from simulator.numerics.mac import Mac
from simulator.numerics.product_rules import LogProducts, Products
from simulator.numerics.twos_complement import wrap

Places = npt.NDArray[np.int64]
Kernel = Callable[..., None]
"""One of `depthwise_kernels`."""


@dataclass(frozen=True, slots=True)
class Window:
    """Kernel, stride, dilation and padding of a convolution, each down and across.

    `padding` is above, left, below and right of the input.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of an input with its padding."""
        top, left, bottom, right = self.padding
        return top + height + bottom, left + width + right

    def outputs(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the output of an input."""
        sizes = zip(self.padded(height, width), self.kernel, self.stride, self.dilation, strict=True)
        rows, columns = ((size - d * (k - 1) - 1) // s + 1 for size, k, s, d in sizes)
        return rows, columns


@dataclass(frozen=True)
class Planes:
    """How a channel is laid out so that neighbouring outputs read neighbouring places.

    Every stride-th row and column makes a plane of its own; planes follow each other, each of `rows` x
    `columns` places.
    """

    window: Window
    height: int
    width: int

    @classmethod
    @lru_cache(maxsize=1024)
    def of(cls, window: Window, height: int, width: int) -> Planes:
        """The planes of a channel of this size."""
        return cls(window, height, width)

    @cached_property
    def rows(self) -> int:
        """Rows of a plane."""
        return -(-self.window.padded(self.height, self.width)[0] // self.window.stride[0])

    @cached_property
    def columns(self) -> int:
        """Columns of a plane."""
        return -(-self.window.padded(self.height, self.width)[1] // self.window.stride[1])

    @cached_property
    def layout(self) -> tuple[Places, Places, Places, int]:
        """What the kernels take.

        Returns:
            Where each weight's first activation is, int64[K]: that of output (i, j) is i `columns` + j
            further. Where the first operand of each row of the input goes in each plane across, [height,
            stride across]. Its column in the row, and how many there are in each plane, [stride across, 2].
            The length of a plane's row.
        """
        (down, across), (top, left, _, _) = self.window.stride, self.window.padding
        h, k = (
            np.arange(size) * step
            for size, step in zip(self.window.kernel, self.window.dilation, strict=True)
        )
        weights = self._place(h[:, None] % down * across + k % across, h[:, None] // down, k // across)
        rows, phases = np.arange(top, top + self.height)[:, None], np.arange(across)
        begins = (phases - left) % across
        lines = self._place(rows % down * across + phases, rows // down, (left + begins) // across)
        counts = np.maximum((self.width - begins + across - 1) // across, 0)
        parts = np.ascontiguousarray(np.stack([begins, counts], axis=1))
        return weights.reshape(-1), lines, parts, self.columns

    @property
    def size(self) -> int:
        """Places of all planes."""
        down, across = self.window.stride
        return self.rows * self.columns * down * across

    def _place(self, plane: Places, row: Places, column: Places) -> Places:
        return np.ascontiguousarray((plane * self.rows + row) * self.columns + column)


@dataclass(frozen=True, slots=True)
class Source:
    """Activations [batch, channels, height, width]: codes and their table, or operands and an empty table.

    `padding` is the operand around them.
    """

    tensor: npt.NDArray[Any]
    table: npt.NDArray[Any]
    padding: Any

    @classmethod
    def of_codes(cls, codes: Codes, table: npt.NDArray[Any], zero: int) -> Source:
        """Codes with the operand of each; padding holds the code `zero`."""
        return cls(codes, table, table[zero])

    @classmethod
    def of_reals(cls, reals: npt.NDArray[Any]) -> Source:
        """Operands as they are, with zeros around them."""
        return cls(reals, np.zeros(0, reals.dtype), reals.dtype.type(0))


@dataclass(frozen=True, slots=True)
class DepthwiseResult:
    """Accumulators, their exact sums or what float steps left, [batch, channels, pixels], and how."""

    held: npt.NDArray[Any] | ExactSums | LaneSums
    reason: str

    @property
    def accumulators(self) -> npt.NDArray[Any]:
        """The accumulators."""
        return self.held if isinstance(self.held, np.ndarray) else self.held.accumulators


def attempt(
    mac: Mac, x: Codes | SharedOperand, w: Codes | SharedOperand, window: Window, zero: int = 0
) -> DepthwiseResult | None:
    """A depthwise convolution in a MAC's arithmetic; None where no fast way is exact.

    Args:
        mac: the arithmetic.
        x: activations [batch, channels, height, width].
        w: weights [channels, kernel height x width].
        window: the convolution.
        zero: the code that padding holds.
    """
    activations, weights = SharedOperand.of(x), SharedOperand.of(w)
    if weights.has_special(mac.weight) or activations.has_special(mac.activation):
        return None
    return _attempt(mac.accumulator, _Layer(mac, activations.codes, weights, window, zero))


@dataclass(frozen=True, slots=True)
class _Layer:
    """What `attempt` is asked."""

    mac: Mac
    x: Codes
    w: SharedOperand
    window: Window
    zero: int

    @property
    def length(self) -> int:
        """Products of a sum."""
        return int(self.w.codes.shape[1])

    def run(
        self, kernel: Kernel, table: npt.NDArray[Any], w: npt.NDArray[Any], total: type, numbers: Any = ()
    ) -> npt.NDArray[Any]:
        """Sums of type `total` by a kernel of `depthwise_kernels`, activations being `table` by code."""
        return _run(kernel, Source.of_codes(self.x, table, self.zero), w, total, numbers, self.window)


@singledispatch
def _attempt(_accumulator: Accumulator, _layer: _Layer) -> DepthwiseResult | None:
    return None


@_attempt.register
def _(fixed: FixedAccumulator, layer: _Layer) -> DepthwiseResult | None:
    from simulator.numerics.engines import depthwise_kernels as kernels

    mac = layer.mac

    def combine(a: Operand, w: Operand, dtype: type) -> npt.NDArray[Any]:
        return layer.run(kernels.multiply, a.table.astype(dtype), w.reals(dtype), dtype)

    exact = exact_sums(mac, layer.x, layer.w, layer.length, combine)
    if exact is not None:
        return DepthwiseResult(exact, f"depthwise, {exact.reason}")
    logs = log_operands(mac, layer.x, layer.w, layer.length)
    if logs is not None:
        total = layer.run(kernels.add_logs, logs.steps.activations, logs.w, np.float64, logs.steps.numbers)
        held = log_sums(mac, logs, total)
        return DepthwiseResult(held, f"depthwise, {held.reason}")
    return None if fixed.depends_on_order else _by_rule(fixed.products(mac.pair), layer)


@singledispatch
def _by_rule(_products: Products, _layer: _Layer) -> DepthwiseResult | None:
    return None


@_by_rule.register
def _(rule: LogProducts, layer: _Layer) -> DepthwiseResult | None:
    from simulator.numerics.engines import depthwise_kernels as kernels
    from simulator.numerics.engines.table import log_sum_indices

    table, a_index, w_index = log_sum_indices(rule)
    sums = layer.run(kernels.add_products, a_index, w_index[layer.w.codes], np.int64, table)
    reason = "depthwise, table entries by sums of logarithms, exact modulo 2^64"
    return DepthwiseResult(wrap(sums, rule.accumulator_bits), reason)


@_attempt.register
def _(accumulator: FloatAccumulator, layer: _Layer) -> DepthwiseResult | None:
    from simulator.numerics.engines import depthwise_kernels as kernels

    mac, fmt, x = layer.mac, accumulator.number_format, layer.x
    if is_native(accumulator, mac.activation, mac.weight):
        source = Source.of_reals(native_values(mac.activation, x))
        if mac.activation.bits <= TABLE_BITS:
            source = Source.of_codes(x, mac.activation.values().astype(np.float32), layer.zero)
        weights = native_weights(mac, layer.w)
        sums = _run(kernels.multiply, source, weights, np.float32, (), layer.window)
        reason = "depthwise, float32 fused multiply-adds in the order of k"
        return DepthwiseResult(LaneSums(sums, 1.0, partial(native_codes, accumulator)), reason)
    steps = ScaledSteps.of(accumulator, mac.pair)
    if steps is None:
        return None
    source = Source.of_reals(steps.activations(x))
    if mac.activation.bits <= TABLE_BITS:
        source = Source.of_codes(x, steps.activation_table, layer.zero)
    kernel = kernels.multiply_flushed if steps.flushes else kernels.multiply_rounded
    weights = step_weights(mac, steps, layer.w)
    scaled = _run(kernel, source, weights, steps.dtype, steps.layout, layer.window)
    lanes = "single" if steps.is_single else "double"
    reason = f"depthwise, {lanes} steps, then to {fmt.spec}, in the order of k"
    return DepthwiseResult(LaneSums(scaled, steps.unit, steps.codes), reason)


def real_convolution(
    x: npt.NDArray[np.float32], w: npt.NDArray[np.float32], window: Window
) -> npt.NDArray[np.float32]:
    """Fused multiply-adds w x + sum in the order of k from zero, [batch, channels, pixels].

    Args:
        x: [batch, channels, height, width].
        w: [channels, kernel height x width].
        window: the convolution; padding holds zeros.
    """
    from simulator.numerics.engines import depthwise_kernels as kernels

    return _run(kernels.multiply, Source.of_reals(x), w, np.float32, (), window)


def _run(
    kernel: Kernel, x: Source, w: npt.NDArray[Any], total: type, numbers: Any, window: Window
) -> npt.NDArray[Any]:
    """Sums [batch, channels, pixels] of type `total`; channels are shared out among threads."""
    from simulator.numerics.engines import depthwise_kernels as kernels

    tensor, weights = np.ascontiguousarray(x.tensor), np.ascontiguousarray(w)
    batch, channels, height, width = tensor.shape
    planes = Planes.of(window, height, width)
    sums: npt.NDArray[Any] = np.empty((batch, channels, *window.outputs(height, width)), total)

    def compute(first: int, last: int) -> None:
        plane = np.full(planes.size + kernels.SLACK, x.padding, weights.dtype)
        totals: npt.NDArray[Any] = np.empty(max(kernels.PIECE, planes.columns) + kernels.SLACK, total)
        kernel(tensor, x.table, weights, sums, numbers, planes.layout, plane, totals, first, last)

    threads = 1 if sums.size * weights.shape[1] < FEW_MACS else None
    for_row_ranges(channels, compute, threads=threads)
    return sums.reshape(batch, channels, -1)
