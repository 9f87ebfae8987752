"""What a MAC is made of, counted in parts: multiplier cells, adder, shifter and table bits, flip-flops.

A structure knows no price and no table. It comes from the numerics of a MAC, which count their own parts
(`simulator.numerics.hardware`), or from one of the builders below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simulator.dataflow import OperandClass as OperandClass
from simulator.dataflow import RegisterClass as RegisterClass
from simulator.numerics.hardware import Composition, Parts, PeCircuit, fused_parts, integer_parts
from simulator.numerics.mac_spec import DEFAULT_PRICE, MacPrice

OPERAND_CLASSES: tuple[OperandClass, ...] = ("activation", "weight")
REGISTER_CLASSES: tuple[RegisterClass, ...] = ("activation", "weight", "accumulator")


@dataclass(frozen=True, slots=True)
class MacIdentity:
    """The numerics of a MAC, which rows of price tables state.

    accumulator: bits of a fixed one, the format of a float one.
    """

    activation: str
    weight: str
    product: str
    accumulator: int | str
    pipeline_depth: int

    @property
    def formats(self) -> str:
        """Activation x weight."""
        return f"{self.activation} x {self.weight}"


@dataclass(frozen=True, slots=True)
class MacStructure:
    """One PE and its share of the array's edges, in parts.

    combinational: parts by component (`pe_multiply`, `pe_table`, `pe_shift`, `pe_add`).
    registers: flip-flops by register class, status flags counted with the accumulator.
    activation_decoder, weight_decoder: one code decoder on the edge where these enter; empty where codes
        travel as they are.
    converter: one accumulator-to-code converter on the output edge; empty where accumulators leave raw.
    identity: its numerics, which published rows are matched by; None matches none.
    price: which rows it takes energy and area from.
    max_clock_mhz: the limit that its author sets, None without one.
    activation_code_bits, weight_code_bits: of codes in front of their decoders; None: as their registers.
    """

    name: str
    combinational: Mapping[str, Parts]
    registers: Mapping[RegisterClass, int]
    accumulator_bits: int
    output_bits: int
    accumulator: Composition = "fixed"
    activation_decoder: Parts = ()
    weight_decoder: Parts = ()
    converter: Parts = ()
    identity: MacIdentity | None = None
    price: MacPrice = DEFAULT_PRICE
    pipeline_bits: int = 0
    max_clock_mhz: float | None = None
    activation_code_bits: int | None = None
    weight_code_bits: int | None = None

    @property
    def flip_flops(self) -> int:
        """All flip-flops of a PE."""
        return sum(self.registers.values()) + self.pipeline_bits

    def decoder(self, operand: OperandClass) -> Parts:
        """The decoder of an operand's codes."""
        return self.activation_decoder if operand == "activation" else self.weight_decoder

    def format_of(self, operand: OperandClass) -> str | None:
        """The format of an operand's codes; None where the numerics are not known."""
        if self.identity is None:
            return None
        return self.identity.activation if operand == "activation" else self.identity.weight

    def code_bits(self, operand: OperandClass) -> int:
        """Bits of an operand's codes in front of their decoder."""
        bits = self.activation_code_bits if operand == "activation" else self.weight_code_bits
        return self.registers[operand] if bits is None else bits


def structure_from(name: str, circuit: PeCircuit, operand_bits: tuple[int, int]) -> MacStructure:
    """A structure of one PE's circuit and the widths of its operand registers."""
    return MacStructure(
        name=name,
        combinational=circuit.combinational,
        registers={
            "activation": operand_bits[0],
            "weight": operand_bits[1],
            "accumulator": circuit.accumulator_bits + circuit.status_bits,
        },
        accumulator_bits=circuit.accumulator_bits,
        output_bits=circuit.output_bits,
        accumulator=circuit.composition,
        converter=circuit.converter,
    )


def integer_structure(
    name: str, activation_bits: int, weight_bits: int, accumulator_bits: int
) -> MacStructure:
    """Integer or fixed point times the same, into a fixed accumulator: multiply and add."""
    operand_bits = (activation_bits, weight_bits)
    parts = integer_parts(operand_bits, accumulator_bits)
    return structure_from(name, PeCircuit(parts, accumulator_bits, activation_bits), operand_bits)


def fused_structure(
    name: str,
    *,
    significand_bits: tuple[int, int],
    exponent_bits: int,
    accumulator_bits: int,
    accumulator_significand_bits: int,
    accumulator_exponent_bits: int,
    operand_bits: tuple[int, int],
) -> MacStructure:
    """A fused multiply-add that rounds every step into a float accumulator."""
    parts = fused_parts(
        significand_bits, exponent_bits, accumulator_significand_bits, accumulator_exponent_bits
    )
    circuit = PeCircuit(parts, accumulator_bits, accumulator_bits, composition="float")
    return structure_from(name, circuit, operand_bits)
