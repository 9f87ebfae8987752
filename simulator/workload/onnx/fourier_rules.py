"""Fourier transforms as products with a matrix of cosines and sines, which is how an array computes them."""

from __future__ import annotations

import numpy as np

from simulator.workload.onnx.builder import Builder, UnsupportedError
from simulator.workload.onnx.graph import OWN_DOMAIN, Node, Tensor
from simulator.workload.onnx.matrix_rules import write_matmul


def dft(builder: Builder, node: Node) -> None:
    """A transform along one axis; the last dimension is 1 (real) or 2 (real and imaginary part)."""
    x = node.inputs[0]
    shape = builder.shape(x)
    rank = len(shape)
    axis = _axis(builder, node, rank)
    length = builder.value(node.input(1))
    if node.input(1) and length is None:
        raise UnsupportedError("a length that depends on data")
    inverse, onesided = bool(node.get("inverse", 0)), bool(node.get("onesided", 0))
    to_real = inverse and onesided
    own = 2 * (shape[axis] - 1) if to_real else shape[axis]
    size = own if length is None else int(length.reshape(-1)[0])
    entering = size // 2 + 1 if to_real else size
    x = _fitted(builder, x, axis, entering)
    # The transformed axis goes next to the last, so that real and imaginary parts are one row.
    others = [each for each in range(rank) if each not in (axis, rank - 1)]
    order = (*others, axis, rank - 1)
    rows = builder.op("Transpose", x, perm=order)
    lead = tuple(shape[each] for each in order[:-2])
    flat = builder.op("Reshape", rows, builder.integers(*lead, entering * shape[-1]))
    bins = size // 2 + 1 if onesided and not inverse else size
    if to_real:
        matrix = _real_inverse(size, parts=shape[-1])
    else:
        matrix = _matrix(size, bins, parts=shape[-1], inverse=inverse)
    sums = write_matmul(builder, flat, builder.constant(matrix))
    split = builder.op("Reshape", sums, builder.integers(*lead, bins, 1 if to_real else 2))
    back = tuple(order.index(each) for each in range(rank))
    builder.ops("Transpose", split, outputs=[node.outputs[0]], perm=back)


def stft(builder: Builder, node: Node) -> None:
    """Windows of a signal, each transformed: signal, frame step, window, frame length."""
    signal = node.inputs[0]
    shape = builder.shape(signal)
    step = builder.value(node.inputs[1])
    length = builder.value(node.input(3)) if node.input(3) else None
    if step is None or (node.input(3) and length is None):
        raise UnsupportedError("a frame step or length that depends on data")
    size = int(length.reshape(-1)[0]) if length is not None else builder.shape(node.inputs[2])[0]
    parts = shape[2] if len(shape) == 3 else 1
    if len(shape) == 2:
        signal = builder.op("Unsqueeze", signal, builder.integers(2))
    frames = builder.op(
        "Windows",
        signal,
        domain=OWN_DOMAIN,
        axis=1,
        window=size,
        stride=int(step.reshape(-1)[0]),
        dilation=1,
        before=0,
        after=0,
    )
    if node.input(2):
        weights = builder.op("Reshape", node.inputs[2], builder.integers(size, 1))
        frames = builder.op("Mul", frames, weights)
    batch, count = builder.shape(frames)[:2]
    flat = builder.op("Reshape", frames, builder.integers(batch, count, size * parts))
    bins = size // 2 + 1 if node.get("onesided", 1) else size
    matrix = builder.constant(_matrix(size, bins, parts=parts, inverse=False))
    sums = write_matmul(builder, flat, matrix)
    builder.ops("Reshape", sums, builder.integers(batch, count, bins, 2), outputs=[node.outputs[0]])


def _axis(builder: Builder, node: Node, rank: int) -> int:
    """Operator set 20 made the axis an operand; without one it is the last but one."""
    if node.version < 20:
        axis = node.get("axis", 1)
    elif node.input(2):
        value = builder.value(node.input(2))
        if value is None:
            raise UnsupportedError("an axis that depends on data")
        axis = int(value.reshape(-1)[0])
    else:
        axis = -2
    return int(axis) % rank


def _fitted(builder: Builder, name: str, axis: int, size: int) -> str:
    """A signal cut off or filled up with zeros to the length of the transform."""
    shape = builder.shape(name)
    if shape[axis] == size:
        return name
    if shape[axis] > size:
        return builder.op("Slice", name, builder.integers(0), builder.integers(size), builder.integers(axis))
    pads = [0] * (2 * len(shape))
    pads[len(shape) + axis] = size - shape[axis]
    return builder.op("Pad", name, builder.integers(*pads))


def _real_inverse(size: int, *, parts: int) -> Tensor:
    """[bins x parts, size]: half a spectrum to the real signal whose other half is its mirror image."""
    bins = np.arange(size // 2 + 1)
    angles = 2 * np.pi * (bins[:, None] * np.arange(size)[None] % size) / size
    times = np.where((bins == 0) | (2 * bins == size), 1.0, 2.0)[:, None] / size
    rows = np.stack([times * np.cos(angles), -times * np.sin(angles)][:parts], axis=1)
    return rows.reshape(-1, size).astype(np.float32)


def _matrix(size: int, bins: int, *, parts: int, inverse: bool) -> Tensor:
    """[size x parts, bins x 2]: rows are samples (real, imaginary), columns are bins (real, imaginary)."""
    angles = 2 * np.pi * (np.arange(size)[:, None] * np.arange(bins)[None] % size) / size
    cosines, sines = np.cos(angles), np.sin(angles) * (1 if inverse else -1)
    scale = 1 / size if inverse else 1.0
    matrix = np.empty((size, parts, bins, 2))
    matrix[:, 0, :, 0], matrix[:, 0, :, 1] = cosines, sines
    if parts == 2:
        matrix[:, 1, :, 0], matrix[:, 1, :, 1] = -sines, cosines
    return (matrix.reshape(size * parts, bins * 2) * scale).astype(np.float32)
