"""Recording a run as a trace."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from simulator.foundation import UserError
from simulator.foundation.callbacks import Advance
from simulator.foundation.reading.content import sha256_of
from simulator.foundation.reading.limits import LARGEST_ONNX_BYTES
from simulator.inference.arithmetic import MacOutput
from simulator.inference.images import Data
from simulator.inference.layer_products import Product
from simulator.inference.model import Model
from simulator.inference.quantization import LayerPlan, NetworkPlan
from simulator.inference.run_inference import InferenceResult, run_plan
from simulator.inference.trace import Encoding, LayerRecord, Manifest, Provenance, Role, write_trace
from simulator.numerics.array_types import Tensor
from simulator.workload import Layer, load_network


def record_trace(
    model: Model,
    data: Data,
    plan: NetworkPlan,
    folder: Path,
    *,
    encoding: Encoding = "codes",
    progress: Advance | None = None,
) -> tuple[Manifest, InferenceResult]:
    """Run images through a planned network and write what went through the array.

    Args:
        model: the trained network.
        data: all of its images are recorded.
        plan: from `plan_network`.
        folder: made where missing.
        encoding: `codes` records operand codes and accumulators; `floats` what the codes stand for.
        progress: told how many images have run.

    Raises:
        UserError: images that do not fit, or a folder that cannot be written.
    """
    for layer in plan.layers.values():
        layer.mac.require_no_blocks("a trace")
    stepped = next((product.name for product in model.products if product.steps is not None), None)
    if stepped is not None:
        raise UserError(
            "a layer that runs step by step cannot be recorded", source=model.path, location=stepped
        )
    recorder = _Recorder()
    result = run_plan(model, data, plan, observer=recorder, progress=progress)
    network = load_network(
        str(model.path), batch=len(data.images), skip_unsupported=True, sizes=model.known_sizes
    )
    layers = {layer.name: layer for layer in network.layers}
    records = [
        recorder.record(product, layers[product.name], plan.layers[product.name], encoding)
        for product in model.products
    ]
    provenance = Provenance(
        network=model.name,
        network_sha256=sha256_of(model.path, most_bytes=LARGEST_ONNX_BYTES),
        data=data.source,
        images=len(data.images),
        policy=plan.policy,
    )
    return write_trace(folder, records, provenance, encoding=encoding), result


@dataclass(slots=True)
class _Recorder:
    """An observer that keeps every layer's tensors, chunk by chunk."""

    parts: dict[str, list[MacOutput]] = field(default_factory=dict)

    def __call__(self, product: Product, output: MacOutput) -> None:
        self.parts.setdefault(product.name, []).append(output)

    def record(self, product: Product, layer: Layer, plan: LayerPlan, encoding: Encoding) -> LayerRecord:
        """One layer's record; its tensors are let go of."""
        parts = self.parts.pop(product.name)
        activations = np.concatenate([part.operands.encoded.codes for part in parts], axis=product.input_axis)
        # A computed right operand has a group for each product, in the order of the images.
        computed = product.weights is None
        weights = (
            np.concatenate([part.operands.weights for part in parts])
            if computed
            else parts[0].operands.weights
        )
        outputs = np.concatenate([part.values for part in parts], axis=product.input_axis)
        if encoding == "floats":
            return LayerRecord(layer, _in_reals(plan, activations, weights, outputs))
        accumulators = np.concatenate([part.accumulators for part in parts], axis=0 if computed else 1)
        tensors: dict[Role, Tensor] = {
            "activations": activations,
            "weights": weights,
            "accumulators": _storable(accumulators),
            "outputs": outputs,
        }
        zero = int(plan.mac.activation.encode(np.zeros(1))[0])
        scales = tuple(np.asarray(plan.weight_scale, np.float64).reshape(-1).tolist())
        return LayerRecord(layer, tensors, plan.mac.spec, plan.activation_scale, scales, zero)


def _in_reals(plan: LayerPlan, activations: Tensor, weights: Tensor, outputs: Tensor) -> dict[Role, Tensor]:
    real_activations = plan.mac.activation.decode(activations) * plan.activation_scale
    real_weights = plan.mac.weight.decode(weights) * plan.weight_scale
    return {
        "activations": real_activations.astype(np.float32),
        "weights": real_weights.astype(np.float32),
        "outputs": outputs,
    }


def _storable(accumulators: Tensor) -> Tensor:
    """Accumulators of more than 64 bits as two's complement 64-bit limbs, lowest first, in a last axis."""
    if accumulators.dtype != object:
        return accumulators
    widest = max(int(value).bit_length() + 1 for value in accumulators.reshape(-1))
    limbs = [(accumulators >> (64 * index)) & ((1 << 64) - 1) for index in range(-(-widest // 64))]
    return np.stack(limbs, axis=-1).astype(np.uint64)
