"""Multiply-accumulates of an ONNX model, from executing it: ONNX Runtime gives the shape of every tensor.

Nothing of the simulator is used. Each operator's count is its definition applied to the shapes of the tensors
that ONNX Runtime made, with its optimizations off: a tensor of another shape than the simulator thinks, or
an operator that it forgets, shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

Tensor = NDArray[Any]
Shapes = Mapping[str, tuple[int, ...]]


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """ONNX Runtime as the file says, without optimizations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def run(model: onnx.ModelProto, feeds: Mapping[str, Tensor]) -> list[Tensor]:
    """The model's outputs."""
    return list(session_of(model).run(None, dict(feeds)))


def executed_shapes(model: onnx.ModelProto, feeds: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of the main graph in an execution."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    shapes |= {name: value.shape for name, value in feeds.items()}
    known = {output.name for output in exposed.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in known:
                exposed.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
                known.add(name)
    session = session_of(exposed)
    names = [output.name for output in session.get_outputs()]
    for name, value in zip(names, session.run(names, dict(feeds)), strict=True):
        if isinstance(value, np.ndarray | np.generic):
            shapes[name] = np.shape(value)
    return shapes


def count_macs(model: onnx.ModelProto, feeds: Mapping[str, Tensor]) -> int:
    """Multiply-accumulates of one execution, products of two constants left out."""
    shapes = executed_shapes(model, feeds)
    fixed = {tensor.name for tensor in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if all(name in fixed for name in node.input if name):
            fixed.update(node.output)
            continue
        counter = COUNTERS.get(node.op_type)
        if counter is not None:
            total += counter(node, shapes)
    return total


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}


def _convolution(weights: int) -> Callable[[onnx.NodeProto, Shapes], int]:
    """Every result takes a filter: channels of its group x kernel."""

    def count(node: onnx.NodeProto, shapes: Shapes) -> int:
        return prod(shapes[node.output[0]]) * prod(shapes[node.input[weights]][1:])

    return count


def _transposed_convolution(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Every input value goes into every filter of its group once."""
    return prod(shapes[node.input[0]]) * prod(shapes[node.input[1]][1:])


def _product(node: onnx.NodeProto, shapes: Shapes) -> int:
    return prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]


def _gemm(node: onnx.NodeProto, shapes: Shapes) -> int:
    rows_first = _attributes(node).get("transA", 0)
    return prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if rows_first else 1]


def _recurrent(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Every time step of every sequence, in each direction: input and recurrent weights once each."""
    x = shapes[node.input[0]]
    each = prod(shapes[node.input[1]]) + prod(shapes[node.input[2]])
    return x[0] * x[1] * each


def _einsum(node: onnx.NodeProto, shapes: Shapes) -> int:
    """All combinations of indices, for two operands that share a summed index."""
    equation = _attributes(node)["equation"].decode().replace(" ", "")
    terms = equation.partition("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, name in zip(terms, node.input, strict=True):
        letters = [*term.replace("...", "")]
        shape = shapes[name]
        if "..." in term:
            at = term.index("...")
            spare = len(shape) - len(letters)
            letters = [*term[:at], *(f".{index}" for index in range(spare)), *term[at + 3 :]]
        sizes.update(zip(letters, shape, strict=True))
    return prod(sizes.values())


def _attention(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Scores and their product with the values, for heads as [B, N, S, D]."""
    batch, heads, rows, size = shapes[node.input[0]]
    past = shapes[node.input[4]][2] if len(node.input) > 4 and node.input[4] else 0
    columns = shapes[node.input[1]][2] + past
    return batch * heads * rows * columns * (size + shapes[node.input[2]][3])


COUNTERS: Mapping[str, Callable[[onnx.NodeProto, Shapes], int]] = {
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "DeformConv": _convolution(1),
    "FusedConv": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed_convolution,
    "MatMul": _product,
    "MatMulInteger": _product,
    "QLinearMatMul": _product,
    "DynamicQuantizeMatMul": _product,
    "MatMulNBits": _product,
    "Gemm": _gemm,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "DynamicQuantizeLSTM": _recurrent,
    "Einsum": _einsum,
    "Attention": _attention,
}
"""Operators that multiply and accumulate, by the definition of each."""
