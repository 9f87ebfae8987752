"""What a run of the grid yields, put in order: results by column, and what watched PEs did."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.array import signals as sig
from simulator.array.grid_registers import Plane


@dataclass(slots=True)
class Observations:
    """Cycles in which watched PEs took operands and added products, one queue per PE."""

    corners: list[tuple[int, int]]
    took: list[deque[int]]
    added: list[deque[int]]

    @classmethod
    def of(cls, corners: list[tuple[int, int]]) -> Observations:
        """Empty queues."""
        return cls(corners, [deque() for _ in corners], [deque() for _ in corners])

    def note(self, first_cycle: int, watched: Plane) -> None:
        """Add what was watched from `first_cycle` on, uint8 [cycles, PEs]."""
        for p in range(len(self.corners)):
            self.took[p].extend(first_cycle + int(t) for t in np.flatnonzero(watched[:, p] & sig.VALID))
            self.added[p].extend(first_cycle + int(t) for t in np.flatnonzero(watched[:, p] & sig.LAST))

    def compute_phase(self, corner: tuple[int, int], products: int) -> tuple[int, int]:
        """Cycles of the next fold's first operands and last product at `corner`."""
        first = last = 0
        for (row, column), took, added in zip(self.corners, self.took, self.added, strict=True):
            # The fold's operands also met at every other watched PE that is not beyond its corner.
            if row <= corner[0] and column <= corner[1]:
                first_here, last_here = _take(took, products)[0], _take(added, products)[-1]
                if (row, column) == corner:
                    first, last = first_here, last_here
        return first, last


def _take(queue: deque[int], count: int) -> list[int]:
    return [queue.popleft() for _ in range(count)]


@dataclass(slots=True)
class Results:
    """Sums that have reached the bottom row, one queue per column, and the cycles in which they did."""

    sums: Plane
    flags: Plane
    cycles: Plane
    filled: Plane
    taken: int = 0

    @classmethod
    def of(cls, columns: int, capacity: int, sum_dtype: npt.DTypeLike) -> Results:
        """Empty queues of `capacity` sums."""
        return cls(
            np.full((capacity, columns), 0, sum_dtype),
            np.zeros((capacity, columns), np.uint8),
            np.zeros((capacity, columns), np.int64),
            np.zeros(columns, np.int64),
        )

    def note(self, first_cycle: int, present: Plane, sums: Plane, flags: Plane) -> None:
        """Add the sums that were at the bottom where `present`, all [cycles, columns]."""
        if not present.any():
            return
        capacity = len(self.sums)
        at, column = np.nonzero(present)
        place = (self.filled + np.cumsum(present, axis=0) - 1)[at, column] % capacity
        self.sums[place, column] = sums[at, column]
        self.flags[place, column] = flags[at, column]
        self.cycles[place, column] = first_cycle + at
        self.filled += present.sum(axis=0)

    def take(self, count: int, columns: int) -> tuple[Plane, Plane, Plane] | None:
        """The next `count` sums of the first `columns` columns, or None while some are on their way."""
        if self.filled[:columns].min() < self.taken + count:
            return None
        places = np.arange(self.taken, self.taken + count) % len(self.sums)
        self.taken += count
        return self.sums[places, :columns], self.flags[places, :columns], self.cycles[places, :columns]
