"""Layers whose input stays as it lies: depthwise convolutions, and those that are one product of an image."""

from __future__ import annotations

from functools import partial
from math import prod

from simulator.inference.layer_products import Product
from simulator.numerics.engines import depthwise
from simulator.numerics.engines.pointwise import Columns, as_a_column, as_they_lie
from simulator.workload.lowering import unfold


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


def columns_of(product: Product, shape: tuple[int, ...]) -> Columns | None:
    """What makes the right operand [K, pixels] of one image of an input of this shape [batch, ...].

    None for products that are no convolutions with weights and without groups, and where the pixels are too
    few to be rows of a product. A pointwise convolution takes its channels as they lie. A fully connected
    layer of one row, whose weights take longer to read than to multiply, is a column.
    """
    window = product.window
    if product.weights is None or len(product.weights) > 1:
        return None
    if window is None:
        return as_a_column if len(shape) > 1 and prod(shape[:-1]) == 1 else None
    convolution = window.over((1, *shape[1:]))
    if convolution.ofmap[0] * convolution.ofmap[1] < FEWEST_PIXELS:
        return None
    if window.kernel == (1, 1) and window.stride == (1, 1) and not any(convolution.padding):
        return as_they_lie
    return partial(unfold, convolution=convolution)
