"""Where tiles and their elements lie in buffers and DRAM (docs/machine.md, Addresses)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.arch.config import Dataflow
from simulator.system.counts import OPERANDS, Operand
from simulator.system.footprint import Integers, Spans, input_rows
from simulator.system.lowering import LoweredLayer, Lowering, Visit
from simulator.system.plan import Stream
from simulator.system.tiling_problem import Dimension, relevant_loops
from simulator.workload.layer import Convolution

DRAM_BASE: Mapping[Operand, int] = {"ifmap": 0, "filter": 1 << 40, "ofmap": 2 << 40}
"""First DRAM address of each operand."""

STREAM_OPERAND: Mapping[Stream, Operand] = {
    "ifmap": "ifmap",
    "filter": "filter",
    "ofmap_load": "ofmap",
    "ofmap_store": "ofmap",
}

_ORDER: Mapping[Operand, Mapping[Dataflow, tuple[Dimension, Dimension]]] = {
    "ifmap": {"os": ("k", "m"), "ws": ("m", "k"), "is": ("k", "m")},
    "filter": {"os": ("k", "n"), "ws": ("k", "n"), "is": ("n", "k")},
    "ofmap": {"os": ("m", "n"), "ws": ("m", "n"), "is": ("n", "m")},
}
"""Dimensions of a tile in its buffer, outer and inner: what crosses the edge together lies together."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """First byte of every tile of a layer, in its buffer and in DRAM.

    dram: by operand, for every place in its sequence of tiles.
    ofmap_offsets: for every ofmap visit, where its tile begins in the ofmap buffer.
    """

    lowering: Lowering
    dram: Mapping[Operand, list[int]]
    ofmap_offsets: list[int]

    @classmethod
    def of(cls, lowering: Lowering, lowered: LoweredLayer) -> Addresses:
        """The addresses of one layer."""
        return cls(lowering, _in_dram(lowering, lowered), _in_ofmap_buffer(lowering, lowered))

    def in_buffer(self, operand: Operand, index: int) -> int:
        """First byte of a tile in its buffer; `index` is its place in the operand's sequence."""
        if operand == "ofmap":
            return self.ofmap_offsets[index]
        return index % self.lowering.slots[operand] * self.lowering.problem.tile_bytes[operand]

    def elements(
        self, operand: Operand, visit: Visit, group: int, at: Mapping[Dimension, Integers]
    ) -> Integers:
        """Places of elements in the operand's tile, in elements; `at` counts inside the step's tile."""
        problem = self.lowering.problem
        tile, layer = visit.tile, problem.layer
        lengths: dict[Dimension, int] = {"m": tile.m, "n": tile.n, "k": tile.k}
        inside = dict(at)
        if operand == self.lowering.tiling.whole_k:
            lengths["k"], inside["k"] = layer.k, at["k"] + visit.origin.k
        if operand == "ifmap" and layer.convolution is not None:
            first_k = visit.origin.k if operand != self.lowering.tiling.whole_k else 0
            window = _Window(layer.convolution, visit.origin.m, tile.m, first_k, lengths["k"])
            return window.elements(group, inside["m"], inside["k"])
        outer, inner = _ORDER[operand][problem.dataflow]
        return (group * lengths[outer] + inside[outer]) * lengths[inner] + inside[inner]


@dataclass(frozen=True, slots=True)
class _Window:
    """The input rows of a convolution's tile: channel by channel, row by row, column by column."""

    convolution: Convolution
    first_pixel: int
    pixels: int
    first_k: int
    reduction: int

    def elements(self, group: int, m: Integers, k: Integers) -> Integers:
        """Elements that output pixels (of the tile) multiply; padding gives the nearest stored element."""
        convolution = self.convolution
        kernel_height, kernel_width = convolution.kernel
        out_height, out_width = convolution.ofmap
        height, width = convolution.ifmap
        first = np.int64(self.first_pixel)
        pixel, reduction = first + m, self.first_k + k
        channel, tap = np.divmod(reduction, kernel_height * kernel_width)
        tap_row, tap_column = np.divmod(tap, kernel_width)
        out_row, out_column = np.divmod(pixel % (out_height * out_width), out_width)

        top, left = convolution.padding[:2]
        window_top = out_row * convolution.stride[0] - top
        window_stop = np.minimum(window_top + convolution.dilation[0] * (kernel_height - 1) + 1, height)
        row = np.clip(window_top + tap_row * convolution.dilation[0], 0, height - 1)
        column = out_column * convolution.stride[1] - left + tap_column * convolution.dilation[1]
        column = np.clip(column, 0, width - 1)

        # Rows of the tile up to the end of this output row's window, less those from the wanted one on.
        ends = pixel - out_column + out_width
        rows_until = input_rows(convolution, Spans(np.full_like(ends, first), ends))
        rows = int(input_rows(convolution, Spans(np.array([first]), np.array([first + self.pixels])))[0])
        row_in_tile = np.clip(rows_until - (window_stop - row), 0, max(0, rows - 1))

        kernel_size = kernel_height * kernel_width
        first_channel = self.first_k // kernel_size
        channels = -(-(self.first_k + self.reduction) // kernel_size) - first_channel
        plane = group * channels + channel - first_channel
        elements: Integers = (plane * rows + row_in_tile) * width + column
        return elements


def _in_dram(lowering: Lowering, lowered: LoweredLayer) -> dict[Operand, list[int]]:
    """Tiles lie one behind the other, in the order in which they are first needed, each on a whole burst."""
    burst = lowering.dram.burst_bytes
    sizes: dict[Operand, dict[int, int]] = {name: {} for name in OPERANDS}
    for transfer in lowered.programme.transfers:
        of_operand = sizes[STREAM_OPERAND[transfer.stream]]
        of_operand[transfer.index] = max(transfer.bytes, of_operand.get(transfer.index, 0))
    result: dict[Operand, list[int]] = {}
    for operand in OPERANDS:
        keys = _tiles_in_sequence(lowering, lowered, operand)
        room: dict[tuple[int, ...], int] = {}
        for index, key in enumerate(keys):
            room[key] = max(room.get(key, 0), sizes[operand].get(index, 0))
        places: dict[tuple[int, ...], int] = {}
        address = DRAM_BASE[operand]
        for key, size in room.items():
            places[key] = address
            address += -(-size // burst) * burst
        result[operand] = [places[key] for key in keys]
    return result


def _tiles_in_sequence(lowering: Lowering, lowered: LoweredLayer, operand: Operand) -> list[tuple[int, ...]]:
    """Which tile stands at every place of an operand's sequence."""
    loops = relevant_loops(operand, lowering.tiling.whole_k)
    keys: list[tuple[int, ...]] = []
    for visit in lowered.visits:
        if getattr(visit, operand) == len(keys):
            origin = visit.origin
            keys.append((origin.group, *(getattr(origin, name) for name in sorted(loops))))
    return keys


def _in_ofmap_buffer(lowering: Lowering, lowered: LoweredLayer) -> list[int]:
    """Tiles take turns in the places of the buffer; results that stay lie behind one another in the first."""
    place_bytes, slots = lowering.problem.tile_bytes["ofmap"], lowering.slots["ofmap"]
    visits = lowered.visits[-1].ofmap + 1
    if not lowering.ofmap_stays:
        return [visit % slots * place_bytes for visit in range(visits)]
    total = lowering.problem.layer.m * lowering.problem.layer.n
    offsets, before = [0] * visits, 0
    for visit in lowered.visits:
        if visit.tile.ends:
            offsets[visit.ofmap] = lowering.result_bytes * before // total
            before += visit.tile.results
    return offsets
