"""Random blocks of every kind that conversion has rules for, and their reference by name of the format."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.numerics.block_scaled import BlockFormat, BlockTensor
from tests.reference import block_scaled as reference

KINDS = (
    "normal",
    "uniform",
    "heavy",
    "zeros",
    "huge",
    "denormal",
    "ties",
    "outlier",
    "boundary",
    "small",
    "bits",
)


def random_blocks(rng: np.random.Generator, count: int, length: int) -> NDArray[np.float32]:
    """[count, length] finite float32 values, the kinds in turn."""
    rows = [_block(rng, KINDS[index % len(KINDS)], length) for index in range(count)]
    return np.stack(rows).astype(np.float32)


def _block(rng: np.random.Generator, kind: str, length: int) -> NDArray[Any]:
    signs = rng.choice([-1.0, 1.0], length)
    if kind == "normal":
        return rng.normal(size=length) * 2.0 ** rng.integers(-20, 20)
    if kind == "uniform":
        return rng.uniform(-1, 1, length)
    if kind == "heavy":
        return signs * np.exp(rng.normal(size=length) * 4)
    if kind == "zeros":
        return np.where(rng.random(length) < 0.9, signs * 0.0, signs * rng.integers(0, 3))
    if kind == "huge":
        return signs * rng.uniform(0.5, 1, length) * float(np.finfo(np.float32).max)
    if kind == "denormal":
        return signs * rng.integers(0, 1 << int(rng.integers(1, 24)), length) * 2.0**-149
    if kind == "ties":
        return signs * rng.integers(0, 64, length) * 2.0 ** rng.integers(-8, 8)
    if kind == "outlier":
        return rng.normal(size=length) * np.where(np.arange(length) == rng.integers(length), 1e6, 1.0)
    if kind == "boundary":
        power = 2.0 ** rng.integers(-30, 30)
        near = np.float32(power * rng.choice([0.4375, 0.75, 0.875, 0.9375, 0.96875, 0.9921875, 1.0]))
        step = np.nextafter(near, np.float32(rng.choice([0.0, np.inf])))
        return np.where(np.arange(length) == 0, step, rng.uniform(-1, 1, length) * power / 2)
    if kind == "small":
        return signs * rng.uniform(0, 1, length) * 2.0 ** rng.integers(-149, -110)
    patterns = rng.integers(0, 0xFF << 23, length).astype(np.uint32)
    return signs * patterns.view(np.float32).astype(np.float64)


def reference_block(fmt: BlockFormat, values: NDArray[np.float32]) -> tuple[int, list[int]]:
    """Scale and element codes of one block, by the slow reference."""
    numbers = [float(value) for value in values]
    if fmt.name.startswith("nvfp4"):
        return reference.nvfp4_block(numbers)
    element = reference.Int8(fmt.full_range) if fmt.name == "mxint8" else reference.ELEMENTS[fmt.name]
    return reference.mx_block(element, numbers, fmt.rule)


def reference_blocks(fmt: BlockFormat, tensor: BlockTensor, row: int) -> list[reference.Block]:
    """A row's scales and element values, by the slow reference's own tables."""
    is_nv = fmt.name.startswith("nvfp4")
    element = reference.E2M1 if is_nv else reference.ELEMENTS[fmt.name]
    scale = reference.ue4m3 if is_nv else reference.e8m0
    codes = [int(code) for code in tensor.elements[row]]
    return [
        (scale(int(code)), [element.value(each) for each in codes[at * fmt.block : (at + 1) * fmt.block]])
        for at, code in enumerate(tensor.scales[row])
    ]


def reference_sum(
    rule: str,
    activation: BlockFormat,
    a: list[reference.Block],
    weight: BlockFormat,
    w: list[reference.Block],
) -> int:
    """The float32 pattern of one dot product, by the slow reference."""
    if rule == "once":
        return reference.dot_once(a, w)
    if rule == "fused":
        return reference.dot_fused(a, w)
    if activation.element == weight.element == "e2m1":
        return reference.dot_blackwell_groups(a, w, -6 if activation.scale == "e4m3fn" else -127)
    elements = [reference.ELEMENTS[fmt.name] for fmt in (activation, weight)]
    left, right = elements
    assert isinstance(left, reference.Element)
    assert isinstance(right, reference.Element)
    return reference.dot_blackwell_products(left, a, right, w)
