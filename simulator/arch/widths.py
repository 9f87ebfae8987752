"""How wide a memory's word is when the architecture leaves it to the array."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from simulator.arch.config import ArchConfig
from simulator.dataflow import DATAFLOWS
from simulator.numerics import get_mac
from simulator.operands import Operand


def default_word_bits(arch: ArchConfig) -> dict[str, int]:
    """Word width by memory so that the array's edges never wait: a power of two, one edge a cycle.

    A memory that holds several tensors has a word for the widest of their edges.

    The ofmap word holds two rows: results and the other operand of a residual addition, or, in weight and
    input stationary arrays, partial sums that are read and written back every cycle.

    Raises:
        UserError: the array's MAC cannot be understood.
    """
    array = arch.array
    macs = [get_mac(choice, custom=arch.macs) for choice, _ in arch.mac_choices()]
    activation_bits = macs[0].stored_bits[0]
    weight_bits = max(mac.stored_bits[1] for mac in macs)
    accumulator_bits = max(mac.accumulator_bits for mac in macs)
    flow = DATAFLOWS[array.dataflow]
    entering = {flow.at_rows: array.rows, flow.at_columns: array.columns}
    leaving = {"activation": accumulator_bits, "weight": accumulator_bits, "accumulator": activation_bits}
    edges: dict[Operand, int | Fraction] = {
        "ifmap": entering["activation"] * activation_bits,
        "filter": entering["weight"] * weight_bits,
        "ofmap": flow.lanes(array.rows, array.columns) * leaving[flow.stationary] * 2,
    }
    return {
        memory.name: max(8, 1 << (ceil(max(edges[operand] for operand in memory.holds)) - 1).bit_length())
        for memory in arch.sram.memories
    }
