"""How far a layer's output is from float32, summed up over chunks of images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, log10, sqrt

import numpy as np
from numpy.typing import NDArray

from simulator.inference.arithmetic import Operands
from simulator.numerics.array_types import Tensor
from simulator.result_accuracy import LayerAccuracy


@dataclass(frozen=True, slots=True)
class Deviation:
    """Sums over the elements of a layer's output (`reference`, `values`) and of its encoded operands."""

    reference_power: float = 0.0
    value_power: float = 0.0
    product: float = 0.0
    noise_power: float = 0.0
    largest_error: float = 0.0
    saturated: int = 0
    underflowed: int = 0
    elements: int = 0

    def __add__(self, other: Deviation) -> Deviation:
        return Deviation(
            self.reference_power + other.reference_power,
            self.value_power + other.value_power,
            self.product + other.product,
            self.noise_power + other.noise_power,
            max(self.largest_error, other.largest_error),
            self.saturated + other.saturated,
            self.underflowed + other.underflowed,
            self.elements + other.elements,
        )

    def summary(self) -> LayerAccuracy:
        """As results show it; SQNR is None when the outputs are equal (no noise) or all zero.

        A figure is None as well where float64 cannot hold it, as where float32 itself overflows.
        """
        norms = sqrt(self.reference_power * self.value_power)
        sqnr_db = None
        if 0 < self.noise_power < inf and 0 < self.reference_power < inf:
            ratio = self.reference_power / self.noise_power
            if 0 < ratio < inf:
                sqnr_db = 10 * log10(ratio)
        return LayerAccuracy(
            sqnr_db=sqnr_db,
            cosine=self.product / norms if 0 < norms < inf else None,
            largest_error=self.largest_error if self.largest_error < inf else None,
            saturated=self.saturated,
            underflowed=self.underflowed,
            elements=self.elements,
        )


def difference(reference: Tensor, values: Tensor) -> Deviation:
    """One chunk's sums, in float64. Elements that became NaN or infinite count as zeros that are wrong."""
    from simulator.inference.tensor_kernels import differences

    sums = np.zeros(5)
    differences(_flat(reference), _flat(values), sums)
    reference_power, value_power, product, noise_power, largest_error = sums.tolist()
    return Deviation(reference_power, value_power, product, noise_power, largest_error)


def deviation(reference: Tensor | None, values: Tensor, operands: Operands) -> Deviation:
    """`difference` of a layer's output where there is a reference, and what its operands lost."""
    return replace(
        Deviation() if reference is None else difference(reference, values),
        saturated=operands.saturated,
        underflowed=operands.underflowed,
        elements=operands.elements,
    )


def _flat(values: Tensor) -> NDArray[np.float32 | np.float64]:
    """All elements in order as real numbers that the kernel takes."""
    real = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    return np.ascontiguousarray(real).reshape(-1)


def ranking(logits: Tensor) -> NDArray[np.int64]:
    """Classes of each image from the largest logit to the smallest."""
    return np.argsort(-np.nan_to_num(logits, nan=-np.inf), axis=1, kind="stable")
