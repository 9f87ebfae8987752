"""Layers on a device: in float32 and in a MAC's arithmetic, their operands and results left there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from simulator.inference.arithmetic import Operands, float32_product, largest_weights, mac_product
from simulator.inference.gpu.device_operators import padded
from simulator.inference.gpu.device_outputs import real_values_on, refusal_of_outputs
from simulator.inference.gpu.device_registers import device_register
from simulator.inference.gpu.run_constants import RunConstants
from simulator.inference.layer_products import Product
from simulator.inference.layer_sums import LayerSums
from simulator.inference.overflow_counts import SumsOutside
from simulator.inference.quantization import Encoded, LayerPlan
from simulator.numerics import Mac, get_mac
from simulator.numerics.engines.problem import Refusal
from simulator.numerics.gpu import Device, DeviceArray
from simulator.numerics.gpu.device_arithmetic import pairs
from simulator.numerics.gpu.device_encoding import DeviceCodes, decode_on, encode_on
from simulator.numerics.gpu.device_sums import DeviceSums, Lowered, Operand, convolve, multiply_batches
from simulator.numerics.gpu.step_plans import step_plan
from simulator.workload.lowering import im2col

_FEW_FILTERS: Final = 8
"""Groups of fewer filters are convolved without lowering: tiles of a matrix product would stay empty."""

_FLOAT32: Final = "fp32"


@dataclass(frozen=True, slots=True)
class LayerOutput:
    """A layer's real tensor on the device, and what `mac_product` would tell of it."""

    values: DeviceArray
    saturated: int
    underflowed: int
    elements: int
    outside: SumsOutside
    engine: str


