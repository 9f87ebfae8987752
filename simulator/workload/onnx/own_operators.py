"""Operators that only lowering writes, in the domain `systolic`: their sizes and their values in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from simulator.workload.onnx.graph import Node, Shape, Tensor

Evaluator = Callable[[Sequence[Tensor | None]], Sequence[Tensor]]
Element = np.dtype[np.generic]


def _as_data(_node: Node) -> Evaluator:
    """The first operand. The second makes it count as data, so that products with it are not folded."""
    return lambda inputs: (_given(inputs, 0),)


def _round_to_integer(_node: Node) -> Evaluator:
    """The nearest integers, as int32: what an integer product gives, after an arithmetic that may round."""
    return lambda inputs: (np.rint(_given(inputs, 0)).astype(np.int32),)


def _col2im(node: Node) -> Evaluator:
    """Sums of overlapping blocks: [B, C x block, positions] to [B, C, *image].

    Block `p` starts at `p * strides - pads`; its places are `dilations` apart. What falls outside is cut off.
    """
    image, positions = node.get("image"), node.get("positions")
    block, strides, dilations, pads = (node.get(name) for name in ("block", "strides", "dilations", "pads"))

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        columns = _given(inputs, 0)
        channels = columns.shape[1] // prod(block)
        blocks = columns.reshape(len(columns), channels, *block, *positions)
        extents = [
            max((count - 1) * stride + (size - 1) * dilation + 1, pad + out)
            for count, stride, size, dilation, pad, out in zip(
                positions, strides, block, dilations, pads, image, strict=True
            )
        ]
        padded = np.zeros((len(columns), channels, *extents), columns.dtype)
        for place in np.ndindex(*block):
            target: tuple[Any, ...] = tuple(
                slice(offset * dilation, offset * dilation + (count - 1) * stride + 1, stride)
                for offset, dilation, count, stride in zip(place, dilations, positions, strides, strict=True)
            )
            padded[(..., *target)] += blocks[(slice(None), slice(None), *place)]
        inside: tuple[Any, ...] = tuple(slice(pad, pad + out) for pad, out in zip(pads, image, strict=True))
        return (np.ascontiguousarray(padded[(..., *inside)]),)

    return evaluate


def _windows(node: Node) -> Evaluator:
    """Windows along one axis: [.., size, ..] to [.., positions, window, ..], padded with zeros."""
    axis, window, stride, dilation, before, after = (
        node.get(name) for name in ("axis", "window", "stride", "dilation", "before", "after")
    )

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        values = _given(inputs, 0)
        edges = [(0, 0)] * values.ndim
        edges[axis] = (before, after)
        padded = np.pad(values, edges)
        positions = (padded.shape[axis] - dilation * (window - 1) - 1) // stride + 1
        places = np.arange(positions)[:, None] * stride + np.arange(window)[None] * dilation
        return (np.take(padded, places, axis=axis),)

    return evaluate


def _dequantize_blocks(node: Node) -> Evaluator:
    """Weights of `MatMulNBits`: packed codes [N, blocks, bytes], scales and zero points, to [K, N] float32.

    Codes stand in a byte lowest bits first. Without zero points the middle of the range is zero.
    """
    bits, size, k, n = (node.get(name) for name in ("bits", "block_size", "K", "N"))
    blocks = -(-k // size)

    def unpacked(packed: Tensor, codes: int) -> Tensor:
        stream = np.unpackbits(packed.reshape(n, -1), axis=1, bitorder="little")
        used = stream[:, : stream.shape[1] // bits * bits].reshape(n, -1, bits)[:, :codes]
        return np.asarray(used.astype(np.int32) @ (1 << np.arange(bits)))

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        packed, scales, zeros = _given(inputs, 0), _given(inputs, 1), inputs[2] if len(inputs) > 2 else None
        codes = unpacked(packed, blocks * size).reshape(n, blocks, size)
        if zeros is None:
            zero: Tensor = np.full((n, blocks), 1 << (bits - 1), np.float32)
        elif zeros.dtype == np.uint8:
            zero = unpacked(zeros, blocks)
        else:
            zero = zeros.reshape(n, blocks)
        real = (codes - zero[..., None].astype(np.float32)) * scales.reshape(n, blocks, 1).astype(np.float32)
        return (np.ascontiguousarray(real.reshape(n, -1)[:, :k].T, np.float32),)

    return evaluate


def _given(inputs: Sequence[Tensor | None], position: int) -> Tensor:
    value = inputs[position]
    assert value is not None
    return value


def own_shape(node: Node, first: Shape) -> Shape:
    """The size of the result, from that of the first operand."""
    if node.operator == "Col2Im":
        return (first[0], first[1] // prod(node.get("block")), *node.get("image"))
    if node.operator == "DequantizeBlocks":
        return (node.get("K"), node.get("N"))
    if node.operator == "Windows":
        axis, window, stride, dilation = (node.get(name) for name in ("axis", "window", "stride", "dilation"))
        padded = first[axis] + node.get("before") + node.get("after")
        positions = (padded - dilation * (window - 1) - 1) // stride + 1
        return (*first[:axis], positions, window, *first[axis + 1 :])
    return first


def own_element(node: Node, first: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """The element type of the result."""
    if node.operator == "RoundToInteger":
        return np.dtype(np.int32)
    return np.dtype(np.float32) if node.operator == "DequantizeBlocks" else first


OWN_EVALUATORS: Mapping[str, Callable[[Node], Evaluator]] = {
    "AsData": _as_data,
    "Col2Im": _col2im,
    "DequantizeBlocks": _dequantize_blocks,
    "RoundToInteger": _round_to_integer,
    "Windows": _windows,
}
