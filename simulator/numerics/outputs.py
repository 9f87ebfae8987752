"""Output rules: accumulators to codes, by the published converters or by one rounding of the real value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.formats import Format
from simulator.numerics.formats.codes import FLOAT64_SIGNIFICAND_BITS, integers_as_reals
from simulator.numerics.formats.log import LogBase
from simulator.numerics.formats.minifloat import Minifloat
from simulator.numerics.formats.posit import Posit
from simulator.numerics.logarithm import accumulator_to_code
from simulator.numerics.mac_spec import FloatAccumulator
from simulator.numerics.quire import quire_to_code

if TYPE_CHECKING:
    from simulator.numerics.mac import Mac

_MAX_FUSED_PRECISION = 24
"""Significand bits of operands and float accumulators: two fit one float64 product exactly."""

_FUSED_RANGE = 960
"""Products and sums stay within 2**-960 .. 2**960: float64 steps neither overflow nor lose bits there."""


def to_codes(
    mac: Mac,
    accumulators: npt.ArrayLike,
    target: Format,
    is_infinite: npt.ArrayLike | None,
    overflow: npt.ArrayLike | None,
) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Codes of accumulators in `target`; see `Mac.to_output`."""
    if target == mac.activation and mac.spec.output == "log":
        assert isinstance(target, LogBase)
        return accumulator_to_code(
            accumulators,
            is_infinite,
            target,
            accumulator_bits=mac.accumulator_bits,
            accumulator_lsb=mac.accumulator_lsb,
        )
    if target == mac.activation and mac.spec.output == "posit":
        assert isinstance(target, Posit)
        return _posit_codes(mac, accumulators, target, is_infinite, overflow)
    reals = _reals(mac, accumulators, target)
    if overflow is not None:
        signs = np.asarray(overflow, np.int8)
        reals = np.where(signs == 0, reals, np.copysign(target.largest, signs))
    if is_infinite is not None:
        reals = np.where(np.asarray(is_infinite, np.bool_), np.inf, reals)
    return target.encode(reals)


def _reals(mac: Mac, accumulators: npt.ArrayLike, target: Format) -> npt.NDArray[np.float64]:
    """Real values that `target` rounds as it would round the accumulators themselves."""
    if not mac.is_fixed:
        return mac.to_real(accumulators)
    nearest = target.significand_bits == FLOAT64_SIGNIFICAND_BITS
    integers = np.asarray(accumulators, mac.accumulator_dtype)
    return np.ldexp(integers_as_reals(integers, nearest=nearest), mac.accumulator_lsb)


def _posit_codes(
    mac: Mac,
    accumulators: npt.ArrayLike,
    target: Posit,
    is_infinite: npt.ArrayLike | None,
    overflow: npt.ArrayLike | None,
) -> npt.NDArray[np.unsignedinteger[Any]]:
    if (mac.accumulator_bits, mac.accumulator_lsb) != (target.accumulator_bits, target.accumulator_lsb):
        raise UserError(
            "the posit converter needs the published quire",
            source=f"MAC {mac.name!r}",
            location="output",
            allowed=f"{target.accumulator_bits} bits, lowest bit 2^{target.accumulator_lsb}",
        )
    return quire_to_code(accumulators, is_infinite, target, overflow_sign=overflow)


def check_output(mac: Mac, source: str) -> None:
    """Refuse an output rule that its format has no converter for. Raises UserError."""
    needed: type[Format] | None = {"nearest": None, "log": LogBase, "posit": Posit}[mac.spec.output]
    if needed is not None and not (isinstance(mac.activation, needed) and mac.is_fixed):
        raise UserError(
            f"is the converter from a fixed accumulator to {mac.spec.output} formats only",
            source=source,
            location="output",
            value=mac.spec.output,
            allowed="nearest",
        )


def check_float_accumulator(mac: Mac, source: str) -> None:
    """Refuse float accumulators whose steps a float64 could not hold exactly. Raises UserError."""
    assert isinstance(mac.accumulator, FloatAccumulator)
    if not isinstance(mac.accumulator_format, Minifloat) or not mac.accumulator_format.signed:
        raise UserError(
            "is not a signed float format",
            source=source,
            location="accumulator.format",
            value=mac.accumulator.format,
            allowed="fp16, bf16, fp32 or a minifloat such as 'e6m9'",
        )
    formats = (mac.activation, mac.weight, mac.accumulator_format)
    for fmt, field in zip(formats, ("activation", "weight", "accumulator.format"), strict=True):
        if fmt.significand_bits > _MAX_FUSED_PRECISION:
            raise UserError(
                "is too precise to be fused",
                source=source,
                location=field,
                value=fmt.spec,
                allowed=f"up to {_MAX_FUSED_PRECISION} significand bits",
            )
    least, greatest = _product_range(mac.activation, mac.weight)
    least = min(least, mac.accumulator_format.lsb)
    greatest = max(greatest, mac.accumulator_format.exponent_range[1])
    if least < -_FUSED_RANGE or greatest >= _FUSED_RANGE:
        raise UserError(
            f"products of {mac.activation.spec} x {mac.weight.spec}, or sums in"
            f" {mac.accumulator_format.spec}, leave the range that float steps are exact in",
            source=source,
            value=f"2^{least} to 2^{greatest}",
            allowed=f"2^-{_FUSED_RANGE} to 2^{_FUSED_RANGE}",
        )


def can_be_fused(activation: Format, weight: Format) -> bool:
    """Whether some float accumulator takes products of these formats."""
    least, greatest = _product_range(activation, weight)
    precise = max(fmt.significand_bits for fmt in (activation, weight)) > _MAX_FUSED_PRECISION
    return not precise and least >= -_FUSED_RANGE and greatest < _FUSED_RANGE


def _product_range(activation: Format, weight: Format) -> tuple[int, int]:
    """log2 of the grid of all products, and an exponent that none reaches."""
    operands = (activation, weight)
    return sum(fmt.lsb for fmt in operands), sum(fmt.exponent_range[1] + 1 for fmt in operands)
