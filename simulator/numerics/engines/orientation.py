"""Which of a result's dimensions a kernel's vectors run along: the longer one, where rows are short.

A product of two numbers does not depend on which comes first, so that the product of transposed operands has
the same terms in the same order of k. Codes are transposed before anything is made of them: they are narrow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from simulator.numerics.array_types import Array
from simulator.numerics.engines.threads import for_row_ranges

Item = TypeVar("Item", bound=np.generic)
Kernel = Callable[[Array, Array, Array, int, int], object]
"""Adds products of a [M, K] and w [K, N] to rows first .. last - 1 of sums [M, N]."""

SHORT = 128
"""Rows of at most so many columns are too short to keep a kernel's vectors busy."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """Whether matrices of a product are taken transposed."""

    is_turned: bool

    @classmethod
    def of(cls, rows: int, columns: int) -> Orientation:
        """Transposed where rows of the result are short and its columns are longer."""
        return cls(columns <= SHORT and columns < rows)

    def facing(self, matrix: npt.NDArray[Item]) -> npt.NDArray[Item]:
        """A matrix of the product as the kernel takes it, or back; contiguous."""
        return np.ascontiguousarray(matrix.T if self.is_turned else matrix)

    def run(self, kernel: Kernel, a: Array, w: Array, sums: Array, threads: int | None) -> None:
        """Add the product of `a` and `w` to `sums`, all as `facing` gave them, from several threads."""
        left, right = (w, a) if self.is_turned else (a, w)
        for_row_ranges(len(sums), lambda i, j: kernel(left, right, sums, i, j), threads=threads)
