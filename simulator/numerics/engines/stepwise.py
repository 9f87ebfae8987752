"""Any MAC in plain numpy, one reduction step of all outputs at a time: slow, and always applies."""

from __future__ import annotations

from typing import Final

import numpy as np

from simulator.numerics.engines.problem import Answer, Engine, Problem


def attempt(problem: Problem) -> Answer:
    """The product by the MAC's own elementwise step, in the order of k."""
    mac = problem.mac
    sums = problem.starting_sums()
    signs = np.zeros(sums.shape, np.int8) if mac.accumulator.remembers_overflow else None
    for k in range(problem.shape[1]):
        a, w = problem.a[:, k, None], problem.w[None, k, :]
        if signs is not None:
            signs = np.where(signs == 0, mac.overflow_sign(sums, a, w), signs)
        sums = mac.accumulate(sums, a, w)
    return Answer(sums, "the MAC's own step, in the order of k", signs)


ENGINE: Final = Engine("stepwise", attempt)
