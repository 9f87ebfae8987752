"""Tilings by definition: which elements every tile touches, what is fetched and written, what fits a buffer.

Shares no code with `simulator.system`. Every step of a tiling is visited; elements of a tile are collected
one output position at a time; a buffer remembers the tile of the step before and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import Literal, NamedTuple, cast

from simulator.arch import ArchConfig
from simulator.operands import OPERANDS
from simulator.workload.layer import Layer

Dataflow = Literal["os", "ws", "is"]
Whole = Literal["neither", "ifmap", "filter"]
LOOPS = ("mkn", "nkm", "mnk", "nmk")
"""Loops over pixels, channels and reduction that an architecture file can name, from the outermost in."""


class Axis(NamedTuple):
    """One axis of a convolution: input and output length, kernel taps, stride, dilation, padding before."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    dilation: int
    padding: int


@dataclass(frozen=True)
class Bits:
    """Stored bits of an activation, a weight, a partial sum, a result, and what is added to it."""

    activation: int = 8
    weight: int = 8
    accumulator: int = 32
    result: int = 8
    residual: int = 0


@dataclass(frozen=True)
class Problem:
    """A layer on an array with buffers. channels, n: input and output channels of one group.

    stored, added: results written after pooling, results that a residual addition changes.
    capacity: bytes that tiles of ifmap, filter and ofmap may take; halves: whether each may hold two tiles.
    pool: operands with the same number take their tiles out of one capacity.
    """

    images: int
    rows: Axis
    columns: Axis
    channels: int
    n: int
    groups: int
    dataflow: Dataflow
    array_rows: int
    array_columns: int
    bits: Bits
    stored: int
    added: int
    capacity: tuple[int, int, int]
    halves: tuple[bool, bool, bool]
    pool: tuple[int, int, int] = (0, 1, 2)

    @property
    def taps(self) -> int:
        """Kernel positions of one channel."""
        return self.rows.kernel * self.columns.kernel

    @property
    def k(self) -> int:
        """Reduction length: channel by channel, and inside a channel row by row of the kernel."""
        return self.channels * self.taps

    @property
    def results(self) -> int:
        """Outputs of the layer."""
        return self.images * self.rows.outputs * self.columns.outputs * self.n * self.groups


class Tiling(NamedTuple):
    """What an architecture file can fix: sizes of a tile, the order of loops, an operand held whole."""

    images: int
    rows: int
    columns: int
    n: int
    k: int
    groups: int
    loops: str
    whole: Whole


def bytes_of(elements: int, bits: int) -> int:
    """Packed bytes."""
    return (elements * bits + 7) // 8


def is_product(layer: Layer) -> bool:
    """Whether the layer reads every input for one output pixel only, so that it is a plain matrix product."""
    c = layer.convolution
    if c is None:
        return True
    whole = all(d == 1 or k == 1 for d, k in zip(c.dilation, c.kernel, strict=True))
    apart = all(s >= k or o == 1 for s, k, o in zip(c.stride, c.kernel, c.ofmap, strict=True))
    return whole and apart and not any(c.padding)


def problem_of(layer: Layer, arch: ArchConfig, *, product: bool, bits: Bits | None = None) -> Problem:
    """The problem that an architecture file and a layer pose; `product`: as a plain product of M pixels."""
    bits = bits or Bits()
    c = layer.convolution
    if product:
        assert is_product(layer)
        rows, columns = Axis(1, 1, 1, 1, 1, 0), Axis(layer.m, layer.m, 1, 1, 1, 0)
        images, channels = 1, layer.k
    else:
        assert c is not None
        rows, columns = (
            Axis(c.ifmap[i], c.ofmap[i], c.kernel[i], c.stride[i], c.dilation[i], c.padding[i])
            for i in (0, 1)
        )
        images, channels = c.batch, c.channels // c.groups
    memories = [arch.sram.of("ifmap"), arch.sram.of("filter"), arch.sram.of("ofmap")]
    rooms, pools = [], []
    for number, (name, memory) in enumerate(zip(OPERANDS, memories, strict=True)):
        split = memory.config.shares_kib
        rooms.append(int(1024 * split.get(name, memory.config.capacity_kib)))
        pools.append(number if split else [one.name for one in memories].index(memory.name))
    return Problem(
        images=images,
        rows=rows,
        columns=columns,
        channels=channels,
        n=layer.n // layer.groups,
        groups=layer.groups,
        dataflow=cast(Dataflow, arch.array.dataflow),
        array_rows=arch.array.rows,
        array_columns=arch.array.columns,
        bits=bits,
        stored=layer.m * layer.n,
        added=sum(post.elements for post in layer.post_operations if post.kind == "add"),
        capacity=(rooms[0], rooms[1], rooms[2]),
        halves=(
            memories[0].config.double_buffered,
            memories[1].config.double_buffered,
            memories[2].config.double_buffered,
        ),
        pool=(pools[0], pools[1], pools[2]),
    )


# --- elements


