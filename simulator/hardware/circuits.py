"""Building blocks of circuits: named wires, shifters that keep track of lost bits, leading zeros, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from amaranth import C, Cat, Module, Mux, Signal, Value, signed, unsigned

_DELTA_INPUT_BITS = 7
"""From so many inputs on, a smooth table is stored as its difference from a straight line."""


@dataclass(slots=True)
class Circuit:
    """A module under construction, whose wires have names in the emitted source."""

    module: Module = field(default_factory=Module)
    _used: dict[str, int] = field(default_factory=dict)

    def wire(self, name: str, value: Value) -> Value:
        """A named wire of the value's width and sign."""
        shape = value.shape()
        return self.wire_of(name, value, signed(shape.width) if shape.signed else unsigned(shape.width))

    def wire_of(self, name: str, value: Value, shape: Value) -> Value:
        """A named wire of a shape; the value is extended or cut to it."""
        count = self._used.get(name, 0)
        self._used[name] = count + 1
        wire = Signal(shape, name=f"{name}_{count}" if count else name)
        self.module.d.comb += wire.eq(value)
        return wire

    def within(self, name: str, value: Value, least: int, greatest: int) -> Value:
        """A named wire just wide enough for `least` to `greatest`, signed where `least` is negative."""
        bits = max(least.bit_length() if least >= 0 else (-least - 1).bit_length(), greatest.bit_length())
        return self.wire_of(name, value, signed(bits + 1) if least < 0 else unsigned(bits))


def number(value: int) -> Value:
    """A constant just wide enough for its value, signed where it is negative."""
    if value >= 0:
        return C(value, value.bit_length())
    return C(value, signed((-value - 1).bit_length() + 1))


def is_constant(value: Value) -> bool:
    """Whether a value is a constant, so that hardware behind it can be left out."""
    return type(value).__name__ == "Const"


def is_zero(value: Value) -> bool:
    """Whether a value is the constant 0."""
    return is_constant(value) and not value.value


def any_of(*flags: Value) -> Value:
    """Whether any of some single bits is 1; those that never are make no hardware."""
    used = [flag for flag in flags if not is_zero(flag)]
    total = used[0] if used else C(0, 1)
    for flag in used[1:]:
        total = total | flag
    return total


def differs(one: Value, other: Value) -> Value:
    """Exclusive or of two single bits, without hardware for one that is never 1."""
    if is_zero(one):
        return other
    return one if is_zero(other) else one ^ other


def shift_left(circuit: Circuit, value: Value, amount: Value, width: int) -> Value:
    """The lowest `width` bits of `value << amount`; signed values are extended first."""
    shifted = circuit.wire_of("shift", value, width)
    for stage in range(len(amount)):
        distance = 1 << stage
        moved = Cat(C(0, min(distance, width)), shifted[: max(width - distance, 0)])
        shifted = circuit.wire("shift", Mux(amount[stage], moved, shifted))
    return shifted


def shift_right(circuit: Circuit, value: Value, amount: Value) -> Value:
    """`value >> amount`, arithmetically where the value is signed; of the value's width and sign."""
    width, has_sign = len(value), value.shape().signed
    fill = value[-1] if has_sign else C(0, 1)
    shifted = value.as_unsigned() if has_sign else value
    for stage in range(len(amount)):
        distance = min(1 << stage, width)
        moved = Cat(shifted[distance:], fill.replicate(distance))
        shifted = circuit.wire("shift", Mux(amount[stage], moved, shifted))
    return shifted.as_signed() if has_sign else shifted


def shift_right_sticky(circuit: Circuit, value: Value, amount: Value) -> tuple[Value, Value]:
    """`value >> amount` of an unsigned value, and whether a 1 was shifted out."""
    width, shifted, lost = len(value), value, C(0, 1)
    for stage in range(len(amount)):
        distance = min(1 << stage, width)
        moved = Cat(shifted[distance:], C(0, distance))
        lost = circuit.wire("lost", lost | (amount[stage] & shifted[:distance].any()))
        shifted = circuit.wire("shift", Mux(amount[stage], moved, shifted))
    return shifted, lost


def leading_zeros(circuit: Circuit, value: Value) -> Value:
    """How many zeros stand before the first 1 of an unsigned value; anything where there is none."""
    padded = 1 << max(len(value) - 1, 0).bit_length()
    bits = Cat(C(0, padded - len(value)), value) if padded > len(value) else value
    _, count = _leading_zeros(circuit, bits)
    return count