class HostCopies:
    """What ran on the host, and why, by what it was."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def note(self, what: str, reason: str) -> None:
        """Once for each."""
        self.reasons.setdefault(what, reason)


class DeviceLayers:
    """Every layer of a network on one device. Weights go there once."""

    def __init__(self, device: Device, copies: HostCopies) -> None:
        self._device = device
        self._copies = copies
        self._constants = RunConstants(device)
        self._float32 = get_mac(_FLOAT32)

    def in_float32(self, product: Product, x: DeviceArray, second: DeviceArray | None) -> DeviceArray:
        """`float32_product`: fused multiply-adds in the order of k."""
        device = self._device
        if _reason_for_host(product) is not None:
            host = None if second is None else device.to_host(second)
            return device.to_device(float32_product(product, device.to_host(x), host))
        assert product.weights is not None
        codes = device.xp.ascontiguousarray(x).view(np.uint32)
        sums = self._sums(product, self._float32, codes, product.weights, 0)
        assert isinstance(sums, DeviceSums)
        values = device.xp.ascontiguousarray(sums.accumulators).view(np.float32)
        if product.bias is not None:
            bias = self._constants.get((product.name, "bias"), lambda: product.bias.astype(np.float32))  # type: ignore[union-attr]
            values = pairs(device, "add", values, bias.reshape(_channels(product)))
        return values.reshape(_output_shape(product, x.shape))

    def in_formats(
        self, product: Product, plan: LayerPlan, x: DeviceArray, second: DeviceArray | None
    ) -> LayerOutput:
        """`mac_product`, on the host where the device has no way."""
        device, mac = self._device, plan.mac
        reason = _reason_for_host(product) or _reason_of(plan)
        if reason is not None:
            return self._on_host(product, plan, x, second, reason)
        assert plan.weight_codes is not None
        migrated = (
            x if plan.migration is None else pairs(device, "divide", x, device.to_device(plan.migration))
        )
        scale = float(np.float32(1.0 / np.asarray(plan.activation_scale)))
        encoded = encode_on(device, mac.activation, migrated, scale, keep_infinities=False)
        saturated, underflowed, special = (
            int(each) for each in device.to_host(encoded.counts).view(np.int64)
        )
        if special:
            return self._on_host(product, plan, x, second, "infinite or NaN activations")
        zero = int(mac.activation.encode(np.zeros(1))[0])
        sums = self._sums(product, mac, encoded.codes, plan.weight_codes, zero)
        if isinstance(sums, Refusal):
            return self._on_host(product, plan, x, second, sums.reason)
        layout = _channels(product)
        values = real_values_on(device, self._constants, plan, sums.accumulators, sums.overflow, layout)
        return LayerOutput(
            values.reshape(_output_shape(product, x.shape)),
            saturated,
            underflowed,
            int(np.prod(x.shape)),
            self._outside(product, plan, encoded, sums, zero),
            f"gpu: {sums.reason}, on {device.name}",
        )

    def _on_host(
        self, product: Product, plan: LayerPlan, x: DeviceArray, second: DeviceArray | None, reason: str
    ) -> LayerOutput:
        device = self._device
        self._copies.note(f"layer {product.name}", reason)
        host = None if second is None else device.to_host(second)
        output = mac_product(product, plan, device.to_host(x), host)
        return LayerOutput(
            device.to_device(output.values),
            output.operands.saturated,
            output.operands.underflowed,
            output.operands.elements,
            SumsOutside.of_layer(plan.mac, output),
            f"{output.sums.engine}: {output.sums.reason}; on the CPU, since {reason}",
        )

    # ------------------------------------------------------------------------------------------------- sums

    def _sums(
        self, product: Product, mac: Mac, codes: DeviceArray, weights: Any, zero: int
    ) -> DeviceSums | Refusal:
        """Accumulators of a layer: [batch, channels, pixels], or [1, rows, N] of a linear one."""
        device = self._device
        key = (product.name, id(weights))
        if product.window is None:
            right = self._constants.get(key, lambda: _as_codes(weights))
            left = device.xp.ascontiguousarray(codes).reshape(1, -1, codes.shape[-1])
            return multiply_batches(device, mac, Operand(left, "activation"), Operand(right, "weight"))
        window = product.window.over(tuple(codes.shape))
        groups, batch = window.groups, codes.shape[0]
        filters = self._constants.get(key, lambda: _as_codes(np.swapaxes(weights, 1, 2)))
        top, left_edge, bottom, right_edge = window.padding
        if any(window.padding):
            codes = padded(device, codes, (0, 0, top, left_edge), (0, 0, bottom, right_edge), zero)
        planes = device.xp.ascontiguousarray(codes).reshape(batch, groups, -1)
        pixels = window.ofmap[0] * window.ofmap[1]
        if window.kernel == (1, 1) and window.stride == (1, 1) and window.filters // groups >= _FEW_FILTERS:
            columns = planes.reshape(batch, groups, -1, pixels)
            return self._by_group(mac, filters, columns)
        shape = (product.window, codes.shape[1:])
        places = self._constants.get(("places", shape), lambda: _places(product, tuple(codes.shape)))
        if window.filters // groups < _FEW_FILTERS:
            found = convolve(device, mac, Lowered(planes, filters, places))
            if isinstance(found, Refusal):
                return found
            return _reshaped(found, (batch, window.filters, pixels))
        columns = device.xp.take(planes, places.reshape(-1), axis=2)
        return self._by_group(mac, filters, columns.reshape(batch, groups, -1, pixels))

    def _by_group(self, mac: Mac, filters: DeviceArray, columns: DeviceArray) -> DeviceSums | Refusal:
        """Sums [batch, channels, pixels] of filters [groups, N, K] and columns [batch, groups, K, pixels]."""
        xp, parts = self._device.xp, []
        for group in range(filters.shape[0]):
            right = Operand(xp.ascontiguousarray(columns[:, group]), "activation")
            left = Operand(filters[group : group + 1], "weight")
            found = multiply_batches(self._device, mac, left, right)
            if isinstance(found, Refusal):
                return found
            parts.append(found)
        if len(parts) == 1:
            return parts[0]
        signs = [part.overflow for part in parts if part.overflow is not None]
        return DeviceSums(
            xp.concatenate([part.accumulators for part in parts], axis=1),
            xp.concatenate(signs, axis=1) if signs else None,
            parts[0].reason,
        )

    # --------------------------------------------------------------------------- sums that left the register

    def _outside(
        self, product: Product, plan: LayerPlan, encoded: DeviceCodes, sums: DeviceSums, zero: int
    ) -> SumsOutside:
        """As `SumsOutside.of_layer`: a bound on all operands, else every sum, on the host."""
        device, mac, size = self._device, plan.mac, int(np.prod(sums.accumulators.shape))
        assert plan.weight_codes is not None
        register = device_register(mac.accumulator)
        if register.all_held(device, sums.accumulators, lambda: self._extent(plan, encoded)):
            return SumsOutside(0, size)
        self._copies.note(f"overflow of {product.name}", "no bound excludes that sums leave the accumulator")
        codes = device.to_host(encoded.codes)
        operands = Operands(product, mac.activation, zero, plan.weight_codes, Encoded(codes, 0, 0))
        held, groups = device.to_host(sums.accumulators), len(plan.weight_codes)
        is_ofmap = product.window is not None
        host = LayerSums(held, "ofmap" if is_ofmap else "products", groups, None, None, "gpu", sums.reason)
        return SumsOutside.of(mac, operands.activations, plan.weight_codes, host.accumulators)

    def _extent(self, plan: LayerPlan, encoded: DeviceCodes) -> float:
        """A bound on the sums of a layer's products' magnitudes."""
        device, mac = self._device, plan.mac
        largest = float(device.xp.abs(decode_on(device, mac.activation, encoded.codes)).max())
        return largest * largest_weights(mac, plan.weights_as("products", lambda codes: codes))


def _reason_for_host(product: Product) -> str | None:
    """Why a layer has no way on the device whatever its arithmetic; None where it has one."""
    if product.weights is None:
        return "both operands are computed"
    if product.window is None and (product.batched or len(product.weights) != 1):
        return "its weights are a batch of matrices"
    return None


def _reason_of(plan: LayerPlan) -> str | None:
    """Why a layer's arithmetic has no way on the device."""
    found = step_plan(plan.mac)
    return found.reason if isinstance(found, Refusal) else refusal_of_outputs(plan)


