"""Input positions that outputs read, against the set of them; kernels of many taps in closed form."""

from __future__ import annotations

from random import Random

import pytest

from simulator.numerics.engines.compiled import kernel
from simulator.system.geometry import Axis, Geometry, floor_sum, input_extent
from simulator.system.tiling_needs import extents_of, ifmap_sizes
from simulator.workload.layer import Convolution, convolution_layer


@kernel
def all_and_largest(axis: Axis, size: int, first_tap: int, stop_tap: int) -> tuple[int, int]:
    """Extents of tiles, which only kernels ask for."""
    extents = extents_of(axis, size, first_tap, stop_tap)
    return extents.total, extents.largest


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


@pytest.mark.parametrize("dilation", [1, 2])
def test_extents_of_tiles_near_padding(dilation: int) -> None:
    """Tiles before, across and behind the input, windows that overlap and windows apart."""
    rnd = Random(dilation)
    clipped = 0
    for _ in range(1500):
        kernel_taps, stride = rnd.choice((1, 2, 3, 9, 30)), rnd.choice((1, 2, 3, 5, 11))
        inputs, padding = rnd.randrange(1, 40), rnd.randrange(70)
        outputs = max(1, (inputs + 2 * padding - dilation * (kernel_taps - 1) - 1) // stride + 1)
        axis = Axis(inputs, outputs, kernel_taps, stride, dilation, padding)
        first_tap = rnd.randrange(kernel_taps)
        taps = first_tap, rnd.randint(first_tap + 1, kernel_taps)
        size = rnd.randint(1, rnd.choice((2, 4, outputs)))
        tiles = [
            len(positions(axis, low, min(outputs, low + size), *taps)) for low in range(0, outputs, size)
        ]
        clipped += padding // (size * stride) > 4
        assert all_and_largest(axis, size, *taps) == (sum(tiles), max(tiles)), (axis, size, taps)
    assert clipped > 300


def test_extents_of_many_tiles_take_no_time_for_each() -> None:
    """10^9 outputs of one input, each through another one of 10^9 taps."""
    axis = Axis(1, 10**9, 10**9, 1, 1, 10**9 - 1)
    assert all_and_largest(axis, 1, 0, 10**9) == (10**9, 1)
    # 10^11 of padding on either side of 10^6 inputs, 100 taps: each input is read by 100 outputs.
    axis = Axis(10**6, 2 * 10**11 + 10**6 - 99, 100, 1, 1, 10**11)
    assert all_and_largest(axis, 1, 0, 100) == (100 * 10**6, 100)


def test_ifmap_sizes_of_pieces_of_the_reduction() -> None:
    """Every block and piece gone through: the elements that it reads, row by row and column by column."""
    rnd = Random(3)
    repeated = 0
    for _ in range(300):
        rows, columns, kernel_rows, kernel_columns = (rnd.randint(1, 9) for _ in range(4))
        inputs = (rnd.randint(kernel_rows, 14), rnd.randint(kernel_columns, 14))
        channels = rnd.randint(1, 40)
        down = Axis(inputs[0], inputs[0] - kernel_rows + 1 + 2, kernel_rows, 1, 1, 1)
        across = Axis(inputs[1], (inputs[1] - kernel_columns) // 2 + 1, kernel_columns, 2, 1, 0)
        size = kernel_rows * kernel_columns
        g = Geometry.of(
            convolution_layer(
                "c",
                Convolution(
                    1, channels, 1, inputs, (kernel_rows, kernel_columns), stride=(1, 2), padding=(1, 0, 1, 0)
                ),
            )
        )
        assert (g.rows, g.columns) == (down, across)
        k = rnd.randint(1, max(1, size - 1))
        read = []
        for first in range(0, g.k, k):
            taps = [(place // size, place % size) for place in range(first, min(g.k, first + k))]
            touched = {channel for channel, _ in taps}
            tap_rows = {tap // kernel_columns for _, tap in taps}
            tap_columns = {tap % kernel_columns for _, tap in taps} if len(tap_rows) == 1 else None
            if len(touched) > 1 or len(taps) == size:  # a piece of several channels reads the kernel of each
                tap_rows, tap_columns = set(range(kernel_rows)), None
            if tap_columns is None:
                tap_columns = set(range(kernel_columns))
            heights = [
                len(positions(down, low, min(down.outputs, low + rows), min(tap_rows), max(tap_rows) + 1))
                for low in range(0, down.outputs, rows)
            ]
            widths = [
                len(
                    positions(
                        across,
                        low,
                        min(across.outputs, low + columns),
                        min(tap_columns),
                        max(tap_columns) + 1,
                    )
                )
                for low in range(0, across.outputs, columns)
            ]
            read += [height * width * len(touched) for height in heights for width in widths]
        repeated += channels * size // k > size
        sizes = ifmap_sizes(g, rows, columns, k)
        assert (sizes.total, sizes.largest) == (sum(read), max(read)), (g, rows, columns, k)
    assert repeated > 100
