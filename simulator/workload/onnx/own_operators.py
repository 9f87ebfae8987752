"""Operators that only lowering writes, in the domain `systolic`: their sizes and their values in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from simulator.workload.onnx.evaluator import Evaluator, given
from simulator.workload.onnx.graph import Node, Shape, Tensor

Element = np.dtype[np.generic]


def _as_data(_node: Node) -> Evaluator:
    """The first operand. The second makes it count as data, so that products with it are not folded."""
    return lambda inputs: (given(inputs, 0),)


def _round_to_integer(_node: Node) -> Evaluator:
    """The nearest integers, as int32: what an integer product gives, after an arithmetic that may round."""
    return lambda inputs: (np.rint(given(inputs, 0)).astype(np.int32),)


def _col2im(node: Node) -> Evaluator:
    """Sums of overlapping blocks: [B, C x block, positions] to [B, C, *image].

    Block `p` starts at `p * strides - pads`; its places are `dilations` apart. What falls outside is cut off.
    """
    image, positions = node.get("image"), node.get("positions")
    block, strides, dilations, pads = (node.get(name) for name in ("block", "strides", "dilations", "pads"))

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        columns = given(inputs, 0)
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


def _deformed_windows(node: Node) -> Evaluator:
    """What a deformable convolution multiplies: [N, C x kernel, places], bilinear samples times a mask.

    Operands: images [N, C, H, W], offsets [N, groups x kernel x 2, OH, OW], and a mask
    [N, groups x kernel, OH, OW] where there is one. Positions outside the image are zero.
    """
    kernel, strides, dilations, pads, groups = (
        node.get(name) for name in ("kernel_shape", "strides", "dilations", "pads", "offset_group")
    )

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        x, offsets = given(inputs, 0), given(inputs, 1)
        batch, channels = x.shape[:2]
        out_h, out_w = offsets.shape[2:]
        taps = prod(kernel)
        shifts = offsets.reshape(batch, groups, taps, 2, out_h, out_w)
        mask = inputs[2].reshape(batch, groups, taps, out_h, out_w) if inputs[2:] else None  # type: ignore[union-attr]
        columns = np.empty((batch, channels, taps, out_h, out_w), np.float32)
        for tap, (row, column) in enumerate(np.ndindex(*kernel)):
            top = np.arange(out_h) * strides[0] - pads[0] + row * dilations[0]
            left = np.arange(out_w) * strides[1] - pads[1] + column * dilations[1]
            for group in range(groups):
                part = slice(group * channels // groups, (group + 1) * channels // groups)
                y = top[:, None] + shifts[:, group, tap, 0]
                z = left[None, :] + shifts[:, group, tap, 1]
                samples = _bilinear(x[:, part], y, z)
                columns[:, part, tap] = samples if mask is None else samples * mask[:, None, group, tap]
        return (columns.reshape(batch, channels * taps, out_h * out_w),)

    return evaluate


def _bilinear(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Samples of [N, C, H, W] at [N, places]: the four pixels around, by their distance."""
    batch, _, height, width = x.shape
    low_row, low_column = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    images = np.arange(batch).reshape(-1, *[1] * (rows.ndim - 1))
    total: Any = 0.0
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        at_row, at_column = low_row + row, low_column + column
        weight = (1 - np.abs(rows - at_row)) * (1 - np.abs(columns - at_column))
        inside = (at_row >= 0) & (at_row < height) & (at_column >= 0) & (at_column < width)
        pixels = x[images, :, np.clip(at_row, 0, height - 1), np.clip(at_column, 0, width - 1)]
        total = total + np.moveaxis(pixels, -1, 1) * (weight * inside)[:, None]
    return np.asarray(total, np.float32)


def _windows(node: Node) -> Evaluator:
    """Windows along one axis: [.., size, ..] to [.., positions, window, ..], padded with zeros."""
    axis, window, stride, dilation, before, after = (
        node.get(name) for name in ("axis", "window", "stride", "dilation", "before", "after")
    )

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        values = given(inputs, 0)
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
        packed, scales, zeros = given(inputs, 0), given(inputs, 1), inputs[2] if len(inputs) > 2 else None
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


def own_shape(node: Node, first: Shape) -> Shape:
    """The size of the result, from that of the first operand."""
    if node.operator == "Col2Im":
        return (first[0], first[1] // prod(node.get("block")), *node.get("image"))
    if node.operator == "DequantizeBlocks":
        return (node.get("K"), node.get("N"))
    if node.operator == "DeformedWindows":
        return (first[0], first[1] * prod(node.get("kernel_shape")), prod(node.get("places")))
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
    "DeformedWindows": _deformed_windows,
    "DequantizeBlocks": _dequantize_blocks,
    "RoundToInteger": _round_to_integer,
    "Windows": _windows,
}
