"""What a layer asks of the machine whatever its tiling, and what the machine counts."""

from __future__ import annotations

from typing import NamedTuple

from simulator.numerics.engines.compiled import helper, kernel
from simulator.system.geometry import Geometry
from simulator.system.nest import Memory
from simulator.system.ports import ceil_div
from simulator.system.tile_work import COSTS, Array


class LayerWork(NamedTuple):
    """Everything about a layer and its accelerator that does not depend on the tiling.

    stored_results, added_results: results that are written after pooling, and those that a residual addition
        reads the other operand of.
    ifmap_on_chip: the input comes from the ofmap buffer, at `chip_rate` bits a cycle.
    ofmap_stays: the result is left there.
    output_latency: cycles from the array's edge to the buffer.
    """

    geometry: Geometry
    array: Array
    memory: Memory
    stored_results: int
    added_results: int
    ifmap_on_chip: int
    ofmap_stays: int
    chip_rate: int
    output_latency: int


class Slots(NamedTuple):
    """Tiles of each operand that its buffer holds at once."""

    ifmap: int
    filter: int
    ofmap: int


# Places in the totals: first the costs of all steps, then these.
STALL_IFMAP = COSTS
STALL_FILTER, STALL_OFMAP, STALL_DRAM, STALL_PORT, STALL_OUTPUT = (COSTS + i for i in range(1, 6))
BYTES = COSTS + 6
"""Useful DRAM bytes of the four streams: ifmap, filter, ofmap in, ofmap out."""
BURSTS = COSTS + 10
"""Their bursts."""
BUFFER_WORDS = COSTS + 14
"""Macro words that their transfers touch in the buffers."""
CHIP_BYTES, CHIP_WORDS = COSTS + 18, COSTS + 19
"""What is copied from the ofmap to the ifmap buffer, and the words that this reads."""
POOLED_WORDS, ADDED_WORDS = COSTS + 20, COSTS + 21
"""Words of results behind pooling, and of residual operands that are fewer than the results."""
RESULT_BYTES, RESIDUAL_BYTES = COSTS + 22, COSTS + 23
"""Bytes of results that reach the ofmap buffer, and of residual operands read there."""
STEPS, TRANSFERS, END, PLAYED = (COSTS + i for i in range(24, 28))
"""Steps and transfers, the layer's last cycle, and how many steps were gone through one by one."""
TOTALS = COSTS + 28


@helper
def all_results(g: Geometry) -> int:
    """Results of the whole layer."""
    return g.images * g.rows.outputs * g.columns.outputs * g.n * g.groups


@helper
def _share(part: int, counted: int, total: int) -> int:
    """`part * counted / total` rounded up, without the product where it would not fit 64 bits."""
    if part < 1 << 31 and counted < 1 << 31:
        return (part * counted + total - 1) // total
    quotient, rest = 0, 0
    for bit in range(40, -1, -1):
        quotient, rest = 2 * quotient, 2 * rest
        if counted >> bit & 1:
            rest += part
        quotient += rest // total
        rest %= total
    return quotient + (1 if rest else 0)


@kernel
def result_share(total: int, results: int, counted: int, bits: float) -> int:
    """Bytes that a tile's `results` of all `total` take when only `counted` of all are."""
    elements = results if counted == total else _share(results, counted, total)
    return ceil_div(elements * bits, 8)
