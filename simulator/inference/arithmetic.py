"""The two ways to compute a layer: float32, and a MAC's own numerics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.inference.plan import Encoded, LayerPlan, encode, without_false_infinities
from simulator.inference.products import Product
from simulator.numerics import Mac, MatmulResult, multiply
from simulator.numerics.engines.threads import for_row_ranges

Tensor = NDArray[Any]
_SMALL_PRODUCT = 1 << 20
"""Below this many MACs threads cost more than they save."""

Arithmetic = Callable[[Product, Tensor, "Tensor | None"], Tensor]
"""Result tensor of a layer from its input tensor and, for attention, its computed right operand."""


def float32_product(product: Product, activations: Tensor, second: Tensor | None) -> Tensor:
    """The layer in float32: fused multiply-adds in the order of k, so that no thread or blocking shows.

    These are the bits of the MAC `fp32`, without the detour over codes.
    """
    from simulator.numerics.engines.sequential_kernels import multiply_native

    activations = np.ascontiguousarray(activations, np.float32)
    lowered = product.lower(activations)
    right = product.weights if second is None else product.lower_second(second, activations.shape)
    assert right is not None
    right = np.ascontiguousarray(right, np.float32)
    sums = np.zeros((*lowered.shape[:2], right.shape[2]), np.float32)
    for a, w, group in zip(lowered, right, sums, strict=True):
        for_row_ranges(
            len(a),
            partial(multiply_native, a, w, group),
            threads=1 if a.size * w.shape[1] < _SMALL_PRODUCT else None,
        )
    if product.bias is not None:
        sums = sums + product.per_channel(product.bias)
    return product.raise_output(sums, activations.shape)


@dataclass(frozen=True, slots=True)
class Operands:
    """Codes of a layer's operands as the array sees them: [groups, M, K] and [groups, K, N].

    `encoded` and `second` are the input tensors that they come from, before lowering.
    """

    activations: NDArray[np.unsignedinteger[Any]]
    weights: NDArray[np.unsignedinteger[Any]]
    encoded: Encoded
    second: Encoded | None = None

    @property
    def saturated(self) -> int:
        """Values of the input tensors beyond the formats' largest."""
        return self.encoded.saturated + (self.second.saturated if self.second else 0)

    @property
    def underflowed(self) -> int:
        """Values of the input tensors that became zero."""
        return self.encoded.underflowed + (self.second.underflowed if self.second else 0)

    @property
    def elements(self) -> int:
        """Values of the input tensors."""
        return self.encoded.codes.size + (self.second.codes.size if self.second else 0)


@dataclass(frozen=True, slots=True)
class MacOutput:
    """A layer's results: the accumulators [groups, M, N], and the real tensor that goes on."""

    operands: Operands
    accumulators: NDArray[Any]
    values: Tensor
    engine: str
    reason: str


def operands_of(product: Product, plan: LayerPlan, activations: Tensor, second: Tensor | None) -> Operands:
    """Encode a layer's operands and lower them; encoding comes first, since lowering repeats values."""
    migrated = activations if plan.migration is None else activations / plan.migration
    encoded = encode(migrated, plan.mac.activation, plan.activation_scale)
    zero = int(plan.mac.activation.encode(np.zeros(1))[0])
    left = product.lower(encoded.codes, zero=zero)
    if second is None:
        assert plan.weight_codes is not None
        return Operands(left, plan.weight_codes, encoded)
    right = encode(second, plan.mac.weight, plan.weight_scale)
    return Operands(left, product.lower_second(right.codes, activations.shape), encoded, right)


def mac_product(product: Product, plan: LayerPlan, activations: Tensor, second: Tensor | None) -> MacOutput:
    """The layer through a MAC: codes, accumulators, and back to real values."""
    operands = operands_of(product, plan, activations, second)
    results = _multiply_groups(plan.mac, operands.activations, operands.weights)
    accumulators = np.stack([result.accumulators for result in results])
    values = _to_values(product, plan, accumulators, results)
    raised = product.raise_output(values.astype(np.float32), activations.shape)
    return MacOutput(operands, accumulators, raised, results[0].engine, results[0].reason)


def _multiply_groups(mac: Mac, left: NDArray[Any], right: NDArray[Any]) -> list[MatmulResult]:
    """The product of every group; many small ones (attention heads) stay on one thread and compiled."""
    macs = left.shape[1] * left.shape[2] * right.shape[2]
    if macs >= _SMALL_PRODUCT:
        return [multiply(mac, a, w) for a, w in zip(left, right, strict=True)]
    return [multiply(mac, a, w, threads=1, one_of_many=True) for a, w in zip(left, right, strict=True)]


def _to_values(
    product: Product, plan: LayerPlan, accumulators: NDArray[Any], results: list[MatmulResult]
) -> Tensor:
    mac = plan.mac
    infinite = np.stack([result.is_infinite for result in results])
    scale = plan.activation_scale * np.asarray(plan.weight_scale)
    bias = None if plan.bias is None else product.per_channel(plan.bias)
    if not plan.through_output:
        real = mac.to_real(accumulators) * scale
        if infinite.any():
            real = np.where(infinite, np.nan, real)
        return real if bias is None else real + bias
    signs = [result.overflow for result in results if result.overflow is not None]
    overflow = np.stack(signs) if signs else None
    factor = 2.0**plan.output_exponent
    if bias is not None or plan.output_exponent:
        accumulators = _with_bias(mac, accumulators, bias, plan.output_exponent)
    codes = mac.to_output(accumulators, is_infinite=infinite, overflow=overflow)
    codes = without_false_infinities(
        codes, mac.activation, np.where(infinite, np.inf, mac.to_real(accumulators))
    )
    return mac.activation.decode(codes) / factor


def _with_bias(mac: Mac, accumulators: NDArray[Any], bias: Tensor | None, exponent: int) -> NDArray[Any]:
    """Accumulators with the bias added in their own units, then scaled by 2**exponent as a shift would."""
    offsets = np.zeros(1) if bias is None else bias.astype(np.float64)
    return mac.accumulator.shifted(accumulators, offsets, exponent)
