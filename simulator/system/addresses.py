"""Where tiles and their elements lie in buffers and DRAM (docs/machine.md, Addresses)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from simulator.arch.memories import SramsConfig
from simulator.dataflow import AXES, Axis
from simulator.operands import FILTER, IFMAP, OPERANDS, Operand
from simulator.system.chosen_tiling import Tiling
from simulator.system.footprint import Integers, packed_bytes
from simulator.system.geometry import Geometry
from simulator.system.input_window import InputWindow
from simulator.system.layer_steps import LoweredLayer, Visit
from simulator.system.layer_work import LayerWork, result_share
from simulator.system.programme import Stream
from simulator.system.run_network import LayerRun
from simulator.system.tile_work import Tile
from simulator.system.tiling_needs import Limits, output_bytes, partial_sums_pass

DRAM_BASE: Mapping[Operand, int] = {"ifmap": 0, "filter": 1 << 40, "ofmap": 2 << 40}
"""First DRAM address of each operand."""

STREAM_OPERAND: Mapping[Stream, Operand] = {
    "ifmap": "ifmap",
    "filter": "filter",
    "ofmap_load": "ofmap",
    "ofmap_store": "ofmap",
}


class Room(NamedTuple):
    """The bytes of a memory in which an operand's tiles lie."""

    first: int
    bytes: int

    def tile(self, index: int, slots: int) -> int:
        """Where a tile begins, of a sequence of tiles that take turns in the slots."""
        return self.first + index % slots * (self.bytes // slots)


class OfmapPlace(NamedTuple):
    """A visit of an ofmap tile in the ofmap buffer: where its results, partial sums and residual begin.

    incoming: where what is loaded begins: partial sums, behind them residual operands.
    outgoing: where what is stored begins: results or partial sums.
    result_bytes, residual_bytes: of all results (after pooling) and residual operands of the tile; 0 where
    the visit ends without results.
    """

    results: int
    sums: int
    residual: int
    incoming: int
    outgoing: int
    result_bytes: int
    residual_bytes: int


@dataclass(frozen=True, slots=True)
class Addresses:
    """First byte of every tile of a layer, in its buffer and in DRAM.

    rooms: the bytes of its memory that each operand has.
    dram: by operand, for every place in its sequence of tiles.
    ofmap: by ofmap visit.
    """

    work: LayerWork
    tiling: Tiling
    rooms: Mapping[Operand, Room]
    dram: Mapping[Operand, list[int]]
    ofmap: list[OfmapPlace]

    @classmethod
    def of(cls, run: LayerRun) -> Addresses:
        """The addresses of one layer. Raises UserError where its steps are too many to be listed."""
        played = run.played
        work, tiling, lowered = played.work, played.tiling, played.lowered
        rooms = _rooms_of(work, tiling, played.limits, played.memories, lowered)
        dram = _in_dram(work, tiling, lowered)
        return cls(work, tiling, rooms, dram, _in_ofmap_buffer(work, tiling, rooms["ofmap"], lowered))

    def in_buffer(self, operand: Literal["ifmap", "filter"], index: int) -> int:
        """First byte of a tile in its buffer; `index` is its place in the operand's sequence."""
        return self.rooms[operand].tile(index, self.tiling.slots[operand])

    def in_other_half(self, offsets: Integers) -> Integers:
        """Bytes of the ofmap buffer that are copied as an input that lies `offsets` bytes into it."""
        room = self.rooms["ofmap"]
        g, half = self.work.geometry, _half(self.work, room)
        elements = g.images * g.rows.inputs * g.columns.inputs * g.channels * g.groups
        size = min(half, packed_bytes(elements, self.work.array.edges.ifmap_bits))
        places: Integers = room.first + half + offsets % size
        return places

    def elements(
        self,
        operand: Literal["ifmap", "filter"],
        visit: Visit,
        group: int,
        at: Mapping[Axis, Integers],
    ) -> Integers:
        """Places of elements in the operand's tile, in elements; `at` counts inside the step's tile."""
        tile, origin, g = visit.tile, visit.origin, self.work.geometry
        lengths: dict[Axis, int] = {"m": tile.m, "n": tile.n, "k": tile.k}
        inside, first_k = dict(at), origin.k
        number = OPERANDS.index(operand)
        if self.tiling.blocking.whole_k == number:
            lengths["k"], first_k = g.k, 0
            inside["k"] = at["k"] + origin.k
        if operand == "ifmap" and not is_product(g):
            window = InputWindow(g, origin.row, origin.column, visit.pixels, first_k, first_k + lengths["k"])
            return window.elements(group, inside["m"], first_k + inside["k"])
        side = self.work.array.edges.side_of(number)
        outer, inner = AXES[side.outer], AXES[side.inner]
        return (group * lengths[outer] + inside[outer]) * lengths[inner] + inside[inner]


def is_product(g: Geometry) -> bool:
    """Whether a layer's inputs are a plain matrix of output pixels and reduction."""
    one_row = g.images == g.rows.outputs == g.kernel_size == 1 and g.rows.padding == 0
    return one_row and g.columns.inputs == g.columns.outputs and g.columns.padding == 0


def _half(work: LayerWork, room: Room) -> int:
    """Bytes of one half of the ofmap's room, where an input lies in the other one."""
    return room.bytes // 2 if work.ofmap_stays else room.bytes


def _rooms_of(
    work: LayerWork, tiling: Tiling, limits: Limits, memories: SramsConfig, lowered: LoweredLayer
) -> dict[Operand, Room]:
    """The room of every operand: its share, or in a freely split memory what its largest tiles take.

    Rooms of one memory lie one behind the other in the order of the operands.
    """
    rooms: dict[Operand, Room] = {}
    for memory in memories.memories:
        first = 0
        for operand in memory.holds:
            if memory.is_split_freely:
                largest = _largest_tile(work, tiling, lowered, operand)
                rooms[operand] = Room(first, tiling.slots[operand] * largest)
                first += rooms[operand].bytes
            else:
                rooms[operand] = Room(memory.first_byte(operand), limits.capacity[OPERANDS.index(operand)])
    return rooms


def _largest_tile(work: LayerWork, tiling: Tiling, lowered: LoweredLayer, operand: Operand) -> int:
    """Bytes of an operand's largest tile."""
    if operand == "ofmap":
        tiles = (visit.tile for visit in lowered.visits)
        return output_bytes(work.array, max(t.m * t.n * t.groups for t in tiles), tiling.blocking.k)
    return max(transfer.bytes for transfer in lowered.programme.transfers if transfer.stream == operand)


def _in_dram(work: LayerWork, tiling: Tiling, lowered: LoweredLayer) -> dict[Operand, list[int]]:
    """Tiles lie one behind the other, in the order in which they are first needed, each on a whole burst."""
    burst = work.memory.burst_bytes
    sizes: dict[Operand, dict[int, int]] = {name: {} for name in OPERANDS}
    for transfer in lowered.programme.transfers:
        of_operand = sizes[STREAM_OPERAND[transfer.stream]]
        of_operand[transfer.index] = max(transfer.bytes, of_operand.get(transfer.index, 0))
    result: dict[Operand, list[int]] = {}
    for operand in OPERANDS:
        keys = _tiles_in_sequence(tiling, lowered, operand)
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


def _tiles_in_sequence(tiling: Tiling, lowered: LoweredLayer, operand: Operand) -> list[tuple[int, ...]]:
    """Which tile stands at every place of an operand's sequence."""
    whole_k = tiling.blocking.whole_k
    keys: list[tuple[int, ...]] = []
    for visit in lowered.visits:
        if getattr(visit, operand) == len(keys):
            group, image, row, column, n, k = visit.origin
            if operand == "ifmap":
                keys.append((group, image, row, column, 0 if whole_k == IFMAP else k))
            elif operand == "filter":
                keys.append((group, n, 0 if whole_k == FILTER else k))
            else:
                keys.append((group, image, row, column, n))
    return keys


def _in_ofmap_buffer(work: LayerWork, tiling: Tiling, room: Room, lowered: LoweredLayer) -> list[OfmapPlace]:
    """Tiles take turns in the places of their room; results that stay lie in line in the first half.

    Results leave in the order in which partial sums and residual operands were read, so they may take their
    places: what is narrower ends where the place ends. Residual operands lie behind partial sums.
    """
    edges, slots, g = work.array.edges, tiling.slots["ofmap"], work.geometry
    sums_pass = partial_sums_pass(work.array, tiling.blocking.k)
    stored, total = packed_bytes(work.stored_results, edges.result_bits), g.m * g.n * g.groups
    before = 0
    places: list[OfmapPlace] = []
    for number, (first, last) in enumerate(_ends_of_visits(lowered)):
        count = last.m * last.n * last.groups
        results = int(result_share(total, count, work.stored_results, edges.result_bits)) if last.ends else 0
        residual = 0
        if last.ends and work.added_results:
            residual = int(result_share(total, count, work.added_results, edges.residual_bits))
        sums = packed_bytes(count, edges.sum_bits) if sums_pass else 0
        if work.ofmap_stays:
            base = room.first + max(0, min(stored * before // total, _half(work, room) - results))
            before += count if last.ends else 0
        else:
            base = room.tile(number, slots)
        at_sums = base + max(0, results - sums)
        at_residual = base + (max(results, sums) if sums_pass else max(0, results - residual))
        places.append(
            OfmapPlace(
                results=base,
                sums=at_sums,
                residual=at_residual,
                incoming=at_residual if first.starts else at_sums,
                outgoing=base if last.ends else at_sums,
                result_bytes=results,
                residual_bytes=residual,
            )
        )
    return places


def _ends_of_visits(lowered: LoweredLayer) -> list[tuple[Tile, Tile]]:
    """First and last tile of every ofmap visit."""
    ends: list[tuple[Tile, Tile]] = []
    for visit in lowered.visits:
        if visit.ofmap == len(ends):
            ends.append((visit.tile, visit.tile))
        ends[-1] = (ends[-1][0], visit.tile)
    return ends
