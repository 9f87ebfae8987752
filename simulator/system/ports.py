"""How much narrow or shared ports and a slow output path lengthen folds, and how many words pass the ports.

All of it is compiled, so that the search for a tiling, the machine and the access trace use the same lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from simulator.arch import ArchConfig
from simulator.dataflow import AXES, DATAFLOWS, DataflowName, OperandClass
from simulator.numerics.engines.compiled import kernel
from simulator.operands import FILTER, IFMAP, OFMAP, OPERANDS
from simulator.system.footprint import StorageBits, bits_in_float


class Side(NamedTuple):
    """The operand that enters at an edge of the upright array.

    operand: its number. bits: of a code. outer, inner: dimensions of a tile in its memory, numbered as in
    `AXES`; what crosses the edge together lies together.
    """

    operand: int
    bits: float
    outer: int
    inner: int


PerOperand = tuple[int, int, int]
"""A number for each operand, by the operand's number."""


class Edges(NamedTuple):
    """What crosses the array's edges, and what the memories and the output path move in a cycle.

    left, top: the operands that enter at the left and at the top of the upright array.
    ifmap_bits, filter_bits, sum_bits, result_bits: stored bits of an activation, a weight, a partial sum and
    a result; residual_bits: of the other operand of a residual addition (0: none). All are whole numbers, or
    all float64, where elements have shares of a block's scale.
    word, ports, macro: of the memory of each operand, bits of one access, accesses in a cycle, bits of the
    macro words inside. Memories have a bank for each half, so transfers do not compete.
    turns: operands with the same number take turns at the ports.
    values_per_cycle: results that the output path takes.
    """

    left: Side
    top: Side
    ifmap_bits: float
    filter_bits: float
    sum_bits: float
    result_bits: float
    residual_bits: float
    word: PerOperand
    ports: PerOperand
    macro: PerOperand
    turns: PerOperand
    values_per_cycle: int

    def side_of(self, operand: int) -> Side:
        """The edge at which an operand enters."""
        return {self.left.operand: self.left, self.top.operand: self.top}[operand]

    def rate_of(self, operand: int) -> int:
        """Bits that all ports of an operand's memory move in a cycle."""
        return self.word[operand] * self.ports[operand]


def edges_of(arch: ArchConfig, bits: StorageBits, dataflow: DataflowName) -> Edges:
    """The edges of an architecture for operands of these widths, with one of its dataflows."""
    flow = DATAFLOWS[dataflow]
    widths = {"activation": (IFMAP, bits.activation), "weight": (FILTER, bits.weight)}
    memories = [arch.sram.of(operand) for operand in OPERANDS]
    numbers = {memory.name: number for number, memory in enumerate(memories) if memory.shares_ports}

    numbers_of = int if bits.is_whole else bits_in_float

    def side(entering: OperandClass) -> Side:
        number, width = widths[entering]
        outer, inner = (AXES.index(axis) for axis in flow.buffer_order(entering))
        return Side(number, numbers_of(width), outer, inner)

    left, top = flow.entering
    return Edges(
        left=side(left),
        top=side(top),
        ifmap_bits=numbers_of(bits.activation),
        filter_bits=numbers_of(bits.weight),
        sum_bits=numbers_of(bits.accumulator),
        result_bits=numbers_of(bits.result),
        residual_bits=numbers_of(bits.residual),
        word=per_operand(memory.config.word_bits for memory in memories),
        ports=per_operand(memory.config.ports for memory in memories),
        macro=per_operand(memory.config.touched_bits for memory in memories),
        turns=per_operand(numbers.get(memory.name, number) for number, memory in enumerate(memories)),
        values_per_cycle=arch.output_path.values_per_cycle or flow.lanes(arch.array.rows, arch.array.columns),
    )


def per_operand(numbers: Iterable[int]) -> PerOperand:
    """One number for each operand, in their order."""
    ifmap, weights, ofmap = numbers
    return ifmap, weights, ofmap


@kernel
def ceil_div(a: float, b: int) -> int:
    """`a / b` rounded up, both not negative; bits of block-scaled codes may be fractions."""
    return int(-(-a // b))


@kernel
def port_cycles(e: Edges, operand: int, bits: float) -> int:
    """Cycles in which the ports of an operand's memory move a vector of `bits` bits."""
    return ceil_div(ceil_div(bits, e.word[operand]), e.ports[operand])


@kernel
def port_cycles_of_two(e: Edges, one: int, one_bits: float, other: int, other_bits: float) -> int:
    """Cycles for a vector of each of two operands: side by side, or in turns, in words of their own."""
    if e.turns[one] != e.turns[other]:
        return max(port_cycles(e, one, one_bits), port_cycles(e, other, other_bits))
    words = ceil_div(one_bits, e.word[one]) + ceil_div(other_bits, e.word[other])
    return ceil_div(words, e.ports[one])


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
    left, top = e.left, e.top
    ports = port_cycles_of_two(e, left.operand, rows * left.bits, top.operand, columns * top.bits)
    return max(interval, ports)


@kernel
def result_pace(e: Edges, columns: int) -> tuple[int, int]:
    """Cycles for one vector of results, residual operands read: through the port, through the output path."""
    port = port_cycles(e, OFMAP, columns * (e.result_bits + e.residual_bits))
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
    results that leave pass the ports of their memory together.
    """
    preload = port_cycles(e, e.top.operand, columns * e.top.bits)
    sums = (e.result_bits + e.residual_bits if last else e.sum_bits) + (0 if first else e.sum_bits)
    port = max(1, port_cycles_of_two(e, e.left.operand, rows * e.left.bits, OFMAP, columns * sums))
    return Pace(max(1, preload), port, ceil_div(columns, e.values_per_cycle) if last else 1)


@kernel
def delay_of_stationary(pace: Pace, rows: int, streamed: int) -> Delay:
    """Delay of one fold of `rows` preloaded and `streamed` streamed vectors."""
    return Delay(
        rows * (pace.preload - 1) + streamed * (pace.port - 1), streamed * max(0, pace.path - pace.port)
    )


@kernel
def words_of(lanes: int, bits: float, macro_bits: int) -> int:
    """Macro words that one vector of `lanes` codes touches."""
    return ceil_div(lanes * bits, macro_bits)
