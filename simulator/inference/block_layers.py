"""Operands of a layer in block-scaled formats: blocks along its input channels, and their products.

A convolution's activations are blocked along the channels of each group at every pixel, its weights along
input channels at every kernel position; both operands of a matrix product along the axis that is summed. A
scale of the tensor is one for each entry along the axis of the inputs, so that no image changes the result of
another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference.layer_products import Product
from simulator.numerics import Mac
from simulator.numerics.array_types import Codes, Tensor
from simulator.numerics.block_scaled import BlockFormat, BlockTensor
from simulator.numerics.engines.block_products import multiply_blocks
from simulator.workload.lowering import im2col


@dataclass(frozen=True)
class BlockWeights:
    """Weights of a layer in a block-scaled format.

    Attributes:
        elements: element codes [groups, N, positions, channels].
        scales: scale codes [groups, N, positions, blocks].
        tensor_scale: float32, 1 in formats without one.
    """

    elements: Codes
    scales: Codes
    tensor_scale: np.float32

    def of_group(self, group: int) -> BlockTensor:
        """The weights of one group."""
        return BlockTensor(self.elements[group], self.scales[group], self.tensor_scale)

    @property
    def codes(self) -> Codes:
        """Element codes as products take them, [groups, K, N]: channel by channel."""
        groups, columns, positions, channels = self.elements.shape
        by_channel = self.elements.transpose(0, 3, 2, 1)
        return np.ascontiguousarray(by_channel).reshape(groups, channels * positions, columns)


@dataclass(frozen=True)
class BlockActivations:
    """A left or a computed right operand: rows of blocks by group.

    Attributes:
        elements: [groups, rows, positions, channels].
        scales: [groups, rows, positions, blocks].
        tensor_scales: float32 that broadcast to [groups, rows].
        codes: element codes in the shape of the input tensor.
        saturated, underflowed: of the input tensor's values.
    """

    elements: Codes
    scales: Codes
    tensor_scales: NDArray[np.float32]
    codes: Codes
    saturated: int
    underflowed: int

    def of_group(self, group: int) -> BlockTensor:
        """One group's rows."""
        return BlockTensor(self.elements[group], self.scales[group])


