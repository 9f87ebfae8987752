"""The published model of NVIDIA Blackwell's tensor cores (MMA-Sim, arXiv 2511.10909), with block scales.

FP8 and FP6 (`mxf8f6f4`): a step is 32 products, each kept to 25 fraction bits. FP4 (`mxf4`, `nvf4`): a step
is 64 products in four groups of 16, each group's exact sum times both scales kept to 35 fraction bits.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from simulator.numerics.array_types import Array
from simulator.numerics.engines.block_operand import BlockOperand, block_dots
from simulator.numerics.engines.threads import for_row_ranges

_PRODUCT_BITS: Final = 25
_GROUP_BITS: Final = 35
_GROUP: Final = 16
_GROUPS_A_STEP: Final = 4


def tensor_core_rows(a: BlockOperand, w: BlockOperand, sums: Array, threads: int | None) -> None:
    """Sums [M, N], from those that are there; NaN and infinity as the model has them."""
    _mark_specials(a, w, sums)
    if {a.element_format.spec, w.element_format.spec} == {"e2m1"}:
        _by_groups(a, w, sums, threads)
    else:
        _by_products(a, w, sums, threads)


def _mark_specials(a: BlockOperand, w: BlockOperand, sums: Array) -> None:
    """Sums with infinite or NaN operands, in which nothing else shows any more."""
    (a_significands, _), (w_significands, _) = a.scale_parts, w.scale_parts
    sums[np.isnan(a_significands).any(axis=1), :] = np.nan
    sums[:, np.isnan(w_significands).any(axis=1)] = np.nan
    if not (a.has_specials or w.has_specials):
        return
    with np.errstate(invalid="ignore"):
        for values in block_dots(a.values, w.values):
            sums += np.where(np.isfinite(values), 0.0, values)


def _by_products(a: BlockOperand, w: BlockOperand, sums: Array, threads: int | None) -> None:
    from simulator.numerics.engines import tensor_core_kernels as kernels

    (a_values, a_exponents), (w_values, w_exponents) = a.float_parts, w.float_parts
    a_scales, w_scales = a.scale_parts[1], w.scale_parts[1]
    fraction_bits = a.element_format.significand_bits + w.element_format.significand_bits - 2

    def work(first: int, last: int) -> None:
        kernels.sum_aligned_products(
            a_values,
            a_exponents,
            a_scales,
            w_values,
            w_exponents,
            w_scales,
            fraction_bits,
            _PRODUCT_BITS,
            sums,
            first,
            last,
        )

    for_row_ranges(len(sums), work, threads=threads)


def _by_groups(a: BlockOperand, w: BlockOperand, sums: Array, threads: int | None) -> None:
    from simulator.numerics.engines import tensor_core_kernels as kernels

    groups_a_block = a.fmt.block // _GROUP
    dots = block_dots(_grouped(a, groups_a_block), _grouped(w, groups_a_block))
    a_significands, a_exponents, a_fraction = _scale_parts(a)
    w_significands, w_exponents, w_fraction = _scale_parts(w)
    fraction_bits = a_fraction + w_fraction - a.lsb - w.lsb

    def work(first: int, last: int) -> None:
        kernels.sum_aligned_groups(
            dots,
            a_significands,
            a_exponents,
            w_significands,
            w_exponents,
            groups_a_block,
            _GROUPS_A_STEP,
            fraction_bits,
            _GROUP_BITS,
            sums,
            first,
            last,
        )

    for_row_ranges(len(sums), work, threads=threads)


def _grouped(operand: BlockOperand, groups_a_block: int) -> Array:
    """Elements as integers [rows, groups, 16], blocks padded to their whole length."""
    rows, blocks, length = operand.codes.shape
    whole = np.zeros((rows, blocks, groups_a_block * _GROUP))
    whole[..., :length] = operand.integers
    return whole.reshape(rows, blocks * groups_a_block, _GROUP)


def _scale_parts(operand: BlockOperand) -> tuple[Array, Array, int]:
    """Whole significands, exponents as in [1, 2) x 2**exponent (subnormals the least one), fraction bits."""
    scales = operand.fmt.scale_format
    values = np.where(np.isfinite(scales.values), scales.values, 0.0)
    least = min(int(np.frexp(values[values > 0].min())[1]) - 1, 0)
    fraction_bits = scales.significand_bits - 1
    if fraction_bits:
        least += fraction_bits  # of the smallest normal scale
    exponents = np.maximum(np.frexp(values)[1].astype(np.int64) - 1, least)
    exponents = np.where(values == 0, least, exponents)
    significands = np.ldexp(values, fraction_bits - exponents).astype(np.int64)
    return significands[operand.scales], exponents[operand.scales], fraction_bits
