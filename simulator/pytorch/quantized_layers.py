"""Convolutions and linear layers whose operands are rounded to a MAC's formats while a network is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference.policies import Policy, weight_scales
from simulator.numerics import Mac
from simulator.pytorch.fake_quantization import FakeQuantize, Outside
from simulator.pytorch.module_modes import bare_module


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


class QuantizedConv3d(_QuantizedConvolution, torch.nn.Conv3d):
    """As `QuantizedLinear`, of `torch.nn.Conv3d`."""


QUANTIZED: Final[Mapping[type[Any], type[Any]]] = {
    torch.nn.Linear: QuantizedLinear,
    torch.nn.Conv1d: QuantizedConv1d,
    torch.nn.Conv2d: QuantizedConv2d,
    torch.nn.Conv3d: QuantizedConv3d,
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


def layer_name(path: str, layer: torch.nn.Module) -> str:
    """The qualified name of a layer; of a root module PyTorch's name of the call, such as `linear`."""
    return path or type(layer).__name__.removeprefix("Quantized").lower()


def quantized_layers(module: torch.nn.Module) -> Iterator[tuple[str, _Quantized]]:
    """The fake-quantized layers of a module, by qualified name."""
    for path, layer in bare_module(module).named_modules():
        if isinstance(layer, _Quantized):
            yield layer_name(path, layer), layer


def is_quantized(module: torch.nn.Module | None) -> bool:
    """Whether a module is one fake-quantized layer."""
    return isinstance(module, _Quantized)


def not_quantized(module: torch.nn.Module) -> list[str]:
    """Qualified names of parameters of rank 2 or more that no fake-quantized layer rounds.

    `float32_products` finds products that have no such parameter.

    Args:
        module: from `quantized`.
    """
    rounded = {id(layer.weight) for _, layer in quantized_layers(module)}
    parameters = bare_module(module).named_parameters()
    return [name for name, each in parameters if each.dim() > 1 and id(each) not in rounded]


def refresh_weight_scales(module: torch.nn.Module) -> None:
    """Find the scales of all fake-quantized weights anew, from the weights as they are now.

    Args:
        module: from `quantized`.

    Raises:
        UserError: weights that are NaN or infinite.
    """
    for name, layer in quantized_layers(module):
        layer.weight_quantizer.scale.copy_(torch.from_numpy(scales_of_weights(layer, name)))


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


def quantize_layer(layer: Any, name: str, mac: Mac, policy: Policy, outside: Outside) -> None:
    """Turn a layer into its fake-quantized kind; its parameters and hooks stay.

    Raises:
        UserError: weights without finite values.
    """
    unscaled = policy.scaling == "none"
    layer.__class__ = QUANTIZED[type(layer)]
    layer.mac, layer.policy = mac.name, policy
    layer.activation_quantizer = FakeQuantize(
        mac.activation, 1.0 if unscaled else float("nan"), encoding="activation", outside=outside
    )
    layer.weight_quantizer = FakeQuantize(mac.weight, axis=0, encoding="weight", outside=outside)
    layer.weight_quantizer.scale = torch.from_numpy(scales_of_weights(layer, name)).to(layer.weight.device)
    layer.activation_quantizer.to(layer.weight.device)
    layer.train(layer.training)


def scales_of_weights(layer: Any, name: str) -> NDArray[np.float64]:
    """One for each output channel, or one, by the layer's policy. Raises UserError: no finite weights."""
    policy: Policy = layer.policy
    given = layer.weight.detach()
    if given.is_meta or given.layout != torch.strided:
        kind = "on the device meta" if given.is_meta else str(given.layout)
        raise UserError("has weights without dense values", location=name, value=kind)
    weights = given.cpu().float().numpy()
    if not np.isfinite(weights).all():
        raise UserError("has weights that are NaN or infinite", location=name)
    columns = weights.reshape(len(weights), -1).T[None]
    found = np.asarray(weight_scales(policy, columns, layer.weight_quantizer.format))
    return found.reshape(-1) if found.ndim else found
