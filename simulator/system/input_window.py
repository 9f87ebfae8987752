"""Where the inputs of a block of output pixels lie in its tile: im2col without the copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.system.footprint import Integers
from simulator.system.geometry import Axis, Geometry, input_extent, taps_of


@dataclass(frozen=True, slots=True)
class AxisWindow:
    """Input positions along one axis that outputs `first` to `stop` read through some taps, closed up.

    Padding is left out, and so is what no output reads: between windows that a long stride keeps apart, and
    between the taps of a dilated kernel.
    """

    axis: Axis
    first: int
    stop: int
    first_tap: int
    stop_tap: int

    @property
    def length(self) -> int:
        """How many positions are stored."""
        return int(input_extent(self.axis, self.first, self.stop, self.first_tap, self.stop_tap))

    def places(self, outputs: Integers, taps: Integers) -> Integers:
        """Where the input of each pair lies among the stored ones; in the padding, where the nearest does.

        Args:
            outputs: outputs, counted from the block's first one.
            taps: taps of the whole kernel.
        """
        stored = self._stored()
        if not len(stored):
            return np.zeros_like(outputs)
        position = self._positions(self.first + outputs, taps)
        places: Integers = np.minimum(np.searchsorted(stored, position), len(stored) - 1)
        return places

    def _positions(self, outputs: Integers, taps: Integers) -> Integers:
        axis = self.axis
        positions: Integers = outputs * axis.stride - axis.padding + taps * axis.dilation
        return positions

    def _stored(self) -> Integers:
        """The stored positions, ascending."""
        outputs, taps = np.arange(self.first, self.stop), np.arange(self.first_tap, self.stop_tap)
        positions = np.unique(self._positions(outputs[:, None], taps))
        inside: Integers = positions[(positions >= 0) & (positions < self.axis.inputs)]
        return inside


@dataclass(frozen=True, slots=True)
class InputWindow:
    """The ifmap tile of a convolution: [group][image][channel][row][column], as far as the block reads them.

    first_row, first_column: output pixel at which the block begins.
    pixels: its images, rows and columns.
    first_k, stop_k: the piece of the reduction that the tile holds.
    """

    geometry: Geometry
    first_row: int
    first_column: int
    pixels: tuple[int, int, int]
    first_k: int
    stop_k: int

    def elements(self, group: int, m: Integers, k: Integers) -> Integers:
        """Elements of the tile that output pixels multiply; see `AxisWindow.places` for padding.

        Args:
            group: group of the tile.
            m: output pixels of the block.
            k: places in the whole reduction.
        """
        g = self.geometry
        images, rows, columns = self.pixels
        taps = taps_of(g, self.first_k, self.stop_k)
        image, inside = np.divmod(m, rows * columns)
        row, column = np.divmod(inside, columns)
        channel, tap = np.divmod(k, g.rows.kernel * g.columns.kernel)
        tap_row, tap_column = np.divmod(tap, g.columns.kernel)
        first_row, first_column = self.first_row, self.first_column
        down = AxisWindow(g.rows, first_row, first_row + rows, int(taps.first_row), int(taps.stop_row))
        across = AxisWindow(
            g.columns, first_column, first_column + columns, int(taps.first_column), int(taps.stop_column)
        )
        first_channel = self.first_k // (g.rows.kernel * g.columns.kernel)
        plane = (group * images + image) * int(taps.channels) + channel - first_channel
        place = plane * down.length + down.places(*np.broadcast_arrays(row, tap_row))
        elements: Integers = place * across.length + across.places(*np.broadcast_arrays(column, tap_column))
        return elements
