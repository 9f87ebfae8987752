"""Sums that leave their accumulator are counted one by one, as Python integers and fractions count them."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest

from simulator.inference.overflow_counts import SumsOutside, outside_warnings, overflowed_sums
from simulator.numerics import FixedAccumulator, Mac, get_mac, multiply


def mac_with(activation: str, weight: str, **accumulator: Any) -> Mac:
    return get_mac({"activation": activation, "weight": weight, "accumulator": accumulator})


def counted(mac: Mac, a: np.ndarray, w: np.ndarray) -> int:
    sums = np.stack([multiply(mac, x, y).accumulators for x, y in zip(a, w, strict=True)])
    return overflowed_sums(mac, a, w, sums)


def by_integers(mac: Mac, a: np.ndarray, w: np.ndarray) -> int:
    """Sums of exact products that a fixed accumulator cannot hold, one product after the other."""
    fixed = mac.accumulator
    assert isinstance(fixed, FixedAccumulator)
    low, high = -(2 ** (fixed.bits - 1)), 2 ** (fixed.bits - 1) - 1
    unit = Fraction(2) ** fixed.lsb
    count = 0
    for left, right in zip(mac.activation.decode(a), mac.weight.decode(w), strict=True):
        for row in left:
            for column in right.T:
                exact = saturating = 0
                seen_outside = False
                for x, y in zip(row.tolist(), column.tolist(), strict=True):
                    step = floor(Fraction(x) * Fraction(y) / unit)
                    exact += step
                    saturating = min(max(saturating + step, low), high)
                    seen_outside |= not (low <= exact <= high and low <= step <= high)
                if fixed.overflow == "wrap":
                    count += not low <= exact <= high
                elif fixed.overflow == "saturate":
                    count += saturating != exact
                else:
                    count += seen_outside
    return count


@pytest.mark.parametrize("overflow", ["wrap", "saturate", "sticky"])
@pytest.mark.parametrize(
    ("activation", "weight", "bits", "lsb"),
    [
        ("int8", "int8", 16, 0),
        ("int4", "int8", 12, 0),
        ("uint8", "int8", 17, 0),
        ("e4m3", "e4m3", 37, -18),
        ("fix8.5", "e2m1", 10, -4),
        ("posit8.0", "posit8.0", 26, -12),
        ("int16", "int16", 32, 0),
    ],
)
def test_counts_equal_exact_arithmetic(
    activation: str, weight: str, bits: int, lsb: int, overflow: str
) -> None:
    mac = mac_with(activation, weight, kind="fixed", bits=bits, lsb=lsb, overflow=overflow)
    random = np.random.default_rng(bits)
    # Groups of two: one of large operands, of which many sums leave, and one of small ones.
    scales = np.array([0.7, 0.02])[:, None, None]
    a = mac.activation.encode(random.normal(size=(2, 12, 40)) * mac.activation.largest * scales)
    w = mac.weight.encode(random.normal(size=(2, 40, 9)) * mac.weight.largest * scales)
    expected = by_integers(mac, a, w)
    assert counted(mac, a, w) == expected
    assert 0 < by_integers(mac, a[:1], w[:1]) <= expected < 2 * 12 * 9


@pytest.mark.parametrize(("overflow", "expected"), [("wrap", 0), ("sticky", 1), ("saturate", 1)])
def test_leaving_and_coming_back_matters_where_it_is_remembered(overflow: str, expected: int) -> None:
    # 49, 98, 147, 98: out of 8 bits (127) and back, right modulo 256, but not where 127 was kept.
    mac = mac_with("int4", "int4", kind="fixed", bits=8, lsb=0, overflow=overflow)
    a, w = np.array([[[7, 7, 7, 7]]], np.uint8), np.array([[[7], [7], [7], [9]]], np.uint8)  # 9 is -7
    assert counted(mac, a, w) == expected


@pytest.mark.parametrize("terms", [126, 127, 128])
@pytest.mark.parametrize("overflow", ["wrap", "saturate", "sticky"])
def test_the_last_value_that_fits_is_no_overflow(terms: int, overflow: str) -> None:
    mac = mac_with("int4", "int4", kind="fixed", bits=8, lsb=0, overflow=overflow)
    a, w = np.ones((1, 1, terms), np.uint8), np.ones((1, terms, 1), np.uint8)
    assert counted(mac, a, w) == (terms > 127)
    # -128 fits, -129 does not.
    minus = np.full((1, terms + 1, 1), 15, np.uint8)
    assert counted(mac, np.ones((1, 1, terms + 1), np.uint8), minus) == (terms + 1 > 128)


def test_bits_that_are_cut_off_add_up() -> None:
    # -1/4 is cut off to -1 each time: 33 products give -33, past -32, where the exact sum is -8.25.
    mac = mac_with("fix4.1", "fix4.1", kind="fixed", bits=6, lsb=0)
    a, w = np.ones((1, 1, 33), np.uint8), np.full((1, 33, 1), 15, np.uint8)
    assert counted(mac, a, w) == 1
    assert counted(mac, a[:, :, :32], w[:, :32]) == 0


def test_a_log_product_past_the_top_is_lost() -> None:
    # elma8 holds 2**13: 128 x 64 is one too many and vanishes; 64 x 64 fits once, but not three times.
    mac = get_mac("elma8")

    def of(left: list[float], right: list[float]) -> int:
        return counted(mac, mac.activation.encode([[left]]), mac.weight.encode([[[x] for x in right]]))

    assert of([128, 1], [128, 1]) == 1
    assert of([64, 1], [64, 1]) == 0
    assert of([64, 64, 64], [64, 64, 64]) == 1
    assert of([64, -64, 1], [64, 64, 1]) == 0


def test_float_accumulators_that_became_infinite_are_counted() -> None:
    mac = get_mac("fp16")
    a = mac.activation.encode(np.array([[[200.0, 200.0], [200.0, -200.0], [np.inf, 1.0]]]))
    w = mac.weight.encode(np.array([[[200.0, 2.0], [200.0, 2.0]]]))
    # 80000 is past 65504; 200 x 200 - 200 x 200 is not, nor 800; an infinite operand is no overflow.
    assert counted(mac, a, w) == 1


def test_float_accumulators_without_infinity_end_at_the_largest_value() -> None:
    mac = mac_with("e4m3", "e4m3", kind="float", format="e4m3")
    a = mac.activation.encode(np.array([[[20.0, 16.0], [20.0, 1.0]]]))
    w = mac.weight.encode(np.array([[[20.0], [16.0]]]))
    # 400 + 256 is past 480, 400 + 16 is not.
    assert counted(mac, a, w) == 1


def test_float_accumulators_that_saturate_though_they_have_infinity_end_at_the_largest_value() -> None:
    mac = mac_with("e5m2", "e5m2", kind="float", format="e5m2sat")
    a = mac.activation.encode(np.array([[[256.0, 128.0], [256.0, 1.0]]]))
    w = mac.weight.encode(np.array([[[128.0], [256.0]]]))
    # 32768 + 32768 is past 57344, 32768 + 256 is not.
    assert counted(mac, a, w) == 1
    sums = {"fc": SumsOutside(1, 2)}
    assert outside_warnings(sums, {"fc": mac}) == [
        f"fc: 1 of 2 sums left the accumulator of {mac.name} (saturate)"
    ]


@pytest.mark.parametrize("name", ["int8", "elma8", "posit8", "fp8", "bf16", "mixed8"])
def test_moderate_operands_leave_nothing(name: str) -> None:
    mac, random = get_mac(name), np.random.default_rng(3)
    a = mac.activation.encode(random.uniform(-1, 1, size=(2, 8, 64)))
    w = mac.weight.encode(random.uniform(-1, 1, size=(2, 64, 8)))
    assert counted(mac, a, w) == 0


def test_many_sums_are_counted_in_parts() -> None:
    mac = mac_with("int8", "int8", kind="fixed", bits=16, lsb=0)
    a = np.full((1, 70, 600), 100, np.uint8)
    w = np.full((1, 600, 50), 100, np.uint8)
    assert counted(mac, a, w) == 70 * 50


def test_warnings_name_the_worst_layer_of_each_mac() -> None:
    macs = {
        "conv1": get_mac("int8"),
        "conv2": get_mac("int8"),
        "fc": get_mac("fp16"),
        "head": get_mac("int8"),
    }
    sums = {
        "conv1": SumsOutside(3, 1000),
        "conv2": SumsOutside(40, 2000),
        "fc": SumsOutside(7, 50),
        "head": SumsOutside(0, 10),
    }
    assert outside_warnings(sums, macs) == [
        "conv2 and 1 other layer: 43 of 3,000 sums left the accumulator of int8 (wrap)",
        "fc: 7 of 50 sums left the accumulator of fp16 (infinity)",
    ]
    assert outside_warnings({"head": SumsOutside(0, 10)}, macs) == []
    three = {name: SumsOutside(1, 1000) for name in ("conv1", "conv2", "head")}
    assert outside_warnings(three, macs) == [
        "conv1 and 2 other layers: 3 of 3,000 sums left the accumulator of int8 (wrap)"
    ]
