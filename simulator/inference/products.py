"""Conv, Gemm and MatMul as the groups of matrix products that an array computes, and back to tensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.workload.layer import Convolution
from simulator.workload.lowering import im2col, lower_filters, raise_ofmap

Tensor = NDArray[Any]
Code = TypeVar("Code", bound=np.generic)
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """What a convolution's attributes say; sizes of the ifmap come with the tensor."""

    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] | Literal["SAME_UPPER", "SAME_LOWER"]
    dilation: tuple[int, int]
    groups: int

    @lru_cache(maxsize=4096)  # noqa: B019 - of values alone
    def over(self, shape: Shape) -> Convolution:
        """The convolution of an ifmap of shape batch x channels x height x width."""
        padding = self.padding
        return Convolution(
            batch=shape[0],
            channels=shape[1],
            filters=self.filters,
            ifmap=(shape[2], shape[3]),
            kernel=self.kernel,
            stride=self.stride,
            padding=self._same(shape[2:]) if isinstance(padding, str) else padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def _same(self, sizes: Shape) -> tuple[int, int, int, int]:
        before, after = [], []
        for size, kernel, stride, dilation in zip(
            sizes, self.kernel, self.stride, self.dilation, strict=True
        ):
            total = max(0, (-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size)
            upper = self.padding == "SAME_UPPER"
            before.append(total // 2 if upper else total - total // 2)
            after.append(total - before[-1])
        return before[0], before[1], after[0], after[1]


@dataclass(frozen=True, slots=True)
class Product:
    """One layer for the array: groups of M x K times K x N.

    `activation` names the tensor of the left operand, `second` that of a computed right operand (attention).
    `weights` are [groups, K, N per group], float32, or None when `second` is given; `bias` is [N over all
    groups] or None. A computed tensor multiplied from the left by weights is `transposed`.
    """

    name: str
    kind: Literal["conv", "fc", "matmul"]
    activation: str
    second: str | None = None
    weights: NDArray[np.float32] | None = None
    bias: NDArray[np.float32] | None = None
    window: Window | None = None
    transposed: bool = False

    @property
    def channels(self) -> int:
        """Output channels over all groups of a layer with weights."""
        assert self.weights is not None
        return int(self.weights.shape[0] * self.weights.shape[2])

    def lower(self, activations: NDArray[Code], *, zero: float = 0) -> NDArray[Code]:
        """The left operand [groups, M, K] from the layer's input tensor; `zero` is what padding holds."""
        if self.window is not None:
            return im2col(activations, self.window.over(activations.shape), zero=zero)
        if self.transposed:
            activations = np.swapaxes(activations, -1, -2)
        if self.weights is not None:
            return np.ascontiguousarray(activations).reshape(1, -1, activations.shape[-1])
        return np.ascontiguousarray(activations).reshape(-1, *activations.shape[-2:])

    def lower_second(self, second: NDArray[Code], activations: Shape) -> NDArray[Code]:
        """The right operand [groups, K, N] from a computed tensor, repeated for all left groups."""
        full = np.broadcast_to(second, (*activations[:-2], *second.shape[-2:]))
        return np.ascontiguousarray(full).reshape(-1, *second.shape[-2:])

    def raise_output(self, products: NDArray[Code], activations: Shape) -> NDArray[Code]:
        """The layer's output tensor from [groups, M, N], for an input tensor of shape `activations`."""
        if self.window is not None:
            return raise_ofmap(products, self.window.over(activations))
        if self.transposed:
            leading = (*activations[:-2], activations[-1])
            return np.swapaxes(products.reshape(*leading, products.shape[-1]), -1, -2)
        return products.reshape(*activations[:-1], products.shape[-1])

    def output_shape(self, activations: Shape) -> Shape:
        """The shape of a convolution's output tensor for an input tensor of shape `activations`."""
        assert self.window is not None
        convolution = self.window.over(activations)
        return (convolution.batch, convolution.filters, *convolution.ofmap)

    def per_channel(self, values: NDArray[Code]) -> NDArray[Code]:
        """One value for each output channel in the shape [groups, 1, N per group] of the products."""
        assert self.weights is not None
        return values.reshape(self.weights.shape[0], 1, self.weights.shape[2])


def product_of(node: Any, constants: Mapping[str, Tensor], computed: Collection[str], path: Path) -> Product:
    """The product that a Conv, Gemm or MatMul node computes.

    Raises:
        UserError: convolution weights that are not constant, or a form of the operator that is not supported.
    """
    if node.op_type == "Conv":
        return _convolution(node, constants, path)
    if node.op_type == "Gemm":
        return _gemm(node, constants, path)
    return _matmul(node, constants, computed, path)


def _convolution(node: Any, constants: Mapping[str, Tensor], path: Path) -> Product:
    weights = _constant(node, 1, constants, path)
    attributes = _attributes(node)
    if weights.ndim != 4:
        raise UserError(
            "only two-dimensional convolutions have numerics",
            source=path,
            location=node.name,
            value=weights.ndim - 2,
        )
    mode = attributes.get("auto_pad", b"NOTSET").decode()
    same: Literal["SAME_UPPER", "SAME_LOWER"] | None = (
        "SAME_UPPER" if mode == "SAME_UPPER" else "SAME_LOWER" if mode == "SAME_LOWER" else None
    )
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0)) if mode == "NOTSET" else (0, 0, 0, 0)
    window = Window(
        filters=weights.shape[0],
        kernel=_pair(weights.shape[2:]),
        stride=_pair(attributes.get("strides", (1, 1))),
        padding=same or (top, left, bottom, right),
        dilation=_pair(attributes.get("dilations", (1, 1))),
        groups=attributes.get("group", 1),
    )
    # Only the kernel matters for the filters' layout; the ifmap is as small as it may be.
    extent = tuple(d * (k - 1) + 1 for k, d in zip(window.kernel, window.dilation, strict=True))
    smallest = window.over((1, weights.shape[1] * window.groups, *extent))
    return Product(
        node.name,
        "conv",
        node.input[0],
        weights=lower_filters(weights.astype(np.float32), smallest),
        bias=_bias(node, constants, path),
        window=window,
    )


def _gemm(node: Any, constants: Mapping[str, Tensor], path: Path) -> Product:
    attributes = _attributes(node)
    weights = _constant(node, 1, constants, path)
    if attributes.get("transA"):
        raise UserError(
            "Gemm with a transposed left operand has no numerics", source=path, location=node.name
        )
    weights = weights.T if attributes.get("transB") else weights
    bias = _bias(node, constants, path)
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1) * np.float32(attributes.get("beta", 1.0)), weights.shape[1:])
    scaled = np.ascontiguousarray(weights * np.float32(attributes.get("alpha", 1.0)), np.float32)
    return Product(node.name, "fc", node.input[0], weights=scaled[None], bias=bias)


