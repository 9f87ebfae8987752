"""Multiply-accumulates one at a time with Python integers and fractions; shares no code with the project.

Written from the published descriptions: Johnson 2018 for log numbers and posits, IEEE 754 for floats.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import log2

Special = str
Value = Fraction | Special
"""A number, or "inf", "-inf", "nan"."""


@cache
def two_to(exponent: int) -> Fraction:
    return Fraction(1 << max(exponent, 0), 1 << max(-exponent, 0))


# ------------------------------------------------------------------------------------------------ operands


@cache
def tapered_fields(code: int, bits: int, es: int) -> tuple[int, int, int, bool, bool]:
    """(sign, exponent, fraction, is_zero, is_inf) of a posit-tapered code, by walking its bits."""
    sign, body = code >> (bits - 1), code & ((1 << (bits - 1)) - 1)
    if body == 0:
        return 0, -((bits - 2) << es), 0, sign == 0, sign == 1
    text = format(body, f"0{bits - 1}b")
    run = len(text) - len(text.lstrip(text[0]))
    k = run - 1 if text[0] == "1" else -run
    tail = (text[run + 1 :] + "0" * bits)[: bits - 3]
    return sign, (k << es) + int(tail[:es] or "0", 2), int(tail[es:] or "0", 2), False, False


@cache
def log16_fields(code: int) -> tuple[int, int, int, bool, bool]:
    field = (code >> 10) & 31
    return code >> 15, field - 15, code & 1023, field == 0, field == 31


@cache
def value_of(spec: str, code: int) -> Value:
    """The real value of a code, for every family but the log ones."""
    if match := re.fullmatch(r"(u?)int(\d+)", spec):
        return Fraction(_twos_complement(code, int(match[2])) if not match[1] else code)
    if match := re.fullmatch(r"(u?)fix(\d+)\.(\d+)", spec):
        whole = _twos_complement(code, int(match[2])) if not match[1] else code
        return Fraction(whole, 1 << int(match[3]))
    if match := re.fullmatch(r"posit(\d+)\.(\d)", spec):
        bits, es = int(match[1]), int(match[2])
        sign, exponent, fraction, is_zero, is_inf = tapered_fields(code, bits, es)
        if is_zero or is_inf:
            return "inf" if is_inf else Fraction(0)
        magnitude = two_to(exponent) * (1 + Fraction(fraction, 1 << (bits - 3 - es)))
        return -magnitude if sign else magnitude
    return _float_value(spec, code)


_STANDARD = {
    "e4m3fn": (4, 3, 7),
    "e5m2ieee": (5, 2, 15),
    "e5m2sat": (5, 2, 15),
    "e4m3fnuz": (4, 3, 8),
    "e5m2fnuz": (5, 2, 16),
    "fp16": (5, 10, 15),
    "bf16": (8, 7, 127),
    "tf32": (8, 10, 127),
    "fp32": (8, 23, 127),
}
_IEEE = ("e5m2ieee", "e5m2sat", "fp16", "bf16", "tf32", "fp32")
_OVERFLOWING = ("e5m2ieee", "fp16", "bf16", "tf32", "fp32")


@cache
def float_layout(spec: str) -> tuple[bool, int, int, int]:
    """(signed, exponent bits, fraction bits, bias)."""
    if spec in _STANDARD:
        return True, *_STANDARD[spec]
    match = re.fullmatch(r"(u?)e(\d+)m(\d+)(b(-?\d+))?", spec)
    assert match is not None
    E, M = int(match[2]), int(match[3])
    return not match[1], E, M, int(match[5]) if match[5] else (1 << (E - 1)) - 1


def _float_value(spec: str, code: int) -> Value:
    signed, E, M, bias = float_layout(spec)
    fraction, field = code & ((1 << M) - 1), (code >> M) & ((1 << E) - 1)
    negative = signed and code >> (E + M) == 1
    top = field == (1 << E) - 1
    if spec == "e4m3fn" and top and fraction == 7:
        return "nan"
    if spec.endswith("fnuz") and code == 1 << (E + M):
        return "nan"
    if spec in _IEEE and top:
        return "nan" if fraction else "-inf" if negative else "inf"
    magnitude = (
        two_to(1 - bias - M) * fraction if field == 0 else two_to(field - bias - M) * ((1 << M) + fraction)
    )
    return -magnitude if negative else magnitude


def _twos_complement(number: int, bits: int) -> int:
    number %= 1 << bits
    return number - (1 << bits) if number >> (bits - 1) else number


# --------------------------------------------------------------------------------- fixed accumulators


@dataclass(frozen=True)
class Fixed:
    """A MAC with a fixed accumulator, by the formats' spec strings."""

    activation: str
    weight: str
    bits: int
    lsb: int
    overflow: str = "wrap"
    log: bool = False

    def wrap(self, number: int) -> int:
        return _twos_complement(number, self.bits)

    def increment(self, a: int, w: int) -> tuple[int, bool]:
        """(what the product adds before the accumulator keeps its bits, infinity flag)."""
        if self.log:
            return self._log_increment(a, w)
        x, y = value_of(self.activation, a), value_of(self.weight, w)
        if isinstance(x, str) or isinstance(y, str):
            return 0, True
        exact = x * y / two_to(self.lsb)
        return exact.numerator // exact.denominator, False

    def _log_increment(self, a: int, w: int) -> tuple[int, bool]:
        if self.activation == "log8.1":
            F, alpha = 4, 5
            (sa, ea, fa, za, ia), (sw, ew, fw, zw, iw) = tapered_fields(a, 8, 1), tapered_fields(w, 8, 1)
        else:
            F, alpha = 10, 11
            (sa, ea, fa, za, ia), (sw, ew, fw, zw, iw) = log16_fields(a), log16_fields(w)
        if ia or iw:
            return 0, True
        if za or zw:
            return 0, False
        total = (ea << F) + fa + (ew << F) + fw
        exponent, fraction = total >> F, total & ((1 << F) - 1)
        power = round((2 ** (fraction / (1 << F)) - 1) * (1 << alpha))
        significand = (1 << alpha) + power
        if sa ^ sw:
            significand = -significand
        base = significand << (self.bits - 2 - alpha)
        shift = (self.bits - 2 + self.lsb - exponent) % 64
        return base >> shift, False

    def step(self, acc: int, a: int, w: int) -> tuple[int, bool, int]:
        """(accumulator after one MAC, infinity flag, direction of overflow or 0)."""
        increment, infinite = self.increment(a, w)
        low, high = -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        if self.overflow == "saturate":
            return min(max(acc + increment, low), high), infinite, 0
        direction = 0
        if not low <= increment <= high:
            direction = 1 if increment > 0 else -1
        elif not low <= acc + self.wrap(increment) <= high:
            direction = 1 if acc > 0 else -1
        return self.wrap(acc + increment), infinite, direction

    def dot(self, activations: list[int], weights: list[int], start: int = 0) -> tuple[int, bool, int]:
        """Accumulator, sticky infinity flag and first direction of overflow of a sum in order."""
        acc, infinite, overflow = start, False, 0
        for a, w in zip(activations, weights, strict=True):
            acc, flag, direction = self.step(acc, a, w)
            infinite |= flag
            overflow = overflow or direction
        return acc, infinite, overflow


