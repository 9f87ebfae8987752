"""Does a fixed accumulator, or a product rule, say of itself what follows from its widths?"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from simulator.numerics import FixedAccumulator, Mac, get_format, get_mac
from simulator.numerics.accumulators import OverflowRule
from simulator.numerics.hardware import Combinational
from simulator.numerics.product_rules import ExactProducts, LogProducts, OperandPair

INT8 = OperandPair(get_format("int8"), get_format("int8"), "exact")
FP8 = OperandPair(get_format("e4m3"), get_format("e4m3"), "exact")


def counted(parts: Combinational) -> dict[str, list[tuple[str, float]]]:
    """Each component's parts without what they do."""
    return {name: [(part.part, part.count) for part in of] for name, of in parts.items()}


# ------------------------------------------------------------------------------------------ the accumulator


@pytest.mark.parametrize(
    ("activation", "weight", "register", "bits"),
    [
        ("int8", "int8", 32, 16),  # -16,256 to 16,384: 15 bits hold 16,383 at most
        ("uint4", "uint4", 32, 9),  # 0 to 225, and the sign
        ("int4", "uint4", 32, 8),  # -120 to 105
        ("int8", "int8", 12, 12),  # never more than the register has
    ],
)
def test_the_bits_of_a_product_hold_its_ends(activation: str, weight: str, register: int, bits: int) -> None:
    pair = OperandPair(get_format(activation), get_format(weight), "exact")
    assert FixedAccumulator(register, 0, "sticky").product_bits(pair) == bits


@pytest.mark.parametrize(
    ("bits", "longest"),
    # 16,384 goes 127 times into 2**21 - 1, and 16,256 goes 129 times into 2**21; 15 and 16 times into 2**18.
    [(22, 127), (19, 15), (16, 1)],
)
def test_the_longest_safe_sum_is_that_of_the_nearer_end(bits: int, longest: int) -> None:
    worst = FixedAccumulator(bits, 0, "wrap").worst_sum(INT8, 10)
    assert worst.longest_safe_reduction == longest
    assert worst.worst == 10 * 2**14


def test_the_lower_end_may_be_the_nearer_one() -> None:
    """uint4 x int4 gives -120 to 105: 17 and 19 times into the ends of 12 bits."""
    pair = OperandPair(get_format("uint4"), get_format("int4"), "exact")
    worst = FixedAccumulator(12, -1, "wrap").worst_sum(pair, 3)
    assert worst.longest_safe_reduction == 2048 // 240
    whole = FixedAccumulator(12, 0, "wrap").worst_sum(pair, 3)
    assert (whole.worst, whole.longest_safe_reduction) == (Fraction(360), 17)


@pytest.mark.parametrize(("bits", "lsb", "half"), [(8, -2, 16.0), (32, 0, 2.0**30), (38, -24, 2.0**12)])
def test_sums_up_to_half_of_the_register_are_undisturbed(bits: int, lsb: int, half: float) -> None:
    """8 bits in quarters reach from -32 to 31.75."""
    assert FixedAccumulator(bits, lsb, "wrap").undisturbed == half


RULES: list[tuple[OverflowRule, bool, bool, bool]] = [
    ("wrap", False, True, False),
    ("saturate", True, False, False),
    ("sticky", True, True, True),
]


@pytest.mark.parametrize(("rule", "depends_on_order", "is_modular", "remembers"), RULES)
def test_what_an_overflow_rule_means(
    rule: OverflowRule, depends_on_order: bool, is_modular: bool, remembers: bool
) -> None:
    fixed = FixedAccumulator(20, 0, rule)
    found = (fixed.depends_on_order, fixed.is_modular, fixed.remembers_overflow)
    assert found == (depends_on_order, is_modular, remembers)


@pytest.mark.parametrize(
    ("rule", "signs"), [("wrap", [0, 0, 0]), ("saturate", [0, 0, 0]), ("sticky", [1, -1, 0])]
)
def test_only_a_sticky_accumulator_raises_the_sign_of_an_overflow(
    rule: OverflowRule, signs: list[int]
) -> None:
    fixed = FixedAccumulator(20, 0, rule)
    sums = np.array([fixed.highest, fixed.lowest, 0])
    one, minus_one = int(INT8.activation.encode(1.0)), int(INT8.activation.encode(-1.0))
    flags = fixed.flags(INT8, sums, np.array([one, one, one]), np.array([one, minus_one, one]))
    assert flags.overflow.tolist() == signs
    assert flags.is_infinite.tolist() == [False] * 3