@lru_cache(maxsize=200_000)
def touched(axis: Axis, first: int, stop: int, first_tap: int, stop_tap: int) -> frozenset[int]:
    """Input positions that a DMA fetches for outputs `first` to `stop` through some taps.

    What lies between the taps of a dilated kernel is fetched only where another output needs it; padding is
    not, and what a stride longer than the window jumps over is not.
    """
    found: set[int] = set()
    for output in range(first, stop):
        begin = output * axis.stride - axis.padding + first_tap * axis.dilation
        end = output * axis.stride - axis.padding + (stop_tap - 1) * axis.dilation
        window = range(begin, end + 1, axis.dilation)
        found.update(position for position in window if 0 <= position < axis.inputs)
    return frozenset(found)


def needed(axis: Axis) -> frozenset[int]:
    """Input positions that any output multiplies with any tap."""
    positions = (
        output * axis.stride - axis.padding + tap * axis.dilation
        for output in range(axis.outputs)
        for tap in range(axis.kernel)
    )
    return frozenset(position for position in positions if 0 <= position < axis.inputs)


def unique_bytes(p: Problem) -> int:
    """Bytes that any tiling moves at least: every needed input and weight once, every stored result once."""
    inputs = len(needed(p.rows)) * len(needed(p.columns)) * p.images * p.channels * p.groups
    moved = bytes_of(inputs, p.bits.activation) + bytes_of(p.k * p.n * p.groups, p.bits.weight)
    return moved + bytes_of(p.stored, p.bits.result) + bytes_of(p.added, p.bits.residual)


class Window(NamedTuple):
    """Part of the kernel that a piece of the reduction needs, of how many channels."""

    first_row: int
    stop_row: int
    first_column: int
    stop_column: int
    channels: int


