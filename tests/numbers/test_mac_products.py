"""Is the product of every pair of codes right, and the accumulator after it?"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.numerics import FixedAccumulator, get_mac
from tests.reference import mac as reference
from tests.reference.recorded import recomputed

EIGHT_BIT = ["int8", "elma8", "posit8", "mixed8", "fp8"]
OTHER_EIGHT_BIT = ["ue4m4b9 x e3m4b5", "e5m2 x e5m2", "e2m3 x e4m3", "e4m3fn x e5m2ieee", "uint8 x int4"]


def fixed_reference(name: str) -> reference.Fixed:
    """The slow twin of a MAC with a fixed accumulator."""
    spec = get_mac(name).spec
    assert isinstance(spec.accumulator, FixedAccumulator)
    return reference.Fixed(
        spec.activation,
        spec.weight,
        spec.accumulator.bits,
        spec.accumulator.lsb,
        spec.accumulator.overflow,
        log=spec.product == "log",
    )


@pytest.mark.parametrize("name", EIGHT_BIT + OTHER_EIGHT_BIT)
def test_every_pair_of_codes_gives_the_reference_product(name: str) -> None:
    mac, slow = get_mac(name), fixed_reference(name)
    a = np.arange(1 << mac.activation.bits)
    w = np.arange(1 << mac.weight.bits)
    products = mac.product(a[:, None], w).tolist()
    infinite = mac.pair.has_special(a[:, None], w).tolist()
    for code_a in a.tolist():
        for code_w in w.tolist():
            increment, flag = slow.increment(code_a, code_w)
            assert products[code_a][code_w] == slow.wrap(increment), (code_a, code_w)
            assert infinite[code_a][code_w] == flag, (code_a, code_w)


@pytest.mark.parametrize("name", EIGHT_BIT)
def test_the_table_of_products_wraps_to_the_products(name: str) -> None:
    mac = get_mac(name)
    table = mac.product_table()
    spare = 64 - mac.accumulator_bits
    assert ((table << spare) >> spare == mac.product(np.arange(256)[:, None], np.arange(256))).all()


def test_fp8_in_fp16_gives_the_reference_for_every_pair_of_codes() -> None:
    mac = get_mac("fp8_fp16")
    slow = reference.Float("e4m3fn", "e4m3fn", "fp16")
    codes = np.arange(256)
    products = mac.product(codes[:, None], codes).tolist()
    for a in range(256):
        for w in range(256):
            assert products[a][w] == slow.step(0, a, w), (a, w)


def test_log8_products_equal_the_published_circuit() -> None:
    recorded = recomputed("log8_products")
    mac = get_mac("elma8")
    a, w = recorded["codes_a"][:, None], np.arange(256)
    assert (mac.product(a, w) == recorded["increment"]).all()
    assert (mac.pair.has_special(a, w) == recorded["is_inf"]).all()


def test_log8_steps_equal_the_published_circuit() -> None:
    recorded = recomputed("log8_mac_steps")
    mac = get_mac("elma8")
    assert (mac.accumulate(recorded["acc_in"], recorded["a"], recorded["b"]) == recorded["acc_out"]).all()
    flags = recorded["inf_in"].astype(bool) | mac.pair.has_special(recorded["a"], recorded["b"])
    assert (flags == recorded["inf_out"]).all()


def test_log16_products_equal_the_published_circuit() -> None:
    recorded = recomputed("log16_products")
    mac = get_mac("elma16")
    assert (mac.product(recorded["a"], recorded["b"]) == recorded["increment"]).all()
    assert (mac.pair.has_special(recorded["a"], recorded["b"]) == recorded["is_inf"]).all()


def test_log16_products_equal_the_reference_on_random_and_extreme_words() -> None:
    mac, slow = get_mac("elma16"), fixed_reference("elma16")
    rng = np.random.default_rng(3)
    extremes = np.array([0, 0x8000, 0x0400, 0x8400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x3C00, 0x3C01])
    a = np.concatenate([rng.integers(0, 1 << 16, 3000), np.repeat(extremes, 10)])
    w = np.concatenate([rng.integers(0, 1 << 16, 3000), np.tile(extremes, 10)])
    expected = [slow.wrap(slow.increment(x, y)[0]) for x, y in zip(a.tolist(), w.tolist(), strict=True)]
    assert mac.product(a, w).tolist() == expected


def log8_exact_products() -> tuple[np.ndarray, np.ndarray]:
    """(which pairs have two finite operands that are not zero, exponent of the sum of their logarithms)."""
    fields = [reference.tapered_fields(code, 8, 1) for code in range(256)]
    logarithms = np.array([16 * exponent + fraction for _, exponent, fraction, _, _ in fields])
    regular = np.array([not (is_zero or is_inf) for _, _, _, is_zero, is_inf in fields])
    return np.logical_and.outer(regular, regular), np.add.outer(logarithms, logarithms) >> 4


def test_log8_products_past_the_top_vanish_and_leave_minus_one_when_negative() -> None:
    products = get_mac("elma8").product(np.arange(256)[:, None], np.arange(256))
    regular, exponents = log8_exact_products()
    past = regular & (exponents >= 13)
    assert past.sum() == 804
    negative = np.arange(256)[:, None] >> 7 != np.arange(256) >> 7
    assert (products[past & ~negative] == 0).all()
    assert (products[past & negative] == -1).all()


def test_eight_log8_products_lose_bits_and_are_cut_off_towards_minus_infinity() -> None:
    products = get_mac("elma8").product(np.arange(256)[:, None], np.arange(256))
    regular, exponents = log8_exact_products()
    powers = np.array([0, 1, 3, 4, 6, 8, 9, 11, 13, 15, 17, 20, 22, 24, 27, 29])  # the published 4 -> 5 table
    lossy = []
    for a, w in np.argwhere(regular & (exponents <= -20)):
        (sa, ea, fa, _, _), (sw, ew, fw, _, _) = (reference.tapered_fields(int(c), 8, 1) for c in (a, w))
        significand = 32 + int(powers[(fa + fw) % 16])
        exact = Fraction(significand, 32) * Fraction(2) ** (ea + ew + (fa + fw) // 16 + 24)
        exact = -exact if sa != sw else exact
        assert products[a, w] == exact.numerator // exact.denominator
        if exact.denominator != 1:
            lossy.append(exact > 0)
    assert (len(lossy), sum(lossy)) == (8, 4)


def test_a_posit_zero_adds_nothing_whatever_it_multiplies() -> None:
    mac = get_mac("posit8")
    assert (mac.product(0, np.arange(256)) == 0).all()
    assert (mac.product(np.arange(256), 0) == 0).all()


def test_a_product_that_is_wider_than_64_bits_is_a_python_integer() -> None:
    mac = get_mac("fp16 x fp16")
    largest = mac.activation.encode(65504.0)
    product = mac.product(largest, largest)
    assert product.dtype == object
    assert product.item() == 65504**2 * 2**48


def test_float_products_are_codes_of_the_accumulator() -> None:
    mac = get_mac("fp16")
    three = mac.activation.encode(3.0)
    assert mac.product(three, three) == mac.accumulator_format.encode(9.0)


@pytest.mark.parametrize("name", ["int8", "elma8", "elma16", "posit8", "mixed8", "fp8", "e5m2 x e5m2"])
def test_a_step_equals_the_reference_near_both_ends(name: str) -> None:
    mac, slow = get_mac(name), fixed_reference(name)
    rng = np.random.default_rng(11)
    ends = [-(1 << (slow.bits - 1)), (1 << (slow.bits - 1)) - 1, 0, -1]
    for _ in range(400):
        acc = slow.wrap(ends[rng.integers(4)] + int(rng.integers(-(2**40), 2**40)))
        a, w = int(rng.integers(1 << mac.activation.bits)), int(rng.integers(1 << mac.weight.bits))
        expected, _, direction = slow.step(acc, a, w)
        assert mac.accumulate(acc, a, w) == expected
        assert mac.overflow_sign(acc, a, w) == direction


@settings(max_examples=200, deadline=None)
@given(st.integers(-(2**15), 2**15 - 1), st.integers(0, 255), st.integers(0, 255))
def test_a_saturating_accumulator_stays_at_its_ends(acc: int, a: int, w: int) -> None:
    mac = get_mac(
        {
            "activation": "int8",
            "weight": "int8",
            "accumulator": {"kind": "fixed", "bits": 16, "lsb": 0, "overflow": "saturate"},
        }
    )
    slow = reference.Fixed("int8", "int8", 16, 0, "saturate")
    assert mac.accumulate(acc, a, w) == slow.step(acc, a, w)[0]


@pytest.mark.parametrize(
    ("name", "activation", "weight", "accumulator", "flush"),
    [
        ("fp16", "fp16", "fp16", "fp16", True),
        ("fp8_fp16", "e4m3fn", "e4m3fn", "fp16", False),
        ("bf16", "bf16", "bf16", "fp32", False),
        ("fp32", "fp32", "fp32", "fp32", False),
    ],
)
def test_a_float_step_equals_the_reference_on_random_and_hard_codes(
    name: str, activation: str, weight: str, accumulator: str, flush: bool
) -> None:
    mac, slow = get_mac(name), reference.Float(activation, weight, accumulator, flush=flush)
    rng = np.random.default_rng(5)
    accs = _hard_codes(rng, mac.accumulator_format.bits, mac.accumulator_format.significand_bits - 1)
    a = _hard_codes(rng, mac.activation.bits, mac.activation.significand_bits - 1)
    w = _hard_codes(rng, mac.weight.bits, mac.weight.significand_bits - 1)
    results = mac.accumulate(accs, a, w).tolist()
    for result, acc, x, y in zip(results, accs.tolist(), a.tolist(), w.tolist(), strict=True):
        assert result == slow.step(acc, x, y), (hex(acc), hex(x), hex(y))


def _hard_codes(rng: np.random.Generator, bits: int, fraction_bits: int) -> np.ndarray:
    """Random codes, codes of few fraction bits (ties), and special and extreme ones."""
    codes = rng.integers(0, 1 << bits, 3000)
    codes[1000:2000] &= ~((1 << max(fraction_bits - 2, 1)) - 1)
    codes[2000:2200] &= (1 << fraction_bits) | 3 | (1 << (bits - 1))  # zeros, subnormals, smallest normals
    codes[2200:2300] |= ((1 << (bits - 1 - fraction_bits)) - 1) << fraction_bits  # infinities and NaN
    return rng.permutation(codes)
