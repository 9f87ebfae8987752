"""Operators that the array does not compute, in float32: ONNX's reference evaluator, else numpy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[Any]
Evaluator = Callable[[Sequence[Tensor | None]], Sequence[Tensor]]


def evaluator_of(node: Any, opset: Mapping[str, int]) -> Evaluator | None:
    """A function from the values of a node's inputs to those of its outputs; None for unknown operators.

    Optional inputs that are left out are None.
    """
    standard = node.domain in ("", "ai.onnx")
    own = _own_evaluator(node) if standard else None
    return own or _library_evaluator(node, opset)


def _library_evaluator(node: Any, opset: Mapping[str, int]) -> Evaluator | None:
    from onnx import AttributeProto, TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    if any(attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for attribute in node.attribute):
        return None
    given = list(dict.fromkeys(filter(None, node.input)))
    results = list(filter(None, node.output))
    graph = helper.make_graph(
        [node],
        "operator",
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in given],
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in results],
    )
    try:
        evaluator = ReferenceEvaluator(graph, opsets=dict(opset))
    except Exception:
        return None

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        values = dict(zip(node.input, inputs, strict=True))
        outputs: Any = evaluator.run(None, {name: values[name] for name in given})
        return list(outputs)

    return evaluate


def _own_evaluator(node: Any) -> Evaluator | None:
    """Numpy code for operators that the reference evaluator computes element by element in Python."""
    from onnx import helper

    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "MaxPool" and len(node.output) == 1:
        return _max_pool(attributes)
    if node.op_type == "Clip":
        return _clip
    if node.op_type in _PAIRS and len(node.input) == 2:
        pair = _PAIRS[node.op_type]
        return lambda inputs: (np.asarray(pair(*inputs)),)
    function = _ELEMENTWISE.get(node.op_type)
    if function is None:
        return None

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        assert inputs[0] is not None
        return (function(inputs[0]),)

    return evaluate


def _max_pool(attributes: Mapping[str, Any]) -> Evaluator | None:
    """Two-dimensional pooling with explicit padding; None for anything rarer."""
    kernel = tuple(attributes["kernel_shape"])
    plain = (
        len(kernel) == 2
        and attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
        and not attributes.get("ceil_mode", 0)
        and set(attributes.get("dilations", (1, 1))) == {1}
    )
    if not plain:
        return None
    strides = tuple(attributes.get("strides", (1, 1)))
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        image = inputs[0]
        assert image is not None
        if top or left or bottom or right:
            edges = ((0, 0), (0, 0), (top, bottom), (left, right))
            image = np.pad(image, edges, constant_values=-np.inf)
        height, width = (
            (size - window) // stride + 1
            for size, window, stride in zip(image.shape[2:], kernel, strides, strict=True)
        )
        result: Tensor | None = None
        for row in range(kernel[0]):
            for column in range(kernel[1]):
                window = image[
                    :,
                    :,
                    row : row + (height - 1) * strides[0] + 1 : strides[0],
                    column : column + (width - 1) * strides[1] + 1 : strides[1],
                ]
                result = window if result is None else np.maximum(result, window)
        assert result is not None
        return (result,)

    return evaluate


def _erf(values: Tensor) -> Tensor:
    return np.asarray(_compiled_erf()(values))


@cache
def _compiled_erf() -> Any:
    from numba import vectorize

    return vectorize(["float32(float32)", "float64(float64)"], cache=True)(_scalar_erf)


def _scalar_erf(value: float) -> float:
    return math.erf(value)


def _sigmoid(values: Tensor) -> Tensor:
    # exp of minus the magnitude cannot overflow.
    small = np.exp(-np.abs(values))
    return np.asarray(np.where(values >= 0, 1 / (1 + small), small / (1 + small)), values.dtype)


def _clip(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
    """Between two optional bounds; NaN stays NaN. Where the bounds cross, all is the upper one."""
    values, low, high = (*inputs, None, None)[:3]
    assert values is not None
    if low is None and high is None:
        return (values,)
    return (np.clip(values, low, high),)


def _relu(values: Tensor) -> Tensor:
    return np.maximum(values, 0)


_ELEMENTWISE: Mapping[str, Callable[[Tensor], Tensor]] = {"Erf": _erf, "Relu": _relu, "Sigmoid": _sigmoid}

_PAIRS: Mapping[str, Callable[..., Tensor]] = {"Add": np.add, "Mul": np.multiply, "Sub": np.subtract}
