"""The buffers' accesses at the array's edges: vectors of operands, partial sums and results, word by word.

A vector stands at the cycle in which its first element crosses the edge; its other elements follow as the
skew has it (docs/timing.md), delayed between buffer and edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np

from simulator.operands import OPERANDS, Operand
from simulator.system.accesses import Accesses, Kind, WholeBytes
from simulator.system.addresses import Addresses, OfmapPlace
from simulator.system.folds import Fold, Vectors, folds_of
from simulator.system.footprint import Integers, whole_bits
from simulator.system.layer_work import LayerWork
from simulator.system.ports import Edges
from simulator.system.run_network import LayerRun


class BufferPort(NamedTuple):
    """How a buffer is accessed: bits of a macro word, and bits that all its ports move in a cycle."""

    macro_bits: int
    rate: int

    def moved(self, count: int, counted: WholeBytes) -> Integers:
        """Bytes of `count` macro words."""
        return counted.next(np.full(count, self.macro_bits, np.int64))


def buffer_port(edges: Edges, operand: Operand) -> BufferPort:
    """The ports of an operand's memory."""
    number = OPERANDS.index(operand)
    return BufferPort(edges.macro[number], edges.rate_of(number))


def array_accesses(run: LayerRun, addresses: Addresses) -> Iterator[tuple[Kind, Iterator[Accesses]]]:
    """Everything that the buffers give to the array and take from it, each kind in order of time."""
    work = run.played.work
    yield Kind("sram", "ifmap", "read", "operands"), _operands(run, addresses, "ifmap")
    yield Kind("sram", "filter", "read", "operands"), _operands(run, addresses, "filter")
    if not work.array.timing.outputs_stay:
        yield Kind("sram", "ofmap", "read", "partial sums"), _sums(run, addresses, Fold.sums_in)
        yield Kind("sram", "ofmap", "write", "partial sums"), _sums(run, addresses, Fold.sums_out)
    if work.added_results:
        yield Kind("sram", "ofmap", "read", "residual"), _results(run, addresses, _residuals(work))
    yield Kind("sram", "ofmap", "write", "results"), _results(run, addresses, _stored(work))


