"""Layers whose input need not be lowered: depthwise convolutions, as the engines take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.inference.layer_products import Product, Window
from simulator.numerics.array_types import Tensor
from simulator.numerics.engines import depthwise


@dataclass(frozen=True, slots=True)
class DirectDepthwise:
    """A depthwise convolution of a layer's own input tensor."""

    layer: Window
    window: depthwise.Window

    def padded(self, tensor: Tensor, zero: float) -> Tensor:
        """The input [batch, channels, height, width] with `zero` around it."""
        top, left, bottom, right = self.layer.over(tensor.shape).padding
        if not (top or left or bottom or right):
            return np.ascontiguousarray(tensor)
        batch, channels, height, width = tensor.shape
        shape = (batch, channels, height + top + bottom, width + left + right)
        around = np.full(shape, zero, tensor.dtype)
        around[:, :, top : top + height, left : left + width] = tensor
        return around


def depthwise_window(product: Product) -> DirectDepthwise | None:
    """The depthwise convolution that a product is; None for products of any other kind."""
    window, weights = product.window, product.weights
    if window is None or weights is None or window.groups == 1:
        return None
    if window.groups != window.filters or weights.shape[1] != window.kernel[0] * window.kernel[1]:
        return None
    return DirectDepthwise(window, depthwise.Window(window.kernel, window.stride, window.dilation))


FEWEST_PIXELS = 32
"""Rows of fewer pixels do not fill vectors: such layers are lowered."""


def is_pointwise(product: Product, shape: tuple[int, ...]) -> bool:
    """Whether a product is a 1 x 1 convolution of all channels at every pixel of an input of this shape.

    Not so where the pixels are too few to be rows of a product.
    """
    window = product.window
    if window is None or product.weights is None or window.groups != 1 or window.kernel != (1, 1):
        return False
    plain = window.stride == (1, 1) and not any(window.over(shape).padding)
    return plain and shape[2] * shape[3] >= FEWEST_PIXELS


def channels_first(tensor: Tensor) -> Tensor:
    """An input tensor as [batch, channels, pixels]."""
    return np.ascontiguousarray(tensor).reshape(*tensor.shape[:2], -1)
