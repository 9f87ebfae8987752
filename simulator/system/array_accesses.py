"""The buffers' accesses at the array's edges: vectors of operands, partial sums and results, word by word.

A vector stands at the cycle in which its first element crosses the edge; its other elements follow as the
skew has it (docs/timing.md), delayed between buffer and edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from simulator.array.fold import alone
from simulator.array.schedule import FoldPhases
from simulator.system.accesses import Accesses, Kind, WholeBytes
from simulator.system.addresses import Addresses
from simulator.system.counts import Operand
from simulator.system.footprint import Integers
from simulator.system.lowering import Visit
from simulator.system.ports import (
    Delay,
    StationaryPace,
    delay_of_results,
    delay_of_streams,
    operand_pace,
    stationary_pace,
)
from simulator.system.run import LayerRun
from simulator.system.tile_work import TileWork
from simulator.system.tiling_problem import Dimension


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of a fold: when each crosses the edge, and which elements of the tile it carries.

    lanes: the dimension along the vector, its first element and length; along: the other dimension, one
    entry a vector.
    """

    cycles: Integers
    lanes: tuple[Dimension, int, int]
    along: tuple[Dimension, Integers]


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold as the machine played it: `start` is the cycle of its first vector, port delays included.

    rows, columns, streamed: the dimension that each holds, its first element in the tile and how many.
    begins, ends: whether sums start from nothing, and whether they are finished.
    """

    work: TileWork
    visit: Visit
    group: int
    start: int
    rows: tuple[Dimension, int, int]
    columns: tuple[Dimension, int, int]
    streamed: tuple[Dimension, int]
    phases: FoldPhases
    begins: bool
    ends: bool

    @property
    def delay_cycles(self) -> int:
        """How much longer it takes than its phases."""
        work = self.work
        if work.timing.dataflow != "os":
            delay = self.pace.delay(self.rows[2], self.streamed[1])
        else:
            delay = self._stream_delay
            if self.ends:
                delay += delay_of_results(work.edges, self.rows[2], self.columns[2], work.beside_next_fold)
        return delay.port + delay.output

    @property
    def _stream_delay(self) -> Delay:
        interval = self.work.timing.accumulation_interval
        return delay_of_streams(
            self.work.edges, self.rows[2], self.columns[2], self.streamed[1], interval=interval
        )

    @property
    def pace(self) -> StationaryPace:
        """Cycles between vectors, weight and input stationary."""
        stationary: Operand = "filter" if self.work.timing.dataflow == "ws" else "ifmap"
        return stationary_pace(
            self.work.edges, stationary, self.rows[2], self.columns[2], first=self.begins, last=self.ends
        )

    @property
    def extent_rows(self) -> int:
        """Rows that the fold's skew crosses."""
        return self.work.timing.rows if self.work.timing.partial_folds == "full" else self.rows[2]

    def operands(self, lanes: tuple[Dimension, int, int]) -> Vectors:
        """Output stationary: a vector of an operand for every step of the reduction."""
        interval = self.work.timing.accumulation_interval
        pace = operand_pace(self.work.edges, self.rows[2], self.columns[2], interval=interval)
        steps = np.arange(self.streamed[1], dtype=np.int64)
        return Vectors(self.start + steps * pace, lanes, (self.streamed[0], steps))

    def results(self) -> Vectors:
        """Output stationary: a vector for every row, the bottom one first."""
        timing, (dimension, first, used) = self.work.timing, self.rows
        through_port, through_path = self.work.edges.result_cycles(self.columns[2])
        own = alone(timing, self.phases.shape)
        # With a drain register every column drains by itself, the first one without waiting for the others.
        fill = own.fill if timing.overlap == "none" else timing.accumulation_interval * (self.extent_rows - 1)
        drain = self.start + self._stream_delay.port + fill + own.compute
        order = np.arange(used, dtype=np.int64)
        cycles = drain + timing.rows - used + order * max(1, through_port, through_path)
        return Vectors(cycles, self.columns, (dimension, first + order[::-1]))

    def preload(self) -> Vectors:
        """Weight and input stationary: a vector of what stays for every row, the bottom one first."""
        dimension, first, used = self.rows
        order = np.arange(used, dtype=np.int64)
        cycles = self.start + self.extent_rows - used + order * self.pace.preload
        return Vectors(cycles, self.columns, (dimension, first + order[::-1]))

    def stream(self, lanes: tuple[Dimension, int, int], *, leaving: bool = False) -> Vectors:
        """Weight and input stationary: what enters with the streamed operand, or leaves as its sums."""
        timing, (dimension, length) = self.work.timing, self.streamed
        begin = self.start + self.extent_rows + self.rows[2] * (self.pace.preload - 1)
        if leaving:
            begin += timing.accumulation_interval * (timing.rows - 1) + timing.pipeline_depth - 1
        order = np.arange(length, dtype=np.int64)
        return Vectors(begin + order * self.pace.stream, lanes, (dimension, order))


