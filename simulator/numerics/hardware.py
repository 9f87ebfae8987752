"""What multiply-accumulate hardware is made of, in parts that a price list can price.

Formats, product rules and accumulators count their own parts with the circuits below; this module knows no
price and no format. The circuits follow J. Johnson, arXiv 1811.01721 (log and posit with Kulisch
accumulation), Aggarwal et al., arXiv 2311.12359 (exact minifloat accumulation) and Lai et al., arXiv
1703.03073 (minifloat times fixed point).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

UNPACKED_FLAG_BITS = 3
"""Sign, infinity flag and zero flag beside exponent and fraction of an unpacked log number or posit."""

Composition = Literal["fixed", "float"]
"""How well the parts of a PE are known: those around a fixed accumulator, or those of a float one."""


@dataclass(frozen=True, slots=True)
class PartCount:
    """How many of a part, and what they do; `uses` is in how many of a PE's MACs they work, at most 1."""

    part: str
    count: float
    what: str
    uses: float = 1.0


Parts = tuple[PartCount, ...]
Combinational = Mapping[str, Parts]
"""Parts by component: `pe_multiply`, `pe_table`, `pe_shift`, `pe_add`."""


@dataclass(frozen=True, slots=True)
class PeCircuit:
    """What one PE computes with; its operand registers are those of its formats.

    combinational: parts by component.
    accumulator_bits: flip-flops of the sum.
    status_bits: flags beside it.
    output_bits: of what leaves the PE.
    converter: from accumulators to codes on the output edge, empty where accumulators leave as they are.
    composition: how well its price is known.
    """

    combinational: Combinational
    accumulator_bits: int
    output_bits: int
    status_bits: int = 0
    converter: Parts = ()
    composition: Composition = "fixed"


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


def integer_parts(significand_bits: tuple[int, int], accumulator_bits: int) -> Combinational:
    """Integer or fixed point times the same, into a fixed accumulator: multiply and add."""
    return {
        "pe_multiply": multiplier(*significand_bits),
        "pe_add": (PartCount("accumulate_adder_bit", accumulator_bits, "accumulator adder"),),
    }


def exact_float_parts(
    significand_bits: tuple[int, int], exponent_bits: int, accumulator_bits: int
) -> Combinational:
    """Minifloat or posit times the same, exactly into a Kulisch accumulator.

    Significands multiply, exponents add, the product is shifted to its place in the whole accumulator and
    added.
    """
    return {
        "pe_multiply": (
            *multiplier(*significand_bits),
            PartCount("small_adder_bit", exponent_bits + 1, "exponent adder"),
        ),
        **_kulisch_parts(accumulator_bits),
    }


def mixed_parts(
    float_significand_bits: int, float_exponent_bits: int, fixed_bits: int, accumulator_bits: int
) -> Combinational:
    """Minifloat times fixed point (Lai et al.): a short multiplier, then one shift by the float's exponent.

    The shifter is as wide as the shifted product, or as the accumulator if that is narrower; no exponents
    add.
    """
    shift_range = 2**float_exponent_bits - 2
    shifted_bits = min(float_significand_bits + fixed_bits + shift_range, accumulator_bits)
    return {
        "pe_multiply": multiplier(float_significand_bits, fixed_bits),
        "pe_shift": (PartCount("shifter_bit", shifted_bits, f"product shifted by up to {shift_range}"),),
        "pe_add": (PartCount("accumulate_adder_bit", accumulator_bits, "accumulator adder"),),
    }


def log_parts(
    exponent_bits: int, log_fraction_bits: int, table_output_bits: int, accumulator_bits: int
) -> Combinational:
    """Log number times log number (ELMA): add, make linear by a table, shift, Kulisch add."""
    cells = table_cells(log_fraction_bits, table_output_bits)
    return {
        "pe_multiply": (
            PartCount("small_adder_bit", exponent_bits + log_fraction_bits, "adder of logarithms"),
        ),
        "pe_table": (
            PartCount("table_cell", cells, f"{2**log_fraction_bits} x {table_output_bits} bit table"),
        ),
        **_kulisch_parts(accumulator_bits),
    }


def _kulisch_parts(accumulator_bits: int) -> Combinational:
    return {
        "pe_shift": (PartCount("shifter_bit", accumulator_bits, "alignment shifter over the accumulator"),),
        "pe_add": (PartCount("kulisch_adder_bit", accumulator_bits, "accumulator adder"),),
    }


def fused_parts(
    significand_bits: tuple[int, int],
    exponent_bits: int,
    accumulator_significand_bits: int,
    accumulator_exponent_bits: int,
) -> Combinational:
    """A fused multiply-add that rounds every step into a float accumulator, in the textbook structure.

    Multiplier; exponent adder and comparison; the addend aligned over product, sum and two guard bits;
    carry-save row, adder and complement; leading-zero anticipation and normalisation; exponent adjustment and
    rounding.
    """
    width = sum(significand_bits) + accumulator_significand_bits + 2
    return {
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
            PartCount("small_adder_bit", accumulator_significand_bits, ROUNDING_INCREMENT),
            PartCount("small_adder_bit", accumulator_exponent_bits + 1, "exponent adjustment"),
        ),
    }


ROUNDING_INCREMENT = "rounding increment"
"""What the part is called that adds the rounding bit."""


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
        PartCount("small_adder_bit", significand_bits, ROUNDING_INCREMENT),
        PartCount("small_adder_bit", exponent_bits + 1, "exponent"),
    )


def tapered_encoder(code_bits: int, trailing_bits: int) -> Parts:
    """From exponent and fraction to a tapered code: shift behind the run, round."""
    return (
        PartCount("shifter_bit", code_bits + trailing_bits, "shift behind the run"),
        PartCount("small_adder_bit", code_bits, ROUNDING_INCREMENT),
    )


def log_table(input_bits: int, output_bits: int) -> Parts:
    """The table from a linear to a log fraction, its carry included."""
    cells = table_cells(input_bits, output_bits + 1)
    return (PartCount("table_cell", cells, f"{2**input_bits} x {output_bits + 1} bit log table"),)
