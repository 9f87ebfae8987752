"""A tiled layer written out: every step and every transfer, for timelines, traces, and a second opinion.

Results come from `nest_machine.py`, which never lists the steps. This module walks the same loop nest one
step at a time, so it is for layers of some ten thousand steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import numpy as np

from simulator.foundation import UserError
from simulator.operands import FILTER, IFMAP, OFMAP, Operand
from simulator.system.chosen_tiling import Tiling
from simulator.system.footprint import packed_bytes
from simulator.system.layer_work import LayerWork, result_share
from simulator.system.nest import (
    COLUMN,
    DEPENDS,
    IMAGE,
    KINDS,
    NESTS,
    REDUCTION,
    ROW,
    channel_cycles,
    filter_bytes_at,
    ifmap_bytes_at,
    lengths_of,
    sizes_of,
    tile_at,
)
from simulator.system.programme import NEVER, Programme, Step, Stream, Transfer, in_service_order
from simulator.system.tile_work import COSTS, CYCLES, OUTPUT, PORT, TAIL, Tile, cost_of_step

LARGEST_PROGRAMME = 250_000
"""Steps beyond which layers are not written out: some 0.5 GB, and timelines that no viewer opens."""


class Origin(NamedTuple):
    """Where in the layer a tile begins: group, image, output row and column, output channel, reduction."""

    group: int
    image: int
    row: int
    column: int
    n: int
    k: int


class Visit(NamedTuple):
    """A step's tile and its place in the load sequences; steps of one ofmap number share outputs."""

    tile: Tile
    origin: Origin
    pixels: tuple[int, int, int]
    ifmap: int
    filter: int
    ofmap: int


@dataclass(frozen=True, slots=True)
class LoweredLayer:
    """A programme, and the tile of every step of it."""

    programme: Programme
    visits: tuple[Visit, ...]


@dataclass(slots=True)
class _Sequence:
    """Tiles of one operand in the order of loading: bytes, first and last step that reads each."""

    bytes: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    current: tuple[int, ...] = ()

    def use(self, key: tuple[int, ...], step: int) -> bool:
        """Note that a step reads the tile `key`; whether it has to be loaded for it."""
        loads = key != self.current
        if loads:
            self.current = key
            self.first.append(step)
            self.last.append(step)
        self.last[-1] = step
        return loads


def lower(work: LayerWork, tiling: Tiling) -> LoweredLayer:
    """The programme of a layer.

    Raises:
        UserError: more steps than can be written out; gives their number.
    """
    if tiling.steps > LARGEST_PROGRAMME:
        raise UserError(
            f"a layer of {tiling.steps:,} steps is too long to be listed step by step",
            allowed=f"at most {LARGEST_PROGRAMME:,} steps",
        )
    return _Lowering(work, tiling).lower()


