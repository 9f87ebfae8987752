"""Simplification before anything runs: constants computed, batch normalization and bias moved into layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.inference.operators import evaluator_of

Tensor = NDArray[Any]


def fold(
    nodes: list[Any], constants: Mapping[str, Tensor], opset: Mapping[str, int], path: Path
) -> tuple[list[Any], dict[str, Tensor]]:
    """Nodes and constants of an equal network with less to do.

    An operator on constants alone becomes a constant. A batch normalization or the addition of a constant
    per channel right behind a Conv, Gemm or MatMul with constant weights goes into that layer; a MatMul then
    has its bias as third input, which ONNX itself does not know.

    Raises:
        UserError: the parameters of a batch normalization are missing or do not fit.
    """
    known = dict(constants)
    nodes = _without_constant_operators(nodes, known, opset)
    consumers = Counter(name for node in nodes for name in node.input)
    producers = {name: node for node in nodes for name in node.output}
    kept = []
    for node in nodes:
        producer = producers.get(_data_input(node, known))
        alone = producer is not None and consumers[producer.output[0]] == 1
        if alone and _has_constant_weights(producer, known) and _absorb(producer, node, known, path):
            producers[node.output[0]] = producer
            continue
        kept.append(node)
    used = {name for node in kept for name in node.input}
    return kept, {name: values for name, values in known.items() if name in used}


def _without_constant_operators(
    nodes: list[Any], known: dict[str, Tensor], opset: Mapping[str, int]
) -> list[Any]:
    kept = []
    for node in nodes:
        if all(not name or name in known for name in node.input) and not node.op_type.startswith("Random"):
            evaluate = evaluator_of(node, opset)
            if evaluate is not None:
                outputs = evaluate([known.get(name) for name in node.input])
                known.update(zip(node.output, map(np.asarray, outputs), strict=False))
                continue
        kept.append(node)
    return kept


def _data_input(node: Any, known: Mapping[str, Tensor]) -> str:
    """The one computed input of a node, or no name."""
    computed = [name for name in node.input if name and name not in known]
    return computed[0] if len(computed) == 1 else ""


def _has_constant_weights(node: Any, known: Mapping[str, Tensor]) -> bool:
    return (
        node.op_type in ("Conv", "Gemm", "MatMul")
        and len(node.input) > 1
        and node.input[0] not in known
        and node.input[1] in known
    )


def _absorb(layer: Any, node: Any, known: dict[str, Tensor], path: Path) -> bool:
    """Move `node` into `layer`, whose output takes its name; False when it cannot be done."""
    if node.op_type == "BatchNormalization" and len(node.output) == 1:
        factors, offsets = _affine(node, known, path)
    elif node.op_type == "Add":
        offsets = next(known[name] for name in node.input if name in known)
        channels = _channels(layer, known)
        expected = (channels, 1, 1) if layer.op_type == "Conv" else (channels,)
        if offsets.shape not in (expected, (1, *expected)):
            return False
        factors, offsets = np.ones(channels, offsets.dtype), offsets.reshape(-1)
    else:
        return False
    if len(factors) != _channels(layer, known) or (layer.op_type == "Gemm" and not _is_plain(layer)):
        return False
    _scale_and_shift(layer, factors, offsets, known)
    layer.output[0] = node.output[0]
    return True


def _affine(node: Any, known: Mapping[str, Tensor], path: Path) -> tuple[Tensor, Tensor]:
    """Factor and offset per channel of a batch normalization, in float64."""
    missing = [name for name in node.input[1:] if name not in known]
    if missing or len(node.input) != 5:
        raise UserError("batch normalization without constant parameters", source=path, location=node.name)
    scale, bias, mean, variance = (known[name].astype(np.float64) for name in node.input[1:])
    epsilon = next((attribute.f for attribute in node.attribute if attribute.name == "epsilon"), 1e-5)
    factors = scale / np.sqrt(variance + epsilon)
    return factors, bias - mean * factors


def _is_plain(gemm: Any) -> bool:
    return all(attribute.f == 1 for attribute in gemm.attribute if attribute.name in ("alpha", "beta"))


def _transposed_weights(layer: Any) -> bool:
    return any(attribute.name == "transB" and attribute.i for attribute in layer.attribute)


def _channel_axis(layer: Any) -> int:
    return 0 if layer.op_type == "Conv" or _transposed_weights(layer) else -1


def _channels(layer: Any, known: Mapping[str, Tensor]) -> int:
    return int(known[layer.input[1]].shape[_channel_axis(layer)])


def _scale_and_shift(layer: Any, factors: Tensor, offsets: Tensor, known: dict[str, Tensor]) -> None:
    weights = known[layer.input[1]]
    along = [1] * weights.ndim
    along[_channel_axis(layer)] = -1
    bias = known[layer.input[2]] if len(layer.input) > 2 and layer.input[2] else np.zeros(len(factors))
    names = [f"{layer.name}.folded_weight", f"{layer.name}.folded_bias"]
    known[names[0]] = (weights * factors.reshape(along)).astype(np.float32)
    known[names[1]] = (bias.astype(np.float64).reshape(-1) * factors + offsets).astype(np.float32)
    data = layer.input[0]
    del layer.input[:]
    layer.input.extend([data, *names])