def window_of(p: Problem, first: int, stop: int) -> Window:
    """Taps of the reduction from `first` to `stop`: a rectangle of the kernel, the same for each channel.

    Inside one row of the kernel of one channel: its taps; inside one channel: whole rows; else whole kernels.
    """
    indices = range(first, stop)
    channels = {index // p.taps for index in (indices[0], indices[-1])}
    if len(channels) == 1:
        rows = {index % p.taps // p.columns.kernel for index in indices}
        columns = {index % p.columns.kernel for index in indices}
        if len(rows) > 1:
            columns = set(range(p.columns.kernel))
        return Window(min(rows), max(rows) + 1, min(columns), max(columns) + 1, 1)
    count = max(channels) - min(channels) + 1
    return Window(0, p.rows.kernel, 0, p.columns.kernel, count)


# --- the walk


class Step(NamedTuple):
    """One tile on the array: its shape, and which load of either operand and which visit it works on.

    starts, ends: whether its reduction begins, or finishes, that of its outputs.
    """

    pixels: int
    n: int
    k: int
    groups: int
    ifmap: int
    filter: int
    ofmap: int
    starts: bool
    ends: bool


@dataclass
class Walk:
    """Everything that happens under a tiling, in order; bytes of every load and every visit of an output.

    places: of every step, what it covers of groups, images, rows, columns, channels and the reduction.
    """

    steps: list[Step] = field(default_factory=list)
    places: list[tuple[range, ...]] = field(default_factory=list)
    ifmap: list[int] = field(default_factory=list)
    filter: list[int] = field(default_factory=list)
    incoming: list[int] = field(default_factory=list)
    outgoing: list[int] = field(default_factory=list)
    ofmap_tile: int = 0

    @property
    def traffic(self) -> tuple[int, int, int, int]:
        """Bytes of the four streams: ifmap, filter, ofmap in, ofmap out."""
        return sum(self.ifmap), sum(self.filter), sum(self.incoming), sum(self.outgoing)


def _pieces(length: int, size: int) -> list[range]:
    return [range(first, min(length, first + size)) for first in range(0, length, size)]


def _iterations(p: Problem, t: Tiling) -> Iterator[dict[str, range]]:
    """What every step covers of each loop; groups outermost, pixels as images, then rows, then columns."""
    lengths = {
        "g": _pieces(p.groups, t.groups),
        "i": _pieces(p.images, t.images),
        "r": _pieces(p.rows.outputs, t.rows),
        "c": _pieces(p.columns.outputs, t.columns),
        "n": _pieces(p.n, t.n),
        "k": _pieces(p.k, t.k),
    }
    order = "g" + t.loops.replace("m", "irc")
    for ranges in product(*(lengths[letter] for letter in order)):
        yield dict(zip(order, ranges, strict=True))


def _share(p: Problem, results: int, counted: int) -> int:
    """Of a tile's results those that are counted, where pooling or a partial addition leaves fewer."""
    return -(-results * counted // p.results)


def walk(p: Problem, t: Tiling) -> Walk:
    """Visit every step of a tiling."""
    w = Walk()
    held: dict[str, object] = {}
    finished: dict[tuple[range, ...], int] = {}
    passes = p.dataflow != "os" and (p.k > p.array_rows or t.k < p.k)
    # A result takes the place of its sum, or of what is added to it; what is added waits beside a sum.
    tile_bits = max(p.bits.accumulator, p.bits.result) if passes else max(p.bits.result, p.bits.residual)
    beside_bits = p.bits.residual if passes else 0
    before: tuple[range, ...] | None = None
    for at in _iterations(p, t):
        pixels = len(at["i"]) * len(at["r"]) * len(at["c"])
        groups, n, k = len(at["g"]), len(at["n"]), len(at["k"])
        ifmap_k = range(p.k) if t.whole == "ifmap" else at["k"]
        filter_k = range(p.k) if t.whole == "filter" else at["k"]
        ifmap_key = (at["g"], at["i"], at["r"], at["c"], ifmap_k)
        if held.get("ifmap") != ifmap_key:
            held["ifmap"] = ifmap_key
            v = window_of(p, ifmap_k.start, ifmap_k.stop)
            rows = touched(p.rows, at["r"].start, at["r"].stop, v.first_row, v.stop_row)
            columns = touched(p.columns, at["c"].start, at["c"].stop, v.first_column, v.stop_column)
            elements = len(rows) * len(columns) * v.channels * len(at["i"]) * groups
            w.ifmap.append(bytes_of(elements, p.bits.activation))
        filter_key = (at["g"], at["n"], filter_k)
        if held.get("filter") != filter_key:
            held["filter"] = filter_key
            w.filter.append(bytes_of(len(filter_k) * n * groups, p.bits.weight))
        outputs = (at["g"], at["i"], at["r"], at["c"], at["n"])
        results = pixels * n * groups
        starts = outputs not in finished
        if outputs != before:
            w.incoming.append(0 if starts else bytes_of(results, p.bits.accumulator))
            w.outgoing.append(0)
            before = outputs
        finished[outputs] = finished.get(outputs, 0) + k
        ends = finished[outputs] == p.k
        if ends:
            w.incoming[-1] += bytes_of(_share(p, results, p.added), p.bits.residual)
            w.outgoing[-1] = bytes_of(_share(p, results, p.stored), p.bits.result)
        else:
            w.outgoing[-1] = bytes_of(results, p.bits.accumulator)
        tile = bytes_of(results, tile_bits) + bytes_of(results, beside_bits)
        w.ofmap_tile = max(w.ofmap_tile, tile)
        visit = Step(
            pixels,
            n,
            k,
            groups,
            len(w.ifmap) - 1,
            len(w.filter) - 1,
            len(w.incoming) - 1,
            starts,
            ends,
        )
        w.steps.append(visit)
        w.places.append(tuple(at[letter] for letter in "gircnk"))
    return w


# --- what is legal


def slots_for(largest: int, tiles: int, capacity: int, halves: bool) -> int:
    """How many tiles a buffer holds: one that comes once, and one larger than a half, all of it alone."""
    if largest > capacity:
        return 0
    return 2 if tiles > 1 and halves and 2 * largest <= capacity else 1


def slots_of(p: Problem, w: Walk, single: tuple[str, ...] = ()) -> tuple[int, int, int]:
    """Tiles of ifmap, filter and ofmap that are held at once; 0 where one does not fit.

    single: operands of which one tile is wanted although two may fit. Where operands share a capacity and are
    too many, a second tile of ofmap is given up first, then of filter, then of ifmap.
    """
    largest = (max(w.ifmap), max(w.filter), w.ofmap_tile)
    tiles = (len(w.ifmap), len(w.filter), len(w.incoming))
    slots = list(map(slots_for, largest, tiles, p.capacity, p.halves))
    slots = [min(1, held) if name in single else held for name, held in zip(OPERANDS, slots, strict=True)]
    for pool in set(p.pool):
        members = [operand for operand in (0, 1, 2) if p.pool[operand] == pool]
        room = p.capacity[members[0]]
        for operand in reversed(members):
            if sum(slots[one] * largest[one] for one in members) > room:
                slots[operand] = min(1, slots[operand])
        if sum(slots[one] * largest[one] for one in members) > room:
            for operand in members:
                slots[operand] = 0
    ifmap, filters, ofmap = slots
    return ifmap, filters, ofmap


def is_possible(p: Problem, t: Tiling, w: Walk) -> bool:
    """Whether a tiling obeys the machine's rules, room in the buffers apart.

    A tile of several images holds whole ones. Output stationary partial sums stay in the PEs: a shorter piece
    of the reduction belongs to one fold of one group, which is finished before another one begins.
    """
    if t.images > 1 and (t.rows < p.rows.outputs or t.columns < p.columns.outputs):
        return False
    if p.dataflow == "os" and t.k < p.k:
        one_fold = t.images * t.rows * t.columns <= p.array_rows and t.n <= p.array_columns
        visits = len({(step.ofmap) for step in w.steps})
        return one_fold and t.groups == 1 and visits == sum(step.starts for step in w.steps)
    return True
