"""An access trace played back byte by byte: what every buffer holds, and what the array must find in it.

Shares no code with the simulator. Inputs, weights and sums are tokens. DRAM is filled with the tokens of
every tile by the rules of docs/machine.md (Addresses); transfers move tokens; the array asks, vector after
vector, for the operands that a convolution needs by definition. Every code is a whole number of bytes and
every word of a buffer is one byte, so that each row of the trace stands for one byte.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

Token = tuple[Any, ...]
PADDING: Token = ("padding",)


class Row(NamedTuple):
    """One row of a trace of one layer."""

    memory: str
    operand: str
    direction: str
    purpose: str
    address: int
    bytes: int


@dataclass(frozen=True)
class Problem:
    """A convolution on an array; pairs are rows and columns, channels and n count those of one group."""

    images: int
    ifmap: tuple[int, int]
    ofmap: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int]
    channels: int
    n: int
    groups: int
    dataflow: str
    array: tuple[int, int]

    @property
    def k(self) -> int:
        return self.channels * self.kernel[0] * self.kernel[1]

    @property
    def plain(self) -> bool:
        """Whether it is a plain matrix product: one row of pixels that read all inputs, each its own."""
        one_row = self.images == self.ofmap[0] == self.kernel[0] == self.kernel[1] == 1
        return one_row and self.ifmap[1] == self.ofmap[1] and self.padding == (0, 0)


@dataclass(frozen=True)
class Tiles:
    """A loop nest: loops over m, n, k from the outermost in, and the sizes of tiles.

    pixels: images, rows, columns. whole_k: the operand that keeps its whole reduction, or `neither`.
    """

    loops: str
    pixels: tuple[int, int, int]
    n: int
    k: int
    groups: int
    whole_k: str


@dataclass(frozen=True)
class Widths:
    """Bytes of one code; residual: 0 where nothing is added."""

    ifmap: int
    filter: int
    sums: int
    result: int
    residual: int
    burst: int


@dataclass(frozen=True)
class Step:
    """One tile: its groups, pixels as (image, row, column), channels, and piece of the reduction."""

    groups: range
    pixels: list[tuple[int, int, int]]
    n: range
    k: range


def steps_of(p: Problem, t: Tiles) -> Iterator[Step]:
    """The steps of a loop nest, in order."""
    lengths = (p.images, *p.ofmap)
    blocks = [
        [range(first, min(length, first + size)) for first in range(0, length, size)]
        for length, size in zip(lengths, t.pixels, strict=True)
    ]
    places: dict[str, Sequence[Any]] = {
        "m": [list(product(*ranges)) for ranges in product(*blocks)],
        "n": [range(first, min(p.n, first + t.n)) for first in range(0, p.n, t.n)],
        "k": [range(first, min(p.k, first + t.k)) for first in range(0, p.k, t.k)],
    }
    for group in range(0, p.groups, t.groups):
        groups = range(group, min(p.groups, group + t.groups))
        for chosen in product(*(places[name] for name in t.loops)):
            at: dict[str, Any] = dict(zip(t.loops, chosen, strict=True))
            yield Step(groups, at["m"], at["n"], at["k"])


def input_of(p: Problem, group: int, pixel: tuple[int, int, int], k: int) -> Token:
    """The input that one output pixel multiplies with one weight."""
    channel, tap = divmod(k, p.kernel[0] * p.kernel[1])
    taps = divmod(tap, p.kernel[1])
    place = [
        pixel[1 + axis] * p.stride[axis] + taps[axis] * p.dilation[axis] - p.padding[axis] for axis in (0, 1)
    ]
    if all(0 <= place[axis] < p.ifmap[axis] for axis in (0, 1)):
        return ("input", group, pixel[0], channel, *place)
    return PADDING


def _positions(p: Problem, axis: int, outputs: Iterable[int], taps: Sequence[int]) -> list[int]:
    """Input positions along one axis: under every tap of every window."""
    found: set[int] = set()
    for output in outputs:
        begin = output * p.stride[axis] - p.padding[axis]
        window = range(taps[0], taps[-1] + 1)
        places = (begin + tap * p.dilation[axis] for tap in window)
        found |= {place for place in places if 0 <= place < p.ifmap[axis]}
    return sorted(found)


def ifmap_tile(p: Problem, step: Step, k: range) -> list[Token]:
    """The inputs of a tile in their order in the buffer."""
    if p.plain:
        pairs = [(m, c) for m, c in product(step.pixels, k)]
        if p.dataflow != "ws":
            pairs = [(m, c) for c, m in product(k, step.pixels)]
        return [input_of(p, g, m, c) for g in step.groups for m, c in pairs]
    size = p.kernel[0] * p.kernel[1]
    channels = range(k[0] // size, k[-1] // size + 1)
    rows, columns = range(p.kernel[0]), range(p.kernel[1])
    if len(channels) == 1:
        taps = [divmod(place % size, p.kernel[1]) for place in k]
        rows = range(taps[0][0], taps[-1][0] + 1)
        if len(rows) == 1:
            columns = range(taps[0][1], taps[-1][1] + 1)
    images = sorted({pixel[0] for pixel in step.pixels})
    down = _positions(p, 0, {pixel[1] for pixel in step.pixels}, rows)
    across = _positions(p, 1, {pixel[2] for pixel in step.pixels}, columns)
    return [("input", *place) for place in product(step.groups, images, channels, down, across)]


def filter_tile(p: Problem, step: Step, k: range) -> list[Token]:
    """The weights of a tile in their order in the buffer."""
    if p.dataflow == "is":
        return [("weight", *place) for place in product(step.groups, step.n, k)]
    return [("weight", g, n, c) for g, c, n in product(step.groups, k, step.n)]


@dataclass(frozen=True)
class Fold:
    """Part of a step that the array does at once; pixels, channels and reduction of one group."""

    group: int
    pixels: list[tuple[int, int, int]]
    n: range
    k: range


def folds_of(p: Problem, step: Step) -> Iterator[Fold]:
    """Folds in the order of the array: by group, then column of folds, then row of folds."""
    rows, columns = p.array

    def cut(items: Any, size: int) -> list[Any]:
        return [items[first : first + size] for first in range(0, len(items), size)]

    for group in step.groups:
        if p.dataflow == "os":
            for n, pixels in product(cut(step.n, columns), cut(step.pixels, rows)):
                yield Fold(group, pixels, n, step.k)
        elif p.dataflow == "ws":
            for n, k in product(cut(step.n, columns), cut(step.k, rows)):
                yield Fold(group, step.pixels, n, k)
        else:
            for pixels, k in product(cut(step.pixels, columns), cut(step.k, rows)):
                yield Fold(group, pixels, step.n, k)


def in_bytes(tokens: Iterable[Token], width: int) -> Iterator[Token]:
    """Every token as its bytes."""
    return ((*token, byte) for token in tokens for byte in range(width))


@dataclass
class Expected:
    """What the array asks for and gives, in order of time, as codes."""

    activations: list[Token] = field(default_factory=list)
    weights: list[Token] = field(default_factory=list)
    sums_in: list[Token] = field(default_factory=list)
    sums_out: list[Token] = field(default_factory=list)
    results: list[Token] = field(default_factory=list)


def expected_of(p: Problem, t: Tiles) -> Expected:
    """The vectors of every fold by the definition of a convolution."""
    found = Expected()
    for step in steps_of(p, t):
        for fold in folds_of(p, step):
            group, pixels, channels, reduction = fold.group, fold.pixels, fold.n, fold.k
            upward = range(reduction[-1], reduction[0] - 1, -1)
            if p.dataflow == "os":
                inputs = [(m, k) for k in reduction for m in pixels]
                weights = [(n, k) for k in reduction for n in channels]
                outputs = [(m, n) for m in reversed(pixels) for n in channels]
            elif p.dataflow == "ws":
                inputs = [(m, k) for m in pixels for k in reduction]
                weights = [(n, k) for k in upward for n in channels]
                outputs = [(m, n) for m in pixels for n in channels]
            else:
                inputs = [(m, k) for k in upward for m in pixels]
                weights = [(n, k) for n in channels for k in reduction]
                outputs = [(m, n) for n in channels for m in pixels]
            found.activations += [input_of(p, group, m, k) for m, k in inputs]
            found.weights += [("weight", group, n, k) for n, k in weights]
            if p.dataflow != "os" and reduction[0] > 0:
                found.sums_in += [("sum", group, m, n, reduction[0]) for m, n in outputs]
            if p.dataflow != "os" and reduction[-1] + 1 < p.k:
                found.sums_out += [("sum", group, m, n, reduction[-1] + 1) for m, n in outputs]
            if reduction[-1] + 1 == p.k:
                found.results += [("result", group, m, n) for m, n in outputs]
    return found


class Replay:
    """DRAM and buffers as dictionaries from addresses to tokens, and a queue for every stream."""

    def __init__(self, p: Problem, t: Tiles, w: Widths) -> None:
        self.problem, self.tiles, self.widths = p, t, w
        expected = expected_of(p, t)
        self.expected: dict[tuple[str, str], Iterator[Token]] = {
            ("ifmap", "operands"): in_bytes(expected.activations, w.ifmap),
            ("filter", "operands"): in_bytes(expected.weights, w.filter),
            ("ofmap read", "partial sums"): in_bytes(expected.sums_in, w.sums),
            ("ofmap write", "partial sums"): in_bytes(expected.sums_out, w.sums),
            ("ofmap write", "results"): in_bytes(expected.results, w.result),
        }
        self.results = expected.results
        self.buffers: dict[str, dict[int, Token]] = {"ifmap": {}, "filter": {}, "ofmap": {}}
        self.dram: dict[str, dict[int, Token]] = {"ifmap": {}, "filter": {}, "ofmap": {}}
        self.moving: dict[str, deque[Token]] = {name: deque() for name in ("ifmap", "filter", "in", "out")}
        self.owed: deque[int] = deque()
        self.residuals: list[Token] = []
        self._fill_dram()

    def _fill_dram(self) -> None:
        seen: dict[str, set[Any]] = {"ifmap": set(), "filter": set()}
        ends = {"ifmap": 0, "filter": 1 << 40}
        whole = range(self.problem.k)
        for step in steps_of(self.problem, self.tiles):
            for operand in ("ifmap", "filter"):
                k = whole if self.tiles.whole_k == operand else step.k
                place = tuple(step.pixels) if operand == "ifmap" else step.n
                key = (step.groups, place, k)
                if key in seen[operand]:
                    continue
                seen[operand].add(key)
                if operand == "ifmap":
                    tokens = in_bytes(ifmap_tile(self.problem, step, k), self.widths.ifmap)
                else:
                    tokens = in_bytes(filter_tile(self.problem, step, k), self.widths.filter)
                for token in tokens:
                    self.dram[operand][ends[operand]] = token
                    ends[operand] += 1
                ends[operand] = -(-ends[operand] // self.widths.burst) * self.widths.burst

    def play(self, rows: Iterable[Row]) -> None:
        """Everything in order; an AssertionError tells the first row that finds something else."""
        for row in rows:
            if row.memory == "dram":
                self._dram(row)
            elif row.purpose == "transfer":
                self._transfer(row)
            else:
                self._array(row)
        assert not self.owed
        assert not any(self.moving.values())
        for name, rest in self.expected.items():
            assert next(rest, None) is None, f"{name} ends too early"

    def _dram(self, row: Row) -> None:
        if row.direction == "write":
            self.owed.extend(range(row.address, row.address + row.bytes))
            self._drain()
            return
        stored = self.dram[row.operand]
        for address in range(row.address, row.address + row.bytes):
            if row.operand == "ofmap":
                self.moving["in"].append(stored.get(address, ("initial", address)))
            else:
                self.moving[row.operand].append(stored[address])

    def _drain(self) -> None:
        """Bytes on their way to DRAM arrive there."""
        while self.owed and self.moving["out"]:
            self.dram["ofmap"][self.owed.popleft()] = self.moving["out"].popleft()

    def _transfer(self, row: Row) -> None:
        buffer = self.buffers[row.operand]
        for address in range(row.address, row.address + row.bytes):
            if row.direction == "read":
                self.moving["out"].append(buffer[address])
            else:
                queue = "in" if row.operand == "ofmap" else row.operand
                buffer[address] = self.moving[queue].popleft()
        self._drain()

    def _array(self, row: Row) -> None:
        buffer = self.buffers[row.operand]
        if row.purpose == "residual":
            self.residuals.append(buffer[row.address])
            return
        name = row.operand if row.purpose == "operands" else f"{row.operand} {row.direction}"
        wanted = next(self.expected[name, row.purpose])
        if row.direction == "write":
            buffer[row.address] = wanted
        elif wanted[0] != "padding":
            found = buffer.get(row.address)
            assert found == wanted, f"{row} finds {found}, not {wanted}"
