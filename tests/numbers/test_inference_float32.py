"""Is the float32 path right? ONNX Runtime, which shares no code with it, is asked."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.tools.update_model_dims import update_inputs_outputs_dims

from simulator.inference import load_images, load_model
from simulator.inference.arithmetic import float32_product
from simulator.inference.execute import execute
from simulator.inference.model import Model

BUNDLED = ("lenet5_fashion", "resnet8_fashion", "vit_fashion")
TOLERANCE = 1e-4


def runtime_output(path: Path, images: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: images})[0])


def own_output(model: Model, images: np.ndarray) -> np.ndarray:
    return execute(model, images, float32_product)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_networks_equal_onnx_runtime(name: str) -> None:
    model, images = load_model(name), load_images("fashion_mnist_1000").images[:100]
    expected = runtime_output(model.path, images)
    assert np.abs(own_output(model, images) - expected).max() <= TOLERANCE


def test_a_third_party_network_equals_onnx_runtime(tmp_path: Path) -> None:
    found = importlib.util.find_spec("rapidocr_onnxruntime")
    if found is None or found.origin is None:
        pytest.skip("the package rapidocr-onnxruntime, whose text classifier this runs, is not installed")
    original = Path(found.origin).parent / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
    fixed = update_inputs_outputs_dims(
        onnx.load(original), {"x": ["N", 3, 48, 192]}, {"save_infer_model/scale_0.tmp_1": ["N", 2]}
    )
    path = tmp_path / "classifier.onnx"
    onnx.save(fixed, path)
    images = np.random.default_rng(3).normal(size=(4, 3, 48, 192)).astype(np.float32)
    model = load_model(path)
    assert len(model.products) == 54
    assert np.abs(own_output(model, images) - runtime_output(path, images)).max() <= TOLERANCE


@pytest.mark.parametrize("auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolutions_of_every_kind_equal_onnx_runtime(tmp_path: Path, auto_pad: str, groups: int) -> None:
    random = np.random.default_rng(5)
    geometry = {"pads": [1, 0, 2, 1]} if auto_pad == "NOTSET" else {"auto_pad": auto_pad}
    dilations = [2, 1] if auto_pad in ("NOTSET", "VALID") else [1, 1]
    node = helper.make_node(
        "Conv",
        ["x", "w", "b"],
        ["c"],
        kernel_shape=[3, 2],
        strides=[2, 1],
        dilations=dilations,
        group=groups,
        **geometry,
    )
    flat = helper.make_node("Flatten", ["c"], ["y"])
    weights = {
        "w": random.normal(size=(8, 4 // groups, 3, 2)).astype(np.float32),
        "b": random.normal(size=8).astype(np.float32),
    }
    path = save_graph(tmp_path, [node, flat], weights, ["N", 4, 9, 7])
    images = random.normal(size=(3, 4, 9, 7)).astype(np.float32)
    assert np.abs(own_output(load_model(path), images) - runtime_output(path, images)).max() <= TOLERANCE


def test_batch_normalization_and_bias_are_folded_into_the_layer(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"], epsilon=1e-3),
        helper.make_node("Flatten", ["n"], ["f"]),
        helper.make_node("MatMul", ["f", "w2"], ["p"]),
        helper.make_node("Add", ["b2", "p"], ["y"]),
    ]
    weights = {
        "w": random.normal(size=(5, 2, 3, 3)),
        "s": random.normal(size=5),
        "b": random.normal(size=5),
        "m": random.normal(size=5),
        "v": random.uniform(0.1, 2, size=5),
        "w2": random.normal(size=(45, 4)),
        "b2": random.normal(size=4),
    }
    singles = {name: values.astype(np.float32) for name, values in weights.items()}
    path = save_graph(tmp_path, nodes, singles, ["N", 2, 5, 5])
    model = load_model(path)
    assert [operator.kind for operator in model.operators] == ["Conv", "Flatten", "MatMul"]
    assert all(product.bias is not None for product in model.products)
    images = random.normal(size=(3, 2, 5, 5)).astype(np.float32)
    assert np.abs(own_output(model, images) - runtime_output(path, images)).max() <= TOLERANCE


def test_a_convolution_that_is_used_twice_keeps_its_batch_normalization(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"]),
        helper.make_node("Add", ["c", "n"], ["a"]),
        helper.make_node("Flatten", ["a"], ["y"]),
    ]
    ones = {name: np.full(2, 0.5, np.float32) for name in "sbmv"}
    weights = {"w": np.ones((2, 1, 2, 2), np.float32), **ones}
    path = save_graph(tmp_path, nodes, weights, ["N", 1, 3, 3])
    images = np.random.default_rng(1).normal(size=(2, 1, 3, 3)).astype(np.float32)
    assert np.abs(own_output(load_model(path), images) - runtime_output(path, images)).max() <= TOLERANCE


def test_products_with_weights_on_the_left_and_transposed_gemm(tmp_path: Path) -> None:
    random = np.random.default_rng(9)
    nodes = [
        helper.make_node("MatMul", ["w", "x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "g", "b"], ["y"], transB=1, alpha=0.5, beta=2.0),
    ]
    weights = {
        "w": random.normal(size=(4, 3)).astype(np.float32),
        "g": random.normal(size=(6, 20)).astype(np.float32),
        "b": random.normal(size=6).astype(np.float32),
    }
    path = save_graph(tmp_path, nodes, weights, ["N", 3, 5])
    images = random.normal(size=(2, 3, 5)).astype(np.float32)
    assert np.abs(own_output(load_model(path), images) - runtime_output(path, images)).max() <= TOLERANCE


def save_graph(
    folder: Path, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], shape: list[str | int]
) -> Path:
    """An ONNX file with input x and output y."""
    for node in nodes:
        node.name = node.output[0]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", None])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path = folder / "graph.onnx"
    onnx.save(model, path)
    return path
