"""Is one step of an accumulator right: ends of two's complement, and floats rounded once?"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.numerics import FixedAccumulator, get_format
from simulator.numerics.float_rounding import FloatRounding, add_to_odd

WIDTHS = (8, 63, 64, 80)


def integers(values: list[int], bits: int) -> np.ndarray:
    return np.array(values, np.int64 if bits <= 64 else object)


@pytest.mark.parametrize("bits", WIDTHS)
def test_a_step_past_an_end_wraps_or_stays_there(bits: int) -> None:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    sums, steps = (
        integers([high, high, low, low, high, 5, 0], bits),
        integers([1, high, -1, low, low, -7, 0], bits),
    )
    wrapped = [low, -2, high, 0, -1, -2, 0]
    saturated = [high, high, low, low, -1, -2, 0]
    assert FixedAccumulator(bits, 0, "wrap").add(sums, steps).tolist() == wrapped
    assert FixedAccumulator(bits, 0, "sticky").add(sums, steps).tolist() == wrapped
    assert FixedAccumulator(bits, 0, "saturate").add(sums, steps).tolist() == saturated
    assert FixedAccumulator(bits, 0, "sticky").sign_of_overflow(sums, steps).tolist() == [
        1,
        1,
        -1,
        -1,
        0,
        0,
        0,
    ]


def test_an_increment_that_is_too_wide_itself_overflows_in_its_own_direction() -> None:
    # 300 wraps to 44, and 100 + 44 is past the end; -300 wraps to -44, and 100 - 44 is not.
    sums, steps = np.array([100, -100, 0, 100, 0]), np.array([300, -300, 128, -300, -129])
    assert FixedAccumulator(8, 0, "sticky").sign_of_overflow(sums, steps).tolist() == [1, -1, 1, -1, -1]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("fp16", (11, -14, 65504.0, True)),
        ("bf16", (8, -126, None, True)),
        ("fp32", (24, -126, float(np.finfo(np.float32).max), True)),
        ("e4m3fn", (4, -6, 448.0, False)),
        ("e6m9", (10, -30, None, False)),
    ],
)
def test_how_formats_round(spec: str, expected: tuple[int, int, float | None, bool]) -> None:
    fmt = get_format(spec)
    rounding = FloatRounding.of(fmt, flush_subnormals=False)
    precision, least, largest, infinite = expected
    assert (rounding.precision, rounding.least_exponent) == (precision, least)
    assert rounding.largest == (fmt.largest if largest is None else largest)
    assert rounding.overflow_value == (np.inf if infinite else rounding.largest)
    # float64 has the exponent field 1023 for 2**0.
    assert rounding.kernel_limits == ((1023 + least) * 2**52, 0.0)
    flushing = FloatRounding.of(fmt, flush_subnormals=True)
    assert flushing.kernel_limits == (0, float(Fraction(2) ** least))


def test_rounding_to_half_precision_by_hand() -> None:
    step = 2.0**-24  # of subnormals
    values = np.array(
        [1 + 2.0**-11, 1 + 3 * 2.0**-11, 65519.0, 65520.0, -65520.0, 1.5 * step, 0.5 * step, -step / 2]
    )
    rounding = FloatRounding.of(get_format("fp16"), flush_subnormals=False)
    expected = [1, 1 + 2.0**-9, 65504, np.inf, -np.inf, 2 * step, 0, 0]
    assert rounding.round(values).tolist() == expected
    assert np.signbit(rounding.round(values)).tolist() == [False] * 4 + [True, False, False, True]
    special = rounding.round(np.array([np.inf, -np.inf, np.nan]))
    assert special[:2].tolist() == [np.inf, -np.inf]
    assert np.isnan(special[2])


def test_subnormal_sums_are_flushed_to_zeros_of_their_sign() -> None:
    normal = 2.0**-14
    values = np.array([normal, -normal, normal * (1 - 2.0**-10), -normal / 2, normal * (1 - 2.0**-12), 3.0])
    flushing = FloatRounding.of(get_format("fp16"), flush_subnormals=True)
    found = flushing.round(values)
    # The last but one is rounded to 11 bits first, which makes it normal.
    assert found.tolist() == [normal, -normal, 0, 0, normal, 3]
    assert np.signbit(found).tolist() == [False, True, False, True, False, False]
    assert flushing.flush(values, normal).tolist() == [normal, -normal, 0, 0, 0, 3]
    keeping = FloatRounding.of(get_format("fp16"), flush_subnormals=False)
    assert keeping.round(values[2:4]).tolist() == values[2:4].tolist()
    assert keeping.flush(values, normal) is values


def odd_sum(x: float, y: float) -> float:
    """The exact sum where it is a float64, else that of its two neighbours whose last bit is 1."""
    exact = Fraction(x) + Fraction(y)
    near = float(exact)
    if Fraction(near) == exact:
        return near
    other = float(np.nextafter(near, np.inf if Fraction(near) < exact else -np.inf))
    return next(each for each in (near, other) if np.float64(each).view(np.int64) & 1)


@given(
    st.tuples(*[st.floats(-4, 4, allow_subnormal=False)] * 2),
    st.integers(-70, 70),
)
def test_inexact_sums_have_an_odd_last_bit(pair: tuple[float, float], exponent: int) -> None:
    x, y = pair[0], pair[1] * 2.0**exponent
    assert add_to_odd(np.array([x]), np.array([y]))[0] == odd_sum(x, y)


def test_sums_rounded_to_odd_by_hand() -> None:
    tiny, step = 2.0**-60, 2.0**-53  # the step above 0.5; below it is half of this
    x = np.array([0.5, 0.5, -0.5, -0.5, 0.5 + 2 * step, 1.0, 3.0])
    y = np.array([tiny, -tiny, tiny, -tiny, tiny, 1.0, -3.0])
    above, below = 0.5 + step, 0.5 - step / 2
    assert add_to_odd(x, y).tolist() == [above, below, -below, -above, 0.5 + 3 * step, 2, 0]


def test_a_float_step_rounds_once_and_keeps_what_is_not_finite() -> None:
    rounding = FloatRounding.of(get_format("fp16"), flush_subnormals=False)
    # 1 + 2**-11 is a tie and goes to 1; 2**-60 more is past the tie. float64 alone would not see it.
    sums = np.array([1.0, 1 + 2.0**-11, np.inf, np.inf, 65504.0, -65504.0])
    products = np.array([2.0**-11, 2.0**-60, -1.0, -np.inf, 16.0, -15.0])
    found = rounding.step(sums, products)
    assert np.isnan(found[3])
    assert np.delete(found, 3).tolist() == [1, 1 + 2.0**-10, np.inf, np.inf, -65504]
