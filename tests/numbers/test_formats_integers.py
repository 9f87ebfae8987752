"""Do integers of any size round to the right code, in whatever array they come?"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.foundation import UserError
from simulator.numerics import Format, get_format
from simulator.numerics.array_types import code_dtype
from simulator.numerics.formats.codes import as_reals, integers_as_reals
from tests.reference import formats as reference

FORMATS = [
    "int16", "uint8", "fix16.2", "e4m3", "e5m10", "ue4m4b-20", "e10m5", "e4m3fn", "e5m2sat", "e5m2ieee",
    "fp16", "bf16", "tf32", "fp32", "fp64",
]  # fmt: skip


def nearest(fmt: Format, number: int) -> float:
    """The value that a format rounds an integer to, by Fractions between two neighbouring codes."""
    low, high = 0, int(fmt.encode(fmt.largest))
    magnitude = Fraction(abs(number))
    if number < 0 and fmt.family in ("integer", "fixed point"):
        magnitude = min(magnitude, Fraction(-fmt.lowest))
        step = Fraction(fmt.smallest_step)
        return -float(round(magnitude / step) * step)
    if number < 0 and not fmt.signed:
        return 0.0
    sign = -1 if number < 0 else 1
    largest = Fraction(fmt.largest)
    if magnitude > largest:
        last = largest - Fraction(float(fmt.decode(high - 1)))
        past = fmt.overflows_to_infinity and magnitude >= largest + last / 2
        return sign * (float("inf") if past else fmt.largest)
    while high - low > 1:  # positive codes are in the order of their values
        middle = (low + high) // 2
        low, high = (middle, high) if Fraction(float(fmt.decode(middle))) <= magnitude else (low, middle)
    below, above = (Fraction(float(fmt.decode(code))) for code in (low, high))
    if magnitude - below == above - magnitude:
        return sign * float(below if low % 2 == 0 else above)
    return sign * float(below if magnitude - below < above - magnitude else above)


sizes = st.sampled_from([8, 20, 53, 54, 60, 63, 64, 65, 100, 128, 500, 1023, 1024, 1025, 3000])


@st.composite
def integers(draw: st.DrawFn) -> int:
    """Any size; half of them next to a number of few bits, where ties are."""
    size = draw(sizes)
    number = draw(st.integers(0, 2**size))
    if draw(st.booleans()):
        few = draw(st.integers(0, 2 ** draw(st.integers(1, 54))))
        number = (few << draw(st.integers(0, size))) + draw(st.sampled_from([-1, 0, 1]))
    return -number if draw(st.booleans()) else number


@pytest.mark.parametrize("spec", FORMATS)
@settings(max_examples=150, deadline=None)
@given(numbers=st.lists(integers(), min_size=1, max_size=8))
def test_an_integer_of_any_size_is_rounded_once(spec: str, numbers: list[int]) -> None:
    fmt = get_format(spec)
    expected = [nearest(fmt, number) for number in numbers]
    assert fmt.decode(fmt.encode(numbers)).tolist() == expected
    assert fmt.decode(fmt.encode(np.array(numbers, object))).tolist() == expected
    for dtype in (np.int64, np.uint64, np.int32):
        limits = np.iinfo(dtype)
        if all(limits.min <= number <= limits.max for number in numbers):
            assert fmt.decode(fmt.encode(np.array(numbers, dtype))).tolist() == expected


@settings(max_examples=200, deadline=None)
@given(integers(), st.sampled_from([(8, 1), (16, 1), (16, 2), (16, 4), (9, 0)]))
def test_posits_round_integers_on_the_tapered_string(number: int, sizes: tuple[int, int]) -> None:
    bits, s = sizes
    code = get_format(f"posit{bits}.{s}").encode([number]).tolist()
    assert code == [reference.posit_from_real(Fraction(number), bits, s)]


def test_integers_past_float64_saturate_and_are_no_infinity() -> None:
    huge = [10**400, -(10**400)]
    assert get_format("posit8.1").encode(huge).tolist() == [0x7F, 0xFF]
    assert get_format("int8").encode(huge).tolist() == [0x7F, 0x80]
    assert get_format("fp16").encode(huge).tolist() == [0x7C00, 0xFC00]
    assert get_format("log8.1").encode(huge).tolist() == [0x80, 0x80]  # from 2**128 on all is infinity


def test_lists_that_mix_integers_and_floats_are_taken_one_by_one() -> None:
    """2**63 + 2**39 + 1 is past the tie between two fp32 numbers, which float64 cannot tell from it."""
    fmt, tie = get_format("fp32"), 2**63 + 2**39

    def rounded(values: Any) -> Any:
        return fmt.decode(fmt.encode(values)).tolist()

    below, above = 2.0**63, 2.0**63 + 2**40
    assert rounded([tie, tie + 1, -(tie + 1)]) == [below, above, -above]
    assert rounded([tie + 1, 0.5]) == [above, 0.5]
    assert rounded([[2**70, True], [1.5, np.float32(2.5)]]) == [[2.0**70, 1.0], [1.5, 2.5]]
    assert rounded(2**70) == 2.0**70
    assert rounded([1e30, -1e30]) == [float(np.float32(1e30)), float(np.float32(-1e30))]


@pytest.mark.parametrize(
    "values", [[None, 2**70], ["1", 2**70], [Fraction(1, 3)], [2**70, 1j], np.array([np.longdouble(1)])]
)
def test_what_is_no_real_number_is_refused(values: Any) -> None:
    with pytest.raises(UserError, match="must be real numbers"):
        get_format("int8").encode(values)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, object])
@pytest.mark.parametrize("exponent", [54, 55, 58, 60, 62])
def test_bits_that_float64_drops_decide_ties_of_integer_arrays(dtype: Any, exponent: int) -> None:
    """Half of fp32's step above 2**exponent: whatever is above that, down to the lowest bit, goes up."""
    fmt, power, half = get_format("fp32"), 1 << exponent, 1 << (exponent - 24)
    for bit in (1, 2, 4, 64, 512, 1024, 2048):
        numbers = np.array([power + half - bit, power + half, power + half + bit], dtype)
        below, above = float(power), float(power + 2 * half)
        assert fmt.decode(fmt.encode(numbers)).tolist() == [below, below, above]
        if dtype is not np.uint64:
            assert fmt.decode(fmt.encode(-numbers)).tolist() == [-below, -below, -above]


