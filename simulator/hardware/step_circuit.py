"""One step of a MAC as combinational logic: operand registers and a sum to the next sum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from amaranth import C, Cat, Fragment, Value

from simulator.foundation import UserError
from simulator.hardware.circuits import Circuit
from simulator.hardware.fixed_sums import Sum, add_product
from simulator.hardware.float_sums import add_fused
from simulator.numerics import Mac
from simulator.numerics.accumulators import Accumulator, FixedAccumulator
from simulator.numerics.accumulators.coded import CodedAccumulator
from simulator.numerics.formats import Format


@dataclass(frozen=True, slots=True)
class SumLayout:
    """The bits of a sum with its flags, as ports carry them: value, infinity, overflow up, overflow down."""

    value_bits: int
    infinite_bits: int
    overflow_bits: int

    @classmethod
    def of(cls, mac: Mac) -> SumLayout:
        """Flags only where the accumulator keeps them beside the sum and an operand can raise them."""
        keeps_flags = mac.accumulator.number_format is None
        special = any(has_specials(fmt) for fmt in (mac.activation, mac.weight))
        return cls(
            mac.accumulator_bits,
            int(keeps_flags and special),
            2 if mac.accumulator.remembers_overflow else 0,
        )

    @property
    def flag_bits(self) -> int:
        """All flags."""
        return self.infinite_bits + self.overflow_bits

    @property
    def bits(self) -> int:
        """Sum and flags."""
        return self.value_bits + self.flag_bits

    def fields(self, word: Value) -> Sum:
        """The parts of a word."""
        flags = word[self.value_bits :]
        return Sum(word[: self.value_bits], flags[: self.infinite_bits], flags[self.infinite_bits :])

    def word(self, fields: Sum) -> Value:
        """The word of its parts."""
        return Cat(fields.value, fields.infinite, fields.overflow)


def has_specials(fmt: Format) -> bool:
    """Whether some code is infinite or NaN."""
    return fmt.has_infinity or fmt.has_nan


def needs_valid_bits(mac: Mac) -> bool:
    """Whether an idle operand must be told from a zero: zero times infinity is NaN, and zeros have signs."""
    if any(has_specials(fmt) for fmt in (mac.activation, mac.weight)):
        return True
    fmt = mac.accumulator.number_format
    return fmt is not None and fmt.has_negative_zero


def check_has_hardware(mac: Mac) -> None:
    """Refuse a MAC that no circuit is built for. Raises UserError, which names the part."""
    mac.require_no_blocks("RTL")
    spec = mac.spec
    for field, value in (
        ("pipeline_depth", spec.pipeline_depth),
        ("accumulation_interval", spec.accumulation_interval),
    ):
        if value != 1:
            raise UserError(
                f"MAC {mac.name!r} has no hardware: pipelined PEs are not built",
                location=field,
                value=value,
                allowed="1",
            )
    circuit = Circuit()
    widths = (*mac.pair.register_bits, SumLayout.of(mac).bits)
    try:
        step_circuit(mac, circuit, *(C(0, width) for width in widths))
    finally:
        Fragment.get(circuit.module, None)  # Amaranth warns of modules that are made and not used


def step_circuit(mac: Mac, circuit: Circuit, activation: Value, weight: Value, old: Value) -> Value:
    """The word (`SumLayout`) after one more product of two operand registers."""
    return _step(mac.accumulator, mac, circuit, old, (activation, weight))


@singledispatch
def _step(
    accumulator: Accumulator, mac: Mac, _circuit: Circuit, _old: Value, _pair: tuple[Value, Value]
) -> Value:
    raise UserError(
        f"MAC {mac.name!r} has no hardware: there is no circuit of its {accumulator.kind} accumulator"
    )


@_step.register
def _(fixed: FixedAccumulator, mac: Mac, circuit: Circuit, old: Value, pair: tuple[Value, Value]) -> Value:
    layout = SumLayout.of(mac)
    return layout.word(add_product(fixed, mac, circuit, layout.fields(old), pair))


@_step.register
def _(coded: CodedAccumulator, mac: Mac, circuit: Circuit, old: Value, pair: tuple[Value, Value]) -> Value:
    return add_fused(coded, mac, circuit, old, pair)


def zero_register(fmt: Format) -> int:
    """What an operand register holds after a reset."""
    return int(fmt.register_patterns(fmt.encode(np.zeros(1)))[0])
