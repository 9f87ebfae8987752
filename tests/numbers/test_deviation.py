"""Figures of an output against float32, at the ends of what floats hold."""

from __future__ import annotations

from math import inf, log10

import numpy as np
import pytest

from simulator.inference.metrics import difference


@pytest.mark.parametrize("length", [2, 100])
def test_figures_of_ordinary_values(length: int) -> None:
    """3 and 4 beside 3 and 2: a power of 25 against 4 of noise, the cosine of 17 over 5 times sqrt 13."""
    reference = np.zeros(length, np.float32)
    values = np.zeros(length, np.float32)
    reference[:2], values[:2] = (3, 4), (3, 2)
    figures = difference(reference, values).summary()
    assert figures.sqnr_db == pytest.approx(10 * log10(25 / 4))
    assert figures.cosine == pytest.approx(17 / (5 * 13**0.5))
    assert figures.largest_error == 2


@pytest.mark.parametrize(
    ("reference", "value", "sqnr_db", "largest_error"),
    [
        (inf, 1.0, None, None),  # float32 overflows
        (1e308, -1e308, None, None),  # the error overflows
        (1e200, 1e200 * (1 - 1e-10), None, pytest.approx(1e190)),  # powers overflow
        (1e-160, 1e100, None, pytest.approx(1e100)),  # a ratio of 10^-520, which counts as 0
        (2.0**500, 2.0**500 - 2.0**450, pytest.approx(1000 * log10(2)), 2.0**450),
    ],
)
def test_what_floats_do_not_hold_is_left_out(
    reference: float, value: float, sqnr_db: float | None, largest_error: float | None
) -> None:
    figures = difference(np.array([reference]), np.array([value])).summary()
    assert (figures.sqnr_db, figures.largest_error) == (sqnr_db, largest_error)


def test_infinite_values_count_as_zeros_that_are_wrong() -> None:
    figures = difference(np.array([2.0, 1.0]), np.array([inf, 1.0])).summary()
    assert figures.largest_error == 2
    assert figures.sqnr_db == pytest.approx(10 * log10(5 / 4))
