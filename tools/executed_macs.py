"""Multiply-accumulates of an ONNX model from executing it in ONNX Runtime; nothing of the simulator is used.

Branches of `If` count as far as they run: the condition is taken from an execution, and the branch's operators
take the place of the `If`. Functions are written out. Bodies of `Loop` and `Scan` are not looked into: a
model that multiplies in one has no count.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from numpy.typing import NDArray

from tests.reference.onnx_counts import COUNTERS, count_macs, session_of

Feeds = Mapping[str, NDArray[Any]]


class UncountedError(Exception):
    """A model whose multiply-accumulates cannot be counted from the shapes of its tensors."""


def executed_macs(path: Path, feeds: Feeds) -> int:
    """Multiply-accumulates of one execution with these inputs, products of two constants left out.

    Raises:
        UncountedError: products stand in the body of a loop, or in operators of other domains.
    """
    model = with_taken_branches(onnx.inliner.inline_local_functions(onnx.load(path)), feeds)
    for node in model.graph.node:
        known = node.domain in ("", "ai.onnx", "ai.onnx.ml") or node.op_type in COUNTERS
        if not known and node.op_type not in _NO_PRODUCT:
            raise UncountedError(f"{node.op_type} of {node.domain}")
        if any(_multiplies(attribute.g) for attribute in node.attribute if attribute.HasField("g")):
            raise UncountedError(f"products in the body of {node.op_type} {node.name}")
    return count_macs(model, feeds)


_NO_PRODUCT = (
    "SkipLayerNormalization",
    "FastGelu",
    "Gelu",
    "BiasGelu",
    "QuickGelu",
    "QLinearAdd",
    "QLinearMul",
)


def with_taken_branches(model: onnx.ModelProto, feeds: Feeds) -> onnx.ModelProto:
    """The model with every `If` replaced by the branch that runs on these inputs."""
    while True:
        found = [node for node in model.graph.node if node.op_type == "If" and not node.domain]
        if not found:
            return model
        first = found[0]
        condition = _value(model, first.input[0], feeds)
        wanted = "then_branch" if bool(np.ravel(condition)[0]) else "else_branch"
        branch = next(attribute.g for attribute in first.attribute if attribute.name == wanted)
        _replace(model.graph, first, branch)


def _value(model: onnx.ModelProto, name: str, feeds: Feeds) -> Any:
    for tensor in model.graph.initializer:
        if tensor.name == name:
            return onnx.numpy_helper.to_array(tensor)
    if name in feeds:
        return feeds[name]
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    if name not in [output.name for output in exposed.graph.output]:
        exposed.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    return session_of(exposed).run([name], dict(feeds))[0]


def _replace(graph: onnx.GraphProto, node: onnx.NodeProto, branch: onnx.GraphProto) -> None:
    """Put a branch's operators where its `If` stands. Its tensors get names that the graph has not."""
    prefix = f"branch_{len(graph.node)}_{node.output[0]}/"
    renamed = {tensor.name: prefix + tensor.name for tensor in branch.initializer}
    renamed |= {name: prefix + name for inner in branch.node for name in inner.output if name}
    nodes = list(graph.node)
    position = next(index for index, each in enumerate(nodes) if each is node or each == node)
    inside = []
    for tensor in branch.initializer:
        copy = graph.initializer.add()
        copy.CopyFrom(tensor)
        copy.name = renamed[tensor.name]
    for inner in branch.node:
        copied = onnx.NodeProto()
        copied.CopyFrom(inner)
        _rename(copied, renamed)
        inside.append(copied)
    inside += [
        onnx.helper.make_node("Identity", [renamed.get(result.name, result.name)], [name])
        for result, name in zip(branch.output, node.output, strict=True)
    ]
    del graph.node[:]
    graph.node.extend([*nodes[:position], *inside, *nodes[position + 1 :]])


def _rename(node: onnx.NodeProto, renamed: Mapping[str, str]) -> None:
    for names in (node.input, node.output):
        names[:] = [renamed.get(name, name) for name in names]
    for attribute in node.attribute:
        if attribute.HasField("g"):
            for inner in attribute.g.node:
                _rename(inner, renamed)
            for result in attribute.g.output:
                result.name = renamed.get(result.name, result.name)


def _multiplies(graph: onnx.GraphProto) -> bool:
    return any(
        node.op_type in COUNTERS or any(_multiplies(each.g) for each in node.attribute if each.HasField("g"))
        for node in graph.node
    )
