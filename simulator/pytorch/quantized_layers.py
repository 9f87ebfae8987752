"""Convolutions and linear layers whose operands are rounded to a MAC's formats while a network is trained."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference.kept import KeptTensors
from simulator.inference.policies import Policy, default_policy, get_policy, weight_scales
from simulator.inference.policies.scales import Method, tensor_scale
from simulator.numerics import Mac, get_mac
from simulator.pytorch.fake_quantization import FakeQuantize, Outside
from simulator.pytorch.module_inputs import module_data
from simulator.pytorch.module_modes import in_evaluation_mode, require_module

_ROWS_AT_ONCE: Final = 64


class _Quantized(torch.nn.Module):
    """What all layers here have: quantizers of both operands, and what made their scales."""

    activation_quantizer: FakeQuantize
    weight_quantizer: FakeQuantize
    mac: str
    policy: Policy


class QuantizedLinear(_Quantized, torch.nn.Linear):
    """`torch.nn.Linear` of rounded activations and rounded weights; sums are PyTorch's own, in float32."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - PyTorch's name
        """Rounded activations times rounded weights, and the bias."""
        weight = self.weight_quantizer(self.weight)
        return torch.nn.functional.linear(self.activation_quantizer(input), weight, self.bias)


class _QuantizedConvolution(_Quantized):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - PyTorch's name
        """Rounded activations with rounded filters, and the bias."""
        weight = self.weight_quantizer(self.weight)
        convolved: torch.Tensor = self._conv_forward(self.activation_quantizer(input), weight, self.bias)
        return convolved


class QuantizedConv1d(_QuantizedConvolution, torch.nn.Conv1d):
    """As `QuantizedLinear`, of `torch.nn.Conv1d`."""


class QuantizedConv2d(_QuantizedConvolution, torch.nn.Conv2d):
    """As `QuantizedLinear`, of `torch.nn.Conv2d`."""


QUANTIZED: Final[Mapping[type[Any], type[Any]]] = {
    torch.nn.Linear: QuantizedLinear,
    torch.nn.Conv1d: QuantizedConv1d,
    torch.nn.Conv2d: QuantizedConv2d,
}
"""Layers that `quantized` swaps, and what for."""


@dataclass(frozen=True, slots=True)
class LayerScales:
    """Formats and scales of one layer, as it was trained.

    Attributes:
        mac: name of the MAC whose formats they are.
        activation_format: spec.
        weight_format: spec.
        activation: scale of the left operand.
        weight: scales float64[output channels], or one.
    """

    mac: str
    activation_format: str
    weight_format: str
    activation: float
    weight: float | NDArray[np.float64]


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

    Only the layers in `QUANTIZED` are swapped, by exact type; `not_quantized` lists what else multiplies with
    weights. Parameters keep their names, so that a `state_dict` of the module loads with `strict=False`.
    Scales of weights follow from the weights now (`refresh_weight_scales` renews them), those of activations
    from `calibration`, or later from `calibrate_activations` or a `state_dict`; before, running the copy
    raises.

    Args:
        module: is not changed.
        mac: whose operand formats are taken: a preset or a spec. Its accumulator has no part in this.
        policy: how scales are found (docs/inference.md); None: the MAC's default. Policies that do more than
            scale and round to nearest are refused.
        calibration: rows to find the scales of activations with, in the forms of `infer`'s data.
        outside: gradients of values that saturate.
        layers: qualified names of the layers to swap; None: all.

    Raises:
        UserError: an unknown MAC, policy or layer, or a policy that cannot be trained through.
    """
    require_module(module)
    chosen = get_mac(mac)
    how = _trainable(get_policy(default_policy(chosen) if policy is None else policy))
    made = copy.deepcopy(module)
    found = {name: layer for name, layer in made.named_modules() if type(layer) in QUANTIZED}
    for name in layers or ():
        if name not in found:
            raise UserError("is no layer that can be quantized", value=name, candidates=found)
    for name, layer in found.items():
        if layers is None or name in layers:
            _swap(layer, chosen, how, outside)
    _run_own_forward(made)
    if not any(True for _ in quantized_layers(made)):
        raise UserError(
            "has no layers that can be quantized",
            source=type(module).__name__,
            allowed=", ".join(each.__name__ for each in QUANTIZED),
        )
    if calibration is not None:
        calibrate_activations(made, calibration)
    return made


def quantized_layers(module: torch.nn.Module) -> Iterator[tuple[str, _Quantized]]:
    """The fake-quantized layers of a module, by qualified name."""
    for name, layer in module.named_modules():
        if isinstance(layer, _Quantized):
            yield name, layer


def not_quantized(module: torch.nn.Module) -> list[str]:
    """Qualified names of parameters of rank 2 or more that no fake-quantized layer rounds.

    Args:
        module: from `quantized`.
    """
    rounded = {id(layer.weight) for _, layer in quantized_layers(module)}
    return [name for name, each in module.named_parameters() if each.dim() > 1 and id(each) not in rounded]


def refresh_weight_scales(module: torch.nn.Module) -> None:
    """Find the scales of all fake-quantized weights anew, from the weights as they are now.

    Args:
        module: from `quantized`.
    """
    for _, layer in quantized_layers(module):
        layer.weight_quantizer.scale.copy_(torch.from_numpy(_weight_scales(layer)))


def calibrate_activations(module: torch.nn.Module, calibration: Any) -> None:
    """Set the scales of all fake-quantized activations from what float32 gives on some rows.

    As in `infer`, layers see what float32 layers before them computed, in evaluation mode, and each scale is
    found by the layer's policy from all values. The module's mode stays as it is.

    Args:
        module: from `quantized`.
        calibration: rows in the forms of `infer`'s data.

    Raises:
        UserError: rows that do not fit, or activations that are NaN or infinite.
    """
    rows = module_data(calibration)
    kept = KeptTensors()
    layers: dict[str, _Quantized] = {}
    observers: dict[str, _Observer] = {}
    for name, layer in quantized_layers(module):
        if layer.policy.scaling != "none":
            layers[name] = layer
            observers[name] = _Observer(name, layer.policy, layer.policy.scaling, kept)
    hooks = [
        layer.register_forward_pre_hook(observers[name], with_kwargs=True) for name, layer in layers.items()
    ]
    quantizers = [
        each
        for _, layer in quantized_layers(module)
        for each in (layer.activation_quantizer, layer.weight_quantizer)
    ]
    try:
        for quantizer in quantizers:
            quantizer.enabled = False
        with in_evaluation_mode(module), torch.no_grad():
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                part = rows.rows(start, start + _ROWS_AT_ONCE)
                module(*part.positional, **part.keywords)
    finally:
        for quantizer in quantizers:
            quantizer.enabled = True
        for hook in hooks:
            hook.remove()
    for name, layer in layers.items():
        quantizer = layer.activation_quantizer
        quantizer.scale.fill_(observers[name].scale(quantizer))


class _Observer:
    """Sees the inputs of one layer; keeps all values, or the extremes where the policy needs no more."""

    def __init__(self, name: str, policy: Policy, method: Method, kept: KeptTensors) -> None:
        self.name = name
        self.policy = policy
        self.method = method
        self.kept = kept
        self.last: Any = None

    def __call__(self, layer: torch.nn.Module, inputs: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        del layer
        given: torch.Tensor = inputs[0] if inputs else keywords["input"]
        values = given.detach().cpu().float().numpy()
        if not np.isfinite(values).all():
            raise UserError("activations are NaN or infinite on the calibration rows", location=self.name)
        if self.method == "max":
            values = np.stack([values.min(), values.max()])
        self.last = self.kept.add((self.name, "activations"), np.array(values.reshape(-1)))

    def scale(self, quantizer: FakeQuantize) -> float:
        """By the layer's policy. Raises UserError: the layer was not called."""
        if self.last is None:
            raise UserError("was not called on the calibration rows", location=self.name)
        how = self.policy
        return tensor_scale(
            self.last.array(),
            quantizer.format,
            self.method,
            percentile=how.percentile,
            power_of_two=how.power_of_two,
        )


