"""PyTorch modules in place of files: simulate one, run data through one, retrain one in number formats.

`simulate` and `infer` answer for a `torch.nn.Module` as `simulator.api` does for an ONNX file. `FakeQuantize`
and `quantized` round values as the number formats do while a network is trained (docs/pytorch.md). This
package needs the extra `torch`; PyTorch is imported when one of its names is asked for, and not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.foundation import UserError

if TYPE_CHECKING:
    from simulator.pytorch.activation_scales import calibrate_activations
    from simulator.pytorch.exporter import ExportedModule, export_module
    from simulator.pytorch.fake_quantization import FakeQuantize, fake_quantize
    from simulator.pytorch.module_runs import infer, simulate
    from simulator.pytorch.quantize_module import quantized
    from simulator.pytorch.quantized_layers import (
        LayerScales,
        layer_scales,
        not_quantized,
        refresh_weight_scales,
    )
    from simulator.pytorch.unrounded_products import float32_products

__all__ = [
    "ExportedModule",
    "FakeQuantize",
    "LayerScales",
    "calibrate_activations",
    "export_module",
    "fake_quantize",
    "float32_products",
    "infer",
    "layer_scales",
    "not_quantized",
    "quantized",
    "refresh_weight_scales",
    "simulate",
]

_LAZY = {
    "ExportedModule": "exporter",
    "export_module": "exporter",
    "FakeQuantize": "fake_quantization",
    "fake_quantize": "fake_quantization",
    "float32_products": "unrounded_products",
    "infer": "module_runs",
    "simulate": "module_runs",
    "LayerScales": "quantized_layers",
    "calibrate_activations": "activation_scales",
    "layer_scales": "quantized_layers",
    "not_quantized": "quantized_layers",
    "quantized": "quantize_module",
    "refresh_weight_scales": "quantized_layers",
}


def __getattr__(name: str) -> Any:
    """A name of this package. Raises UserError where PyTorch, or what its exporter needs, is missing."""
    if name not in _LAZY:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    try:
        return getattr(import_module(f"simulator.pytorch.{_LAZY[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        raise UserError(
            "PyTorch is not installed", location=name, allowed="pip install 'systolic-simulator[torch]'"
        ) from error
