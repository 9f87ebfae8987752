"""Block-scaled formats against the slow reference, on as many random blocks as you like.

    python -m tools.block_scaled_check --blocks 100000

Every block is converted by each rule that its format has, and multiplied with another one by each rule of sums;
scales, element codes and float32 patterns are compared bit for bit. It prints what it compared and what differs.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from simulator.numerics.block_scaled import (
    SUM_RULES,
    BlockFormat,
    BlockTensor,
    block_format_names,
    get_block_format,
)
from simulator.numerics.engines.block_products import multiply_blocks
from tests.numbers.block_cases import random_blocks, reference_block, reference_blocks, reference_sum

_ROWS = 40
"""Rows of four blocks in a batch; each is multiplied with the next."""

_BLOCKS_A_ROW = 4


def conversion_differences(fmt: BlockFormat, rng: np.random.Generator, blocks: int) -> int:
    """How many of some random blocks have another scale or another element code than the reference."""
    rules = ("floor", "ceil", "even", "rceil") if fmt.has_power_of_two_scales else ("nearest",)
    differing = 0
    values = random_blocks(rng, blocks, fmt.block)
    for at, rule in enumerate(rules):
        some = values[at :: len(rules)]
        chosen = replace(fmt, rule=rule)  # type: ignore[arg-type]
        found = chosen.encode(some)
        for row, block in enumerate(some):
            expected = reference_block(chosen, block)
            differing += (int(found.scales[row, 0]), found.elements[row].tolist()) != expected
    return differing


def sum_differences(fmt: BlockFormat, rng: np.random.Generator) -> tuple[int, int]:
    """How many sums were compared, and how many differ; each of rows of four blocks."""
    values = random_blocks(rng, _ROWS * _BLOCKS_A_ROW, fmt.block)
    tensor = fmt.encode(values.reshape(_ROWS, -1))
    rows = [reference_blocks(fmt, tensor, row) for row in range(_ROWS)]
    compared = differing = 0
    for rule in SUM_RULES:
        if rule == "blackwell" and fmt.name == "mxint8":
            continue
        found = multiply_blocks(fmt, tensor, fmt, BlockTensor(tensor.elements, tensor.scales), rule=rule)
        for m in range(_ROWS):
            n = (m + 1) % _ROWS
            compared += 1
            differing += int(found[m, n]) != reference_sum(rule, fmt, rows[m], fmt, rows[n])
    return compared, differing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=10_000, help="random blocks over all formats")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    names = [name for name in block_format_names() if name != "nvfp4" and "_g" not in name]
    rng = np.random.default_rng(options.seed)
    for name in names:
        fmt = get_block_format(name)
        wanted = options.blocks // len(names)
        converted = wrong_blocks = sums = wrong_sums = 0
        while converted < wanted:
            batch = min(_ROWS * _BLOCKS_A_ROW, wanted - converted)
            wrong_blocks += conversion_differences(fmt, rng, batch)
            compared, differing = sum_differences(fmt, rng)
            converted, sums, wrong_sums = converted + batch, sums + compared, wrong_sums + differing
        print(
            f"{name}: {converted} blocks converted, {wrong_blocks} differ; "
            f"{sums} sums of {_BLOCKS_A_ROW} blocks, {wrong_sums} differ",
            flush=True,
        )


if __name__ == "__main__":
    main()
