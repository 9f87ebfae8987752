"""ONNX files as networks: geometry, products, shapes, edges and post operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, save_model

from simulator.workload import Layer, Network, PostOperation, load_network
from simulator.workload.onnx import read_onnx

Size = int | str | None


def tensor(name: str, *sizes: Size) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(sizes))


def weights(name: str, *sizes: int) -> TensorProto:
    return numpy_helper.from_array(np.zeros(sizes, np.float32), name)


def integers(name: str, *values: int) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def model(nodes: list[NodeProto], inputs: list[Any], constants: list[TensorProto]) -> ModelProto:
    """A model whose last node's first output is its output."""
    output = helper.make_empty_tensor_value_info(nodes[-1].output[0])
    graph = helper.make_graph(nodes, "graph", inputs, [output], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def imported(
    folder: Path, nodes: list[NodeProto], inputs: list[Any], constants: list[TensorProto], **options: Any
) -> Network:
    path = folder / "model.onnx"
    save_model(model(nodes, inputs, constants), path)
    return load_network(str(path), **options)


def only(network: Network) -> Layer:
    (layer,) = network.layers
    return layer


def node(operator: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(
        operator, inputs.split(), output.split(), name=f"{operator}_{output}", **attributes
    )


def test_a_convolution_with_everything(tmp_path: Path) -> None:
    conv = node("Conv", "x w b", "y", strides=[2, 1], pads=[1, 2, 3, 4], dilations=[1, 2], group=2)
    layer = only(
        imported(tmp_path, [conv], [tensor("x", 3, 8, 20, 30)], [weights("w", 6, 4, 3, 5), weights("b", 6)])
    )
    assert layer.convolution is not None
    assert layer.convolution.padding == (1, 2, 3, 4)
    assert layer.convolution.stride == (2, 1)
    assert layer.convolution.dilation == (1, 2)
    # Rows (20 + 4 - 3) // 2 + 1 = 11, columns (30 + 6 - 9) // 1 + 1 = 28.
    assert layer.convolution.ofmap == (11, 28)
    assert (layer.m, layer.n, layer.k, layer.groups) == (3 * 11 * 28, 6, 3 * 5 * 4, 2)
    assert layer.post_operations == (PostOperation("bias", 3 * 11 * 28 * 6),)


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 20), kernel=st.integers(1, 5), stride=st.integers(1, 4), dilation=st.integers(1, 3),
    mode=st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]),
)  # fmt: skip
def test_auto_pad_gives_the_size_that_onnx_infers(
    tmp_path_factory: pytest.TempPathFactory, size: int, kernel: int, stride: int, dilation: int, mode: str
) -> None:
    from onnx.shape_inference import infer_shapes

    if mode == "VALID":
        size += dilation * (kernel - 1)
    conv = node(
        "Conv", "x w", "y", auto_pad=mode, strides=[stride] * 2, dilations=[dilation] * 2,
        kernel_shape=[kernel] * 2,
    )  # fmt: skip
    parts: Any = ([conv], [tensor("x", 1, 1, size, size)], [weights("w", 1, 1, kernel, kernel)])
    layer = only(imported(tmp_path_factory.mktemp("onnx"), *parts))
    (output,) = infer_shapes(model(*parts)).graph.output
    assert layer.convolution is not None
    assert list(layer.convolution.ofmap) == [d.dim_value for d in output.type.tensor_type.shape.dim[2:]]
    top, left, bottom, right = layer.convolution.padding
    assert (top, bottom) == (left, right)
    assert 0 <= (bottom - top if mode == "SAME_UPPER" else top - bottom) <= (mode != "VALID")


def test_a_convolution_in_one_dimension_is_one_row(tmp_path: Path) -> None:
    conv = node("Conv", "x w", "y", strides=[2], pads=[1, 0])
    layer = only(imported(tmp_path, [conv], [tensor("x", 1, 4, 50)], [weights("w", 8, 4, 3)]))
    assert layer.convolution is not None
    assert layer.convolution.ofmap == (1, 25)
    assert (layer.m, layer.n, layer.k) == (25, 8, 12)


def test_depthwise(tmp_path: Path) -> None:
    conv = node("Conv", "x w", "y", group=8)
    layer = only(imported(tmp_path, [conv], [tensor("x", 1, 8, 5, 5)], [weights("w", 8, 1, 3, 3)]))
    assert (layer.kind, layer.groups, layer.k, layer.macs) == ("depthwise", 8, 9, 9 * 8 * 9)


