"""A trained network: the operators and weights of an ONNX file, ready to be executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.foundation import UserError
from simulator.foundation.reading.foreign import decoding
from simulator.foundation.reading.onnx_files import inlined, load_onnx
from simulator.foundation.resources import resolve_document
from simulator.inference.folding import fold
from simulator.inference.operators import Evaluator, evaluator_of
from simulator.inference.products import Product, product_of
from simulator.workload.onnx_file import read_graph

PRODUCT_OPERATORS = frozenset({"Conv", "Gemm", "MatMul"})

Tensor = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Operator:
    """One step of a network: either a matrix product for the array, or anything else, in float32."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    product: Product | None = None
    evaluate: Evaluator | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A trained network; `input_shape` has None for the batch, `constants` are all fixed tensors by name."""

    path: Path
    name: str
    operators: tuple[Operator, ...]
    constants: Mapping[str, Tensor]
    input: str
    input_shape: tuple[int | None, ...]
    output: str

    @property
    def products(self) -> tuple[Product, ...]:
        """The matrix products in execution order."""
        return tuple(operator.product for operator in self.operators if operator.product is not None)

    @property
    def last_product(self) -> str:
        """Name of the layer that gives the logits."""
        return self.products[-1].name


def load_model(name_or_path: str | Path) -> Model:
    """The trained network meant by a bundled name such as `lenet5_fashion`, or by the path of an ONNX file.

    Constants are folded, and batch normalizations and constant biases go into the layer before them. Layers
    have the names that `simulator.workload.load_network` gives them.

    Raises:
        UserError: unreadable or not ONNX, weights missing or not finite, dimensions other than the batch left
            open, more than one data input, or operators (all named) that nobody here supports.
    """
    path = resolve_document(str(name_or_path), "workloads", ".onnx", what="trained network")
    if path.suffix.lower() != ".onnx":
        raise UserError("trained networks are ONNX files with weights", source=path, value=path.suffix)
    with decoding("a network that can be executed", source=path):
        return _read(path)


def _read(path: Path) -> Model:
    layer_names = read_graph(path).layer_names  # also refuses what no one can read, and open dimensions
    proto = _load(path)
    constants = _initializers(proto.graph, path)
    nodes = _named(proto.graph.node, layer_names)
    nodes, constants = fold(nodes, constants, _opset(proto), path)
    name, shape = _input(proto.graph, constants, path)
    operators = _operators(nodes, constants, name, _opset(proto), path)
    if not any(operator.product for operator in operators):
        raise UserError("has no layers that an array can compute", source=path)
    return Model(path, path.stem, operators, constants, name, shape, proto.graph.output[0].name)


def _load(path: Path) -> Any:
    proto = load_onnx(path, weights=True)
    return inlined(proto, path) if proto.functions else proto


def _opset(proto: Any) -> dict[str, int]:
    return {opset.domain: opset.version for opset in proto.opset_import}


def _initializers(graph: Any, path: Path) -> dict[str, Tensor]:
    from onnx import numpy_helper

    constants: dict[str, Tensor] = {}
    for tensor in graph.initializer:
        try:
            values = numpy_helper.to_array(tensor)
        except (ValueError, TypeError) as error:
            raise UserError(f"weights cannot be read: {error}", source=path, location=tensor.name) from error
        constants[tensor.name] = values
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            bad = int(np.count_nonzero(~np.isfinite(values)))
            raise UserError(f"{bad} weights are NaN or infinite", source=path, location=tensor.name)
    return constants


def _named(nodes: Any, layer_names: Mapping[int, str]) -> list[Any]:
    """Copies of the nodes; layers carry the names that the workload gives them."""
    named = []
    for index, node in enumerate(nodes):
        copy = type(node)()
        copy.CopyFrom(node)
        copy.name = layer_names.get(index, node.name or next(iter(node.output), ""))
        named.append(copy)
    return named


def _input(graph: Any, constants: Mapping[str, Tensor], path: Path) -> tuple[str, tuple[int | None, ...]]:
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise UserError(
            "a network for inference has one data input and all weights in the file",
            source=path,
            value=[value.name for value in inputs],
        )
    sizes = [dimension.dim_value for dimension in inputs[0].type.tensor_type.shape.dim]
    return inputs[0].name, (None, *sizes[1:])


def _operators(
    nodes: list[Any], constants: Mapping[str, Tensor], data: str, opset: Mapping[str, int], path: Path
) -> tuple[Operator, ...]:
    operators, unsupported = [], []
    computed = {data}
    for node in nodes:
        computed.update(node.output)
        operator = Operator(node.name, node.op_type, tuple(node.input), tuple(node.output))
        if node.op_type in PRODUCT_OPERATORS and node.domain in ("", "ai.onnx"):
            operators.append(replace(operator, product=product_of(node, constants, computed, path)))
            continue
        evaluate = evaluator_of(node, opset)
        if evaluate is None:
            unsupported.append(f"{node.op_type} ({node.name})")
        operators.append(replace(operator, evaluate=evaluate))
    if unsupported:
        raise UserError(
            f"has operators that cannot be executed: {', '.join(unsupported)}",
            source=path,
            allowed="operators of the ONNX standard without subgraphs",
        )
    return tuple(operators)