def block_weights(product: Product, fmt: BlockFormat) -> BlockWeights:
    """The weights of a layer, which has some."""
    assert product.weights is not None
    groups, length, columns = product.weights.shape
    positions = _positions(product)
    apart = product.weights.reshape(groups, length // positions, positions, columns)
    found = fmt.encode(apart.transpose(0, 3, 2, 1))
    return BlockWeights(found.elements, found.scales, found.tensor_scale)


def block_activations(product: Product, fmt: BlockFormat, activations: Tensor) -> BlockActivations:
    """The left operand of a layer from its input tensor."""
    if product.window is None:
        found = _encoded(fmt, activations, product.input_axis)
        elements, scales = (
            _as_rows(part, batched=product.batched) for part in (found.elements, found.scales)
        )
        rows = _row_scales(found, activations.shape, batched=product.batched)
        return _operand(found, elements, scales, rows, found.elements)
    window = product.window.over(activations.shape)
    groups, positions = window.groups, _positions(product)
    channels = window.channels // groups
    batch, _, height, width = activations.shape
    apart = activations.reshape(batch, groups, channels, height, width)
    found = _encoded(fmt, np.moveaxis(apart, 2, -1), 0)
    elements, scales = (
        np.ascontiguousarray(np.moveaxis(part, -1, 2)).reshape(batch, -1, height, width)
        for part in (found.elements, found.scales)
    )
    zero = int(fmt.element_format.encode(0.0))
    blocks = found.scales.shape[-1]
    lowered = im2col(elements, window, zero=zero)
    of_scales = im2col(scales, replace(window, channels=groups * blocks))
    each = np.broadcast_to(found.scales_of_entries.reshape(1, -1), (1, batch))
    rows = np.repeat(each, lowered.shape[1] // batch, axis=1)
    return _operand(
        found,
        _by_position(lowered, channels, positions),
        _by_position(of_scales, blocks, positions),
        rows,
        elements,
    )


def block_second(product: Product, fmt: BlockFormat, second: Tensor) -> BlockActivations:
    """A computed right operand [..., K, N], blocked along K; its rows are the product's columns."""
    if product.window is not None:
        raise UserError(
            "a convolution with computed filters has no block scales",
            location=product.name,
            value=fmt.name,
            allowed="a MAC without block scales for this layer",
        )
    turned = np.swapaxes(second, -1, -2)
    found = _encoded(fmt, turned, product.input_axis if turned.ndim > 2 else None)
    elements, scales = (_as_rows(part, batched=True) for part in (found.elements, found.scales))
    rows = _row_scales(found, turned.shape, batched=True)
    return _operand(found, elements, scales, rows, np.swapaxes(found.elements, -1, -2))


def block_sums(mac: Mac, a: BlockActivations, w: BlockWeights | BlockActivations) -> NDArray[np.uint32]:
    """float32 patterns [groups, M, N] of all sums, scales of whole tensors included."""
    formats, rule = mac.block_formats, mac.accumulator.sum_rule
    assert formats is not None
    assert rule is not None
    groups = range(len(a.elements))
    sums = np.stack(
        [multiply_blocks(formats[0], a.of_group(at), formats[1], w.of_group(at), rule=rule) for at in groups]
    )
    if not formats[0].tensor_scale:
        return sums
    columns = w.tensor_scales[:, None, :] if isinstance(w, BlockActivations) else w.tensor_scale
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(a.tensor_scales[:, :, None] * columns * sums.view(np.float32)).view(np.uint32)


@dataclass(frozen=True)
class _Encoded:
    elements: Codes
    scales: Codes
    scales_of_entries: NDArray[np.float32]
    saturated: int
    underflowed: int


def _encoded(fmt: BlockFormat, values: Tensor, axis: int | None) -> _Encoded:
    """A tensor, with a scale of its own for each entry along an axis where the format has one."""
    if not fmt.tensor_scale or axis is None:
        found = fmt.encode(values)
        scales = np.full((1,) * values.ndim, found.tensor_scale, np.float32)
        return _Encoded(found.elements, found.scales, scales, found.saturated, found.underflowed)
    entries = [fmt.encode(entry) for entry in np.moveaxis(values, axis, 0)]
    shape = [1] * values.ndim
    shape[axis] = len(entries)
    return _Encoded(
        np.stack([entry.elements for entry in entries], axis=axis),
        np.stack([entry.scales for entry in entries], axis=axis),
        np.array([entry.tensor_scale for entry in entries], np.float32).reshape(shape),
        sum(entry.saturated for entry in entries),
        sum(entry.underflowed for entry in entries),
    )


def _operand(
    found: _Encoded, elements: Codes, scales: Codes, tensor_scales: NDArray[np.float32], codes: Codes
) -> BlockActivations:
    return BlockActivations(elements, scales, tensor_scales, codes, found.saturated, found.underflowed)


def _positions(product: Product) -> int:
    """Kernel positions of a convolution, which end blocks; 1 of a matrix product."""
    return 1 if product.window is None else product.window.kernel[0] * product.window.kernel[1]


def _as_rows(tensor: NDArray[Any], *, batched: bool) -> NDArray[Any]:
    """[..., rows, K] as [groups, rows, 1, K]: a group for each leading dimension, or all rows in one."""
    rows = tensor.shape[-2] if batched else -1
    groups = -1 if batched else 1
    return np.ascontiguousarray(tensor).reshape(groups, rows, 1, tensor.shape[-1])


def _row_scales(found: _Encoded, shape: tuple[int, ...], *, batched: bool) -> NDArray[np.float32]:
    """The tensor's scale of every row, [groups, rows]."""
    each = np.broadcast_to(found.scales_of_entries, (*shape[:-1], 1))
    return np.asarray(_as_rows(each, batched=batched)[..., 0, 0])


def _by_position(lowered: Codes, channels: int, positions: int) -> Codes:
    """[groups, M, channels x positions] as [groups, M, positions, channels]."""
    apart = lowered.reshape(*lowered.shape[:2], channels, positions)
    return np.ascontiguousarray(np.swapaxes(apart, -1, -2))
