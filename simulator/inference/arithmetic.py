"""The two ways to compute a layer: float32, and a MAC's own numerics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.inference.block_layers import block_activations, block_second, block_sums
from simulator.inference.direct import columns_of, depthwise_window
from simulator.inference.layer_products import Product
from simulator.inference.layer_sums import LayerSums, real_values
from simulator.inference.quantization import Encoded, LayerPlan, encode
from simulator.numerics import Mac, multiply
from simulator.numerics.accumulators.lost_sums import magnitudes
from simulator.numerics.array_types import Tensor
from simulator.numerics.block_scaled import BlockFormat
from simulator.numerics.engines import depthwise, pointwise
from simulator.numerics.engines.depthwise import real_convolution
from simulator.numerics.engines.pointwise import real_products
from simulator.numerics.engines.shared_operand import SharedOperand
from simulator.numerics.engines.threads import for_row_ranges
from simulator.numerics.formats import Format

_SMALL_PRODUCT = 1 << 20
"""Below this many MACs threads cost more than they save."""

Arithmetic = Callable[[Product, Tensor, "Tensor | None"], Tensor]
"""Result tensor of a layer from its input tensor and, for attention, its computed right operand."""


def float32_product(product: Product, activations: Tensor, second: Tensor | None) -> Tensor:
    """The layer in float32: fused multiply-adds in the order of k, so that no thread or blocking shows.

    These are the bits of the MAC `fp32`, without the detour over codes.
    """
    from simulator.numerics.engines.tile_kernels import multiply

    activations = np.ascontiguousarray(activations, np.float32)
    window = depthwise_window(product, activations.shape)
    if window is not None:
        filters = product.weights_as("depthwise", lambda weights: weights[:, :, 0])
        return _raised(product, real_convolution(activations, filters, window), activations)
    columns = columns_of(product, activations.shape)
    if columns is not None:
        filters = product.weights_as("columns", lambda weights: weights[0].T)
        return _raised(product, real_products(activations, filters, columns), activations)
    lowered = product.lower(activations)
    right = product.weights if second is None else product.lower_second(second, activations.shape)
    assert right is not None
    right = np.ascontiguousarray(right, np.float32)
    sums = np.zeros((*lowered.shape[:2], right.shape[2]), np.float32)
    for a, w, group in zip(lowered, right, sums, strict=True):
        for_row_ranges(
            len(a),
            partial(multiply, a, w, group, ()),
            threads=1 if a.size * w.shape[1] < _SMALL_PRODUCT else None,
        )
    if product.bias is not None:
        sums = sums + product.per_channel(product.bias)
    return product.raise_output(sums, activations.shape)


def _raised(product: Product, sums: NDArray[np.float32], activations: Tensor) -> Tensor:
    """Sums [batch, channels, pixels] with their bias as the layer's output tensor."""
    if product.bias is not None:
        sums += product.bias.reshape(1, -1, 1)
    return sums.reshape(product.output_shape(activations.shape))


@dataclass(frozen=True)
class Operands:
    """Codes of a layer's operands as the array sees them: [groups, M, K] and [groups, K, N].

    `encoded` and `second` are the input tensors that they come from, before lowering; `activation` is the
    format of the first, and `zero` its code that padding holds. Activations are lowered when they are asked
    for.
    """

    product: Product
    activation: Format
    zero: int
    weights: NDArray[np.unsignedinteger[Any]]
    encoded: Encoded
    second: Encoded | None = None
    shared: SharedOperand | None = None

    @cached_property
    def shared_activations(self) -> SharedOperand:
        """The codes of the input tensor, with what is known of them."""
        return self.encoded.shared(self.activation)

    @cached_property
    def activations(self) -> NDArray[np.unsignedinteger[Any]]:
        """The left operand, [groups, M, K]."""
        return self.product.lower(self.encoded.codes, zero=self.zero)

    def largest_weights(self, mac: Mac) -> float:
        """The largest sum of magnitudes of the weights of one output."""
        return largest_weights(mac, SharedOperand(self.weights) if self.shared is None else self.shared)

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
    """A layer's results: its sums, and the real tensor that goes on."""

    operands: Operands
    sums: LayerSums
    values: Tensor

    @property
    def accumulators(self) -> NDArray[Any]:
        """The accumulators [groups, M, N]."""
        return self.sums.accumulators


def largest_weights(mac: Mac, weights: SharedOperand) -> float:
    """The largest sum of magnitudes of the weights [groups, K, N] of one output."""
    return weights.made("sums", lambda: float(magnitudes(mac.weight, weights.codes).sum(axis=1).max()))


