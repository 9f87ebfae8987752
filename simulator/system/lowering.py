"""From a layer and its tiling to the programme that the machine plays, with everything it moves counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise, product
from typing import NamedTuple

from simulator.array import ArrayTiming, ProductSchedule, schedule_product
from simulator.array.fold import CycleSplit, alone, before
from simulator.system.counts import Operand, Traffic
from simulator.system.dram import DramTiming
from simulator.system.footprint import (
    Shares,
    Spans,
    StorageBits,
    filter_tile_bytes,
    ifmap_tile_bytes,
    packed_bytes,
)
from simulator.system.plan import Programme, Step, Stream, Transfer, in_service_order
from simulator.system.ports import Delay, Edges, delay_operand_stationary, delay_output_stationary
from simulator.system.tiling import Tiling
from simulator.system.tiling_problem import Dimension, TilingProblem, relevant_loops


class Tile(NamedTuple):
    """Shape of one step: sizes, whole groups, and whether its reduction begins and ends the layer's."""

    m: int
    n: int
    k: int
    groups: int
    starts: bool
    ends: bool

    @property
    def results(self) -> int:
        """Outputs of the tile."""
        return self.m * self.n * self.groups


_DurationKey = tuple[Tile, Tile | None, bool]


class _Visit(NamedTuple):
    """A step's tile and its place in the load sequences; steps of one ofmap number share outputs."""

    tile: Tile
    ifmap: int
    filter: int
    ofmap: int


@dataclass(frozen=True, slots=True)
class TileAccesses:
    """Elements that pass the array's edges for one tile; results only where its reduction ends."""

    activation_reads: int
    weight_reads: int
    partial_sum_reads: int
    partial_sum_writes: int
    results: int


@dataclass(frozen=True, slots=True)
class Work:
    """What the array does for a layer when nothing ever waits, and what passes its edges."""

    split: CycleSplit
    folds: int
    activation_reads: int
    weight_reads: int
    partial_sum_reads: int
    partial_sum_writes: int


@dataclass(frozen=True, slots=True)
class LoweredLayer:
    """A programme with the work and the bytes in it.

    tile_accesses: what each step of the programme takes from and gives to the buffers.
    """

    programme: Programme
    work: Work
    sram: Mapping[Operand, Traffic]
    dram: Mapping[Operand, Traffic]
    bits: StorageBits
    result_bytes: int
    loaded_bytes: int
    tile_accesses: tuple[TileAccesses, ...]


@dataclass(slots=True)
class _Sequence:
    """Tiles of one operand in the order of loading: bytes, first and last step that reads each."""

    bytes: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    current: tuple[int, ...] = ()

    def use(self, key: tuple[int, ...], size: int, step: int) -> int:
        """Note that a step reads the tile `key`; it is loaded unless the step before read it too."""
        if key != self.current:
            self.current = key
            self.bytes.append(size)
            self.first.append(step)
            self.last.append(step)
        self.last[-1] = step
        return len(self.bytes) - 1


