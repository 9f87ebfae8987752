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


def _dynamic_quantize_linear(_node: Node) -> Evaluator:
    """8-bit codes of the range of a tensor, which includes 0; scale 1 for zeros alone, as in ONNX Runtime.

    There the standard divides by zero, and the evaluator gives a scale of 1/255.
    """

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        x = given(inputs, 0)
        low = np.minimum(x.min(initial=0), np.float32(0))
        high = np.maximum(x.max(initial=0), np.float32(0))
        scale = np.float32(1) if low == high else np.float32((high - low) / np.float32(255))
        zero = np.rint(np.clip(-low / scale, 0, 255))
        codes = np.clip(np.rint(x / scale) + zero, 0, 255)
        return codes.astype(np.uint8), np.asarray(scale, np.float32), np.asarray(zero, np.uint8)

    return evaluate


OWN_OF_OPERATOR: Mapping[str, Maker] = {
    "DynamicQuantizeLinear": _dynamic_quantize_linear,
    "Hardmax": _over_rows(_hardmax),
    "LogSoftmax": _over_rows(_log_softmax),
    "LpNormalization": _lp_normalization,
    "LRN": _lrn,
    "Mean": _mean,
    "OneHot": _one_hot,
    "Softmax": _over_rows(_softmax),
}
"""By operator of the standard."""


def in_todays_words(node: Node) -> Node:
    """An operator of an older operator set as the reference evaluator knows it."""
    if node.operator == "RoiAlign" and node.version < 16:
        return _changed(node, 16, coordinate_transformation_mode="output_half_pixel")
    return node


def _changed(node: Node, version: int, **attributes: str) -> Node:
    return replace(node, version=version, attributes={**node.attributes, **attributes})
