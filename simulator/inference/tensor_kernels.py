"""Compiled passes over whole tensors of a layer. Import this only where they run."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.numerics.array_types import Array
from simulator.numerics.engines.compiled import kernel
from simulator.numerics.engines.intrinsics import bits_of

Zeros = tuple[np.unsignedinteger[Any], np.unsignedinteger[Any]]
Ends = tuple[np.float32, np.float32] | tuple[float, float]

_LANES = 16
"""Sums run in so many lanes on every machine and are then added in order, so that their bits are the same."""


@kernel
def differences(reference: Array, values: Array, sums: Array) -> None:
    """Add to sums[5]: powers of both, their product, the power of the error; keep its largest magnitude.

    Shapes: reference and values [n], float32 or float64. NaN and infinity among the values count as zero.
    """
    lanes = np.zeros((5, _LANES))
    powers, value_powers, products, noise, largest = lanes[0], lanes[1], lanes[2], lanes[3], lanes[4]
    whole = reference.size // _LANES * _LANES
    for start in range(0, whole, _LANES):
        wanted, found = reference[start : start + _LANES], values[start : start + _LANES]
        for lane in range(_LANES):
            x = np.float64(wanted[lane])
            y = np.float64(found[lane])
            y = y if abs(y) < np.inf else np.float64(0.0)
            error = y - x
            powers[lane] += x * x
            value_powers[lane] += y * y
            products[lane] += x * y
            noise[lane] += error * error
            size = abs(error)
            largest[lane] = size if size > largest[lane] else largest[lane]
    for place in range(whole, reference.size):
        x = np.float64(reference[place])
        y = np.float64(values[place])
        y = y if abs(y) < np.inf else np.float64(0.0)
        error = y - x
        powers[0] += x * x
        value_powers[0] += y * y
        products[0] += x * y
        noise[0] += error * error
        largest[0] = max(largest[0], abs(error))
    for figure in range(4):
        for lane in range(_LANES):
            sums[figure] += lanes[figure, lane]
    for lane in range(_LANES):
        sums[4] = max(sums[4], largest[lane])


@kernel
def losses(values: Array, codes: Array, zeros: Zeros, ends: Ends, counts: Array) -> None:
    """Add to counts[0] values outside of `ends`, to counts[1] codes of zero less values that are zero.

    counts[2] becomes the largest pattern of a magnitude where that is larger; those of NaN are the largest.

    Shapes: values and codes [n], counts [3]. `zeros` are the two codes of zero, of the codes' type; or twice
    the only one.
    """
    (one, other), (lowest, largest) = zeros, ends
    beyond, found, pattern = np.int32(0), np.int32(0), bits_of(lowest - lowest)
    for place in range(values.size):
        value = values[place]
        beyond += np.int32(value > largest) + np.int32(value < lowest)
        found += np.int32((codes[place] == one) | (codes[place] == other)) - np.int32(value == 0)
        pattern = max(pattern, bits_of(abs(value)))
    counts[0] += beyond
    counts[1] += found
    counts[2] = max(counts[2], np.int64(pattern))


@kernel
def losses_of_values(values: Array, kept: Array, ends: Ends, counts: Array) -> None:
    """As `losses`, of what became of the values in place of codes."""
    lowest, largest = ends
    beyond, found, pattern = np.int32(0), np.int32(0), bits_of(lowest - lowest)
    for place in range(values.size):
        value = values[place]
        beyond += np.int32(value > largest) + np.int32(value < lowest)
        found += np.int32(kept[place] == 0) - np.int32(value == 0)
        pattern = max(pattern, bits_of(abs(value)))
    counts[0] += beyond
    counts[1] += found
    counts[2] = max(counts[2], np.int64(pattern))


@kernel
def scale_and_shift(sums: Array, unit: float, scales: Array, offsets: Array, values: Array) -> None:
    """values[b, c, p] = sums[b, c, p] unit scales[c] + offsets[c] in float64, rounded once to float32.

    `unit` is a power of two. Without offsets (an empty array) nothing is added; a negative zero becomes 0.
    """
    batch, channels, pixels = sums.shape
    for b in range(batch):
        for c in range(channels):
            scale = scales[c]
            for p in range(pixels):
                values[b, c, p] = np.float32((np.float64(sums[b, c, p]) + 0.0) * unit * scale)
            if offsets.size:
                offset = offsets[c]
                for p in range(pixels):
                    real = (np.float64(sums[b, c, p]) + 0.0) * unit * scale
                    values[b, c, p] = np.float32(real + offset)


@kernel
def integers_to_reals(
    sums: Array, offsets: Array, numbers: tuple[float, float, float, float, float], reals: Array
) -> int:
    """reals[c, p] = (sums[c, p] unit + offsets[c]) lsb; how many integers in parentheses reach `limit`.

    `numbers` are unit, limit, lsb, and `lifted_from` and `least` of `RoundedReals`; unit and lsb are powers
    of two.
    """
    unit, limit, lsb, lifted_from, least = numbers
    beyond = 0
    channels, pixels = sums.shape
    for c in range(channels):
        offset = offsets[c]
        for p in range(pixels):
            whole = np.float64(sums[c, p]) * unit + offset
            beyond += int(abs(whole) >= limit)
            reals[c, p] = whole * lsb
        if least > 0.0:
            for p in range(pixels):
                real = reals[c, p]
                size = abs(real)
                is_lifted = (size > lifted_from) & (size < least)
                reals[c, p] = (least if real > 0 else -least) if is_lifted else real
    return beyond


@kernel
def lanes_to_reals(lanes: Array, inverse: float, offsets: Array, reals: Array) -> int:
    """reals[c, p] = lanes[c, p] inverse + offsets[c], none without offsets; how many lanes are not finite."""
    lost = 0
    channels, pixels = lanes.shape
    for c in range(channels):
        for p in range(pixels):
            lane = np.float64(lanes[c, p])
            lost += int(not abs(lane) < np.inf)
            reals[c, p] = lane * inverse
        if offsets.size:
            offset = offsets[c]
            for p in range(pixels):
                reals[c, p] += offset
    return lost


@kernel
def add_channels(tensor: Array, sums: Array) -> None:
    """Add to sums[c] all of tensor[b, c, p] in the order of b and then p, in float64."""
    batch, channels, pixels = tensor.shape
    together = 16
    for b in range(batch):
        for first in range(0, channels, together):
            last = min(first + together, channels)
            for p in range(pixels):
                for c in range(first, last):
                    sums[c] += np.float64(tensor[b, c, p])
