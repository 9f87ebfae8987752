"""Accumulators on a device as real values: what each kind of register does for itself.

`device_register` gives the register of an accumulator; a new kind registers a subclass there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Final

import numpy as np

from simulator.foundation.defects import DefectError
from simulator.inference.gpu.run_constants import RunConstants
from simulator.inference.quantization import LayerPlan
from simulator.numerics import Accumulator, FixedAccumulator
from simulator.numerics.accumulators import OverflowRule
from simulator.numerics.accumulators.coded import CodedAccumulator
from simulator.numerics.array_types import Reals
from simulator.numerics.formats.log import LogBase
from simulator.numerics.gpu import Device, DeviceArray
from simulator.numerics.gpu.device_arithmetic import THREADS, blocks, narrow
from simulator.numerics.gpu.device_encoding import decode_on, encode_on

_FLOAT64_BITS: Final = 54
"""Registers up to this width are float64 numbers, whose converters are those of floats."""

_WIDEST_LSB: Final = 900
"""Registers whose lowest bit weighs more than 2^900, or less than 2^-900, leave the range of float64."""


class DeviceRegister(ABC):
    """A kind of accumulator on a device. Sums are device arrays of any shape, of finite operands."""

    @abstractmethod
    def refusal(self, plan: LayerPlan) -> str | None:
        """Why the device cannot convert these registers for a layer; None where it can."""

    @property
    @abstractmethod
    def has_kernel(self) -> bool:
        """Whether one kernel adds the bias, shifts and converts, where no overflow is remembered."""

    @abstractmethod
    def decoded(self, device: Device, sums: DeviceArray) -> DeviceArray:
        """float64 values."""

    @abstractmethod
    def for_output(self, device: Device, rule: str, sums: DeviceArray) -> DeviceArray:
        """float64 values that the encoder of the output rule `rule` takes."""

    @abstractmethod
    def scaled(
        self,
        device: Device,
        constants: RunConstants,
        plan: LayerPlan,
        sums: DeviceArray,
        scale: Reals,
        layout: tuple[int, ...],
    ) -> DeviceArray:
        """Values x scale + the layer's bias in float64, rounded once to float32."""

    @abstractmethod
    def shifted(self, device: Device, sums: DeviceArray, offsets: Reals, exponent: int) -> DeviceArray:
        """A bias added in the register's own units, then a shift: `Accumulator.shifted`."""

    @abstractmethod
    def all_held(self, device: Device, sums: DeviceArray, extent: Callable[[], float]) -> bool:
        """Whether no sum can have left the register; `extent` bounds the sums of magnitudes."""


@singledispatch
def device_register(accumulator: Accumulator) -> DeviceRegister:
    """The register of an accumulator on a device. Raises DefectError for a kind that has none."""
    raise DefectError(f"a device has no register of a {accumulator.kind} accumulator")


def channels_of(sums: DeviceArray, layout: tuple[int, ...]) -> tuple[int, int]:
    """Neighbours that share a channel, and the channels."""
    axis = layout.index(-1)
    return int(np.prod(sums.shape[axis + 1 :], dtype=np.int64)), sums.shape[axis]


# ----------------------------------------------------------------------------------------- registers of codes


@dataclass(frozen=True, slots=True)
class CodedRegister(DeviceRegister):
    """Codes of a float format."""

    register: CodedAccumulator

    def refusal(self, plan: LayerPlan) -> str | None:  # noqa: ARG002 - fixed ones need the plan
        """None."""
        return None

    @property
    def has_kernel(self) -> bool:
        """No."""
        return False

    def decoded(self, device: Device, sums: DeviceArray) -> DeviceArray:
        """By the format."""
        return decode_on(device, self.register.number_format, sums)

    def for_output(self, device: Device, rule: str, sums: DeviceArray) -> DeviceArray:  # noqa: ARG002
        """NaN and infinities are infinite."""
        reals = self.decoded(device, sums)
        return device.xp.where(device.xp.isfinite(reals), reals, np.inf)

    def scaled(
        self,
        device: Device,
        constants: RunConstants,  # noqa: ARG002 - fixed ones keep theirs
        plan: LayerPlan,
        sums: DeviceArray,
        scale: Reals,
        layout: tuple[int, ...],
    ) -> DeviceArray:
        """NaN where a sum is infinite or NaN."""
        xp, real = device.xp, self.decoded(device, sums)
        infinite = ~xp.isfinite(real)
        real = real * (device.to_device(scale.reshape(layout)) if scale.ndim else float(scale))
        real = xp.where(infinite, np.nan, real)
        if plan.bias is not None:
            real = real + device.to_device(plan.bias.reshape(layout).astype(np.float64))
        return narrow(device, real)

    def shifted(self, device: Device, sums: DeviceArray, offsets: Reals, exponent: int) -> DeviceArray:
        """In float64, encoded again."""
        reals = (self.decoded(device, sums) + device.to_device(offsets)) * 2.0**exponent
        return encode_on(device, self.register.number_format, reals).codes

    def all_held(self, device: Device, sums: DeviceArray, extent: Callable[[], float]) -> bool:  # noqa: ARG002
        """The codes say it: none is infinite or NaN, or the largest of a format that saturates."""
        xp, fmt = device.xp, self.register.number_format
        values = self.decoded(device, sums)
        past = ~xp.isfinite(values)
        if not fmt.overflows_to_infinity:
            past = past | (xp.abs(values) >= fmt.largest)
        return not bool(past.any())


