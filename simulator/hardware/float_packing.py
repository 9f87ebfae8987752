"""From a normalised number to a code of a float format: round, pack, and what lies past the ends."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import C, Cat, Mux, Value

from simulator.hardware.circuits import Circuit
from simulator.numerics.formats.minifloat import Minifloat


@dataclass(frozen=True, slots=True)
class FloatRange:
    """Where the codes of a float format lie: what every circuit that rounds into it must know."""

    precision: int
    least_exponent: int
    """log2 of the smallest normal number."""

    largest: int
    """The code of the largest value."""

    past_largest: int
    """The code of what is larger: infinity, or the largest value where the format saturates."""

    @classmethod
    def of(cls, fmt: Minifloat) -> FloatRange:
        """The range of a format."""
        largest = int(fmt.encode(fmt.largest))
        past = largest + 1 if fmt.overflows_to_infinity else largest
        return cls(fmt.fraction_bits + 1, 1 - fmt.bias, largest, past)


@dataclass(frozen=True, slots=True)
class Unrounded:
    """A magnitude before its last rounding.

    significand: unsigned, its top bit the leading 1 of a normal number, at least two bits below those kept.
    field: exponent field of the top bit's place, signed or not; below 1 only where `flush` is asked for.
    """

    significand: Value
    field: Value


def pack(
    circuit: Circuit,
    fmt: Minifloat,
    number: Unrounded,
    *,
    to_nearest: bool,
    past_largest: int,
    code_parity: bool = False,
    flush: bool = False,
) -> Value:
    """The code, without its sign, of a magnitude, rounded once.

    to_nearest: ties to even; else cut off. code_parity: whether a tie asks the lowest bit of the code, else
    that of the significand: they differ only where there are no fraction bits. flush: subnormal results
    become 0. past_largest: the code of what rounds past the largest value.
    """
    limits = FloatRange.of(fmt)
    p, width = limits.precision, len(number.significand)
    kept = number.significand[width - p :]
    guard, rest = number.significand[width - p - 1], number.significand[: width - p - 1].any()
    field = number.field if number.field.shape().signed else Cat(number.field, C(0, 1))
    code = circuit.wire("unrounded_code", Cat(kept[: p - 1], field).as_signed())
    if to_nearest:
        parity = code[0] if code_parity else kept[0]
        code = circuit.wire("rounded_code", code + (guard & (rest | parity)))
    magnitude_bits = fmt.fraction_bits + fmt.exponent_field_bits
    too_large = circuit.wire("too_large", code > limits.largest)
    kept_code = Mux(too_large, C(past_largest, magnitude_bits), code[:magnitude_bits])
    if flush:
        kept_code = Mux(code < (1 << (p - 1)), C(0, magnitude_bits), kept_code)
    return circuit.wire_of("magnitude_code", kept_code, magnitude_bits)


def signed_code(fmt: Minifloat, negative: Value, magnitude: Value) -> Value:
    """A code with its sign; formats without minus zero have plus zero in its place."""
    if not fmt.signed:
        return Mux(negative, C(0, len(magnitude)), magnitude)
    sign = negative if fmt.keeps_minus_zero else negative & magnitude.any()
    return Cat(magnitude, sign)
