"""Does `output: nearest` round an accumulator of any width once?"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.numerics import FixedAccumulator, Format, Mac, MacSpec, get_format, get_mac
from tests.numbers.format_cases import nearest_formats
from tests.reference.mac import two_to

FLOATS = {"fp16": (11, -14, 15), "bf16": (8, -126, 127), "tf32": (11, -126, 127), "fp32": (24, -126, 127),
          "fp64": (53, -1022, 1023)}  # fmt: skip
"""Precision, least and greatest exponent, as IEEE 754 has them."""


def nearest_float(value: Fraction, precision: int, least: int, greatest: int) -> float:
    """The value that IEEE 754 rounds to, by Fractions."""
    if value == 0:
        return 0.0
    magnitude = abs(value)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    exponent -= two_to(exponent) > magnitude
    step = two_to(max(exponent, least) - precision + 1)
    rounded = round(magnitude / step) * step  # Python rounds halves to even
    infinite = rounded >= two_to(greatest + 1)
    return (float("inf") if infinite else float(rounded)) * (-1 if value < 0 else 1)


@st.composite
def accumulators(draw: st.DrawFn) -> tuple[int, int, list[int]]:
    """(bits, lsb, sums): half of the sums are beside ties of formats of few bits."""
    bits = draw(st.sampled_from([32, 48, 54, 60, 63, 64, 65, 80, 100, 127, 128]))
    lsb = draw(st.sampled_from([0, -5, -24, -48, -60, 3, 20]))
    highest = (1 << (bits - 1)) - 1
    sums = []
    for _ in range(draw(st.integers(1, 6))):
        size = draw(st.integers(1, bits - 1))
        number = draw(st.integers(0, (1 << size) - 1))
        if draw(st.booleans()):
            few = draw(st.integers(0, 1 << draw(st.integers(1, 30))))
            number = (few << draw(st.integers(0, size))) + draw(st.sampled_from([-1, 0, 1]))
        number = min(abs(number), highest)
        sums.append(-number if draw(st.booleans()) else number)
    return bits, lsb, sums


def wide_mac(bits: int, lsb: int) -> Mac:
    """Any accumulator at all: its products are never used."""
    return get_mac(
        MacSpec(
            name="",
            activation="uint2",
            weight="uint2",
            product="exact",
            accumulator=FixedAccumulator(bits, lsb, "sticky"),  # the one that products may not fit
        )
    )


@pytest.mark.parametrize("spec", FLOATS)
@settings(max_examples=120, deadline=None)
@given(drawn=accumulators())
def test_floats_of_any_accumulator_are_rounded_once(spec: str, drawn: tuple[int, int, list[int]]) -> None:
    bits, lsb, sums = drawn
    mac, fmt = wide_mac(bits, lsb), get_format(spec)
    codes = mac.to_output(np.array(sums, mac.accumulator_dtype), fmt)
    expected = [nearest_float(Fraction(number) * two_to(lsb), *FLOATS[spec]) for number in sums]
    assert fmt.decode(codes).tolist() == expected


@pytest.mark.parametrize(
    "spec", ["int8", "uint8", "fix8.5", "e4m3", "e2m1", "ue4m4b9", "e4m3fn", "e5m2sat", "e5m2ieee"]
)
@settings(max_examples=120, deadline=None)
@given(drawn=accumulators())
def test_narrow_formats_of_any_accumulator_are_rounded_once(
    spec: str, drawn: tuple[int, int, list[int]]
) -> None:
    bits, lsb, sums = drawn
    mac = wide_mac(bits, lsb)
    case = nearest_formats()[spec]
    codes = mac.to_output(np.array(sums, mac.accumulator_dtype), spec).tolist()
    assert codes == [case.nearest(Fraction(number) * two_to(lsb)) for number in sums]


@pytest.mark.parametrize(
    "choice",
    [
        "fp16 x fp16",
        {"activation": "int16", "weight": "int16", "accumulator": {"kind": "fixed", "bits": 64, "lsb": 0}},
        "posit8.2 x posit8.2",
        "e5m2ieee x e5m2ieee",
    ],
)
def test_the_tie_that_float64_would_make_is_none(choice: Any) -> None:
    """A sum of 62 bits whose last one decides: float64 drops it, and sees a tie where there is none."""
    mac = get_mac(choice)
    fmt: Format = get_format("fp32")
    tie = (1 << 61) + (1 << 37)  # half a step of 2**38 above 2**61
    unit = 2.0**mac.accumulator_lsb
    sums = np.array([tie, tie + 1, tie - 1, -tie - 1], mac.accumulator_dtype)
    values = fmt.decode(mac.to_output(sums, fmt)) / unit
    step = 2.0**38
    assert values.tolist() == [2.0**61, 2.0**61 + step, 2.0**61, -(2.0**61) - step]


def test_int16_sums_in_64_bits_saturate_into_int16_after_one_rounding() -> None:
    mac = get_mac(
        {"activation": "fix16.15", "weight": "fix16.15", "accumulator": {"kind": "fixed", "bits": 64}}
    )
    half = 1 << 14  # of fix16.15's step, in units of 2**-30
    sums = np.array([half, half + 1, 3 * half, -half, -half - 1, (1 << 62) + 1, -(1 << 62) - 1])
    codes = mac.to_output(sums).view(np.int16)
    assert codes.tolist() == [0, 1, 2, 0, -1, 32767, -32768]


def test_flags_come_before_values() -> None:
    mac = get_mac("fp16 x fp16")
    sums = np.array([1 << 80, 5, 5, 5], object)
    codes = mac.to_output(sums, "fp32", is_infinite=[True, False, False, False], overflow=[0, 1, -1, 0])
    fmt = get_format("fp32")
    assert fmt.decode(codes).tolist() == [np.inf, fmt.largest, -fmt.largest, 5 * 2.0**-48]


@pytest.mark.parametrize("lsb", [-1022, -1000, -500, 500, 896])
def test_accumulators_at_the_ends_of_float64_have_their_values(lsb: int) -> None:
    mac = wide_mac(128, lsb)
    highest = (1 << 127) - 1
    sums = np.array([1, -1, highest, -highest, 0], object)
    assert mac.to_real(sums).tolist() == [
        2.0**lsb,
        -(2.0**lsb),
        2.0 ** (lsb + 127),
        -(2.0 ** (lsb + 127)),
        0.0,
    ]
    largest = get_format("e4m3").largest
    decoded = get_format("e4m3").decode(mac.to_output(sums, "e4m3"))
    expected = [0.0, 0.0, 0.0, 0.0, 0.0] if lsb < 0 and lsb + 127 < -12 else [largest, -largest] * 2 + [0.0]
    assert decoded.tolist() == expected
