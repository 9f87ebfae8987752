"""From a trained network and a policy to the plan of every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.inference.calibration import Observation
from simulator.inference.model import Model
from simulator.inference.plan import LayerPlan, NetworkPlan, encode, to_codes
from simulator.inference.policies.bias_correction import corrected_bias
from simulator.inference.policies.ffp8 import choose_format
from simulator.inference.policies.migration import migration_factors
from simulator.inference.policies.policy import Policy
from simulator.inference.policies.rounding import ROUNDINGS
from simulator.inference.policies.scaling import channel_scales, tensor_scale
from simulator.inference.products import Product
from simulator.numerics import Mac, get_mac

Tensor = NDArray[Any]


@dataclass(frozen=True, slots=True)
class _Operands:
    """What is to be encoded: weights (or the computed right operand) and activations, migrated if need be."""

    activations: Tensor
    right: Tensor
    migration: NDArray[np.float32] | None


def needs_calibration(policy: Policy) -> bool:
    """Whether a policy looks at images; dropping formats in does not."""
    return not (policy.scaling == "none" and policy.formats == "mac") or (
        policy.bias_correction or policy.rounding != "nearest" or policy.migration is not None
    )


def convert(
    model: Model, policy: Policy, macs: Mapping[str, Mac], observed: Mapping[str, Observation]
) -> NetworkPlan:
    """The plan of every layer.

    Args:
        model: the trained network.
        policy: what to do; one that searches must have been resolved before.
        macs: the MAC of each layer, by name.
        observed: what `calibrate` saw; may be empty when the policy does not look at images.
    """
    layers: dict[str, LayerPlan] = {}
    choices: dict[str, Any] = {}
    for product in model.products:
        plan, choice = _layer(product, policy, macs[product.name], observed.get(product.name))
        if policy.last_exponent and product.name == model.last_product:
            plan = replace(plan, output_exponent=policy.last_exponent)
            choice["output_exponent"] = policy.last_exponent
        layers[product.name] = plan
        if choice:
            choices[product.name] = choice
    return NetworkPlan(policy.name, layers, choices)


def _layer(
    product: Product, policy: Policy, mac: Mac, seen: Observation | None
) -> tuple[LayerPlan, dict[str, Any]]:
    if seen is None:
        return _dropped_in(product, policy, mac), {}
    operands = _operands(product, policy, seen)
    choice: dict[str, Any] = {}
    if policy.formats == "ffp8":
        mac, choice = _chosen_formats(mac, operands)
    activation_scale, weight_scale = _scales(product, policy, mac, operands)
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
    return _with_weights(product, policy, plan, seen, operands), choice


def _dropped_in(product: Product, policy: Policy, mac: Mac) -> LayerPlan:
    codes = None if product.weights is None else to_codes(product.weights, mac.weight)
    return LayerPlan(mac, weight_codes=codes, bias=product.bias, through_output=policy.through_output)


def _operands(product: Product, policy: Policy, seen: Observation) -> _Operands:
    right = seen.second if product.weights is None else product.weights
    assert right is not None
    movable = product.kind == "fc" and product.weights is not None and not product.transposed
    if policy.migration is None or not movable:
        return _Operands(seen.activations, right, None)
    factors = migration_factors(seen.activations, right, policy.migration)
    return _Operands(seen.activations / factors, right * factors[:, None], factors)


def _chosen_formats(mac: Mac, operands: _Operands) -> tuple[Mac, dict[str, Any]]:
    activation = choose_format(operands.activations, mac.activation.bits)
    weight = choose_format(operands.right, mac.weight.bits)
    choice = {
        "activation": activation.format.spec,
        "weight": weight.format.spec,
        "activation_sqnr_db": round(activation.sqnr_db, 2),
        "weight_sqnr_db": round(weight.sqnr_db, 2),
    }
    return get_mac(f"{activation.format.spec} x {weight.format.spec}"), choice


def _scales(
    product: Product, policy: Policy, mac: Mac, operands: _Operands
) -> tuple[float, float | NDArray[np.float64]]:
    if policy.scaling == "none":
        return 1.0, 1.0
    method, percentile, power_of_two = policy.scaling, policy.percentile, policy.power_of_two
    activation = tensor_scale(
        operands.activations, mac.activation, method, percentile=percentile, power_of_two=power_of_two
    )
    # A percentile is for the long tails of activations; weights have no outliers to give up.
    for_weights = "max" if method == "percentile" and product.weights is not None else method
    if product.weights is None or policy.weight_scales == "tensor":
        return activation, tensor_scale(
            operands.right, mac.weight, for_weights, percentile=percentile, power_of_two=power_of_two
        )
    return activation, channel_scales(
        operands.right, mac.weight, for_weights, percentile=percentile, power_of_two=power_of_two
    )


def _with_weights(
    product: Product, policy: Policy, plan: LayerPlan, seen: Observation, operands: _Operands
) -> LayerPlan:
    """The plan with weight codes and, if wanted, a corrected bias."""
    fmt, scale = plan.mac.weight, np.asarray(plan.weight_scale)
    scaled = operands.right.astype(np.float64) / scale
    if policy.rounding == "nearest" and not policy.bias_correction:
        return replace(plan, weight_codes=to_codes(scaled, fmt))
    rows = _rows(seen, operands)
    encoded = encode(rows, plan.mac.activation, plan.activation_scale)
    rounded_rows = plan.mac.activation.decode(encoded.codes) * plan.activation_scale
    codes = np.stack(
        [
            ROUNDINGS[policy.rounding](weights, fmt, inputs.T @ inputs)
            for weights, inputs in zip(scaled, rounded_rows, strict=True)
        ]
    )
    plan = replace(plan, weight_codes=codes)
    if not policy.bias_correction:
        return plan
    bias = corrected_bias(product.bias, rows, rounded_rows, operands.right, fmt.decode(codes) * scale)
    return replace(plan, bias=bias)


def _rows(seen: Observation, operands: _Operands) -> NDArray[np.float32]:
    rows = seen.rows()
    return rows if operands.migration is None else rows / operands.migration
