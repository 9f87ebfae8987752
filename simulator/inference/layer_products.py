"""Conv and MatMul as the groups of matrix products that an array computes, and back to tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.numerics.array_types import Tensor
from simulator.workload.layer import Convolution
from simulator.workload.lowering import im2col, lower_filters, raise_ofmap
from simulator.workload.onnx.graph import Constant, Node

Code = TypeVar("Code", bound=np.generic)
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """What a convolution's attributes say; sizes of the ifmap come with the tensor."""

    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int

    @lru_cache(maxsize=4096)  # noqa: B019 - of values alone
    def over(self, shape: Shape) -> Convolution:
        """The convolution of an ifmap of shape batch x channels x height x width."""
        return Convolution(
            batch=shape[0],
            channels=shape[1],
            filters=self.filters,
            ifmap=(shape[2], shape[3]),
            kernel=self.kernel,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )


@dataclass(frozen=True, slots=True)
class Product:
    """One layer for the array: groups of M x K times K x N.

    `activation` names the tensor of the left operand, `second` that of a computed right operand (attention).
    `weights` are [groups, K, N per group], float32, or None when `second` is given; `bias` is [N over all
    groups] or None. `batched` products have a right operand for each of their leading dimensions; else all
    rows share one. `steps` are how often a product runs on one input where each run waits for
    the one before, else None.
    """

    name: str
    kind: Literal["conv", "fc", "matmul"]
    activation: str
    second: str | None = None
    weights: NDArray[np.float32] | None = None
    bias: NDArray[np.float32] | None = None
    window: Window | None = None
    batched: bool = False
    steps: int | None = None
    arranged: dict[str, NDArray[np.float32]] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )
    """The weights by their layout, for products that take another one."""

    def weights_as(
        self, layout: str, arrange: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """The weights as `arrange` lays them out, arranged once; `layout` names it."""
        assert self.weights is not None
        if layout not in self.arranged:
            self.arranged[layout] = np.ascontiguousarray(arrange(self.weights))
        return self.arranged[layout]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers that simulation has for it: one for each step."""
        if self.steps is None:
            return (self.name,)
        return tuple(f"{self.name}/step_{step}" for step in range(self.steps))

    @property
    def channels(self) -> int:
        """Output channels over all groups of a layer with weights."""
        assert self.weights is not None
        return int(self.weights.shape[0] * self.weights.shape[2])

    @property
    def channel_axis(self) -> int:
        """The axis of the output tensor that has its channels."""
        return 1 if self.window is not None else -1

    @property
    def input_axis(self) -> int:
        """The axis of the input tensor along which further inputs are appended."""
        return 1 if self.batched and self.weights is not None else 0

    def reduction(self, activations: Shape) -> int:
        """Terms of a sum, K, for an input tensor of shape `activations`."""
        if self.window is None:
            return activations[-1]
        return prod(self.window.kernel) * activations[1] // self.window.groups

    def lower(self, activations: NDArray[Code], *, zero: float = 0) -> NDArray[Code]:
        """The left operand [groups, M, K] from the layer's input tensor; `zero` is what padding holds."""
        if self.window is not None:
            return im2col(activations, self.window.over(activations.shape), zero=zero)
        left = np.ascontiguousarray(activations)
        if self.batched:
            return left.reshape(-1, *activations.shape[-2:])
        return left.reshape(1, -1, activations.shape[-1])

    def lower_second(self, second: NDArray[Code], activations: Shape) -> NDArray[Code]:
        """The right operand [groups, K, N] from a computed tensor."""
        if self.window is not None:
            return lower_filters(second, self.window.over(activations))
        return np.ascontiguousarray(second).reshape(-1, *second.shape[-2:])

    def raise_output(self, products: NDArray[Code], activations: Shape) -> NDArray[Code]:
        """The layer's output tensor from [groups, M, N], for an input tensor of shape `activations`."""
        if self.window is not None:
            return raise_ofmap(products, self.window.over(activations))
        return products.reshape(*activations[:-1], products.shape[-1])

    def output_shape(self, activations: Shape) -> Shape:
        """The shape of the output tensor of a layer with weights, for an input of shape `activations`."""
        if self.window is None:
            return (*activations[:-1], self.channels)
        convolution = self.window.over(activations)
        return (convolution.batch, convolution.filters, *convolution.ofmap)

    def per_channel(self, values: NDArray[Code]) -> NDArray[Code]:
        """One value for each output channel in the shape [groups, 1, N per group] of the products."""
        if self.weights is None:
            assert self.window is not None
            return values.reshape(self.window.groups, 1, -1)
        return values.reshape(self.weights.shape[0], 1, self.weights.shape[2])


def product_of(
    name: str,
    node: Node,
    constants: Mapping[str, Constant],
    path: Path,
    *,
    rank: int,
    steps: int | None = None,
) -> Product:
    """The product of a Conv or MatMul in the form that the reader writes.

    Args:
        name: of the layer.
        node: the operator.
        constants: every constant of the graph.
        path: the file, for messages.
        rank: of a computed right operand.
        steps: how often it runs on one input, where its runs wait for each other.

    Raises:
        UserError: weights that are missing, NaN or infinite.
    """
    first, second = node.inputs[:2]
    weights = _weights(node, constants, path)
    bias = constants[node.inputs[2]].values().astype(np.float32).reshape(-1) if node.input(2) else None
    computed = second if weights is None else None
    if node.operator == "Conv":
        window = _window(node, weights)
        if weights is not None:
            weights = _lowered(weights, window)
        return Product(name, "conv", first, computed, weights, bias, window, steps=steps)
    batched = (rank if weights is None else weights.ndim) > 2
    if weights is not None:
        weights = np.ascontiguousarray(weights.reshape(-1, *weights.shape[-2:]))
    kind: Literal["fc", "matmul"] = "matmul" if weights is None or len(weights) > 1 else "fc"
    return Product(name, kind, first, computed, weights, bias, batched=batched, steps=steps)


def _weights(node: Node, constants: Mapping[str, Constant], path: Path) -> NDArray[np.float32] | None:
    name = node.inputs[1]
    if name not in constants:
        return None
    values = constants[name].fresh()
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        where = constants[name].stored or name
        raise UserError(f"{bad} weights are NaN or infinite", source=path, location=where)
    return values.astype(np.float32)


def _window(node: Node, weights: Tensor | None) -> Window:
    top, left, bottom, right = node.get("pads")
    kernel = node.get("kernel_shape")
    return Window(
        filters=node.get("filters") if weights is None else weights.shape[0],
        kernel=_pair(kernel),
        stride=_pair(node.get("strides")),
        padding=(top, left, bottom, right),
        dilation=_pair(node.get("dilations")),
        groups=node.get("group"),
    )


def _lowered(weights: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    # Only the kernel matters for the filters' layout; the ifmap is as small as it may be.
    extent = tuple(d * (k - 1) + 1 for k, d in zip(window.kernel, window.dilation, strict=True))
    return lower_filters(weights, window.over((1, weights.shape[1] * window.groups, *extent)))


def _pair(sizes: Iterable[int]) -> tuple[int, int]:
    height, width = sizes
    return int(height), int(width)