# --------------------------------------------------------------------------------- float accumulators


@dataclass(frozen=True)
class Float:
    """A MAC with a float accumulator: fused, one rounding a step."""

    activation: str
    weight: str
    accumulator: str
    flush: bool = False

    def _flushed(self, spec: str, value: Value) -> Value:
        _, _, _, bias = float_layout(spec)
        if self.flush and not isinstance(value, str) and abs(value) < two_to(1 - bias):
            return Fraction(0)
        return value

    def step(self, acc: int, a: int, w: int) -> int:
        """The accumulator's code after one MAC."""
        s = self._flushed(self.accumulator, value_of(self.accumulator, acc))
        x = self._flushed(self.activation, value_of(self.activation, a))
        y = self._flushed(self.weight, value_of(self.weight, w))
        negative = (self._sign(self.activation, a) ^ self._sign(self.weight, w)) == 1
        product = _multiply(x, y, negative=negative)
        total = _add(s, product)
        if not isinstance(total, str) and total == 0:
            # Equal signs keep theirs (only of zeros here), anything else gives plus zero.
            both = s == 0 and product == 0
            total_negative = both and negative and self._sign(self.accumulator, acc) == 1
            return self._zero(negative=total_negative)
        return self._encode(total)

    @staticmethod
    def _sign(spec: str, code: int) -> int:
        signed, E, M, _ = float_layout(spec)
        return code >> (E + M) if signed else 0

    def _zero(self, *, negative: bool) -> int:
        _, E, M, _ = float_layout(self.accumulator)
        return (1 << (E + M)) if negative and not self.accumulator.endswith("fnuz") else 0

    def _encode(self, total: Value) -> int:
        return _encode_float(total, self.accumulator, flush=self.flush)

    def dot(self, activations: list[int], weights: list[int], start: int = 0) -> int:
        """The accumulator's code after a sum in order."""
        acc = start
        for a, w in zip(activations, weights, strict=True):
            acc = self.step(acc, a, w)
        return acc