@pytest.mark.parametrize(
    ("exponent", "expected"),
    # 7 and -7 and 100, and an offset of 2.6 in quarters, which rounds to 10 of them.
    [(0, [17, 3, 110]), (1, [34, 6, 127]), (2, [68, 12, 127]), (-1, [8, 1, 55]), (-3, [2, 0, 13])],
)
def test_a_shifted_sum_is_moved_first_and_keeps_to_the_register(exponent: int, expected: list[int]) -> None:
    fixed = FixedAccumulator(8, -2, "saturate")
    moved = fixed.shifted(np.array([7, -7, 100]), np.array([2.6] * 3), exponent)
    assert moved.tolist() == expected


def test_what_is_shifted_out_below_is_cut_off_towards_minus_infinity() -> None:
    assert FixedAccumulator(8, 0, "wrap").shifted(np.array([-7, 7]), np.zeros(2), -1).tolist() == [-4, 3]


def test_a_converter_belongs_to_operands_that_both_have_exponents() -> None:
    """Integers leave as they are. e4m3 has 4 significand bits with the hidden one, and 4 exponent bits."""
    fixed = FixedAccumulator(40, -20, "wrap")
    mixed = OperandPair(get_format("e4m3"), get_format("int8"), "exact")
    assert fixed.circuit(INT8).converter == ()
    assert fixed.circuit(mixed).converter == ()
    assert [(part.part, part.count) for part in fixed.circuit(FP8).converter] == [
        ("small_adder_bit", 40),
        ("small_adder_bit", 40),
        ("shifter_bit", 40),
        ("small_adder_bit", 4),
        ("small_adder_bit", 5),
    ]


# ------------------------------------------------------------------------------------------ product rules


@pytest.mark.parametrize("formats", [("e4m3", "int6"), ("int6", "e4m3")])
def test_a_mixed_product_is_shifted_by_the_exponent_whichever_operand_has_it(
    formats: tuple[str, str],
) -> None:
    """4 x 6 bits, shifted by up to 2**4 - 2 places: 24 bits, and no more than the accumulator has."""
    rule = ExactProducts(get_format(formats[0]), get_format(formats[1]), -10)
    for accumulator_bits, shifter in ((40, 24), (20, 20)):
        parts = counted(rule.combinational(accumulator_bits))
        assert parts == {
            "pe_multiply": [("multiplier_cell", 24)],
            "pe_shift": [("shifter_bit", shifter)],
            "pe_add": [("accumulate_adder_bit", accumulator_bits)],
        }


def log_mac(name: str) -> tuple[Mac, LogProducts]:
    mac = get_mac(name)
    assert isinstance(mac.products, LogProducts)
    return mac, mac.products


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("elma8", Fraction(3, 64)),  # tables of 5 bits: three halves of 2**-5
        ("log9.0 x log9.0", Fraction(3, 256)),  # of 7 bits
    ],
)
def test_log_products_are_as_near_as_three_table_entries(name: str, bound: Fraction) -> None:
    mac, rule = log_mac(name)
    assert Fraction(rule.relative_error) == bound
    values = mac.activation.values()
    codes = np.flatnonzero(np.isfinite(values) & (values > 0))
    exact = np.multiply.outer(values[codes], values[codes])
    found = mac.to_real(mac.product(codes[:, None], codes))
    kept = found > 0  # what is past the top is gone
    off = np.abs(found - exact) - 2.0**mac.accumulator_lsb
    worst = float((off / exact)[kept].max())
    assert float(bound) / 3 < worst <= float(bound)


def test_only_log_products_vanish_past_the_top() -> None:
    _, rule = log_mac("elma8")
    assert rule.vanishes is True
    assert ExactProducts(INT8.activation, INT8.weight, 0).vanishes is False


def test_a_single_log_product_past_the_top_is_counted_as_lost() -> None:
    """elma8 holds less than 2**13: 128 x 64 is one too many, whatever the ends of other products allow."""
    mac = get_mac("elma8")
    large, half = (mac.activation.encode([[value]]) for value in (128.0, 64.0))

    def lost(a: Any, w: Any) -> int:
        sums = np.asarray(mac.product(a, w))
        return mac.accumulator.lost_sums(mac.pair, a, w, sums)

    assert lost(large, half) == 1
    assert lost(half, half) == 0
