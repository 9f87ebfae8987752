"""Reading an ONNX file into operators, shapes and data inputs; everything that touches the onnx package."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.foundation import UserError
from simulator.foundation.reading.onnx_files import inlined, load_onnx
from simulator.workload.onnx_operators import CONVOLUTIONS, PARAMETER_POSITIONS, PRODUCTS

Shape = tuple[int, ...]

# Constants longer than this are weights, never the target of a Reshape, and are dropped before inference.
_LARGEST_SHAPE_CONSTANT = 1024
_VALUE_FIELDS = (
    "raw_data", "float_data", "double_data", "int32_data", "int64_data", "uint64_data", "string_data",
)  # fmt: skip
# By AttributeProto.type: INT, STRING, INTS.
_ATTRIBUTE_VALUES: dict[int, Callable[[Any], Any]] = {
    2: lambda attribute: attribute.i,
    3: lambda attribute: attribute.s.decode(errors="replace"),
    7: lambda attribute: tuple(attribute.ints),
}
_WEIGHT_SUFFIX = re.compile(r"(_w_\d+|_w|[._/]weight|[._/]kernel)$")


@dataclass(frozen=True, slots=True)
class Graph:
    """An ONNX graph: `nodes` in execution order, known `shapes` by tensor name, `inputs` that carry data."""

    path: Path
    name: str
    nodes: tuple[Any, ...]
    shapes: dict[str, Shape]
    inputs: tuple[str, ...]
    batch: int
    layer_names: dict[int, str]
    consumers: Counter[str]

    @staticmethod
    def attributes(node: Any) -> dict[str, Any]:
        """Attributes of an operator that are int, text or tuple of int; others are left out."""
        return {a.name: _ATTRIBUTE_VALUES[a.type](a) for a in node.attribute if a.type in _ATTRIBUTE_VALUES}


def read_graph(path: Path) -> Graph:
    """The graph in an ONNX file, its shapes inferred and its open batch dimension taken as 1.

    Raises:
        UserError: unreadable, not ONNX, without operators, or an input dimension left open.
    """
    model = _load(path)
    _drop_weights(model.graph)
    constants = {tensor.name for tensor in model.graph.initializer} | _weight_inputs(model.graph)
    inputs = [value for value in model.graph.input if value.name not in constants]
    _close_batch(model.graph, inputs, path)
    model = _inferred(model, path)
    shapes = _shapes(model.graph)
    names = tuple(value.name for value in inputs)
    for name in names:
        if name not in shapes:
            raise UserError("input is no tensor of known shape", source=path, location=name)
    batches = [shapes[name][0] for name in names if shapes[name]]
    return Graph(
        path=path,
        name=path.stem,
        nodes=tuple(model.graph.node),
        shapes=shapes,
        inputs=names,
        batch=batches[0] if batches else 1,
        layer_names=_layer_names(model.graph),
        consumers=Counter(name for node in model.graph.node for name in node.input),
    )


def _load(path: Path) -> Any:
    model = load_onnx(path, weights=False)
    if not model.graph.node:
        raise UserError("is not an ONNX file, or has no operators", source=path)
    return inlined(model, path) if model.functions else model


def _drop_weights(graph: Any) -> None:
    for tensor in graph.initializer:
        elements = 1
        for size in tensor.dims:
            elements *= size
        if elements > _LARGEST_SHAPE_CONSTANT:
            for name in _VALUE_FIELDS:
                tensor.ClearField(name)


def _weight_inputs(graph: Any) -> set[str]:
    """Names that stand where an operator has its weights; in a graph without weights they are inputs."""
    return {
        node.input[position]
        for node in graph.node
        for position in PARAMETER_POSITIONS.get(node.op_type, ())
        if position < len(node.input)
    } - {name for node in graph.node for name in node.output}


def _close_batch(graph: Any, inputs: list[Any], path: Path) -> None:
    """Set open first dimensions of the inputs to 1, wherever their symbol appears."""
    symbols: set[str] = set()
    for value in inputs:
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
            raise UserError("input has no shape", source=path, location=value.name)
        for dimension in value.type.tensor_type.shape.dim[:1]:
            if dimension.dim_param:
                symbols.add(dimension.dim_param)
            if not dimension.dim_value:
                dimension.dim_value = 1
    for value in [*graph.input, *graph.value_info, *graph.output]:
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param in symbols:
                dimension.dim_value = 1
    left_open = [
        f"{value.name}[{index}]" + (f" ({dimension.dim_param})" if dimension.dim_param else "")
        for value in inputs
        for index, dimension in enumerate(value.type.tensor_type.shape.dim)
        if dimension.dim_value < 1
    ]
    if left_open:
        raise UserError(
            f"input dimensions are left open: {', '.join(left_open)}",
            source=path,
            allowed="only the first dimension, the batch, may be open; export with fixed sizes",
        )


def _inferred(model: Any, path: Path) -> Any:
    import onnx

    # Inference refuses a domain that the file does not declare; such operators are told of later, together.
    declared = {opset.domain for opset in model.opset_import}
    for domain in sorted({node.domain for node in model.graph.node} - declared - {"", "ai.onnx"}):
        model.opset_import.append(onnx.helper.make_opsetid(domain, 1))
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"shapes cannot be inferred: {reason}", source=path) from error


def _shapes(graph: Any) -> dict[str, Shape]:
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        tensor = value.type.tensor_type
        if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
            continue
        sizes = tuple(dimension.dim_value for dimension in tensor.shape.dim)
        if min(sizes, default=1) > 0:
            shapes[value.name] = sizes
    return shapes


def _layer_names(graph: Any) -> dict[int, str]:
    """A distinct name for each layer: its weights' name, which exporters keep, else its operator's.

    A first path component that all names share, such as `gpu_0/`, is dropped.
    """
    names: dict[int, str] = {}
    tables = CONVOLUTIONS | PRODUCTS
    for index, node in enumerate(graph.node):
        if node.op_type in tables:
            second = tables[node.op_type].second
            weights = node.input[second] if second < len(node.input) else ""
            named_after_weights = _WEIGHT_SUFFIX.search(weights) and "::" not in weights
            name = _WEIGHT_SUFFIX.sub("", weights) if named_after_weights else node.name
            names[index] = name.strip("/") or f"{node.op_type.lower()}_{index}"
    first_parts = {name.split("/", 1)[0] for name in names.values()}
    if len(first_parts) == 1 and all("/" in name for name in names.values()):
        names = {index: name.split("/", 1)[1] for index, name in names.items()}
    return _distinct(names)


def _distinct(names: dict[int, str]) -> dict[int, str]:
    taken: set[str] = set()
    for index, name in names.items():
        candidate, copy = name, 2
        while candidate in taken:
            candidate, copy = f"{name}_{copy}", copy + 1
        names[index] = candidate
        taken.add(candidate)
    return names
