"""Is count x unit price x factor the whole femtojoules that the three numbers say, at any size?"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.foundation.femtojoules import decimal_pj, femtojoules, formed_fj, in_pj

EXACT = Context(prec=2000, Emin=-10_000, Emax=10_000)


def rounded_product(*texts: str) -> int:
    """The product of decimal texts times 1000, all digits kept until it is rounded once, half to even."""
    product = Decimal(1000)
    for text in texts:
        product = EXACT.multiply(product, Decimal(text))
    return int(product.to_integral_value(rounding=ROUND_HALF_EVEN, context=EXACT))


@pytest.mark.parametrize(
    ("count", "unit_pj", "factor", "energy_fj"),
    [
        (1000, 0.69, 1.0, 690_000),
        (31_250_000_000_000, 0.69, 1.0, 21_562_500_000_000_000),
        (2**53 + 1, 1.0, 1.0, 9_007_199_254_740_993_000),  # no float holds the count
        (10**17, 0.1246, 1.0, 12_460_000_000_000_000_000),
        (10**17 - 1, 0.1246, 0.5, 6_229_999_999_999_999_938),  # 6.23e18 less 62.3
        (10**17 - 1, 64.0, 1.0, 6_399_999_999_999_999_936_000),  # beyond 64 bits
        (1, 0.0005, 1.0, 0),  # halves go to the even neighbour
        (3, 0.0005, 1.0, 2),
        (5, 0.0005, 1.0, 2),
        (7, 0.0005, 1.0, 4),
        (-3, 0.0005, 1.0, -2),
        (3, 0.001, 0.5, 2),
        (-1000, 0.69, 1.0, -690_000),
        (1.5, 0.25, 1.0, 375),
        (0, 0.69, 1.0, 0),
        (10**6, 0.0, 1.0, 0),
        (10**6, 0.69, 0.0, 0),
    ],
)
def test_products_worked_by_hand(count: float, unit_pj: float, factor: float, energy_fj: int) -> None:
    assert formed_fj(count, unit_pj, factor) == energy_fj


counts = st.integers(-(10**18), 10**18) | st.integers(0, 10**6) | st.floats(0, 1e18) | st.floats(0, 1e3)
unit_prices = st.floats(0, 1e3) | st.floats(0, 1e-3) | st.integers(0, 10**6).map(lambda fj: fj / 1e4)
factors = st.just(1.0) | st.just(0.5) | st.floats(0, 8)


@given(count=counts, unit_pj=unit_prices, factor=factors)
@example(count=5e-324, unit_pj=1e308, factor=1e300)
@example(count=10**18, unit_pj=5e-324, factor=1.0)
@example(count=1e-200, unit_pj=1e-150, factor=1e308)
@example(count=2**50, unit_pj=0.0005, factor=1.0)
@settings(max_examples=1000)
def test_the_product_is_that_of_the_numbers_as_they_are_written(
    count: float, unit_pj: float, factor: float
) -> None:
    assert formed_fj(count, unit_pj, factor) == rounded_product(repr(count), repr(unit_pj), repr(factor))


@given(
    thousandths=st.integers(0, 10**15),
    count=st.integers(1, 10**6),
    above=st.integers(-1, 1),
)
def test_next_to_a_half_the_nearer_integer_is_taken(thousandths: int, count: int, above: int) -> None:
    """A price of some fJ and a half, and its neighbours among floats, times an odd count."""
    text = f"{thousandths // 1000}.{thousandths % 1000:03d}5"
    price = float(text) * (1 + above * 2.0**-52)
    odd = 2 * count + 1
    assert formed_fj(odd, price) == rounded_product(str(odd), repr(price))


@pytest.mark.parametrize(
    "numbers", [(1, float("nan"), 1.0), (1, float("inf"), 1.0), (float("nan"), 1.0, 1.0)]
)
def test_what_is_no_number_is_refused(numbers: tuple[float, float, float]) -> None:
    with pytest.raises((ValueError, OverflowError)):
        formed_fj(*numbers)


@given(st.integers(-(2**43) * 1000 + 1, 2**43 * 1000 - 1))
@example(2**43 * 1000 - 1)
@example(2**52 + 1)
def test_picojoules_give_their_femtojoules_back_below_2_to_the_43(energy_fj: int) -> None:
    energy_pj = in_pj(energy_fj)
    assert energy_pj is not None
    assert femtojoules(energy_pj) == energy_fj


@pytest.mark.parametrize(
    ("energy_fj", "text"),
    [
        (0, "0.000"),
        (7, "0.007"),
        (-7, "-0.007"),
        (1_234_567, "1,234.567"),
        (-1_234_567, "-1,234.567"),
        (2**64 + 1, "18,446,744,073,709,551.617"),
    ],
)
def test_picojoules_in_full_have_every_digit(energy_fj: int, text: str) -> None:
    assert decimal_pj(energy_fj) == text
