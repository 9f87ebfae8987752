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
    number = zeros = highs = 0
    for place in range(values.size):
        value = values[place]
        kept[number] = value
        zeros += int(value == 0)
        highs += int(value == high)
        number += int((value != 0) & (value != low) & (value != high))
    if high == 0:
        highs = 0
    return number, zeros, values.size - number - zeros - highs, highs


@kernel
def fit(
    scales: Array,
    squares: Array,
    cross: Array,
    power: Array,
    errors: Array,
    fitted: Array,
    fitted_errors: Array,
) -> None:
    """What `Fits.of` says, in one pass; squares [columns], the others [tried, columns], all float64."""
    for tried in range(scales.shape[0]):
        for column in range(scales.shape[1]):
            scale = scales[tried, column]
            product = cross[tried, column]
            square = power[tried, column]
            if not square < np.inf:
                errors[tried, column] = np.inf
                fitted_errors[tried, column] = np.inf
                fitted[tried, column] = scale
                continue
            error = max(squares[column] - 2 * scale * product + scale * scale * square, 0.0)
            errors[tried, column] = error
            if square > 0 and product > 0:
                best = product / square
                fitted[tried, column] = best
                fitted_errors[tried, column] = max(squares[column] - product * best, 0.0)
            else:
                fitted[tried, column] = scale
                fitted_errors[tried, column] = error


@kernel
def count_runs(
    ascending: Array, often: Array, times: Array, counts: Array, length: int, totals: Array, sums: Array
) -> tuple[int, float]:
    """Move distinct values to the start of `ascending`, say how often each occurs, and add them up.

    Sums are taken in the order of the values, one after the other.

    Args:
        ascending: sorted values, at least one; each of `often` is among them once more than it occurs.
        often: distinct values, ascending.
        times: how often each of them occurs besides.
        counts: as long as `ascending`.
        length: distinct values between two totals.
        totals: how many values lie before every `length`-th distinct one, and behind the last how many there
            are; as many as that takes, or more.
        sums: the sums of all values before each of these.

    Returns:
        How many distinct values there are, and the sum of squares of all values.
    """
    number = 0
    for place in range(ascending.size):
        value = ascending[place]
        is_last = place + 1 == ascending.size or ascending[place + 1] != value
        ascending[number] = value
        counts[number] = place + 1
        number += int(is_last)
    known = block = 0
    before = total = np.int64(0)
    running = squares = 0.0
    for place in range(number):
        if place % length == 0:
            totals[block] = total
            sums[block] = running
            block += 1
        end = np.int64(counts[place])
        occurs = end - before
        before = end
        if known < often.size and often[known] == ascending[place]:
            occurs += times[known] - 1
            known += 1
        counts[place] = occurs
        total += occurs
        value = np.float64(ascending[place])
        running += np.float64(occurs) * value
        squares += np.float64(occurs) * (value * value)
    totals[block] = total
    sums[block] = running
    return number, squares


@kernel
def step_sums(
    values: Array,
    counts: Array,
    totals: Array,
    sums: Array,
    tops: Array,
    length: int,
    thresholds: Array,
    levels: Array,
    scales: Array,
    cross: Array,
    power: Array,
) -> None:
    """The sums of code value x value and of code value**2 for a staircase, scaled, one step after the other.

    Shapes: values and counts [n]; totals and sums as `count_runs` gives them; tops is every `length`-th
    value; thresholds [steps - 1]; levels [steps]; scales, cross and power [tried]. Where an infinite level
    is reached, `power` is infinite and `cross` 0.
    """
    for tried in range(scales.size):
        count_before = 0.0
        sum_before = 0.0
        block = 0
        products = 0.0
        squares = 0.0
        for step in range(levels.size):
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
            occurs = np.float64(total) - count_before
            if occurs:
                level = levels[step]
                products += level * (running - sum_before)
                squares += level * level * occurs
            count_before = np.float64(total)
            sum_before = running
        is_whole = squares < np.inf
        cross[tried] = products if is_whole else 0.0
        power[tried] = squares if is_whole else np.inf


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
