"""A layer's accumulators on a device to the real tensor that goes on, as `layer_sums.real_values` has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.inference.gpu.device_registers import channels_of, device_register
from simulator.inference.gpu.run_constants import RunConstants
from simulator.inference.quantization import LayerPlan
from simulator.numerics.formats import TABLE_BITS
from simulator.numerics.formats.log import LogBase
from simulator.numerics.formats.posit import Posit
from simulator.numerics.gpu import Device, DeviceArray
from simulator.numerics.gpu.device_arithmetic import THREADS, blocks, narrow
from simulator.numerics.gpu.device_encoding import (
    conversion_arguments,
    decode_on,
    encode_on,
    has_device_encoder,
    values_on,
)


def refusal_of_outputs(plan: LayerPlan) -> str | None:
    """Why the device cannot convert a layer's accumulators; None where it can."""
    mac = plan.mac
    if not has_device_encoder(mac.activation):
        return f"the device has no converter to {mac.activation.spec}"
    return device_register(mac.accumulator).refusal(plan)


def real_values_on(
    device: Device,
    constants: RunConstants,
    plan: LayerPlan,
    sums: DeviceArray,
    signs: DeviceArray | None,
    layout: tuple[int, ...],
) -> DeviceArray:
    """float32 values of accumulators whose operands are all finite; bias included.

    Args:
        device: where they lie.
        constants: of this run.
        plan: of a layer that `refusal_of_outputs` lets pass.
        sums: accumulators; codes of float ones.
        signs: of sticky overflows; None for other accumulators.
        layout: the shape in which one value for each channel fits the sums.
    """
    register = device_register(plan.mac.accumulator)
    if not plan.through_output:
        scale = np.asarray(plan.activation_scale * np.asarray(plan.weight_scale), np.float64)
        return register.scaled(device, constants, plan, sums, scale, layout)
    if signs is None and register.has_kernel and plan.mac.activation.bits <= TABLE_BITS:
        return _converted(device, constants, plan, sums, layout)
    return narrow(device, _through_output(device, plan, sums, signs, layout))


def _converted(
    device: Device, constants: RunConstants, plan: LayerPlan, sums: DeviceArray, layout: tuple[int, ...]
) -> DeviceArray:
    """Bias, shift and the converter in one pass; see `_through_output` for what they do."""
    mac, target, exponent = plan.mac, plan.mac.activation, plan.output_exponent
    run, channels = channels_of(sums, layout)
    bits, lsb = mac.accumulator_bits, mac.accumulator_lsb
    bias = np.zeros(channels) if plan.bias is None else plan.bias.astype(np.float64).reshape(-1)
    units = constants.get((id(plan), "units"), lambda: np.rint(np.ldexp(bias, -lsb)).astype(np.int64))
    is_log = mac.spec.output == "log" and isinstance(target, LogBase)
    half = _half_of_smallest(target) if mac.spec.output == "posit" and isinstance(target, Posit) else -1
    results = device.xp.empty(sums.shape, np.float32)
    if not sums.size:
        return results
    device.launch(
        "converted",
        blocks(sums.size),
        THREADS,
        (
            *(device.xp.ascontiguousarray(sums), results),
            *(np.int64(sums.size), np.int64(run), np.int64(channels), units),
            *(np.int32(64 - bits), np.int32(exponent), np.int32(is_log), np.int64(half)),
            *(np.float64(2.0**lsb), np.float64(2.0**-exponent)),
            *conversion_arguments(device, target, keep_infinities=False),
            values_on(device, target),
        ),
    )
    return results


def _half_of_smallest(target: Posit) -> int:
    """Half of the smallest posit in units of the quire's lowest bit."""
    return 1 << (-target.layout.greatest_exponent - target.accumulator_lsb - 1)


def _through_output(
    device: Device, plan: LayerPlan, sums: DeviceArray, signs: DeviceArray | None, layout: tuple[int, ...]
) -> DeviceArray:
    xp, mac, exponent = device.xp, plan.mac, plan.output_exponent
    register, target = device_register(mac.accumulator), mac.activation
    if plan.bias is not None or exponent:
        offsets = np.zeros(1) if plan.bias is None else plan.bias.reshape(layout).astype(np.float64)
        sums = register.shifted(device, sums, offsets, exponent)
    reals = register.for_output(device, mac.spec.output, sums)
    posit = mac.spec.output == "posit" and isinstance(target, Posit)
    if signs is not None and not posit:
        reals = xp.where(signs == 0, reals, xp.copysign(target.largest, signs.astype(np.float64)))
    codes = encode_on(device, target, reals, keep_infinities=False).codes
    if posit:
        codes = _posit_ends(device, target, sums, signs, codes)
    return decode_on(device, target, codes) / 2.0**exponent


def _posit_ends(
    device: Device, target: Any, sums: DeviceArray, signs: DeviceArray | None, codes: DeviceArray
) -> DeviceArray:
    """What the quire's converter does that the encoder does not: round up to the smallest, and overflow."""
    xp, sign = device.xp, 1 << (target.bits - 1)
    half = _half_of_smallest(target)
    codes = xp.where((sums > half) & (codes == 0), 1, codes)
    codes = xp.where((sums < -half) & (codes == 0), 1 | sign, codes)
    if signs is not None:
        codes = xp.where(signs > 0, target.layout.largest_code, codes)
        codes = xp.where(signs < 0, target.layout.largest_code | sign, codes)
    return codes
