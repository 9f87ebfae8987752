"""Compiled steps of float accumulators on the scale where the processor's overflow is the format's own.

See `simulator.numerics.engines.scaled` for when this is exact. Each step is a fused multiply-add, then a
rounding of the bit pattern to nearest even that drops its last `drop` bits: infinities and NaN come out by
themselves. All kernels exist for float64 and float32 lanes, with and without the flushing of subnormals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simulator.numerics.array_types import Array
from simulator.numerics.engines.activity_kernels import OUT, step_of
from simulator.numerics.engines.compiled import inlined, kernel
from simulator.numerics.engines.intrinsics import (
    bits_of,
    count_ones,
    float_of,
    fused_multiply_add,
    widest_vectors,
)


@inlined
def _rounded(bits: Any, lowest: Any, below: Any, kept: Any, integer: Any) -> Any:
    """A pattern rounded to multiples of `lowest`; `below`: half of it less 1; `kept`: its bits and higher."""
    return integer(integer(integer(bits + below) + integer(1 if bits & lowest else 0)) & kept)


@inlined
def _flushed(bits: Any, smallest: Any, magnitude: Any, integer: Any) -> Any:
    """The pattern of a zero of the same sign in place of magnitudes below `smallest`."""
    return integer(bits if integer(bits & magnitude) >= smallest else bits & ~magnitude)


@inlined
def _code(bits: Any, layout: tuple[Any, ...], integer: Any, flush: Any) -> Any:
    """The format's own code, in the highest bits."""
    smallest, magnitude, offset, anchor, drop = layout[3:]
    size = integer(bits & magnitude)
    if flush:
        return integer(bits - (offset if size >= smallest else integer(0)))
    steps = integer(bits_of(float_of(size) + float_of(anchor)) - anchor)
    subnormal = integer(integer(steps << drop) | integer(bits & ~magnitude))
    return integer(bits - offset) if size >= smallest else subnormal


def _still(integer: Any, real: Any, *, flush: bool) -> Callable[..., None]:
    @kernel
    def still(a: Array, w: Array, sums: Array, layout: tuple[Any, ...], counts: Array) -> None:
        widest_vectors()
        lowest, below, kept, smallest, magnitude = layout[:5]
        (M, K), N = a.shape, w.shape[1]
        row, codes, toggles = np.zeros(N, real), np.zeros(N, integer), np.zeros(N, integer)
        for m in range(M):
            row[:] = real(0.0)
            codes[:] = 0
            toggles[:] = 0
            for k in range(K):
                value = a[m, k]
                weights = w[k]
                for n in range(N):
                    bits = bits_of(fused_multiply_add(value, weights[n], row[n]))
                    bits = _rounded(bits, lowest, below, kept, integer)
                    if flush:
                        bits = _flushed(bits, smallest, magnitude, integer)
                    after = _code(bits, layout, integer, flush)
                    toggles[n] += count_ones(integer(after ^ codes[n]))
                    codes[n] = after
                    row[n] = float_of(bits)
            sums[m] = row
            counts[0] += toggles.sum()

    return still


def _moving(integer: Any, *, flush: bool) -> Callable[..., None]:
    @kernel
    def moving(
        a: Array, w: Array, sums: Array, passed_on: int, layout: tuple[Any, ...], counts: Array
    ) -> None:
        widest_vectors()
        lowest, below, kept, smallest, magnitude = layout[:5]
        (M, K), N = a.shape, w.shape[1]
        codes = np.zeros((K, N), integer)
        toggles = np.zeros(N, integer)
        for m in range(M):
            toggles[:] = 0
            row = sums[m]
            above = 0
            for k in range(K):
                if k == K - 1:
                    above = toggles.sum()
                value = a[m, k]
                weights, before = w[k], codes[k]
                for n in range(N):
                    bits = bits_of(fused_multiply_add(value, weights[n], row[n]))
                    bits = _rounded(bits, lowest, below, kept, integer)
                    if flush:
                        bits = _flushed(bits, smallest, magnitude, integer)
                    after = _code(bits, layout, integer, flush)
                    toggles[n] += count_ones(integer(after ^ before[n]))
                    before[n] = after
                    row[n] = float_of(bits)
            total = toggles.sum()
            counts[step_of(m, M), 0] += total + passed_on * (total - above)
        for k in range(K):
            times = 1 + passed_on if k == K - 1 else 1
            for n in range(N):
                counts[OUT, 0] += times * count_ones(codes[k, n])

    return moving


still_single = _still(np.int32, np.float32, flush=False)
still_single_flushing = _still(np.int32, np.float32, flush=True)
still_double = _still(np.int64, np.float64, flush=False)
still_double_flushing = _still(np.int64, np.float64, flush=True)
moving_single = _moving(np.int32, flush=False)
moving_single_flushing = _moving(np.int32, flush=True)
moving_double = _moving(np.int64, flush=False)
moving_double_flushing = _moving(np.int64, flush=True)
