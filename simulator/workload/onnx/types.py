"""Types of tensors as ONNX's own inference takes and gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator.foundation import UserError
from simulator.workload.onnx.evaluate import proto_of
from simulator.workload.onnx.file import element_dtype
from simulator.workload.onnx.graph import Constant, Node, Shape

_LARGEST_SIZE = 2**63 - 1
_MOST_VALUES = 1024
"""Constants longer than this are weights, never sizes."""
_VALUES_ARE_SIZES = frozenset({"Resize", "Upsample", "Range", "OneHot"})
"""Operators whose shape may follow from constants that are not whole numbers."""

_OF_EQUAL_SHAPE = {"Binarizer": None, "Imputer": None, "Normalizer": 1, "Scaler": 1}
"""Operators of `ai.onnx.ml` without inference: the result's element type, None for that of the operand."""

_SHAPE_KEPT = frozenset(
    {
        "Abs",
        "Ceil",
        "Clip",
        "Dropout",
        "Elu",
        "Exp",
        "Floor",
        "GroupNormalization",
        "HardSigmoid",
        "InstanceNormalization",
        "LeakyRelu",
        "Log",
        "MeanVarianceNormalization",
        "Neg",
        "PRelu",
        "Reciprocal",
        "Relu",
        "Selu",
        "Sigmoid",
        "Sqrt",
        "Tanh",
    }
)
"""Operators of the standard that have no inference in every operator set, and the type of their operand."""


def known(proto: Any) -> tuple[Shape | None, np.dtype[Any] | None]:
    """Sizes and element type of a protobuf type; None for both where a size is open."""
    if proto is None or not proto.HasField("tensor_type") or not proto.tensor_type.HasField("shape"):
        return None, None
    dimensions = proto.tensor_type.shape.dim
    if not all(dimension.HasField("dim_value") for dimension in dimensions):
        return None, None
    return tuple(each.dim_value for each in dimensions), element_dtype(proto.tensor_type.elem_type)


def tensor_type(dtype: np.dtype[Any] | None, shape: Shape) -> Any:
    """The protobuf type of a tensor; None is taken for float32.

    Raises:
        UserError: a size that no ONNX file can state.
    """
    from onnx import TensorProto, helper

    if max(shape, default=0) > _LARGEST_SIZE:
        raise UserError(
            "is too large for a dimension of a tensor", value=max(shape), allowed="up to 2^63 - 1"
        )
    element = TensorProto.FLOAT if dtype is None else helper.np_dtype_to_tensor_dtype(dtype)
    return helper.make_tensor_type_proto(element, shape)


def _like(proto: Any, element: int | None) -> Any:
    """The type of a tensor of the same shape; None: of the same elements too."""
    shape, _ = known(proto)
    if shape is None or element is None:
        return proto
    return tensor_type(element_dtype(element), shape)


class ContradictingSizesError(Exception):
    """ONNX's inference says that sizes contradict each other; the text says how."""


def inferred(node: Node, types: Mapping[str, Any], constants: Mapping[str, Constant]) -> dict[str, Any]:
    """Types of an operator's results by name; empty where nothing is known.

    Args:
        node: the operator.
        types: of computed tensors.
        constants: by name; the values of small ones that may be sizes are given to inference.

    Raises:
        ContradictingSizesError: sizes contradict each other.
    """
    from onnx import defs, helper, numpy_helper
    from onnx.shape_inference import infer_node_outputs

    given: dict[str, Any] = {}
    data: dict[str, Any] = {}
    for name in filter(None, node.inputs):
        if name not in constants:
            if name not in types:
                return {}
            given[name] = types[name]
            continue
        constant = constants[name]
        given[name] = tensor_type(constant.dtype, constant.shape)
        is_size = constant.dtype.kind in "iu" and constant.dtype.itemsize >= 4
        if (is_size or node.operator in _VALUES_ARE_SIZES) and constant.size <= _MOST_VALUES:
            data[name] = numpy_helper.from_array(constant.values(), name)
    if node.bodies:
        return {}
    if node.domain == "ai.onnx.ml" and node.operator in _OF_EQUAL_SHAPE:
        return {node.outputs[0]: _like(given[node.inputs[0]], _OF_EQUAL_SHAPE[node.operator])}
    try:
        schema = defs.get_schema(node.operator, node.version, node.domain)
        imports = [helper.make_opsetid(node.domain, node.version)]
        found = dict(infer_node_outputs(schema, proto_of(node), given, data, opset_imports=imports))
    except defs.SchemaError:
        return {}
    except Exception as error:  # the onnx package raises many kinds
        raise ContradictingSizesError(" ".join(str(error).split())[:200]) from error
    if node.is_standard and node.operator in _SHAPE_KEPT and known(found.get(node.outputs[0]))[0] is None:
        found[node.outputs[0]] = given[node.inputs[0]]
    return found
