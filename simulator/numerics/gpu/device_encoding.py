"""Real values to codes on a device, as `Format.encode` has them, and what the codes lost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, singledispatch

import numpy as np
import numpy.typing as npt

from simulator.foundation.defects import DefectError
from simulator.numerics.formats import TABLE_BITS, Format
from simulator.numerics.formats.fixed_point import FixedPoint
from simulator.numerics.formats.log import LogBase
from simulator.numerics.formats.minifloat import Minifloat
from simulator.numerics.formats.posit import Posit
from simulator.numerics.formats.sign_magnitude import SignMagnitude
from simulator.numerics.formats.standard_float import Binary64
from simulator.numerics.gpu.device import Device, DeviceArray
from simulator.numerics.gpu.device_arithmetic import THREADS, blocks, look_up, widen


@dataclass(frozen=True, slots=True)
class DeviceCodes:
    """Codes on the device; counts [3]: beyond the largest values, became zero, infinite or NaN."""

    codes: DeviceArray
    counts: DeviceArray


@dataclass(frozen=True, eq=False)
class Conversion:
    """The numbers that `code_of` in the kernels takes, and the kinds of codes for formats with a table."""

    kind: int
    reals: tuple[float, float, float]
    integers: tuple[int, int, int, int, int]
    table: npt.NDArray[np.uint32]


def has_device_encoder(fmt: Format) -> bool:
    """Whether a device converts to a format."""
    return _conversion_of(fmt) is not None


def encode_on(
    device: Device, fmt: Format, values: DeviceArray, scale: float = 1.0, *, keep_infinities: bool = True
) -> DeviceCodes:
    """Codes of float32 or float64 values x `scale` (rounded to float32 where it is not 1), and the counts.

    Args:
        device: where the values lie.
        fmt: a format with `has_device_encoder`.
        values: float32 or float64, any shape.
        scale: a float32 number.
        keep_infinities: else infinities that tiny values became are zero, as in inference.
    """
    xp = device.xp
    values = xp.ascontiguousarray(values)
    codes = xp.empty(values.shape, fmt.code_dtype)
    counts = xp.zeros(3, np.uint64)
    if not values.size:
        return DeviceCodes(codes, counts)
    if scale != 1.0 and values.dtype != np.float32:
        raise DefectError("a scale is a product in float32, and the values are float64")
    real = "single" if values.dtype == np.float32 else "double"
    device.launch(
        f"encode_{real}_{np.dtype(fmt.code_dtype).name}",
        blocks(values.size),
        THREADS,
        (
            *(values, np.float32(scale), codes, np.int64(values.size)),
            *conversion_arguments(device, fmt, keep_infinities=keep_infinities),
            counts,
        ),
    )
    return DeviceCodes(codes, counts)


def conversion_arguments(device: Device, fmt: Format, *, keep_infinities: bool) -> tuple[DeviceArray, ...]:
    """What `code_of` and `encode` in the kernels take: reals, integers, table, kinds."""
    conversion = _conversion_of(fmt)
    assert conversion is not None
    key = (fmt.spec, "encoder", keep_infinities)
    has_kinds = fmt.bits <= TABLE_BITS
    return (
        device.constant((*key, "reals"), lambda: _reals(fmt, conversion, keep_infinities=keep_infinities)),
        device.constant((*key, "integers"), lambda: _integers(fmt, conversion, has_kinds=has_kinds)),
        device.constant((*key, "table"), lambda: conversion.table),
        device.constant((*key, "kinds"), lambda: _kinds(fmt) if has_kinds else np.zeros(1, np.uint8)),
    )


def _reals(fmt: Format, conversion: Conversion, *, keep_infinities: bool) -> npt.NDArray[np.float64]:
    smallest = 0.0 if keep_infinities or not fmt.has_infinity else fmt.smallest_positive
    return np.array((*conversion.reals, float(fmt.largest), float(fmt.lowest), smallest), np.float64)


def _integers(fmt: Format, conversion: Conversion, *, has_kinds: bool) -> npt.NDArray[np.int64]:
    zero = int(fmt.encode(np.zeros(1))[0])
    integers = (conversion.kind, *conversion.integers, zero, fmt.bits if has_kinds else 0)
    return np.array(integers, np.int64)


def decode_on(device: Device, fmt: Format, codes: DeviceArray) -> DeviceArray:
    """The values of codes, float64."""
    if fmt.spec == "fp32":
        return widen(device, device.xp.ascontiguousarray(codes).view(np.float32))
    return look_up(device, values_on(device, fmt), codes)


def values_on(device: Device, fmt: Format) -> DeviceArray:
    """The value of every code, float64."""
    return device.constant(
        (fmt.spec, "values"), lambda: fmt.decode(np.arange(1 << fmt.bits, dtype=fmt.code_dtype))
    )


def _kinds(fmt: Format) -> npt.NDArray[np.uint8]:
    """1 for zeros, 2 for infinities and NaN, by code."""
    values = fmt.values()
    kinds: npt.NDArray[np.uint8] = (values == 0).astype(np.uint8)
    kinds[~np.isfinite(values)] = 2
    return kinds


@lru_cache(maxsize=256)
def _conversion_of(fmt: Format) -> Conversion | None:
    return _conversion(fmt)


@singledispatch
def _conversion(_fmt: object) -> Conversion | None:
    return None


_NO_TABLE = np.zeros(1, np.uint32)


@_conversion.register
def _(fmt: FixedPoint) -> Conversion:
    low, high = fmt.limits
    reals = (2.0**fmt.fraction_bits, float(low), float(high))
    return Conversion(0, reals, ((1 << fmt.bits) - 1, 0, 0, 0, 0), _NO_TABLE)


@_conversion.register
def _(fmt: Minifloat) -> Conversion | None:
    if isinstance(fmt, Binary64):
        return None
    sign_bit = fmt.bits - 1 if fmt.signed else -1
    integers = (fmt.fraction_bits, fmt.bias, fmt.code_of_nan, sign_bit, int(fmt.keeps_minus_zero))
    return Conversion(1, (fmt.overflow_from, 0.0, 0.0), integers, _NO_TABLE)


@_conversion.register
def _(fmt: SignMagnitude) -> Conversion:
    # A float of one exponent bit whose normal and subnormal numbers have the same step, 1.
    fraction_bits = fmt.bits - 2
    integers = (fraction_bits, 1 - fraction_bits, 0, fmt.bits - 1, 1)
    return Conversion(1, (float(fmt.largest), 0.0, 0.0), integers, _NO_TABLE)


@_conversion.register(LogBase)
@_conversion.register(Posit)
def _(fmt: LogBase | Posit) -> Conversion:
    drop, first, last, infinite, sticky = fmt.pattern_table.binary64_places
    table = fmt.pattern_table.codes.astype(np.uint32)
    return Conversion(2, (0.0, 0.0, 0.0), (drop, first, last, infinite, int(sticky)), table)
