"""Block-scaled formats in slow exact arithmetic: fractions and searches in tables, from published rules.

It shares no code with the simulator: codes, scales, sums and roundings are written down again, from OCP MX
v1.0, NVIDIA's NVFP4 and the published model of Blackwell's tensor cores (MMA-Sim).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import inf, isfinite, nan
from struct import pack, unpack

TWO = Fraction(2)


@dataclass(frozen=True)
class Element:
    """A sign, exponent and fraction bits, with the special codes of E4M3 ('nan') and E5M2 ('ieee')."""

    exponent_bits: int
    fraction_bits: int
    bias: int
    specials: str = ""

    @cached_property
    def magnitudes(self) -> list[Fraction]:
        """Finite values of the codes without a sign, ascending from 0."""
        found = []
        for field in range(1 << self.exponent_bits):
            for fraction in range(1 << self.fraction_bits):
                code = (field << self.fraction_bits) + fraction
                last = (1 << (self.exponent_bits + self.fraction_bits)) - 1
                if self.specials == "nan" and code == last:
                    continue
                if self.specials == "ieee" and field == (1 << self.exponent_bits) - 1:
                    continue
                hidden = 1 if field else 0
                significand = hidden + Fraction(fraction, 1 << self.fraction_bits)
                found.append(significand * TWO ** (max(field, 1) - self.bias))
        return found

    @property
    def sign_bit(self) -> int:
        return 1 << (self.exponent_bits + self.fraction_bits)

    @property
    def least_exponent(self) -> int:
        return 1 - self.bias

    @property
    def largest(self) -> Fraction:
        return self.magnitudes[-1]

    @cached_property
    def midpoints(self) -> list[Fraction]:
        return [(low + high) / 2 for low, high in zip(self.magnitudes, self.magnitudes[1:], strict=False)]

    def code(self, value: Fraction, *, negative: bool) -> int:
        """The nearest code, ties to the even one; saturates."""
        magnitude = abs(value)
        below, above = bisect_left(self.midpoints, magnitude), bisect_right(self.midpoints, magnitude)
        nearest = above if below == above or below % 2 else below
        return nearest | (self.sign_bit if negative else 0)

    def value(self, code: int) -> Fraction | float:
        magnitude, negative = code & (self.sign_bit - 1), bool(code & self.sign_bit)
        if magnitude < len(self.magnitudes):
            return -self.magnitudes[magnitude] if negative else self.magnitudes[magnitude]
        if self.specials == "ieee" and magnitude == len(self.magnitudes):
            return -inf if negative else inf
        return nan


@dataclass(frozen=True)
class Int8:
    """Two's complement in steps of 1/64."""

    full_range: bool = False
    fraction_bits: int = 6
    least_exponent: int = 0
    largest: Fraction = Fraction(127, 64)

    def code(self, value: Fraction, *, negative: bool) -> int:
        steps = round(value * 64)  # Python rounds halves to even
        return max(-128 if self.full_range else -127, min(127, steps)) & 0xFF

    def value(self, code: int) -> Fraction | float:
        return Fraction(code - 256 if code > 127 else code, 64)


E4M3 = Element(4, 3, 7, "nan")
E5M2 = Element(5, 2, 15, "ieee")
E3M2 = Element(3, 2, 3)
E2M3 = Element(2, 3, 1)
E2M1 = Element(2, 1, 1)
ELEMENTS: dict[str, Element | Int8] = {
    "mxfp8_e4m3": E4M3,
    "mxfp8_e5m2": E5M2,
    "mxfp6_e3m2": E3M2,
    "mxfp6_e2m3": E2M3,
    "mxfp4": E2M1,
    "mxint8": Int8(),
}


def floor_log2(value: Fraction) -> int:
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent if value >= TWO**exponent else exponent - 1


def ceil_log2(value: Fraction) -> int:
    floor = floor_log2(value)
    return floor if value == TWO**floor else floor + 1


