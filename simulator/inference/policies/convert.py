"""From a trained network and a policy to the plan of every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference.block_layers import block_weights
from simulator.inference.calibration import Extent, Observation, second_moments
from simulator.inference.distributions.distribution import Distribution
from simulator.inference.inputs import Feed
from simulator.inference.layer_products import Product
from simulator.inference.model import Model
from simulator.inference.policies.bias_correction import corrected
from simulator.inference.policies.ffp8 import MOST_EXPONENT_BITS, choose_format
from simulator.inference.policies.migration import migration_factors
from simulator.inference.policies.policy import Policy
from simulator.inference.policies.rounding import ROUNDINGS
from simulator.inference.policies.scales import channel_scales, tensor_scale
from simulator.inference.quantization import LayerPlan, NetworkPlan, to_codes
from simulator.numerics import Mac, get_mac
from simulator.numerics.array_types import Tensor
from simulator.numerics.formats import Format

_ACCUMULATED_EXPONENT_BITS = 5
"""Exact sums of products of formats with more exponent bits may need wider accumulators than there are."""


@dataclass(frozen=True, slots=True)
class _Operands:
    """What is to be encoded: activations, weights or else a computed right operand, migrated if need be."""

    seen: Observation
    weights: Tensor | None
    migration: NDArray[np.float32] | None = None

    @property
    def activations(self) -> Tensor:
        """The input tensor, every value in its place."""
        return self.seen.activations if self.migration is None else self.seen.activations / self.migration

    def left(self, *, ends: bool) -> Tensor | Distribution:
        """The distribution of the activations, or values with the smallest and the largest among them."""
        if self.migration is not None:
            return self.activations
        return self.seen.extremes("activations") if ends else self.seen.distribution("activations")

    def right(self, *, ends: bool) -> Tensor | Distribution:
        """The weights, or of a computed right operand what `left` is of the activations."""
        if self.weights is not None:
            return self.weights
        return self.seen.extremes("second") if ends else self.seen.distribution("second")


def needs_calibration(policy: Policy) -> bool:
    """Whether a policy looks at images; dropping formats in does not."""
    return not (policy.scaling == "none" and policy.formats == "mac") or (
        policy.bias_correction or policy.rounding != "nearest" or policy.migration is not None
    )


def needed_extent(policy: Policy) -> Extent:
    """What of the calibration images' tensors a policy looks at."""
    if policy.rounding != "nearest" or policy.migration is not None:
        return "values"
    if policy.bias_correction:
        return "means"
    searches = policy.scaling not in ("none", "max") or policy.formats != "mac"
    return "distributions" if searches else "extremes"


def convert(
    model: Model,
    policies: Mapping[str, Policy],
    macs: Mapping[str, Mac],
    observed: Mapping[str, Observation],
    images: Feed,
) -> NetworkPlan:
    """The plan of every layer. Biases are corrected where that does no harm on the calibration images.

    Args:
        model: the trained network.
        policies: what to do with each layer, by name; one that searches must have been resolved before.
        macs: the MAC of each layer, by name.
        observed: what `calibrate` saw: at least the `needed_extent` of each policy; may be empty when none
            looks at images.
        images: the calibration images.
    """
    layers: dict[str, LayerPlan] = {}
    choices: dict[str, Any] = {}
    for product in model.products:
        policy = policies[product.name]
        seen = observed.get(product.name) if needs_calibration(policy) else None
        plan, choice = _layer(product, policy, macs[product.name], seen)
        if policy.last_exponent and product.name == model.last_product:
            plan = replace(plan, output_exponent=policy.last_exponent)
            choice["output_exponent"] = policy.last_exponent
        layers[product.name] = plan
        if choice:
            choices[product.name] = choice
    names = {name for name, policy in policies.items() if policy.bias_correction}
    warnings: tuple[str, ...] = ()
    if names:
        correction = corrected(model, layers, observed, images, names)
        choices["bias_correction"] = correction.describe()
        if correction.does_harm:
            warnings = (
                f"policy {_described(policies, macs)} leaves out bias_correction: {correction.describe()}",
            )
        else:
            layers = correction.layers
    return NetworkPlan(_described(policies, macs), layers, choices, warnings)


def _described(policies: Mapping[str, Policy], macs: Mapping[str, Mac]) -> str:
    """The policy's name, or those of each MAC where they differ."""
    by_mac = {macs[layer].name: policy.name for layer, policy in policies.items()}
    if len(set(by_mac.values())) == 1:
        return next(iter(by_mac.values()))
    return ", ".join(f"{mac}={name}" for mac, name in by_mac.items())


