"""Which input a tile of output pixels reads: every layer as a convolution, a plain product as one of 1 x 1.

A tile is a block of output pixels (images x rows x columns) times a piece of the reduction. The reduction
counts channel by channel and, inside a channel, over the kernel's rows and columns.
"""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

from simulator.numerics.engines.compiled import kernel
from simulator.workload.layer import Convolution, Layer


class Axis(NamedTuple):
    """One axis of a convolution: input and output length, kernel taps, stride, dilation, padding before."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    dilation: int
    padding: int


class Geometry(NamedTuple):
    """A layer's loops: images, output rows and columns, output channels and reduction of a group, groups.

    channels: input channels of one group. k = channels x kernel rows x kernel columns.
    """

    images: int
    rows: Axis
    columns: Axis
    channels: int
    n: int
    k: int
    groups: int

    @classmethod
    def of(cls, layer: Layer, *, as_product: bool = True) -> Geometry:
        """The geometry of a layer.

        as_product: a convolution whose windows do not overlap and need no padding reads every input once, so
        it is the plain product of its M pixels and K; images, rows and columns are then one run of pixels.
        """
        convolution = layer.convolution
        if convolution is None or (as_product and _is_product(convolution)):
            pixels = Axis(layer.m, layer.m, 1, 1, 1, 0)
            return cls(1, Axis(1, 1, 1, 1, 1, 0), pixels, layer.k, layer.n_per_group, layer.k, layer.groups)
        c = convolution
        rows, columns = (
            Axis(c.ifmap[i], c.ofmap[i], c.kernel[i], c.stride[i], c.dilation[i], c.padding[i])
            for i in (0, 1)
        )
        channels = c.channels // c.groups
        return cls(c.batch, rows, columns, channels, layer.n_per_group, layer.k, layer.groups)

    @property
    def turned(self) -> Geometry:
        """The same loops with rows and columns exchanged: blocks and taps follow columns first."""
        return self._replace(rows=self.columns, columns=self.rows)

    @property
    def m(self) -> int:
        """Output pixels of all images."""
        return self.images * self.rows.outputs * self.columns.outputs

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all groups."""
        return self.m * self.n * self.k * self.groups

    @property
    def is_product(self) -> bool:
        """Whether output pixels are one run, each with inputs that no other one reads."""
        return self.images == self.rows.outputs == self.columns.kernel == 1 and not self.columns.padding

    @property
    def kernel_size(self) -> int:
        """Taps of one channel."""
        return self.rows.kernel * self.columns.kernel


def _is_product(convolution: Convolution) -> bool:
    """Whether no input is read by two output pixels, or padded."""
    disjoint = all(
        (stride >= kernel or outputs == 1) and (dilation == 1 or kernel == 1)
        for stride, kernel, dilation, outputs in zip(
            convolution.stride, convolution.kernel, convolution.dilation, convolution.ofmap, strict=True
        )
    )
    return disjoint and not any(convolution.padding)


_MANY_TAPS = 16
"""Taps from which sums over them in closed form take less time than going through them."""


