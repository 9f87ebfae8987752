"""Any MAC in plain numpy, one reduction step of all outputs at a time: slow, and always applies."""

from __future__ import annotations

import numpy as np

from simulator.numerics.engines.problem import Answer, Problem
from simulator.numerics.mac_spec import FixedAccumulator


def attempt(problem: Problem) -> Answer:
    """The product by the MAC's own elementwise step, in the order of k."""
    mac, fixed = problem.mac, problem.mac.accumulator
    sums = problem.starting_sums()
    watch = isinstance(fixed, FixedAccumulator) and fixed.overflow == "sticky"
    overflow = np.zeros(sums.shape, np.int8) if watch else None
    for k in range(problem.shape[1]):
        a, w = problem.a[:, k, None], problem.w[None, k, :]
        if overflow is not None:
            overflow = np.where(overflow == 0, mac.overflow_sign(sums, a, w), overflow)
        sums = mac.accumulate(sums, a, w)
    return Answer(sums, "the MAC's own step, in the order of k", overflow)
