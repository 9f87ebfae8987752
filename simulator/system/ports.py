"""How much narrow SRAM ports and a slow output path lengthen folds, and how many words pass the ports.

All of it is compiled, so that the search for a tiling, the machine and the access trace use the same lines.
"""

from __future__ import annotations

from typing import NamedTuple

from simulator.arch import ArchConfig
from simulator.numerics.engines.compiled import kernel
from simulator.system.footprint import StorageBits


class Edges(NamedTuple):
    """What crosses the array's edges, and what the buffers and the output path move in a cycle.

    ifmap_bits, filter_bits, sum_bits, result_bits: stored bits of an activation, a weight, a partial sum and
    a result; residual_bits: of the other operand of a residual addition (0: none).
    *_word: bits of one access of a buffer; *_rate: bits that all its ports move in a cycle; buffers have a
    bank for each half, so transfers do not compete. *_macro: bits of the macro words inside.
    values_per_cycle: results that the output path takes.
    """

    ifmap_bits: int
    filter_bits: int
    sum_bits: int
    result_bits: int
    residual_bits: int
    ifmap_word: int
    filter_word: int
    ofmap_word: int
    ifmap_rate: int
    filter_rate: int
    ofmap_rate: int
    ifmap_macro: int
    filter_macro: int
    ofmap_macro: int
    values_per_cycle: int


def edges_of(arch: ArchConfig, bits: StorageBits) -> Edges:
    """The edges of an architecture for operands of these widths."""
    ifmap, weights, ofmap = arch.sram.ifmap, arch.sram.filter, arch.sram.ofmap
    return Edges(
        ifmap_bits=bits.activation,
        filter_bits=bits.weight,
        sum_bits=bits.accumulator,
        result_bits=bits.result,
        residual_bits=bits.residual,
        ifmap_word=ifmap.word_bits,
        filter_word=weights.word_bits,
        ofmap_word=ofmap.word_bits,
        ifmap_rate=ifmap.word_bits * ifmap.ports,
        filter_rate=weights.word_bits * weights.ports,
        ofmap_rate=ofmap.word_bits * ofmap.ports,
        ifmap_macro=ifmap.touched_bits,
        filter_macro=weights.touched_bits,
        ofmap_macro=ofmap.touched_bits,
        values_per_cycle=arch.output_path.values_per_cycle or arch.array.columns,
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
    """Cycles between the vectors of a fold whose weights (or inputs) stay.

    preload: between vectors of the stationary operand; port, path: between streamed vectors, as the slowest
    port and the output path allow.
    """

    preload: int
    port: int
    path: int


@kernel
def operand_pace(e: Edges, rows: int, columns: int, interval: int) -> int:
    """Cycles between vectors of operands of an output-stationary fold."""
    ifmap = ceil_div(rows * e.ifmap_bits, e.ifmap_rate)
    weights = ceil_div(columns * e.filter_bits, e.filter_rate)
    return max(interval, ifmap, weights)


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
def stationary_pace(e: Edges, weights_stay: int, rows: int, columns: int, first: int, last: int) -> Pace:
    """The pace of a fold whose weights (or else inputs) stay.

    first, last: 1 where the fold begins, or ends, the layer's reduction. Sums that come back and sums or
    results that leave pass the ofmap buffer's ports together.
    """
    if weights_stay:
        preload = ceil_div(columns * e.filter_bits, e.filter_rate)
        moving = ceil_div(rows * e.ifmap_bits, e.ifmap_rate)
    else:
        preload = ceil_div(columns * e.ifmap_bits, e.ifmap_rate)
        moving = ceil_div(rows * e.filter_bits, e.filter_rate)
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
