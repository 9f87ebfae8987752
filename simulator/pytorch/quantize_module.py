"""A copy of a module whose layers round their operands to a MAC's formats, and what it leaves in float32."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Collection
from typing import Any

import torch

from simulator.foundation import UserError
from simulator.inference.policies import Policy, default_policy, get_policy
from simulator.numerics import get_mac
from simulator.pytorch.activation_scales import calibrate_activations
from simulator.pytorch.fake_quantization import Outside
from simulator.pytorch.module_calls import first_reason
from simulator.pytorch.module_inputs import module_data
from simulator.pytorch.module_modes import bare_module
from simulator.pytorch.quantized_layers import (
    QUANTIZED,
    layer_name,
    not_quantized,
    quantize_layer,
    quantized_layers,
)
from simulator.pytorch.unrounded_products import float32_products


def quantized(
    module: torch.nn.Module,
    mac: str = "int8",
    policy: str | Policy | None = None,
    *,
    calibration: Any = None,
    outside: Outside = "clip",
    layers: Collection[str] | None = None,
) -> torch.nn.Module:
    """A copy of a module whose linear layers and convolutions round their operands to a MAC's formats.

    Only the layers in `QUANTIZED` are swapped, by exact type; subclasses and layers whose weight is computed
    (`weight_norm`) are not. A warning names the parameters that stay in float32 (`not_quantized`), and with
    `calibration` the products that do (`float32_products`), but not those of layers that `layers` leaves out.
    Parameters keep their names, so that a `state_dict` of the module loads with `strict=False`.
    Scales of weights follow from the weights now (`refresh_weight_scales` renews them), those of activations
    from `calibration`, or later from `calibrate_activations` or a `state_dict`; before, running the copy
    raises.

    Args:
        module: is not changed. Of `torch.compile` and data-parallel wrappers the module inside is copied.
        mac: whose operand formats are taken: a preset or a spec. Its accumulator has no part in this.
        policy: how scales are found (docs/inference.md); None: the MAC's default. Policies that do more than
            scale and round to nearest are refused.
        calibration: rows to find the scales of activations with, in the forms of `infer`'s data.
        outside: gradients of values that saturate.
        layers: qualified names of the layers to swap; None: all.

    Raises:
        UserError: an unknown MAC, policy or layer, a MAC with block scales, a policy that cannot be trained
            through, a module that is fake-quantized already or cannot be copied, or weights that are not
            finite.
    """
    chosen = get_mac(mac)
    chosen.require_no_blocks("a fake-quantized module")
    how = _trainable(get_policy(default_policy(chosen) if policy is None else policy))
    made = _copied(bare_module(module))
    found = {
        layer_name(path, layer): layer
        for path, layer in made.named_modules()
        if type(layer) in QUANTIZED and "weight" in layer._parameters
    }
    for name in _names(layers) or ():
        if name not in found:
            raise UserError("is no layer that can be quantized", value=name, candidates=found)
    for name, layer in found.items():
        if layers is None or name in layers:
            quantize_layer(layer, name, chosen, how, outside)
    _run_own_forward(made)
    if not any(True for _ in quantized_layers(made)):
        raise UserError(
            "has no layers that can be quantized",
            source=type(made).__name__,
            allowed=", ".join(each.__name__ for each in QUANTIZED),
        )
    left_out = [] if layers is None else [name for name in found if name not in layers]
    if calibration is not None:
        calibration = module_data(calibration).inputs
        calibrate_activations(made, calibration)
    _warn_of_float32(made, calibration, left_out)
    return made


def _names(layers: Any) -> Collection[str] | None:
    if layers is None or (isinstance(layers, Collection) and not isinstance(layers, str | bytes)):
        return layers
    raise UserError("is no collection of names", location="layers", value=layers, allowed="a list of names")


def _copied(module: torch.nn.Module) -> torch.nn.Module:
    for path, each in module.named_modules():
        if isinstance(each, torch.nn.modules.lazy.LazyModuleMixin) and each.has_uninitialized_params():
            raise UserError(
                "has no weights yet", location=layer_name(path, each), allowed="a module that was run once"
            )
    if any(True for _ in quantized_layers(module)):
        raise UserError("is fake-quantized already", location="module", value=type(module).__name__)
    try:
        return copy.deepcopy(module)
    except Exception as error:  # whatever the module holds raises its own
        raise UserError(
            f"cannot be copied: {first_reason(error)}", source=type(module).__name__, location="module"
        ) from error


def _warn_of_float32(module: torch.nn.Module, inputs: Any, left_out: Collection[str]) -> None:
    """Name what is not rounded, but for layers that the user left out."""
    prefixes = tuple(f"{name}." for name in left_out)
    parts = [name for name in not_quantized(module) if not name.startswith(prefixes or "\0")]
    if inputs is not None:
        rows = inputs.mapped(lambda tensor: tensor[:2])
        parts += [found for found in float32_products(module, rows) if found.split(": ")[0] not in left_out]
    if parts:
        warnings.warn(
            f"{type(module).__name__} is in part not rounded and stays in float32: {', '.join(parts)}",
            stacklevel=3,
        )


def _run_own_forward(module: torch.nn.Module) -> None:
    """Keep transformer layers from the fused kernels that evaluation without gradients takes.

    Those read the weights of `linear1` and `linear2` and run neither layer, so that nothing would be rounded.
    """
    for each in module.modules():
        if isinstance(each, torch.nn.TransformerEncoderLayer):
            each.activation_relu_or_gelu = 0
        elif isinstance(each, torch.nn.TransformerEncoder):
            each.use_nested_tensor = False


def _trainable(policy: Policy) -> Policy:
    """A policy that only scales and rounds to nearest. Raises UserError for others."""
    does_more = {
        "rounding": policy.rounding != "nearest",
        "bias_correction": policy.bias_correction,
        "smooth": policy.migration is not None,
        "ffp8": policy.formats != "mac",
        "search": policy.search,
        "last_exponent": policy.last_exponent != 0,
    }
    more = [name for name, is_so in does_more.items() if is_so]
    if more:
        raise UserError(
            f"cannot be trained through: {', '.join(more)}",
            location="policy",
            value=policy.name,
            allowed="drop_in, max, percentile, mse, with per_tensor, power_of_two, percentile=<number>",
        )
    return policy
