"""A PE array stepped one clock and one register at a time, counting the bits that change; shares no code.

Written from the description of the published grid (output stationary) and of docs/macs.md (the others).
`step(acc, a, w)` and `product(a, w)` are one MAC and its increment; patterns are integers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Matrix = list[list[int]]


def changed(old: int, new: int, bits: int) -> int:
    return ((old ^ new) & ((1 << bits) - 1)).bit_count()


@dataclass
class Array:
    """R x C PEs with an activation, a weight, a product and an accumulator register each."""

    R: int
    C: int
    step: Callable[[int, int, int], int]
    product: Callable[[int, int], int]
    activation_pattern: Callable[[int], int]
    weight_pattern: Callable[[int], int]
    bits: dict[str, int]
    zeros: tuple[int, int] = (0, 0)
    toggles: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("a", "w", "p", "c"), 0))

    def __post_init__(self) -> None:
        za, zw = self.zeros
        self.a = [[za] * self.C for _ in range(self.R)]
        self.w = [[zw] * self.C for _ in range(self.R)]
        self.p = [[0] * self.C for _ in range(self.R)]
        self.c = [[0] * self.C for _ in range(self.R)]

    def _set(self, name: str, old: Matrix, new: Matrix, pattern: Callable[[int], int] = int) -> None:
        for before, after in zip(old, new, strict=True):
            for x, y in zip(before, after, strict=True):
                self.toggles[name] += changed(pattern(x), pattern(y), self.bits[name])

    def clock(self, a: Matrix, w: Matrix, p: Matrix, c: Matrix) -> None:
        self._set("a", self.a, a, self.activation_pattern)
        self._set("w", self.w, w, self.weight_pattern)
        self._set("p", self.p, p)
        self._set("c", self.c, c)
        self.a, self.w, self.p, self.c = a, w, p, c

    def run_output_stationary(self, A: Matrix, W: Matrix) -> Matrix:
        """One fold: skewed operands, one edge of zeros more, then R shifts. Gives the sums before them."""
        R, C, K = self.R, self.C, len(W)
        (za, zw), rows, columns = self.zeros, len(A), len(W[0])
        for edge in range(K + R + C - 1):
            at = [[(edge - i - j) for j in range(C)] for i in range(R)]
            left = [A[i][edge - i] if i < rows and 0 <= edge - i < K else za for i in range(R)]
            top = [W[edge - j][j] if j < columns and 0 <= edge - j < K else zw for j in range(C)]
            a = [[left[i], *self.a[i][:-1]] for i in range(R)]
            w = [top, *self.w[:-1]]
            used = [[i < rows and j < columns and 0 <= at[i][j] < K for j in range(C)] for i in range(R)]
            p = [[self.product(a[i][j], w[i][j]) if used[i][j] else 0 for j in range(C)] for i in range(R)]
            c = [
                [self.step(self.c[i][j], a[i][j], w[i][j]) if used[i][j] else self.c[i][j] for j in range(C)]
                for i in range(R)
            ]
            self.clock(a, w, p, c)
        sums = [row[:columns] for row in self.c[:rows]]
        for _ in range(R):
            self.clock(self.a, self.w, self.p, [[0] * C, *self.c[:-1]])
        return sums

    def run_weight_stationary(self, A: Matrix, W: Matrix, entering: Matrix) -> Matrix:
        """One fold: R edges load W (K' x N'), then A (T x K') streams to the right and sums move down.

        A row takes what the row above held as soon as that is a weight of this fold. `entering` (T x N') sums
        come in at the top, skewed as their columns are; what leaves at the bottom is returned.
        """
        R, C = self.R, self.C
        (za, zw), K, columns, T = self.zeros, len(W), len(W[0]), len(A)
        for edge in range(R):
            r = R - 1 - edge
            top = [W[r][j] if r < K and j < columns else zw for j in range(C)]
            moved = [top, *self.w[:-1]]
            self.clock(self.a, [moved[i] if i <= edge else self.w[i] for i in range(R)], self.p, self.c)
        leaving = [[0] * columns for _ in range(T)]
        for edge in range(T + R + C):
            left = [A[edge - i][i] if i < K and 0 <= edge - i < T else za for i in range(R)]
            a = [[left[i], *self.a[i][:-1]] for i in range(R)]
            at = [[edge - i - j for j in range(C)] for i in range(R)]
            inside = [j < columns and 0 <= edge - j < T for j in range(C)]
            above = [[entering[edge - j][j] if inside[j] else 0 for j in range(C)], *self.c[:-1]]
            used = [[i < K and j < columns and 0 <= at[i][j] < T for j in range(C)] for i in range(R)]
            p = [
                [self.product(a[i][j], self.w[i][j]) if used[i][j] else 0 for j in range(C)] for i in range(R)
            ]
            c = [
                [
                    self.step(above[i][j], a[i][j], self.w[i][j]) if used[i][j] else above[i][j]
                    for j in range(C)
                ]
                for i in range(R)
            ]
            self.clock(a, self.w, p, c)
            for j in range(columns):
                if 0 <= at[R - 1][j] < T:
                    leaving[at[R - 1][j]][j] = c[R - 1][j]
        return leaving
