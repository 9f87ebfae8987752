"""Simplification before anything runs: batch normalization and bias move into the layer before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from simulator.foundation import UserError
from simulator.numerics.array_types import Tensor
from simulator.workload.onnx.graph import Constant, Graph, Node
from simulator.workload.onnx.names import is_product

_PASSED = frozenset({"Squeeze", "Reshape", "Transpose", "Identity"})
"""What a rule writes behind a convolution of another rank; channels stay channels across it."""


def fold(graph: Graph) -> Graph:
    """An equal graph with less to do.

    A batch normalization, or the addition of a constant per channel, right behind a product with constant
    weights goes into it; a MatMul then has its bias as third input, which ONNX itself does not know.

    Raises:
        UserError: the parameters of a batch normalization are missing or do not fit.
    """
    consumers = Counter(name for node in graph.nodes for name in node.inputs)
    consumers.update(graph.outputs)
    constants = dict(graph.constants)
    nodes: list[Node] = []
    names: dict[int, str] = {}
    producers: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        data = _data_input(node, constants)
        layer = _layer_before(data, nodes, producers, consumers, constants) if data else None
        parameters = None if layer is None else _parameters(node, nodes[layer], constants, graph)
        if layer is not None and parameters is not None:
            nodes[layer] = _scaled(nodes[layer], *parameters, constants)
            last = producers[data]
            nodes[last] = replace(nodes[last], outputs=node.outputs)
            producers[node.outputs[0]] = last
            continue
        producers.update(dict.fromkeys(filter(None, node.outputs), len(nodes)))
        if index in graph.layer_names:
            names[len(nodes)] = graph.layer_names[index]
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes), constants=constants, layer_names=names)


def _data_input(node: Node, constants: Mapping[str, Constant]) -> str:
    """The one computed input of a node, or no name."""
    computed = [name for name in node.inputs if name and name not in constants]
    return computed[0] if len(computed) == 1 else ""


def _layer_before(
    data: str,
    nodes: list[Node],
    producers: Mapping[str, int],
    consumers: Counter[str],
    constants: Mapping[str, Constant],
) -> int | None:
    """The product with constant weights whose channels a tensor holds, where nobody else reads its result."""
    position = producers.get(data)
    if position is None:
        return None
    origin = nodes[position].origin
    while consumers[data] == 1:
        node = nodes[position]
        if is_product(node):
            plain = node.step is None and node.inputs[1] in constants
            rank = {"Conv": 4, "MatMul": 2}[node.operator]
            return position if plain and len(constants[node.inputs[1]].shape) == rank else None
        inner = node.operator in _PASSED and node.origin == origin and bool(origin)
        before = producers.get(node.inputs[0])
        if not inner or before is None or nodes[before].origin != origin or not _is_conv(nodes[before]):
            return None
        data, position = node.inputs[0], before
    return None


def _is_conv(node: Node) -> bool:
    return node.operator == "Conv" or node.operator in _PASSED


def _parameters(
    node: Node, layer: Node, constants: Mapping[str, Constant], graph: Graph
) -> tuple[Tensor, Tensor] | None:
    """Factor and offset per channel of what can go into a layer; None for everything else."""
    if not node.is_standard:
        return None
    channels = _channels(layer, constants)
    if node.operator == "BatchNormalization" and len(node.outputs) == 1:
        factors, offsets = _affine(node, constants, graph.path)
        return (factors, offsets) if len(factors) == channels else None
    if node.operator != "Add":
        return None
    name = next(name for name in node.inputs if name in constants)
    shape = constants[name].shape
    rank = len(graph.shapes.get(node.outputs[0], ()))
    behind = rank - 2 if layer.operator == "Conv" else 0
    padded = (1,) * (behind + 1 - len(shape)) + shape
    if len(shape) > rank or prod(shape) not in (1, channels):
        return None
    if prod(shape) == channels and (padded[len(padded) - behind - 1] != channels):
        return None
    values = np.broadcast_to(constants[name].values().reshape(-1), (channels,))
    return np.ones(channels, values.dtype), values


def _affine(node: Node, constants: Mapping[str, Constant], path: Path) -> tuple[Tensor, Tensor]:
    """Factor and offset per channel of a batch normalization, in float64."""
    missing = [name for name in node.inputs[1:] if name not in constants]
    if missing or len(node.inputs) != 5:
        raise UserError("batch normalization without constant parameters", source=path, location=node.name)
    scale, bias, mean, variance = (constants[name].values().astype(np.float64) for name in node.inputs[1:])
    factors = scale / np.sqrt(variance + node.get("epsilon", 1e-5))
    return factors, bias - mean * factors


def _channel_axis(layer: Node) -> int:
    return 0 if layer.operator == "Conv" else -1


def _channels(layer: Node, constants: Mapping[str, Constant]) -> int:
    return constants[layer.inputs[1]].shape[_channel_axis(layer)]


def _scaled(layer: Node, factors: Tensor, offsets: Tensor, constants: dict[str, Constant]) -> Node:
    """The layer with other weights and another bias, which are new constants."""
    weights = constants[layer.inputs[1]]
    bias = constants[layer.inputs[2]] if layer.input(2) else None
    along = [1] * len(weights.shape)
    along[_channel_axis(layer)] = -1
    names = [f"{layer.outputs[0]}::folded_weight", f"{layer.outputs[0]}::folded_bias"]
    while names[0] in constants:
        names = [f"{name}'" for name in names]
    single = np.dtype(np.float32)
    constants[names[0]] = Constant(
        weights.shape,
        single,
        lambda: (weights.fresh() * factors.reshape(along)).astype(np.float32),
        stored=weights.stored,
    )

    def shifted() -> Tensor:
        before = np.zeros(len(factors)) if bias is None else bias.values().astype(np.float64).reshape(-1)
        return np.asarray(before * factors + offsets, np.float32)

    constants[names[1]] = Constant((len(factors),), single, shifted, stored=names[1])
    return replace(layer, inputs=(layer.inputs[0], *names))