def _matmul(node: Any, constants: Mapping[str, Tensor], computed: Collection[str], path: Path) -> Product:
    first, second = node.input[:2]
    if first in computed and second in computed:
        return Product(node.name, "matmul", first, second=second)
    transposed = second in computed
    weights = constants[first if transposed else second].astype(np.float32)
    if weights.ndim < 2:
        raise UserError("a product with a vector has no numerics", source=path, location=node.name)
    if prod(weights.shape[:-2]) != 1:
        raise UserError("a batch of weight matrices has no numerics", source=path, location=node.name)
    matrix = weights.reshape(weights.shape[-2:])
    return Product(
        node.name,
        "fc",
        second if transposed else first,
        weights=np.ascontiguousarray(matrix.T if transposed else matrix)[None],
        bias=_bias(node, constants, path),
        transposed=transposed,
    )


def _constant(node: Any, position: int, constants: Mapping[str, Tensor], path: Path) -> Tensor:
    name = node.input[position]
    if name not in constants:
        raise UserError("weights are not in the file", source=path, location=node.name, value=name)
    return constants[name]


def _bias(node: Any, constants: Mapping[str, Tensor], path: Path) -> NDArray[np.float32] | None:
    if len(node.input) < 3 or not node.input[2]:
        return None
    return _constant(node, 2, constants, path).astype(np.float32)


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _pair(sizes: Any) -> tuple[int, int]:
    height, width = sizes
    return int(height), int(width)