@pytest.mark.parametrize(
    ("first", "second", "attributes"),
    [
        ((5, 7), (7, 3), {}),
        ((7, 5), (7, 3), {"transA": 1}),
        ((5, 7), (3, 7), {"transB": 1}),
        ((7, 5), (3, 7), {"transA": 1, "transB": 1}),
    ],
)
def test_gemm(
    tmp_path: Path, first: tuple[int, int], second: tuple[int, int], attributes: dict[str, int]
) -> None:
    gemm = node("Gemm", "x w", "y", **attributes)
    layer = only(imported(tmp_path, [gemm], [tensor("x", *first)], [weights("w", *second)]))
    assert (layer.kind, layer.m, layer.n, layer.k) == ("fc", 5, 3, 7)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((1, 50, 64), (64, 20), ("fc", 50, 20, 64, 1)),
        ((2, 50, 64), (64, 20), ("fc", 100, 20, 64, 1)),
        ((2, 12, 50, 64), (12, 64, 20), ("matmul", 100, 20, 64, 12)),
        ((64,), (64, 20), ("fc", 1, 20, 64, 1)),
        ((50, 64), (64,), ("fc", 50, 1, 64, 1)),
    ],
)
def test_matmul_with_weights(
    tmp_path: Path, first: tuple[int, ...], second: tuple[int, ...], expected: tuple[Any, ...]
) -> None:
    matmul = node("MatMul", "x w", "y")
    layer = only(imported(tmp_path, [matmul], [tensor("x", *first)], [weights("w", *second)]))
    assert (layer.kind, layer.m, layer.n_per_group, layer.k, layer.groups) == expected
    assert layer.parameters == np.prod(second)


def test_weights_on_the_left_are_the_transposed_product(tmp_path: Path) -> None:
    matmul = node("MatMul", "w x", "y")
    layer = only(imported(tmp_path, [matmul], [tensor("x", 2, 64, 50)], [weights("w", 20, 64)]))
    assert (layer.kind, layer.m, layer.n, layer.k) == ("fc", 2 * 50, 20, 64)
    assert layer.parameters == 20 * 64


@pytest.mark.parametrize("first", [(1, 12, 50, 64), (3, 12, 50, 64)])
def test_a_product_of_two_computed_tensors(tmp_path: Path, first: tuple[int, ...]) -> None:
    matmul = node("MatMul", "x z", "y")
    second = (*first[:2], 64, 50)
    layer = only(imported(tmp_path, [matmul], [tensor("x", *first), tensor("z", *second)], []))
    assert layer.weights_are_activations
    assert (layer.m, layer.n_per_group, layer.k, layer.groups) == (50, 50, 64, 12 * first[0])
    assert layer.parameters == 0


leading = st.lists(st.integers(1, 3), max_size=2).map(tuple)


@settings(max_examples=60, deadline=None)
@given(
    leading, leading, st.booleans(), st.booleans(), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)
)
def test_a_product_has_the_multiply_accumulates_that_numpy_would_do(
    tmp_path_factory: pytest.TempPathFactory,
    first: tuple[int, ...],
    second: tuple[int, ...],
    weights_left: bool,
    both: bool,
    m: int,
    n: int,
    k: int,
) -> None:
    try:
        result = np.matmul(np.zeros((*first, m, k)), np.zeros((*second, k, n)))
    except ValueError:
        return
    shapes = {"x": (*first, m, k), "z": (*second, k, n)}
    data = ["x", "z"] if both else ["z"] if weights_left else ["x"]
    layer = only(
        imported(
            tmp_path_factory.mktemp("onnx"),
            [node("MatMul", "x z", "y")],
            [tensor(name, *shapes[name]) for name in data],
            [weights(name, *shapes[name]) for name in shapes if name not in data],
        )
    )
    assert layer.macs == result.size * k
    assert layer.weights_are_activations == both


def test_integer_operators_count_as_their_plain_forms(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 3, 8, 8])
    w = numpy_helper.from_array(np.zeros((4, 3, 3, 3), np.uint8), "w")
    layer = only(imported(tmp_path, [node("ConvInteger", "x w", "y")], [x], [w]))
    assert (layer.m, layer.n, layer.k) == (36, 4, 27)


