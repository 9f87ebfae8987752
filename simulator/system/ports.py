"""How much narrow SRAM ports and a slow output path lengthen folds, and how many words pass the ports.

All of it is compiled, so that the search for a tiling, the machine and the access trace use the same lines.
"""

from __future__ import annotations

from typing import NamedTuple

from simulator.arch import ArchConfig
from simulator.dataflow import AXES, DATAFLOWS, DataflowName, OperandClass
from simulator.numerics.engines.compiled import kernel
from simulator.system.footprint import StorageBits


class Side(NamedTuple):
    """The operand that enters at an edge of the upright array, and its buffer.

    operand: 0 for activations, 1 for weights. bits: of a code; rate: bits that the buffer's ports move in a
    cycle; macro: bits of a macro word. outer, inner: dimensions of a tile in the buffer, numbered as in
    `AXES`; what crosses the edge together lies together.
    """

    operand: int
    bits: int
    rate: int
    macro: int
    outer: int
    inner: int


class Edges(NamedTuple):
    """What crosses the array's edges, and what the buffers and the output path move in a cycle.

    left, top: the operands that enter at the left and at the top of the upright array.
    ifmap_bits, filter_bits, sum_bits, result_bits: stored bits of an activation, a weight, a partial sum and
    a result; residual_bits: of the other operand of a residual addition (0: none).
    *_word: bits of one access of a buffer; *_rate: bits that all its ports move in a cycle; buffers have a
    bank for each half, so transfers do not compete. *_macro: bits of the macro words inside.
    values_per_cycle: results that the output path takes.
    """

    left: Side
    top: Side
    ifmap_bits: int
    filter_bits: int
    sum_bits: int
    result_bits: int
    residual_bits: int
    ifmap_rate: int
    filter_rate: int
    ofmap_rate: int
    ifmap_macro: int
    filter_macro: int
    ofmap_macro: int
    values_per_cycle: int

    def side_of(self, operand: int) -> Side:
        """The edge at which an operand enters."""
        return {self.left.operand: self.left, self.top.operand: self.top}[operand]


def edges_of(arch: ArchConfig, bits: StorageBits, dataflow: DataflowName) -> Edges:
    """The edges of an architecture for operands of these widths, with one of its dataflows."""
    ifmap, weights, ofmap = arch.sram.ifmap, arch.sram.filter, arch.sram.ofmap
    flow = DATAFLOWS[dataflow]
    buffers = {"activation": (0, bits.activation, ifmap), "weight": (1, bits.weight, weights)}

    def side(entering: OperandClass) -> Side:
        number, width, buffer = buffers[entering]
        outer, inner = (AXES.index(axis) for axis in flow.buffer_order(entering))
        return Side(number, width, buffer.word_bits * buffer.ports, buffer.touched_bits, outer, inner)

    left, top = flow.entering
    return Edges(
        left=side(left),
        top=side(top),
        ifmap_bits=bits.activation,
        filter_bits=bits.weight,
        sum_bits=bits.accumulator,
        result_bits=bits.result,
        residual_bits=bits.residual,
        ifmap_rate=ifmap.word_bits * ifmap.ports,
        filter_rate=weights.word_bits * weights.ports,
        ofmap_rate=ofmap.word_bits * ofmap.ports,
        ifmap_macro=ifmap.touched_bits,
        filter_macro=weights.touched_bits,
        ofmap_macro=ofmap.touched_bits,
        values_per_cycle=arch.output_path.values_per_cycle or flow.lanes(arch.array.rows, arch.array.columns),
    )


@kernel
def ceil_div(a: int, b: int) -> int:
    """`a / b` rounded up, both not negative."""
    return (a + b - 1) // b


class Delay(NamedTuple):
    """Cycles that a fold takes longer, by what is too slow."""

    port: int
    output: int


class Pace(NamedTuple):
    """Cycles between the vectors of a fold with an operand that stays.

    preload: between vectors of the stationary operand; port, path: between streamed vectors, as the slowest
    port and the output path allow.
    """

    preload: int
    port: int
    path: int


@kernel
def operand_pace(e: Edges, rows: int, columns: int, interval: int) -> int:
    """Cycles between vectors of operands of an output-stationary fold."""
    left = ceil_div(rows * e.left.bits, e.left.rate)
    top = ceil_div(columns * e.top.bits, e.top.rate)
    return max(interval, left, top)


@kernel
def result_pace(e: Edges, columns: int) -> tuple[int, int]:
    """Cycles for one vector of results, residual operands read: through the port, through the output path."""
    port = ceil_div(columns * (e.result_bits + e.residual_bits), e.ofmap_rate)
    return max(1, port), ceil_div(columns, e.values_per_cycle)


@kernel
def delay_of_results(e: Edges, rows: int, columns: int, beside_next_fold: int) -> Delay:
    """Delay of an output-stationary fold's `rows` vectors of results.

    beside_next_fold: cycles in which results may leave while the next fold is under way (fold overlap); what
    they hide is taken from the output path's part first.
    """
    port, path = result_pace(e, columns)
    through_port, through_path = rows * (port - 1), rows * max(0, path - port)
    hidden = max(0, beside_next_fold - rows)
    hidden_port = max(0, hidden - through_path)
    return Delay(max(0, through_port - hidden_port), max(0, through_path - hidden))


@kernel
def stationary_pace(e: Edges, rows: int, columns: int, first: int, last: int) -> Pace:
    """The pace of a fold with an operand that stays.

    first, last: 1 where the fold begins, or ends, the layer's reduction. Sums that come back and sums or
    results that leave pass the ofmap buffer's ports together.
    """
    preload = ceil_div(columns * e.top.bits, e.top.rate)
    moving = ceil_div(rows * e.left.bits, e.left.rate)
    sums = (e.result_bits + e.residual_bits if last else e.sum_bits) + (0 if first else e.sum_bits)
    port = max(1, moving, ceil_div(columns * sums, e.ofmap_rate))
    return Pace(max(1, preload), port, ceil_div(columns, e.values_per_cycle) if last else 1)


@kernel
def delay_of_stationary(pace: Pace, rows: int, streamed: int) -> Delay:
    """Delay of one fold of `rows` preloaded and `streamed` streamed vectors."""
    return Delay(
        rows * (pace.preload - 1) + streamed * (pace.port - 1), streamed * max(0, pace.path - pace.port)
    )


@kernel
def words_of(lanes: int, bits: int, macro_bits: int) -> int:
    """Macro words that one vector of `lanes` codes touches."""
    return ceil_div(lanes * bits, macro_bits)
