"""One step of a float accumulator: a fused multiply-add that rounds once, to nearest even or towards zero.

The product stays in place in a window of bits. The addend begins above it and is shifted down to where it
belongs; what falls out below stays as one sticky bit, which then takes part in the addition like any other
bit: the sum is inexact in the right direction, and there are always two more bits between it and the last
one kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import C, Cat, Mux, Value, signed

from simulator.foundation import UserError
from simulator.hardware.circuits import (
    Circuit,
    any_of,
    differs,
    is_zero,
    leading_zeros,
    not_negative,
    number,
    one_at,
    shift_left,
    shifted_down,
)
from simulator.hardware.float_packing import FloatRange, Unrounded, pack, signed_code
from simulator.hardware.operand_decoders import Operand, decode_register
from simulator.numerics import Mac
from simulator.numerics.accumulators import FloatAccumulator, TruncatedAccumulator
from simulator.numerics.accumulators.coded import CodedAccumulator
from simulator.numerics.formats.minifloat import Minifloat


@dataclass(frozen=True, slots=True)
class StepRounding:
    """How a step rounds: to nearest even or towards zero, flushing or not, to infinity or staying finite."""

    to_nearest: bool
    flush: bool
    saturates: bool

    @classmethod
    def of(cls, accumulator: CodedAccumulator) -> StepRounding:
        """The rounding of an accumulator. Raises UserError for a kind without a circuit."""
        if isinstance(accumulator, FloatAccumulator):
            return cls(
                to_nearest=True,
                flush=accumulator.flush_subnormals,
                saturates=accumulator.stays_finite,
            )
        if isinstance(accumulator, TruncatedAccumulator):
            return cls(to_nearest=False, flush=False, saturates=True)
        raise UserError(f"an accumulator of kind {accumulator.kind!r} has no hardware")


@dataclass(frozen=True, slots=True)
class _Exact:
    """The exact sum but for a sticky lowest bit: `magnitude * 2**(exponent + scale)`; exponent unsigned."""

    negative: Value
    magnitude: Value
    exponent: Value
    scale: int
    greatest_exponent: int


def add_fused(
    accumulator: CodedAccumulator, mac: Mac, circuit: Circuit, old: Value, pair: tuple[Value, Value]
) -> Value:
    """The code after one more product."""
    rounding = StepRounding.of(accumulator)
    fmt = accumulator.number_format
    assert isinstance(fmt, Minifloat)
    a = decode_register(mac.activation, circuit, pair[0], flush=rounding.flush)
    w = decode_register(mac.weight, circuit, pair[1], flush=rounding.flush)
    c = decode_register(fmt, circuit, old, flush=rounding.flush)
    negative = circuit.wire("negative_product", differs(a.negative, w.negative))
    exact = _sum(circuit, a, w, c, negative)
    past = FloatRange.of(fmt)
    magnitude = pack(
        circuit,
        fmt,
        _normalised(circuit, exact, past.least_exponent, past.precision, flush=rounding.flush),
        to_nearest=rounding.to_nearest,
        past_largest=past.largest if rounding.saturates else past.past_largest,
        flush=rounding.flush,
    )
    magnitude = magnitude & exact.magnitude.any().replicate(len(magnitude))
    code = signed_code(fmt, exact.negative, circuit.wire("finite_code", magnitude))
    return _with_specials(circuit, fmt, (a, w, c), negative, code)


def _sum(circuit: Circuit, a: Operand, w: Operand, c: Operand, negative: Value) -> _Exact:
    product = circuit.wire("product", a.significand * w.significand)
    has_product, has_addend = product.any(), c.significand.any()
    precision, product_bits = len(c.significand), len(product)
    below = _bits_below(a, w, precision)
    above = product_bits + 2
    scale = a.scale + w.scale
    least_product = scale + a.least_exponent + w.least_exponent
    greatest_product = scale + a.greatest_exponent + w.greatest_exponent
    least = min(least_product, c.scale + c.least_exponent - above)
    product_exponent = circuit.within(
        "product_exponent", a.exponent + w.exponent + number(scale - least), 0, greatest_product - least
    )
    difference = circuit.within(
        "alignment",
        product_exponent - c.exponent + number(above - c.scale + least),
        above + least_product - c.scale - c.greatest_exponent,
        above + greatest_product - c.scale - c.least_exponent,
    )
    far = circuit.wire("addend_far_above", (difference < 0) | ~has_product)
    far_used = circuit.wire("addend_leads", far & has_addend)
    distance = not_negative(circuit, difference)
    amount = circuit.wire("alignment_shift", distance & (~far).replicate(len(distance)))
    placed = Cat(C(0, above + below), c.significand)
    kept, lost = shifted_down(circuit, placed, amount)
    addend = circuit.wire("addend", Cat(lost, kept))
    shifted_product = circuit.wire("placed_product", Cat(C(0, below + 1), product))
    subtract = circuit.wire("subtract", differs(negative, c.negative))
    width = len(addend) + 2
    total = circuit.wire_of(
        "total",
        Cat(shifted_product, C(0, 2)).as_signed()
        + (Cat(addend, C(0, 2)).as_signed() ^ subtract.replicate(width).as_signed())
        + subtract,
        signed(width),
    )
    turned = circuit.wire("turned", total[-1])
    magnitude = circuit.wire_of(
        "magnitude", (total ^ turned.replicate(width).as_signed()) + turned, width - 1
    )
    sign = Mux(subtract, Mux(magnitude.any(), negative ^ turned, 0), negative)
    # The window's lowest bit, counted from that of the smallest product; it means nothing where sums are 0.
    greatest = max(greatest_product, c.scale + c.greatest_exponent - above) - least
    leading = c.exponent + number(c.scale - least - above)
    lowest = circuit.within("window_exponent", Mux(far_used, leading, product_exponent), 0, greatest)
    return _Exact(circuit.wire("negative_sum", sign), magnitude, lowest, least - below - 1, greatest)


def _bits_below(a: Operand, w: Operand, precision: int) -> int:
    """Window bits below the product, so that two stay behind the last one kept of the smallest product."""
    top = sum(len(each.significand) - 1 for each in (a, w) if each.normalised)
    return max(precision + 2 - top, 0)


def _normalised(
    circuit: Circuit, exact: _Exact, least_normal: int, precision: int, *, flush: bool
) -> Unrounded:
    """The leading 1 at the top, or the place of the smallest normal number where subnormals are kept."""
    magnitude, width = exact.magnitude, len(exact.magnitude)
    # The exponent of the top bit, counted from that of the smallest normal number.
    least = exact.scale + width - 1 - least_normal
    greatest = least + exact.greatest_exponent
    top = circuit.within("top_exponent", exact.exponent + number(least), least, greatest)
    if flush:
        count = leading_zeros(circuit, magnitude)
        shifted = shift_left(circuit, magnitude, count, width)
        field = circuit.within("field", top - count + 1, least - width, max(greatest + 1, 0))
        return Unrounded(shifted, field)
    if least < 0:
        below = not_negative(circuit, circuit.within("below_normal", -top, -max(greatest, 1), -least))
        kept, lost = shifted_down(circuit, Cat(C(0, precision + 2), magnitude), below)
        magnitude = circuit.wire("denormalised", Cat(lost, kept))
        width = len(magnitude)
        top = not_negative(circuit, top)
    marker = one_at(circuit, top, width)
    count = leading_zeros(circuit, magnitude | marker)
    shifted = shift_left(circuit, magnitude, count, width)
    field = circuit.within("field", top - count + shifted[-1], -width, max(greatest, 0) + 1)
    return Unrounded(shifted, field)


def _with_specials(
    circuit: Circuit, fmt: Minifloat, operands: tuple[Operand, Operand, Operand], negative: Value, code: Value
) -> Value:
    a, w, c = operands
    infinite_product = any_of(a.infinite, w.infinite)
    invalid = [each.nan for each in operands]
    for zero, infinite in ((a, w), (w, a)):
        if not is_zero(infinite.infinite):
            something = any_of(zero.significand.any(), zero.infinite, zero.nan)
            invalid.append(~something & infinite.infinite)
    if not (is_zero(infinite_product) or is_zero(c.infinite)):
        invalid.append(infinite_product & c.infinite & (negative ^ c.negative))
    nan = circuit.wire("nan_sum", any_of(*invalid))
    any_infinite = circuit.wire("infinite_sum", any_of(infinite_product, c.infinite))
    sign = Mux(infinite_product, negative, c.negative)
    past = FloatRange.of(fmt).past_largest
    infinity = Cat(C(past, fmt.bits - 1), sign)
    return circuit.wire_of(
        "code", Mux(nan, C(fmt.code_of_nan, fmt.bits), Mux(any_infinite, infinity, code)), fmt.bits
    )
