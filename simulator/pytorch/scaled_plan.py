"""The plan of a network whose layers were trained with known scales, for the hardware's arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference.images import Data
from simulator.inference.layer_products import Product
from simulator.inference.model import Model
from simulator.inference.quantization import LayerPlan, NetworkPlan, to_codes
from simulator.inference.run_inference import MacChoice, PolicyChoice, plan_network
from simulator.numerics import get_mac
from simulator.pytorch.quantized_layers import LayerScales, layer_name

TRAINED = "trained scales"


def plan_with_scales(
    model: Model,
    data: Data,
    module: torch.nn.Module,
    scales: Mapping[str, LayerScales],
    calls: Mapping[str, str],
    mac: MacChoice | None,
    policy: PolicyChoice,
) -> NetworkPlan:
    """Layers in `scales` as they were trained; others by the policy. A warning lists those others.

    Args:
        model: the network of `module`.
        data: to calibrate the other layers with.
        module: whose weights the scales belong to.
        scales: from `layer_scales`; those of a module are taken for each of its calls.
        calls: the modules whose calls the layers are (`ExportedModule`).
        mac: the MAC; None: that of the scales. Its operand formats are those of the scales.
        policy: of layers without scales.

    Raises:
        UserError: scales for a layer that there is not, of other formats than the MAC's, or of other weights
            than the network's (a batch normalization was folded into them).
    """
    products = {product.name: product for product in model.products}
    modules = {name: layer_name(calls[name], module.get_submodule(calls[name])) for name in calls}
    known = {
        name: next((key for key in (name, modules.get(name)) if key in scales), None) for name in products
    }
    for name in scales:
        if name not in known.values():
            raise UserError(
                "scales are for a layer that the network lacks",
                location=f"scales.{name}",
                value=name,
                candidates=[*products, *modules.values()],
            )
    names = {each.mac for each in scales.values()}
    if mac is None and len(names) > 1:
        raise UserError("scales are of several MACs", location="mac", value=sorted(names))
    chosen = get_mac(next(iter(names)) if mac is None else mac)
    chosen.require_no_blocks("a plan of trained scales")
    others = [name for name, key in known.items() if key is None]
    layers: dict[str, LayerPlan] = {}
    choices: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()
    called = TRAINED
    if others:
        rest = plan_network(model, data, chosen, policy)
        layers |= {name: rest.layers[name] for name in others}
        choices |= {name: choice for name, choice in rest.choices.items() if name in others}
        called = f"{TRAINED}, {rest.policy}"
        warnings = (
            f"layers without trained scales, by policy {rest.policy}: {', '.join(others)}",
            *rest.warnings,
        )
    for name, key in known.items():
        if key is None:
            continue
        each = scales[key]
        if (each.activation_format, each.weight_format) != (chosen.activation.spec, chosen.weight.spec):
            raise UserError(
                f"scales are of other formats than those of {chosen.name}",
                location=f"scales.{key}",
                value=f"{each.activation_format} x {each.weight_format}",
                allowed=f"{chosen.activation.spec} x {chosen.weight.spec}",
            )
        product = products[name]
        _require_same_weights(product, module, calls)
        assert product.weights is not None
        weight_scale: float | NDArray[np.float64] = each.weight
        if not isinstance(weight_scale, float):
            weight_scale = np.asarray(product.per_channel(weight_scale))
        codes = to_codes(product.weights.astype(np.float64) / np.asarray(weight_scale), chosen.weight)
        layers[name] = LayerPlan(chosen, each.activation, weight_scale, codes, product.bias)
        choices[name] = {"activation_scale": each.activation}
    return NetworkPlan(called, {name: layers[name] for name in products}, choices, warnings)


def _require_same_weights(product: Product, module: torch.nn.Module, calls: Mapping[str, str]) -> None:
    """Refuse weights that are not the layer's own any more. Raises UserError."""
    if product.name not in calls:
        raise UserError("has scales, but no weights of a module's own", location=product.name)
    layer: Any = module.get_submodule(calls[product.name])
    own = layer.weight.detach().cpu().float().numpy()
    found = product.weights
    if found is not None:
        groups, _, channels = found.shape
        lowered = own.reshape(groups, channels, -1).transpose(0, 2, 1) if own.size == found.size else own
        if np.array_equal(lowered, found):
            return
    raise UserError(
        "its weights are not those that its scales belong to: a batch normalization was folded into them",
        location=product.name,
        allowed="torch.nn.utils.fuse_conv_bn_eval before `quantized`",
    )
