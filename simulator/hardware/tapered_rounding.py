"""The last rounding of posits and tapered log numbers: to nearest even, behind the run of the regime."""

from __future__ import annotations

from amaranth import C, Cat, Mux, Value

from simulator.hardware.circuits import Circuit, number, shift_right_sticky, table
from simulator.hardware.normalised_numbers import Normalised, limited
from simulator.numerics.formats.posit import Posit
from simulator.numerics.tapered import TaperedLayout


def round_to_magnitude(
    circuit: Circuit, layout: TaperedLayout, exponent: Value, fraction: Value, trailing_bits: int
) -> Value:
    """The code, without its sign, as `TaperedLayout.round_to_magnitude` gives it.

    The signed exponent is held between the layout's ends; the fraction has `trailing_bits` more than a code.
    """
    S, top = layout.exponent_field_bits, layout.bits - 2
    offset = circuit.within(
        "offset", exponent + number(layout.greatest_exponent), 0, 2 * layout.greatest_exponent
    )
    step = offset[S:]
    places = 1 << len(step)
    regimes = [min(place - top, top) for place in range(places)]
    extras = [regime if regime >= 0 else -regime - 1 for regime in regimes]
    extra_bits = max(extras).bit_length()
    extra = table(circuit, step, extras, extra_bits, slope=0)
    first = table(circuit, step, [_first_code(regime, top) for regime in regimes], layout.bits - 1, slope=0)
    behind = Cat(C(0, 1 + 0), fraction, offset[:S])
    drop = circuit.wire_of("drop", extra + trailing_bits, (max(extras) + trailing_bits).bit_length())
    kept, lost = shift_right_sticky(circuit, behind, drop)
    rounded = kept[1:] + (kept[0] & (lost | kept[1]))
    code = circuit.wire("rounded_code", first + rounded)
    largest = C(layout.largest_code, layout.bits - 1)
    at_top = (code > layout.largest_code) | (step >= 2 * top)
    return circuit.wire_of("tapered_code", Mux(at_top, largest, code), layout.bits - 1)


def _first_code(regime: int, top: int) -> int:
    if regime >= 0:
        return (1 << (top + 1)) - (1 << (top - regime))
    return 1 << (top + regime)


def posit_code(circuit: Circuit, fmt: Posit, value: Normalised, *, rounds_up_from_half: bool) -> Value:
    """The code of a number that is not 0; the published quire converter rounds up to the smallest value."""
    layout = fmt.layout
    kept = layout.fraction_bits + 2
    significand = value.padded(kept + 2)
    fraction = Cat(significand[: -1 - kept].any(), significand[-1 - kept : -1])
    ends = (-layout.greatest_exponent, layout.greatest_exponent)
    exponent = limited(circuit, value.exponent, value.least, value.greatest, ends)
    magnitude = round_to_magnitude(circuit, layout, exponent, fraction, 3)
    below = circuit.wire("below_smallest", value.exponent < ends[0])
    smallest = C(0, 1)
    if rounds_up_from_half:
        smallest = (value.exponent == ends[0] - 1) & significand[:-1].any()
    magnitude = circuit.wire_of("magnitude", Mux(below, smallest, magnitude), fmt.bits - 1)
    return Cat(magnitude, value.negative & magnitude.any())