@dataclass(frozen=True, slots=True)
class _Lowering:
    work: LayerWork
    tiling: Tiling

    def lower(self) -> LoweredLayer:
        visits, loads = self._walk()
        steps = tuple(self._steps(visits))
        transfers = [*self._loads(loads), *self._ofmap_transfers(visits)]
        programme = Programme(
            steps=steps,
            transfers=in_service_order(transfers),
            ofmap_slots=self.tiling.slots["ofmap"],
            output_latency=self.work.output_latency,
            memory=self.work.memory,
        )
        return LoweredLayer(programme, tuple(visits))

    def _walk(self) -> tuple[list[Visit], dict[Operand, _Sequence]]:
        """Every step of the loop nest, and what has to be loaded for it."""
        g, b, edges = self.work.geometry, self.tiling.blocking, self.work.array.edges
        lengths, sizes = lengths_of(g), sizes_of(b)
        counts = np.array([-(-length // size) for length, size in zip(lengths, sizes, strict=True)], np.int64)
        depends = DEPENDS.astype(bool).copy()
        if b.whole_k >= 0:
            depends[b.whole_k, REDUCTION] = False
        order = NESTS[b.nest].tolist()
        loads: dict[Operand, _Sequence] = {"ifmap": _Sequence(), "filter": _Sequence(), "ofmap": _Sequence()}
        visits: list[Visit] = []
        at = np.zeros(KINDS, np.int64)
        for indices in product(*(range(counts[kind]) for kind in order)):
            at[order] = indices
            step = len(visits)
            keys = [tuple(at[depends[operand]].tolist()) for operand in (IFMAP, FILTER, OFMAP)]
            if loads["ifmap"].use(keys[IFMAP], step):
                loads["ifmap"].bytes.append(int(ifmap_bytes_at(g, b, edges.ifmap_bits, at)))
            if loads["filter"].use(keys[FILTER], step):
                loads["filter"].bytes.append(int(filter_bytes_at(g, b, edges.filter_bits, at)))
            loads["ofmap"].use(keys[OFMAP], step)
            begins = Origin(*(int(at[kind]) * sizes[kind] for kind in range(KINDS)))
            pixels = tuple(
                min(sizes[kind], lengths[kind] - int(at[kind]) * sizes[kind]) for kind in (IMAGE, ROW, COLUMN)
            )
            visits.append(
                Visit(
                    Tile(*(int(part) for part in tile_at(g, b, counts, at))),
                    begins,
                    (pixels[0], pixels[1], pixels[2]),
                    *(len(loads[name].first) - 1 for name in ("ifmap", "filter", "ofmap")),
                )
            )
        return visits, loads

    def _loads(self, loads: Mapping[Operand, _Sequence]) -> Iterator[Transfer]:
        for name in ("ifmap", "filter"):
            sequence, slots = loads[name], self.tiling.slots[name]
            on_chip = name == "ifmap" and bool(self.work.ifmap_on_chip)
            stream: Stream = "ifmap" if name == "ifmap" else "filter"
            for index, size in enumerate(sequence.bytes):
                yield Transfer(
                    stream=stream,
                    index=index,
                    bytes=size,
                    cycles=-(-size * 8 // self.work.chip_rate) if on_chip else self._channel_cycles(size),
                    enabled_by=sequence.last[index - slots] if index >= slots else -1,
                    needed_by=sequence.first[index],
                    channel="chip" if on_chip else "dram",
                )

    def _channel_cycles(self, size: int) -> int:
        return int(channel_cycles(self.work.memory, size))

    def _ofmap_transfers(self, visits: list[Visit]) -> Iterator[Transfer]:
        """Partial sums and residual operands on their way in, partial sums and results on their way out."""
        work, edges, slots = self.work, self.work.array.edges, self.tiling.slots["ofmap"]
        total = work.geometry.m * work.geometry.n * work.geometry.groups
        first, last = _ends_of_visits(visits)
        for visit, (begin, end) in enumerate(zip(first, last, strict=True)):
            tile = visits[begin].tile
            starts, ends = tile.starts, visits[end].tile.ends
            results = tile.m * tile.n * tile.groups
            sums = packed_bytes(results, edges.sum_bits)
            incoming = 0 if starts else sums
            if ends and work.added_results:
                incoming += int(result_share(total, results, work.added_results, edges.residual_bits))
            if incoming:
                enabled = last[visit - slots] if visit >= slots else -1
                yield self._ofmap_transfer("ofmap_load", visit, incoming, enabled, begin)
            if not work.ofmap_stays:
                stored = int(result_share(total, results, work.stored_results, edges.result_bits))
                place = visit + slots
                needed = first[place] if place < len(first) else NEVER
                yield self._ofmap_transfer("ofmap_store", visit, stored if ends else sums, end, needed)

    def _ofmap_transfer(self, stream: Stream, visit: int, size: int, enabled: int, needed: int) -> Transfer:
        return Transfer(stream, visit, size, self._channel_cycles(size), enabled, needed)

    def _steps(self, visits: list[Visit]) -> Iterator[Step]:
        row = np.zeros(COSTS, np.int64)
        for number, visit in enumerate(visits):
            following = visits[number + 1] if number + 1 < len(visits) else None
            goes_on = following is not None and following.ofmap == visit.ofmap
            after = visit.tile if following is None else following.tile
            cost_of_step(self.work.array, visit.tile, after, int(following is not None), int(goes_on), row)
            yield Step(
                cycles=int(row[CYCLES]),
                port_cycles=int(row[PORT]),
                output_cycles=int(row[OUTPUT]),
                tail_cycles=int(row[TAIL]),
                ifmap=visit.ifmap,
                filter=visit.filter,
                ofmap=visit.ofmap,
            )


def _ends_of_visits(visits: list[Visit]) -> tuple[list[int], list[int]]:
    """First and last step of every ofmap visit."""
    first: list[int] = []
    last: list[int] = []
    for number, visit in enumerate(visits):
        if visit.ofmap == len(first):
            first.append(number)
            last.append(number)
        last[visit.ofmap] = number
    return first, last
