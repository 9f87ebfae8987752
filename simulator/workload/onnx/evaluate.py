"""Operators in float32: ONNX's reference evaluator, and NumPy where that is slow or knows nothing.

Constants are folded with it, and inference runs with it all that is no product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from simulator.workload.onnx.evaluator import Evaluator, given
from simulator.workload.onnx.graph import OWN_DOMAIN, Constant, Node, Tensor
from simulator.workload.onnx.own_operators import OWN_EVALUATORS
from simulator.workload.onnx.pooling import average_pool, lp_pool, max_pool
from simulator.workload.onnx.reference_gaps import OWN_OF_OPERATOR, in_todays_words
from simulator.workload.onnx.resizing import resize
from simulator.workload.onnx.sampling import grid_sample

INTS = 7
"""Attribute type of a list of integers, in AttributeProto."""


def evaluator_of(node: Node) -> Evaluator | None:
    """A function from the values of a node's inputs to those of its outputs; None for unknown operators.

    Optional inputs that are left out are None.
    """
    if node.domain == OWN_DOMAIN:
        return OWN_EVALUATORS[node.operator](node)
    if not node.is_standard:
        return _library_evaluator(node)
    own = _OWN.get(node.operator) or OWN_OF_OPERATOR.get(node.operator)
    return (own(node) if own else None) or _library_evaluator(in_todays_words(node))


def proto_of(node: Node) -> Any:
    """The protobuf message of a node without bodies."""
    from onnx import helper, numpy_helper

    proto = helper.make_node(node.operator, node.inputs, node.outputs, name=node.name, domain=node.domain)
    for name, value in node.attributes.items():
        if isinstance(value, Constant):
            value = numpy_helper.from_array(value.values(), value.stored)
        empty = isinstance(value, Sequence) and not isinstance(value, str | bytes) and not len(value)
        kind = _attribute_type(node, name) if empty else None
        proto.attribute.append(helper.make_attribute(name, value, attr_type=kind))
    return proto


def _attribute_type(node: Node, attribute: str) -> int:
    from onnx import defs

    try:
        kind: Any = defs.get_schema(node.operator, node.version, node.domain).attributes[attribute].type
        return int(kind.value)
    except (defs.SchemaError, KeyError):
        return INTS


def _library_evaluator(node: Node) -> Evaluator | None:
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    if node.bodies:
        return None
    given = list(dict.fromkeys(filter(None, node.inputs)))
    results = list(filter(None, node.outputs))
    undefined = TensorProto.UNDEFINED
    graph = helper.make_graph(
        [proto_of(node)],
        "operator",
        [helper.make_tensor_value_info(name, undefined, None) for name in given],
        [helper.make_tensor_value_info(name, undefined, None) for name in results],
    )
    version = max(node.version, _IMPLEMENTED_FROM.get(node.operator, 0)) if node.is_standard else node.version
    try:
        evaluator = ReferenceEvaluator(graph, opsets={node.domain: version})
    except Exception:
        return None

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        values = dict(zip(node.inputs, inputs, strict=True))
        outputs: Any = iter(evaluator.run(None, {name: values[name] for name in given}))
        return [next(outputs) if name else np.zeros(0) for name in node.outputs]

    return evaluate


def _elementwise(function: Callable[[Tensor], Tensor]) -> Callable[[Node], Evaluator]:
    def evaluator(_node: Node) -> Evaluator:
        def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
            assert inputs[0] is not None
            return (function(inputs[0]),)

        return evaluate

    return evaluator


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


def _relu(values: Tensor) -> Tensor:
    return np.maximum(values, 0)


def _clip(node: Node) -> Evaluator:
    """Between two optional bounds: attributes before operator set 11, then inputs; NaN stays NaN."""
    bounds = (node.get("min", None), node.get("max", None)) if node.version < 11 else None

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        values = inputs[0]
        assert values is not None
        low, high = bounds or (*inputs[1:], None, None)[:2]
        if low is None and high is None:
            return (values,)
        return (np.clip(values, low, high).astype(values.dtype, copy=False),)

    return evaluate


def _non_max_suppression(node: Node) -> Evaluator | None:
    """With thresholds that are scalars or left out: nothing is above 0 of overlap, and every score counts."""
    names = ("boxes", "scores", "count", "overlap", "least")[: 5 if len(node.inputs) > 4 else 4]
    whole = _library_evaluator(replace(node, inputs=names))
    if whole is None:
        return None
    left_out = (np.zeros(1, np.int64), np.zeros(1, np.float32), np.zeros(1, np.float32))

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        limits = [
            default if position >= len(inputs) or inputs[position] is None else given(inputs, position)
            for position, default in enumerate(left_out[: len(names) - 2], start=2)
        ]
        return whole([inputs[0], inputs[1], *(limit.reshape(-1) for limit in limits)])

    return evaluate


def _pad(node: Node) -> Evaluator:
    """With sizes from attributes before operator set 11, then from inputs; negative ones cut off."""
    mode = node.get("mode", "constant")

    def sizes_of(values: Tensor, inputs: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
        before, after = np.zeros(values.ndim, np.int64), np.zeros(values.ndim, np.int64)
        axes = list(range(values.ndim))
        if len(inputs) > 3 and inputs[3] is not None:
            axes = [int(axis) % values.ndim for axis in inputs[3]]
        stated = np.asarray(node.get("pads")) if node.version < 11 else given(inputs, 1)
        before[axes], after[axes] = stated.reshape(2, -1)
        return before, after

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        values = given(inputs, 0)
        before, after = sizes_of(values, inputs)
        around = node.get("value", 0) if len(inputs) < 3 or inputs[2] is None else inputs[2].reshape(-1)[0]
        # Negative sizes cut off.
        kept = values[
            tuple(
                slice(max(0, -b), n - max(0, -a)) for b, a, n in zip(before, after, values.shape, strict=True)
            )
        ]
        before, after = np.maximum(before, 0), np.maximum(after, 0)
        if mode != "constant":
            return (np.pad(kept, list(zip(before, after, strict=True)), mode=mode),)
        result = np.full(tuple(before + kept.shape + after), around, values.dtype)
        result[tuple(slice(b, b + n) for b, n in zip(before, kept.shape, strict=True))] = kept
        return (result,)

    return evaluate


def _has_element(_node: Node) -> Evaluator:
    return lambda inputs: (np.array(bool(inputs) and inputs[0] is not None),)


def _reduced(node: Node) -> Evaluator | None:
    """With the element type of the operand; the reference evaluator widens integers."""
    whole = _library_evaluator(node)
    if whole is None:
        return None

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        (result,) = whole(inputs)
        return (np.asarray(result, given(inputs, 0).dtype),)

    return evaluate


def _of_two(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Node], Evaluator | None]:
    def evaluator(node: Node) -> Evaluator | None:
        if node.version < 7:  # without broadcasting as NumPy has it
            return None

        def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
            first, second = inputs
            assert first is not None
            assert second is not None
            return (np.asarray(function(first, second)),)

        return evaluate

    return evaluator


def _dropout(node: Node) -> Evaluator | None:
    """Nothing, as outside training; from operator set 12 on an operand can say otherwise."""
    if node.version >= 12:
        return None

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        assert inputs[0] is not None
        return (inputs[0], np.ones(inputs[0].shape, np.bool_))[: len(node.outputs)]

    return evaluate


def _batch_normalization(node: Node) -> Evaluator | None:
    """With the given mean and variance, as one result asks for; None in training."""
    if len(node.outputs) != 1 or node.get("training_mode", 0):
        return None
    epsilon = node.get("epsilon", 1e-5)

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        x, scale, bias, mean, variance = (given(inputs, position) for position in range(5))
        spread = (-1, *[1] * (x.ndim - 2))
        factor = (scale / np.sqrt(variance + epsilon)).reshape(spread)
        return (((x - mean.reshape(spread)) * factor + bias.reshape(spread)).astype(x.dtype),)

    return evaluate


def _group_normalization(node: Node) -> Evaluator:
    """Over the channels of a group and all places; operator set 18 has a scale for each group."""
    groups, epsilon = node.get("num_groups"), node.get("epsilon", 1e-5)

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        x, scale, bias = (given(inputs, position) for position in range(3))
        rows = x.reshape(len(x), groups, -1)
        centred = rows - rows.mean(axis=-1, keepdims=True)
        normal = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
        if node.version < 21:
            return ((normal * scale[:, None] + bias[:, None]).reshape(x.shape).astype(x.dtype),)
        spread = (-1, *[1] * (x.ndim - 2))
        result = normal.reshape(x.shape) * scale.reshape(spread) + bias.reshape(spread)
        return (result.astype(x.dtype),)

    return evaluate


def _global_lp_pool(node: Node) -> Evaluator:
    order = node.get("p", 2)

    def pool(x: Tensor) -> Tensor:
        places = tuple(range(2, x.ndim))
        sums = (np.abs(x) ** order).sum(axis=places, keepdims=True)
        return np.asarray(sums ** (1 / order), x.dtype)

    return _elementwise(pool)(node)


def _global_max(values: Tensor) -> Tensor:
    return np.asarray(values.max(axis=tuple(range(2, values.ndim)), keepdims=True))


def _scatter(node: Node) -> Evaluator | None:
    """What ScatterElements does since."""
    return _library_evaluator(replace(node, operator="ScatterElements", version=18))


def _gather_elements(node: Node) -> Evaluator:
    """One element of `data` for each index; indices may cover a part of `data`, negative ones count back.

    The reference evaluator fails where one of several dimensions is 1.
    """

    def evaluate(inputs: Sequence[Tensor | None]) -> Sequence[Tensor]:
        data, indices = given(inputs, 0), given(inputs, 1)
        places: list[Tensor] = list(np.indices(indices.shape, sparse=True))
        places[node.get("axis", 0)] = indices
        return (np.asarray(data[tuple(places)]),)

    return evaluate


_IMPLEMENTED_FROM: Mapping[str, int] = {"DequantizeLinear": 19, "BatchNormalization": 6}
"""Operator sets from which the reference evaluator has an operator; earlier ones mean the same by it."""

_OWN: Mapping[str, Callable[[Node], Evaluator | None]] = {
    "Add": _of_two(np.add),
    "Clip": _clip,
    "BatchNormalization": _batch_normalization,
    "Dropout": _dropout,
    "Erf": _elementwise(_erf),
    "GatherElements": _gather_elements,
    "GridSample": grid_sample,
    "GlobalLpPool": _global_lp_pool,
    "GlobalMaxPool": _elementwise(_global_max),
    "GroupNormalization": _group_normalization,
    "OptionalHasElement": _has_element,
    "Relu": _elementwise(_relu),
    "Resize": resize,
    "Scatter": _scatter,
    "Sigmoid": _elementwise(_sigmoid),
    "AveragePool": average_pool,
    "LpPool": lp_pool,
    "MaxPool": max_pool,
    "NonMaxSuppression": _non_max_suppression,
    "Pad": _pad,
    "Mul": _of_two(np.multiply),
    "Sub": _of_two(np.subtract),
    **dict.fromkeys(("ReduceL1", "ReduceProd", "ReduceSum", "ReduceSumSquare"), _reduced),
    "Upsample": resize,
}
