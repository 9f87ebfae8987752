"""PyTorch modules in place of files: simulate one, run data through one, retrain one in number formats.

`simulate` and `infer` answer for a `torch.nn.Module` as `simulator.api` does for an ONNX file. `FakeQuantize`
and `quantized` round values as the number formats do while a network is trained (docs/pytorch.md). This
package needs the extra `torch`; PyTorch is imported when one of its names is asked for, and not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.foundation import UserError

if TYPE_CHECKING:
    from simulator.pytorch.exporter import ExportedModule, export_module
    from simulator.pytorch.fake_quantization import FakeQuantize, fake_quantize
    from simulator.pytorch.module_runs import infer, simulate
    from simulator.pytorch.quantized_layers import (
        LayerScales,
        calibrate_activations,
        layer_scales,
        not_quantized,
        quantized,
        refresh_weight_scales,
    )

__all__ = [
    "ExportedModule",
    "FakeQuantize",
    "LayerScales",
    "calibrate_activations",
    "export_module",
    "fake_quantize",
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
    "infer": "module_runs",
    "simulate": "module_runs",
    "LayerScales": "quantized_layers",
    "calibrate_activations": "quantized_layers",
    "layer_scales": "quantized_layers",
    "not_quantized": "quantized_layers",
    "quantized": "quantized_layers",
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
