"""One compiled step of every PE's adder: products of the operands added to the sums, by kind of MAC.

Import this only where it runs: it compiles.
"""

from __future__ import annotations

import numpy as np

from simulator.array import operations as op
from simulator.array import signals as sig
from simulator.array.grid_registers import Plane
from simulator.array.operations import Operations
from simulator.numerics.engines.compiled import inlined, kernel
from simulator.numerics.engines.intrinsics import bits_of_double, double_of_bits
from simulator.numerics.engines.sequential_kernels import round_to_format

_SUM_BITS = 64

# Unsigned indices spare numba the check for negative ones, which would keep loops from being vectorised.
_Index = np.uint64

_OVERFLOWED = sig.OVERFLOW_UP | sig.OVERFLOW_DOWN


@inlined
def _add_odd(x: float, y: float) -> float:
    """Return x + y rounded to odd, so that rounding it again to a narrower format rounds the exact sum."""
    total = x + y
    back = total - x
    error = (x - (total - back)) + (y - back)
    bits = bits_of_double(total)
    even = (bits & 1) == 0
    inward = (error > 0.0) != (total > 0.0)
    inexact = (error > 0.0) | (error < 0.0)
    rounded: float = double_of_bits(bits + ((-1 if inward else 1) if inexact & even else 0))
    return rounded


@kernel
def _add_integers(
    first: np.uint64, end: np.uint64, block: Plane, across: Plane, down: Plane, sums: Plane
) -> None:
    """Two's complement products; operands that are not part of a product are zeros."""
    across_spare, down_spare, shift = block[op.ACROSS_SPARE], block[op.DOWN_SPARE], block[op.SHIFT]
    for i in range(sums.shape[0]):
        for j in range(first, end):
            a = np.int64(np.int32(across[i, j] << across_spare)) >> across_spare
            w = np.int64(np.int32(down[i, j] << down_spare)) >> down_spare
            sums[i, j] += (a * w) << shift


@kernel
def _add_table_products(
    first: np.uint64,
    end: np.uint64,
    block: Plane,
    products: Plane,
    across: Plane,
    down: Plane,
    marks: Plane,
    gate: Plane,
    sums: Plane,
) -> None:
    """Products looked up in a table, into an accumulator that wraps."""
    base, stride = _Index(block[op.PRODUCTS]), _Index(block[op.STRIDE])
    for i in range(sums.shape[0]):
        for j in range(first, end):
            product = products[base + _Index(across[i, j]) * stride + _Index(down[i, j])]
            sums[i, j] += product if marks[i, j] & gate[i, j] & sig.VALID else 0


@kernel
def _flag_infinities(
    first: np.uint64,
    end: np.uint64,
    block: Plane,
    special: Plane,
    across: Plane,
    down: Plane,
    marks: Plane,
    gate: Plane,
    flags: Plane,
) -> None:
    """Raise the sticky flag where an operand of a product is infinite or NaN."""
    across_base, down_base = _Index(block[op.ACROSS_TABLE]), _Index(block[op.DOWN_TABLE])
    for i in range(flags.shape[0]):
        for j in range(first, end):
            infinite = special[across_base + _Index(across[i, j])] | special[down_base + _Index(down[i, j])]
            flags[i, j] |= infinite * (marks[i, j] & gate[i, j] & sig.VALID) * sig.INFINITE


@kernel
def _add_saturating(
    first: np.uint64,
    end: np.uint64,
    block: Plane,
    products: Plane,
    across: Plane,
    down: Plane,
    marks: Plane,
    gate: Plane,
    sums: Plane,
) -> None:
    """Products looked up in a table, into an accumulator that stays at its ends."""
    base, stride = _Index(block[op.PRODUCTS]), _Index(block[op.STRIDE])
    highest = (np.int64(1) << (block[op.BITS] - 1)) - 1
    lowest = -highest - 1
    span = highest - lowest
    for i in range(sums.shape[0]):
        for j in range(first, end):
            if marks[i, j] & gate[i, j] & sig.VALID:
                product = products[base + _Index(across[i, j]) * stride + _Index(down[i, j])]
                # Cut to the span first, so that the sum stays within 64 bits.
                total = sums[i, j] + min(max(product, -span), span)
                sums[i, j] = min(max(total, lowest), highest)


