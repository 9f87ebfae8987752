"""One output of a MAC in slow exact arithmetic: Python integers and fractions, one product at a time.

Shares nothing with the engines but the formats' tables of values: every rule is written down again, from
docs/macs.md and Johnson 2018.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import singledispatch
from math import floor, isfinite, log2

from simulator.foundation import UserError
from simulator.foundation.defects import DefectError
from simulator.numerics import Accumulator, FixedAccumulator, FloatAccumulator, Format, Mac
from simulator.numerics.accumulators import TruncatedAccumulator
from simulator.numerics.formats.log import LogBase

Values = list[tuple[float, float]]


def exact_accumulator(mac: Mac, activations: Iterable[int], weights: Iterable[int]) -> int | float:
    """The accumulator after one reduction from zero.

    Returns:
        Units of the lowest bit for fixed accumulators, the value for float ones. Operands that are infinite
        or NaN add nothing to a fixed accumulator.
    """
    pairs = [
        (_value(mac.activation, a), _value(mac.weight, w)) for a, w in zip(activations, weights, strict=True)
    ]
    return _sum(mac.accumulator, mac, pairs)


@singledispatch
def _sum(accumulator: Accumulator, mac: Mac, _pairs: Values) -> int | float:
    raise UserError(
        f"there is no exact reference for a {accumulator.kind} accumulator, so results cannot be checked",
        source=f"MAC {mac.name!r}",
        location="accumulator",
    )


@_sum.register
def _(accumulator: FloatAccumulator, mac: Mac, pairs: list) -> float:  # type: ignore[type-arg]
    return _fused(mac.accumulator_format, pairs, flush=accumulator.flush_subnormals)


@_sum.register
def _(accumulator: FixedAccumulator, mac: Mac, pairs: list) -> int:  # type: ignore[type-arg]
    total = 0
    for a, w in pairs:
        increment = _logarithmic(mac, a, w) if mac.spec.product == "log" else _exact(mac, a, w)
        total = _kept(accumulator, total + increment)
    return total


@_sum.register
def _(accumulator: TruncatedAccumulator, _mac: Mac, pairs: list) -> float:  # type: ignore[type-arg]
    total = 0.0
    for a, w in pairs:
        if isfinite(a) and isfinite(w) and isfinite(total):
            total = _cut_off(Fraction(total) + Fraction(a) * Fraction(w), accumulator.number_format)
        else:
            total = total + a * w
    return total


def _cut_off(value: Fraction, fmt: Format) -> float:
    """A rational number without what lies below a float format's bits; the largest value past the end."""
    magnitude, exponent = abs(value), floor(log2(fmt.smallest_normal))
    while magnitude >= Fraction(2) ** (exponent + 1):
        exponent += 1
    step = Fraction(2) ** (exponent - fmt.significand_bits + 1)
    kept = min(magnitude // step * step, Fraction(fmt.largest))
    return float(kept if value > 0 else -kept)


def _value(fmt: Format, code: int) -> float:
    return float(fmt.decode([code])[0])


def _kept(accumulator: FixedAccumulator, total: int) -> int:
    if accumulator.overflow == "saturate":
        return min(max(total, accumulator.lowest), accumulator.highest)
    return (total - accumulator.lowest) % (1 << accumulator.bits) + accumulator.lowest


def _exact(mac: Mac, a: float, w: float) -> int:
    if not (isfinite(a) and isfinite(w)):
        return 0
    return floor(Fraction(a) * Fraction(w) / Fraction(2) ** mac.accumulator_lsb)


def _logarithmic(mac: Mac, a: float, w: float) -> int:
    """Add the logarithms, look up the power, shift into place as the circuit's shifter does."""
    if not (isfinite(a) and isfinite(w)) or a == 0 or w == 0:
        return 0
    fmt = mac.activation
    if not isinstance(fmt, LogBase):
        raise DefectError(f"MAC {mac.name!r}: {fmt.spec} is no log number")
    steps, alpha = 1 << fmt.log_fraction_bits, fmt.alpha
    powers = [round((2 ** (f / steps) - 1) * 2**alpha) for f in range(steps)]
    total = sum(_logarithm(abs(value), powers, alpha) for value in (a, w))
    exponent, fraction = divmod(total, steps)
    significand = (1 << alpha) + powers[fraction]
    if (a < 0) != (w < 0):
        significand = -significand
    top = mac.accumulator_bits - alpha - 2
    distance = mac.accumulator_bits - 2 + mac.accumulator_lsb - exponent
    return int((significand << top) >> (distance % 64))


def _logarithm(value: float, powers: list[int], alpha: int) -> int:
    """The fixed-point logarithm whose power the format's table shows as `value`."""
    exponent = floor(log2(value))
    return exponent * len(powers) + powers.index(round((value / 2.0**exponent - 1) * 2**alpha))


def _fused(fmt: Format, pairs: Values, *, flush: bool) -> float:
    total = 0.0
    for a, w in pairs:
        if flush:
            a, w = _flushed(fmt, a), _flushed(fmt, w)
        if not (isfinite(a) and isfinite(w) and isfinite(total)):
            total = total + a * w
            continue
        rounded = round_fraction(Fraction(total) + Fraction(a) * Fraction(w), fmt)
        total = _flushed(fmt, rounded) if flush else rounded
    return total


def _flushed(fmt: Format, value: float) -> float:
    return 0.0 if abs(value) < fmt.smallest_normal else value


def round_fraction(value: Fraction, fmt: Format) -> float:
    """A rational number to the nearest of a float format, ties to even; overflow as the format has it."""
    if value == 0:
        return 0.0
    magnitude = abs(value)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < Fraction(2) ** exponent:
        exponent -= 1
    least = floor(log2(fmt.smallest_normal))
    step = Fraction(2) ** (max(exponent, least) - fmt.significand_bits + 1)
    rounded = round(magnitude / step) * step  # Python rounds halves to even
    result = float(rounded) if rounded <= Fraction(fmt.largest) else _beyond(fmt)
    return result if value > 0 else -result


def _beyond(fmt: Format) -> float:
    if fmt.has_infinity:
        return float("inf")
    return float("nan") if fmt.has_nan else fmt.largest