def mx_block(element: Element | Int8, values: Sequence[float], rule: str) -> tuple[int, list[int]]:
    """The E8M0 code and the element codes of one block of float32 values."""
    if not all(isfinite(value) for value in values):
        return 255, [0] * len(values)
    amax = max(abs(Fraction(value)) for value in values)
    if amax == 0:
        return 0, [element.code(Fraction(0), negative=is_negative(value)) for value in values]
    emax = floor_log2(element.largest)
    if rule == "floor":
        exponent = floor_log2(amax) - emax
    elif rule == "ceil":
        exponent = ceil_log2(amax) - emax
    elif rule == "even":
        exponent = floor_log2(rounded_half_up(amax, element.fraction_bits)) - emax
    else:
        exponent = ceil_log2(amax / element.largest)
    exponent = min(max(exponent, -127), 127)
    scaled = [Fraction(value) / TWO**exponent for value in values]
    pairs = zip(scaled, values, strict=True)
    return exponent + 127, [element.code(each, negative=is_negative(value)) for each, value in pairs]


def rounded_half_up(amax: Fraction, fraction_bits: int) -> Fraction:
    """To a significand of so many fraction bits; denormal float32 numbers are left alone."""
    if amax < TWO**-126:
        return amax
    step = TWO ** (floor_log2(amax) - fraction_bits)
    return ((amax / step + Fraction(1, 2)) // 1) * step


def nvfp4_block(values: Sequence[float], tensor_scale: Fraction = Fraction(1)) -> tuple[int, list[int]]:
    """The E4M3 code and the element codes of one block of float32 values."""
    if not all(isfinite(value) for value in values):
        return 0x7F, [0] * len(values)
    amax = max(abs(Fraction(value)) for value in values)
    code = E4M3.code(min(amax / (6 * tensor_scale), Fraction(448)), negative=False)
    scale = E4M3.magnitudes[code] * tensor_scale
    scaled = [Fraction(value) / scale if scale else Fraction(0) for value in values]
    pairs = zip(scaled, values, strict=True)
    return code, [E2M1.code(each, negative=is_negative(value)) for each, value in pairs]


def is_negative(value: float) -> bool:
    return pack(">d", value)[0] >= 0x80


def e8m0(code: int) -> Fraction | float:
    return nan if code == 255 else TWO ** (code - 127)


def ue4m3(code: int) -> Fraction | float:
    return E4M3.value(code & 0x7F)


def float32_code(value: Fraction) -> int:
    """The float32 pattern nearest to a rational number, ties to even; +0 for an exact zero."""
    if value == 0:
        return 0
    magnitude = abs(value)
    step = TWO ** (max(floor_log2(magnitude), -126) - 23)
    rounded = round(magnitude / step) * step
    sign = 0x80000000 if value < 0 else 0
    if rounded >= TWO**128:
        return sign | 0x7F800000
    return sign | int(unpack(">I", pack(">f", float(rounded)))[0])


def float32_value(code: int) -> Fraction | float:
    value = float(unpack(">f", pack(">I", code))[0])
    return Fraction(value) if isfinite(value) else value


Number = Fraction | float


def times(x: Number, y: Number) -> Number:
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x * y
    return float(sign_of(x)) * float(sign_of(y)) if x == x and y == y else nan


def sign_of(x: Number) -> float:
    """A number of the same sign that multiplies as in IEEE 754: infinities stay."""
    return float(x) if not isinstance(x, Fraction) else (x > 0) - (x < 0)


def plus(x: Number, y: Number) -> Number:
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x + y
    return (0.0 if isinstance(x, Fraction) else x) + (0.0 if isinstance(y, Fraction) else y)


Block = tuple[Number, Sequence[Number]]
"""The scale's value and the elements' values."""


def block_value(a: Block, w: Block) -> Number:
    total: Number = Fraction(0)
    for x, y in zip(a[1], w[1], strict=True):
        total = plus(total, times(x, y))
    return times(total, times(a[0], w[0]))


def code_of(value: Number) -> int:
    if isinstance(value, Fraction):
        return float32_code(value)
    return 0x7FC00000 if value != value else 0x7F800000 if value > 0 else 0xFF800000


def dot_once(a: Sequence[Block], w: Sequence[Block]) -> int:
    total: Number = Fraction(0)
    for x, y in zip(a, w, strict=True):
        total = plus(total, block_value(x, y))
    return code_of(total)


def dot_fused(a: Sequence[Block], w: Sequence[Block]) -> int:
    code = 0
    for x, y in zip(a, w, strict=True):
        code = code_of(plus(float32_value(code), block_value(x, y)))
    return code


# ------------------------------------------------------------------------- Blackwell's tensor cores

Term = tuple[Fraction, int]
"""Signed significand and exponent."""


def unpacked(value: Fraction, least_exponent: int) -> Term:
    exponent = least_exponent if value == 0 else max(floor_log2(abs(value)), least_exponent)
    return value / TWO**exponent, exponent


def aligned_sum(terms: Sequence[Term], kept_bits: int) -> int:
    """Terms cut off at `kept_bits` below the largest exponent, added, and cut off to float32."""
    greatest = max(exponent for _, exponent in terms)
    step = TWO ** (greatest - kept_bits)
    total = sum((int(significand * TWO**exponent / step) for significand, exponent in terms)) * step
    if total == 0:
        return 0
    magnitude = abs(total)
    last = TWO ** (max(floor_log2(magnitude), -126) - 23)
    kept = (magnitude // last) * last
    if kept == 0:
        return 0
    sign = 0x80000000 if total < 0 else 0
    return sign | (0x7F800000 if kept >= TWO**128 else float32_code(kept))


def dot_blackwell_products(
    a_element: Element, a: Sequence[Block], w_element: Element, w: Sequence[Block]
) -> int:
    """Steps of one block of 32, products kept to 25 fraction bits; finite operands."""
    code = 0
    for (a_scale, xs), (w_scale, ys) in zip(a, w, strict=True):
        start = float32_value(code)
        if not isinstance(start, Fraction):
            return code
        terms = [unpacked(start, -126)]
        scale = floor_log2(Fraction(a_scale)) + floor_log2(Fraction(w_scale))
        for x, y in zip(xs, ys, strict=True):
            if x != 0 and y != 0:
                left = unpacked(Fraction(x), a_element.least_exponent)
                right = unpacked(Fraction(y), w_element.least_exponent)
                terms.append((left[0] * right[0], left[1] + right[1] + scale))
        code = aligned_sum(terms, 25)
    return code


def dot_blackwell_groups(a: Sequence[Block], w: Sequence[Block], least_scale_exponent: int) -> int:
    """Steps of 64 products in groups of 16, kept to 35 fraction bits; finite operands, blocks of 16 or 32."""
    groups: list[Term] = []
    for (a_scale, xs), (w_scale, ys) in zip(a, w, strict=True):
        left = unpacked(Fraction(a_scale), least_scale_exponent)
        right = unpacked(Fraction(w_scale), least_scale_exponent)
        for start in range(0, len(xs), 16):
            pairs = zip(xs[start : start + 16], ys[start : start + 16], strict=True)
            dot = sum((Fraction(x) * Fraction(y) for x, y in pairs), Fraction(0))
            zero = left[0] == 0 or right[0] == 0
            groups.append((dot * left[0] * right[0], -999 if zero else left[1] + right[1]))
    code = 0
    for start in range(0, len(groups), 4):
        before = float32_value(code)
        if not isinstance(before, Fraction):
            return code
        step = [(value, exponent) for value, exponent in groups[start : start + 4]]
        code = aligned_sum([unpacked(before, -126), *step], 35)
    return code
