"""A layer's accumulators on a device to the real tensor that goes on, as `layer_sums.real_values` has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.inference.quantization import LayerPlan
from simulator.numerics import FixedAccumulator, Mac
from simulator.numerics.formats.log import LogBase
from simulator.numerics.formats.posit import Posit
from simulator.numerics.gpu import Device, DeviceArray
from simulator.numerics.gpu.device_encoding import decode_on, encode_on, has_device_encoder

_FLOAT64_BITS = 54
"""Registers up to this width are float64 numbers, whose converters are those of floats."""



def refusal_of_outputs(plan: LayerPlan) -> str | None:
    """Why the device cannot convert a layer's accumulators; None where it can."""
    mac = plan.mac
    accumulator = mac.accumulator
    if not has_device_encoder(mac.activation):
        return f"the device has no converter to {mac.activation.spec}"
    if not isinstance(accumulator, FixedAccumulator):
        return None
    if abs(accumulator.lsb) > 900:
        return f"registers of 2^{accumulator.lsb} leave the range of the device's conversion"
    if not plan.through_output:
        return None
    if accumulator.bits > _FLOAT64_BITS:
        return f"registers of {accumulator.bits} bits are no float64 numbers"
    log = mac.spec.output == "log" and isinstance(mac.activation, LogBase)
    if log and not (accumulator.lsb >= -126 and accumulator.lsb + accumulator.bits <= 127):
        return "registers leave the range of the converter of log numbers"
    return None


def real_values_on(
    device: Device, plan: LayerPlan, sums: DeviceArray, overflow: DeviceArray | None, layout: tuple[int, ...]
) -> DeviceArray:
    """float32 values of accumulators whose operands are all finite; bias included.

    Args:
        device: where they lie.
        plan: of a layer that `refusal_of_outputs` lets pass.
        sums: accumulators; codes of float ones.
        overflow: signs of sticky overflows.
        layout: the shape in which one value for each channel fits the sums.
    """
    xp, mac = device.xp, plan.mac
    bias = None if plan.bias is None else plan.bias.reshape(layout)
    if plan.through_output:
        return _through_output(device, plan, sums, overflow, bias).astype(np.float32)
    scale = np.asarray(plan.activation_scale * np.asarray(plan.weight_scale), np.float64)
    real = _reals(device, mac, sums)
    infinite = None if isinstance(mac.accumulator, FixedAccumulator) else ~xp.isfinite(real)
    real = real * (device.to_device(scale.reshape(layout)) if scale.ndim else float(scale))
    if infinite is not None:
        real = xp.where(infinite, np.nan, real)
    if bias is not None:
        real = real + device.to_device(bias.astype(np.float64))
    return real.astype(np.float32)


def _reals(device: Device, mac: Mac, sums: DeviceArray) -> DeviceArray:
    accumulator = mac.accumulator
    if isinstance(accumulator, FixedAccumulator):
        return sums.astype(np.float64) * 2.0**accumulator.lsb
    return decode_on(device, mac.accumulator_format, sums)


def _through_output(
    device: Device, plan: LayerPlan, sums: DeviceArray, overflow: DeviceArray | None, bias: Any
) -> DeviceArray:
    xp, mac, exponent = device.xp, plan.mac, plan.output_exponent
    if bias is not None or exponent:
        sums = _shifted(device, mac, sums, bias, exponent)
    accumulator, target = mac.accumulator, mac.activation
    if isinstance(accumulator, FixedAccumulator) and mac.spec.output == "log":
        sums = xp.where(sums == accumulator.lowest, 0, sums)
    reals = _reals(device, mac, sums)
    if not isinstance(accumulator, FixedAccumulator):
        reals = xp.where(xp.isfinite(reals), reals, np.inf)
    posit = mac.spec.output == "posit" and isinstance(target, Posit)
    if overflow is not None and not posit:
        reals = xp.where(overflow == 0, reals, xp.copysign(target.largest, overflow.astype(np.float64)))
    codes = encode_on(device, target, reals, keep_infinities=False).codes
    if posit:
        codes = _posit_ends(device, target, sums, overflow, codes)
    return decode_on(device, target, codes) / 2.0**exponent


def _posit_ends(
    device: Device, target: Any, sums: DeviceArray, overflow: DeviceArray | None, codes: DeviceArray
) -> DeviceArray:
    """What the quire's converter does that the encoder does not: round up to the smallest, and overflow."""
    xp, sign = device.xp, 1 << (target.bits - 1)
    half = 1 << (-target.layout.greatest_exponent - target.accumulator_lsb - 1)
    codes = xp.where((sums > half) & (codes == 0), 1, codes)
    codes = xp.where((sums < -half) & (codes == 0), 1 | sign, codes)
    if overflow is not None:
        codes = xp.where(overflow > 0, target.layout.largest_code, codes)
        codes = xp.where(overflow < 0, target.layout.largest_code | sign, codes)
    return codes


def _shifted(device: Device, mac: Mac, sums: DeviceArray, bias: Any, exponent: int) -> DeviceArray:
    """A bias added in the register's own units, then a shift: `Accumulator.shifted`."""
    xp, accumulator = device.xp, mac.accumulator
    offsets = np.zeros((1,) * sums.ndim) if bias is None else bias.astype(np.float64)
    if not isinstance(accumulator, FixedAccumulator):
        reals = (_reals(device, mac, sums) + device.to_device(offsets)) * 2.0**exponent
        return encode_on(device, mac.accumulator_format, reals).codes
    units = device.to_device(np.rint(np.ldexp(offsets, -accumulator.lsb)).astype(np.int64))
    moved = _held(xp, accumulator, sums + units)
    if exponent > 0:
        return _held(xp, accumulator, moved << exponent)
    return moved >> -exponent


def _held(xp: Any, fixed: FixedAccumulator, sums: DeviceArray) -> DeviceArray:
    """Integers as a register of up to 54 bits holds them."""
    if not fixed.is_modular:
        return xp.clip(sums, fixed.lowest, fixed.highest)
    spare = 64 - fixed.bits
    return (sums << spare) >> spare
