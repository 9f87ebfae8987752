"""FFP8: which format a tensor gets. Worked examples, and the best of every candidate tried on all values."""

from __future__ import annotations

from math import floor, inf, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from simulator.inference.distributions.distribution import Distribution
from simulator.inference.policies.ffp8 import candidates, choose_format
from simulator.numerics import Format, get_format

Reals = NDArray[np.float64]


def all_specs(largest: float, bits: int, most_exponent_bits: int = 8) -> set[str]:
    """Every candidate by its definition: widths, signs, and biases that put `largest` near the top."""
    specs = set()
    exponent_of_largest = floor(log2(largest))
    for exponent in range(1, min(bits - 1, most_exponent_bits) + 1):
        for sign in ("", "u"):
            fraction = bits - exponent - (sign == "")
            for bias in range(-200, 700):
                top = 2**exponent - 1 - bias  # the binade of the highest exponent field
                if abs(top - exponent_of_largest) <= 8:
                    specs.add(get_format(f"{sign}e{exponent}m{fraction}b{bias}").spec)
    return specs


def noise(values: Reals, spec: str) -> float:
    fmt = get_format(spec)
    return float(np.square(fmt.decode(fmt.encode(values)) - values).sum())


@pytest.mark.parametrize("bits", [3, 4, 6, 8])
@pytest.mark.parametrize("largest", [1.0, 1.5, 0.49, 300.0, 2.0**-30])
def test_every_width_bias_and_sign_is_a_candidate(bits: int, largest: float) -> None:
    found = [candidate.format.spec for family in candidates(largest, bits) for candidate in family]
    assert len(found) == len(set(found)) == 17 * 2 * (bits - 1)
    assert set(found) == all_specs(largest, bits)
    assert all(get_format(spec).bits == bits for spec in found)


def test_no_candidate_has_more_exponent_bits_than_allowed() -> None:
    specs = {c.format.spec for family in candidates(1.0, 8, most_exponent_bits=3) for c in family}
    assert specs == all_specs(1.0, 8, 3)
    wide = {c.exponent_bits for family in candidates(1.0, 12) for c in family}
    assert wide == set(range(1, 9))


# Each tensor is exact in its format, and in none that comes before it: fewer exponent bits do not span it.
WORKED = [
    # Steps of 1/8 below 2: one binade of subnormals, one of normals, no sign.
    ([k / 8 for k in range(16)], 4, "ue1m3b1"),
    # The same with a sign takes a bit more.
    ([k / 8 for k in range(-15, 16)], 5, "e1m3b1"),
    # Seven binades of powers of two with a sign: three exponent bits, no fraction; 64 is 2**(7 - 1).
    ([s * 2.0**k for k in range(7) for s in (-1, 1)], 4, "e3m0b1"),
    # Without a sign there is a fraction bit to spare: 1.5 * 2**6 fits, the seven binades start at 1.
    ([1.5 * 2.0**k for k in range(7)], 4, "ue3m1b1"),
    # Fifteen binades in five bits.
    ([-(2.0**k) for k in range(-20, -5)], 5, "e4m0b21"),
    # Three binades with four fractions each, down to subnormals of 1/4.
    ([0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 5, 6, 7], 4, "ue2m2b1"),
]


@pytest.mark.parametrize(("values", "bits", "expected"), WORKED)
def test_worked_examples(values: list[float], bits: int, expected: str) -> None:
    chosen = choose_format(np.array(values), bits)
    assert chosen.format == get_format(expected)
    assert chosen.sqnr_db == inf
    # The same tensor many times over takes the way of running totals, and gives the same.
    assert choose_format(np.repeat(np.array(values), 400), bits).format == get_format(expected)
    # A scale by a power of two moves the bias alone.
    shifted = choose_format(np.array(values) * 2.0**-5, bits).format
    described = get_format(expected).describe()
    assert shifted.describe()["largest"] == described["largest"] / 32  # type: ignore[operator]
    assert shifted.exponent_bits == get_format(expected).exponent_bits


