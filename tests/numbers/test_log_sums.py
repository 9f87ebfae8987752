"""Log products by rounded float products: every pair of codes, and both sides of each bound."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from simulator.foundation import UserError
from simulator.numerics import get_mac
from simulator.numerics.engines.log_sums import LogSteps, log_operands
from simulator.numerics.engines.planner import multiply
from simulator.numerics.engines.shared_operand import SharedOperand
from simulator.numerics.product_rules import LogProducts
from tests.reference import mac as reference


def rule_of(name: str) -> LogProducts:
    """The product rule of a MAC of log numbers."""
    mac = get_mac(name)
    rule = mac.products
    assert isinstance(rule, LogProducts)
    return rule


def test_elma8_multiplies_in_float32_and_elma16_only_in_float64() -> None:
    eight, sixteen = LogSteps.of(rule_of("elma8")), LogSteps.of(rule_of("elma16"))
    assert eight is not None
    assert eight.dtype is np.float32
    assert sixteen is not None
    assert sixteen.dtype is np.float64


def test_every_pair_of_elma8_codes_whose_product_the_accumulator_holds() -> None:
    # The largest code is 2**12, so that only products past 2**13 (38 bits, lowest 2**-24) vanish: where
    # both are below 2**6.4 none does, and the bound, which adds 1/32, sees it. Infinity adds nothing.
    mac, slow = get_mac("elma8"), reference.Fixed("log8.1", "log8.1", 38, -24, log=True)
    values = mac.activation.values()
    codes = np.flatnonzero((np.abs(values) < 2.0**6.4) | np.isinf(values))
    assert codes.size > 200
    found = multiply(mac, codes[:, None], codes[None, :], engine="log")
    wanted = [[slow.increment(a, w)[0] for w in codes.tolist()] for a in codes.tolist()]
    assert found.accumulators.tolist() == wanted


@pytest.mark.parametrize("start", [0x0000, 0x2000, 0x4000, 0x8000, 0xA000, 0xC000])
def test_elma16_products_at_every_sum_of_fractions(start: int) -> None:
    mac, slow = get_mac("elma16"), reference.Fixed("log16", "log16", 49, -32, log=True)
    rng = np.random.default_rng(start)
    a = np.arange(start, start + (1 << 13), 61)
    w = np.append(rng.integers(0, 1 << 16, 13), [0x3C00, 0x3C01, 0xBFFF, 0x0400])
    small = np.abs(mac.activation.values()) < 2.0**7  # 49 bits, lowest 2**-32: products up to 2**15 stay
    a, w = a[small[a]], w[small[w]]
    assert a.size
    found = multiply(mac, a[:, None], w[None, :], engine="log")
    assert found.accumulators.tolist() == [[slow.increment(x, y)[0] for y in w.tolist()] for x in a.tolist()]


def test_products_that_could_vanish_are_refused_and_their_neighbours_are_not() -> None:
    # 38 bits with the lowest 2**-24 hold products below 2**13.
    mac = get_mac("elma8")
    below, at = (mac.activation.encode([[2.0**each]]) for each in (6, 7))
    six = mac.activation.encode([[2.0**6]])
    assert multiply(mac, below, six, engine="log").accumulators.tolist() == [[1 << 36]]
    with pytest.raises(UserError, match="vanishes"):
        multiply(mac, at, six, engine="log")
    assert multiply(mac, at, six).accumulators.tolist() == [[0]]


def test_sums_of_magnitudes_up_to_2_to_53_are_taken_and_one_more_product_is_not() -> None:
    # A product of 2**6 and 2**6 is 2**36 units; the bound adds 1/32 of it (alpha is 5) and 2 units.
    mac, each = get_mac("elma8"), 2**36 + 2**31 + 2
    longest = 2**53 // each
    for length in (longest, longest + 1):
        codes = mac.activation.encode(np.full(length, 2.0**6))
        if length == longest:
            found = multiply(mac, codes[None, :], codes[:, None], engine="log").accumulators.tolist()
            total = length * 2**36
            assert found == [[(total + 2**37) % 2**38 - 2**37]]  # wrapped to 38 bits
        else:
            with pytest.raises(UserError, match="2\\^53"):
                multiply(mac, codes[None, :], codes[:, None], engine="log")


def test_sums_start_from_accumulators_and_wrap() -> None:
    mac, one = get_mac("elma8"), get_mac("elma8").activation.encode([[1.0]])
    top = (1 << 37) - 1
    assert multiply(mac, one, one, [[top]], engine="log").accumulators.tolist() == [
        [top + (1 << 24) - (1 << 38)]
    ]


def test_negative_products_below_the_lowest_bit_are_cut_off_to_minus_one_unit() -> None:
    mac = get_mac("elma16")  # lowest bit 2**-32: a product of 2**-34 is cut off
    small = mac.activation.encode([[2.0**-12]])
    less = mac.activation.encode([[-(2.0**-14)]])
    smaller = mac.activation.encode([[2.0**-14]])
    tiny = multiply(mac, small, less, engine="log").accumulators.tolist()
    assert tiny == [[-(1 << 6)]]
    slow = reference.Fixed("log16", "log16", 49, -32, log=True)
    for a, w in pairwise([smaller.item(), less.item(), small.item()]):
        got = multiply(mac, [[a]], [[w]], engine="log").accumulators.item()
        assert got == slow.increment(a, w)[0]


def test_layers_get_no_operands_where_the_order_of_sums_matters() -> None:
    sticky = get_mac(
        {
            "activation": "log8.1",
            "weight": "log8.1",
            "product": "log",
            "accumulator": {"kind": "fixed", "bits": 38, "lsb": -24, "overflow": "saturate"},
        }
    )
    ones = sticky.activation.encode(np.ones((2, 2)))
    assert log_operands(sticky, ones, SharedOperand(ones), 2) is None
    assert log_operands(get_mac("elma8"), ones, SharedOperand(ones), 2) is not None


def test_what_is_made_of_a_shared_operand_is_made_once() -> None:
    shared, calls = SharedOperand(np.zeros(3, np.uint8)), []

    def make() -> list[int]:
        calls.append(1)
        return [len(calls)]

    first = shared.made("a", make)
    assert shared.made("a", make) is first
    assert shared.made("b", make) == [2]
    assert calls == [1, 1]
    assert SharedOperand.of(shared) is shared
