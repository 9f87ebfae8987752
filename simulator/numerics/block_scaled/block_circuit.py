"""What a PE of a block-scaled MAC is made of: an exact sum of each block, and what happens at its end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.numerics.block_scaled.block_format import BlockFormat
from simulator.numerics.block_scaled.sum_rules import SumRule, integer_table
from simulator.numerics.formats import get_format
from simulator.numerics.hardware import Combinational, PartCount, Parts, PeCircuit, multiplier

_FLOAT32 = get_format("fp32")
_GUARD_BITS = 2


@dataclass(frozen=True, slots=True)
class BlockWidths:
    """Exact two's complement widths, in bits, sign included.

    product: of one pair of elements. block: of a block's sum. whole: of the sum of a whole reduction, with
    all scales that the format has.
    """

    product: int
    block: int
    whole: int

    @classmethod
    def of(cls, activation: BlockFormat, weight: BlockFormat, reduction_length: int) -> BlockWidths:
        """Of operands, for sums of so many products."""
        product = _largest(activation) * _largest(weight)
        whole = reduction_length * product
        spread = 0
        for fmt in (activation, weight):
            if fmt.has_power_of_two_scales:
                spread += int(fmt.scale_format.exponent_span)
            else:
                whole *= int(fmt.scale_format.largest_integer)
        return cls(
            product.bit_length() + 1,
            (activation.block * product).bit_length() + 1,
            whole.bit_length() + 1 + spread,
        )


def _largest(fmt: BlockFormat) -> int:
    """The largest magnitude that conversion gives, in units of the elements' lowest bit."""
    if fmt.full_range:
        return int(np.abs(integer_table(fmt.element_format)).max())
    return int(np.ldexp(fmt.largest, -fmt.element_format.lsb))


def block_circuit(
    activation: BlockFormat, weight: BlockFormat, rule: SumRule, register_bits: int, reduction_length: int
) -> PeCircuit:
    """A serial PE: multiply, align and add within a block; its end, once a block, scales and adds to the sum.

    `blackwell` is counted as `fused` without the increment that rounds: its own circuit, which multiplies a
    whole block at a time, is not published.
    """
    widths = BlockWidths.of(activation, weight, reduction_length)
    a, w = activation.element_format, weight.element_format
    multiply: Parts = multiplier(a.significand_bits, w.significand_bits)
    shift: Parts = ()
    if a.has_exponent or w.has_exponent:
        exponent_bits = max(a.exponent_bits, w.exponent_bits)
        multiply = (*multiply, PartCount("small_adder_bit", exponent_bits + 1, "exponent adder"))
        shift = (PartCount("shifter_bit", widths.block, "product aligned in the block's sum"),)
    ends = _once_end if rule == "once" else _float_end
    end_multiply, end_shift, end_add = (
        tuple(PartCount(part.part, part.count, part.what, 1 / activation.block) for part in parts)
        for parts in ends(activation, weight, rule, widths, register_bits)
    )
    combinational: Combinational = {
        "pe_multiply": (*multiply, *end_multiply),
        "pe_shift": (*shift, *end_shift),
        "pe_add": (
            PartCount("accumulate_adder_bit", widths.block, "adder of the block's sum"),
            *end_add,
        ),
    }
    return PeCircuit(
        combinational={name: parts for name, parts in combinational.items() if parts},
        accumulator_bits=widths.block + register_bits,
        output_bits=_FLOAT32.bits,
        status_bits=1,
        composition="float",
    )


Ends = tuple[Parts, Parts, Parts]
"""Parts that multiply, shift and add at the end of a block."""


def _scale_parts(activation: BlockFormat, weight: BlockFormat, widths: BlockWidths) -> tuple[Parts, int]:
    """What makes one factor of two scales, and the width of the block's sum times its significand."""
    scales = (activation.scale_format, weight.scale_format)
    exponents = PartCount("small_adder_bit", max(scale.exponent_bits for scale in scales) + 1, "scale adder")
    bits = [scale.significand_bits for scale in scales]
    if max(bits) == 1:
        return (exponents,), widths.block
    product = (*multiplier(*bits), *multiplier(widths.block, sum(bits)))
    return (exponents, *product), widths.block + sum(bits)


def _once_end(
    activation: BlockFormat, weight: BlockFormat, _rule: SumRule, widths: BlockWidths, register_bits: int
) -> Ends:
    scaled, _ = _scale_parts(activation, weight, widths)
    return (
        scaled,
        (PartCount("shifter_bit", register_bits, "block's sum aligned in the whole one"),),
        (PartCount("kulisch_adder_bit", register_bits, "accumulator adder"),),
    )


def _float_end(
    activation: BlockFormat, weight: BlockFormat, rule: SumRule, widths: BlockWidths, _register_bits: int
) -> Ends:
    scaled, scaled_bits = _scale_parts(activation, weight, widths)
    width = scaled_bits + _FLOAT32.significand_bits + _GUARD_BITS
    rounding = PartCount("small_adder_bit", _FLOAT32.significand_bits, "rounding increment")
    return (
        scaled,
        (
            PartCount("small_adder_bit", _FLOAT32.exponent_bits + 1, "exponent comparison"),
            PartCount("shifter_bit", width, "alignment shifter"),
            PartCount("shifter_bit", width, "normalisation shifter"),
        ),
        (
            PartCount("accumulate_adder_bit", width, "significand adder"),
            PartCount("small_adder_bit", width, "complement of a negative sum"),
            PartCount("small_adder_bit", width, "leading-zero anticipation"),
            *(() if rule == "blackwell" else (rounding,)),
            PartCount("small_adder_bit", _FLOAT32.exponent_bits + 1, "exponent adjustment"),
        ),
    )
