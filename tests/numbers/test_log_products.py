"""Are log products right at every width of the formats and of the accumulator?"""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest

from simulator.foundation import UserError
from simulator.numerics import Mac, get_mac
from simulator.numerics.engines.planner import multiply
from tests.reference.formats import pow2_entry, tapered_fields

WIDTHS = [(bits, s) for s in range(4) for bits in range(s + 4, 17)]
ACCUMULATORS: list[dict[str, Any]] = [
    {},
    {"lsb": 0},
    {"bits": 64, "lsb": 0},
    {"bits": 64, "lsb": -40},
    {"bits": 63, "lsb": -70},
    {"bits": 24, "lsb": -3},
    {"bits": 40, "lsb": 10},
    {"bits": 64, "lsb": 900},
    {"bits": 50, "lsb": -1000},
]


def exact_product(a: int, w: int, bits: int, s: int, alpha: int) -> Fraction:
    """What the two logarithms add up to, through the pow2 table; 0 where an operand is 0 or infinite."""
    of_a, of_w = tapered_fields(a, bits, s), tapered_fields(w, bits, s)
    if isinstance(of_a, str) or isinstance(of_w, str):
        return Fraction(0)
    (sa, ea, fa), (sw, ew, fw) = of_a, of_w
    logarithm = ea + fa + ew + fw
    exponent = floor(logarithm)
    fraction_bits = bits - 3 - s
    linear = pow2_entry(int((logarithm - exponent) * 2**fraction_bits), fraction_bits, alpha)
    magnitude = (1 + Fraction(linear, 1 << alpha)) * Fraction(2) ** exponent
    return -magnitude if sa != sw else magnitude


def expected_increment(exact: Fraction, bits: int, lsb: int) -> int:
    """Cut off below the lowest bit, gone past the top."""
    magnitude = abs(exact)
    if magnitude >= Fraction(2) ** (bits - 1 + lsb):  # beyond the highest bit below the sign
        return -1 if exact < 0 else 0
    return floor(exact / Fraction(2) ** lsb)


def some_codes(bits: int, seed: int) -> np.ndarray:
    """Both ends, both specials and some between."""
    top = 1 << (bits - 1)
    ends = [0, 1, 2, top - 2, top - 1, top, top + 1, 2 * top - 2, 2 * top - 1, top // 2, top + top // 2]
    rng = np.random.default_rng(seed)
    return np.concatenate([ends, rng.integers(0, 2 * top, 9)])


def macs_of(bits: int, s: int) -> list[Mac]:
    """The format's own MAC where its accumulator fits 64 bits, and those with other accumulators."""
    macs = []
    for accumulator in ACCUMULATORS:
        choice: dict[str, Any] = {"activation": f"log{bits}.{s}", "weight": f"log{bits}.{s}"}
        choice["accumulator"] = {"kind": "fixed", **accumulator}
        if accumulator.get("bits", 2 + 3 * ((bits - 2) << s)) > 64:
            with pytest.raises(UserError, match="shifted in from the top of its accumulator"):
                get_mac(choice)
        else:
            macs.append(get_mac(choice))
    return macs


@pytest.mark.parametrize(("bits", "s"), WIDTHS)
def test_products_of_any_width_equal_exact_arithmetic(bits: int, s: int) -> None:
    codes = some_codes(bits, seed=bits + 20 * s)
    macs = macs_of(bits, s)
    assert len(macs) >= 4
    alpha = bits - 2 - s
    exact = [[exact_product(a, w, bits, s, alpha) for w in codes.tolist()] for a in codes.tolist()]
    for mac in macs:
        width, lsb = mac.accumulator_bits, mac.accumulator_lsb
        expected = [[expected_increment(value, width, lsb) for value in row] for row in exact]
        assert mac.product(codes[:, None], codes).tolist() == expected, mac


@pytest.mark.parametrize(("bits", "s"), WIDTHS)
def test_all_engines_agree_at_any_width(bits: int, s: int) -> None:
    rng = np.random.default_rng(bits + 20 * s)
    a, w = (rng.integers(0, 1 << bits, shape) for shape in ((3, 9), (9, 4)))
    for mac in macs_of(bits, s):
        table = multiply(mac, a, w, engine="table").accumulators
        assert table.tolist() == multiply(mac, a, w, engine="stepwise").accumulators.tolist(), mac


def test_products_past_the_top_vanish_and_never_come_back_small() -> None:
    """2**20 x 2**20 is past the top bit, 2**20, of the 62 bits of log12.1, by 20 places: 64 - 20 = 44 more
    than the count's 6 bits could say."""
    mac = get_mac("log12.1 x log12.1")
    largest, lowest = (1 << 11) - 1, (1 << 12) - 1
    assert mac.accumulator_bits == 62
    assert mac.activation.decode([largest, lowest]).tolist() == [2.0**20, -(2.0**20)]
    assert mac.product(largest, largest) == 0
    assert mac.product(lowest, lowest) == 0
    assert mac.product(largest, lowest) == -1
    assert mac.to_real(multiply(mac, [[largest]], [[largest]]).accumulators).tolist() == [[0.0]]


@pytest.mark.parametrize(("spec", "top"), [("log8.1", 12), ("log12.1", 20), ("log9.0", 7)])
def test_the_top_binade_is_kept_and_the_next_one_gone(spec: str, top: int) -> None:
    mac = get_mac(f"{spec} x {spec}")
    assert mac.accumulator_bits - 2 + mac.accumulator_lsb == top
    one, two, largest = (int(mac.activation.encode(value)) for value in (1.0, 2.0, 2.0**top))
    assert mac.to_real(mac.product(largest, one)) == 2.0**top
    assert mac.product(largest, two) == 0


def test_a_shift_far_below_the_lowest_bit_leaves_the_sign_alone() -> None:
    """From 2**62 down to 2**-24 is a shift by 86: past 64 bits it must not wrap around either."""
    mac = get_mac(
        {"activation": "log8.1", "weight": "log8.1", "accumulator": {"kind": "fixed", "bits": 64, "lsb": 0}}
    )
    smallest = 1
    assert mac.product(smallest, smallest) == 0
    assert mac.product(smallest, smallest | 0x80) == -1
