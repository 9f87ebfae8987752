"""One PE at a time in plain Python: the systolic grid as the circuit's description reads, for comparison.

Shares no code with the simulator. A PE is a small object with Python integers in it; every clock edge looks
at the old state of all PEs and writes the new one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

Sum = tuple[int, bool, int]
"""Accumulator, sticky infinity flag, direction of the first overflow."""

Add = Callable[[Sum, int, int], Sum]
"""One MAC step: sum, activation code, weight code."""

ZERO: Sum = (0, False, 0)


@dataclass
class PE:
    """Operand registers, the accumulator, and operands on their way through the multiplier."""

    a: int = 0
    w: int = 0
    sum: Sum = ZERO
    pipe: deque[tuple[int, int] | None] = field(default_factory=deque)


class OutputStationary:
    """Accumulators stay; priority reset > multiply > shift-out > hold."""

    def __init__(self, rows: int, columns: int, add: Add, depth: int = 1) -> None:
        self.rows, self.columns, self.add, self.depth = rows, columns, add, depth
        self.reset()

    def reset(self) -> None:
        self.pes = {
            (i, j): PE(pipe=deque([None] * (self.depth - 1)))
            for i in range(self.rows)
            for j in range(self.columns)
        }

    def step(self, a: list[int], w: list[int], *, reset: bool, multiply: bool, shift_out: bool) -> list[Sum]:
        if reset:
            self.reset()
            return self.bottom()
        old = {place: (pe.a, pe.w, pe.sum) for place, pe in self.pes.items()}
        for (i, j), pe in self.pes.items():
            if multiply:
                pe.a = a[i] if j == 0 else old[i, j - 1][0]
                pe.w = w[j] if i == 0 else old[i - 1, j][1]
            elif shift_out:
                pe.sum = ZERO if i == 0 else old[i - 1, j][2]
            pe.pipe.append((pe.a, pe.w) if multiply else None)
            landing = pe.pipe.popleft()
            if landing is not None:
                pe.sum = self.add(pe.sum, *landing)
        return self.bottom()

    def bottom(self) -> list[Sum]:
        return [self.pes[self.rows - 1, j].sum for j in range(self.columns)]


class WeightStationary:
    """Weights are loaded down the columns and stay; activations move right, sums move down.

    A product reaches its sum `depth` edges after its activation entered the PE, and the sum is `interval`
    of them in the adder.
    """

    def __init__(self, rows: int, columns: int, add: Add, depth: int = 1, interval: int = 1) -> None:
        self.rows, self.columns, self.add = rows, columns, add
        self.pes = {(i, j): PE(pipe=deque([None] * (depth - 1))) for i in range(rows) for j in range(columns)}
        self.entering = {place: deque([ZERO] * (interval - 1)) for place in self.pes}
        self.enabled = [False] * columns

    def step(
        self, a: list[int], w: list[int], partial_sums: list[int], *, multiply: bool, load: bool
    ) -> list[Sum]:
        old = {place: (pe.a, pe.w, pe.sum) for place, pe in self.pes.items()}
        self.enabled = [load, *self.enabled[:-1]]
        for (i, j), pe in self.pes.items():
            if multiply:
                pe.a = a[i] if j == 0 else old[i, j - 1][0]
                self.entering[i, j].append((partial_sums[j], False, 0) if i == 0 else old[i - 1, j][2])
                pe.pipe.append((pe.a, old[i, j][1]))
                landing, arriving = pe.pipe.popleft(), self.entering[i, j].popleft()
                pe.sum = arriving if landing is None else self.add(arriving, *landing)
            if self.enabled[j]:
                pe.w = w[j] if i == 0 else old[i - 1, j][1]
        return [self.pes[self.rows - 1, j].sum for j in range(self.columns)]


class WeightStationaryTransposed:
    """Weights are loaded along the rows and stay; activations move down, sums move right.

    Row i may be loaded i edges after row 0. Timing of products and sums as in `WeightStationary`.
    """

    def __init__(self, rows: int, columns: int, add: Add, depth: int = 1, interval: int = 1) -> None:
        self.rows, self.columns, self.add = rows, columns, add
        self.pes = {(i, j): PE(pipe=deque([None] * (depth - 1))) for i in range(rows) for j in range(columns)}
        self.entering = {place: deque([ZERO] * (interval - 1)) for place in self.pes}
        self.enabled = [False] * rows

    def step(
        self, a: list[int], w: list[int], partial_sums: list[int], *, multiply: bool, load: bool
    ) -> list[Sum]:
        """One edge: activations [columns], weights and partial sums [rows]; the sums of the last column."""
        old = {place: (pe.a, pe.w, pe.sum) for place, pe in self.pes.items()}
        self.enabled = [load, *self.enabled[:-1]]
        for (i, j), pe in self.pes.items():
            if multiply:
                pe.a = a[j] if i == 0 else old[i - 1, j][0]
                self.entering[i, j].append((partial_sums[i], False, 0) if j == 0 else old[i, j - 1][2])
                pe.pipe.append((pe.a, old[i, j][1]))
                landing, arriving = pe.pipe.popleft(), self.entering[i, j].popleft()
                pe.sum = arriving if landing is None else self.add(arriving, *landing)
            if self.enabled[i]:
                pe.w = w[i] if j == 0 else old[i, j - 1][1]
        return [self.pes[i, self.columns - 1].sum for i in range(self.rows)]