def _places(product: Product, shape: tuple[int, ...]) -> np.ndarray:
    """Where in a padded plane of one group each product's activation lies, int32 [K, pixels]."""
    assert product.window is not None
    channels = shape[1] // product.window.groups
    plane = np.arange(channels * shape[2] * shape[3], dtype=np.int32).reshape(1, channels, *shape[2:])
    filters = product.window.filters // product.window.groups
    alone = replace(product.window, groups=1, filters=filters, padding=(0, 0, 0, 0))
    return np.ascontiguousarray(im2col(plane, alone.over(plane.shape))[0].T)


def _as_codes(weights: Any) -> Any:
    """Contiguous codes; those of float32 numbers are their patterns."""
    codes = np.ascontiguousarray(weights)
    return codes.view(np.uint32) if codes.dtype == np.float32 else codes


def _output_shape(product: Product, shape: tuple[int, ...]) -> tuple[int, ...]:
    if product.window is not None:
        return product.output_shape(tuple(shape))
    assert product.weights is not None
    return (*shape[:-1], product.weights.shape[2])


def _channels(product: Product) -> tuple[int, ...]:
    """The shape of one value for each channel beside the sums."""
    return (1, -1, 1) if product.window is not None else (1, 1, -1)


def _reshaped(sums: DeviceSums, shape: tuple[int, ...]) -> DeviceSums:
    signs = None if sums.overflow is None else sums.overflow.reshape(shape)
    return DeviceSums(sums.accumulators.reshape(shape), signs, sums.reason)
