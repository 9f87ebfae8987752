"""A convolution as matrix products: what an array computes for each group.

The reduction runs over channel, then kernel row, then kernel column, the order of a filter's own memory.
Rows of the product run over image, then output row, then output column. All functions move codes and never
look at them, so any dtype will do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from simulator.workload.layer import Convolution

Code = TypeVar("Code", bound=np.generic)

_GATHERED = 1 << 20
"""Elements of one image's left operand for one group up to which a table of their places pays."""


def im2col(ifmap: NDArray[Code], convolution: Convolution, *, zero: float | Code = 0) -> NDArray[Code]:
    """The left operand of a convolution's products.

    Args:
        ifmap: [batch, channels, height, width].
        convolution: its geometry.
        zero: the code that padding holds, where the format's zero is not the number 0.

    Returns:
        [groups, M, K], contiguous, dtype of `ifmap`; M = batch x ofmap pixels, K as in `Layer.k`.

    Raises:
        ValueError: the ifmap has not the convolution's shape.
    """
    _require_shape("ifmap", ifmap, (convolution.batch, convolution.channels, *convolution.ifmap))
    top, left, bottom, right = convolution.padding
    if any(convolution.padding):
        edges = ((0, 0), (0, 0), (top, bottom), (left, right))
        ifmap = np.pad(ifmap, edges, constant_values=zero)
    pixels = convolution.ofmap[0] * convolution.ofmap[1]
    channels = convolution.channels // convolution.groups
    if pixels * channels * convolution.kernel[0] * convolution.kernel[1] > _GATHERED:
        return _windows(ifmap, convolution)
    # One gather with the places of a single image is about twice as fast as copying windows.
    places = np.arange(ifmap[0, :channels].size).reshape(1, channels, *ifmap.shape[2:])
    order = _windows(places, replace(convolution, channels=channels, groups=1)).reshape(-1)
    images = ifmap.reshape(convolution.batch, convolution.groups, -1).swapaxes(0, 1)
    rows = np.empty((convolution.groups, convolution.batch, order.size), ifmap.dtype)
    for group, lowered in zip(images, rows, strict=True):
        np.take(group, order, axis=1, out=lowered, mode="clip")
    return rows.reshape(convolution.groups, convolution.batch * pixels, -1)


def _windows(ifmap: NDArray[Code], convolution: Convolution) -> NDArray[Code]:
    """The left operand from the padded ifmap by copying every window."""
    windows = np.lib.stride_tricks.sliding_window_view(ifmap, _extent(convolution), axis=(2, 3))
    stride, dilation = convolution.stride, convolution.dilation
    windows = windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    batch, channels, height, width, kernel_height, kernel_width = windows.shape
    groups = convolution.groups
    split = windows.reshape(batch, groups, channels // groups, height, width, kernel_height, kernel_width)
    rows = split.transpose(1, 0, 3, 4, 2, 5, 6)
    return np.ascontiguousarray(rows).reshape(groups, batch * height * width, -1)


def unfold(image: NDArray[Code], convolution: Convolution) -> NDArray[Code]:
    """The left operand of one image for a convolution without groups, transposed.

    Args:
        image: [channels, height, width].
        convolution: its geometry; padding holds zeros.

    Returns:
        [K, ofmap pixels], contiguous, dtype of `image`: rows are as long as they can be.

    Raises:
        ValueError: the image has not the convolution's shape, or there are groups.
    """
    _require_shape("image", image, (convolution.channels, *convolution.ifmap))
    if convolution.groups != 1:
        raise ValueError(f"only a convolution without groups is one product, got {convolution.groups}")
    top, left, bottom, right = convolution.padding
    if any(convolution.padding):
        channels, height, width = image.shape
        padded = np.zeros((channels, top + height + bottom, left + width + right), image.dtype)
        padded[:, top : top + height, left : left + width] = image
        image = padded
    windows = np.lib.stride_tricks.sliding_window_view(image, _extent(convolution), axis=(1, 2))
    stride, dilation = convolution.stride, convolution.dilation
    windows = windows[:, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    pixels = convolution.ofmap[0] * convolution.ofmap[1]
    return np.ascontiguousarray(windows.transpose(0, 3, 4, 1, 2)).reshape(-1, pixels)


def lower_filters(filters: NDArray[Code], convolution: Convolution) -> NDArray[Code]:
    """The right operand of a convolution's products.

    Args:
        filters: [filters, channels / groups, kernel height, kernel width].
        convolution: its geometry.

    Returns:
        [groups, K, filters / groups], contiguous, dtype of `filters`.

    Raises:
        ValueError: the filters have not the convolution's shape.
    """
    groups = convolution.groups
    shape = (convolution.filters, convolution.channels // groups, *convolution.kernel)
    _require_shape("filters", filters, shape)
    columns = filters.reshape(groups, convolution.filters // groups, -1)
    return np.ascontiguousarray(columns.transpose(0, 2, 1))


def raise_ofmap(products: NDArray[Code], convolution: Convolution) -> NDArray[Code]:
    """The ofmap that the products' results stand for.

    Args:
        products: [groups, M, filters / groups].
        convolution: its geometry.

    Returns:
        [batch, filters, ofmap height, ofmap width], contiguous, dtype of `products`.

    Raises:
        ValueError: the products have not the convolution's shape.
    """
    height, width = convolution.ofmap
    groups, batch = convolution.groups, convolution.batch
    _require_shape("products", products, (groups, batch * height * width, convolution.filters // groups))
    pixels = products.reshape(groups, batch, height, width, -1)
    channels_first = np.ascontiguousarray(pixels.transpose(1, 0, 4, 2, 3))
    return channels_first.reshape(batch, convolution.filters, height, width)


def _extent(convolution: Convolution) -> tuple[int, int]:
    """Height and width that a dilated kernel spans."""
    (kernel_height, kernel_width), (down, across) = convolution.kernel, convolution.dilation
    return down * (kernel_height - 1) + 1, across * (kernel_width - 1) + 1


def _require_shape(name: str, array: NDArray[Code], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
