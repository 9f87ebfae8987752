"""Element by element on a device, with the bits that NumPy has on the CPU: subnormal numbers are kept.

CuPy compiles its own operations on float32 arrays so that subnormal numbers become zeros. Everything here
goes through kernels that keep them; CuPy moves float32 values and computes in float64 and integers alone.
"""

from __future__ import annotations

from math import inf, prod
from typing import Any, Final, Literal

import numpy as np

from simulator.numerics.gpu.device import Device, DeviceArray

THREADS: Final = 256
_MOST_BLOCKS: Final = 1 << 14

Kind = Literal["add", "subtract", "multiply", "divide", "greater"]
_KINDS: Final[tuple[Kind, ...]] = ("add", "subtract", "multiply", "divide", "greater")


def blocks(size: int) -> tuple[int, int, int]:
    """A grid for so many elements."""
    return min(-(-size // THREADS), _MOST_BLOCKS), 1, 1


def look_up(device: Device, table: DeviceArray, codes: DeviceArray) -> DeviceArray:
    """`table[codes]`, contiguous. Codes must lie within the table."""
    codes = device.xp.ascontiguousarray(codes)
    values = device.xp.empty(codes.shape, table.dtype)
    if codes.size:
        kernel = f"look_up_{codes.dtype.itemsize}_{table.dtype.itemsize}"
        device.launch(kernel, blocks(codes.size), THREADS, (codes, table, values, np.int64(codes.size)))
    return values


def pairs(device: Device, kind: Kind, first: DeviceArray, second: DeviceArray) -> DeviceArray:
    """One operation of two float32 arrays, rounded once; broadcasting as NumPy's.

    `greater` is `numpy.maximum`: NaN from either, and the second of two equal zeros.
    """
    xp = device.xp
    shape = np.broadcast_shapes(first.shape, second.shape)
    first = xp.ascontiguousarray(xp.broadcast_to(first, shape))
    period = _period(shape, second.shape)
    if period is None:
        second, period = xp.broadcast_to(second, shape), (1, prod(shape))
    second = xp.ascontiguousarray(second)
    results = xp.empty(shape, np.float32)
    if results.size:
        run, size = period
        numbers = (np.int64(results.size), np.int64(run), np.int64(size), np.int32(_KINDS.index(kind)))
        device.launch("pairs", blocks(results.size), THREADS, (first, second, results, *numbers))
    return results


def _period(shape: tuple[int, ...], part: tuple[int, ...]) -> tuple[int, int] | None:
    """Neighbours that share an element of an array of shape `part` spread over `shape`, and its elements.

    None where they do not repeat in that way.
    """
    sizes = (1,) * (len(shape) - len(part)) + part
    kept = [axis for axis, size in enumerate(sizes) if size == shape[axis] and size != 1]
    if not kept:
        return 1, 1
    first, last = kept[0], kept[-1]
    if sizes[first : last + 1] != shape[first : last + 1]:
        return None
    return prod(shape[last + 1 :]), prod(shape[first : last + 1])


def bounded(device: Device, values: DeviceArray, low: float = -inf, high: float = inf) -> DeviceArray:
    """`numpy.clip` of float32 values: what is equal to a bound stays as it is, NaN too."""
    return _each(device, "bounded", values, np.float32, np.float32(low), np.float32(high))


def narrow(device: Device, values: DeviceArray) -> DeviceArray:
    """float64 values rounded once to float32."""
    return _each(device, "narrow", values, np.float32)


def widen(device: Device, values: DeviceArray) -> DeviceArray:
    """float32 values as float64."""
    return _each(device, "widen", values, np.float64)


def _each(
    device: Device, kernel: str, values: DeviceArray, dtype: type[np.floating[Any]], *numbers: np.float32
) -> DeviceArray:
    """What a kernel makes of each value alone, contiguous."""
    values = device.xp.ascontiguousarray(values)
    results = device.xp.empty(values.shape, dtype)
    if values.size:
        arguments = (values, results, np.int64(values.size), *numbers)
        device.launch(kernel, blocks(values.size), THREADS, arguments)
    return results
