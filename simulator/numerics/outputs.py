"""Output rules: accumulators to codes, by the published converters or by one rounding of the real value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.formats import Format
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
    reals = mac.to_real(accumulators)
    if overflow is not None:
        signs = np.asarray(overflow, np.int8)
        reals = np.where(signs == 0, reals, np.copysign(target.largest, signs))
    if is_infinite is not None:
        reals = np.where(np.asarray(is_infinite, np.bool_), np.inf, reals)
    return target.encode(reals)


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
    for fmt, field in ((mac.activation, "activation"), (mac.weight, "weight")):
        if fmt.significand_bits > _MAX_FUSED_PRECISION:
            raise UserError("is too precise to be fused", source=source, location=field, value=fmt.spec)
