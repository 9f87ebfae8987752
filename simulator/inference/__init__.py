"""Real tensors through a trained network with a MAC's numerics, beside float32.

`load_model` and `load_data` read, `infer` runs, `record_trace` and `load_trace` keep what went through the
array, `FunctionalCheck` compares it with references that compute it another way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.inference.data import load_data
    from simulator.inference.functional_check import FunctionalCheck, MismatchError
    from simulator.inference.images import Data, Images, StreamedImages, load_images
    from simulator.inference.model import Model, load_model
    from simulator.inference.policies import POLICIES, Policy, get_policy
    from simulator.inference.preprocess import PRESETS, Preprocess, get_preprocess
    from simulator.inference.record import record_trace
    from simulator.inference.run_inference import InferenceResult, infer, plan_network, run_plan
    from simulator.inference.trace import Trace, load_trace

__all__ = [
    "POLICIES",
    "PRESETS",
    "Data",
    "FunctionalCheck",
    "Images",
    "InferenceResult",
    "MismatchError",
    "Model",
    "Policy",
    "Preprocess",
    "StreamedImages",
    "Trace",
    "get_policy",
    "get_preprocess",
    "infer",
    "load_data",
    "load_images",
    "load_model",
    "load_trace",
    "plan_network",
    "record_trace",
    "run_plan",
]

_LAZY = {
    "FunctionalCheck": "functional_check",
    "MismatchError": "functional_check",
    "Data": "images",
    "Images": "images",
    "StreamedImages": "images",
    "load_data": "data",
    "load_images": "images",
    "InferenceResult": "run_inference",
    "infer": "run_inference",
    "plan_network": "run_inference",
    "run_plan": "run_inference",
    "Model": "model",
    "load_model": "model",
    "POLICIES": "policies",
    "Policy": "policies",
    "get_policy": "policies",
    "PRESETS": "preprocess",
    "Preprocess": "preprocess",
    "get_preprocess": "preprocess",
    "record_trace": "record",
    "Trace": "trace",
    "load_trace": "trace",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"simulator.inference.{_LAZY[name]}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
