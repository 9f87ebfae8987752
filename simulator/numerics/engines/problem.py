"""What every engine is asked and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from simulator.numerics.mac import Mac


@dataclass(frozen=True, slots=True)
class Problem:
    """One matrix product: checked codes a [M, K] and w [K, N], accumulators [M, N] to start from or None."""

    mac: Mac
    a: npt.NDArray[np.unsignedinteger[Any]]
    w: npt.NDArray[np.unsignedinteger[Any]]
    initial: npt.NDArray[Any] | None
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

    def starting_sums(self) -> npt.NDArray[Any]:
        """A fresh array of accumulators to add to."""
        M, _, N = self.shape
        if self.initial is None:
            return np.zeros((M, N), self.mac.accumulator_dtype)
        return np.array(self.initial)


@dataclass(frozen=True, slots=True)
class Answer:
    """An engine's accumulators, why they are exact, and overflow signs where it had to look for them."""

    accumulators: npt.NDArray[Any]
    reason: str
    overflow: npt.NDArray[np.int8] | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an engine cannot compute a product exactly."""

    reason: str
