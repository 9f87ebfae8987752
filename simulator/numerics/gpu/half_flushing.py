"""Whether a device's flushing half-precision step makes zeros of what the formats do: it is asked.

IEEE 754 leaves open whether a number is subnormal before or after it is rounded, and PTX does not say of its
flushing steps. Here a result is rounded to 11 bits first, and is zero if it then lies below 2^-14. So the
steps can differ only where an exact sum lies within a unit of 2^-14.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulator.foundation.defects import DefectError
from simulator.numerics.gpu.device import Device
from simulator.numerics.gpu.device_arithmetic import THREADS, blocks

_SMALLEST = 2.0**-14
_UNIT = 2.0**-24


def flushes_as_formats_do(device: Device) -> bool:
    """Whether no sum of `boundary_sums` tells the device's flushing step from the formats' rule."""
    return bool(device.constant("flushes", lambda: np.array(_differences(device) == 0)))


def _differences(device: Device) -> int:
    """How many sums differ."""
    rows = device.to_device(boundary_sums())
    counts = device.xp.zeros(2, np.uint64)
    size = len(rows)
    device.launch("halves_compare", blocks(size * 64), THREADS, (rows, np.int64(size), counts))
    different, compared = (int(each) for each in device.to_host(counts))
    if compared != 64 * size:
        raise DefectError(f"{compared} of {64 * size} sums were compared on {device.name}")
    return different


def boundary_sums() -> npt.NDArray[np.uint16]:
    """Half patterns (a, w, c), [n, 3], whose sums a w + c lie within two units of 2^-14 or are exactly there.

    All products of two significands next to the boundary with c = 0, and products of random significands
    beside the number that takes them there.
    """
    significands = np.arange(1024, 2048) * 2.0**-10
    rows = []
    for exponent in (-1, 0):
        a = significands * 2.0**-7
        w = significands * 2.0 ** (-7 + exponent)
        products = a[:, None] * w[None, :]
        m, n = np.nonzero(np.abs(products - _SMALLEST) <= 2 * _UNIT)
        rows.append(np.stack([a[m], w[n], np.zeros(m.size)], axis=1))
    rng = np.random.default_rng(1)
    a = rng.choice(significands, 20_000) * 2.0 ** rng.integers(-9, -4, 20_000)
    w = rng.choice(significands, 20_000) * 2.0 ** rng.integers(-9, -4, 20_000)
    c = (_SMALLEST - a * w).astype(np.float16).astype(np.float64)
    rows.append(np.stack([a, w, c], axis=1))
    return np.concatenate(rows).astype(np.float16).view(np.uint16)