def operands_of(product: Product, plan: LayerPlan, activations: Tensor, second: Tensor | None) -> Operands:
    """Encode a layer's operands; encoding comes before lowering, since lowering repeats values."""
    migrated = activations if plan.migration is None else activations / plan.migration
    fmt = plan.mac.activation
    encoded = encode(migrated, fmt, plan.activation_scale)
    zero = int(fmt.encode(np.zeros(1))[0])
    if second is None:
        assert plan.weight_codes is not None
        shared = plan.weights_as("products", lambda codes: codes)
        return Operands(product, fmt, zero, plan.weight_codes, encoded, shared=shared)
    right = encode(second, plan.mac.weight, plan.weight_scale)
    second_codes = product.lower_second(right.codes, activations.shape)
    return Operands(product, fmt, zero, second_codes, encoded, right)


def mac_product(product: Product, plan: LayerPlan, activations: Tensor, second: Tensor | None) -> MacOutput:
    """The layer through a MAC: codes, accumulators, and back to real values."""
    if plan.mac.block_formats is not None:
        return _block_product(product, plan, plan.mac.block_formats, activations, second)
    operands = operands_of(product, plan, activations, second)
    sums = (
        _depthwise(product, plan, operands)
        or _by_columns(product, plan, operands)
        or _by_groups(plan.mac, operands)
    )
    values = real_values(plan, sums).astype(np.float32, copy=False)
    if sums.layout == "ofmap":
        return MacOutput(operands, sums, values.reshape(product.output_shape(activations.shape)))
    return MacOutput(operands, sums, product.raise_output(values, activations.shape))


def _block_product(
    product: Product,
    plan: LayerPlan,
    formats: tuple[BlockFormat, BlockFormat],
    activations: Tensor,
    second: Tensor | None,
) -> MacOutput:
    """The layer through a block-scaled MAC: blocks along input channels, float32 sums."""
    left = block_activations(product, formats[0], activations)
    right = None if second is None else block_second(product, formats[1], second)
    weights = plan.block_weights if right is None else right
    assert weights is not None
    codes = block_sums(plan.mac, left, weights)
    lowered = plan.weight_codes if right is None else product.lower_second(right.codes, activations.shape)
    assert lowered is not None
    held = LayerSums(
        codes,
        "products",
        len(codes),
        None,
        None,
        "blocks",
        "exact within blocks, then as the MAC rounds",
    )
    values = real_values(plan, held).astype(np.float32, copy=False)
    zero = int(plan.mac.activation.encode(np.zeros(1))[0])
    encoded = Encoded(left.codes, left.saturated, left.underflowed)
    operands = Operands(
        product,
        plan.mac.activation,
        zero,
        lowered,
        encoded,
        None if right is None else Encoded(right.codes, right.saturated, right.underflowed),
    )
    return MacOutput(operands, held, product.raise_output(values, activations.shape))


def _depthwise(product: Product, plan: LayerPlan, operands: Operands) -> LayerSums | None:
    """A depthwise convolution without lowering; None for other layers, and where no fast way is exact."""
    window = depthwise_window(product, operands.encoded.codes.shape)
    if window is None:
        return None
    weights = plan.weights_as("depthwise", lambda codes: codes[:, :, 0])
    found = depthwise.attempt(plan.mac, operands.shared_activations, weights, window, operands.zero)
    if found is None:
        return None
    return LayerSums(found.held, "ofmap", len(operands.weights), None, None, "depthwise", found.reason)


def _by_columns(product: Product, plan: LayerPlan, operands: Operands) -> LayerSums | None:
    """A convolution without groups, one product for each image; None as `_depthwise`."""
    mac, x = plan.mac, operands.shared_activations
    columns = columns_of(product, x.codes.shape)
    if columns is None:
        return None
    w = plan.weights_as("columns", lambda codes: np.ascontiguousarray(codes[0].T))
    exact = pointwise.attempt_exact(mac, x, w, columns)
    if exact is not None:
        return LayerSums(exact, "ofmap", 1, None, None, exact.engine, exact.reason)
    steps = pointwise.attempt_steps(mac, x, w, columns)
    if steps is None:
        return None
    return LayerSums(steps[0], "ofmap", 1, None, None, "sequential", steps[1])


def _by_groups(mac: Mac, operands: Operands) -> LayerSums:
    """The product of every group; many small ones (attention heads) stay on one thread and compiled."""
    left, right = operands.activations, operands.weights
    pairs = zip(left, right, strict=True)
    if left.shape[1] * left.shape[2] * right.shape[2] >= _SMALL_PRODUCT:
        results = [multiply(mac, a, w) for a, w in pairs]
    else:
        results = [multiply(mac, a, w, threads=1, one_of_many=True) for a, w in pairs]
    signs = [result.overflow for result in results if result.overflow is not None]
    return LayerSums(
        np.stack([result.accumulators for result in results]),
        "products",
        len(left),
        np.stack([result.is_infinite for result in results]),
        np.stack(signs) if signs else None,
        results[0].engine,
        results[0].reason,
    )
