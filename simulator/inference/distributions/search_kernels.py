"""Compiled loops of the search for scales. Import this only where they run."""

from __future__ import annotations

import numpy as np

from simulator.numerics.array_types import Array
from simulator.numerics.engines.compiled import kernel
from simulator.numerics.engines.intrinsics import bits_of_double, double_of_bits, widest_vectors


@kernel
def column_sums(
    values: Array,
    scales: Array,
    first: float,
    anchor: float,
    low: float,
    high: float,
    cross: Array,
    power: Array,
) -> None:
    """The sums of code value x value and of code value**2 over columns, terms in the order of the rows.

    Shapes: values [length, columns]; scales, cross and power [tried, columns]; all float64. Code values are
    those of a `RoundingGrid`.
    """
    widest_vectors()
    length, columns = values.shape
    for tried in range(scales.shape[0]):
        cross[tried] = 0.0
        power[tried] = 0.0
        for row in range(length):
            for column in range(columns):
                value = values[row, column]
                clipped = min(max(value / scales[tried, column], low), high)
                own_power = double_of_bits(bits_of_double(clipped) & np.int64(0x7FF0000000000000))
                own_anchor = max(own_power, first) * anchor
                level = (clipped + own_anchor) - own_anchor
                cross[tried, column] += value * level
                power[tried, column] += level * level


@kernel
def leave_out(values: Array, low: float, high: float, kept: Array) -> tuple[int, int, int, int]:
    """Copy values that are neither 0 nor `low` nor `high` to the start of `kept`, in order.

    Returns:
        How many were kept, and how many were 0, `low` and `high`, each counted once.
    """
    number = zeros = lows = highs = 0
    for place in range(values.size):
        value = values[place]
        is_zero = value == 0
        is_high = not is_zero and value == high
        is_low = not is_zero and not is_high and value == low
        kept[number] = value
        zeros += int(is_zero)
        highs += int(is_high)
        lows += int(is_low)
        number += int(not (is_zero or is_high or is_low))
    return number, zeros, lows, highs


@kernel
def count_runs(ascending: Array, often: Array, times: Array, counts: Array) -> int:
    """Move distinct values to the start of `ascending` and say how often each occurs; returns their number.

    Args:
        ascending: sorted values; each of `often` is among them once more than it occurs.
        often: distinct values, ascending.
        times: how often each of them occurs besides.
        counts: as long as `ascending`.
    """
    number = place = known = 0
    while place < ascending.size:
        value = ascending[place]
        end = place + 1
        while end < ascending.size and ascending[end] == value:
            end += 1
        occurs = end - place
        if known < often.size and often[known] == value:
            occurs += times[known] - 1
            known += 1
        ascending[number] = value
        counts[number] = occurs
        number += 1
        place = end
    return number


@kernel
def running_totals(values: Array, counts: Array, length: int, totals: Array, sums: Array) -> None:
    """Counts and sums of all values before every `length`-th one, and of all, in the order of the values.

    Shapes: values and counts [n]; totals and sums [n / length, rounded up, + 1].
    """
    total = 0
    running = 0.0
    for place in range(values.size):
        if place % length == 0:
            totals[place // length] = total
            sums[place // length] = running
        total += counts[place]
        running += np.float64(counts[place]) * np.float64(values[place])
    totals[totals.size - 1] = total
    sums[sums.size - 1] = running


@kernel
def step_sums(
    values: Array,
    counts: Array,
    totals: Array,
    sums: Array,
    tops: Array,
    length: int,
    thresholds: Array,
    scales: Array,
    step_counts: Array,
    step_totals: Array,
) -> None:
    """How many values lie on each step of a staircase, scaled, and their sums.

    Shapes: values and counts [n]; totals and sums as `running_totals` gives them; tops is every `length`-th
    value; thresholds [steps - 1]; scales [tried]; step_counts and step_totals [tried, steps].
    """
    for tried in range(scales.size):
        count_before = 0.0
        sum_before = 0.0
        block = 0
        for step in range(thresholds.size + 1):
            if step < thresholds.size:
                cut = thresholds[step] * scales[tried]
                low, high = block, tops.size
                while low < high:
                    middle = (low + high) >> 1
                    if np.float64(tops[middle]) < cut:
                        low = middle + 1
                    else:
                        high = middle
                block = max(low - 1, 0)
                place = block * length
                end = min(place + length, values.size)
                total = totals[block]
                running = sums[block]
                while place < end and np.float64(values[place]) < cut:
                    total += counts[place]
                    running += np.float64(counts[place]) * np.float64(values[place])
                    place += 1
            else:
                total = totals[totals.size - 1]
                running = sums[sums.size - 1]
            step_counts[tried, step] = np.float64(total) - count_before
            step_totals[tried, step] = running - sum_before
            count_before = np.float64(total)
            sum_before = running


_LANES = 8


@kernel
def noise(values: Array, counts: Array, thresholds: Array, levels: Array, scale: float) -> float:
    """The sum of counts (code value x scale - value)**2, in lanes; a code is that of value / scale."""
    lanes = np.zeros(_LANES)
    place = 0
    for step in range(levels.size):
        end = values.size
        if step < thresholds.size:
            low = place
            while low < end:
                middle = (low + end) >> 1
                if np.float64(values[middle]) / scale < thresholds[step]:
                    low = middle + 1
                else:
                    end = middle
        level = levels[step] * scale
        whole = place + (end - place) // _LANES * _LANES
        for start in range(place, whole, _LANES):
            for lane in range(_LANES):
                error = level - np.float64(values[start + lane])
                lanes[lane] += np.float64(counts[start + lane]) * (error * error)
        for rest in range(whole, end):
            error = level - np.float64(values[rest])
            lanes[0] += np.float64(counts[rest]) * (error * error)
        place = end
    total = 0.0
    for lane in range(_LANES):
        total += lanes[lane]
    return total


@kernel
def largest_magnitude(values: Array, counts: Array, rank: int) -> float:
    """The `rank`-th largest of the magnitudes of ascending values that occur `counts` times; from 1 on."""
    first, last = 0, values.size - 1
    seen = 0
    found = 0.0
    while seen < rank and first <= last:
        if -np.float64(values[first]) > np.float64(values[last]):
            found = -np.float64(values[first])
            seen += counts[first]
            first += 1
        else:
            found = np.float64(values[last])
            seen += counts[last]
            last -= 1
    return found
