"""Number formats from their definitions: one code or value at a time, in integers, Fractions and strings."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property

PLUS_INFINITY, MINUS_INFINITY, NAN, MINUS_ZERO = "+inf", "-inf", "nan", "-0"
Value = Fraction | str


def power_of_two(exponent: int) -> Fraction:
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)


@dataclass(frozen=True)
class Reference:
    """All values of a format by code; encoding searches the nearest one."""

    values: tuple[Value, ...]
    bits: int
    sign_magnitude: bool
    overflow_to_infinity: bool = False

    @cached_property
    def _finite(self) -> list[tuple[Fraction, int]]:
        return sorted((value, code) for code, value in enumerate(self.values) if isinstance(value, Fraction))

    @cached_property
    def _sorted_values(self) -> list[Fraction]:
        return [value for value, _ in self._finite]

    def nearest(self, value: Fraction) -> int:
        """The code of the nearest value; ties go to the even code; saturating, or IEEE overflow."""
        position = bisect_left(self._sorted_values, value)
        if position == len(self._finite):
            return self._beyond(value, self._finite[-1], self._finite[-2])
        if position == 0:
            return self._beyond(value, self._finite[0], self._finite[1])
        (low, low_code), (high, high_code) = self._finite[position - 1 : position + 1]
        if value - low != high - value:
            code = low_code if value - low < high - value else high_code
        else:
            code = low_code if low_code % 2 == 0 else high_code
        negative_zero = 1 << (self.bits - 1)
        if self.sign_magnitude and value < 0 and self.values[code] == 0 and MINUS_ZERO in self.values:
            return negative_zero
        return code

    def _beyond(self, value: Fraction, last: tuple[Fraction, int], before: tuple[Fraction, int]) -> int:
        half_step = abs(last[0] - before[0]) / 2
        if self.overflow_to_infinity and abs(value) >= abs(last[0]) + half_step:
            return self.values.index(PLUS_INFINITY if value > 0 else MINUS_INFINITY)
        return last[1]


def fixed_point(bits: int, fraction_bits: int, *, signed: bool) -> Reference:
    step = power_of_two(-fraction_bits)
    wrapped = [
        code - (1 << bits) if signed and code >= 1 << (bits - 1) else code for code in range(1 << bits)
    ]
    return Reference(tuple(step * number for number in wrapped), bits, sign_magnitude=False)


def _float_value(field: int, fraction: int, fraction_bits: int, bias: int) -> Fraction:
    if field == 0:
        return fraction * power_of_two(1 - bias - fraction_bits)
    return (1 + Fraction(fraction, 1 << fraction_bits)) * power_of_two(field - bias)


def minifloat(exponent_bits: int, fraction_bits: int, bias: int, *, signed: bool) -> Reference:
    positive: list[Value] = [
        _float_value(field, fraction, fraction_bits, bias)
        for field in range(1 << exponent_bits)
        for fraction in range(1 << fraction_bits)
    ]
    bits = exponent_bits + fraction_bits + int(signed)
    return Reference(tuple(_with_signs(positive) if signed else positive), bits, sign_magnitude=True)


def _with_signs(positive: list[Value]) -> list[Value]:
    def negated(value: Value) -> Value:
        if isinstance(value, str):
            return MINUS_INFINITY if value == PLUS_INFINITY else value
        return MINUS_ZERO if value == 0 else -value

    return positive + [negated(value) for value in positive]


def standard_float(
    exponent_bits: int, fraction_bits: int, *, infinities: bool, saturates: bool | None = None
) -> Reference:
    """IEEE 754 where there are infinities; without them the highest code alone is NaN (OCP e4m3)."""
    bias = 2 ** (exponent_bits - 1) - 1
    positive: list[Value] = list(minifloat(exponent_bits, fraction_bits, bias, signed=False).values)
    if infinities:
        first = len(positive) - (1 << fraction_bits)
        positive[first:] = [PLUS_INFINITY] + [NAN] * ((1 << fraction_bits) - 1)
    else:
        positive[-1] = NAN
    bits = 1 + exponent_bits + fraction_bits
    to_infinity = infinities and not saturates
    return Reference(
        tuple(_with_signs(positive)), bits, sign_magnitude=True, overflow_to_infinity=to_infinity
    )


def fnuz_float(exponent_bits: int, fraction_bits: int) -> Reference:
    """Finite, no minus zero, whose code is NaN; the bias is one more than that of IEEE 754."""
    positive = minifloat(exponent_bits, fraction_bits, 2 ** (exponent_bits - 1), signed=False).values
    values = _with_signs(list(positive))
    values[len(positive)] = NAN
    return Reference(tuple(values), 1 + exponent_bits + fraction_bits, sign_magnitude=True)


def tapered_fields(code: int, bits: int, exponent_field_bits: int) -> tuple[int, int, Fraction] | str:
    """(sign, exponent, fraction) of a posit-tapered code, read from its bit string."""
    string = format(code, f"0{bits}b")
    sign, body = int(string[0]), string[1:]
    if "1" not in body:
        return PLUS_INFINITY if sign else "0"
    run = len(body) - len(body.lstrip(body[0]))
    regime = run - 1 if body[0] == "1" else -run
    tail = body[run + 1 :]  # behind the bit that ends the run
    field = tail[:exponent_field_bits].ljust(exponent_field_bits, "0")
    fraction = tail[exponent_field_bits:]
    exponent = regime * 2**exponent_field_bits + (int(field, 2) if field else 0)
    return sign, exponent, Fraction(int(fraction, 2), 2 ** len(fraction)) if fraction else Fraction(0)


def posit_values(bits: int, exponent_field_bits: int) -> tuple[Value, ...]:
    def value(code: int) -> Value:
        fields = tapered_fields(code, bits, exponent_field_bits)
        if isinstance(fields, str):
            return fields if fields == PLUS_INFINITY else Fraction(0)
        sign, exponent, fraction = fields
        return (-1 if sign else 1) * power_of_two(exponent) * (1 + fraction)

    return tuple(value(code) for code in range(1 << bits))


def log_values(bits: int, exponent_field_bits: int, alpha: int) -> tuple[Value, ...]:
    fraction_bits = bits - 3 - exponent_field_bits

    def value(code: int) -> Value:
        fields = tapered_fields(code, bits, exponent_field_bits)
        if isinstance(fields, str):
            return fields if fields == PLUS_INFINITY else Fraction(0)
        sign, exponent, fraction = fields
        linear = pow2_entry(int(fraction * 2**fraction_bits), fraction_bits, alpha)
        return (-1 if sign else 1) * power_of_two(exponent) * (1 + Fraction(linear, 2**alpha))

    return tuple(value(code) for code in range(1 << bits))


@cache
def pow2_entry(fraction: int, input_bits: int, output_bits: int) -> int:
    """The integer nearest to (2**(fraction / 2**input_bits) - 1) * 2**output_bits, by integer powers alone.

    n + 1/2 is past the number where (2n + 1 + 2**(output_bits + 1)) ** (2**input_bits) is past the power.
    """
    root = 1 << input_bits
    target = 1 << (fraction + (output_bits + 1) * root)
    low, high = 0, 1 << output_bits
    while low < high:
        middle = (low + high) // 2
        if (2 * middle + 1 + (2 << output_bits)) ** root > target:
            high = middle
        else:
            low = middle + 1
    return low


@cache
def log2_entry(fraction: int, input_bits: int, output_bits: int) -> int:
    """The integer nearest to log2(1 + fraction / 2**input_bits) * 2**output_bits, by integer powers alone.

    It is n where 2**(2n - 1) <= (1 + fraction / 2**input_bits) ** (2**(output_bits + 1)) < 2**(2n + 1).
    """
    power = ((1 << input_bits) + fraction) ** (2 << output_bits)
    exponent = power.bit_length() - 1 - input_bits * (2 << output_bits)
    nearest: int = (exponent + 1) // 2
    return nearest


def round_to_even(numerator: int, drop: int) -> int:
    """numerator / 2**drop to the nearest integer, ties to even; Python's own round() of a Fraction."""
    rounded: int = round(Fraction(numerator, 1 << drop))
    return rounded


