"""What a MAC is made of, counted in parts: multiplier cells, adder, shifter and table bits, flip-flops.

A structure knows no price and no table. It is derived from the numerics of a MAC (`simulator.numerics`), or
written down by one of the builders below. The circuits follow J. Johnson, arXiv 1811.01721 (log and posit
with Kulisch accumulation), Aggarwal et al., arXiv 2311.12359 (exact minifloat accumulation) and Lai et al.,
arXiv 1703.03073 (minifloat times fixed point).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from simulator.dataflow import OperandClass as OperandClass
from simulator.dataflow import RegisterClass as RegisterClass
from simulator.numerics.mac_spec import DEFAULT_PRICE, MacPrice

OPERAND_CLASSES: tuple[OperandClass, ...] = ("activation", "weight")
REGISTER_CLASSES: tuple[RegisterClass, ...] = ("activation", "weight", "accumulator")

UNPACKED_FLAG_BITS = 3
"""Sign, infinity flag and zero flag beside exponent and fraction of an unpacked log number or posit."""


@dataclass(frozen=True, slots=True)
class PartCount:
    """How many of a part, and what they do."""

    part: str
    count: float
    what: str


Parts = tuple[PartCount, ...]


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
    accumulator: Literal["fixed", "float"] = "fixed"
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


def table_cells(inputs: int, outputs: int) -> float:
    """Gates of a table, up to a constant: outputs x 2^inputs / inputs (Lupanov 1958).

    So many are enough for any function of so many inputs; counting stored bits instead would price a large
    table as if nothing were minimised.
    """
    return float(outputs * 2**inputs) / inputs


def multiplier(activation_bits: int, weight_bits: int) -> Parts:
    """An array multiplier of two significands."""
    what = f"{activation_bits} x {weight_bits} bit multiplier"
    return (PartCount("multiplier_cell", activation_bits * weight_bits, what),)


def integer_structure(
    name: str, activation_bits: int, weight_bits: int, accumulator_bits: int
) -> MacStructure:
    """Integer or fixed point times the same, into a fixed accumulator: multiply and add."""
    return MacStructure(
        name=name,
        combinational={
            "pe_multiply": multiplier(activation_bits, weight_bits),
            "pe_add": (PartCount("accumulate_adder_bit", accumulator_bits, "accumulator adder"),),
        },
        registers=_registers(activation_bits, weight_bits, accumulator_bits),
        accumulator_bits=accumulator_bits,
        output_bits=activation_bits,
    )


def exact_float_structure(
    name: str,
    *,
    significand_bits: tuple[int, int],
    exponent_bits: int,
    accumulator_bits: int,
    operand_bits: tuple[int, int],
    status_bits: int = 0,
) -> MacStructure:
    """Minifloat or posit times the same, exactly into a Kulisch accumulator.

    Significands multiply, exponents add, the product is shifted to its place in the whole accumulator and
    added.
    """
    return MacStructure(
        name=name,
        combinational={
            "pe_multiply": (
                *multiplier(*significand_bits),
                PartCount("small_adder_bit", exponent_bits + 1, "exponent adder"),
            ),
            "pe_shift": (
                PartCount("shifter_bit", accumulator_bits, "alignment shifter over the accumulator"),
            ),
            "pe_add": (PartCount("kulisch_adder_bit", accumulator_bits, "accumulator adder"),),
        },
        registers=_registers(*operand_bits, accumulator_bits + status_bits),
        accumulator_bits=accumulator_bits,
        output_bits=operand_bits[0],
    )


def mixed_structure(
    name: str,
    *,
    float_significand_bits: int,
    float_exponent_bits: int,
    fixed_bits: int,
    accumulator_bits: int,
    operand_bits: tuple[int, int],
) -> MacStructure:
    """Minifloat times fixed point (Lai et al.): a short multiplier, then one shift by the float's exponent.

    The shifter is as wide as the shifted product, or as the accumulator if that is narrower; no exponents
    add.
    """
    shift_range = 2**float_exponent_bits - 2
    shifted_bits = min(float_significand_bits + fixed_bits + shift_range, accumulator_bits)
    return MacStructure(
        name=name,
        combinational={
            "pe_multiply": multiplier(float_significand_bits, fixed_bits),
            "pe_shift": (PartCount("shifter_bit", shifted_bits, f"product shifted by up to {shift_range}"),),
            "pe_add": (PartCount("accumulate_adder_bit", accumulator_bits, "accumulator adder"),),
        },
        registers=_registers(*operand_bits, accumulator_bits),
        accumulator_bits=accumulator_bits,
        output_bits=operand_bits[0],
    )


def log_structure(
    name: str,
    *,
    exponent_bits: int,
    log_fraction_bits: int,
    table_output_bits: int,
    accumulator_bits: int,
    operand_bits: tuple[int, int],
    output_bits: int,
) -> MacStructure:
    """Log number times log number (ELMA): add, make linear by a table, shift, Kulisch add."""
    cells = table_cells(log_fraction_bits, table_output_bits)
    return MacStructure(
        name=name,
        combinational={
            "pe_multiply": (
                PartCount("small_adder_bit", exponent_bits + log_fraction_bits, "adder of logarithms"),
            ),
            "pe_table": (
                PartCount("table_cell", cells, f"{2**log_fraction_bits} x {table_output_bits} bit table"),
            ),
            "pe_shift": (
                PartCount("shifter_bit", accumulator_bits, "alignment shifter over the accumulator"),
            ),
            "pe_add": (PartCount("kulisch_adder_bit", accumulator_bits, "accumulator adder"),),
        },
        registers=_registers(*operand_bits, accumulator_bits + 1),
        accumulator_bits=accumulator_bits,
        output_bits=output_bits,
    )


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
    """A fused multiply-add that rounds every step into a float accumulator, in the textbook structure.

    Multiplier; exponent adder and comparison; the addend aligned over product, sum and two guard bits;
    carry-save row, adder and complement; leading-zero anticipation and normalisation; exponent adjustment and
    rounding.
    """
    width = sum(significand_bits) + accumulator_significand_bits + 2
    return MacStructure(
        name=name,
        combinational={
            "pe_multiply": (
                *multiplier(*significand_bits),
                PartCount("small_adder_bit", exponent_bits + 1, "exponent adder"),
            ),
            "pe_shift": (
                PartCount("small_adder_bit", accumulator_exponent_bits + 1, "exponent comparison"),
                PartCount("shifter_bit", width, "alignment shifter"),
                PartCount("shifter_bit", width, "normalisation shifter"),
            ),
            "pe_add": (
                PartCount("accumulate_adder_bit", sum(significand_bits), "carry-save row over the product"),
                PartCount("accumulate_adder_bit", width, "significand adder"),
                PartCount("small_adder_bit", width, "complement of a negative sum"),
                PartCount("small_adder_bit", width, "leading-zero anticipation"),
                PartCount("small_adder_bit", accumulator_significand_bits, "rounding increment"),
                PartCount("small_adder_bit", accumulator_exponent_bits + 1, "exponent adjustment"),
            ),
        },
        registers=_registers(*operand_bits, accumulator_bits),
        accumulator_bits=accumulator_bits,
        output_bits=accumulator_bits,
        accumulator="float",
    )


def tapered_decoder(code_bits: int, exponent_bits: int, fraction_bits: int, field_bits: int) -> Parts:
    """From a tapered code to its fields: count the run, shift it out, form the exponent."""
    return (
        PartCount("small_adder_bit", code_bits - 1, "leading-run count"),
        PartCount("shifter_bit", fraction_bits + field_bits, "run shifted out"),
        PartCount("small_adder_bit", exponent_bits, "exponent formed"),
    )


def float_converter(accumulator_bits: int, significand_bits: int, exponent_bits: int) -> Parts:
    """From a fixed accumulator to a float: magnitude, leading one, normalisation, rounding, exponent."""
    return (
        PartCount("small_adder_bit", accumulator_bits, "magnitude"),
        PartCount("small_adder_bit", accumulator_bits, "leading-one detection"),
        PartCount("shifter_bit", accumulator_bits, "normalisation shifter"),
        PartCount("small_adder_bit", significand_bits, "rounding increment"),
        PartCount("small_adder_bit", exponent_bits + 1, "exponent"),
    )


def tapered_encoder(code_bits: int, trailing_bits: int) -> Parts:
    """From exponent and fraction to a tapered code: shift behind the run, round."""
    return (
        PartCount("shifter_bit", code_bits + trailing_bits, "shift behind the run"),
        PartCount("small_adder_bit", code_bits, "rounding increment"),
    )


def log_table(input_bits: int, output_bits: int) -> Parts:
    """The table from a linear to a log fraction, its carry included."""
    cells = table_cells(input_bits, output_bits + 1)
    return (PartCount("table_cell", cells, f"{2**input_bits} x {output_bits + 1} bit log table"),)


def _registers(activation: int, weight: int, accumulator: int) -> dict[RegisterClass, int]:
    return {"activation": activation, "weight": weight, "accumulator": accumulator}
