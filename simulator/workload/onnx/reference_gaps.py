"""Operators that ONNX's reference evaluator lacks, or computes otherwise than their operator set says.

It knows some operators in their latest form alone, and is wrong about a few; each entry says which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from simulator.workload.onnx.evaluator import Evaluator, given
from simulator.workload.onnx.graph import Node, Tensor

Maker = Callable[[Node], Evaluator | None]
"""An evaluator for a node; None where the reference evaluator is right."""


def _over_rows(function: Callable[[Tensor], Tensor]) -> Maker:
    """Before operator set 13 all axes from `axis` (1 if not given) on are one; since then it is one axis."""

    def make(node: Node) -> Evaluator | None:
        if node.version >= 13:
            return None

        def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
            x = given(inputs, 0)
            axis = node.get("axis", 1) % max(x.ndim, 1)
            rows = x.reshape(int(np.prod(x.shape[:axis])), -1)
            return (function(rows).reshape(x.shape).astype(x.dtype),)

        return evaluate

    return make


def _softmax(rows: Tensor) -> Tensor:
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _log_softmax(rows: Tensor) -> Tensor:
    shifted = rows - rows.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _hardmax(rows: Tensor) -> Tensor:
    return np.asarray(np.equal(np.arange(rows.shape[1]), rows.argmax(axis=1)[:, None]))


def _lrn(node: Node) -> Evaluator:
    """Over neighbouring channels; the evaluator takes the batch for their number."""
    size, bias = node.get("size"), node.get("bias", 1.0)
    alpha, beta = node.get("alpha", 1e-4), node.get("beta", 0.75)

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        x = given(inputs, 0)
        squares, sums = np.square(x), np.zeros_like(x)
        for channel in range(x.shape[1]):
            first = max(0, channel - (size - 1) // 2)
            sums[:, channel] = squares[:, first : channel + size // 2 + 1].sum(axis=1)
        return (np.asarray(x / (bias + alpha / size * sums) ** beta, x.dtype),)

    return evaluate


def _lp_normalization(node: Node) -> Evaluator:
    """Over the sum of magnitudes (p = 1) or the root of squares; the evaluator sums without magnitudes."""
    axis, order = node.get("axis", -1), node.get("p", 2)

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        x = given(inputs, 0)
        norm = (np.abs(x) ** order).sum(axis=axis, keepdims=True) ** (1 / order)
        return (np.asarray(np.divide(x, norm, out=np.zeros_like(x), where=norm != 0), x.dtype),)

    return evaluate


def _one_hot(node: Node) -> Evaluator:
    """The depth may be a tensor of one element, which the evaluator refuses."""
    axis = node.get("axis", -1)

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        places, depth, values = (given(inputs, position) for position in range(3))
        classes = np.arange(int(depth.reshape(-1)[0]))
        places = np.where(places < 0, places + len(classes), places)
        hot = np.equal(np.expand_dims(places, -1), classes)
        return (np.moveaxis(np.where(hot, values[1], values[0]), -1, axis).astype(values.dtype),)

    return evaluate


def _mean(_node: Node) -> Evaluator:
    """Of tensors that are broadcast; the evaluator takes those of the first one's shape alone."""

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        first, *others = (given(inputs, position) for position in range(len(inputs)))
        total: Any = first
        for each in others:
            total = total + each
        return (np.asarray(total / len(inputs), first.dtype),)

    return evaluate


def _grid_sample(node: Node) -> Evaluator | None:
    """Cubic over a border that goes on for ever, as PyTorch and ONNX Runtime have it.

    The reference evaluator moves places beyond the border to the border first.
    """
    if node.get("mode", "linear") not in ("cubic", "bicubic") or node.get("padding_mode") != "border":
        return None
    is_aligned = bool(node.get("align_corners", 0))

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        x, grid = given(inputs, 0), given(inputs, 1)
        height, width = x.shape[2:]
        columns, column_shares = _cubic_neighbours(grid[..., 0], width, is_aligned=is_aligned)
        rows, row_shares = _cubic_neighbours(grid[..., 1], height, is_aligned=is_aligned)
        sampled = np.zeros((*x.shape[:2], *grid.shape[1:3]), x.dtype)
        for image in range(len(x)):
            picked = x[image][:, rows[:, None, image], columns[None, :, image]]
            shares = row_shares[:, None, image] * column_shares[None, :, image]
            sampled[image] = (picked * shares).sum(axis=(1, 2))
        return (sampled,)

    return evaluate


def _cubic_neighbours(places: Tensor, size: int, *, is_aligned: bool) -> tuple[Tensor, Tensor]:
    """Four neighbours of places from -1 to 1 and their shares (Keys' kernel with a = -0.75), [4, ...]."""
    scaled = (places + 1) / 2 * (size - 1) if is_aligned else ((places + 1) * size - 1) / 2
    first = np.floor(scaled)
    neighbours = first + np.arange(-1, 3).reshape(4, *[1] * places.ndim)
    away = np.abs(scaled - neighbours)
    a = np.asarray(-0.75, places.dtype)
    near = ((a + 2) * away - (a + 3)) * away**2 + 1
    far = ((away - 5) * away + 8) * away * a - 4 * a
    shares = np.where(away <= 1, near, np.where(away < 2, far, 0)).astype(places.dtype)
    return np.clip(neighbours, 0, size - 1).astype(np.int64), shares


OWN_OF_OPERATOR: Mapping[str, Maker] = {
    "GridSample": _grid_sample,
    "Hardmax": _over_rows(_hardmax),
    "LogSoftmax": _over_rows(_log_softmax),
    "LpNormalization": _lp_normalization,
    "LRN": _lrn,
    "Mean": _mean,
    "OneHot": _one_hot,
    "Softmax": _over_rows(_softmax),
}
"""By operator of the standard."""

_SAMPLING = {"bilinear": "linear", "bicubic": "cubic"}


def in_todays_words(node: Node) -> Node:
    """An operator of an older operator set as the reference evaluator knows it."""
    if node.operator == "GridSample" and node.version < 20:
        mode = str(node.get("mode", "bilinear"))
        return _changed(node, 20, mode=_SAMPLING.get(mode, mode))
    if node.operator == "RoiAlign" and node.version < 16:
        return _changed(node, 16, coordinate_transformation_mode="output_half_pixel")
    return node


def _changed(node: Node, version: int, **attributes: str) -> Node:
    return replace(node, version=version, attributes={**node.attributes, **attributes})
