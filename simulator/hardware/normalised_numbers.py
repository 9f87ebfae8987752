"""Numbers with their leading 1 in front: what every converter into a format with exponents begins with."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import Mux, Value

from simulator.hardware.circuits import Circuit, at_least_bits, leading_zeros, number, shift_left
from simulator.hardware.operand_decoders import Operand


@dataclass(frozen=True, slots=True)
class Normalised:
    """`significand * 2**exponent`, where the significand's top bit is 1 and weighs 1, unless all is 0.

    least, greatest: ends of the signed exponent.
    """

    negative: Value
    significand: Value
    exponent: Value
    least: int
    greatest: int

    def padded(self, bits: int) -> Value:
        """The significand, at least so wide."""
        return at_least_bits(self.significand, bits)


def normalised(circuit: Circuit, value: Operand) -> Normalised:
    """An operand with its leading 1 in front."""
    width = len(value.significand)
    count = leading_zeros(circuit, value.significand)
    significand = shift_left(circuit, value.significand, count, width)
    top = value.scale + width - 1
    least, greatest = top + value.least_exponent - width, top + value.greatest_exponent
    exponent = circuit.within("leading_exponent", value.exponent + number(top) - count, least, greatest)
    return Normalised(value.negative, significand, exponent, least, greatest)


def limited(circuit: Circuit, value: Value, least: int, greatest: int, ends: tuple[int, int]) -> Value:
    """A signed value from `least` to `greatest`, held between two ends."""
    low, high = ends
    kept = Mux(value < low, number(low), value) if least < low else value
    kept = Mux(value > high, number(high), kept) if greatest > high else kept
    return circuit.within("limited", kept, max(least, low), min(greatest, high))
