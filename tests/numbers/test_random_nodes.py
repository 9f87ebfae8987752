"""Do operators on data give what ONNX Runtime gives, whatever their attributes, ranks, types and set?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from onnx import helper, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as state

from simulator.workload.onnx.evaluate import evaluator_of
from simulator.workload.onnx.graph import Node
from tests.numbers.random_nodes import NODES, Dice, RandomNode, Tensor
from tests.reference.onnx_counts import session_of

CASES, JUDGED = 60, 40


def names(node: RandomNode) -> list[str]:
    return ["" if each is None else f"i{place}" for place, each in enumerate(node.operands)]


def by_onnx_runtime(node: RandomNode) -> list[Tensor]:
    results = [f"y{place}" for place in range(node.outputs)]
    first, *others = zip(names(node), node.operands, strict=True)
    assert first[1] is not None
    element = helper.np_dtype_to_tensor_dtype(first[1].dtype)
    graph = helper.make_graph(
        [helper.make_node(node.operator, names(node), results, **node.attributes)],
        "one",
        [helper.make_tensor_value_info(first[0], element, first[1].shape)],
        [helper.make_empty_tensor_value_info(name) for name in results],
        [numpy_helper.from_array(values, name) for name, values in others if values is not None],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", node.version)], ir_version=10)
    return list(session_of(model).run(None, {first[0]: first[1]}))


def by_us(node: RandomNode) -> list[Tensor]:
    results = tuple(f"y{place}" for place in range(node.outputs))
    own = Node(node.operator, tuple(names(node)), results, version=node.version, attributes=node.attributes)
    evaluate = evaluator_of(own)
    assert evaluate is not None
    return list(evaluate(node.operands))


def judged(family: str) -> Iterator[tuple[RandomNode, list[Tensor]]]:
    """Cases that ONNX Runtime can run; it lacks some element types and blocks that end early."""
    for number in range(CASES):
        node = NODES[family](Dice(family, number))
        try:
            yield node, by_onnx_runtime(node)
        except (state.Fail, state.NotImplemented):
            continue


@pytest.mark.parametrize("family", NODES)
def test_random_operators_are_those_of_onnx_runtime(family: str) -> None:
    number = 0
    for node, wanted in judged(family):
        number += 1
        shown = node.operator, node.version, node.attributes
        for got, expected in zip(by_us(node), wanted, strict=True):
            assert (got.shape, got.dtype) == (expected.shape, expected.dtype), shown
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5, err_msg=str(shown))
    assert number >= JUDGED