def test_a_sign_is_dropped_where_negative_values_do_not_weigh() -> None:
    # -1/100 becomes 0 without a sign, an error of 1e-4; a sign would take the bit that steps of 1/8 need.
    values = np.array([k / 8 for k in range(16)] + [-0.01])
    chosen = choose_format(values, 4)
    assert chosen.format == get_format("ue1m3b1")
    assert chosen.sqnr_db == pytest.approx(10 * np.log10(np.square(values).sum() / 1e-4))


def test_the_signal_to_noise_ratio_is_that_of_all_values() -> None:
    # One bad value among 2**16 that sampling every 2nd, 4th, ... value would miss.
    values = np.tile([1.0, 1.5], 1 << 15)
    values[777] = 1.26
    chosen = choose_format(values, 3)
    error = noise(values, chosen.format.spec)
    assert 0 < error < 0.1
    assert chosen.sqnr_db == pytest.approx(10 * np.log10(np.square(values).sum() / error))


def test_zeros_and_single_values() -> None:
    zeros = choose_format(np.zeros(5), 8)
    assert (zeros.format, zeros.sqnr_db) == (get_format("ue1m7b1"), inf)
    assert choose_format(np.array([0.75]), 4).format == get_format("ue1m3b2")
    assert choose_format(np.array([-0.75]), 4).format == get_format("e1m2b2")


def test_only_near_ties_are_computed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running totals decide between 238 candidates; only near ties are rounded again."""
    rounded: list[str] = []
    whole = Distribution.squared_errors

    def counted(self: Distribution, fmt: Format, scales: Reals) -> Reals:
        rounded.append(fmt.spec)
        return whole(self, fmt, scales)

    monkeypatch.setattr(Distribution, "squared_errors", counted)
    choose_format(np.random.default_rng(1).normal(size=20000), 8)
    assert 1 <= len(rounded) <= 3


@pytest.mark.parametrize("name", ["normal", "relu", "wide", "outlier", "slightly negative", "tails"])
@pytest.mark.parametrize("bits", [3, 4, 6, 8])
@pytest.mark.parametrize("size", [30, 4096])
def test_the_choice_is_the_best_of_all(name: str, bits: int, size: int) -> None:
    random = np.random.default_rng(bits)
    values = {
        "normal": random.normal(size=size),
        "relu": np.maximum(random.normal(size=size), 0),
        "wide": np.exp2(random.uniform(-20, 3, size=size)) * random.choice([-1, 1], size=size),
        "outlier": np.append(random.normal(size=size - 1), 60.0),
        "slightly negative": np.maximum(random.normal(size=size), -0.02),
        "tails": random.standard_t(1.5, size=size),
    }[name]
    errors = {spec: noise(values, spec) for spec in all_specs(float(np.abs(values).max()), bits)}
    chosen = choose_format(values, bits)
    assert errors[chosen.format.spec] == pytest.approx(min(errors.values()), rel=1e-12)
    power = float(np.square(values).sum())
    assert chosen.sqnr_db == pytest.approx(10 * np.log10(power / min(errors.values())))


@given(
    arrays.arrays(np.float64, st.integers(1, 6), elements=st.floats(-8, 8).map(lambda x: round(4 * x) / 4)),
    st.sampled_from([3, 4, 5]),
)
def test_equal_errors_go_to_the_simplest_format(values: Reals, bits: int) -> None:
    if not values.any():
        return
    specs = all_specs(float(np.abs(values).max()), bits)
    errors = {spec: noise(values, spec) for spec in specs}
    least = [get_format(spec) for spec in specs if errors[spec] <= min(errors.values()) * (1 + 1e-12)]
    chosen = choose_format(values, bits).format
    assert chosen in least
    needed = bool((values < 0).any())
    rank = [(fmt.signed != needed, fmt.exponent_bits) for fmt in least]
    assert (chosen.signed != needed, chosen.exponent_bits) == min(rank)
    binade = floor(log2(np.abs(values).max()))

    def distance(largest: float) -> tuple[int, int]:
        offset = floor(log2(largest)) - binade
        return abs(offset), -offset

    alike = [fmt for fmt in least if (fmt.signed != needed, fmt.exponent_bits) == min(rank)]
    assert distance(chosen.largest) == min(distance(fmt.largest) for fmt in alike)
