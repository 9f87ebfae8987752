"""Products of matrices in block-scaled formats: float32 sums by one of three rules, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.foundation import UserError
from simulator.numerics.array_types import Array, Reals
from simulator.numerics.block_scaled.block_format import BlockFormat
from simulator.numerics.block_scaled.block_tensor import BlockTensor
from simulator.numerics.block_scaled.sum_rules import DOUBLE_BITS, SumRule, check_pair, split_of
from simulator.numerics.engines.block_operand import BlockOperand, block_dots
from simulator.numerics.engines.tensor_core import tensor_core_rows
from simulator.numerics.engines.threads import for_row_ranges

NAN_CODE: Final = 0x7FC00000
"""Of `once` and `fused`; `blackwell` gives what its model gives."""

_CHUNK_ELEMENTS = 1 << 22
"""Block values in memory at a time."""


def multiply_blocks(
    activation: BlockFormat,
    activations: BlockTensor,
    weight: BlockFormat,
    weights: BlockTensor,
    *,
    rule: SumRule = "once",
    threads: int | None = None,
) -> npt.NDArray[np.uint32]:
    """The float32 patterns [M, N] of activations times weights, without scales of whole tensors.

    Blocks are added in their order; within a block no order shows. A NaN scale makes NaN of its sums,
    infinite and NaN elements do as in IEEE 754, sums past float32 become infinite. An exact zero is +0.

    Args:
        activation: the format of activations.
        activations: [M, K] or [M, positions, channels]; blocks end with each position.
        weight: the format of weights, with blocks of the same length.
        weights: [N, K] or [N, positions, channels].
        rule: how sums are rounded.
        threads: at most this many; all cores by default.

    Raises:
        UserError: shapes or block lengths that do not match, formats that are too wide to be exact, or that
            the tensor cores of `blackwell` do not take.
    """
    check_pair(activation, weight, rule)
    a, w = BlockOperand.of(activation, activations), BlockOperand.of(weight, weights)
    if a.codes.shape[1:] != w.codes.shape[1:] or activations.shape[1:] != weights.shape[1:]:
        raise UserError(
            "shapes do not match for a product of blocks",
            value=f"activations {list(activations.shape)}, weights {list(weights.shape)}",
            allowed="[M, K] and [N, K], or [M, positions, channels] and [N, positions, channels]",
        )
    sums = np.zeros((len(a.codes), len(w.codes)))
    if sums.size and a.codes.size:
        compute = tensor_core_rows if rule == "blackwell" else _EXACT_RULES[rule]
        for first, last in _chunks(len(a.codes), a.codes.shape[1] * len(w.codes)):
            compute(a.rows(first, last), w, sums[first:last], threads)
    with np.errstate(over="ignore"):
        codes = sums.astype(np.float32).view(np.uint32)
    codes[np.isnan(sums)] = _TENSOR_CORE_NAN if rule == "blackwell" else NAN_CODE
    return codes


_TENSOR_CORE_NAN: Final = 0x7FFFFFFF


def _chunks(rows: int, elements_a_row: int) -> Iterator[tuple[int, int]]:
    step = max(1, _CHUNK_ELEMENTS // max(elements_a_row, 1))
    for first in range(0, rows, step):
        yield first, min(first + step, rows)


@dataclass(frozen=True)
class _BlockValues:
    """Exact block dot products [blocks, M, N] as high x 2**split + low, before their scales."""

    high: Reals
    low: Reals
    split: int


def _block_values(a: BlockOperand, w: BlockOperand) -> _BlockValues:
    split = split_of(a.fmt, w.fmt)
    if split is None:
        high, low = block_dots(a.integers, w.integers), np.zeros((0, 0, 0))
    else:
        upper = np.floor(np.ldexp(a.integers, -split))
        high = block_dots(upper, w.integers)
        low = block_dots(a.integers - np.ldexp(upper, split), w.integers)
    if a.has_specials or w.has_specials:
        with np.errstate(invalid="ignore"):
            values = block_dots(a.values, w.values)
        special = ~np.isfinite(values)
        high[special] = values[special]
        if split is not None:
            low[special] = 0.0
    return _BlockValues(high, low, split or 0)


def _once(a: BlockOperand, w: BlockOperand, sums: Array, threads: int | None) -> None:
    from simulator.numerics.engines import block_sum_kernels as kernels

    values = _block_values(a, w)
    (a_significands, a_exponents), (w_significands, w_exponents) = a.scale_parts, w.scale_parts
    least = int(a_exponents.min() + w_exponents.min())
    span = int(a_exponents.max() + w_exponents.max()) - least
    bits = span + values.split + DOUBLE_BITS + len(values.high).bit_length() + 1
    limbs = bits // kernels.LIMB_BITS + 4

    def work(first: int, last: int) -> None:
        kernels.sum_once(
            values.high,
            values.low,
            values.split,
            a_significands,
            a_exponents,
            w_significands,
            w_exponents,
            a.lsb + w.lsb,
            least,
            limbs,
            sums,
            first,
            last,
        )

    for_row_ranges(len(sums), work, threads=threads)


def _fused(a: BlockOperand, w: BlockOperand, sums: Array, threads: int | None) -> None:
    from simulator.numerics.engines import block_sum_kernels as kernels

    values = _block_values(a, w)
    (a_significands, a_exponents), (w_significands, w_exponents) = a.scale_parts, w.scale_parts

    def work(first: int, last: int) -> None:
        kernels.sum_fused(
            values.high,
            values.low,
            values.split,
            a_significands,
            a_exponents,
            w_significands,
            w_exponents,
            a.lsb + w.lsb,
            sums,
            first,
            last,
        )

    for_row_ranges(len(sums), work, threads=threads)


_EXACT_RULES: Final[dict[str, Callable[[BlockOperand, BlockOperand, Array, int | None], None]]] = {
    "once": _once,
    "fused": _fused,
}
