"""Scales: which real value the largest code of a format stands for."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simulator.numerics.formats import Format

Method = Literal["max", "percentile", "mse"]
Tensor = NDArray[Any]

SAMPLED_VALUES = 1 << 15
_FINE_STEPS = np.exp2(np.arange(-24, 9) / 8)
_COARSE_STEPS = np.exp2(np.arange(2, 17))


def tensor_scale(
    values: Tensor, fmt: Format, method: Method, *, percentile: float, power_of_two: bool = False
) -> float:
    """One scale for a whole tensor; 1 where it holds nothing but zeros."""
    flat = values.reshape(-1)
    sample = flat[:: max(1, flat.size // SAMPLED_VALUES)]
    extent = np.float64(
        np.percentile(np.abs(sample), percentile) if method == "percentile" else np.abs(flat).max()
    )
    scales = _scales(sample[:, None], np.atleast_1d(extent), fmt, method, power_of_two=power_of_two)
    return float(scales[0])


def channel_scales(
    weights: Tensor, fmt: Format, method: Method, *, percentile: float, power_of_two: bool = False
) -> NDArray[np.float64]:
    """Scales [groups, 1, N per group], one for each output channel of weights [groups, K, N per group]."""
    groups, _, channels = weights.shape
    columns = weights.transpose(1, 0, 2).reshape(weights.shape[1], -1)
    extents = (
        np.percentile(np.abs(columns), percentile, axis=0)
        if method == "percentile"
        else np.abs(columns).max(axis=0)
    ).astype(np.float64)
    scales = _scales(columns, extents, fmt, method, power_of_two=power_of_two)
    return scales.reshape(groups, 1, channels)


def _scales(
    columns: Tensor, extents: NDArray[np.float64], fmt: Format, method: Method, *, power_of_two: bool
) -> NDArray[np.float64]:
    """A scale for each column, from its extent or by searching for the least squared error."""
    base = np.where(extents > 0, extents, fmt.largest) / fmt.largest
    if power_of_two:
        base = np.exp2(np.ceil(np.log2(base)))
    if method != "mse":
        return base
    # Past the largest value only formats with tapered precision can gain: coarse steps will do there.
    steps = np.concatenate([_FINE_STEPS, _COARSE_STEPS])
    if power_of_two:
        steps = np.unique(np.exp2(np.round(np.log2(steps))))
    errors = np.stack([_squared_error(columns, base * step, fmt) for step in steps])
    return np.asarray(base * steps[errors.argmin(axis=0)])


def _squared_error(columns: Tensor, scales: NDArray[np.float64], fmt: Format) -> NDArray[np.float64]:
    rounded = fmt.decode(fmt.encode(columns / scales)) * scales
    return np.asarray(np.square(rounded - columns).sum(axis=0))
