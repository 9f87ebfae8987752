"""How many bytes the tiles of a layer take: packed codes, and for convolutions the real input region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.workload.layer import Convolution, Layer

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StorageBits:
    """Bits of one stored element, by what it is."""

    activation: int
    weight: int
    accumulator: int


@dataclass(frozen=True, slots=True)
class Spans:
    """One loop dimension cut into half-open ranges, `starts[i] .. stops[i]`."""

    starts: Integers
    stops: Integers

    @classmethod
    def of(cls, length: int, tile: int) -> Spans:
        """The range 0 .. length in pieces of `tile`, the last one possibly smaller."""
        starts = np.arange(0, length, tile, dtype=np.int64)
        return cls(starts, np.minimum(starts + tile, length))

    @classmethod
    def joined(cls, cuts: Sequence[Spans]) -> Spans:
        """The ranges of several cuts, one cut behind the other."""
        return cls(np.concatenate([cut.starts for cut in cuts]), np.concatenate([cut.stops for cut in cuts]))

    @property
    def sizes(self) -> Integers:
        """Length of each range."""
        return self.stops - self.starts

    def __len__(self) -> int:
        """How many ranges there are."""
        return len(self.starts)


def packed_bytes(elements: int, bits: int) -> int:
    """Whole bytes that hold `elements` codes of `bits` bits, packed without gaps."""
    return -(-elements * bits // 8)


def input_rows(convolution: Convolution, pixels: Spans) -> Integers:
    """Input rows that each range of output pixels needs, summed over the images it touches.

    Output pixels are counted image by image, row by row. Rows are fetched whole; those between the kernels of
    neighbouring output rows (a stride longer than the kernel) and padding are not.
    """
    out_height, out_width = convolution.ofmap
    last_row_of_image = np.full(len(pixels), out_height - 1, dtype=np.int64)
    first_image, first_pixel = np.divmod(pixels.starts, out_height * out_width)
    last_image, last_pixel = np.divmod(pixels.stops - 1, out_height * out_width)
    first_row, last_row = first_pixel // out_width, last_pixel // out_width
    within_one = _rows_between(convolution, first_row, last_row)
    whole_image = _rows_between(convolution, np.zeros_like(first_row), last_row_of_image)
    over_several = (
        _rows_between(convolution, first_row, last_row_of_image)
        + (last_image - first_image - 1) * whole_image
        + _rows_between(convolution, np.zeros_like(first_row), last_row)
    )
    return np.where(first_image == last_image, within_one, over_several)


def _rows_between(
    convolution: Convolution, first_output_row: Integers, last_output_row: Integers
) -> Integers:
    reach = convolution.dilation[0] * (convolution.kernel[0] - 1) + 1
    top, stride, height = convolution.padding[0], convolution.stride[0], convolution.ifmap[0]
    rows: Integers
    if stride <= reach:
        first = np.maximum(first_output_row * stride - top, 0)
        stop = np.minimum(last_output_row * stride - top + reach, height)
        rows = np.maximum(stop - first, 0)
    else:  # output rows share no input rows
        begins = np.arange(convolution.ofmap[0], dtype=np.int64) * stride - top
        read = np.maximum(np.minimum(begins + reach, height) - np.maximum(begins, 0), 0)
        read_before = np.concatenate([[0], np.cumsum(read)])
        rows = read_before[last_output_row + 1] - read_before[first_output_row]
    return rows


def ifmap_tile_bytes(layer: Layer, pixels: Spans, reduction: Spans, groups: int, bits: int) -> Integers:
    """Bytes of activations for each (output pixels, part of the reduction), shape [pixels, reduction].

    The reduction index counts channel by channel and, inside a channel, over the kernel; a convolution's
    tile holds every channel that its part of the reduction touches, `groups` groups of them.
    """
    convolution = layer.convolution
    if convolution is None:
        elements = pixels.sizes[:, None] * reduction.sizes[None, :]
    else:
        kernel_size = convolution.kernel[0] * convolution.kernel[1]
        channels = -(-reduction.stops // kernel_size) - reduction.starts // kernel_size
        elements = (input_rows(convolution, pixels) * convolution.ifmap[1])[:, None] * channels[None, :]
    return -(-elements * (groups * bits) // 8)


def filter_tile_bytes(channels: Spans, reduction: Spans, groups: int, bits: int) -> Integers:
    """Bytes of weights for each (part of the reduction, output channels), shape [reduction, channels]."""
    return -(-reduction.sizes[:, None] * channels.sizes[None, :] * (groups * bits) // 8)


def ofmap_tile_bytes(pixels: Spans, channels: Spans, groups: int, bits: int) -> Integers:
    """Bytes of results for each (output pixels, output channels), shape [pixels, channels]."""
    return -(-pixels.sizes[:, None] * channels.sizes[None, :] * (groups * bits) // 8)


def compulsory_ifmap_bytes(layer: Layer, bits: int) -> int:
    """Bytes of activations that any tiling fetches at least once: the layer as a single tile."""
    whole = ifmap_tile_bytes(
        layer, Spans.of(layer.m, layer.m), Spans.of(layer.k, layer.k), layer.groups, bits
    )
    return int(whole[0, 0])


class Shares:
    """Whole bytes dealt in proportion to results, so that they sum exactly to the total."""

    def __init__(self, total_bytes: int, results: int) -> None:
        self._total_bytes, self._results, self._dealt = total_bytes, results, 0

    def next(self, results: int) -> int:
        """The bytes of the next `results` results."""
        before = self._total_bytes * self._dealt // self._results
        self._dealt += results
        return self._total_bytes * self._dealt // self._results - before
