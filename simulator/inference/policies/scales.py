"""Scales: which real value the largest code of a format stands for."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simulator.inference.distributions.distribution import Columns, Distribution, Scaled
from simulator.inference.distributions.staircase import staircase
from simulator.numerics.array_types import Tensor
from simulator.numerics.formats import Format

Method = Literal["max", "percentile", "mse"]
Reals = NDArray[np.float64]

SMALLEST_SCALE = 2.0**-126
"""Tensors are multiplied by the reciprocal of their scale in float32, which holds none of a smaller one."""

_CLIPPED_FROM = 1 / 8
"""The search starts where the largest code stands for this share of the root mean square."""

_COARSE, _FINE, _FINEST = 8, 128, 1024
"""Scales tried in an octave: of wide formats, of many values, and of the fewest."""

_MOST_ROUNDINGS = 1 << 18
"""Where trying every choice of codes takes no more roundings than this, the search is exhaustive."""

_MANY_VALUES, _MANY_LEVELS = 2048, 1024
_REFINED = 16
_ALIKE = 1 + 2.0**-10
_BLOCK = 1 << 16
"""Values of weights whose channels are searched together."""


def tensor_scale(
    values: Tensor | Distribution,
    fmt: Format,
    method: Method,
    *,
    percentile: float,
    power_of_two: bool = False,
) -> float:
    """One scale for a whole tensor, from all its values.

    `max` puts the largest magnitude on the format's largest value, so that nothing saturates; `percentile`
    does so with a percentile of magnitudes (with the largest where that percentile is 0); `mse` takes the
    scale with the least squared error that a search finds, never a worse one than that of `max`. Scales are
    at least `SMALLEST_SCALE`. A tensor that holds nothing but zeros has the scale 1. Values must be finite.
    """
    if method == "max" and not isinstance(values, Distribution):
        extent = max(-float(values.min(initial=0)), float(values.max(initial=0)))
        return float(covering_scales(np.array([extent]), fmt, power_of_two=power_of_two)[0])
    distribution = values if isinstance(values, Distribution) else Distribution.of(values)
    reached = distribution.magnitude(percentile) if method == "percentile" else 0.0
    extents = np.array([reached or distribution.extent])
    bases = covering_scales(extents, fmt, power_of_two=power_of_two)
    if method != "mse" or not extents[0]:
        return float(bases[0])
    return float(_least_error(distribution, bases, fmt, power_of_two=power_of_two)[0])


def channel_scales(
    weights: Tensor, fmt: Format, method: Method, *, percentile: float, power_of_two: bool = False
) -> Reals:
    """Scales [groups, 1, N per group], one for each output channel of weights [groups, K, N per group].

    Each is what `tensor_scale` promises for the channel's weights.
    """
    groups, length, channels = weights.shape
    columns = weights.transpose(1, 0, 2).reshape(length, -1).astype(np.float64)
    magnitudes = np.abs(columns)
    extents = magnitudes.max(axis=0)
    if method == "percentile":
        reached = np.percentile(magnitudes, percentile, axis=0)
        extents = np.where(reached > 0, reached, extents)
    scales = covering_scales(extents, fmt, power_of_two=power_of_two)
    if method == "mse":
        width = max(1, _BLOCK // length)
        used = np.flatnonzero(extents)
        for block in np.split(used, range(width, used.size, width)):
            scales[block] = _least_error(
                Columns(columns[:, block]), scales[block], fmt, power_of_two=power_of_two
            )
    return scales.reshape(groups, 1, channels)


def covering_scales(extents: Reals, fmt: Format, *, power_of_two: bool = False) -> Reals:
    """The least scales at which magnitudes of `extents` do not exceed the format's largest value; 1 for 0.

    They hold for division in float64 and for what `encode` does with tensors of float32 and float64:
    multiplication by a reciprocal that was rounded to float32.
    """
    given = np.where(extents > 0, extents, fmt.largest)
    scales = np.maximum(given / fmt.largest, SMALLEST_SCALE)
    if power_of_two:
        fractions, exponents = np.frexp(scales)
        scales = np.exp2(np.where(fractions == 0.5, exponents - 1, exponents).astype(np.float64))
    step = 2.0 if power_of_two else 1 + 2.0**-24
    while (too_small := _exceeds(given, scales, fmt)).any():
        scales = np.where(too_small, scales * step, scales)
    return np.asarray(scales)


def _exceeds(extents: Reals, scales: Reals, fmt: Format) -> NDArray[np.bool_]:
    reciprocals = (1 / scales).astype(np.float32)
    with np.errstate(over="ignore"):
        in_float32 = extents.astype(np.float32) * reciprocals
    scaled = np.stack([in_float32.astype(np.float64), extents * reciprocals, extents / scales])
    return np.asarray((scaled > fmt.largest).any(axis=0))


def _least_error(columns: Scaled, bases: Reals, fmt: Format, *, power_of_two: bool) -> Reals:
    """The scale of each column with the least squared error among many, at most that of `bases`."""
    lowest = np.log2(_CLIPPED_FROM * columns.root_mean_squares / (bases * fmt.largest))
    if power_of_two:
        tried = _powers_of_two(bases, lowest, headroom(fmt))
        errors = columns.fits(fmt, tried).errors
    else:
        tried, errors = _refined(columns, fmt, _tried(columns, bases, lowest, headroom(fmt), fmt))
    best = tried[errors.argmin(axis=0), np.arange(bases.size)]
    return np.where(columns.improves(fmt, best, bases), best, bases)


def _powers_of_two(bases: Reals, lowest: Reals, highest: float) -> Reals:
    octaves = np.arange(np.floor(lowest.min()), highest + 1)
    return np.maximum(bases * np.exp2(octaves)[:, None], SMALLEST_SCALE)


def _tried(columns: Scaled, bases: Reals, lowest: Reals, highest: float, fmt: Format) -> Reals:
    """Scales [tried, columns]: one for each choice of codes where these are few, else a grid."""
    steps, length = staircase(fmt), len(columns.values)
    if steps is not None and steps.thresholds.size * length * length <= _MOST_ROUNDINGS:
        return np.maximum(
            _between_steps(columns.values.astype(np.float64), steps.thresholds, bases), SMALLEST_SCALE
        )
    density = _density(length, None if steps is None else steps.levels.size)
    span = highest - lowest
    octaves = lowest + span * np.linspace(0, 1, int(np.ceil(density * span.max())) + 1)[:, None]
    return np.asarray(np.maximum(bases * np.exp2(octaves), SMALLEST_SCALE))


@lru_cache(maxsize=256)
def headroom(fmt: Format) -> float:
    """Octaves from where a format is finest, relative to the value, up to its largest value, and 1 more.

    A scale that puts the largest magnitude further down than this only takes precision away. It is 1 for
    integers and floats; tapered formats are finest far below their largest value.
    """
    steps = staircase(fmt)
    if steps is None:
        return 1.0
    levels = steps.levels[np.isfinite(steps.levels) & (steps.levels > 0)]
    gaps = np.diff(levels) / levels[1:]
    finest = levels[1:][gaps <= gaps.min(initial=np.inf) * _ALIKE]
    return 1.0 + float(np.log2(levels[-1] / finest[-1])) if finest.size else 1.0


def _density(length: int, levels: int | None) -> int:
    """Scales in an octave: the fewer the values and the more the levels, the rougher is the error."""
    if levels is None or (length > _MANY_VALUES and levels > _MANY_LEVELS):
        return _COARSE
    affordable = _MOST_ROUNDINGS // (16 * length) * max(1, levels // 256)
    return min(max(_FINE, affordable), _FINEST)


def _between_steps(values: Reals, thresholds: Reals, bases: Reals) -> Reals:
    """Scales between those at which some value of a column changes its code, so every choice of codes."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        steps = values.reshape(len(values), 1, -1) / thresholds[:, None]
    steps = np.where(np.isfinite(steps) & (steps > 0), steps, bases)
    ascending = np.sort(steps.reshape(-1, bases.size), axis=0)
    between = np.sqrt(ascending[:-1]) * np.sqrt(ascending[1:])
    return np.concatenate([ascending[:1] / 2, between, ascending[-1:] * 2])


def _refined(columns: Scaled, fmt: Format, tried: Reals) -> tuple[Reals, Reals]:
    """The scales tried, and those that were fitted to the most promising codes, with their errors."""
    fits = columns.fits(fmt, tried)
    promising = np.argsort(fits.fitted_errors, axis=0)[:_REFINED]
    fitted = np.maximum(np.take_along_axis(fits.fitted, promising, axis=0), SMALLEST_SCALE)
    errors = columns.fits(fmt, fitted).errors
    return np.concatenate([tried, fitted]), np.concatenate([fits.errors, errors])
