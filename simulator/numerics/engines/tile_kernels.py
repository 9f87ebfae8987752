"""Compiled matrix products in register tiles: a [M, K] times w [K, N] is added to rows of sums [M, N].

All take (a, w, sums, numbers, first, last): contiguous float arrays, a tuple of scalars for the step, and the
rows first .. last - 1 to compute. Each sum takes its steps in the order of k, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.numerics.array_types import Array
from simulator.numerics.engines import tile_steps
from simulator.numerics.engines.compiled import kernel
from simulator.numerics.engines.intrinsics import widest_vectors
from simulator.numerics.engines.register_tiles import MANY_REGISTERS, VECTOR_BYTES, Step, matrix_tile

_LENGTH = 2048
"""Steps at a time: weights of so many steps and one tile's columns stay in a core's second cache."""


def _product(step: Step, rows: int, vectors: int = 3) -> Callable[..., None]:
    """A kernel for one kind of step, in tiles of `rows` rows and up to three `vectors` of columns."""
    one, two, three = (matrix_tile(step, rows, count) for count in (1, 2, 3))

    @kernel
    def multiply(a: Array, w: Array, sums: Array, numbers: Any, first: int, last: int) -> None:
        widest_vectors()
        K, N = w.shape
        lanes = VECTOR_BYTES // w.itemsize
        span = vectors * lanes
        for start in range(0, K, _LENGTH):
            end = min(start + _LENGTH, K)
            for left in range(0, N, span):
                right = min(left + span, N)
                for top in range(first, last, rows):
                    place = (top, last, left, right, start, end)
                    if right - left > 2 * lanes:
                        three(a, w, sums, numbers, place)
                    elif right - left > lanes:
                        two(a, w, sums, numbers, place)
                    else:
                        one(a, w, sums, numbers, place)

    return multiply


_FUSED_ROWS = 8 if MANY_REGISTERS else 4
"""With three vectors of sums a row, three of weights and one number, nearly all registers are in use."""

_ROUNDED_ROWS = 8 if MANY_REGISTERS else 2
"""Enough steps side by side that none waits for the one before; a few numbers are then read from memory."""

_LOG_ROWS = 4 if MANY_REGISTERS else 2
"""Sums of two registers."""

multiply = _product(tile_steps.fused, _FUSED_ROWS)
"""Fused multiply-adds, all float32 or all float64; `numbers` is empty."""

multiply_rounded = _product(tile_steps.rounded(flush=False), _ROUNDED_ROWS)
multiply_flushed = _product(tile_steps.rounded(flush=True), _ROUNDED_ROWS)
"""Fused multiply-adds, each rounded as `scaled_kernels` says; `numbers` is `ScaledSteps.layout`."""

add_logs = _product(tile_steps.log_product, _LOG_ROWS, 2)
"""Log products of float32 or float64 operands, added to float64 sums as `log_sums` says."""