@pytest.mark.parametrize(
    ("bits", "itemsize"), [(2, 1), (8, 1), (9, 2), (16, 2), (17, 4), (32, 4), (33, 8), (64, 8)]
)
def test_codes_have_the_smallest_dtype_that_holds_them(bits: int, itemsize: int) -> None:
    assert (code_dtype(bits).kind, code_dtype(bits).itemsize) == ("u", itemsize)


def test_only_integers_below_two_to_the_53_are_exact() -> None:
    # 2**53 + 1 lies between 2**53 and 2**53 + 2; a lower last bit of 1 must stay to be seen by one rounding.
    integers = np.array([2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**62 + 1])
    reals = integers_as_reals(integers, nearest=False)
    assert reals.tolist() == [2.0**53 - 1, 2.0**53, 2.0**53 + 2048, -(2.0**53) - 2048, 2.0**62 + 2048]
    assert integers_as_reals(integers, nearest=True).tolist() == [float(each) for each in integers.tolist()]


@pytest.mark.parametrize(
    ("given", "kept"), [("float16", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_floats_lose_nothing_on_their_way_to_a_format(given: str, kept: str) -> None:
    values = np.array([1 + 2.0**-10, -(2.0**-24), 65504.0], given)
    reals = as_reals(values)
    assert reals.dtype == kept
    assert reals.tolist() == [1 + 2.0**-10, -(2.0**-24), 65504.0]
    # 2**-40 past a tie of fp16: as a float32 it would be the tie.
    past = np.array([1 + 2.0**-11 + 2.0**-40])
    assert get_format("fp16").decode(get_format("fp16").encode(past)).tolist() == [1 + 2.0**-10]
