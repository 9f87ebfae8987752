"""From a linear number to a code of a log format, by the published converter's three roundings."""

from __future__ import annotations

from functools import singledispatch

from amaranth import C, Cat, Mux, Value, signed

from simulator.foundation import UserError
from simulator.hardware.circuits import Circuit, number, table
from simulator.hardware.normalised_numbers import Normalised, limited
from simulator.hardware.tapered_rounding import round_to_magnitude
from simulator.numerics.formats.log import FlatLog, LogBase, TaperedLog
from simulator.numerics.logarithm import log2_table

_REGISTER_BITS = 8
_FLOAT32_INFINITE = 128
_FLOAT32_DENORMAL = -127


def log_code(circuit: Circuit, fmt: LogBase, value: Normalised, *, as_float32: bool) -> Value:
    """The code of a number that is not 0.

    as_float32: as the converter from float32 has it, whose exponent register of 8 bits wraps, whose
    denormals are 0 and whose numbers from 2**128 on are infinite.
    """
    beta, gamma = fmt.beta, fmt.gamma
    significand = value.padded(beta + 3)
    kept = significand[-1 - beta : -1]
    guard, rest = significand[-2 - beta], significand[: -2 - beta].any()
    rounded = circuit.wire_of("rounded_fraction", kept + (guard & (rest | significand[-1 - beta])), beta + 1)
    carried = circuit.within("carried", value.exponent + rounded[beta], value.least, value.greatest + 1)
    entries = log2_table(beta, gamma).tolist()
    looked_up = table(circuit, rounded[:beta], entries, gamma + 1, slope=gamma - beta)
    exponent = circuit.within("log_exponent", carried + looked_up[gamma], value.least, value.greatest + 2)
    least, greatest = value.least, value.greatest + 2
    if as_float32 and (greatest >= _FLOAT32_INFINITE or least < -_FLOAT32_INFINITE):
        exponent = circuit.wire_of("wrapped", exponent, signed(_REGISTER_BITS))
        least, greatest = -_FLOAT32_INFINITE, _FLOAT32_INFINITE - 1
    low, high = fmt.exponent_limits
    too_large = circuit.wire("too_large", exponent >= high)
    fraction = circuit.wire("log_fraction", looked_up[:gamma] | too_large.replicate(gamma))
    held = limited(circuit, exponent, least, greatest, (low, high))
    code = _packed(fmt, circuit, value.negative, held, fraction)
    nothing = exponent < low
    if as_float32:
        nothing = nothing | (carried <= _FLOAT32_DENORMAL)
        code = Mux(nothing, C(0, fmt.bits), code)
        infinite = value.exponent >= _FLOAT32_INFINITE
        return circuit.wire("log_code", Mux(infinite, C(fmt.code_of_infinity, fmt.bits), code))
    return circuit.wire("log_code", Mux(nothing, C(0, fmt.bits), code))


@singledispatch
def _packed(fmt: LogBase, _circuit: Circuit, _negative: Value, _exponent: Value, _fraction: Value) -> Value:
    raise UserError(f"format {fmt.spec!r} has no hardware: there is no converter to it")


@_packed.register
def _(fmt: TaperedLog, circuit: Circuit, negative: Value, exponent: Value, fraction: Value) -> Value:
    layout = fmt.layout
    trailing_bits = fmt.gamma - fmt.log_fraction_bits
    half = trailing_bits - 1
    # Below the smallest value the circuit rounds by the lowest bits alone.
    smallest = fraction[half] & fraction[:half].any() if trailing_bits else C(0, 1)
    low, high = fmt.exponent_limits
    ends = (-layout.greatest_exponent, layout.greatest_exponent)
    held = limited(circuit, exponent, low, high, ends)
    regular = round_to_magnitude(circuit, layout, held, fraction, trailing_bits)
    past = Mux(exponent > ends[1], C(layout.largest_code, fmt.bits - 1), regular)
    magnitude = circuit.wire_of("magnitude", Mux(exponent < ends[0], smallest, past), fmt.bits - 1)
    return Cat(magnitude, negative & magnitude.any())


@_packed.register
def _(_fmt: FlatLog, circuit: Circuit, negative: Value, exponent: Value, fraction: Value) -> Value:
    field = circuit.wire_of("exponent_field", exponent + number(15), 5)
    return Cat(fraction, field, negative)
