"""ONNX graphs of the three trained networks, written node by node from their parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
CLASSES = 10
Parameters = Mapping[str, NDArray[np.float32]]


class Graph:
    """A graph under construction; every node has one output, named after the node."""

    def __init__(self, name: str, parameters: Parameters) -> None:
        """Start an empty graph that will take its weights from `parameters`."""
        self.name = name
        self._parameters = parameters
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}

    def parameter(self, name: str, *, transposed: bool = False) -> str:
        """A trained parameter as an initializer."""
        values = self._parameters[name]
        return self.constant(name, values.T if transposed else values)

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Any array as an initializer."""
        self._initializers[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def node(self, name: str, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """One operator; returns the name of its result."""
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def save(self, result: str, path: Path) -> None:
        """Check and write the graph, whose last result becomes the output `logits`."""
        self._nodes[-1].output[0] = "logits"
        assert self._nodes[-1].name == result
        graph = helper.make_graph(
            self._nodes,
            self.name,
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 28, 28])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
            list(self._initializers.values()),
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="systolic-simulator"
        )
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        path.write_bytes(model.SerializeToString(deterministic=True))


def export_lenet5(parameters: Parameters, path: Path) -> None:
    """LeNet-5: two convolutions with pooling, three fully connected layers."""
    graph = Graph("lenet5_fashion", parameters)
    x = "image"
    for name, padding in (("conv1", 2), ("conv2", 0)):
        x = graph.node(
            name,
            "Conv",
            [x, graph.parameter(f"{name}.weight"), graph.parameter(f"{name}.bias")],
            kernel_shape=[5, 5],
            pads=[padding] * 4,
        )
        x = graph.node(f"{name}.relu", "Relu", [x])
        x = graph.node(f"{name}.pool", "MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    x = graph.node("flatten", "Flatten", [x])
    for name in ("fc1", "fc2", "fc3"):
        x = graph.node(
            name, "Gemm", [x, graph.parameter(f"{name}.weight"), graph.parameter(f"{name}.bias")], transB=1
        )
        if name != "fc3":
            x = graph.node(f"{name}.relu", "Relu", [x])
    graph.save(x, path)


def export_resnet8(parameters: Parameters, path: Path) -> None:
    """ResNet-8: a stem and three residual blocks, each convolution followed by its batch normalization."""
    graph = Graph("resnet8_fashion", parameters)

    def convolution(name: str, x: str, *, stride: int = 1, kernel: int = 3) -> str:
        x = graph.node(
            name,
            "Conv",
            [x, graph.parameter(f"{name}.convolution.weight")],
            kernel_shape=[kernel, kernel],
            pads=[kernel // 2] * 4,
            strides=[stride, stride],
        )
        statistics = [
            graph.parameter(f"{name}.norm.{part}")
            for part in ("weight", "bias", "running_mean", "running_var")
        ]
        return graph.node(f"{name}.norm", "BatchNormalization", [x, *statistics], epsilon=1e-5)

    x = graph.node("stem.relu", "Relu", [convolution("stem", "image")])
    for block, stride in (("block1", 1), ("block2", 2), ("block3", 2)):
        inner = graph.node(f"{block}.relu1", "Relu", [convolution(f"{block}.conv1", x, stride=stride)])
        inner = convolution(f"{block}.conv2", inner)
        shortcut = x if stride == 1 else convolution(f"{block}.shortcut", x, stride=stride, kernel=1)
        x = graph.node(f"{block}.add", "Add", [inner, shortcut])
        x = graph.node(f"{block}.relu2", "Relu", [x])
    x = graph.node("pool", "GlobalAveragePool", [x])
    x = graph.node("flatten", "Flatten", [x])
    x = graph.node("fc", "Gemm", [x, graph.parameter("fc.weight"), graph.parameter("fc.bias")], transB=1)
    graph.save(x, path)


def export_vit(parameters: Parameters, path: Path, *, blocks: int, heads: int, patch: int) -> None:
    """A vision transformer: patches, pre-norm blocks of attention and MLP, mean over the tokens."""
    graph = Graph("vit_fashion", parameters)
    dimension = parameters["patches.weight"].shape[0]
    tokens = (28 // patch) ** 2

    def shape(name: str, *sizes: int) -> str:
        return graph.constant(name, np.array(sizes, np.int64))

    def norm(name: str, x: str) -> str:
        scale, bias = graph.parameter(f"{name}.weight"), graph.parameter(f"{name}.bias")
        return graph.node(name, "LayerNormalization", [x, scale, bias], epsilon=1e-5)

    def linear(name: str, x: str) -> str:
        product = graph.node(
            f"{name}.matmul", "MatMul", [x, graph.parameter(f"{name}.weight", transposed=True)]
        )
        return graph.node(name, "Add", [product, graph.parameter(f"{name}.bias")])

    def gelu(name: str, x: str) -> str:
        half_root = graph.constant("half_root", np.array(np.sqrt(0.5), np.float32))
        one, half = (
            graph.constant("one", np.array(1, np.float32)),
            graph.constant("half", np.array(0.5, np.float32)),
        )
        erf = graph.node(f"{name}.erf", "Erf", [graph.node(f"{name}.scaled", "Mul", [x, half_root])])
        bell = graph.node(f"{name}.bell", "Add", [erf, one])
        return graph.node(name, "Mul", [graph.node(f"{name}.gated", "Mul", [x, bell]), half])

    def attention(name: str, x: str) -> str:
        split = shape("split_heads", 0, tokens, heads, dimension // heads)

        def head(part: str, permutation: list[int]) -> str:
            parted = graph.node(f"{name}.{part}.split", "Reshape", [linear(f"{name}.{part}", x), split])
            return graph.node(f"{name}.{part}.heads", "Transpose", [parted], perm=permutation)

        query, key, value = (
            head("query", [0, 2, 1, 3]),
            head("key", [0, 2, 3, 1]),
            head("value", [0, 2, 1, 3]),
        )
        scores = graph.node(f"{name}.scores", "MatMul", [query, key])
        scale = graph.constant("attention_scale", np.array((dimension // heads) ** -0.5, np.float32))
        scores = graph.node(f"{name}.scaled_scores", "Mul", [scores, scale])
        weights = graph.node(f"{name}.softmax", "Softmax", [scores], axis=-1)
        mixed = graph.node(f"{name}.mixed", "MatMul", [weights, value])
        mixed = graph.node(f"{name}.mixed.tokens", "Transpose", [mixed], perm=[0, 2, 1, 3])
        mixed = graph.node(
            f"{name}.mixed.join", "Reshape", [mixed, shape("join_heads", 0, tokens, dimension)]
        )
        return linear(f"{name}.output", mixed)

    x = graph.node(
        "patches",
        "Conv",
        ["image", graph.parameter("patches.weight"), graph.parameter("patches.bias")],
        kernel_shape=[patch, patch],
        strides=[patch, patch],
    )
    x = graph.node("patches.flat", "Reshape", [x, shape("flat_patches", 0, dimension, tokens)])
    x = graph.node("patches.tokens", "Transpose", [x], perm=[0, 2, 1])
    x = graph.node("positions.add", "Add", [x, graph.parameter("positions")])
    for index in range(blocks):
        block = f"blocks.{index}"
        mixed = attention(f"{block}.attention", norm(f"{block}.norm1", x))
        x = graph.node(f"{block}.add1", "Add", [x, mixed])
        hidden = gelu(f"{block}.mlp.gelu", linear(f"{block}.mlp.up", norm(f"{block}.norm2", x)))
        x = graph.node(f"{block}.add2", "Add", [x, linear(f"{block}.mlp.down", hidden)])
    x = norm("norm", x)
    x = graph.node("pool", "ReduceMean", [x], axes=[1], keepdims=0)
    x = graph.node("fc", "Gemm", [x, graph.parameter("fc.weight"), graph.parameter("fc.bias")], transB=1)
    graph.save(x, path)
