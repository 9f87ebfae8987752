"""From a layer and its tiling to the programme that the machine plays, with everything it moves counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import NamedTuple

from simulator.array.fold import CycleSplit
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
from simulator.system.tile_work import Succession, Tile, TileAccesses, TileWork
from simulator.system.tiling import Tiling
from simulator.system.tiling_problem import Dimension, TilingProblem, relevant_loops


class Origin(NamedTuple):
    """Where in the layer a tile begins: first group, output pixel, output channel, place in the reduction."""

    group: int
    m: int
    n: int
    k: int


class Visit(NamedTuple):
    """A step's tile and its place in the load sequences; steps of one ofmap number share outputs."""

    tile: Tile
    origin: Origin
    ifmap: int
    filter: int
    ofmap: int


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

    visits: the tile of every step of the programme.
    tile_accesses: what each step takes from and gives to the buffers.
    """

    programme: Programme
    work: Work
    sram: Mapping[Operand, Traffic]
    dram: Mapping[Operand, Traffic]
    bits: StorageBits
    result_bytes: int
    loaded_bytes: int
    visits: tuple[Visit, ...]
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
    work: TileWork
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
        work = self._count(visits)
        dram = _traffic(t for t in transfers if t.channel == "dram")
        moved = {name: traffic.total_bytes for name, traffic in dram.items()}
        if moved != dict(self.tiling.dram_bytes):
            message = f"{self.problem.layer.name}: tiling says {self.tiling.dram_bytes}, moved {moved}"
            raise ValueError(message)
        known = {tile: self.work.accesses(tile) for tile in {visit.tile for visit in visits}}
        return LoweredLayer(
            programme=programme,
            work=work,
            sram=self._sram(transfers, work),
            dram=dram,
            bits=self.problem.bits,
            result_bytes=self.result_bytes,
            loaded_bytes=self.problem.loaded_bytes,
            visits=tuple(visits),
            tile_accesses=tuple(known[visit.tile] for visit in visits),
        )

    def _walk(self) -> tuple[list[Visit], dict[Operand, _Sequence]]:
        """Every step of the loop nest, and what has to be loaded for it."""
        problem, tiling = self.problem, self.tiling
        layer, bits = problem.layer, problem.bits
        tile_sizes: dict[Dimension, int] = {"m": tiling.m, "n": tiling.n, "k": tiling.k}
        cut = {name: Spans.of(length, tile_sizes[name]) for name, length in problem.lengths.items()}
        sizes = {name: span.sizes.tolist() for name, span in cut.items()}
        whole = Spans.of(layer.k, layer.k)
        depends = {name: relevant_loops(name, tiling.whole_k) for name in ("ifmap", "filter", "ofmap")}
        loads: dict[Operand, _Sequence] = {"ifmap": _Sequence(), "filter": _Sequence(), "ofmap": _Sequence()}
        visits: list[Visit] = []
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
                    Visit(
                        Tile(sizes["m"][m], sizes["n"][n], sizes["k"][k], groups, k == 0, k == last_k),
                        Origin(group, m * tiling.m, n * tiling.n, k * tiling.k),
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
        return -(-size * 8 // self.on_chip_bits_per_cycle)

    @property
    def on_chip_bits_per_cycle(self) -> int:
        """Rate of a copy from the ofmap to the ifmap buffer."""
        return min(self.work.edges.bits_per_cycle["ifmap"], self.work.edges.bits_per_cycle["ofmap"])

    def _ofmap_transfers(self, visits: list[Visit]) -> Iterator[Transfer]:
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

    def _steps(self, visits: list[Visit]) -> Iterator[Step]:
        for visit, succession in zip(visits, _successions(visits), strict=True):
            cost = self.work.cost(succession)
            yield Step(
                cycles=cost.split.total,
                port_cycles=cost.delay.port,
                output_cycles=cost.delay.output,
                tail_cycles=cost.tail_cycles,
                ifmap=visit.ifmap,
                filter=visit.filter,
                ofmap=visit.ofmap,
            )

    def _count(self, visits: list[Visit]) -> Work:
        split = CycleSplit()
        folds = activations = weights = sums_read = sums_written = 0
        for succession, times in Counter(_successions(visits)).items():
            split += self.work.cost(succession).split * times
            folds += self.work.folds(succession.tile) * times
            accesses = self.work.accesses(succession.tile)
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


def _successions(visits: list[Visit]) -> Iterator[Succession]:
    """Every tile with the one that follows it."""
    for visit, following in pairwise(visits):
        yield Succession(visit.tile, following.tile, following.ofmap == visit.ofmap)
    yield Succession(visits[-1].tile, None, goes_on=False)


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
