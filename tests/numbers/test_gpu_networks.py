"""Whole networks on a device: every output, figure and count is the CPU's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from simulator.foundation import UserError
from simulator.inference import infer, load_data, load_model
from simulator.inference.run_inference import InferenceResult
from simulator.numerics.gpu import Device
from simulator.numerics.gpu.device_arithmetic import Kind, bounded, narrow, pairs
from tests.numbers.gpu_devices import DEVICES, device_named


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Device:
    return device_named(request.param)


def assert_same(found: InferenceResult, wanted: InferenceResult) -> None:
    np.testing.assert_array_equal(found.logits.view(np.uint32), wanted.logits.view(np.uint32))
    np.testing.assert_array_equal(found.float32_logits.view(np.uint32), wanted.float32_logits.view(np.uint32))
    assert found.layers == wanted.layers
    assert found.sums == wanted.sums
    assert found.accuracy == wanted.accuracy


SLOW_HERE = pytest.param("fp8_fp16", marks=pytest.mark.slow)
"""The interpreter takes long over half-precision steps."""


@pytest.mark.parametrize("mac", ["int8", "elma8", "posit8", "mixed8", "bf16", SLOW_HERE])
def test_a_bundled_network(device: Device, mac: str) -> None:
    model = load_model("lenet5_fashion")
    data = load_data("fashion_mnist_1000", model).first(5)
    found, wanted = infer(model, data, mac, device=device), infer(model, data, mac)
    assert_same(found, wanted)
    assert all(reason.startswith("gpu: ") for reason in found.engines.values())
    assert all(reason.endswith(f"on {device.name}") for reason in found.engines.values())


def test_chunks_are_told_apart(device: Device) -> None:
    """53 images are two chunks of the CPU, of 50 and 3; the device takes them together."""
    model = load_model("lenet5_fashion")
    data = load_data("fashion_mnist_1000", model).first(53)
    assert_same(infer(model, data, "elma8", device=device), infer(model, data, "elma8"))


@pytest.mark.slow
@pytest.mark.parametrize("mac", ["int8", "elma8", "elma16", "bf16"])
def test_a_network_with_additions_and_strides(device: Device, mac: str) -> None:
    model = load_model("resnet8_fashion")
    data = load_data("fashion_mnist_1000", model).first(3)
    found = infer(model, data, mac, device=device)
    assert_same(found, infer(model, data, mac))
    assert any("GlobalAveragePool (the device has no such operator" in note for note in found.notes)


def network(path: Path) -> Path:
    """A strided and padded convolution, a grouped, a depthwise and a pointwise one, and what lies between."""
    rng = np.random.default_rng(11)

    def weights(name: str, *shape: int) -> Any:
        return numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32) * 0.5, name)

    nodes = [
        helper.make_node("Pad", ["x", "pads"], ["padded"]),
        helper.make_node("Conv", ["padded", "w0", "b0"], ["c0"], strides=[2, 2], kernel_shape=[3, 3]),
        helper.make_node("Clip", ["c0", "zero", "six"], ["r0"]),
        helper.make_node("Conv", ["r0", "w1"], ["c1"], group=2, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], group=16, kernel_shape=[3, 2], dilations=[1, 2],
                         pads=[1, 0, 1, 2]),
        helper.make_node("Add", ["c2", "r1"], ["s2"]),
        helper.make_node("MaxPool", ["s2"], ["p2"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0]),
        helper.make_node("Conv", ["p2", "w3"], ["c3"], kernel_shape=[1, 1]),
        helper.make_node("HardSwish", ["c3"], ["r3"]),
        helper.make_node("Mul", ["r3", "factor"], ["m3"]),
        helper.make_node("Flatten", ["m3"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w4", "b4"], ["y"]),
    ]  # fmt: skip
    constants = [
        numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64), "pads"),
        numpy_helper.from_array(np.array(0, np.float32), "zero"),
        numpy_helper.from_array(np.array(6, np.float32), "six"),
        numpy_helper.from_array(np.array(0.75, np.float32), "factor"),
        weights("w0", 16, 3, 3, 3), weights("b0", 16), weights("w1", 16, 8, 3, 3),
        weights("w2", 16, 1, 3, 2), weights("b2", 16), weights("w3", 24, 16, 1, 1),
        weights("w4", 24 * 4 * 4, 10), weights("b4", 10),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize("mac", ["elma8", "fp8", "bf16", "posit8"])
def test_convolutions_of_all_kinds(device: Device, tmp_path: Path, mac: str) -> None:
    model = load_model(network(tmp_path / "small.onnx"))
    images = np.random.default_rng(2).standard_normal((3, 3, 16, 16)).astype(np.float32)
    np.savez(tmp_path / "images.npz", images=images)
    data = load_data(tmp_path / "images.npz", model)
    found = infer(model, data, mac, device=device)
    assert_same(found, infer(model, data, mac))
    assert [note for note in found.notes if "HardSwish (the device has no such operator" in note]
    assert all(reason.startswith("gpu: ") for reason in found.engines.values())


@pytest.mark.slow
def test_attention_runs_on_the_cpu_and_the_result_says_so(device: Device) -> None:
    model = load_model("vit_fashion")
    data = load_data("fashion_mnist_1000", model).first(2)
    found, wanted = infer(model, data, "int8", device=device), infer(model, data, "int8")
    assert_same(found, wanted)
    on_cpu = [name for name, engine in found.engines.items() if not engine.startswith("gpu: ")]
    assert on_cpu
    for name in on_cpu:
        assert found.engines[name].endswith("on the CPU, since both operands are computed")
    assert any("both operands are computed" in note for note in found.notes)


def test_an_observer_needs_the_cpu(device: Device) -> None:
    model = load_model("lenet5_fashion")
    data = load_data("fashion_mnist_1000", model).first(2)
    seen: list[str] = []
    result = infer(model, data, "int8", observer=lambda product, _: seen.append(product.name), device=device)
    assert len(seen) == len(model.products)
    assert f"the network ran on the CPU, not on {device.name}: layers are observed" in result.notes


SMALLEST = np.float32(2.0**-149)
VALUES = np.array(
    [0.0, -0.0, 1.0, -1.0, 1.5, 3e38, np.inf, -np.inf, np.nan, SMALLEST, -SMALLEST, 3 * SMALLEST, 2.0**-126],
    np.float32,
)
"""Signs of zero, infinities, and subnormal numbers, which must be kept."""


def assert_same_bits(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.dtype == wanted.dtype == np.float32
    same = (found.view(np.uint32) == wanted.view(np.uint32)) | (np.isnan(found) & np.isnan(wanted))
    assert same.all()


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("add", np.add),
        ("subtract", np.subtract),
        ("multiply", np.multiply),
        ("divide", np.divide),
        ("greater", np.maximum),
    ],
)
def test_two_operands_with_numpys_bits(device: Device, kind: Kind, function: Any) -> None:
    a, b = np.repeat(VALUES, len(VALUES)), np.tile(VALUES, len(VALUES))
    with np.errstate(all="ignore"):
        assert_same_bits(
            device.to_host(pairs(device, kind, device.to_device(a), device.to_device(b))), function(a, b)
        )


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 1, 1), (4, 5), (5,), (1,), (2, 1, 4, 1), (2, 3, 1, 1)])
def test_operands_are_spread_as_numpy_does(device: Device, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    a, b = (rng.standard_normal(size).astype(np.float32) for size in ((2, 3, 4, 5), shape))
    found = device.to_host(pairs(device, "subtract", device.to_device(a), device.to_device(b)))
    assert_same_bits(found, a - b)
    turned = device.to_host(pairs(device, "subtract", device.to_device(b), device.to_device(a)))
    assert_same_bits(turned, b - a)


def test_values_within_bounds(device: Device) -> None:
    for low, high in ((0.0, 6.0), (-0.0, 1.0), (-np.inf, 1.0), (0.0, np.inf), (float(SMALLEST), 1.0)):
        found = device.to_host(bounded(device, device.to_device(VALUES), low, high))
        assert_same_bits(found, np.clip(VALUES, np.float32(low), np.float32(high)))


def test_float64_to_float32_is_rounded_once_and_keeps_subnormal_numbers(device: Device) -> None:
    values = np.array([2.0**-149, 2.0**-150, 2.0**-150 * 1.0000001, -(2.0**-149) * 1.5, 1 + 2.0**-24, 1e300])
    # The tie 2^-150 goes to the even 0, 1.5 units to 2, 1 + 2^-24 to 1.
    wanted = np.array([2.0**-149, 0.0, 2.0**-149, -(2.0**-148), 1.0, np.inf], np.float32)
    assert_same_bits(device.to_host(narrow(device, device.to_device(values))), wanted)


@pytest.mark.slow
def test_many_chunks_together_count_as_one_by_one(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    from simulator.inference.gpu import device_chunks

    model = load_model("lenet5_fashion")
    images = load_data("fashion_mnist_1000", model).first(120)
    together = infer(model, images, "int8", device=device)
    monkeypatch.setattr(device_chunks, "TOGETHER", 1)
    assert_same(infer(model, images, "int8", device=device), together)


def test_what_an_operator_finds_wrong_is_told_as_on_the_cpu(device: Device, tmp_path: Path) -> None:
    """The first value of each row chooses a row of three; 7 is none of them."""
    nodes = [
        helper.make_node("Cast", ["x"], ["places"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "places"], ["rows"]),
        helper.make_node("MatMul", ["rows", "w"], ["y"]),
    ]
    constants = [
        numpy_helper.from_array(np.eye(3, 4, dtype=np.float32), "table"),
        numpy_helper.from_array(np.ones((4, 2), np.float32), "w"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1, 2])
    path = tmp_path / "gather.onnx"
    onnx.save(helper.make_model(helper.make_graph(nodes, "gather", [x], [y], constants)), path)
    model = load_model(path)
    for rows, is_there in (([[1.0], [2.0]], True), ([[1.0], [7.0]], False)):
        np.save(tmp_path / "rows.npy", np.asarray(rows, np.float32))
        data = load_data(str(tmp_path / "rows.npy"), model)
        if is_there:
            assert_same(infer(model, data, "elma8", device=device), infer(model, data, "elma8"))
            continue
        told = []
        for where in (None, device):
            with pytest.raises(UserError) as caught:
                infer(model, data, "elma8", device=where)
            told.append(str(caught.value))
        assert "Gather cannot be executed" in told[0]
        assert told[0] == told[1]
