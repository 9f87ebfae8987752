"""From an operand register to sign, significand and exponent: one decoder a family of formats.

The value of an operand is `(-1)**negative * significand * 2**(exponent + scale)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch

from amaranth import C, Cat, Value

from simulator.foundation import UserError
from simulator.hardware.circuits import Circuit, any_of, conditional_negation, is_zero, table
from simulator.numerics.formats import Format
from simulator.numerics.formats.fixed_point import FixedPoint
from simulator.numerics.formats.log import FlatLog, TaperedLog
from simulator.numerics.formats.minifloat import Minifloat
from simulator.numerics.formats.posit import Posit
from simulator.numerics.formats.sign_magnitude import SignMagnitude
from simulator.numerics.formats.standard_float import StandardFloat
from simulator.numerics.logarithm import pow2_table

_NO = C(0, 1)
_WIDEST_BITS = 32


def _no() -> Value:
    return _NO


@dataclass(frozen=True, slots=True)
class Operand:
    """A decoded operand; wires of a circuit, and what is known about them beforehand.

    negative: the sign bit, a constant 0 of unsigned formats.
    significand: unsigned magnitude; 0 for zeros, infinities and NaN.
    exponent: unsigned, of width 0 for formats without one.
    scale: what to add to the exponent for the significand's lowest bit.
    least_exponent, greatest_exponent: of `exponent`, over all codes.
    infinite, nan: flags, constant 0 where the format has no such code.
    integer: the two's complement number that sign and significand say together, where the code is one.
    normalised: whether the significand's top bit is 1 unless all of it is 0.
    """

    negative: Value
    significand: Value
    exponent: Value
    scale: int
    least_exponent: int
    greatest_exponent: int
    infinite: Value = field(default_factory=_no)
    nan: Value = field(default_factory=_no)
    integer: Value | None = None
    normalised: bool = False


@singledispatch
def decode_register(fmt: Format, _circuit: Circuit, _register: Value, *, flush: bool) -> Operand:  # noqa: ARG001
    """Decode what an operand register holds; with `flush` subnormal numbers are zeros of their sign.

    Raises:
        UserError: a family without a decoder.
    """
    raise UserError(f"format {fmt.spec!r} has no hardware: there is no decoder of the family {fmt.family!r}")


@decode_register.register
def _(fmt: FixedPoint, circuit: Circuit, register: Value, *, flush: bool) -> Operand:  # noqa: ARG001
    if not fmt.signed:
        return Operand(_NO, register, C(0, 0), -fmt.fraction_bits, 0, 0, integer=register)
    negative, integer = register[-1], register.as_signed()
    magnitude = conditional_negation(circuit, integer, negative)[: fmt.bits]
    magnitude = circuit.wire("magnitude", magnitude)
    return Operand(negative, magnitude, C(0, 0), -fmt.fraction_bits, 0, 0, integer=integer)


@decode_register.register
def _(fmt: SignMagnitude, circuit: Circuit, register: Value, *, flush: bool) -> Operand:  # noqa: ARG001
    return Operand(register[-1], register[: fmt.bits - 1], C(0, 0), 0, 0, 0)


@decode_register.register
def _(fmt: Minifloat, circuit: Circuit, register: Value, *, flush: bool) -> Operand:
    return _float_operand(fmt, circuit, register, _NO, _NO, flush=flush)


@decode_register.register
def _(fmt: StandardFloat, circuit: Circuit, register: Value, *, flush: bool) -> Operand:
    if fmt.bits > _WIDEST_BITS:
        raise UserError(f"format {fmt.spec!r} has no hardware: it is wider than {_WIDEST_BITS} bits")
    fraction = register[: fmt.fraction_bits]
    field = register[fmt.fraction_bits : fmt.fraction_bits + fmt.exponent_field_bits]
    infinite, nan = _NO, _NO
    if fmt.specials == "ieee":
        infinite = circuit.wire("is_infinite", field.all() & ~fraction.any())
        nan = circuit.wire("is_nan", field.all() & fraction.any())
    elif fmt.specials == "fn":
        nan = circuit.wire("is_nan", field.all() & fraction.all())
    else:
        nan = circuit.wire("is_nan", register == fmt.code_of_nan)
    return _float_operand(fmt, circuit, register, infinite, nan, flush=flush)


def _float_operand(
    fmt: Minifloat, circuit: Circuit, register: Value, infinite: Value, nan: Value, *, flush: bool
) -> Operand:
    M, E = fmt.fraction_bits, fmt.exponent_field_bits
    field = register[M : M + E]
    is_normal = circuit.wire("is_normal", field.any())
    special = any_of(infinite, nan)
    # Field 0 has the step of field 1.
    exponent = circuit.wire("exponent", Cat(field[0] | ~is_normal, field[1:]))
    significand = Cat(register[:M], is_normal)
    if flush:
        significand = significand & is_normal.replicate(M + 1)
    if not is_zero(special):
        significand = significand & (~special).replicate(M + 1)
    top = (1 << E) - 1 - (1 if fmt.has_infinity else 0)
    return Operand(
        negative=register[-1] if fmt.signed else _NO,
        significand=circuit.wire("significand", significand),
        exponent=exponent,
        scale=-fmt.bias - M,
        least_exponent=1,
        greatest_exponent=max(top, 1),
        infinite=infinite,
        nan=nan,
        normalised=flush,
    )


@decode_register.register
def _(fmt: Posit, circuit: Circuit, register: Value, *, flush: bool) -> Operand:  # noqa: ARG001
    layout = fmt.layout
    F, E = layout.fraction_bits, layout.signed_exponent_bits
    fields = TaperedRegister.of(register, F, E)
    significand = Cat(fields.fraction, C(1, 1)) & (~(fields.is_zero | fields.infinite)).replicate(F + 1)
    return _tapered_operand(circuit, fields, significand, layout.greatest_exponent, F)


@decode_register.register
def _(fmt: TaperedLog, circuit: Circuit, register: Value, *, flush: bool) -> Operand:  # noqa: ARG001
    layout = fmt.layout
    F, E = layout.fraction_bits, layout.signed_exponent_bits
    fields = TaperedRegister.of(register, F, E)
    linear = table(
        circuit, fields.fraction, pow2_table(F, fmt.alpha).tolist(), fmt.alpha, slope=fmt.alpha - F
    )
    nothing = fields.is_zero | fields.infinite
    significand = Cat(linear, C(1, 1)) & (~nothing).replicate(fmt.alpha + 1)
    return _tapered_operand(circuit, fields, significand, layout.greatest_exponent, fmt.alpha)


@dataclass(frozen=True, slots=True)
class TaperedRegister:
    """An unpacked posit or tapered log number, as `TaperedLayout.register_patterns` lays it out."""

    negative: Value
    infinite: Value
    is_zero: Value
    exponent: Value
    """Two's complement bits."""

    fraction: Value

    @classmethod
    def of(cls, register: Value, fraction_bits: int, exponent_bits: int) -> TaperedRegister:
        """The fields of a register."""
        flags = register[fraction_bits + exponent_bits :]
        exponent = register[fraction_bits : fraction_bits + exponent_bits]
        return cls(flags[2], flags[1], flags[0], exponent, register[:fraction_bits])


