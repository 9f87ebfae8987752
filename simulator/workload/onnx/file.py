"""Reading an ONNX file into typed data. Weights stay in the file until somebody asks for their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from simulator.foundation import UserError
from simulator.foundation.reading.onnx_files import load_external_tensor, load_onnx
from simulator.workload.onnx.graph import Body, Constant, InputTensor, Node, Reference, Source, Tensor
from simulator.workload.onnx.operators import PARAMETER_POSITIONS, SECOND_OPERANDS

_WEIGHT_SUFFIX = re.compile(r"(_w_\d+|_w|[._/]weight|[._/]kernel)$")
_WIDENED = (10, 16)
"""Element types float16 and bfloat16: all that no MAC computes runs in float32."""
_TYPE_ATTRIBUTES = ("to", "dtype", "output_dtype", "stash_type")


def read_source(path: Path, *, all_inputs_are_data: bool = False) -> Source:
    """What an ONNX file holds. External data is not opened before a constant's values are asked for.

    An input that stands where an operator has its weights is a weight whose values the file leaves out,
    unless no other input is left, or `all_inputs_are_data`.

    Raises:
        UserError: unreadable, not ONNX, damaged, or without operators.
    """
    return source_of(_load(path), path, all_inputs_are_data=all_inputs_are_data)


def source_of(
    model: Any,
    path: Path,
    *,
    all_inputs_are_data: bool = False,
    values: Mapping[str, Callable[[], Tensor]] | None = None,
) -> Source:
    """What an ONNX model in memory holds; see `read_source`.

    Args:
        model: a `ModelProto`.
        path: what messages call it; its stem is the name of the network.
        all_inputs_are_data: see `read_source`.
        values: of initializers that the message only describes, as functions that give them; half precisions
            as float32.

    Raises:
        UserError: damaged.
    """
    versions = {opset.domain: opset.version for opset in model.opset_import}
    reader = _Reader(path, versions)
    body = reader.body(model.graph)
    weights = set() if all_inputs_are_data else _weight_inputs(body)
    if weights.issuperset(body.inputs):
        weights = set()
    inputs = []
    constants = dict(body.constants)
    for name, make in (values or {}).items():
        constants[name] = Constant(constants[name].shape, constants[name].dtype, make, stored=name)
    for value in model.graph.input:
        if value.name in constants:
            continue
        tensor = _input(value)
        if value.name in weights and tensor.sizes is not None and _all_known(tensor.sizes):
            shape = tuple(int(size) for size in tensor.sizes)  # type: ignore[arg-type]  # all are numbers
            constants[value.name] = _missing(path, value.name, shape, tensor.dtype)
        else:
            inputs.append(tensor)
    declared = {
        value.name: sizes
        for value in [*model.graph.value_info, *model.graph.output]
        if (sizes := _sizes(value)) is not None
    }
    return Source(
        path,
        Body(tuple(tensor.name for tensor in inputs), body.outputs, body.nodes, constants),
        tuple(inputs),
        {(function.domain, function.name): reader.function(function) for function in model.functions},
        declared,
        tuple(value.name for value in model.graph.output),
    )


def read_function(message: bytes, path: Path, version: int) -> Body:
    """The body of a function of the ONNX standard, from its protobuf message."""
    from onnx import FunctionProto

    return _Reader(path, {"": version}).function(FunctionProto.FromString(message))


def _load(path: Path) -> Any:
    model = load_onnx(path, weights=False)
    if not model.graph.node:
        raise UserError("is not an ONNX file, or has no operators", source=path)
    return model


def _weight_inputs(body: Body) -> set[str]:
    """Names that stand where an operator has its weights; in a graph without weights they are inputs."""
    return {
        name
        for node in body.nodes
        for position in PARAMETER_POSITIONS.get(node.operator, ())
        if (name := node.input(position))
    } - {name for node in body.nodes for name in node.outputs}


def _all_known(sizes: tuple[int | str | None, ...]) -> bool:
    return all(isinstance(size, int) and size > 0 for size in sizes)


def _missing(path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any] | None) -> Constant:
    def refuse() -> Tensor:
        raise UserError("weights are not in the file", source=path, location=name)

    return Constant(shape, dtype or np.dtype(np.float32), refuse, stored=name)


def _input(value: Any) -> InputTensor:
    if not value.type.HasField("tensor_type"):
        return InputTensor(value.name, None, None)
    return InputTensor(value.name, element_dtype(value.type.tensor_type.elem_type), _sizes(value))


def _sizes(value: Any) -> tuple[int | str | None, ...] | None:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        return None
    return tuple(
        dimension.dim_value if dimension.dim_value > 0 else _symbol(dimension.dim_param)
        for dimension in tensor.shape.dim
    )


def _symbol(name: str) -> str | None:
    """The name of an open size; exporters that know none write a question mark for every one of them."""
    return None if name in ("", "?", "-1") else name


def element_dtype(element: int) -> np.dtype[Any] | None:
    """NumPy's type of an ONNX element type, half precisions widened to float32; None where unknown."""
    from onnx import helper

    if element in _WIDENED:
        return np.dtype(np.float32)
    try:
        return np.dtype(helper.tensor_dtype_to_np_dtype(element))
    except (KeyError, ValueError, TypeError):
        return None