def test_an_open_batch_is_one_and_can_be_set(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x conv.weight", "a"),
        node("Flatten", "a", "b"),
        node("Gemm", "b fc.weight", "y", transB=1),
    ]
    inputs = [tensor("x", "batch", 3, 8, 8)]
    constants = [weights("conv.weight", 4, 3, 3, 3), weights("fc.weight", 10, 144)]
    network = imported(tmp_path, nodes, inputs, constants)
    assert network.batch == 1
    assert [(layer.name, layer.m) for layer in network.layers] == [("conv", 36), ("fc", 1)]
    batched = imported(tmp_path, nodes, inputs, constants, batch=5)
    assert [layer.m for layer in batched.layers] == [180, 5]
    fixed = imported(tmp_path, nodes, [tensor("x", 5, 3, 8, 8)], constants)
    assert fixed.batch == 5
    assert fixed.layers == batched.layers
    assert imported(tmp_path, nodes, [tensor("x", 5, 3, 8, 8)], constants, batch=1).layers == network.layers


def test_a_graph_without_any_weights_is_enough(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w b", "a"), node("Relu", "a", "y")]
    inputs = [tensor("x", 1, 3, 8, 8), tensor("w", 4, 3, 3, 3), tensor("b", 4)]
    layer = only(imported(tmp_path, nodes, inputs, []))
    assert (layer.parameters, layer.inputs) == (108, ())
    assert [post.kind for post in layer.post_operations] == ["bias", "relu"]


def test_weights_stored_in_another_file_that_is_missing(tmp_path: Path) -> None:
    from onnx.external_data_helper import convert_model_to_external_data

    proto = model([node("Conv", "x w", "y")], [tensor("x", 1, 3, 8, 8)], [weights("w", 4, 3, 3, 3)])
    convert_model_to_external_data(proto, location="weights.bin", size_threshold=0)
    save_model(proto, tmp_path / "model.onnx")
    (tmp_path / "weights.bin").unlink()
    assert only(read_onnx(tmp_path / "model.onnx")).k == 27


def kinds(layer: Layer) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(post.kind, post.elements, post.inputs) for post in layer.post_operations]


def test_a_residual_block(tmp_path: Path) -> None:
    """x -> a -> normalization, relu -> b; b + a -> relu -> pool -> c."""
    normalization = [weights(name, 4) for name in ("scale", "offset", "mean", "variance")]
    nodes = [
        node("Conv", "x a.weight", "a0", pads=[1] * 4),
        node("BatchNormalization", "a0 scale offset mean variance", "a1"),
        node("Relu", "a1", "a2"),
        node("Conv", "a2 b.weight", "b0", pads=[1] * 4),
        node("Add", "b0 a2", "sum"),
        node("Relu", "sum", "s1"),
        node("MaxPool", "s1", "s2", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "s2 c.weight", "y"),
    ]
    constants = [
        weights("a.weight", 4, 3, 3, 3),
        weights("b.weight", 4, 4, 3, 3),
        weights("c.weight", 2, 4, 1, 1),
    ]
    network = imported(tmp_path, nodes, [tensor("x", 1, 3, 8, 8)], constants + normalization)
    a, b, c = network.layers
    assert [layer.inputs for layer in (a, b, c)] == [(), ("a",), ("b",)]
    assert kinds(a) == [("bias", 256, ()), ("relu", 256, ())]
    assert kinds(b) == [("add", 256, ("a",)), ("relu", 256, ()), ("pool", 256, ())]
    assert kinds(c) == []


def test_a_transposed_convolution_adds_its_blocks_and_then_its_bias(tmp_path: Path) -> None:
    """5 x 5 pixels, stride 2: 3 x 3 blocks overlap to 11 x 11. A normalization behind it folds into it."""
    normalization = [weights(name, 4) for name in ("scale", "offset", "mean", "variance")]
    constants = [weights("up.weight", 6, 4, 3, 3), weights("up.bias", 4), *normalization]
    inputs = [tensor("x", 1, 6, 5, 5)]
    alone = node("ConvTranspose", "x up.weight up.bias", "y", strides=[2, 2])
    (layer,) = imported(tmp_path, [alone], inputs, constants).layers
    assert layer.m * layer.n == 25 * 36
    assert kinds(layer) == [("add", 25 * 36, ()), ("bias", 11 * 11 * 4, ())]
    normalized = [
        node("ConvTranspose", "x up.weight", "u", strides=[2, 2]),
        node("BatchNormalization", "u scale offset mean variance", "y"),
    ]
    (layer,) = imported(tmp_path, normalized, inputs, constants).layers
    assert kinds(layer) == [("add", 25 * 36, ()), ("bias", 11 * 11 * 4, ())]


