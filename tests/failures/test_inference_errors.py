"""Does inference fail well? One message each, with file, place, value and what is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from simulator.foundation import UserError
from simulator.inference import (
    get_policy,
    infer,
    load_images,
    load_model,
    load_trace,
    plan_network,
    record_trace,
)
from tests.command import run


def save_model(
    folder: Path,
    *,
    nodes: list[onnx.NodeProto] | None = None,
    weights: np.ndarray | None = None,
    shape: tuple[str | int, ...] = ("N", 1, 4, 4),
) -> Path:
    nodes = nodes or [
        helper.make_node("Flatten", ["x"], ["f"], name="flat"),
        helper.make_node("MatMul", ["f", "w"], ["y"], name="fc"),
    ]
    weights = np.ones((16, 3), np.float32) if weights is None else weights
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("private", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 8
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def save_images(folder: Path, **arrays: np.ndarray) -> Path:
    path = folder / "images.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]  # numpy's stub takes allow_pickle for an array
    return path


def refused(action: Callable[[], object], *parts: str) -> None:
    with pytest.raises(UserError) as caught:
        action()
    for part in parts:
        assert part in str(caught.value)


def test_an_unknown_network_suggests_the_nearest_one() -> None:
    refused(lambda: load_model("lenet5_fashio"), "unknown trained network", "did you mean 'lenet5_fashion'?")


def test_nan_in_weights_is_named(tmp_path: Path) -> None:
    weights = np.ones((16, 3), np.float32)
    weights[3, 1] = np.nan
    path = save_model(tmp_path, weights=weights)
    refused(lambda: load_model(path), str(path), "w:", "1 weights are NaN or infinite")


def test_an_open_dimension_is_named(tmp_path: Path) -> None:
    path = save_model(tmp_path, shape=("N", 1, "height", 4))
    refused(lambda: load_model(path).products, str(path), "left open", "x[2] (height)", "--dim")


def test_an_operator_nobody_has_is_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"], name="flat"),
        helper.make_node("Frobnicate", ["f"], ["g"], name="odd", domain="private"),
        helper.make_node("MatMul", ["g", "w"], ["y"], name="fc"),
    ]
    path = save_model(tmp_path, nodes=nodes)
    refused(lambda: load_model(path), str(path), "cannot be executed: private.Frobnicate (odd)")


def test_a_network_of_shapes_alone_has_no_weights_to_run(tmp_path: Path) -> None:
    """Weights that are inputs without values: enough to simulate, not to infer."""
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="conv")],
        "graph",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 4, 4]),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [2, 1, 3, 3]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2, 2, 2])],
    )
    path = tmp_path / "shapes.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    data = load_images(save_images(tmp_path, images=np.zeros((2, 1, 4, 4), np.uint8)))
    refused(lambda: infer(load_model(path), data), str(path), "the file has no values for them: w")


def test_files_that_are_no_networks(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"\x08\x07\x12 not a network")
    refused(lambda: load_model(path), str(path), "is not an ONNX file")


@pytest.mark.parametrize(
    ("arrays", "parts"),
    [
        ({"pixels": np.zeros((2, 1, 4, 4), np.uint8)}, ("has no images", "pixels")),
        ({"images": np.zeros((2, 1, 4, 4), np.int32)}, ("images", "wrong type", "int32", "uint8 or float")),
        ({"images": np.full((2, 1, 4, 4), np.nan, np.float32)}, ("images[0]", "NaN or infinity")),
        ({"images": np.zeros((0, 1, 4, 4), np.uint8)}, ("must be an array of images",)),
        (
            {"images": np.zeros((2, 1, 4, 4), np.uint8), "labels": np.zeros(3, np.int64)},
            ("labels", "do not match the 2 images", "3"),
        ),
        (
            {"images": np.zeros((2, 1, 4, 4), np.uint8), "labels": np.zeros(2, np.float32)},
            ("labels", "one integer for each image", "float32"),
        ),
    ],
)
def test_images_that_cannot_be_used(
    tmp_path: Path, arrays: dict[str, np.ndarray], parts: tuple[str, ...]
) -> None:
    path = save_images(tmp_path, **arrays)
    refused(lambda: load_images(path), str(path), *parts)


def test_truncated_image_files(tmp_path: Path) -> None:
    path = save_images(tmp_path, images=np.zeros((9, 1, 4, 4), np.uint8))
    path.write_bytes(path.read_bytes()[:-40])
    refused(lambda: load_images(path), str(path), "is truncated")
    empty = tmp_path / "empty.npy"
    empty.write_bytes(b"")
    refused(lambda: load_images(empty), str(empty), "is truncated")


def test_images_of_another_shape_than_the_network_takes(tmp_path: Path) -> None:
    model = load_model(save_model(tmp_path))
    data = load_images(save_images(tmp_path, images=np.zeros((2, 3, 4, 4), np.uint8)))
    refused(lambda: infer(model, data), "images", "(2, 3, 4, 4)", "N x 1 x 4 x 4")


def test_labels_that_the_network_cannot_give(tmp_path: Path) -> None:
    model = load_model(save_model(tmp_path))
    arrays = {"images": np.zeros((2, 1, 4, 4), np.uint8), "labels": np.array([0, 3])}
    data = load_images(save_images(tmp_path, **arrays))
    refused(lambda: infer(model, data), "labels", "(got 3)", "0 to 2")


def test_too_many_images_are_asked_for() -> None:
    data = load_images("fashion_mnist_1000")
    refused(lambda: data.first(1001), "1001", "1 to 1000")


def test_macs_policies_and_layers_that_do_not_exist() -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(1)
    refused(lambda: infer(model, data, "imt8"), "imt8", "int8")
    refused(lambda: get_policy("mes"), "unknown policy", "did you mean 'mse'?")
    refused(lambda: get_policy("mse+gtpq"), "unknown option", "did you mean 'gptq'?")
    refused(lambda: get_policy("mse+smooth=2"), "smooth", "0 to 1")
    refused(lambda: get_policy("mse+smooth=much"), "is no number", "much")
    refused(lambda: infer(model, data, layer_macs={"conv9": "int8"}), "unknown layer", "conv1")


@pytest.fixture
def trace_folder(tmp_path: Path) -> Path:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(2)
    record_trace(model, data, plan_network(model, data, "elma8"), tmp_path / "trace")
    return tmp_path / "trace"


def test_a_folder_that_is_no_trace(tmp_path: Path) -> None:
    refused(lambda: load_trace(tmp_path), str(tmp_path), "is not a trace")


def test_a_truncated_tensor(trace_folder: Path) -> None:
    tensor = trace_folder / "002_weights.npy"
    tensor.write_bytes(tensor.read_bytes()[:-1])
    refused(lambda: load_trace(trace_folder), str(tensor), "layers.2.tensors.weights", "truncated or changed")


def test_a_flipped_bit(trace_folder: Path) -> None:
    tensor = trace_folder / "001_activations.npy"
    content = bytearray(tensor.read_bytes())
    content[-10] ^= 1
    tensor.write_bytes(bytes(content))
    refused(lambda: load_trace(trace_folder), str(tensor), "its hash differs")


def test_a_missing_tensor(trace_folder: Path) -> None:
    (trace_folder / "004_outputs.npy").unlink()
    refused(lambda: load_trace(trace_folder), "004_outputs.npy", "is missing")


def edited(trace_folder: Path, change: Callable[[dict[str, object]], object]) -> Path:
    path = trace_folder / "trace.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return trace_folder


def test_a_trace_of_another_version(trace_folder: Path) -> None:
    edited(trace_folder, lambda document: document.update(version=2))
    refused(lambda: load_trace(trace_folder), "version", "(got 2)", "allowed: 1")


def test_a_truncated_manifest(trace_folder: Path) -> None:
    path = trace_folder / "trace.json"
    path.write_text(path.read_text()[:500])
    refused(lambda: load_trace(trace_folder), str(path), "is not JSON, or is truncated")


def test_unknown_keys_in_the_manifest(trace_folder: Path) -> None:
    edited(trace_folder, lambda document: document.update(polcy="max"))
    refused(lambda: load_trace(trace_folder), "unknown key", "did you mean 'policy'?")


@pytest.mark.parametrize(("size", "value", "role"), [("k", 401, "activations"), ("n", 121, "weights")])
def test_tensors_that_do_not_fit_their_layer(trace_folder: Path, size: str, value: int, role: str) -> None:
    """fc1 has 400 inputs and 120 outputs."""

    def change(document: dict[str, object]) -> None:
        layers = document["layers"]
        assert isinstance(layers, list)
        layers[2]["layer"][size] = value

    edited(trace_folder, change)
    refused(lambda: load_trace(trace_folder), f"{role} do not fit layer 'fc1'", "layers.2")


def test_the_command_refuses_without_a_traceback(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(capsys, "infer", "lenet5").must_refuse("unknown trained network", "lenet5_fashion")
    run(capsys, "infer", "lenet5_fashion", "--data", tmp_path / "no.npz").must_refuse("cannot be found")
    blocked = tmp_path / "file"
    blocked.write_text("")
    run(capsys, "trace", "lenet5_fashion", "-o", blocked / "trace").must_refuse(str(blocked))