@kernel
def _add_sticky(
    first: np.uint64,
    end: np.uint64,
    block: Plane,
    products: Plane,
    across: Plane,
    down: Plane,
    marks: Plane,
    gate: Plane,
    sums: Plane,
    flags: Plane,
) -> None:
    """Products looked up in a table, into an accumulator that wraps and remembers the first overflow."""
    base, stride = _Index(block[op.PRODUCTS]), _Index(block[op.STRIDE])
    spare = _SUM_BITS - block[op.BITS]
    highest = (np.int64(1) << (block[op.BITS] - 1)) - 1
    lowest = -highest - 1
    for i in range(sums.shape[0]):
        for j in range(first, end):
            if marks[i, j] & gate[i, j] & sig.VALID:
                product = products[base + _Index(across[i, j]) * stride + _Index(down[i, j])]
                kept = (product << spare) >> spare
                total = sums[i, j] + kept
                witness = total if kept == product else product
                if not flags[i, j] & _OVERFLOWED:
                    if witness > highest:
                        flags[i, j] |= sig.OVERFLOW_UP
                    elif witness < lowest:
                        flags[i, j] |= sig.OVERFLOW_DOWN
                sums[i, j] = (total << spare) >> spare


@kernel
def _add_floats(
    first: np.uint64,
    end: np.uint64,
    block: Plane,
    limits: Plane,
    values: Plane,
    across: Plane,
    down: Plane,
    marks: Plane,
    gate: Plane,
    sums: Plane,
) -> None:
    """Products fused into a float accumulator, whose float64 value the int64 sums hold as a bit pattern."""
    anchor, least = block[op.ANCHOR], block[op.LEAST]
    smallest, largest, past = limits[op.SMALLEST], limits[op.LARGEST], limits[op.PAST_LARGEST]
    across_base, down_base = _Index(block[op.ACROSS_TABLE]), _Index(block[op.DOWN_TABLE])
    for i in range(sums.shape[0]):
        for j in range(first, end):
            a = values[across_base + _Index(across[i, j])]
            w = values[down_base + _Index(down[i, j])]
            held = double_of_bits(sums[i, j])
            held = np.copysign(0.0, held) if abs(held) < smallest else held  # as a pin may bring it
            total = _add_odd(held, a * w)
            rounded = bits_of_double(round_to_format(total, anchor, least, smallest, largest, past))
            sums[i, j] = rounded if marks[i, j] & gate[i, j] & sig.VALID else sums[i, j]


@kernel
def add_products(
    operations: Operations, across: Plane, down: Plane, marks: Plane, gate: Plane, sums: Plane, flags: Plane
) -> None:
    """Every PE adds the product of its operands to its sum where both marks and gate say VALID."""
    products, special, values = operations.products, operations.special, operations.values
    if operations.integers.shape[0] == 1:
        # All PEs alike: one long row, which vectorises better than many short ones.
        long_row = (1, sums.size)
        across, down = across.reshape(long_row), down.reshape(long_row)
        marks, gate = marks.reshape(long_row), gate.reshape(long_row)
        sums, flags = sums.reshape(long_row), flags.reshape(long_row)
    for b in range(operations.integers.shape[0]):
        block = operations.integers[b]
        first, end = _Index(block[op.FIRST_COLUMN]), _Index(block[op.END_COLUMN])
        if operations.integers.shape[0] == 1:
            end = _Index(sums.size)
        if block[op.KIND] == op.INTEGER:
            _add_integers(first, end, block, across, down, sums)
        elif block[op.KIND] == op.FLOAT:
            _add_floats(first, end, block, operations.reals[b], values, across, down, marks, gate, sums)
        else:
            if block[op.OVERFLOW] == op.WRAP:
                _add_table_products(first, end, block, products, across, down, marks, gate, sums)
            elif block[op.OVERFLOW] == op.SATURATE:
                _add_saturating(first, end, block, products, across, down, marks, gate, sums)
            else:
                _add_sticky(first, end, block, products, across, down, marks, gate, sums, flags)
            if block[op.HAS_SPECIAL]:
                _flag_infinities(first, end, block, special, across, down, marks, gate, flags)
