"""Pooling of any number of dimensions, with every attribute of ONNX's AveragePool, LpPool and MaxPool.

The reference evaluator takes dilations, `ceil_mode` and `auto_pad` otherwise than the standard says where
they come together. ONNX Runtime leaves dilations out of SAME, and rounds the length of VALID up in
`ceil_mode`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Any

import numpy as np

from simulator.workload.onnx.evaluator import Evaluator, given
from simulator.workload.onnx.graph import Node, Tensor


@dataclass(frozen=True)
class _Axis:
    """Windows along one axis: `before` and `after` are the padding that the operator states or asks for."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    places: int

    def positions(self, offset: int) -> Tensor:
        """Of one element of every window, in the tensor without padding."""
        return np.arange(self.places) * self.stride + offset * self.dilation - self.before

    def counted(self, *, with_padding: bool) -> Tensor:
        """Elements of every window that are in the tensor, or in its stated padding too."""
        low, high = (-self.before, self.size + self.after) if with_padding else (0, self.size)
        positions = np.stack([self.positions(offset) for offset in range(self.kernel)])
        return np.asarray(((positions >= low) & (positions < high)).sum(axis=0))


def max_pool(node: Node) -> Evaluator:
    """The largest of each window, and where it is; the first of equal ones."""

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        x = given(inputs, 0)
        axes = _axes(node, x)
        lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        if len(node.outputs) == 1:
            return (reduce(np.maximum, (window for _, window in _windows(x, axes, lowest))),)
        strides = _strides([axis.size for axis in axes], by_columns=bool(node.get("storage_order", 0)))
        largest: Any = None
        found: Any = None
        for offsets, window in _windows(x, axes, lowest):
            places = [axis.positions(offset) for axis, offset in zip(axes, offsets, strict=True)]
            inside = _outer(
                [(place >= 0) & (place < axis.size) for axis, place in zip(axes, places, strict=True)],
                np.logical_and,
            )
            index = _outer([place * step for place, step in zip(places, strides, strict=True)], np.add)
            if largest is None:
                largest, found = np.full_like(window, lowest), np.full(window.shape, -1, np.int64)
            better = inside & ((window > largest) | (found < 0))
            largest, found = np.where(better, window, largest), np.where(better, index, found)
        channels = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *[1] * len(axes))
        return largest, np.asarray(found + channels * int(np.prod(x.shape[2:])), np.int64)

    return evaluate


def average_pool(node: Node) -> Evaluator:
    """The mean of each window, with or without the padding that counts as zeros."""
    with_padding = bool(node.get("count_include_pad", 0))

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        x = given(inputs, 0)
        axes = _axes(node, x)
        total = reduce(np.add, (window for _, window in _windows(x, axes, 0)))
        count = _outer([axis.counted(with_padding=with_padding) for axis in axes], np.multiply)
        return (np.asarray(total / np.maximum(count, 1).astype(x.dtype), x.dtype),)

    return evaluate


def lp_pool(node: Node) -> Evaluator:
    """The p-norm of each window."""
    order = node.get("p", 2)

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        x = given(inputs, 0)
        powers = np.abs(x) ** order
        total = reduce(np.add, (window for _, window in _windows(powers, _axes(node, x), 0)))
        return (np.asarray(total ** (1 / order), x.dtype),)

    return evaluate


def _axes(node: Node, x: Tensor) -> list[_Axis]:
    kernel = node.get("kernel_shape")
    rank = len(kernel)
    ones = [1] * rank
    strides, dilations = node.get("strides", ones), node.get("dilations", ones)
    pads = node.get("pads", [0] * 2 * rank)
    axes = []
    for axis, size in enumerate(x.shape[2:]):
        window = (kernel[axis] - 1) * dilations[axis] + 1
        before, after = pads[axis], pads[rank + axis]
        mode = node.get("auto_pad", "NOTSET")
        if mode != "NOTSET":
            before, after = _automatic(mode, size, window, strides[axis])
        room = size + before + after - window
        places = room // strides[axis] + 1
        if mode == "NOTSET" and node.get("ceil_mode", 0):
            places = -(-room // strides[axis]) + 1
            if (places - 1) * strides[axis] >= size + before:
                places -= 1  # a window that begins in the padding behind is left out
        axes.append(_Axis(size, kernel[axis], strides[axis], dilations[axis], before, after, places))
    return axes


def _automatic(mode: str, size: int, window: int, stride: int) -> tuple[int, int]:
    """Padding that gives size / stride places, rounded up; none for VALID. `ceil_mode` has no part in it."""
    if not mode.startswith("SAME"):
        return 0, 0
    missing = max((-(-size // stride) - 1) * stride + window - size, 0)
    edges = missing // 2, missing - missing // 2
    return edges[::-1] if mode == "SAME_LOWER" else edges


def _windows(x: Tensor, axes: Sequence[_Axis], fill: float) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """For each place of the kernel its element of every window, and which place it is."""
    ends = [
        max(
            (axis.places - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1 - axis.size - axis.before,
            0,
        )
        for axis in axes
    ]
    edges = [(0, 0), (0, 0), *((axis.before, end) for axis, end in zip(axes, ends, strict=True))]
    if any(before or end for before, end in edges):
        x = np.pad(x, edges, constant_values=fill)
    for offsets in product(*(range(axis.kernel) for axis in axes)):
        starts = [offset * axis.dilation for offset, axis in zip(offsets, axes, strict=True)]
        yield (
            offsets,
            x[
                :,
                :,
                *(
                    slice(start, start + (axis.places - 1) * axis.stride + 1, axis.stride)
                    for start, axis in zip(starts, axes, strict=True)
                ),
            ],
        )


def _outer(vectors: Sequence[Tensor], function: Any) -> Any:
    """A function of one element of each vector, for all of them."""
    return reduce(lambda whole, vector: function(whole[..., None], vector), vectors)


def _strides(sizes: Sequence[int], *, by_columns: bool) -> list[int]:
    """How far apart neighbours along each axis are, in rows or in columns."""
    order = list(range(len(sizes))) if by_columns else list(range(len(sizes)))[::-1]
    steps, step = [0] * len(sizes), 1
    for axis in order:
        steps[axis], step = step, step * sizes[axis]
    return steps