def _operands(run: LayerRun, addresses: Addresses, operand: Literal["ifmap", "filter"]) -> Iterator[Accesses]:
    """The operand vectors of every fold cut into macro words, as many in a cycle as the ports move."""
    array = run.played.work.array
    port = buffer_port(array.edges, operand)
    bits = whole_bits(array.edges.ifmap_bits if operand == "ifmap" else array.edges.filter_bits)
    useful, moved = WholeBytes(), WholeBytes()
    number = OPERANDS.index(operand)
    for fold in folds_of(run):
        passing = fold.vectors_of(number)
        base = addresses.in_buffer(operand, getattr(fold.visit, operand))
        begins, sizes = _words(passing.lanes.used * bits, port)
        lanes = passing.lanes.first + begins[None, :] // bits
        for numbers in passing.vectors.portions(len(begins)):
            cycles = passing.vectors.cycles(numbers)[:, None] + begins // port.rate
            along = passing.first + passing.step * numbers[:, None]
            at = {passing.lanes.dimension: lanes, passing.along: along}
            elements = addresses.elements(operand, fold.visit, fold.group, at)
            yield Accesses(
                cycles.ravel(),
                (base + (elements * bits + begins % bits) // 8).ravel(),
                useful.next(np.broadcast_to(sizes, cycles.shape).ravel()),
                port.moved(cycles.size, moved),
            )


def _words(bits: int, port: BufferPort) -> tuple[Integers, Integers]:
    """First bit and useful bits of the macro words that hold a vector."""
    begins = np.arange(0, bits, port.macro_bits, dtype=np.int64)
    return begins, np.minimum(port.macro_bits, bits - begins)


def _sums(
    run: LayerRun, addresses: Addresses, vectors_of: Callable[[Fold], Vectors | None]
) -> Iterator[Accesses]:
    """Vectors of partial sums, where the tile's sums lie in the order in which they leave the array."""
    edges = run.played.work.array.edges
    port, bits = buffer_port(edges, "ofmap"), whole_bits(edges.sum_bits)
    useful, moved = WholeBytes(), WholeBytes()
    for fold in folds_of(run):
        vectors = vectors_of(fold)
        if vectors is not None:
            base = addresses.ofmap[fold.visit.ofmap].sums
            yield from _in_leaving_order(fold, vectors, bits, port, base, useful, moved)


def _in_leaving_order(
    fold: Fold,
    vectors: Vectors,
    bits: int,
    port: BufferPort,
    base: int,
    useful: WholeBytes,
    moved: WholeBytes,
) -> Iterator[Accesses]:
    """Words of vectors that lie one behind the other; `useful` says how many bytes their bits take."""
    lanes = fold.columns.used
    begins, sizes = _words(lanes * bits, port)
    for numbers in vectors.portions(len(begins)):
        cycles = vectors.cycles(numbers)[:, None] + begins // port.rate
        first = (fold.position + lanes * numbers[:, None]) * bits + begins
        yield Accesses(
            cycles.ravel(),
            (base + useful.before(first)).ravel(),
            useful.next(np.broadcast_to(sizes, cycles.shape).ravel()),
            port.moved(cycles.size, moved),
        )


@dataclass(frozen=True, slots=True)
class _Leaving:
    """What passes the ofmap buffer when results leave: the results, or what is added to them.

    whole: whether every result counts, so that vectors pass one by one; else the tile's share is packed.
    counted: of all results, those that count.
    """

    bits: int
    whole: bool
    counted: int
    later: int
    begin: Callable[[OfmapPlace], int]
    size: Callable[[OfmapPlace], int]


def _stored(work: LayerWork) -> _Leaving:
    array = work.array
    return _Leaving(
        bits=whole_bits(array.edges.result_bits),
        whole=bool(array.whole_results),
        counted=work.stored_results,
        later=work.output_latency,
        begin=lambda place: place.results,
        size=lambda place: place.result_bytes,
    )


def _residuals(work: LayerWork) -> _Leaving:
    array = work.array
    return _Leaving(
        bits=whole_bits(array.edges.residual_bits),
        whole=bool(array.whole_residuals),
        counted=work.added_results,
        later=0,
        begin=lambda place: place.residual,
        size=lambda place: place.residual_bytes,
    )


def _results(run: LayerRun, addresses: Addresses, leaving: _Leaving) -> Iterator[Accesses]:
    """Vectors of results, or their share of a tile word by word, where they lie in the order of leaving."""
    work = run.played.work
    port, moved, useful = buffer_port(work.array.edges, "ofmap"), WholeBytes(), WholeBytes()
    visit = -1
    for fold in folds_of(run):
        vectors = fold.results()
        if vectors is None:
            continue
        place = addresses.ofmap[fold.visit.ofmap]
        begin, size = leaving.begin(place), leaving.size(place)
        if fold.visit.ofmap != visit:
            visit = fold.visit.ofmap
            bits = fold.results_of_tile * leaving.bits
            useful = WholeBytes(Fraction(1, 8) if 8 * size >= bits else Fraction(size, bits))
        if leaving.whole:
            late = vectors._replace(first_cycle=vectors.first_cycle + leaving.later)
            yield from _in_leaving_order(fold, late, leaving.bits, port, begin, useful, moved)
        else:
            yield from _packed(work, fold, vectors, leaving, port, place, moved)


def _packed(
    work: LayerWork,
    fold: Fold,
    vectors: Vectors,
    leaving: _Leaving,
    port: BufferPort,
    place: OfmapPlace,
    moved: WholeBytes,
) -> Iterator[Accesses]:
    """The words of a tile's packed share that begin with this fold's results.

    Codes of the share are spread evenly over the tile's results; a word passes with its first code.
    """
    g, results = work.geometry, fold.results_of_tile
    total = g.m * g.n * g.groups
    share = results if leaving.counted == total else _rounded_up(results * leaving.counted, total)
    size, bits, macro = leaving.size(place), leaving.bits, port.macro_bits
    lanes = fold.columns.used

    def first_word(vector: int) -> int:
        result = fold.position + lanes * vector
        if result == results:
            return _rounded_up(size * 8, macro)
        return _rounded_up(_rounded_up(result * share, results) * bits, macro)

    for numbers in vectors.portions(_rounded_up(lanes * bits, macro)):
        words = np.arange(first_word(int(numbers[0])), first_word(int(numbers[-1]) + 1), dtype=np.int64)
        code = np.minimum(words * macro // bits, share - 1)
        vector = (code * results // share - fold.position) // lanes
        beside = np.arange(len(words)) - np.searchsorted(vector, vector)
        begins = words * macro
        ends = np.minimum(begins + macro, size * 8)
        yield Accesses(
            cycles=vectors.cycles(vector) + beside * macro // port.rate + leaving.later,
            addresses=leaving.begin(place) + begins // 8,
            bytes=-(-ends // 8) + (-begins // 8),
            moved=port.moved(len(words), moved),
        )


def _rounded_up(a: int, b: int) -> int:
    return -(-a // b)