def tapered_code(sign: int, exponent: int, fraction: str, bits: int, exponent_field_bits: int) -> int:
    """The code of a number not below the smallest: its endless bit string cut to the width, to nearest even.

    `fraction` is a string of bits. A tie looks at the last bit kept behind the regime; none counts as even.
    """
    largest = (1 << (bits - 1)) - 1
    regime, field = divmod(exponent, 1 << exponent_field_bits)
    if regime >= bits - 2:
        return sign << (bits - 1) | largest
    head = "1" * (regime + 1) + "0" if regime >= 0 else "0" * -regime + "1"
    field_string = format(field, f"0{exponent_field_bits}b") if exponent_field_bits else ""
    string = head + field_string + fraction.ljust(bits, "0")
    kept, rest = string[: bits - 1], string[bits - 1 :]
    parity_bit = kept[len(head) :][-1:] or "0"
    half = "1" + "0" * (len(rest) - 1)
    up = rest > half or (rest == half and parity_bit == "1")
    return sign << (bits - 1) | min(int(kept, 2) + up, largest)


@dataclass(frozen=True)
class LogReference:
    """Elma reference, sections 5 to 8: tapered log numbers, or the flat 16-bit ones where bits = 16."""

    bits: int
    exponent_field_bits: int
    beta: int
    gamma: int

    @property
    def flat(self) -> bool:
        return self.bits == 16

    @property
    def register(self) -> tuple[int, int]:
        if self.flat:
            return -16, 15
        greatest, width = (self.bits - 2) << self.exponent_field_bits, 1
        while greatest > (1 << (width - 1)) - 1:
            width += 1
        return -(1 << (width - 1)), (1 << (width - 1)) - 1

    @property
    def infinity(self) -> int:
        return 31 << 10 if self.flat else 1 << (self.bits - 1)

    def from_linear(self, sign: int, exponent: int, fraction: int, register_bits: int | None = None) -> int:
        """Steps 4 and 5 of section 6 from `beta` fraction bits on, then section 5 or the flat word."""
        log_fraction = log2_entry(fraction, self.beta, self.gamma)
        exponent += log_fraction >> self.gamma
        log_fraction %= 1 << self.gamma
        if register_bits is not None:
            half = 1 << (register_bits - 1)
            exponent = (exponent + half) % (2 * half) - half
        least, greatest = self.register
        if exponent < least:
            return 0
        if exponent >= greatest:
            exponent, log_fraction = greatest, (1 << self.gamma) - 1
        if self.flat:
            return sign << 15 | (exponent + 15) % 32 << 10 | log_fraction
        return self._round(sign, exponent, log_fraction)

    def _round(self, sign: int, exponent: int, log_fraction: int) -> int:
        if exponent < -((self.bits - 2) << self.exponent_field_bits):
            trailing_bits = self.gamma - (self.bits - 3 - self.exponent_field_bits)
            trailing = log_fraction % (1 << trailing_bits)
            return sign << (self.bits - 1) | 1 if 2 * trailing > 1 << trailing_bits else 0
        return tapered_code(
            sign, exponent, format(log_fraction, f"0{self.gamma}b"), self.bits, self.exponent_field_bits
        )

    def from_float32(self, pattern: int) -> int:
        """Section 7."""
        sign, field, fraction = pattern >> 31, pattern >> 23 & 255, pattern & 0x7FFFFF
        if field == 255:
            return self.infinity
        if field == 0:
            return 0
        rounded = round_to_even(fraction, 23 - self.beta)
        carry = rounded >> self.beta
        return self.from_linear(sign, field - 127 + carry, 0 if carry else rounded, register_bits=8)

    def from_accumulator(self, accumulator: int, bits: int, lsb: int) -> int:
        """Section 6."""
        magnitude = abs(accumulator) % (1 << (bits - 1))
        if magnitude == 0:
            return 0
        leading = magnitude.bit_length() - 1
        rounded = round(Fraction(magnitude - (1 << leading), 1 << leading) * 2**self.beta)
        carry = rounded >> self.beta
        return self.from_linear(int(accumulator < 0), leading + lsb + carry, 0 if carry else rounded)


