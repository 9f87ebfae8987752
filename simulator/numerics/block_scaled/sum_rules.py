"""How sums of block-scaled products are rounded, and which formats go together."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from simulator.foundation import UserError
from simulator.numerics.array_types import Reals
from simulator.numerics.block_scaled.block_format import BlockFormat
from simulator.numerics.formats import Format

SumRule = Literal["once", "fused", "blackwell"]
"""`once`: the exact sum of all products, rounded once to float32. `fused`: the exact value of each block is
added to a float32 that is rounded after every block, in their order. `blackwell`: the published model of
NVIDIA Blackwell's tensor cores, which cut terms off."""

SUM_RULES: Final[tuple[SumRule, ...]] = ("once", "fused", "blackwell")

DOUBLE_BITS: Final = 53

_TENSOR_CORE_BLOCKS: Final = {
    ("e4m3fn", "e8m0"): 32,
    ("e5m2ieee", "e8m0"): 32,
    ("e3m2", "e8m0"): 32,
    ("e2m3", "e8m0"): 32,
    ("e2m1", "e8m0"): 32,
    ("e2m1", "e4m3fn"): 16,
}
"""Elements that a scale is for, by the formats of elements and scales that Blackwell's tensor cores take."""


def check_pair(activation: BlockFormat, weight: BlockFormat, rule: SumRule) -> None:
    """Refuse formats that do not go together, or whose sums would not be exact. Raises UserError."""
    if rule not in SUM_RULES:
        raise UserError("unknown rule of sums", value=rule, allowed=", ".join(SUM_RULES))
    if activation.block != weight.block:
        raise UserError(
            "operands have blocks of different length",
            value=f"{activation.name} {activation.block}, {weight.name} {weight.block}",
            allowed="equal lengths, so that each pair of blocks has one pair of scales",
        )
    if rule == "blackwell":
        _check_tensor_core(activation, weight)
    split_of(activation, weight)


def split_of(activation: BlockFormat, weight: BlockFormat) -> int | None:
    """At how many bits activations are cut in two so that float64 sums are exact; None: not at all.

    Raises:
        UserError: not even halves are exact.
    """
    largest = [float(np.abs(integer_table(fmt.element_format)).max()) for fmt in (activation, weight)]
    formats = [fmt.scale_format for fmt in (activation, weight) if not fmt.has_power_of_two_scales]
    scale_bits = sum(fmt.significand_bits for fmt in formats)
    room = 2.0 ** (DOUBLE_BITS - scale_bits) / activation.block / largest[1]
    if largest[0] <= room:
        return None
    split = int(np.frexp(largest[0])[1]) // 2
    if max(2.0**split, largest[0] / 2.0**split + 1) > room:
        raise UserError(
            f"block products of {activation.name} and {weight.name} are too wide to be exact",
            allowed="shorter blocks, narrower elements, or scales of fewer significand bits",
        )
    return split


def integer_table(fmt: Format) -> Reals:
    """Every code's value in units of 2**lsb; 0 for infinity and NaN."""
    values = fmt.values()
    return np.asarray(np.ldexp(np.where(np.isfinite(values), values, 0.0), -fmt.lsb) + 0.0)


def _check_tensor_core(activation: BlockFormat, weight: BlockFormat) -> None:
    for fmt in (activation, weight):
        element, scale = fmt.element_format.spec, fmt.scale_format.spec
        if _TENSOR_CORE_BLOCKS.get((element, scale)) != fmt.block:
            raise UserError(
                "is no format of Blackwell's tensor cores",
                value=f"{fmt.name}: {element}, scale {scale} over {fmt.block}",
                allowed="mxfp8, mxfp6, mxfp4, nvfp4",
            )
    if activation.scale_format.spec != weight.scale_format.spec:
        raise UserError(
            "Blackwell's tensor cores take operands with scales of one format",
            value=f"{activation.name} and {weight.name}",
        )
