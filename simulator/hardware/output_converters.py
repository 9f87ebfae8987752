"""From a sum to a code of the activation format, at the edge of the array: one converter a family of formats.

Each does what `Mac.to_output` does. A sum is read as an operand with sign, significand and exponent; formats
with exponents have it normalised first, those of equal steps count from a fixed place.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np
from amaranth import C, Cat, Mux, Value

from simulator.foundation import UserError
from simulator.hardware.circuits import (
    Circuit,
    conditional_negation,
    not_negative,
    number,
    shifted_down,
)
from simulator.hardware.float_packing import FloatRange, Unrounded, pack, signed_code
from simulator.hardware.log_converter import log_code
from simulator.hardware.normalised_numbers import normalised
from simulator.hardware.operand_decoders import Operand, decode_register
from simulator.hardware.step_circuit import SumLayout
from simulator.hardware.tapered_rounding import posit_code
from simulator.numerics import Mac
from simulator.numerics.formats import Format
from simulator.numerics.formats.fixed_point import FixedPoint
from simulator.numerics.formats.log import LogBase
from simulator.numerics.formats.minifloat import Minifloat
from simulator.numerics.formats.posit import Posit
from simulator.numerics.formats.sign_magnitude import SignMagnitude

_MOST_TAPERED_BITS = 64


def why_no_converter(mac: Mac) -> str | None:
    """Why sums cannot become codes in hardware, or None where they can."""
    tapered = mac.spec.output != "nearest"
    if tapered and mac.accumulator_bits > _MOST_TAPERED_BITS:
        return f"the converter of {mac.activation.spec} takes accumulators of up to {_MOST_TAPERED_BITS} bits"
    return None


def convert_sum(mac: Mac, circuit: Circuit, word: Value) -> Value:
    """The code of a sum with its flags (`SumLayout`). Raises UserError for a family without a converter."""
    target = mac.activation
    parts = SumLayout.of(mac).fields(word)
    register_format = mac.accumulator.number_format
    if register_format is not None:
        source = decode_register(register_format, circuit, parts.value, flush=False)
    else:
        source = _integer(circuit, parts.value, mac.accumulator_lsb)
    code = _finite_code(target, circuit, source, mac.spec.output)
    code = Mux(source.significand.any(), code, _code_of_zero(target, source))
    if len(parts.overflow):
        largest = [int(target.encode(np.copysign(target.largest, sign))) for sign in (1.0, -1.0)]
        code = Mux(parts.overflow[0], C(largest[0], target.bits), code)
        code = Mux(parts.overflow[1], C(largest[1], target.bits), code)
    infinities = [C(int(target.encode(value)), target.bits) for value in (np.inf, -np.inf)]
    code = Mux(source.infinite, Mux(source.negative, infinities[1], infinities[0]), code)
    code = Mux(source.nan, C(int(target.encode(np.nan)), target.bits), code)
    if len(parts.infinite):
        code = Mux(parts.infinite, infinities[0], code)
    return circuit.wire_of("code", code, target.bits)


def _integer(circuit: Circuit, value: Value, lsb: int) -> Operand:
    negative = value[-1]
    magnitude = conditional_negation(circuit, value.as_signed(), negative)[: len(value)]
    return Operand(negative, circuit.wire("magnitude", magnitude), C(0, 0), lsb, 0, 0)


def _code_of_zero(target: Format, source: Operand) -> Value:
    """Zeros of floats have signs, integers have one zero."""
    plus, minus = (C(int(target.encode(zero)), target.bits) for zero in (0.0, -0.0))
    return Mux(source.negative, minus, plus)


@singledispatch
def _finite_code(target: Format, _circuit: Circuit, _source: Operand, _rule: str) -> Value:
    """The code of a finite number that is not 0."""
    raise UserError(f"format {target.spec!r} has no hardware: there is no converter to it")


@_finite_code.register
def _(target: Minifloat, circuit: Circuit, source: Operand, _rule: str) -> Value:
    value, limits = normalised(circuit, source), FloatRange.of(target)
    significand = value.padded(limits.precision + 2)
    least, greatest = value.least - limits.least_exponent, value.greatest - limits.least_exponent
    top = circuit.within("top_exponent", value.exponent - number(limits.least_exponent), least, greatest)
    field = not_negative(circuit, circuit.within("normal_field", top + 1, least + 1, max(greatest + 1, 0)))
    if least < 0:
        below = not_negative(circuit, circuit.within("below_normal", -top, -max(greatest, 1), -least))
        kept, lost = shifted_down(circuit, significand, below)
        significand = circuit.wire("denormalised", Cat(lost, kept))
    magnitude = pack(
        circuit,
        target,
        Unrounded(significand, field),
        to_nearest=True,
        past_largest=limits.past_largest,
        code_parity=True,
    )
    return signed_code(target, value.negative, magnitude)


@_finite_code.register
def _(target: FixedPoint, circuit: Circuit, source: Operand, _rule: str) -> Value:
    low, high = target.limits
    magnitude = _steps(circuit, source, -target.fraction_bits, target.bits)
    positive = Mux(magnitude > high, C(high, target.bits), magnitude)
    negative = Mux(magnitude > -low, C(low, target.bits), -magnitude)
    return circuit.wire_of("steps", Mux(source.negative, negative, positive), target.bits)


@_finite_code.register
def _(target: SignMagnitude, circuit: Circuit, source: Operand, _rule: str) -> Value:
    largest = (1 << (target.bits - 1)) - 1
    magnitude = _steps(circuit, source, 0, target.bits)
    kept = circuit.wire_of("steps", Mux(magnitude > largest, largest, magnitude), target.bits - 1)
    return Cat(kept, source.negative)


def _steps(circuit: Circuit, source: Operand, unit: int, bits: int) -> Value:
    """A magnitude in units of 2**unit, rounded to nearest even; all past `bits` bits is 2**bits."""
    lowest = source.scale + source.least_exponent
    if source.least_exponent == source.greatest_exponent:
        dropped = unit - lowest
        number_of_units = source.significand
        if dropped <= 0:
            return circuit.wire("units", Cat(C(0, -dropped), number_of_units))
        distance = C(dropped, dropped.bit_length())
        kept, lost = shifted_down(circuit, Cat(C(0, 1), number_of_units), distance)
        return _rounded_units(circuit, kept, lost)
    # From far above down to its place, with one bit behind the units.
    furthest = bits + 1
    least, greatest = (
        furthest + unit - source.scale - exponent
        for exponent in (source.greatest_exponent, source.least_exponent)
    )
    distance = circuit.within(
        "distance", number(furthest + unit - source.scale) - source.exponent, least, max(greatest, 0)
    )
    placed = Cat(C(0, furthest + 1), source.significand)
    kept, lost = shifted_down(circuit, placed, not_negative(circuit, distance))
    units = _rounded_units(circuit, kept, lost)
    return circuit.wire("units", Mux(distance < 0, C(1 << bits, bits + 1), units))


def _rounded_units(circuit: Circuit, kept: Value, lost: Value) -> Value:
    return circuit.wire("units", kept[1:] + (kept[0] & (lost | kept[1])))


@_finite_code.register
def _(target: Posit, circuit: Circuit, source: Operand, rule: str) -> Value:
    value = normalised(circuit, source)
    return posit_code(circuit, target, value, rounds_up_from_half=rule == "posit")


@_finite_code.register
def _(target: LogBase, circuit: Circuit, source: Operand, rule: str) -> Value:
    value = normalised(circuit, source)
    code = log_code(circuit, target, value, as_float32=rule != "log")
    if rule != "log":
        return code
    # The most negative sum has no magnitude in the published converter's register.
    only_top = source.significand[-1] & ~source.significand[:-1].any()
    return Mux(only_top, C(0, target.bits), code)
