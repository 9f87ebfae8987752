"""Block-scaled formats: elements that share a scale, how tensors become them, and their rules of sums.

`simulator.numerics.engines.block_products` multiplies them.
"""

from simulator.numerics.block_scaled.block_format import BlockFormat, ScaleRule
from simulator.numerics.block_scaled.block_tensor import BlockTensor
from simulator.numerics.block_scaled.format_data import block_format_names, get_block_format
from simulator.numerics.block_scaled.sum_rules import SUM_RULES, SumRule

__all__ = [
    "SUM_RULES",
    "BlockFormat",
    "BlockTensor",
    "ScaleRule",
    "SumRule",
    "block_format_names",
    "get_block_format",
]