def _layer(
    product: Product, policy: Policy, mac: Mac, seen: Observation | None
) -> tuple[LayerPlan, dict[str, Any]]:
    if seen is None or mac.block_formats is not None:
        return _dropped_in(product, policy, mac), {}
    operands = _operands(product, policy, seen)
    choice: dict[str, Any] = {}
    if policy.formats == "ffp8":
        mac, choice = _chosen_formats(mac, operands)
    activation_scale, weight_scale = _scales(policy, mac, seen, operands)
    if policy.scaling != "none":
        choice["activation_scale"] = activation_scale
    plan = LayerPlan(
        mac,
        activation_scale,
        weight_scale,
        bias=product.bias,
        migration=operands.migration,
        through_output=policy.through_output,
    )
    if product.weights is None:
        return plan, choice
    return replace(plan, weight_codes=_weight_codes(product, policy, plan, operands)), choice


def _dropped_in(product: Product, policy: Policy, mac: Mac) -> LayerPlan:
    if mac.block_formats is not None and product.weights is not None:
        blocks = block_weights(product, mac.block_formats[1])
        return LayerPlan(mac, weight_codes=blocks.codes, bias=product.bias, block_weights=blocks)
    codes = None if product.weights is None else to_codes(product.weights, mac.weight)
    return LayerPlan(mac, weight_codes=codes, bias=product.bias, through_output=policy.through_output)


def _operands(product: Product, policy: Policy, seen: Observation) -> _Operands:
    if policy.migration is None or product.kind != "fc" or product.weights is None:
        return _Operands(seen, product.weights)
    factors = migration_factors(seen.activations, product.weights, policy.migration)
    return _Operands(seen, product.weights * factors[:, None], factors)


def _chosen_formats(mac: Mac, operands: _Operands) -> tuple[Mac, dict[str, Any]]:
    """The MAC of the formats that suit activations and right operand best, and what was chosen."""
    choice: dict[str, Any] = {}
    left, right = operands.left(ends=False), operands.right(ends=False)
    for most_exponent_bits in (MOST_EXPONENT_BITS, _ACCUMULATED_EXPONENT_BITS):
        activation = choose_format(left, mac.activation.bits, most_exponent_bits=most_exponent_bits)
        weight = choose_format(right, mac.weight.bits, most_exponent_bits=most_exponent_bits)
        choice |= {
            "activation": activation.format.spec,
            "weight": weight.format.spec,
            "activation_sqnr_db": _decibels(activation.sqnr_db),
            "weight_sqnr_db": _decibels(weight.sqnr_db),
        }
        try:
            return get_mac(f"{activation.format.spec} x {weight.format.spec}"), choice
        except UserError as error:
            choice["exponent_bits_limited"] = str(error)
            refused = error
    raise refused


def _decibels(sqnr_db: float) -> float | None:
    """Two decimals; None where nothing was rounded."""
    return round(sqnr_db, 2) if isfinite(sqnr_db) else None


def _scales(
    policy: Policy, mac: Mac, seen: Observation, operands: _Operands
) -> tuple[float, float | NDArray[np.float64]]:
    if policy.scaling == "none":
        return 1.0, 1.0
    method, percentile, power_of_two = policy.scaling, policy.percentile, policy.power_of_two
    ends = method == "max"
    asked = (mac.activation, method, percentile, power_of_two, policy.migration)
    if asked not in seen.scales:
        seen.scales[asked] = tensor_scale(
            operands.left(ends=ends),
            mac.activation,
            method,
            percentile=percentile,
            power_of_two=power_of_two,
        )
    if operands.weights is not None:
        return seen.scales[asked], weight_scales(policy, operands.weights, mac.weight)
    return seen.scales[asked], tensor_scale(
        operands.right(ends=ends), mac.weight, method, percentile=percentile, power_of_two=power_of_two
    )


def weight_scales(policy: Policy, weights: Tensor, fmt: Format) -> float | NDArray[np.float64]:
    """One scale [groups, 1, N] for each output channel of weights [groups, K, N], or one for all.

    The policy says which and how they are found; a policy without scales has 1. A percentile is for the long
    tails of activations; weights have no outliers to give up.
    """
    if policy.scaling == "none":
        return 1.0
    find = tensor_scale if policy.weight_scales == "tensor" else channel_scales
    return find(
        weights,
        fmt,
        "max" if policy.scaling == "percentile" else policy.scaling,
        percentile=policy.percentile,
        power_of_two=policy.power_of_two,
    )


def _weight_codes(
    product: Product, policy: Policy, plan: LayerPlan, operands: _Operands
) -> NDArray[np.unsignedinteger[Any]]:
    assert operands.weights is not None
    fmt = plan.mac.weight
    scaled = operands.weights.astype(np.float64) / np.asarray(plan.weight_scale)
    if policy.rounding == "nearest":
        return to_codes(scaled, fmt)
    moments = second_moments(product, operands.activations, plan.mac.activation, plan.activation_scale)
    rounding = ROUNDINGS[policy.rounding]
    return np.stack([rounding(weights, fmt, each) for weights, each in zip(scaled, moments, strict=True)])