def _leading_zeros(circuit: Circuit, bits: Value) -> tuple[Value, Value]:
    if len(bits) == 1:
        return bits, C(0, 0)
    half = len(bits) // 2
    low_any, low_count = _leading_zeros(circuit, bits[:half])
    high_any, high_count = _leading_zeros(circuit, bits[half:])
    count = Cat(Mux(high_any, high_count, low_count), ~high_any) if len(low_count) else Cat(~high_any)
    return circuit.wire("any", low_any | high_any), circuit.wire("zeros", count)


def one_at(circuit: Circuit, position_from_top: Value, width: int) -> Value:
    """`width` bits with a single 1 so many places below the top; 0 where that is past the end."""
    bits = [position_from_top == width - 1 - index for index in range(width)]
    return circuit.wire("marker", Cat(*bits))


def conditional_negation(circuit: Circuit, value: Value, negative: Value) -> Value:
    """`-value` where negative, one bit wider and signed; the value signed as it is where never negative."""
    if is_zero(negative):
        return value if value.shape().signed else Cat(value, C(0, 1)).as_signed()
    width = len(value) + 1
    extended = circuit.wire_of("extended", value, signed(width))
    turned = (extended ^ negative.replicate(width).as_signed()) + negative
    return circuit.wire_of("signed_value", turned, signed(width))


def at_most(circuit: Circuit, value: Value, limit: int) -> Value:
    """The smaller of an unsigned value and a limit, just as wide as the limit needs."""
    bits = limit.bit_length()
    if len(value) < bits or (1 << len(value)) - 1 <= limit:
        return value
    return circuit.wire_of("limited", Mux(value > limit, C(limit, bits), value), bits)


def not_negative(circuit: Circuit, value: Value) -> Value:
    """A signed value, or 0 where it is negative, unsigned."""
    if not value.shape().signed:
        return value
    kept = value[:-1]
    return circuit.wire("from_zero", kept & ~value[-1].replicate(len(kept)))


def table(circuit: Circuit, index: Value, entries: Sequence[int], output_bits: int, *, slope: int) -> Value:
    """A table of unsigned entries by multiplexers that share what they have in common.

    Where there are many entries, their distance from the line `place * 2**slope` is looked up and added or
    subtracted, if all lie on one side of it.
    """
    if len(index) < _DELTA_INPUT_BITS:
        return _multiplexers(circuit, index, entries, output_bits)
    distances = [
        entry - (place << slope if slope >= 0 else place >> -slope) for place, entry in enumerate(entries)
    ]
    if min(distances) < 0 < max(distances):
        return _multiplexers(circuit, index, entries, output_bits)
    sizes = [abs(distance) for distance in distances]
    looked_up = _multiplexers(circuit, index, sizes, max(sizes).bit_length())
    line = Cat(C(0, slope), index) if slope >= 0 else index[-slope:]
    return circuit.wire_of("table", line + looked_up if max(distances) > 0 else line - looked_up, output_bits)


def _multiplexers(circuit: Circuit, index: Value, entries: Sequence[int], output_bits: int) -> Value:
    shared: dict[tuple[int, ...], Value] = {}

    def node(outputs: tuple[int, ...], level: int) -> Value:
        if len(set(outputs)) == 1:
            return C(outputs[0], 1)
        if outputs in shared:
            return shared[outputs]
        half = len(outputs) // 2
        low, high = node(outputs[:half], level - 1), node(outputs[half:], level - 1)
        select = index[level - 1]
        if is_constant(low) and is_constant(high):
            value = select if high.value else ~select
        elif outputs[:half] == outputs[half:]:
            value = low
        else:
            value = Mux(select, high, low)
        shared[outputs] = circuit.wire("entry", value[0])
        return shared[outputs]

    levels = len(index)
    bits = [node(tuple((entry >> bit) & 1 for entry in entries), levels) for bit in range(output_bits)]
    return circuit.wire("table", Cat(*bits))


def at_least_bits(value: Value, bits: int) -> Value:
    """An unsigned significand with zeros behind it, at least so wide."""
    return value if len(value) >= bits else Cat(C(0, bits - len(value)), value)


def shifted_down(circuit: Circuit, value: Value, amount: Value) -> tuple[Value, Value]:
    """As `shift_right_sticky`, for amounts that may be far past the value's width."""
    stages = len(value).bit_length()
    if len(amount) <= stages:
        return shift_right_sticky(circuit, value, amount)
    kept, lost = shift_right_sticky(circuit, value, amount[:stages])
    beyond = circuit.wire("beyond", amount[stages:].any())
    return kept & (~beyond).replicate(len(kept)), Mux(beyond, value.any(), lost)
