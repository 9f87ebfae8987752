"""GridSample in any number of dimensions, with every mode and padding, as PyTorch and ONNX Runtime have it.

ONNX's reference evaluator goes through places one by one, moves cubic places beyond a border to the border
first, and fails where an aligned reflection meets a length of 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from simulator.workload.onnx.evaluator import Evaluator, given
from simulator.workload.onnx.graph import Node, Tensor

_FAR = 2.0**30
"""Coordinates beyond are as far outside; they would not fit an index."""


def grid_sample(node: Node) -> Evaluator:
    """[N, C, *sizes] at places of -1 to 1, [N, *places, dimensions]: [N, C, *places]."""
    named = str(node.get("mode", "linear"))
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(named, named)
    padding = str(node.get("padding_mode", "zeros"))
    is_aligned = bool(node.get("align_corners", 0))

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        x, grid = given(inputs, 0), given(inputs, 1)
        sizes = x.shape[2:]
        # The first coordinate goes along the last axis.
        along = [
            _neighbours(grid[..., len(sizes) - 1 - axis], size, mode, padding, is_aligned=is_aligned)
            for axis, size in enumerate(sizes)
        ]
        sampled = np.zeros((*x.shape[:2], *grid.shape[1:-1]), x.dtype)
        for image in range(len(x)):
            for picked in product(*along):
                share: Any = 1
                for _, weights in picked:
                    share = share * weights[image]
                sampled[image] += (x[image][:, *(places[image] for places, _ in picked)] * share).astype(
                    x.dtype
                )
        return (sampled,)

    return evaluate


def _neighbours(
    places: Tensor, size: int, mode: str, padding: str, *, is_aligned: bool
) -> list[tuple[Tensor, Tensor]]:
    """Indices along one axis, and how much each counts."""
    scaled = (places + 1) / 2 * (size - 1) if is_aligned else ((places + 1) * size - 1) / 2
    scaled = np.clip(scaled, -_FAR, _FAR)
    ends = (0.0, size - 1.0) if is_aligned else (-0.5, size - 0.5)
    if mode != "cubic" and padding == "border":
        scaled = np.clip(scaled, 0, size - 1)
    elif mode != "cubic" and padding == "reflection":
        scaled = _reflected(scaled, *ends)
    first = np.rint(scaled) if mode == "nearest" else np.floor(scaled)
    if mode == "nearest":
        pairs = [(first, np.ones_like(scaled))]
    elif mode == "linear":
        pairs = [(first, 1 - (scaled - first)), (first + 1, scaled - first)]
    else:
        pairs = [(first + step, _cubic(np.abs(scaled - first - step))) for step in range(-1, 3)]
    found = []
    for index, weights in pairs:
        if padding == "reflection":
            index = _reflected(index, *ends)
        elif padding == "zeros":
            weights = np.where((index >= 0) & (index < size), weights, 0)
        index = np.nan_to_num(index)
        found.append((np.clip(np.rint(index), 0, size - 1).astype(np.int64), weights.astype(places.dtype)))
    return found


def _reflected(values: Tensor, low: float, high: float) -> Tensor:
    """Values mirrored at both ends until they lie between them."""
    length = high - low
    if length == 0:
        return np.full_like(values, low)
    away = np.mod(np.abs(values - low), 2 * length)
    return np.asarray(low + np.where(away > length, 2 * length - away, away), values.dtype)


def _cubic(away: Tensor) -> Tensor:
    """Keys' kernel with a = -0.75."""
    a = np.asarray(-0.75, away.dtype)
    near = ((a + 2) * away - (a + 3)) * away**2 + 1
    far = ((away - 5) * away + 8) * away * a - 4 * a
    return np.asarray(np.where(away <= 1, near, np.where(away < 2, far, 0)))