def test_concatenation_has_several_producers_who_share_the_work(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x a.weight", "a"),
        node("Conv", "x b.weight", "b"),
        node("Concat", "a b", "ab", axis=1),
        node("Relu", "ab", "r"),
        node("GlobalAveragePool", "r", "p"),
        node("LeakyRelu", "p", "q"),
        node("Conv", "q c.weight", "y"),
    ]
    constants = [
        weights("a.weight", 4, 3, 1, 1),
        weights("b.weight", 2, 3, 1, 1),
        weights("c.weight", 1, 6, 1, 1),
    ]
    a, b, c = imported(tmp_path, nodes, [tensor("x", 1, 3, 8, 8)], constants).layers
    assert c.inputs == ("a", "b")
    assert kinds(a) == [("relu", 256 + 4, ()), ("pool", 256, ())]
    assert kinds(b) == [("relu", 128 + 2, ()), ("pool", 128, ())]


def test_squeeze_and_excite_is_work_of_the_layer_that_comes_last(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x a.weight", "a"),
        node("GlobalAveragePool", "a", "p"),
        node("Conv", "p gate.weight", "g"),
        node("Sigmoid", "g", "s"),
        node("Mul", "a s", "m"),
        node("Conv", "m c.weight", "y"),
    ]
    constants = [
        weights("a.weight", 4, 3, 1, 1),
        weights("gate.weight", 4, 4, 1, 1),
        weights("c.weight", 1, 4, 1, 1),
    ]
    a, gate, c = imported(tmp_path, nodes, [tensor("x", 1, 3, 8, 8)], constants).layers
    assert kinds(a) == [("pool", 256, ())]
    assert kinds(gate) == [("other", 4, ()), ("other", 256, ("a",))]
    assert c.inputs == ("gate",)


def test_attention(tmp_path: Path) -> None:
    """q k^T, softmax, times v: shapes through constant reshapes and transposes."""
    nodes = [
        node("MatMul", "x q.weight", "q"),
        node("Add", "q q.bias", "qb"),
        node("Reshape", "qb heads", "qh"),
        node("Transpose", "qh", "qt", perm=[0, 2, 1, 3]),
        node("Transpose", "qh", "kt", perm=[0, 2, 3, 1]),
        node("MatMul", "qt kt", "scores"),
        node("Softmax", "scores", "probabilities"),
        node("MatMul", "probabilities qt", "context"),
    ]
    constants = [weights("q.weight", 32, 32), weights("q.bias", 32), integers("heads", 1, 10, 4, 8)]
    q, scores, context = imported(tmp_path, nodes, [tensor("x", 1, 10, 32)], constants).layers
    assert (q.kind, q.m, q.n, q.k, kinds(q)) == ("fc", 10, 32, 32, [("bias", 320, ())])
    assert (scores.groups, scores.m, scores.n_per_group, scores.k) == (4, 10, 10, 8)
    assert (context.groups, context.m, context.n_per_group, context.k) == (4, 10, 8, 10)
    assert scores.inputs == ("q",)
    assert context.inputs == ("q", scores.name)
    assert kinds(scores) == [("other", 400, ())]


def test_a_shape_computed_in_the_graph(tmp_path: Path) -> None:
    """Exporters flatten with Shape, Gather and Concat; that is no data."""
    nodes = [
        node("Conv", "x c.weight", "a"),
        node("Shape", "a", "shape"),
        node("Gather", "shape zero", "batch", axis=0),
        node("Unsqueeze", "batch axes", "batch1"),
        node("Concat", "batch1 minus", "target", axis=0),
        node("Reshape", "a target", "flat"),
        node("MatMul", "flat f.weight", "y"),
    ]
    constants = [
        weights("c.weight", 4, 3, 3, 3), weights("f.weight", 144, 10), integers("axes", 0),
        integers("minus", -1), numpy_helper.from_array(np.array(0, np.int64), "zero"),
    ]  # fmt: skip
    conv, fc = imported(tmp_path, nodes, [tensor("x", "N", 3, 8, 8)], constants).layers
    assert (fc.m, fc.k, fc.inputs, kinds(conv)) == (1, 144, ("c",), [])


