"""Layers whose input need not be lowered: depthwise convolutions, as the engines take them."""

from __future__ import annotations

import numpy as np

from simulator.inference.layer_products import Product
from simulator.numerics.array_types import Tensor
from simulator.numerics.engines import depthwise


def depthwise_window(product: Product, shape: tuple[int, ...]) -> depthwise.Window | None:
    """The depthwise convolution that a product is of an input of this shape; None for any other kind."""
    window, weights = product.window, product.weights
    if window is None or weights is None or window.groups == 1:
        return None
    if window.groups != window.filters or weights.shape[1] != window.kernel[0] * window.kernel[1]:
        return None
    padding = window.over(shape).padding
    return depthwise.Window(window.kernel, window.stride, window.dilation, padding)


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
