"""Output rules: accumulators to codes, by the published converters or by one rounding of the real value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.foundation.defects import DefectError
from simulator.numerics.accumulators import Accumulator
from simulator.numerics.array_types import Codes
from simulator.numerics.formats import Format
from simulator.numerics.formats.log import LogBase
from simulator.numerics.formats.posit import Posit
from simulator.numerics.logarithm import accumulator_to_code, fits_converter_from_floats
from simulator.numerics.quire import quire_to_code


@dataclass(frozen=True, slots=True)
class Sums:
    """Accumulators on their way out, with the flags beside them; None where there are none."""

    accumulators: npt.ArrayLike
    is_infinite: npt.ArrayLike | None
    overflow: npt.ArrayLike | None


class Unit(Protocol):
    """What converting needs to know of a MAC."""

    @property
    def name(self) -> str:
        """How messages name it."""

    @property
    def activation(self) -> Format:
        """The format that the converter belongs to."""

    @property
    def accumulator(self) -> Accumulator:
        """Where sums come from."""


@dataclass(frozen=True, slots=True)
class _Converter:
    """A circuit from fixed accumulators to one family of formats."""

    takes: Callable[[Format], bool]
    convert: Callable[[Unit, Sums], Codes]


def to_codes(unit: Unit, rule: str, sums: Sums, target: Format) -> Codes:
    """Codes of accumulators in `target`, through the rule's converter where it is the activation format."""
    converter = _CONVERTERS.get(rule)
    if converter is not None and target == unit.activation:
        return converter.convert(unit, sums)
    reals = unit.accumulator.reals(np.asarray(sums.accumulators), target)
    if sums.overflow is not None:
        signs = np.asarray(sums.overflow, np.int8)
        reals = np.where(signs == 0, reals, np.copysign(target.largest, signs))
    if sums.is_infinite is not None:
        reals = np.where(np.asarray(sums.is_infinite, np.bool_), np.inf, reals)
    return target.encode(reals)


@dataclass(frozen=True, slots=True)
class RoundedReals:
    """A converter as one rounding: the target's encoder on real sums, those near its least value lifted.

    Magnitudes above `lifted_from` and below `least` become `least` before they are rounded.
    """

    lifted_from: float = 0.0
    least: float = 0.0


def as_rounded_reals(unit: Unit, rule: str, target: Format) -> RoundedReals | None:
    """What `to_codes` does to sums of up to 53 bits without flags; None where it is more than a rounding.

    The most negative accumulator, which has no magnitude in some circuits, must not be among them.
    """
    register = unit.accumulator
    if rule not in _CONVERTERS or target != unit.activation:
        return RoundedReals()
    bits, lsb = register.width, register.lowest_exponent
    if isinstance(target, LogBase):
        return RoundedReals() if fits_converter_from_floats(bits, lsb) else None
    if isinstance(target, Posit) and (bits, lsb) == (target.accumulator_bits, target.accumulator_lsb):
        least = target.smallest_positive
        return RoundedReals(least / 2, least)
    return None


def _log_codes(unit: Unit, sums: Sums) -> Codes:
    if not isinstance(unit.activation, LogBase):
        raise DefectError(
            f"MAC {unit.name!r}: the converter of log numbers is asked for {unit.activation.spec}"
        )
    return accumulator_to_code(
        sums.accumulators,
        sums.is_infinite,
        unit.activation,
        accumulator_bits=unit.accumulator.width,
        accumulator_lsb=unit.accumulator.lowest_exponent,
    )


def _posit_codes(unit: Unit, sums: Sums) -> Codes:
    target, register = unit.activation, unit.accumulator
    if not isinstance(target, Posit):
        raise DefectError(f"MAC {unit.name!r}: the converter of posits is asked for {target.spec}")
    if (register.width, register.lowest_exponent) != (target.accumulator_bits, target.accumulator_lsb):
        raise UserError(
            "the posit converter needs the published quire",
            source=f"MAC {unit.name!r}",
            location="output",
            allowed=f"{target.accumulator_bits} bits, lowest bit 2^{target.accumulator_lsb}",
        )
    return quire_to_code(sums.accumulators, sums.is_infinite, target, overflow_sign=sums.overflow)


def _is_log(fmt: Format) -> bool:
    return isinstance(fmt, LogBase)


def _is_posit(fmt: Format) -> bool:
    return isinstance(fmt, Posit)


_CONVERTERS: Final = {"log": _Converter(_is_log, _log_codes), "posit": _Converter(_is_posit, _posit_codes)}


def check_output(unit: Unit, rule: str, source: str) -> None:
    """Refuse an output rule that its format has no converter for. Raises UserError."""
    converter = _CONVERTERS.get(rule)
    if converter is None:
        return
    if not converter.takes(unit.activation) or unit.accumulator.number_format is not None:
        raise UserError(
            f"is the converter from a fixed accumulator to {rule} formats only",
            source=source,
            location="output",
            value=rule,
            allowed="nearest",
        )