@cache
def _encode_float(total: Value, accumulator: str, *, flush: bool) -> int:
    """The code of a value that is not zero, rounded to nearest even.

    Without infinities, or where they saturate, what is past the largest becomes it; a NaN that the format
    lacks becomes zero.
    """
    _, E, M, bias = float_layout(accumulator)
    sign_bit = 1 << (E + M)
    field = ((1 << E) - 1) << M
    if total == "nan":
        if accumulator in _IEEE:
            return field | 1 << (M - 1)
        return {"e4m3fn": 0x7F, "e4m3fnuz": 0x80, "e5m2fnuz": 0x80}.get(accumulator, 0)
    largest = field - 1 if accumulator in _IEEE else field | (1 << M) - 1 - (accumulator == "e4m3fn")
    past = field if accumulator in _OVERFLOWING else largest
    if isinstance(total, str):
        return past | (sign_bit if total == "-inf" else 0)
    sign = sign_bit if total < 0 else 0
    magnitude = abs(total)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if two_to(exponent) > magnitude:
        exponent -= 1
    least = 1 - bias
    step = two_to((exponent if flush else max(exponent, least)) - M)
    rounded = round(magnitude / step) * step  # Python rounds fractions half to even
    zero = 0 if accumulator.endswith("fnuz") else sign
    if rounded == 0 or (flush and rounded < two_to(least)):
        return zero
    if rounded > abs(_finite_value(accumulator, largest)):
        return sign | past
    if rounded < two_to(least):
        return sign | int(rounded / two_to(least - M))
    if rounded == two_to(exponent + 1):
        exponent += 1
    return sign | (exponent + bias) << M | int(rounded / two_to(exponent - M)) - (1 << M)


def _finite_value(spec: str, code: int) -> Fraction:
    value = _float_value(spec, code)
    assert isinstance(value, Fraction)
    return value


def _multiply(x: Value, y: Value, *, negative: bool) -> Value:
    if "nan" in (x, y):
        return "nan"
    if isinstance(x, str) or isinstance(y, str):
        if x == 0 or y == 0:
            return "nan"
        return "-inf" if negative else "inf"
    return x * y


def _add(x: Value, y: Value) -> Value:
    if isinstance(x, str) or isinstance(y, str):
        specials = {value for value in (x, y) if isinstance(value, str)}
        return specials.pop() if len(specials) == 1 else "nan"
    return x + y


# ------------------------------------------------------------------------------------------- converters


def round_tapered(sign: int, exponent: int, fraction7: int) -> int:
    """The (8,1) code of a log number or posit with 7 fraction bits, exponent at least -12 (section 5)."""
    u = exponent + 12
    k = (u >> 1) - 6
    x = k if k >= 0 else -k - 1
    word, shift = ((u & 1) << 7) | fraction7, 3 + x
    q, rest = word >> shift, word & ((1 << shift) - 1)
    half = 1 << (shift - 1)
    parity = q & 1 if x < 5 else 0
    if rest > half or (rest == half and parity):
        q += 1
    q <<= x
    k += q >> 5
    if k >= 6:
        return 0x7F | sign << 7
    text = ("1" * (k + 1) + "0") if k >= 0 else ("0" * -k + "1")
    text = (text + format(q & 31, "05b"))[:7]
    return int(text, 2) | sign << 7


def round_log8(sign: int, exponent: int, fraction7: int) -> int:
    """The last rounding of a log number, its underflow quirk included."""
    if exponent < -12:
        return (1 | sign << 7) if (fraction7 & 7) > 4 else 0
    return round_tapered(sign, exponent, fraction7)


def accumulator_to_log8(acc: int, *, infinite: bool) -> int:
    """The grid's converter, beta = 5 (section 6)."""
    if infinite:
        return 0x80
    magnitude = abs(acc) & ((1 << 37) - 1)
    if magnitude == 0:
        return 0
    p = magnitude.bit_length() - 1
    q = round(Fraction(magnitude, 1) / two_to(p - 5)) - 32
    if q == 32:
        q, p = 0, p + 1
    table = round(log2(1 + q / 32) * 128)
    exponent, fraction7 = p - 24 + (table >> 7), table & 127
    if exponent < -16:
        return 0
    return round_log8(int(acc < 0), exponent, fraction7)


def accumulator_to_log16(acc: int, *, infinite: bool) -> int:
    """The flat converter, beta = 11 (section 8)."""
    if infinite:
        return 0x7C00
    magnitude = abs(acc) & ((1 << 48) - 1)
    if magnitude == 0:
        return 0
    p = magnitude.bit_length() - 1
    q = round(Fraction(magnitude, 1) / two_to(p - 11)) - 2048
    if q == 2048:
        q, p = 0, p + 1
    table = round(log2(1 + q / 2048) * 1024)
    exponent, fraction = p - 32 + (table >> 10), table & 1023
    if exponent < -16:
        return 0
    if exponent >= 15:
        exponent, fraction = 15, 1023
    return int(acc < 0) << 15 | (exponent + 15) % 32 << 10 | fraction


def quire_to_posit8(quire: int, *, infinite: bool, overflow: int) -> int:
    """The posit(8,1) converter (section 9)."""
    if infinite:
        return 0x80
    if overflow or quire == -(1 << 37):
        return 0xFF if (overflow < 0 if overflow else True) else 0x7F
    sign, magnitude = int(quire < 0), abs(quire)
    if magnitude < 1 << 12:
        return (1 | sign << 7) if magnitude > 1 << 11 else 0
    p = magnitude.bit_length() - 1
    scaled = magnitude << 40
    fraction = (scaled >> (p + 40 - 6)) & 63
    sticky = int((scaled & ((1 << (p + 40 - 6)) - 1)) != 0)
    return round_tapered(sign, p - 24, fraction << 1 | sticky)
