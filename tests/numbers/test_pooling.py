"""Do poolings have every attribute as the standard defines it? One window at a time, and by ONNX Runtime."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np
import pytest
from onnx import helper

from simulator.workload.onnx.evaluate import evaluator_of
from simulator.workload.onnx.graph import Node
from tests.reference.onnx_counts import run

KINDS = ("AveragePool", "LpPool", "MaxPool")


def cases(kind: str, count: int) -> list[tuple[tuple[int, ...], dict[str, Any]]]:
    """Random sizes and attributes; windows are no larger than the tensor, pads smaller than windows."""
    dice = random.Random(f"pooling {kind}")
    made = []
    for _ in range(count):
        rank = dice.choice([1, 2, 2, 3])
        kernel = [dice.randint(1, 3) for _ in range(rank)]
        attributes: dict[str, Any] = {"kernel_shape": kernel}
        if dice.random() < 0.7:
            attributes["strides"] = [dice.randint(1, 3) for _ in range(rank)]
        if dice.random() < 0.5:
            attributes["dilations"] = [dice.randint(1, 2) for _ in range(rank)]
        choice = dice.random()
        if choice < 0.35:
            attributes["auto_pad"] = dice.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
        elif choice < 0.75:
            attributes["pads"] = [dice.randint(0, size - 1) for size in kernel * 2]
        if dice.random() < 0.5:
            attributes["ceil_mode"] = 1
        if kind == "AveragePool":
            attributes["count_include_pad"] = dice.randint(0, 1)
        elif kind == "LpPool":
            attributes["p"] = dice.randint(1, 3)
        made.append(((1, 2, *(dice.randint(5, 7) for _ in range(rank))), attributes))
    return made


def windows_of(size: int, attributes: dict[str, Any], axis: int) -> tuple[list[list[int]], int, int]:
    """Positions in each window along an axis, and where the padding begins and ends."""
    rank = len(attributes["kernel_shape"])
    kernel = attributes["kernel_shape"][axis]
    stride = attributes.get("strides", [1] * rank)[axis]
    dilation = attributes.get("dilations", [1] * rank)[axis]
    extent = (kernel - 1) * dilation + 1
    pads = attributes.get("pads", [0] * 2 * rank)
    head, tail = pads[axis], pads[rank + axis]
    mode = attributes.get("auto_pad", "NOTSET")
    if mode == "NOTSET":
        exact = (size + head + tail - extent) / stride + 1
        count = math.ceil(exact) if attributes.get("ceil_mode") else math.floor(exact)
        while (count - 1) * stride - head >= size:  # begins in the padding behind
            count -= 1
    elif mode == "VALID":
        count = math.ceil((size - extent + 1) / stride)
    else:
        count = math.ceil(size / stride)
        total = max(0, (count - 1) * stride + extent - size)
        head = total // 2 if mode == "SAME_UPPER" else math.ceil(total / 2)
        tail = total - head
    starts = [place * stride - head for place in range(count)]
    return [[start + step * dilation for step in range(kernel)] for start in starts], -head, size + tail


def by_definition(kind: str, x: Any, attributes: dict[str, Any]) -> tuple[Any, Any]:
    """Values, and flat places of the largest in rows or in columns."""
    sizes = x.shape[2:]
    along = [windows_of(size, attributes, axis) for axis, size in enumerate(sizes)]
    shape = (*x.shape[:2], *(len(windows) for windows, _, _ in along))
    values, places = np.zeros(shape), np.zeros(shape, np.int64)
    for index in itertools.product(*(range(length) for length in shape)):
        picked = [windows[at] for (windows, _, _), at in zip(along, index[2:], strict=True)]
        every = list(itertools.product(*picked))
        inside = [at for at in every if all(0 <= p < size for p, size in zip(at, sizes, strict=True))]
        padded = [
            at for at in every if all(low <= p < high for p, (_, low, high) in zip(at, along, strict=True))
        ]
        found = [float(x[(*index[:2], *at)]) for at in inside]
        if kind == "AveragePool":
            counted = padded if attributes["count_include_pad"] else inside
            values[index] = sum(found) / len(counted) if counted else 0.0
        elif kind == "LpPool":
            values[index] = sum(abs(each) ** attributes["p"] for each in found) ** (1 / attributes["p"])
        elif found:
            values[index] = max(found)
            at = inside[found.index(max(found))]
            if attributes.get("storage_order"):
                plane = int(np.ravel_multi_index(at, sizes, order="F"))
            else:
                plane = int(np.ravel_multi_index(at, sizes, order="C"))
            places[index] = (index[0] * x.shape[1] + index[1]) * math.prod(sizes) + plane
        else:
            values[index], places[index] = -np.inf, -1
    return values, places


def evaluated(kind: str, x: Any, attributes: dict[str, Any], outputs: int = 1) -> Any:
    names = tuple(f"y{place}" for place in range(outputs))
    evaluate = evaluator_of(Node(kind, ("x",), names, version=22, attributes=attributes))
    assert evaluate is not None
    return evaluate([x])


def values_of(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_poolings_are_those_of_the_definition(kind: str) -> None:
    for shape, attributes in cases(kind, 150):
        x = values_of(shape)
        (found,) = evaluated(kind, x, attributes)
        expected, _ = by_definition(kind, x, attributes)
        assert found.dtype == np.float32
        assert found.shape == expected.shape, attributes
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=str(attributes))


@pytest.mark.parametrize("kind", KINDS)
def test_poolings_are_those_of_onnx_runtime(kind: str) -> None:
    """Where it follows the standard: it leaves dilations out of SAME, does not clamp negative padding of SAME
    at 0 as ONNX's own shape inference does, and rounds the length of VALID up in ceil_mode."""
    judged = 0
    for shape, attributes in cases(kind, 150):
        automatic = attributes.get("auto_pad", "NOTSET")
        strides = attributes.get("strides", [1] * (len(shape) - 2))
        if automatic != "NOTSET" and (
            "dilations" in attributes
            or "ceil_mode" in attributes
            or any(
                kernel < stride for kernel, stride in zip(attributes["kernel_shape"], strides, strict=True)
            )
        ):
            continue
        judged += 1
        x = values_of(shape)
        (found,) = evaluated(kind, x, attributes)
        node = helper.make_node(kind, ["x"], ["y"], **attributes)
        graph = helper.make_graph(
            [node],
            "one",
            [helper.make_tensor_value_info("x", 1, shape)],
            [helper.make_empty_tensor_value_info("y")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
        (wanted,) = run(model, {"x": x})
        assert found.shape == wanted.shape, attributes
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6, err_msg=str(attributes))
    assert judged >= 80


@pytest.mark.parametrize("order", [0, 1])
def test_places_of_the_largest(order: int) -> None:
    for shape, attributes in cases("MaxPool", 60):
        x = np.round(values_of(shape) * 2)  # with ties: the first is taken
        given = {**attributes, "storage_order": order}
        found, places = evaluated("MaxPool", x, given, outputs=2)
        values, expected = by_definition("MaxPool", x, given)
        assert places.dtype == np.int64
        np.testing.assert_array_equal(found, values)
        reached = np.isfinite(values)
        np.testing.assert_array_equal(places[reached], expected[reached])


def test_integers_have_a_lowest_value() -> None:
    x = np.array([[[-5, -7, -3]]], np.int8)
    (found,) = evaluated("MaxPool", x, {"kernel_shape": [2], "pads": [1, 1]})
    assert found.dtype == np.int8
    assert found.tolist() == [[[-5, -5, -3, -3]]]


def test_by_hand() -> None:
    """1 2 3 4 5, windows of 3 in steps of 2, a zero in front; rounded up, one element is missing behind."""
    x = np.arange(1, 6, dtype=np.float32).reshape(1, 1, 5)
    given = {"kernel_shape": [3], "strides": [2], "pads": [1, 0], "ceil_mode": 1}
    assert evaluated("MaxPool", x, given)[0].tolist() == [[[2, 4, 5]]]
    assert evaluated("AveragePool", x, given)[0].tolist() == [[[1.5, 3, 4.5]]]
    with_zero = evaluated("AveragePool", x, {**given, "count_include_pad": 1})[0]
    assert with_zero.tolist() == [[[1, 3, 4.5]]]
    assert evaluated("LpPool", x, {**given, "p": 1})[0].tolist() == [[[3, 9, 9]]]