@device_register.register
def _(accumulator: CodedAccumulator) -> DeviceRegister:
    return CodedRegister(accumulator)


# -------------------------------------------------------------------------------------- registers of integers


@dataclass(frozen=True, slots=True)
class FixedRegister(DeviceRegister):
    """Two's complement integers, int64."""

    register: FixedAccumulator

    def refusal(self, plan: LayerPlan) -> str | None:
        """Where float64 or the converter of log numbers leaves its range."""
        bits, lsb, mac = self.register.bits, self.register.lsb, plan.mac
        if abs(lsb) > _WIDEST_LSB:
            return f"registers of 2^{lsb} leave the range of the device's conversion"
        if not plan.through_output:
            return None
        if bits > _FLOAT64_BITS:
            return f"registers of {bits} bits are no float64 numbers"
        log = mac.spec.output == "log" and isinstance(mac.activation, LogBase)
        if log and not (lsb >= -126 and lsb + bits <= 127):
            return "registers leave the range of the converter of log numbers"
        return None

    @property
    def has_kernel(self) -> bool:
        """Where the bits are those of the sum modulo 2**bits."""
        return _ENDS[self.register.overflow].has_kernel

    def decoded(self, device: Device, sums: DeviceArray) -> DeviceArray:  # noqa: ARG002 - codes need it
        """Integers times the weight of the lowest bit."""
        return sums.astype(np.float64) * 2.0**self.register.lsb

    def for_output(self, device: Device, rule: str, sums: DeviceArray) -> DeviceArray:
        """The converter of log numbers takes the most negative register for zero."""
        if rule == "log":
            sums = device.xp.where(sums == self.register.lowest, 0, sums)
        return self.decoded(device, sums)

    def scaled(
        self,
        device: Device,
        constants: RunConstants,
        plan: LayerPlan,
        sums: DeviceArray,
        scale: Reals,
        layout: tuple[int, ...],
    ) -> DeviceArray:
        """In one kernel."""
        run, channels = channels_of(sums, layout)
        scales = constants.get(
            (id(plan), "scales"), lambda: np.broadcast_to(scale.reshape(-1), (channels,)).copy()
        )
        bias = plan.bias
        offsets = constants.get(
            (id(plan), "offsets"),
            lambda: np.zeros(1) if bias is None else bias.astype(np.float64).reshape(-1),
        )
        results = device.xp.empty(sums.shape, np.float32)
        unit = np.float64(2.0**self.register.lsb)
        numbers = (np.int64(sums.size), np.int64(run), np.int64(channels), unit)
        if sums.size:
            arguments = (device.xp.ascontiguousarray(sums), results, *numbers, scales, offsets)
            device.launch("scaled", blocks(sums.size), THREADS, (*arguments, np.int32(bias is not None)))
        return results

    def shifted(self, device: Device, sums: DeviceArray, offsets: Reals, exponent: int) -> DeviceArray:
        """As registers of up to 54 bits hold it; bits shifted out below are lost."""
        register, keep = self.register, _ENDS[self.register.overflow].keep
        units = device.to_device(np.rint(np.ldexp(offsets, -register.lsb)).astype(np.int64))
        moved = keep(device.xp, register, sums + units)
        if exponent > 0:
            return keep(device.xp, register, moved << exponent)
        return moved >> -exponent

    def all_held(self, device: Device, sums: DeviceArray, extent: Callable[[], float]) -> bool:  # noqa: ARG002
        """Where the bound excludes it."""
        return extent() < self.register.undisturbed


@device_register.register
def _(accumulator: FixedAccumulator) -> DeviceRegister:
    return FixedRegister(accumulator)


@dataclass(frozen=True, slots=True)
class _Ends:
    """A rule for what happens past either end, on a device.

    keep(xp, register, sums): what the register holds of int64 sums. has_kernel: as `DeviceRegister` has it.
    """

    keep: Callable[[Any, FixedAccumulator, DeviceArray], DeviceArray]
    has_kernel: bool


def _wrapped(_xp: Any, register: FixedAccumulator, sums: DeviceArray) -> DeviceArray:
    spare = 64 - register.bits
    return (sums << spare) >> spare


def _clipped(xp: Any, register: FixedAccumulator, sums: DeviceArray) -> DeviceArray:
    return xp.clip(sums, register.lowest, register.highest)


_ENDS: Final[dict[OverflowRule, _Ends]] = {
    "wrap": _Ends(_wrapped, has_kernel=True),
    "saturate": _Ends(_clipped, has_kernel=False),
    "sticky": _Ends(_wrapped, has_kernel=True),
}
