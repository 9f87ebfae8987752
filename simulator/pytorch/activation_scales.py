"""Scales of fake-quantized activations, from what float32 gives on some rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch

from simulator.foundation import UserError
from simulator.inference.kept import KeptTensors
from simulator.inference.policies import Policy
from simulator.inference.policies.scales import Method, tensor_scale
from simulator.pytorch.fake_quantization import FakeQuantize
from simulator.pytorch.module_calls import call_module
from simulator.pytorch.module_inputs import module_data
from simulator.pytorch.module_modes import bare_module
from simulator.pytorch.quantized_layers import quantized_layers

_ROWS_AT_ONCE: Final = 64


def calibrate_activations(module: torch.nn.Module, calibration: Any) -> None:
    """Set the scales of all fake-quantized activations from what float32 gives on some rows.

    As in `infer`, layers see what float32 layers before them computed, in evaluation mode, and each scale is
    found by the layer's policy from all values of all calls, in the module's own precision (autocast is off).
    The module's mode stays as it is.

    Args:
        module: from `quantized`.
        calibration: rows in the forms of `infer`'s data.

    Raises:
        UserError: rows that do not fit, a layer that no row reaches, or activations that are NaN or infinite.
    """
    module = bare_module(module)
    rows = module_data(calibration)
    kept = KeptTensors()
    layers = dict(quantized_layers(module))
    observers = {
        name: _Observer(name, layer.policy, layer.policy.scaling, kept)
        for name, layer in layers.items()
        if layer.policy.scaling != "none"
    }
    hooks = [
        layers[name].register_forward_pre_hook(observer, with_kwargs=True)
        for name, observer in observers.items()
    ]
    quantizers = [
        each for layer in layers.values() for each in (layer.activation_quantizer, layer.weight_quantizer)
    ]
    try:
        for quantizer in quantizers:
            quantizer.enabled = False
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            call_module(module, rows.rows(start, start + _ROWS_AT_ONCE), "the calibration rows")
    finally:
        for quantizer in quantizers:
            quantizer.enabled = True
        for hook in hooks:
            hook.remove()
    for name, observer in observers.items():
        quantizer = layers[name].activation_quantizer
        quantizer.scale.fill_(observer.scale(quantizer))


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
