"""Compiled sums of log products in float arithmetic; `engines.log_sums` says why they are exact.

A product is rounded to its leading bits by an addition to its bit pattern, the carry going to the exponent;
what lies below the integers is cut off towards minus infinity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simulator.numerics.array_types import Array
from simulator.numerics.engines.compiled import block_length, inlined, kernel
from simulator.numerics.engines.intrinsics import bits_of, float_of, widest_vectors


@inlined
def increment(value: Any, weight: Any, half: Any, kept: Any, integer: Any) -> Any:
    """The product rounded, then cut off to an integer; `half` and `kept` as below."""
    return np.float64(np.floor(float_of(integer(integer(bits_of(value * weight) + half) & kept))))


def _sum(integer: Any) -> Callable[..., None]:
    @kernel
    def sum_rounded(a: Array, w: Array, sums: Array, numbers: tuple[Any, Any], first: int, last: int) -> None:
        """Add floor(round(a[m, k] w[k, n])) over k to float64 `sums` of rows first .. last - 1.

        Operands are float32, or float64; `numbers` are two integers of their width: half a unit of the last
        bit that is kept, and a mask of the bits that are. Steps with a[m, k] = 0 are left out.
        """
        widest_vectors()
        half, kept = numbers
        K, N = w.shape
        block = block_length(N)
        steps = np.empty(min(block, K), np.int64)
        for start in range(0, K, block):
            for m in range(first, last):
                row = sums[m]
                count = 0
                for k in range(start, min(start + block, K)):
                    if a[m, k] != 0:
                        steps[count] = k
                        count += 1
                unrolled = count - count % 4
                for i in range(0, unrolled, 4):
                    k0, k1, k2, k3 = steps[i], steps[i + 1], steps[i + 2], steps[i + 3]
                    a0, a1, a2, a3 = a[m, k0], a[m, k1], a[m, k2], a[m, k3]
                    w0, w1, w2, w3 = w[k0], w[k1], w[k2], w[k3]
                    for n in range(N):
                        row[n] += (
                            increment(a0, w0[n], half, kept, integer)
                            + increment(a1, w1[n], half, kept, integer)
                        ) + (
                            increment(a2, w2[n], half, kept, integer)
                            + increment(a3, w3[n], half, kept, integer)
                        )
                for i in range(unrolled, count):
                    a0, w0 = a[m, steps[i]], w[steps[i]]
                    for n in range(N):
                        row[n] += increment(a0, w0[n], half, kept, integer)

    return sum_rounded


sum_single = _sum(np.int32)
sum_double = _sum(np.int64)
