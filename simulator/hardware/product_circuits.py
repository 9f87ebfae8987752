"""Products for fixed accumulators: the increment of a pair of operands, one circuit a product rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

from amaranth import C, Cat, Mux, Value, signed

from simulator.foundation import UserError
from simulator.hardware.circuits import (
    Circuit,
    any_of,
    conditional_negation,
    differs,
    shift_left,
    shift_right,
    table,
)
from simulator.hardware.operand_decoders import TaperedRegister, decode_register, signed_factor
from simulator.numerics import Mac
from simulator.numerics.formats.log import FlatLog, LogBase, TaperedLog
from simulator.numerics.logarithm import pow2_table
from simulator.numerics.product_rules import ExactProducts, LogProducts, Products


@dataclass(frozen=True, slots=True)
class Increment:
    """What a product adds, signed and in units of the accumulator's lowest bit; an infinite operand's flag.

    The value may be wider than the accumulator where a product can leave it.
    """

    value: Value
    infinite: Value


@singledispatch
def increment_of(
    rule: Products, _mac: Mac, _circuit: Circuit, _activation: Value, _weight: Value
) -> Increment:
    """The increment of two operand registers. Raises UserError for a rule without a circuit."""
    raise UserError(f"products by {type(rule).__name__} have no hardware")


@increment_of.register
def _(rule: ExactProducts, mac: Mac, circuit: Circuit, activation: Value, weight: Value) -> Increment:
    """Multiply significands, negate, shift by both exponents, drop what lies below the lowest bit."""
    a = decode_register(rule.activation, circuit, activation, flush=False)
    w = decode_register(rule.weight, circuit, weight, flush=False)
    (a_factor, a_negative), (w_factor, w_negative) = signed_factor(a), signed_factor(w)
    product = circuit.wire("product", a_factor * w_factor)
    negative = differs(a_negative, w_negative)
    value = circuit.wire("signed_product", conditional_negation(circuit, product, negative))
    least, greatest = a.least_exponent + w.least_exponent, a.greatest_exponent + w.greatest_exponent
    position = a.scale + w.scale + least - rule.lsb
    if greatest > least:
        amount = circuit.wire_of(
            "exponent_sum", a.exponent + w.exponent - least, (greatest - least).bit_length()
        )
        width = len(value) + greatest - least
        value = shift_left(circuit, value, amount, width).as_signed()
    if position > 0:
        value = Cat(C(0, position), value).as_signed()
    elif position < 0:
        value = value[min(-position, len(value) - 1) :].as_signed()
    width = max(mac.accumulator_bits, _signed_width(rule.limits))
    infinite = any_of(a.infinite, a.nan, w.infinite, w.nan)
    return Increment(
        circuit.wire_of("increment", value, signed(width)), circuit.wire("infinite_operand", infinite)
    )


def _signed_width(limits: tuple[int, int]) -> int:
    return max(abs(limit) for limit in limits).bit_length() + 1


@dataclass(frozen=True, slots=True)
class _Logarithm:
    """A log operand: `value` is an unsigned logarithm plus `offset` whole units; `nothing` adds nothing."""

    value: Value
    offset: int
    negative: Value
    nothing: Value
    infinite: Value


@singledispatch
def _logarithm(fmt: LogBase, _circuit: Circuit, _register: Value) -> _Logarithm:
    raise UserError(f"format {fmt.spec!r} has no hardware: its logarithm has no decoder")


@_logarithm.register
def _(fmt: TaperedLog, circuit: Circuit, register: Value) -> _Logarithm:  # noqa: ARG001
    layout = fmt.layout
    E = layout.signed_exponent_bits
    fields = TaperedRegister.of(register, layout.fraction_bits, E)
    value = Cat(fields.fraction, fields.exponent[:-1], ~fields.exponent[-1])
    return _Logarithm(value, 1 << (E - 1), fields.negative, fields.is_zero | fields.infinite, fields.infinite)


@_logarithm.register
def _(fmt: FlatLog, circuit: Circuit, register: Value) -> _Logarithm:  # noqa: ARG001
    field = register[10:15]
    infinite = circuit.wire("is_infinite", field.all())
    nothing = circuit.wire("is_nothing", field.all() | ~field.any())
    return _Logarithm(register[:15], 15, register[15], nothing, infinite)


@increment_of.register
def _(rule: LogProducts, mac: Mac, circuit: Circuit, activation: Value, weight: Value) -> Increment:
    """Add logarithms, look up the power, negate, shift down from the accumulator's top."""
    F, alpha, bits = rule.fraction_bits, rule.alpha, mac.accumulator_bits
    a = _logarithm(rule.activation, circuit, activation)
    w = _logarithm(rule.weight, circuit, weight)
    total = circuit.wire("log_sum", a.value + w.value)
    linear = table(circuit, total[:F], pow2_table(F, alpha).tolist(), alpha, slope=alpha - F)
    something = circuit.wire("something", ~(a.nothing | w.nothing))
    significand = circuit.wire("significand", Cat(linear, C(1, 1)) & something.replicate(alpha + 1))
    value = conditional_negation(circuit, significand, a.negative ^ w.negative)
    base = Cat(C(0, bits - 2 - alpha), value).as_signed()
    # Wires may say sign twice: what is shifted is as wide as the accumulator.
    base = circuit.wire_of("base", base, signed(bits))
    top = rule.top_exponent + a.offset + w.offset
    count = circuit.wire("shift_count", C(top, signed(top.bit_length() + 1)) - total[F:])
    needed = bits.bit_length()
    beyond = count[-1] | count[needed:-1].any() if len(count) - 1 > needed else count[-1]
    kept = circuit.wire(
        "kept_count", count[: min(needed, len(count) - 1)] | beyond.replicate(min(needed, len(count) - 1))
    )
    shifted = shift_right(circuit, base, kept)
    if len(kept) < needed:  # the count alone cannot shift everything out
        shifted = Mux(count[-1], base[-1].replicate(bits), shifted)
    return Increment(
        circuit.wire_of("increment", shifted.as_signed(), signed(bits)),
        circuit.wire("infinite_operand", a.infinite | w.infinite),
    )