def posit_from_real(value: Fraction, bits: int, exponent_field_bits: int) -> int:
    """Section 9, float to posit, on the tapered bit string; too small becomes 0, too large the largest."""
    sign, magnitude = int(value < 0), abs(value)
    greatest = (bits - 2) << exponent_field_bits
    if magnitude < power_of_two(-greatest):
        return 0
    if magnitude >= power_of_two(greatest):
        return sign << (bits - 1) | (1 << (bits - 1)) - 1
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    exponent -= power_of_two(exponent) > magnitude
    fraction = magnitude / power_of_two(exponent) - 1
    width = fraction.denominator.bit_length() - 1  # a dyadic fraction ends
    string = format(fraction.numerator, f"0{width}b") if width else ""
    return tapered_code(sign, exponent, string, bits, exponent_field_bits)


def posit_from_quire(quire: int, bits: int, exponent_field_bits: int) -> int:
    """Section 9, quire to posit, without overflow flags."""
    greatest = (bits - 2) << exponent_field_bits
    if quire == -(1 << (3 * greatest + 1)):
        return (1 << bits) - 1
    value = quire * power_of_two(-2 * greatest)
    if abs(value) < power_of_two(-greatest):
        return int(quire < 0) << (bits - 1) | 1 if 2 * abs(value) > power_of_two(-greatest) else 0
    return posit_from_real(value, bits, exponent_field_bits)
