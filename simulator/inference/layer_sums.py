"""A layer's sums as an engine left them, and the real tensor that goes on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simulator.inference.quantization import LayerPlan, without_false_infinities
from simulator.inference.rounded_outputs import rounded_outputs
from simulator.numerics import Mac
from simulator.numerics.array_types import Tensor
from simulator.numerics.engines.exact import ExactSums
from simulator.numerics.engines.lane_sums import LaneSums
from simulator.numerics.formats.code_tables import TABLE_BITS, has_special, look_up

Layout = Literal["products", "ofmap"]
"""Of sums: groups of matrix products [groups, M, N], or channels first [batch, channels, pixels]."""


@dataclass(frozen=True)
class LayerSums:
    """A layer's accumulators, or exact integers that they are made of.

    Attributes:
        held: accumulators, their exact sums, or what float steps left, in `layout`.
        layout: of `held`, `is_infinite` and `overflow`.
        groups: of the layer's products.
        is_infinite: where infinity or NaN took part; None: nowhere, or as `infinite` finds in float sums.
        overflow: signs of sticky overflows; None for other accumulators.
        engine: which computed them.
        reason: why they are exact.
    """

    held: NDArray[Any] | ExactSums | LaneSums
    layout: Layout
    groups: int
    is_infinite: NDArray[np.bool_] | None
    overflow: NDArray[np.int8] | None
    engine: str
    reason: str

    @cached_property
    def registers(self) -> NDArray[Any]:
        """The accumulators in `layout`."""
        return self.held if isinstance(self.held, np.ndarray) else self.held.accumulators

    @cached_property
    def infinite(self) -> NDArray[np.bool_] | None:
        """Where infinity or NaN took part, in `layout`; None: nowhere."""
        return self.held.lost if isinstance(self.held, LaneSums) else self.is_infinite

    @cached_property
    def accumulators(self) -> NDArray[Any]:
        """The accumulators [groups, M, N]."""
        if self.layout == "products":
            return self.registers
        batch, channels, pixels = self.registers.shape
        apart = self.registers.reshape(batch, self.groups, channels // self.groups, pixels)
        return apart.transpose(1, 0, 3, 2).reshape(self.groups, batch * pixels, -1)

    @property
    def size(self) -> int:
        """Number of sums."""
        held = self.held
        if isinstance(held, ExactSums):
            return held.total.size
        return held.lanes.size if isinstance(held, LaneSums) else held.size

    def per_channel(self, values: Tensor) -> Tensor:
        """One value for each output channel, [channels] or [groups, 1, N], in a shape that fits `layout`."""
        if self.layout == "ofmap":
            return values.reshape(1, -1, 1)
        return values.reshape(self.groups, 1, -1)


def real_values(plan: LayerPlan, sums: LayerSums) -> Tensor:
    """What a layer's sums stand for, bias included, in the layout of the sums; float32 or float64."""
    if plan.through_output:
        return _through_output(plan, sums)
    scale = np.asarray(plan.activation_scale * np.asarray(plan.weight_scale))
    bias = None if plan.bias is None else sums.per_channel(plan.bias)
    scale = sums.per_channel(scale) if scale.ndim else scale
    held = sums.held
    if (
        isinstance(held, ExactSums)
        and not held.outside
        and sums.is_infinite is None
        and sums.layout == "ofmap"
    ):
        return _scaled(held, scale, bias)
    real = plan.mac.to_real(sums.registers) * scale
    if sums.infinite is not None and sums.infinite.any():
        real = np.where(sums.infinite, np.nan, real)
    return real if bias is None else real + bias


def _scaled(held: ExactSums, scale: Tensor, bias: Tensor | None) -> NDArray[np.float32]:
    """Sums x scale + bias in float64, rounded once to float32, in one pass."""
    from simulator.inference.tensor_kernels import scale_and_shift

    channels = held.total.shape[1]
    scales = np.ascontiguousarray(np.broadcast_to(scale.reshape(-1), (channels,)), np.float64)
    offsets = np.zeros(0) if bias is None else bias.reshape(-1).astype(np.float64)
    values = np.empty(held.total.shape, np.float32)
    scale_and_shift(held.total, held.unit, scales, offsets, values)
    return values


def _through_output(plan: LayerPlan, sums: LayerSums) -> Tensor:
    if not isinstance(sums.held, np.ndarray) and sums.layout == "ofmap" and sums.is_infinite is None:
        values = rounded_outputs(plan, sums.held)
        if values is not None:
            return values
    mac, registers = plan.mac, sums.registers
    bias = None if plan.bias is None else sums.per_channel(plan.bias)
    if bias is not None or plan.output_exponent:
        registers = _with_bias(mac, registers, bias, plan.output_exponent)
    codes = mac.to_output(registers, is_infinite=sums.infinite, overflow=sums.overflow)
    fmt, scale = mac.activation, 2.0**plan.output_exponent
    if fmt.bits > TABLE_BITS:
        return fmt.decode(codes) / scale
    if has_special(fmt, codes):
        reals = mac.to_real(registers)
        reals = reals if sums.infinite is None else np.where(sums.infinite, np.inf, reals)
        codes = without_false_infinities(codes, fmt, reals)
    return look_up((fmt.values() / scale).astype(np.float32), codes)


def _with_bias(mac: Mac, accumulators: NDArray[Any], bias: Tensor | None, exponent: int) -> NDArray[Any]:
    """Accumulators with the bias added in their own units, then scaled by 2**exponent as a shift would."""
    offsets = np.zeros(1) if bias is None else bias.astype(np.float64)
    return mac.accumulator.shifted(accumulators, offsets, exponent)
