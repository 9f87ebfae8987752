"""What every engine is asked and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Accumulators, Codes
from simulator.numerics.formats.code_tables import has_special
from simulator.numerics.mac import Mac


@dataclass(frozen=True, slots=True)
class Problem:
    """One matrix product: checked codes a [M, K] and w [K, N], accumulators [M, N] to start from or None."""

    mac: Mac
    a: Codes
    w: Codes
    initial: Accumulators | None
    threads: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """M, K, N."""
        return self.a.shape[0], self.a.shape[1], self.w.shape[1]

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        M, K, N = self.shape
        return M * K * N

    def starting_sums(self) -> Accumulators:
        """A fresh array of accumulators to add to."""
        M, _, N = self.shape
        if self.initial is None:
            return np.zeros((M, N), self.mac.accumulator_dtype)
        return np.array(self.initial)


@dataclass(frozen=True, slots=True)
class Answer:
    """An engine's accumulators, why they are exact, and overflow signs where it had to look for them."""

    accumulators: Accumulators
    reason: str
    overflow: npt.NDArray[np.int8] | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an engine cannot compute a product exactly."""

    reason: str


def refusal_without_nan(problem: Problem) -> Refusal | None:
    """Why steps that add infinities and NaN do not suit a product: its float accumulator has no NaN."""
    mac, fmt = problem.mac, problem.mac.accumulator.number_format
    if fmt is None or fmt.has_nan:
        return None
    if has_special(mac.activation, problem.a) or has_special(mac.weight, problem.w):
        return Refusal("an accumulator without NaN makes a number of it at every step")
    return None


@dataclass(frozen=True, slots=True)
class Engine:
    """One way to compute matrix products exactly.

    name: what results and users call it.
    attempt: the product, or why this engine cannot compute it.
    is_compiled: whether its first product imports the compiler, which small products are spared.
    """

    name: str
    attempt: Callable[[Problem], Answer | Refusal]
    is_compiled: bool = False
