"""How much narrow SRAM ports and a slow output path lengthen the folds of a tile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from simulator.arch import ArchConfig
from simulator.system.counts import OPERANDS, Operand
from simulator.system.footprint import StorageBits


@dataclass(frozen=True, slots=True)
class Delay:
    """Cycles that a tile takes longer, by what is too slow."""

    port: int = 0
    output: int = 0

    def __add__(self, other: Delay) -> Delay:
        return Delay(self.port + other.port, self.output + other.output)

    def less(self, cycles: int) -> Delay:
        """What is left when some of it is hidden behind other work, the output path's part first."""
        beyond_output = max(0, cycles - self.output)
        return Delay(max(0, self.port - beyond_output), max(0, self.output - cycles))

    def times(self, count: int) -> Delay:
        """The delay of `count` equal folds."""
        return Delay(self.port * count, self.output * count)


@dataclass(frozen=True, slots=True)
class Edges:
    """What the array's edges can be given and can give, per cycle.

    word_bits: what one access of a buffer moves.
    bits_per_cycle: all ports of a buffer together; buffers have a bank per half, so transfers do not compete.
    values_per_cycle: results that the output path takes.
    result_accesses: buffer accesses per result (2 where a residual addition reads the other operand there).
    """

    bits: StorageBits
    word_bits: Mapping[Operand, int]
    bits_per_cycle: Mapping[Operand, int]
    values_per_cycle: int
    result_accesses: int = 1

    @classmethod
    def of(cls, arch: ArchConfig, bits: StorageBits, *, residual: bool) -> Edges:
        """The edges of an architecture for operands of these widths."""
        buffers = {name: getattr(arch.sram, name) for name in OPERANDS}
        return cls(
            bits=bits,
            word_bits={name: buffer.word_bits for name, buffer in buffers.items()},
            bits_per_cycle={name: buffer.word_bits * buffer.ports for name, buffer in buffers.items()},
            values_per_cycle=arch.output_path.values_per_cycle or arch.array.columns,
            result_accesses=2 if residual else 1,
        )

    def operand_cycles(self, operand: Operand, lanes: int) -> int:
        """Cycles to read one vector of `lanes` operands."""
        width = self.bits.activation if operand == "ifmap" else self.bits.weight
        return -(-lanes * width // self.bits_per_cycle[operand])

    def result_cycles(self, lanes: int) -> tuple[int, int]:
        """Cycles for one vector of results: through the buffer's ports, and through the output path."""
        through_port = -(-lanes * self.bits.activation * self.result_accesses // self.bits_per_cycle["ofmap"])
        return through_port, -(-lanes // self.values_per_cycle)

    def partial_sum_cycles(self, lanes: int, *, accesses: int) -> int:
        """Cycles to write (and, with two accesses, first read) one vector of partial sums."""
        return -(-lanes * self.bits.accumulator * accesses // self.bits_per_cycle["ofmap"])


def pieces(length: int, unit: int) -> Counter[int]:
    """Sizes of the pieces when `length` is cut in units, with how many there are of each."""
    full, rest = divmod(length, unit)
    return Counter({size: count for size, count in ((unit, full), (rest, 1)) if size and count})


def delay_output_stationary(
    edges: Edges,
    m: int,
    n: int,
    k: int,
    *,
    rows: int,
    columns: int,
    interval: int,
    ends: bool,
    beside_next_fold: int = 0,
) -> Delay:
    """Delay of a tile whose outputs stay: operands come too slowly, results leave too slowly.

    `interval`: cycles between vectors that the MAC asks for; `ends`: results leave with this tile;
    `beside_next_fold`: cycles in which results may leave while the next fold is under way (fold overlap).
    """
    delay = Delay()
    for used_rows, row_count in pieces(m, rows).items():
        for used_columns, column_count in pieces(n, columns).items():
            fold = delay_of_streams(edges, used_rows, used_columns, k, interval=interval)
            if ends:
                fold += delay_of_results(edges, used_rows, used_columns, beside_next_fold)
            delay += fold.times(row_count * column_count)
    return delay


def delay_of_streams(edges: Edges, rows: int, columns: int, k: int, *, interval: int) -> Delay:
    """Delay of one output-stationary fold's `k` vectors of both operands."""
    return Delay(port=k * (operand_pace(edges, rows, columns, interval=interval) - interval))


def operand_pace(edges: Edges, rows: int, columns: int, *, interval: int) -> int:
    """Cycles between vectors of operands of an output-stationary fold."""
    return max(interval, edges.operand_cycles("ifmap", rows), edges.operand_cycles("filter", columns))


def delay_of_results(edges: Edges, rows: int, columns: int, beside_next_fold: int = 0) -> Delay:
    """Delay of one output-stationary fold's `rows` vectors of results, less what the next fold hides."""
    through_port, through_path = edges.result_cycles(columns)
    slowest_port = max(1, through_port)
    delay = Delay(port=rows * (slowest_port - 1), output=rows * max(0, through_path - slowest_port))
    return delay.less(max(0, beside_next_fold - rows))


def delay_operand_stationary(
    edges: Edges,
    stationary: Operand,
    streamed: int,
    lanes: int,
    k: int,
    *,
    rows: int,
    columns: int,
    starts: bool,
    ends: bool,
) -> Delay:
    """Delay of a tile whose weights (or inputs) stay while the other operand streams past.

    `lanes` is what lies along the columns (n, or m when inputs stay). `starts` and `ends` say whether the
    tile's reduction begins and ends the layer's: its first fold reads no partial sums, its last one writes
    results.
    """
    delay = Delay()
    for used_columns, column_count in pieces(lanes, columns).items():
        for used_rows, first, last, row_count in _reduction_folds(k, rows, starts=starts, ends=ends):
            pace = stationary_pace(edges, stationary, used_rows, used_columns, first=first, last=last)
            delay += pace.delay(used_rows, streamed).times(row_count * column_count)
    return delay


@dataclass(frozen=True, slots=True)
class StationaryPace:
    """Cycles between the vectors of a fold whose weights (or inputs) stay.

    preload: between vectors of the stationary operand; port, path: between streamed vectors, as the slowest
    port and the output path allow.
    """

    preload: int
    port: int
    path: int

    @property
    def stream(self) -> int:
        """Between streamed vectors, with the sums that they make."""
        return max(self.port, self.path)

    def delay(self, rows: int, streamed: int) -> Delay:
        """Delay of one fold."""
        preload = rows * (self.preload - 1)
        return Delay(preload + streamed * (self.port - 1), streamed * max(0, self.path - self.port))


def stationary_pace(
    edges: Edges, stationary: Operand, rows: int, columns: int, *, first: bool, last: bool
) -> StationaryPace:
    """The pace of one fold; `first` and `last` of the layer's reduction."""
    moving: Operand = "ifmap" if stationary == "filter" else "filter"
    if last:
        through_port, through_path = edges.result_cycles(columns)
    else:
        through_port, through_path = edges.partial_sum_cycles(columns, accesses=1), 1
    if not first:
        reading = edges.partial_sum_cycles(columns, accesses=1 if last else 2)
        through_port = reading + through_port if last else reading
    return StationaryPace(
        preload=max(1, edges.operand_cycles(stationary, columns)),
        port=max(1, edges.operand_cycles(moving, rows), through_port),
        path=through_path,
    )


def _reduction_folds(k: int, rows: int, *, starts: bool, ends: bool) -> Iterator[tuple[int, bool, bool, int]]:
    """Used rows, whether first and last of the layer's reduction, and count, of the folds along k."""
    count = -(-k // rows)
    kinds: Counter[tuple[int, bool, bool]] = Counter()
    for position in {0, count - 1}:
        used = min(rows, k - position * rows)
        kinds[used, starts and position == 0, ends and position == count - 1] += 1
    if count > 2:
        kinds[rows, False, False] += count - 2
    for (used, first, last), times in kinds.items():
        yield used, first, last, times
