"""Small ONNX models with many kinds of operators, whose graphs are then changed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.hostile.fuzzing.mutations import VALUES

_TEXTS: Final = [value for value in VALUES if isinstance(value, str) and "\ud800" not in value]
_OPERATORS: Final = (
    *("If", "Loop", "Scan", "Frob", "Conv", "MatMul", "Gemm", "Reshape", "LSTM", "GRU", "Transpose", "Flatten"),
    *("Softmax", "Add", "Mul", "Concat", "Split", "Slice", "Gather", "ReduceMean", "GlobalAveragePool", "MaxPool"),
    *("Pad", "Resize", "Expand", "Cast", "Einsum", "ConvTranspose", "LayerNormalization", "BatchNormalization"),
    *("QLinearConv", "DequantizeLinear", "Where", "Squeeze", "Unsqueeze", "Identity", "Shape", "ArgMax", "Tile"),
)  # fmt: skip
_INTEGERS: Final[tuple[list[int], ...]] = (
    [],
    [0],
    [-1, -1],
    [2**62, 2**62],
    [3] * 9,
    [1, 1],
    [2, 2],
    [2**31],
    [-(2**63)],
    [1, 1, 1, 1],
)


def models() -> dict[str, bytes]:
    """Models by name; each takes float32 [N, 1, 6, 6] and gives [N, 5], but for what its name says."""
    return {
        "small": _small(),
        "convolution": _convolution(),
        "attention": _attention(),
        "recurrent": _recurrent(),
    }


def _model(nodes: list[Any], weights: dict[str, Any], name: str) -> bytes:
    tensors = [numpy_helper.from_array(np.asarray(value), key) for key, value in weights.items()]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _normal(draw: np.random.Generator, *size: int) -> Any:
    return draw.normal(size=size).astype(np.float32)


def _small() -> bytes:
    draw, node = np.random.default_rng(4), helper.make_node
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], name="conv", kernel_shape=[3, 3]),
        node("Relu", ["c"], ["r"], name="relu"),
        node("Constant", [], ["shape"], value=numpy_helper.from_array(np.array([-1, 64]))),
        node("Reshape", ["r", "shape"], ["f"], name="flat"),
        node("Gemm", ["f", "v"], ["y"], name="fc"),
    ]
    weights = {"w": _normal(draw, 4, 1, 3, 3), "b": _normal(draw, 4), "v": _normal(draw, 64, 5)}
    return _model(nodes, weights, "graph")


def _convolution() -> bytes:
    draw, node = np.random.default_rng(5), helper.make_node
    nodes = [
        node("Conv", ["x", "w1"], ["a"], name="conv1", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["a", "s", "s", "s", "v"], ["b"], name="bn"),
        node("Relu", ["b"], ["c"], name="relu"),
        node("MaxPool", ["c"], ["d"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["d", "w2", "s"], ["e"], name="conv2", kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=4),
        node("Add", ["d", "e"], ["f"], name="add"),
        node("ConvTranspose", ["f", "w3"], ["g"], name="up", kernel_shape=[2, 2], strides=[2, 2]),
        node("Concat", ["g", "x"], ["h"], name="concat", axis=1),
        node("GlobalAveragePool", ["h"], ["i"], name="mean"),
        node("Flatten", ["i"], ["j"], name="flat"),
        node("Gemm", ["j", "w4", "b4"], ["y"], name="fc", transB=1, alpha=0.5),
    ]
    weights = {"w1": _normal(draw, 4, 1, 3, 3), "w2": _normal(draw, 4, 1, 3, 3), "w3": _normal(draw, 4, 2, 2, 2),
               "w4": _normal(draw, 5, 3), "b4": _normal(draw, 5), "s": _normal(draw, 4),
               "v": np.ones(4, np.float32)}  # fmt: skip
    return _model(nodes, weights, "convolution")


def _attention() -> bytes:
    draw, node = np.random.default_rng(6), helper.make_node
    nodes = [
        node("Reshape", ["x", "shape"], ["t"], name="tokens"),
        node("LayerNormalization", ["t", "g", "z"], ["n"], name="ln", axis=-1),
        node("MatMul", ["n", "wq"], ["q"], name="q"),
        node("MatMul", ["n", "wk"], ["k"], name="k"),
        node("Transpose", ["k"], ["kt"], name="kt", perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["p"], name="scores"),
        node("Mul", ["p", "half"], ["ps"], name="scale"),
        node("Softmax", ["ps"], ["a"], name="softmax", axis=-1),
        node("MatMul", ["a", "n"], ["o"], name="mix"),
        node("Slice", ["o", "zero", "one", "axis"], ["first"], name="slice"),
        node("Squeeze", ["first", "axis"], ["s"], name="squeeze"),
        node("Erf", ["s"], ["e"], name="erf"),
        node("Gather", ["e", "columns"], ["c"], name="gather", axis=1),
        node("MatMul", ["c", "wy"], ["y"], name="head"),
    ]
    weights = {"shape": np.array([-1, 6, 6]), "g": np.ones(6, np.float32), "z": np.zeros(6, np.float32),
               "wq": _normal(draw, 6, 6), "wk": _normal(draw, 6, 6), "half": np.float32(0.5),
               "zero": np.array([0]), "one": np.array([1]), "axis": np.array([1]),
               "columns": np.array([0, 2, 5]), "wy": _normal(draw, 3, 5)}  # fmt: skip
    return _model(nodes, weights, "attention")


def _recurrent() -> bytes:
    draw, node = np.random.default_rng(7), helper.make_node
    nodes = [
        node("Reshape", ["x", "shape"], ["t"], name="steps"),
        node("Transpose", ["t"], ["u"], name="turn", perm=[1, 0, 2]),
        node("LSTM", ["u", "w", "r"], ["all", "last"], name="lstm", hidden_size=3),
        node("Squeeze", ["last", "axis"], ["h"], name="squeeze"),
        node("Gemm", ["h", "wy"], ["y"], name="head"),
    ]
    weights = {"shape": np.array([-1, 6, 6]), "w": _normal(draw, 1, 12, 6), "r": _normal(draw, 1, 12, 3),
               "axis": np.array([0]), "wy": _normal(draw, 3, 5)}  # fmt: skip
    return _model(nodes, weights, "recurrent")


def changed_model(content: bytes, draw: random.Random) -> bytes:
    """A model with one to three places of its graph changed: nodes, tensors, attributes, shapes."""
    model = onnx.load_model_from_string(content)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        _change(model, draw)
    changed: bytes = model.SerializeToString()
    return changed


def _change(model: Any, draw: random.Random) -> None:  # noqa: C901 - a change each
    graph = model.graph
    if not graph.node or not graph.initializer:
        return
    node, tensor = draw.choice(graph.node), draw.choice(graph.initializer)
    names = ["x", "y", "absent", "", *(name for each in graph.node for name in (*each.input, *each.output))]
    match draw.randrange(14):
        case 0:
            node.op_type = draw.choice((*_OPERATORS, draw.choice(_TEXTS)))
        case 1:
            node.input[:] = [draw.choice(names) for _ in range(draw.choice((0, 1, 2, 3, 5)))]
        case 2 if node.input:
            node.input[draw.randrange(len(node.input))] = draw.choice(names)
        case 3:
            node.output[:] = draw.choice(([], ["x"], ["y", "y"], [draw.choice(_TEXTS)]))
        case 4:
            tensor.dims[:] = draw.choice(
                ([], [0], [-1], [2**62, 2**62], [1] * 40, [2**31, 2], tensor.dims[::-1])
            )
        case 5:
            tensor.data_type = draw.choice((0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 14, 16, 17, 22, 23, 99))
        case 6:
            tensor.raw_data = draw.choice((b"", b"\0", tensor.raw_data * 2, tensor.raw_data[:-1],
                                           b"\xff" * len(tensor.raw_data)))  # fmt: skip
        case 7:
            tensor.CopyFrom(numpy_helper.from_array(_odd_array(draw), tensor.name))
        case 8 if node.attribute:
            attribute = draw.choice(node.attribute)
            attribute.ints[:] = draw.choice(_INTEGERS)
            attribute.i = draw.choice((0, -1, 1, 2, 3, 7, 2**31, 2**62, -(2**63)))
            attribute.f = draw.choice((0.0, -1.0, 1e38, float("inf"), float("nan")))
        case 9 if node.attribute:
            draw.choice(node.attribute).type = draw.choice((1, 2, 3, 4, 5, 6, 7, 14))
        case 10 if node.attribute:
            del node.attribute[draw.randrange(len(node.attribute))]
        case 11:
            dimension = draw.choice(graph.input[0].type.tensor_type.shape.dim or [None])
            if dimension is not None:
                dimension.dim_value = draw.choice((0, -1, 2**62, 1, 3, 5, 6, 10**6))
        case 12:
            _move(graph.node, draw)
        case _:
            graph.output[0].name = draw.choice(names)


def _move(nodes: Any, draw: random.Random) -> None:
    """Remove a node, or put it again at another place."""
    place = draw.randrange(len(nodes))
    node = type(nodes[place])()
    node.CopyFrom(nodes[place])
    if draw.random() < 0.5:
        del nodes[place]
    if draw.random() < 0.5:
        nodes.insert(draw.randrange(len(nodes) + 1), node)


def _odd_array(draw: random.Random) -> Any:
    sizes: Sequence[tuple[int, ...]] = (
        (),
        (0,),
        (1,),
        (3,),
        (6, 6),
        (1, 1, 1),
        (4, 1, 3, 3),
        (0, 4),
        (2,) * 8,
    )
    kind = draw.choice((np.float32, np.float64, np.int64, np.int8, np.uint8, np.bool_, np.float16))
    value = draw.choice((0, 1, -1, 3, 100, 2**31, float("nan"), float("inf"), 1e30))
    with np.errstate(all="ignore"):
        return np.full(draw.choice(sizes), value).astype(kind)