def layer_scales(module: torch.nn.Module) -> dict[str, LayerScales]:
    """Formats and scales of all fake-quantized layers by qualified name, as `infer` takes them.

    Args:
        module: from `quantized`.
    """
    scales = {}
    for name, layer in quantized_layers(module):
        activation, weight = layer.activation_quantizer, layer.weight_quantizer
        of_weights = weight.scale.detach().cpu().double().numpy().copy()
        scales[name] = LayerScales(
            layer.mac,
            activation.format.spec,
            weight.format.spec,
            float(activation.scale),
            float(of_weights) if of_weights.ndim == 0 else of_weights,
        )
    return scales


def _swap(layer: Any, mac: Mac, policy: Policy, outside: Outside) -> None:
    """Turn a layer into its fake-quantized kind; its parameters and hooks stay."""
    unscaled = policy.scaling == "none"
    layer.__class__ = QUANTIZED[type(layer)]
    layer.mac, layer.policy = mac.name, policy
    layer.activation_quantizer = FakeQuantize(
        mac.activation, 1.0 if unscaled else float("nan"), encoding="activation", outside=outside
    )
    layer.weight_quantizer = FakeQuantize(mac.weight, axis=0, encoding="weight", outside=outside)
    layer.weight_quantizer.scale = torch.from_numpy(_weight_scales(layer)).to(layer.weight.device)
    layer.activation_quantizer.to(layer.weight.device)


def _run_own_forward(module: torch.nn.Module) -> None:
    """Keep transformer layers from the fused kernels that evaluation without gradients takes.

    Those read the weights of `linear1` and `linear2` and run neither layer, so that nothing would be rounded.
    """
    for each in module.modules():
        if isinstance(each, torch.nn.TransformerEncoderLayer):
            each.activation_relu_or_gelu = 0
        elif isinstance(each, torch.nn.TransformerEncoder):
            each.use_nested_tensor = False


def _weight_scales(layer: Any) -> NDArray[np.float64]:
    """One for each output channel, or one, by the layer's policy."""
    policy: Policy = layer.policy
    weights = layer.weight.detach().cpu().float().numpy()
    columns = weights.reshape(len(weights), -1).T[None]
    found = np.asarray(weight_scales(policy, columns, layer.weight_quantizer.format))
    return found.reshape(-1) if found.ndim else found


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