def test_layers_are_named_after_their_weights_else_their_operators(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x net/a.weight", "a"),
        helper.make_node("Conv", ["a", "onnx::Conv_12"], ["b"], name="/net/b/Conv"),
        helper.make_node("Conv", ["b", "net/a.weight"], ["y"], name="net/again"),
    ]
    constants = [weights("net/a.weight", 3, 3, 1, 1), weights("onnx::Conv_12", 3, 3, 1, 1)]
    network = imported(tmp_path, nodes, [tensor("x", 1, 3, 8, 8)], constants)
    assert [layer.name for layer in network.layers] == ["a", "b/Conv", "a_2"]


def test_local_functions_are_looked_into(tmp_path: Path) -> None:
    block = helper.make_function(
        "local", "Block", ["x", "w"], ["y"], [node("Conv", "x w", "c"), node("Relu", "c", "y")],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    proto = model(
        [helper.make_node("Block", ["x", "w"], ["y"], domain="local")],
        [tensor("x", 1, 3, 8, 8)],
        [weights("w", 4, 3, 3, 3)],
    )
    proto.functions.append(block)
    proto.opset_import.append(helper.make_opsetid("local", 1))
    save_model(proto, tmp_path / "model.onnx")
    layer = only(read_onnx(tmp_path / "model.onnx"))
    assert (layer.m, [post.kind for post in layer.post_operations]) == (36, ["relu"])


def test_unsupported_operators_can_be_skipped_and_are_listed(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x c.weight", "a"),
        helper.make_node("Mystery", ["a"], ["m"], name="who", domain="custom"),
        node("Conv", "a d.weight", "d"),
        node("Conv", "m e.weight", "y"),
    ]
    constants = [
        weights("c.weight", 4, 3, 3, 3), weights("d.weight", 2, 4, 3, 3), weights("e.weight", 2, 2, 3, 3),
    ]  # fmt: skip
    network = imported(tmp_path, nodes, [tensor("x", 1, 3, 8, 8)], constants, skip_unsupported=True)
    assert [layer.name for layer in network.layers] == ["c", "d"]
    assert network.layers[1].inputs == ("c",)
    assert network.skipped_operators == (
        "custom.Mystery (who)",
        "Conv (Conv_y): shape of 'm' is unknown",
    )


def test_a_quantized_export_has_the_post_operations_of_the_plain_one(tmp_path: Path) -> None:
    """Quantize and dequantize are the file's number format, not work; a bias behind them is still a bias."""
    scale = numpy_helper.from_array(np.array(0.5, np.float32), "scale")
    zero = numpy_helper.from_array(np.array(0, np.int8), "zero")
    nodes = [
        node("QuantizeLinear", "x scale zero", "xq"),
        node("DequantizeLinear", "xq scale zero", "xd"),
        node("DequantizeLinear", "w scale zero", "wd"),
        node("MatMul", "xd wd", "p"),
        node("Reshape", "p shape", "r"),
        node("Add", "r bias", "b"),
        node("Relu", "b", "y"),
    ]
    constants = [
        scale, zero, numpy_helper.from_array(np.zeros((8, 5), np.int8), "w"), weights("bias", 5),
        integers("shape", 4, 5),
    ]  # fmt: skip
    layer = only(imported(tmp_path, nodes, [tensor("x", 4, 8)], constants))
    assert (layer.kind, layer.parameters) == ("fc", 40)
    assert kinds(layer) == [("bias", 20, ()), ("relu", 20, ())]


def test_scaled_scores_are_work_because_no_weights_could_take_the_factor(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x z", "s"), node("Mul", "s half", "y")]
    half = numpy_helper.from_array(np.array(0.5, np.float32), "half")
    layer = only(imported(tmp_path, nodes, [tensor("x", 4, 8), tensor("z", 8, 3)], [half]))
    assert kinds(layer) == [("other", 12, ())]


def test_a_result_read_twice_cannot_take_one_readers_normalization(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x a.weight", "a"),
        node("Mul", "a factor", "m"),
        node("Concat", "a m", "am", axis=1),
        node("Conv", "am b.weight", "y"),
    ]
    constants = [weights("a.weight", 4, 3, 1, 1), weights("factor", 4, 1, 1), weights("b.weight", 2, 8, 1, 1)]
    a, b = imported(tmp_path, nodes, [tensor("x", 1, 3, 8, 8)], constants).layers
    assert kinds(a) == [("other", 256, ())]
    assert b.inputs == ("a",)
