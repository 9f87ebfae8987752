"""What the layers of a network see: their operands and results in float32 on calibration images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.inference.arithmetic import float32_product
from simulator.inference.execute import chunks, execute
from simulator.inference.model import Model
from simulator.inference.products import Product

Tensor = NDArray[Any]

SAMPLED_ROWS = 8192
"""Rows of a layer's left operand that enter its second moments, evenly spaced over the calibration images."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One layer's float32 operands and results on all calibration images."""

    product: Product
    activations: Tensor
    second: Tensor | None
    outputs: Tensor

    def rows(self) -> NDArray[np.float32]:
        """Up to `SAMPLED_ROWS` rows of the lowered left operand, [groups, rows, K]."""
        images = len(self.activations)
        per_image = self.product.lower(self.activations[:1]).shape[1]
        wanted = max(1, min(images, SAMPLED_ROWS // per_image))
        chosen = np.linspace(0, images - 1, wanted).astype(int)
        lowered = self.product.lower(np.ascontiguousarray(self.activations[chosen]))
        step = max(1, lowered.shape[1] // SAMPLED_ROWS)
        return lowered[:, ::step]


def calibrate(model: Model, images: NDArray[np.float32]) -> Mapping[str, Observation]:
    """Every layer's operands and results by layer name, from a float32 run."""
    seen: dict[str, list[tuple[Tensor, Tensor | None, Tensor]]] = {}

    def observe(product: Product, activations: Tensor, second: Tensor | None) -> Tensor:
        outputs = float32_product(product, activations, second)
        seen.setdefault(product.name, []).append((activations, second, outputs))
        return outputs

    for chunk in chunks(images):
        execute(model, chunk, observe)
    return {
        product.name: Observation(
            product, *(_joined(parts) for parts in zip(*seen[product.name], strict=True))
        )
        for product in model.products
    }


def _joined(parts: tuple[Tensor | None, ...]) -> Any:
    return None if parts[0] is None else np.concatenate([part for part in parts if part is not None])
