"""One step of a two's complement accumulator: add, then wrap, saturate or remember the overflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from amaranth import C, Cat, Mux, Value, signed

from simulator.foundation import UserError
from simulator.hardware.circuits import Circuit
from simulator.hardware.product_circuits import increment_of
from simulator.numerics import Mac
from simulator.numerics.accumulators import FixedAccumulator


@dataclass(frozen=True, slots=True)
class Sum:
    """Wires of an accumulator: its bits, and the flags beside it, of width 0 where there are none.

    infinite: an infinite or NaN operand took part.
    overflow: up, then down: the direction of the first overflow.
    """

    value: Value
    infinite: Value
    overflow: Value


def add_product(
    fixed: FixedAccumulator, mac: Mac, circuit: Circuit, old: Sum, pair: tuple[Value, Value]
) -> Sum:
    """What the register and its flags hold after one more product."""
    increment = increment_of(mac.products, mac, circuit, *pair)
    if fixed.overflow not in _ENDS:
        raise UserError(f"an accumulator that overflows by {fixed.overflow!r} has no hardware")
    value, overflow = _ENDS[fixed.overflow](circuit, fixed.bits, old, increment.value)
    infinite = old.infinite | increment.infinite if len(old.infinite) else C(0, 0)
    return Sum(value, infinite, overflow)


def _wrapped(circuit: Circuit, bits: int, old: Sum, increment: Value) -> tuple[Value, Value]:
    return circuit.wire_of("total", old.value + increment, bits), C(0, 0)


def _saturated(circuit: Circuit, bits: int, old: Sum, increment: Value) -> tuple[Value, Value]:
    total = circuit.wire_of("total", old.value.as_signed() + increment[:bits].as_signed(), signed(bits + 1))
    left = circuit.wire("left", total[bits] ^ total[bits - 1])
    end = Cat((~total[bits]).replicate(bits - 1), total[bits])
    return circuit.wire("kept", Mux(left, end, total[:bits])), C(0, 0)


def _sticky(circuit: Circuit, bits: int, old: Sum, increment: Value) -> tuple[Value, Value]:
    """The product alone may leave the register, in its own direction, or else the sum."""
    total = circuit.wire_of("total", old.value.as_signed() + increment[:bits].as_signed(), signed(bits + 1))
    sum_left = total[bits] ^ total[bits - 1]
    beyond = increment[bits - 1 :]
    wide = circuit.wire("product_left", beyond.any() & ~beyond.all())
    left = circuit.wire("left", (wide | sum_left) & ~old.overflow.any())
    down = circuit.wire("down", Mux(wide, increment[-1], total[bits]))
    return total[:bits], old.overflow | Cat(left & ~down, left & down)


_ENDS: Final = {"wrap": _wrapped, "saturate": _saturated, "sticky": _sticky}
