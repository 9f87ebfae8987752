"""What the layers of a network see: their operands and results in float32 on calibration images."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference.arithmetic import float32_product
from simulator.inference.execute import chunks, execute
from simulator.inference.model import Model
from simulator.inference.plan import encode
from simulator.inference.products import Product
from simulator.numerics.formats import Format

Tensor = NDArray[Any]

_VALUES_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class Observation:
    """One layer's float32 operands and results on all calibration images."""

    product: Product
    activations: Tensor
    second: Tensor | None
    outputs: Tensor
    images: int
    scales: dict[Hashable, float] = field(default_factory=dict)
    """Scales of the activations that were found already, by what they were asked for."""

    @property
    def macs_per_image(self) -> int:
        """Multiply-accumulates of the layer for one image."""
        if self.product.window is not None:
            return int(self.product.lower(self.activations[:1]).size * self.product.window.filters)
        columns = self.second if self.product.weights is None else self.product.weights
        assert columns is not None
        return int(self.activations.size * columns.shape[-1] // self.images)


def calibrate(model: Model, images: NDArray[np.float32]) -> Mapping[str, Observation]:
    """Every layer's operands and results by layer name, from a float32 run.

    Raises:
        UserError: a layer whose operands are NaN or infinite on these images.
    """
    seen: dict[str, list[tuple[Tensor, Tensor | None, Tensor]]] = {}

    def observe(product: Product, activations: Tensor, second: Tensor | None) -> Tensor:
        _require_finite(model, product, activations, second)
        outputs = float32_product(product, activations, second)
        seen.setdefault(product.name, []).append((activations, second, outputs))
        return outputs

    for chunk in chunks(images):
        execute(model, chunk, observe)
    return {
        product.name: _observation(product, seen[product.name], len(images)) for product in model.products
    }


def _observation(
    product: Product, seen: list[tuple[Tensor, Tensor | None, Tensor]], images: int
) -> Observation:
    activations, second, outputs = (_joined(parts, product) for parts in zip(*seen, strict=True))
    return Observation(product, activations, second, outputs, images)


def second_moments(product: Product, activations: Tensor, fmt: Format, scale: float) -> NDArray[np.float64]:
    """X^T X of a layer's rounded inputs, [groups, K, K], over every row of every calibration image.

    Args:
        product: the layer.
        activations: its float32 input tensor, images first.
        fmt: the format that the inputs are rounded to.
        scale: of the inputs.
    """
    zero = int(fmt.encode(np.zeros(1))[0])
    total: NDArray[np.float64] | None = None
    for part in _parts(product, activations):
        rows = fmt.decode(product.lower(encode(part, fmt, scale).codes, zero=zero)) * scale
        moments = rows.transpose(0, 2, 1) @ rows
        total = moments if total is None else total + moments
    assert total is not None
    return total


def _parts(product: Product, activations: Tensor) -> Iterator[Tensor]:
    """The input tensor in parts whose lowered operands fit in memory."""
    if product.input_axis:
        yield np.ascontiguousarray(activations)
        return
    lowered = product.lower(np.ascontiguousarray(activations[:1])).size
    images = max(1, _VALUES_AT_ONCE // lowered)
    for start in range(0, len(activations), images):
        yield np.ascontiguousarray(activations[start : start + images])


def _require_finite(model: Model, product: Product, *operands: Tensor | None) -> None:
    for operand in operands:
        if operand is not None and not np.isfinite(operand).all():
            raise UserError(
                "operands are NaN or infinite on the calibration images in float32",
                source=model.path,
                location=product.name,
            )


def _joined(parts: tuple[Tensor | None, ...], product: Product) -> Any:
    """Tensors of all chunks as one; rows of a plain product where chunks have different shapes."""
    if parts[0] is None:
        return None
    given = [part for part in parts if part is not None]
    axis = product.input_axis
    if len({part.shape[:axis] + part.shape[axis + 1 :] for part in given}) > 1:
        given = [part.reshape(-1, part.shape[-1]) for part in given]
    return np.concatenate(given, axis=axis)