@kernel
def floor_sum(count: int, divisor: int, step: int, first: int) -> int:
    """The sum of (first + i step) // divisor over i from 0 to `count` - 1; nothing is negative.

    Source: Graham, Knuth, Patashnik, Concrete Mathematics, 2nd edition, section 3.5: points below a line are
    counted as in Euclid's algorithm.
    """
    total = 0
    while count > 0:
        total += (step // divisor) * (count * (count - 1) // 2) + (first // divisor) * count
        step, first = step % divisor, first % divisor
        last = step * count + first
        count, first = last // divisor, last % divisor
        divisor, step = step, divisor
    return total


@kernel
def _bounded_sum(axis: Axis, reached: int, first: int, stop: int, first_tap: int, stop_tap: int) -> int:
    """The sum over taps of (reached - tap dilation) // stride, kept from `first` to `stop`, above `first`."""
    stride, step = axis.stride, axis.dilation
    above = min(stop_tap, max(first_tap, (reached - stop * stride) // step + 1))
    below = min(stop_tap, max(above, (reached - (first + 1) * stride) // step + 1))
    last = reached - first * stride - (below - 1) * step
    return (above - first_tap) * (stop - first) + floor_sum(below - above, stride, step, last)


@kernel
def _reads(axis: Axis, first: int, stop: int, first_tap: int, stop_tap: int) -> int:
    """Reads that outputs `first` to `stop` make inside of the input, all taps together."""
    if first >= stop or first_tap >= stop_tap:
        return 0
    behind = axis.inputs - 1 + axis.padding + axis.stride
    before = axis.padding + axis.stride - 1
    below_end = _bounded_sum(axis, behind, first, stop, first_tap, stop_tap)
    return below_end - _bounded_sum(axis, before, first, stop, first_tap, stop_tap)


@kernel
def _dilated_extent(axis: Axis, first: int, stop: int, first_tap: int, stop_tap: int) -> int:
    """As `input_extent`, tap by tap: an input that several outputs read through several taps counts once."""
    common = gcd(axis.stride, axis.dilation)
    # Output o reads through tap t what output o - outputs_apart reads through tap t + taps_apart.
    outputs_apart, taps_apart = axis.dilation // common, axis.stride // common
    if stop_tap - first_tap > _MANY_TAPS:
        again = _reads(axis, first + outputs_apart, stop, first_tap, stop_tap - taps_apart)
        return _reads(axis, first, stop, first_tap, stop_tap) - again
    count = 0
    for tap in range(first_tap, stop_tap):
        offset = axis.padding - tap * axis.dilation
        low = max(first, (offset + axis.stride - 1) // axis.stride)
        high = min(stop, (axis.inputs - 1 + offset) // axis.stride + 1)
        count += max(0, high - low)
        if tap + taps_apart < stop_tap:
            count -= max(0, high - max(low, first + outputs_apart))
    return count


@kernel
def input_extent(axis: Axis, first: int, stop: int, first_tap: int, stop_tap: int) -> int:
    """Input positions that outputs `first` to `stop` read through taps `first_tap` to `stop_tap`.

    Padding is not read, nor what lies between the windows of neighbouring outputs (a stride longer than the
    kernel) or between the taps of a dilated kernel, unless another output reads it.
    """
    if axis.dilation > 1 and stop_tap - first_tap > 1:
        return _dilated_extent(axis, first, stop, first_tap, stop_tap)
    reach = stop_tap - first_tap
    offset = first_tap * axis.dilation - axis.padding
    if axis.stride <= reach:
        begin = max(0, first * axis.stride + offset)
        end = min(axis.inputs, (stop - 1) * axis.stride + offset + reach)
        return max(0, end - begin)
    # Windows are apart: those inside the image have `reach` inputs, those at its edges are clipped.
    inside = max(first, min(stop, -(offset // axis.stride)))
    outside = max(inside, min(stop, (axis.inputs - reach - offset) // axis.stride + 1))
    count = (outside - inside) * reach
    # At each edge one window at most has a part inside, as the others are a stride away from it.
    if inside > first:
        begin = (inside - 1) * axis.stride + offset
        count += max(0, min(axis.inputs, begin + reach) - max(0, begin))
    if outside < stop:
        begin = outside * axis.stride + offset
        count += max(0, min(axis.inputs, begin + reach) - max(0, begin))
    return count


class Taps(NamedTuple):
    """The part of the kernel that a piece of the reduction uses, and how many channels."""

    channels: int
    first_row: int
    stop_row: int
    first_column: int
    stop_column: int


@kernel
def taps_of(g: Geometry, first: int, stop: int) -> Taps:
    """Channels and taps that the reduction from `first` to `stop` touches.

    A piece inside one channel needs the rows of its taps, and their columns where it stays in one row; a
    piece of several channels needs the whole kernel of each.
    """
    size = g.rows.kernel * g.columns.kernel
    channel, last = first // size, (stop - 1) // size
    if channel == last and stop - first < size:
        begin, end = first - channel * size, stop - 1 - channel * size
        row, last_row = begin // g.columns.kernel, end // g.columns.kernel
        if row == last_row:
            return Taps(1, row, row + 1, begin % g.columns.kernel, end % g.columns.kernel + 1)
        return Taps(1, row, last_row + 1, 0, g.columns.kernel)
    return Taps(last - channel + 1, 0, g.rows.kernel, 0, g.columns.kernel)


@kernel
def block_elements(
    g: Geometry, first_row: int, stop_row: int, first_column: int, stop_column: int, first: int, stop: int
) -> int:
    """Input elements of one image and group that a block reads for a piece of the reduction."""
    taps = taps_of(g, first, stop)
    rows = input_extent(g.rows, first_row, stop_row, taps.first_row, taps.stop_row)
    columns = input_extent(g.columns, first_column, stop_column, taps.first_column, taps.stop_column)
    return rows * columns * taps.channels
