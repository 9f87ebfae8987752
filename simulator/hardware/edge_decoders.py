"""From a code to what an operand register holds: nothing but wires, unless codes travel unpacked."""

from __future__ import annotations

from functools import singledispatch

from amaranth import C, Cat, Mux, Value

from simulator.hardware.circuits import Circuit, leading_zeros, shift_left
from simulator.numerics.formats import Format
from simulator.numerics.formats.tapered_format import TaperedFormat


@singledispatch
def unpack_code(_fmt: Format, _circuit: Circuit, code: Value) -> Value:
    """The register pattern of a code: the code itself where the format does not say otherwise."""
    return code


@unpack_code.register
def _(fmt: TaperedFormat, circuit: Circuit, code: Value) -> Value:
    """Count the run behind the sign, shift it out, form the exponent."""
    layout = fmt.layout
    F, S, E = layout.fraction_bits, layout.exponent_field_bits, layout.signed_exponent_bits
    body_bits = fmt.bits - 1
    body, sign = code[:body_bits], code[body_bits]
    special = circuit.wire("is_special", ~body.any())
    first = body[-1]
    changed = circuit.wire("changed", body ^ first.replicate(body_bits))
    # The bit behind the first tells runs apart; a run that never ends is as long as the body.
    length = leading_zeros(circuit, changed[: body_bits - 1])
    endless = ~changed[: body_bits - 1].any()
    beyond = circuit.wire_of("run_less_one", Mux(endless, body_bits - 1, length), body_bits.bit_length())
    regime = circuit.wire("regime", _regime(first, beyond))
    tail = shift_left(circuit, body[: body_bits - 2], beyond, body_bits - 2)
    exponent = circuit.wire_of("exponent_sum", (regime << S) + (tail[F:] if S else 0), E)
    least = C(-layout.greatest_exponent & ((1 << E) - 1), E)
    return Cat(
        tail[:F] & (~special).replicate(F),
        Mux(special, least, exponent),
        special & ~sign,
        special & sign,
        sign & ~special,
    )


def _regime(first: Value, beyond: Value) -> Value:
    """The run less one where it is of ones; minus the run, which is the run less one inverted, of zeros."""
    positive = Cat(beyond, C(0, 1)).as_signed()
    return positive ^ (~first).replicate(len(positive)).as_signed()