@dataclass(frozen=True, slots=True)
class Lowering:
    """Everything that decides a layer's programme.

    slots: tiles of each operand that its buffer holds at once.
    ifmap_on_chip: the input comes from the ofmap buffer, where the layer before left it.
    result_bytes: what the output path writes into the ofmap buffer, after pooling.
    ofmap_stays: the result is left in the ofmap buffer.
    """

    problem: TilingProblem
    tiling: Tiling
    timing: ArrayTiming
    edges: Edges
    dram: DramTiming
    slots: Mapping[Operand, int]
    output_latency: int
    result_bytes: int
    ofmap_stays: bool = False

    def lower(self) -> LoweredLayer:
        """The programme of the layer. Checks that it moves exactly the bytes its tiling says."""
        visits, loads = self._walk()
        steps = tuple(self._steps(visits))
        transfers = list(self._loads(loads)) + list(self._ofmap_transfers(visits))
        programme = Programme(
            steps=steps,
            transfers=in_service_order(transfers),
            ofmap_slots=self.slots["ofmap"],
            output_latency=self.output_latency,
            memory=self.dram.memory,
        )
        work = self._work(visits)
        dram = _traffic(t for t in transfers if t.channel == "dram")
        moved = {name: traffic.total_bytes for name, traffic in dram.items()}
        if moved != dict(self.tiling.dram_bytes):
            message = f"{self.problem.layer.name}: tiling says {self.tiling.dram_bytes}, moved {moved}"
            raise ValueError(message)
        known = {tile: self._accesses(tile) for tile in {visit.tile for visit in visits}}
        return LoweredLayer(
            programme=programme,
            work=work,
            sram=self._sram(transfers, work),
            dram=dram,
            bits=self.problem.bits,
            result_bytes=self.result_bytes,
            loaded_bytes=self.problem.loaded_bytes,
            tile_accesses=tuple(known[visit.tile] for visit in visits),
        )

    def _walk(self) -> tuple[list[_Visit], dict[Operand, _Sequence]]:
        """Every step of the loop nest, and what has to be loaded for it."""
        problem, tiling = self.problem, self.tiling
        layer, bits = problem.layer, problem.bits
        tile_sizes: dict[Dimension, int] = {"m": tiling.m, "n": tiling.n, "k": tiling.k}
        cut = {name: Spans.of(length, tile_sizes[name]) for name, length in problem.lengths.items()}
        sizes = {name: span.sizes.tolist() for name, span in cut.items()}
        whole = Spans.of(layer.k, layer.k)
        depends = {name: relevant_loops(name, tiling.whole_k) for name in ("ifmap", "filter", "ofmap")}
        loads: dict[Operand, _Sequence] = {"ifmap": _Sequence(), "filter": _Sequence(), "ofmap": _Sequence()}
        visits: list[_Visit] = []
        last_k = len(cut["k"]) - 1
        for group in range(0, layer.groups, tiling.groups):
            groups = min(tiling.groups, layer.groups - group)
            ifmap_k = whole if tiling.whole_k == "ifmap" else cut["k"]
            filter_k = whole if tiling.whole_k == "filter" else cut["k"]
            ifmap_bytes = ifmap_tile_bytes(layer, cut["m"], ifmap_k, groups, bits.activation).tolist()
            filter_bytes = filter_tile_bytes(cut["n"], filter_k, groups, bits.weight).tolist()
            for indices in product(*(range(len(cut[name])) for name in tiling.loops)):
                at = dict(zip(tiling.loops, indices, strict=True))
                m, n, k = at["m"], at["n"], at["k"]
                number = len(visits)
                ifmap_piece = k if "k" in depends["ifmap"] else 0
                filter_piece = k if "k" in depends["filter"] else 0
                visits.append(
                    _Visit(
                        Tile(sizes["m"][m], sizes["n"][n], sizes["k"][k], groups, k == 0, k == last_k),
                        loads["ifmap"].use((group, m, ifmap_piece), ifmap_bytes[m][ifmap_piece], number),
                        loads["filter"].use((group, n, filter_piece), filter_bytes[filter_piece][n], number),
                        loads["ofmap"].use((group, m, n), 0, number),
                    )
                )
        return visits, loads

    def _loads(self, loads: Mapping[Operand, _Sequence]) -> Iterator[Transfer]:
        for name in ("ifmap", "filter"):
            sequence, slots = loads[name], self.slots[name]
            on_chip = name == "ifmap" and self.problem.ifmap_on_chip
            stream: Stream = "ifmap" if name == "ifmap" else "filter"
            for index, size in enumerate(sequence.bytes):
                yield Transfer(
                    stream=stream,
                    index=index,
                    bytes=size,
                    cycles=self._on_chip_cycles(size) if on_chip else self.dram.cycles(size),
                    enabled_by=sequence.last[index - slots] if index >= slots else -1,
                    needed_by=sequence.first[index],
                    channel="chip" if on_chip else "dram",
                )

    def _on_chip_cycles(self, size: int) -> int:
        """Cycles to copy bytes from the ofmap to the ifmap buffer, at the rate of the slower one."""
        rate = min(self.edges.bits_per_cycle["ifmap"], self.edges.bits_per_cycle["ofmap"])
        return -(-size * 8 // rate)

    def _ofmap_transfers(self, visits: list[_Visit]) -> Iterator[Transfer]:
        """Partial sums and residual operands on their way in, partial sums and results on their way out."""
        first, last = _ends_of_visits(visits)
        stored = Shares(self.problem.stored_bytes, self.problem.layer.m * self.problem.layer.n)
        loaded = Shares(self.problem.loaded_bytes, self.problem.layer.m * self.problem.layer.n)
        slots = self.slots["ofmap"]
        for visit, (begin, end) in enumerate(zip(first, last, strict=True)):
            starts, ends = visits[begin].tile.starts, visits[end].tile.ends
            results = visits[begin].tile.results
            partial_sums = packed_bytes(results, self.problem.bits.accumulator)
            incoming = (0 if starts else partial_sums) + (loaded.next(results) if ends else 0)
            outgoing = stored.next(results) if ends else partial_sums
            if incoming:
                yield self._ofmap_transfer(
                    "ofmap_load", visit, incoming, last[visit - slots] if visit >= slots else -1, begin
                )
            if not self.ofmap_stays:
                yield self._ofmap_transfer("ofmap_store", visit, outgoing, end, end)

    def _ofmap_transfer(self, stream: Stream, visit: int, size: int, enabled: int, needed: int) -> Transfer:
        return Transfer(stream, visit, size, self.dram.cycles(size), enabled, needed)

    def _steps(self, visits: list[_Visit]) -> Iterator[Step]:
        durations: dict[_DurationKey, tuple[CycleSplit, Delay, int]] = {}
        for visit, key in zip(visits, _with_following(visits), strict=True):
            if key not in durations:
                durations[key] = self._duration(*key)
            split, delay, tail = durations[key]
            yield Step(split.total, delay.port, delay.output, tail, visit.ifmap, visit.filter, visit.ofmap)

    def _duration(
        self,
        tile: Tile,
        following: Tile | None,
        goes_on: bool,  # noqa: FBT001 - a key of the table above
    ) -> tuple[CycleSplit, Delay, int]:
        """Phases until the next step may begin, delays, and the tail of the last results."""
        if self.timing.dataflow == "os" and not (tile.starts and tile.ends):
            split = self._part_of_a_fold(tile, following)
            tail = 0 if not tile.ends else self._tail(self._whole_fold(tile), following)
            return split, self._delay(tile), tail
        schedule = self._schedule(tile)
        split = _until_next(schedule, self._schedule_of_next(following), goes_on=goes_on)
        return split, self._delay(tile), schedule.total_cycles - split.total

    def _part_of_a_fold(self, tile: Tile, following: Tile | None) -> CycleSplit:
        """A piece of a fold's reduction: operands stream on into the sums that the PEs hold."""
        interval = self.timing.accumulation_interval
        if not tile.ends:
            return CycleSplit(compute=interval * tile.k)
        whole = _until_next(self._whole_fold(tile), self._schedule_of_next(following), goes_on=False)
        streamed_before = interval * (self.problem.layer.k - tile.k)
        return whole + CycleSplit(compute=-streamed_before)

    def _tail(self, schedule: ProductSchedule, following: Tile | None) -> int:
        until_next = _until_next(schedule, self._schedule_of_next(following), goes_on=False)
        return max(0, schedule.total_cycles - until_next.total)

    def _whole_fold(self, tile: Tile) -> ProductSchedule:
        return _product(self.timing, tile.m, tile.n, self.problem.layer.k, 1)

    def _schedule(self, tile: Tile) -> ProductSchedule:
        return _product(self.timing, tile.m, tile.n * tile.groups, tile.k, tile.groups)

    def _schedule_of_next(self, tile: Tile | None) -> ProductSchedule | None:
        if tile is None:
            return None
        return self._whole_fold(tile) if self.timing.dataflow == "os" else self._schedule(tile)

    def _delay(self, tile: Tile) -> Delay:
        timing = self.timing
        size = {"rows": timing.rows, "columns": timing.columns}
        if timing.dataflow == "os":
            interval = timing.accumulation_interval
            delay = delay_output_stationary(
                self.edges,
                tile.m,
                tile.n,
                tile.k,
                **size,
                interval=interval,
                ends=tile.ends,
                beside_next_fold=0 if timing.overlap == "none" else interval * self.problem.layer.k,
            )
        else:
            stationary: Operand = "filter" if timing.dataflow == "ws" else "ifmap"
            lanes, streamed = (tile.n, tile.m) if timing.dataflow == "ws" else (tile.m, tile.n)
            delay = delay_operand_stationary(
                self.edges, stationary, streamed, lanes, tile.k, **size, starts=tile.starts, ends=tile.ends
            )
        return delay.times(tile.groups)

    def _accesses(self, tile: Tile) -> TileAccesses:
        schedule = self._schedule(tile)
        sums_written = sums_read = 0
        if self.timing.dataflow != "os":
            reductions = schedule.tiles.row_tiles
            sums_written = tile.results * (reductions - tile.ends)
            sums_read = tile.results * (reductions - tile.starts)
        return TileAccesses(
            activation_reads=schedule.accesses.activation_reads,
            weight_reads=schedule.accesses.weight_reads,
            partial_sum_reads=sums_read if self.timing.timing == "reference" else 0,
            partial_sum_writes=sums_written,
            results=tile.results * tile.ends,
        )

    def _work(self, visits: list[_Visit]) -> Work:
        split = CycleSplit()
        folds = activations = weights = sums_read = sums_written = 0
        for key, times in Counter(_with_following(visits)).items():
            tile = key[0]
            split += self._duration(*key)[0] * times
            if self.timing.dataflow != "os" or tile.ends:
                folds += self._schedule(tile).folds * times
            accesses = self._accesses(tile)
            activations += accesses.activation_reads * times
            weights += accesses.weight_reads * times
            sums_read += accesses.partial_sum_reads * times
            sums_written += accesses.partial_sum_writes * times
        return Work(split, folds, activations, weights, sums_read, sums_written)

    def _sram(self, transfers: list[Transfer], work: Work) -> dict[Operand, Traffic]:
        """Bytes through the ports of the three buffers, array side and memory side."""
        bits, problem = self.problem.bits, self.problem
        moved: dict[Stream, int] = dict.fromkeys(("ifmap", "filter", "ofmap_load", "ofmap_store"), 0)
        for transfer in transfers:
            moved[transfer.stream] += transfer.bytes
        results = self.result_bytes
        return {
            "ifmap": Traffic(packed_bytes(work.activation_reads, bits.activation), moved["ifmap"]),
            "filter": Traffic(packed_bytes(work.weight_reads, bits.weight), moved["filter"]),
            "ofmap": Traffic(
                read_bytes=packed_bytes(work.partial_sum_reads, bits.accumulator)
                + problem.loaded_bytes
                + moved["ofmap_store"]
                + (moved["ifmap"] if problem.ifmap_on_chip else 0),
                write_bytes=packed_bytes(work.partial_sum_writes, bits.accumulator)
                + moved["ofmap_load"]
                + results,
            ),
        }


@lru_cache(maxsize=1024)
def _product(timing: ArrayTiming, m: int, n: int, k: int, groups: int) -> ProductSchedule:
    """The schedule of a tile; the same few shapes come back all through a network."""
    return schedule_product(timing, m=m, n=n, k=k, groups=groups)


def _with_following(visits: list[_Visit]) -> Iterator[_DurationKey]:
    """Every tile with the one that follows it, and whether that one adds to the same outputs."""
    for visit, following in pairwise(visits):
        yield visit.tile, following.tile, following.ofmap == visit.ofmap
    yield visits[-1].tile, None, False


def _ends_of_visits(visits: list[_Visit]) -> tuple[list[int], list[int]]:
    """First and last step of every ofmap visit."""
    first: list[int] = []
    last: list[int] = []
    for number, visit in enumerate(visits):
        if visit.ofmap == len(first):
            first.append(number)
            last.append(number)
        last[visit.ofmap] = number
    return first, last


def _until_next(schedule: ProductSchedule, following: ProductSchedule | None, *, goes_on: bool) -> CycleSplit:
    """The phases of a product until the next one may begin; all of them when nothing follows."""
    whole = CycleSplit(
        schedule.compute_cycles, schedule.fill_cycles, schedule.drain_cycles, schedule.shifting_cycles
    )
    if following is None:
        return whole
    timing, last = schedule.timing, schedule.tiles.last
    ending = alone(timing, last)
    link = before(timing, last, following.tiles.first, adds_to_sums=goes_on)
    compute = whole.compute - ending.compute + link.compute
    fill = whole.fill - ending.fill + link.fill
    total = schedule.start_of(schedule.folds - 1) + link.total
    return CycleSplit(compute, fill, total - compute - fill, whole.shifting - ending.shifting + link.shifting)


def _traffic(transfers: Iterable[Transfer]) -> dict[Operand, Traffic]:
    read: dict[Operand, int] = {"ifmap": 0, "filter": 0, "ofmap": 0}
    written = 0
    for transfer in transfers:
        if transfer.stream == "ofmap_store":
            written += transfer.bytes
        else:
            read[_OPERAND[transfer.stream]] += transfer.bytes
    return {
        "ifmap": Traffic(read["ifmap"]),
        "filter": Traffic(read["filter"]),
        "ofmap": Traffic(read["ofmap"], written),
    }


_OPERAND: Mapping[Stream, Operand] = {
    "ifmap": "ifmap",
    "filter": "filter",
    "ofmap_load": "ofmap",
    "ofmap_store": "ofmap",
}
