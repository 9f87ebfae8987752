"""Biases that 64 bits do not hold, added to a register as its overflow rule says."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from simulator.numerics.accumulators.fixed import FixedAccumulator


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("accumulator", "offset", "held"),
    [
        (FixedAccumulator(32, 0), 2.0**70 + 2.0**20, 2**20 + 5),  # 2^70 is a multiple of 2^32
        (FixedAccumulator(32, -24), 2.0**46 + 2.0**-4, 2**20 + 5),  # the same in units of 2^-24
        (FixedAccumulator(32, 0), -(2.0**70) - 2.0**20, 5 - 2**20),
        (FixedAccumulator(64, 0), 2.0**63 + 2.0**11, -(2**63) + 2**11 + 5),
        (FixedAccumulator(32, 0, "saturate"), 2.0**70, 2**31 - 1),
        (FixedAccumulator(32, 0, "saturate"), -(2.0**70), -(2**31)),
        (FixedAccumulator(32, 0, "saturate"), inf, 2**31 - 1),
        (FixedAccumulator(32, 0, "saturate"), -inf, -(2**31)),
        (FixedAccumulator(32, 0), nan, 5),
        (FixedAccumulator(32, 0), 7.5, 8 + 5),  # to the even one of 7 and 8
    ],
)
def test_a_bias_beyond_the_register(accumulator: FixedAccumulator, offset: float, held: int) -> None:
    sums = np.array([5], accumulator.dtype)
    assert accumulator.shifted(sums, np.array([offset]), 0).tolist() == [held]


def test_a_shift_follows_the_bias() -> None:
    """3 + 2^70 + 2^18 modulo 2^32 is 3 + 2^18, which is then shifted."""
    accumulator, sums = FixedAccumulator(32, 0), np.array([3], np.int64)
    offsets = np.array([2.0**70 + 2.0**18])
    assert accumulator.shifted(sums, offsets, 2).tolist() == [4 * (3 + 2**18)]
    assert accumulator.shifted(sums, offsets, -1).tolist() == [(3 + 2**18) // 2]
