"""Paired differences: the interval by hand, and whether it covers the truth as often as it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.foundation.paired import paired_difference, paired_outcomes, standard_error_points


def test_the_interval_by_hand() -> None:
    # 8 gained, 3 lost of 100: middle 5 / 102, variance (8.5 + 3.5 - 25 / 102) / 102**2.
    difference = paired_difference(8, 3, 100)
    assert (difference.points, difference.images) == (5, 100)
    assert difference.low == pytest.approx(100 * (5 / 102 - 1.959964 * 11.754902**0.5 / 102))
    assert difference.high == pytest.approx(100 * (5 / 102 + 1.959964 * 11.754902**0.5 / 102))
    assert difference.margin == pytest.approx((difference.high - difference.low) / 2)


def test_two_classifiers_that_never_differ_may_still_differ_elsewhere() -> None:
    difference = paired_difference(0, 0, 1000)
    assert difference.points == 0
    assert difference.high == -difference.low == pytest.approx(100 * 1.959964 / 1002)


@pytest.mark.parametrize(
    ("gained", "lost", "exceeds"), [(20, 5, True), (5, 20, True), (12, 10, False), (3, 0, False)]
)
def test_what_exceeds_the_noise_has_an_interval_without_zero(gained: int, lost: int, exceeds: bool) -> None:
    difference = paired_difference(gained, lost, 500)
    assert (difference.low > 0 or difference.high < 0) is exceeds


@given(st.integers(1, 60), st.data())
def test_intervals_hold_the_difference_and_stay_within_a_hundred_points(
    images: int, data: st.DataObject
) -> None:
    gained = data.draw(st.integers(0, images))
    lost = data.draw(st.integers(0, images - gained))
    difference, reverse = paired_difference(gained, lost, images), paired_difference(lost, gained, images)
    assert -100 <= difference.low <= difference.points <= difference.high <= 100
    assert (reverse.low, reverse.high) == pytest.approx((-difference.high, -difference.low))


@pytest.mark.parametrize(("more", "less"), [(0.05, 0.05), (0.08, 0.02), (0.01, 0.01)])
def test_the_interval_covers_the_truth_as_often_as_it_says(more: float, less: float) -> None:
    random = np.random.default_rng(1)
    drawn = random.multinomial(500, [more, less, 1 - more - less], size=4000)
    covered = [
        each.low <= 100 * (more - less) <= each.high
        for each in (paired_difference(gained, lost, 500) for gained, lost, _ in drawn.tolist())
    ]
    assert 0.94 < np.mean(covered) < 0.98


def test_outcomes_are_counted_image_by_image() -> None:
    right = [True, True, False, True, False]
    beside = [True, False, True, False, False]
    assert paired_outcomes(right, beside) == paired_difference(2, 1, 5)
    with pytest.raises(ValueError, match="shorter"):
        paired_outcomes(right, beside[:-1])


def test_the_standard_error_of_an_accuracy() -> None:
    assert standard_error_points(0.9, 100) == pytest.approx(3)
    assert standard_error_points(1.0, 100) == 0