class _Reader:
    """Turns the protobuf messages of one file into typed data."""

    def __init__(self, path: Path, versions: Mapping[str, int]) -> None:
        self.path = path
        self.versions = versions

    def body(self, graph: Any) -> Body:
        constants = {tensor.name: self._constant(tensor) for tensor in graph.initializer}
        for sparse in graph.sparse_initializer:
            constants[sparse.values.name] = self._sparse(sparse)
        inputs = tuple(value.name for value in graph.input if value.name not in constants)
        outputs = tuple(value.name for value in graph.output)
        return Body(inputs, outputs, self._nodes(graph.node, self.versions), constants)

    def function(self, function: Any) -> Body:
        versions = {**self.versions, **{opset.domain: opset.version for opset in function.opset_import}}
        reader = _Reader(self.path, versions)
        defaults = {attribute.name: reader._attribute(attribute) for attribute in function.attribute_proto}
        nodes = reader._nodes(function.node, versions)
        return Body(tuple(function.input), tuple(function.output), nodes, {}, defaults)

    def _nodes(self, nodes: Any, versions: Mapping[str, int]) -> tuple[Node, ...]:
        return tuple(self._node(index, node, versions) for index, node in enumerate(nodes))

    def _node(self, index: int, node: Any, versions: Mapping[str, int]) -> Node:
        try:
            return self._typed(index, node, versions)
        except (TypeError, ValueError, AttributeError) as error:
            raise UserError(
                "is damaged: an attribute cannot be read",
                source=self.path,
                location=node.name or node.op_type,
            ) from error

    def _typed(self, index: int, node: Any, versions: Mapping[str, int]) -> Node:
        domain = "" if node.domain == "ai.onnx" else node.domain
        version = versions.get(domain, versions.get("ai.onnx", 1) if not domain else 1)
        attributes = {attribute.name: self._attribute(attribute) for attribute in node.attribute}
        inputs = tuple(node.input)
        position = SECOND_OPERANDS.get(node.op_type, 1)
        weights = inputs[position] if position < len(inputs) else ""
        return Node(
            node.op_type,
            inputs,
            tuple(node.output),
            domain,
            version,
            attributes,
            node.name,
            _label(node.op_type, index, node.name, weights),
        )

    def _attribute(self, attribute: Any) -> Any:
        from onnx import AttributeProto, helper

        if attribute.ref_attr_name:
            return Reference(attribute.ref_attr_name)
        if attribute.type == AttributeProto.TENSOR:
            return self._constant(attribute.t)
        if attribute.type == AttributeProto.SPARSE_TENSOR:
            return self._sparse(attribute.sparse_tensor)
        if attribute.type == AttributeProto.GRAPH:
            return self.body(attribute.g)
        value = helper.get_attribute_value(attribute)
        if value is None:
            raise ValueError(attribute.name)
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        if attribute.name in _TYPE_ATTRIBUTES and value in _WIDENED:
            return 1
        if attribute.type in (AttributeProto.INTS, AttributeProto.FLOATS):
            return tuple(value)
        if attribute.type == AttributeProto.STRINGS:
            return tuple(text.decode(errors="replace") for text in value)
        return value

    def _constant(self, tensor: Any) -> Constant:
        shape = tuple(tensor.dims)
        dtype = element_dtype(tensor.data_type)
        if dtype is None or min(shape, default=0) < 0:
            raise UserError("tensor has no valid type or shape", source=self.path, location=tensor.name)
        return Constant(shape, dtype, partial(_values, tensor, self.path), stored=tensor.name)

    def _sparse(self, sparse: Any) -> Constant:
        from onnx import numpy_helper

        def dense() -> Tensor:
            values, places = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
            full = np.zeros(tuple(sparse.dims), values.dtype)
            if places.ndim == 1:
                full.reshape(-1)[places] = values
            else:
                full[tuple(places.T)] = values
            return full

        dtype = element_dtype(sparse.values.data_type) or np.dtype(np.float32)
        return Constant(tuple(sparse.dims), dtype, dense, stored=sparse.values.name)


def _values(tensor: Any, path: Path) -> Tensor:
    """A tensor's values, from the file or from the file beside it; half precisions as float32."""
    from onnx import numpy_helper

    try:
        if load_external_tensor(tensor, path):
            values = numpy_helper.to_array(tensor)
            tensor.ClearField("raw_data")
        else:
            values = numpy_helper.to_array(tensor)
    except UserError:
        raise
    except Exception as error:  # the onnx package raises many kinds, none of its own
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"weights cannot be read: {reason}", source=path, location=tensor.name) from error
    return values.astype(np.float32) if tensor.data_type in _WIDENED else values


def _label(operator: str, index: int, name: str, weights: str) -> str:
    """What a layer is called: its weights' name, which exporters keep, else its operator's."""
    named_after_weights = _WEIGHT_SUFFIX.search(weights) and "::" not in weights
    chosen = _WEIGHT_SUFFIX.sub("", weights) if named_after_weights else name
    return chosen.strip("/") or f"{operator.lower()}_{index}"