def folds_of(run: LayerRun) -> Iterator[Fold]:
    """Every fold of a layer, when and where the machine played it."""
    played = run.played
    work, times = played.lowering.work, played.times
    assert times is not None, "layers without times have no trace"
    timing = work.timing
    dimensions: Mapping[str, tuple[Dimension, Dimension, Dimension]] = {
        "os": ("m", "n", "k"),
        "ws": ("k", "n", "m"),
        "is": ("k", "m", "n"),
    }
    on_rows, on_columns, streamed = dimensions[timing.dataflow]
    for visit, when in zip(played.lowered.visits, times.steps, strict=True):
        schedule = work.schedule(visit.tile)
        reductions = 1 if timing.dataflow == "os" else schedule.tiles.row_tiles
        late = run.start_cycle + when.start
        for phases in schedule.phases():
            shape = phases.shape
            fold = Fold(
                work=work,
                visit=visit,
                group=phases.group,
                start=late + phases.first_cycle,
                rows=(on_rows, phases.row * timing.rows, shape.rows),
                columns=(on_columns, phases.column * timing.columns, shape.columns),
                streamed=(streamed, shape.streamed),
                phases=phases,
                begins=visit.tile.starts and (reductions == 1 or phases.row == 0),
                ends=visit.tile.ends and (reductions == 1 or phases.row == reductions - 1),
            )
            yield fold
            late += fold.delay_cycles


def array_accesses(run: LayerRun, addresses: Addresses) -> Iterator[tuple[Kind, Iterator[Accesses]]]:
    """Everything that the buffers give to the array and take from it, each kind in order of time."""
    lowering = run.played.lowering
    bits, problem = lowering.problem.bits, lowering.problem
    outputs = problem.layer.m * problem.layer.n
    stored = Fraction(lowering.result_bytes, outputs * bits.activation)
    added = Fraction(problem.loaded_bytes, outputs * bits.activation)
    latency = lowering.output_latency
    yield Kind("sram", "ifmap", "read", "operands"), _words(run, addresses, _ACTIVATIONS)
    yield Kind("sram", "filter", "read", "operands"), _words(run, addresses, _WEIGHTS)
    yield Kind("sram", "ofmap", "read", "partial sums"), _words(run, addresses, _SUMS_IN)
    yield Kind("sram", "ofmap", "write", "partial sums"), _words(run, addresses, _SUMS_OUT)
    if added:
        residual = _words(run, addresses, _RESULTS, bytes_per_bit=added)
        yield Kind("sram", "ofmap", "read", "residual"), residual
    results = _words(run, addresses, _RESULTS, bytes_per_bit=stored, later=latency)
    yield Kind("sram", "ofmap", "write", "results"), results


def _activations(fold: Fold) -> Vectors:
    dataflow = fold.work.timing.dataflow
    if dataflow == "os":
        return fold.operands(fold.rows)
    return fold.stream(fold.rows) if dataflow == "ws" else fold.preload()


def _weights(fold: Fold) -> Vectors:
    dataflow = fold.work.timing.dataflow
    if dataflow == "os":
        return fold.operands(fold.columns)
    return fold.preload() if dataflow == "ws" else fold.stream(fold.rows)


def _sums_in(fold: Fold) -> Vectors | None:
    if fold.begins or fold.work.timing.dataflow == "os":
        return None
    return fold.stream(fold.columns)


def _sums_out(fold: Fold) -> Vectors | None:
    if fold.ends or fold.work.timing.dataflow == "os":
        return None
    return fold.stream(fold.columns, leaving=True)


def _results(fold: Fold) -> Vectors | None:
    if not fold.ends:
        return None
    return fold.results() if fold.work.timing.dataflow == "os" else fold.stream(fold.columns, leaving=True)


@dataclass(frozen=True, slots=True)
class _Flow:
    """What crosses the edge for one reason: vectors of a fold, their operand's buffer, the stored element."""

    operand: Operand
    element: Literal["activation", "weight", "accumulator"]
    vectors: Callable[[Fold], Vectors | None]


_ACTIVATIONS = _Flow("ifmap", "activation", _activations)
_WEIGHTS = _Flow("filter", "weight", _weights)
_SUMS_IN = _Flow("ofmap", "accumulator", _sums_in)
_SUMS_OUT = _Flow("ofmap", "accumulator", _sums_out)
_RESULTS = _Flow("ofmap", "activation", _results)


def _words(
    run: LayerRun,
    addresses: Addresses,
    flow: _Flow,
    *,
    bytes_per_bit: Fraction = Fraction(1, 8),
    later: int = 0,
) -> Iterator[Accesses]:
    """The vectors of every fold cut into words of their buffer, as many in a cycle as it has ports."""
    edges = run.played.lowering.work.edges
    bits = getattr(edges.bits, flow.element)
    word_bits = edges.word_bits[flow.operand]
    ports = edges.bits_per_cycle[flow.operand] // word_bits
    counted = WholeBytes(bytes_per_bit)
    for fold in folds_of(run):
        vectors = flow.vectors(fold)
        if vectors is None:
            continue
        (lane, first, lanes), (other, along) = vectors.lanes, vectors.along
        begins = np.arange(0, lanes * bits, word_bits, dtype=np.int64)
        sizes = np.minimum(word_bits, lanes * bits - begins)
        cycles = vectors.cycles[:, None] + np.arange(len(begins)) // ports
        at = {lane: first + begins[None, :] // bits, other: along[:, None]}
        elements = addresses.elements(flow.operand, fold.visit, fold.group, at)
        base = addresses.in_buffer(flow.operand, getattr(fold.visit, flow.operand))
        places = base + elements * bits * bytes_per_bit.numerator // bytes_per_bit.denominator
        moved = counted.next(np.broadcast_to(sizes, cycles.shape).ravel())
        yield Accesses(cycles.ravel() + later, places.ravel(), moved)
