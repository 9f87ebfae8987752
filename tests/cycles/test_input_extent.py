"""Input positions that outputs read, against the set of them; kernels of many taps in closed form."""

from __future__ import annotations

from random import Random

import pytest

from simulator.system.geometry import Axis, floor_sum, input_extent


def positions(axis: Axis, first: int, stop: int, first_tap: int, stop_tap: int) -> set[int]:
    read = {
        output * axis.stride - axis.padding + tap * axis.dilation
        for output in range(first, stop)
        for tap in range(first_tap, stop_tap)
    }
    return {position for position in read if 0 <= position < axis.inputs}


@pytest.mark.parametrize("kernels", [(1, 2, 3), (17, 20, 40)])
def test_an_extent_counts_every_position_once(kernels: tuple[int, ...]) -> None:
    rnd = Random(1)
    apart = 0
    for _ in range(4000):
        kernel, dilation, stride = (
            rnd.choice(kernels),
            rnd.choice((1, 2, 3, 5, 7)),
            rnd.choice((1, 2, 4, 30, 50)),
        )
        inputs, padding = rnd.randrange(1, 60), rnd.randrange(40)
        outputs = max(1, (inputs + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)
        axis = Axis(inputs, outputs, kernel, stride, dilation, padding)
        first, first_tap = rnd.randrange(outputs), rnd.randrange(kernel)
        some = first, rnd.randint(first + 1, outputs), first_tap, rnd.randint(first_tap + 1, kernel)
        apart += stride > some[3] - some[2]
        assert input_extent(axis, *some) == len(positions(axis, *some)), (axis, some)
    assert apart > 400


def test_an_extent_of_many_taps_takes_no_time_for_each() -> None:
    """10^9 taps 2 apart over 10^10 inputs: 9 outputs 1 apart read every position from 0 to 2 x 10^9 + 6."""
    axis = Axis(10**10, 10**10 - 2 * (10**9 - 1), 10**9, 1, 2, 0)
    assert input_extent(axis, 0, 9, 0, 10**9) == 2 * (10**9 - 1) + 9
    # One output alone reads every second position.
    assert input_extent(axis, 5, 6, 0, 10**9) == 10**9
    # Windows 10^4 apart, of 3 taps: those in 10^9 outputs of padding read nothing.
    apart = Axis(30_000, 10**9, 3, 10**4, 1, 10**12)
    assert input_extent(apart, 0, 10**9, 0, 3) == 9


@pytest.mark.parametrize(("count", "divisor", "step", "first"), [(0, 3, 2, 1), (9, 7, 5, 3), (40, 1, 6, 2)])
def test_sums_of_floors(count: int, divisor: int, step: int, first: int) -> None:
    assert floor_sum(count, divisor, step, first) == sum((first + i * step) // divisor for i in range(count))