def _tapered_operand(
    circuit: Circuit, fields: TaperedRegister, significand: Value, greatest: int, fraction_bits: int
) -> Operand:
    half = 1 << (len(fields.exponent) - 1)
    # A two's complement number with its top bit turned over is itself plus half its range.
    exponent = circuit.wire("exponent", Cat(fields.exponent[:-1], ~fields.exponent[-1]))
    return Operand(
        negative=fields.negative,
        significand=circuit.wire("significand", significand),
        exponent=exponent,
        scale=-half - fraction_bits,
        least_exponent=half - greatest,
        greatest_exponent=half + greatest,
        infinite=fields.infinite,
        normalised=True,
    )


@decode_register.register
def _(fmt: FlatLog, circuit: Circuit, register: Value, *, flush: bool) -> Operand:  # noqa: ARG001
    fraction, field = register[:10], register[10:15]
    infinite = circuit.wire("is_infinite", field.all())
    nothing = circuit.wire("is_nothing", field.all() | ~field.any())
    linear = table(circuit, fraction, pow2_table(10, fmt.alpha).tolist(), fmt.alpha, slope=fmt.alpha - 10)
    significand = Cat(linear, C(1, 1)) & (~nothing).replicate(fmt.alpha + 1)
    return Operand(
        negative=register[15] & ~nothing,
        significand=circuit.wire("significand", significand),
        exponent=field,
        scale=-15 - fmt.alpha,
        least_exponent=0,
        greatest_exponent=31,
        infinite=infinite,
        normalised=True,
    )


def signed_factor(operand: Operand) -> tuple[Value, Value]:
    """What a multiplier takes, and whether its product is still to be negated for this operand."""
    if operand.integer is not None:
        return operand.integer, _NO
    return operand.significand, operand.negative
