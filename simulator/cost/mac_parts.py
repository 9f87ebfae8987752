"""From a MAC's numerics to the parts it is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from simulator.cost import mac_structure as structures
from simulator.cost.mac_structure import UNPACKED_FLAG_BITS, MacIdentity, MacStructure, Parts
from simulator.numerics.formats import Format
from simulator.numerics.formats.log import LogBase, TaperedLog
from simulator.numerics.formats.posit import Posit

QUIRE_STATUS_BITS = 3
"""Infinity, overflow and the overflow's sign, kept beside a posit's quire."""

_INTEGER_FAMILIES = frozenset({"integer", "fixed point"})


def structure_of(mac: Any) -> MacStructure:
    """The parts of a MAC of `simulator.numerics` (a `Mac`): one PE, its edge decoders and converter."""
    structure = _pe(mac)
    stages = mac.spec.pipeline_depth - 1
    return replace(
        structure,
        identity=MacIdentity(
            mac.activation.spec,
            mac.weight.spec,
            mac.spec.product,
            mac.accumulator_bits if mac.is_fixed else mac.accumulator_format.spec,
            mac.spec.pipeline_depth,
        ),
        price=mac.spec.price,
        pipeline_bits=stages * structure.accumulator_bits,
        activation_decoder=decoder_of(mac.activation),
        weight_decoder=decoder_of(mac.weight),
        activation_code_bits=mac.activation.bits,
        weight_code_bits=mac.weight.bits,
        converter=_converter(mac),
        max_clock_mhz=mac.spec.max_clock_mhz,
    )


def _pe(mac: Any) -> MacStructure:
    activation, weight = mac.activation, mac.weight
    operands = (_register_bits(activation), _register_bits(weight))
    significands = (activation.significand_bits, weight.significand_bits)
    exponent_bits = max(activation.exponent_bits, weight.exponent_bits)
    if not mac.is_fixed:
        target = mac.accumulator_format
        return structures.fused_structure(
            mac.name,
            significand_bits=significands,
            exponent_bits=exponent_bits,
            accumulator_bits=target.bits,
            accumulator_significand_bits=target.significand_bits,
            accumulator_exponent_bits=target.exponent_bits,
            operand_bits=operands,
        )
    if mac.spec.product == "log":
        return structures.log_structure(
            mac.name,
            exponent_bits=exponent_bits,
            log_fraction_bits=activation.log_fraction_bits,
            table_output_bits=activation.alpha,
            accumulator_bits=mac.accumulator_bits,
            operand_bits=operands,
            output_bits=activation.bits,
        )
    integers = [fmt for fmt in (activation, weight) if fmt.family in _INTEGER_FAMILIES]
    if len(integers) == 2:
        return structures.integer_structure(mac.name, *significands, mac.accumulator_bits)
    if len(integers) == 1:
        floating = weight if integers[0] is activation else activation
        return structures.mixed_structure(
            mac.name,
            float_significand_bits=floating.significand_bits,
            float_exponent_bits=floating.exponent_bits,
            fixed_bits=integers[0].significand_bits,
            accumulator_bits=mac.accumulator_bits,
            operand_bits=operands,
        )
    return structures.exact_float_structure(
        mac.name,
        significand_bits=significands,
        exponent_bits=exponent_bits,
        accumulator_bits=mac.accumulator_bits,
        operand_bits=operands,
        status_bits=QUIRE_STATUS_BITS if isinstance(activation, Posit) else 0,
    )


def _register_bits(fmt: Format) -> int:
    """Tapered numbers travel unpacked, all others as their codes."""
    if isinstance(fmt, TaperedLog | Posit):
        return UNPACKED_FLAG_BITS + fmt.exponent_bits + fmt.layout.fraction_bits
    return fmt.bits


def decoder_of(fmt: Format) -> Parts:
    """What decodes a code of a format at the array's edge; empty where codes travel as they are."""
    if isinstance(fmt, TaperedLog | Posit):
        field_bits = fmt.layout.exponent_field_bits
        return structures.tapered_decoder(fmt.bits, fmt.exponent_bits, fmt.layout.fraction_bits, field_bits)
    return ()


def _converter(mac: Any) -> Parts:
    """Kulisch accumulators leave as codes; integer, mixed and float accumulators leave as they are."""
    fmt = mac.activation
    if not mac.is_fixed or {mac.activation.family, mac.weight.family} & _INTEGER_FAMILIES:
        return ()
    if isinstance(fmt, LogBase):
        parts = structures.float_converter(mac.accumulator_bits, fmt.beta + 1, fmt.exponent_bits)
        parts += structures.log_table(fmt.beta, fmt.gamma)
        if isinstance(fmt, TaperedLog):
            parts += structures.tapered_encoder(fmt.bits, fmt.gamma - fmt.log_fraction_bits)
        return parts
    parts = structures.float_converter(mac.accumulator_bits, fmt.significand_bits, fmt.exponent_bits)
    return parts + (structures.tapered_encoder(fmt.bits, 3) if isinstance(fmt, Posit) else ())
