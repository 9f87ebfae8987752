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


def extents(axis: Axis, size: int, taps: set[int]) -> list[int]:
    """How many positions each tile reads through the taps from the lowest to the highest."""
    first_tap, stop_tap = min(taps), max(taps) + 1
    return [
        len(positions(axis, low, min(axis.outputs, low + size), first_tap, stop_tap))
        for low in range(0, axis.outputs, size)
    ]


def elements_of_piece(g: Geometry, rows: int, columns: int, piece: range) -> list[int]:
    """The elements that each block reads for a piece of the reduction, tap by tap."""
    size = g.rows.kernel * g.columns.kernel
    channels = {place // size for place in piece}
    tap_rows = {place % size // g.columns.kernel for place in piece}
    tap_columns = {place % g.columns.kernel for place in piece}
    if len(channels) > 1 or len(piece) == size:  # the whole kernel of each channel
        tap_rows = set(range(g.rows.kernel))
    if len(channels) > 1 or len(tap_rows) > 1:  # whole rows of the kernel
        tap_columns = set(range(g.columns.kernel))
    heights, widths = extents(g.rows, rows, tap_rows), extents(g.columns, columns, tap_columns)
    return [height * width * len(channels) for height in heights for width in widths]


def test_ifmap_sizes_of_pieces_of_the_reduction() -> None:
    """Every block and piece gone through; cuts meet the same tap again after some pieces, or never."""
    rnd = Random(3)
    repeated = 0
    for _ in range(300):
        rows, columns, kernel_rows, kernel_columns = (rnd.randint(1, 9) for _ in range(4))
        kernel_taps, channels = (kernel_rows, kernel_columns), rnd.randint(1, 40)
        inputs = (rnd.randint(kernel_rows, 14), rnd.randint(kernel_columns, 14))
        shape = Convolution(1, channels, 1, inputs, kernel_taps, stride=(1, 2), padding=(1, 0, 1, 0))
        g = Geometry.of(convolution_layer("c", shape))
        k = rnd.randint(1, max(1, kernel_rows * kernel_columns - 1))
        pieces = [range(first, min(g.k, first + k)) for first in range(0, g.k, k)]
        read = [elements for piece in pieces for elements in elements_of_piece(g, rows, columns, piece)]
        repeated += len(pieces) > kernel_rows * kernel_columns
        sizes = ifmap_sizes(g, rows, columns, k)
        assert (sizes.total, sizes.largest) == (sum(read), max(read)), (g, rows, columns, k)
    assert repeated > 100
