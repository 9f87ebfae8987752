"""Do operators mean what their operator set says? Every case is judged by ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from simulator.foundation import UserError
from simulator.inference import load_model
from simulator.inference.arithmetic import float32_product
from simulator.inference.execute import execute_outputs
from simulator.workload.onnx import read_source
from simulator.workload.onnx.evaluate import evaluator_of
from tests.reference.onnx_counts import run

_RANDOM = np.random.default_rng(5)
X = _RANDOM.normal(size=(2, 3, 4, 5)).astype(np.float32)
IMAGE = _RANDOM.normal(size=(1, 2, 6, 7)).astype(np.float32)
CHANNELS = _RANDOM.normal(size=(2, 7, 3, 3)).astype(np.float32) * 30
SCALES = np.array([1, 1, 2, 1.5], np.float32)
SMALLER = np.array([1, 1, 0.5, 0.6], np.float32)
BOXES = np.array([[0, 0, 6, 6], [1, 2, 5, 5]], np.float32)
GRID = _RANDOM.uniform(-1.2, 1.2, size=(1, 3, 4, 2)).astype(np.float32)
CUBE = _RANDOM.uniform(-2, 2, size=(1, 2, 3, 2, 3)).astype(np.float32)
OVERLAPPING = np.array(
    [[[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 0.5, 1, 1.5], [3, 3, 2, 2], [2, 2.1, 3, 3.1]]], np.float32
)
SCORES = np.array([[[0.9, 0.8, 0.2, 0.5, 0.6], [0.1, 0.3, 0.7, -0.4, 0.4]]], np.float32)
LEFT_OUT = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Case:
    operator: str
    version: int
    inputs: tuple[np.ndarray, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = "-".join(f"{name}_{value}" for name, value in self.attributes.items())
        return f"{self.operator}-{self.version}-{shown}".replace(" ", "")


_ROWS = ("Softmax", "LogSoftmax", "Hardmax")
CASES = [
    *(Case(operator, version, (X,)) for operator in _ROWS for version in (7, 11, 12, 13)),
    *(Case(operator, 11, (X,), {"axis": axis}) for operator in _ROWS for axis in (0, 2, -1)),
    *(Case(operator, 11, (X[:1, :1].reshape(1, 20, 1, 1),)) for operator in _ROWS),
    *(
        Case("Upsample", 7, (IMAGE,), {"scales": [1.0, 1.0, 2.0, 3.0], "mode": m})
        for m in ("nearest", "linear")
    ),
    *(Case("Upsample", 9, (IMAGE, SCALES), {"mode": m}) for m in ("nearest", "linear")),
    *(Case("Resize", 10, (IMAGE, s), {"mode": m}) for s in (SCALES, SMALLER) for m in ("nearest", "linear")),
    *(
        Case("Resize", 13, (IMAGE, LEFT_OUT, s), {"mode": m, "coordinate_transformation_mode": c})
        for s in (SCALES, SMALLER)
        for m in ("nearest", "linear", "cubic")
        for c in ("align_corners", "half_pixel")
    ),
    *(
        Case("RoiAlign", version, (IMAGE, BOXES, np.array([0, 0])), {"output_height": 3, "sampling_ratio": 2})
        for version in (10, 16)
    ),
    *(
        Case("GridSample", 16, (IMAGE, GRID), {"mode": m, "padding_mode": p, "align_corners": a})
        for m, p in (
            ("bilinear", "zeros"),
            ("bilinear", "reflection"),
            ("bicubic", "zeros"),
            ("bicubic", "border"),
            ("nearest", "border"),
        )
        for a in (0, 1)
    ),
    *(
        Case("GridSample", 20, (IMAGE, GRID * 1.4), {"mode": "cubic", "padding_mode": p, "align_corners": a})
        for p in ("zeros", "border", "reflection")
        for a in (0, 1)
    ),
    *(
        Case(
            "GridSample",
            20,
            (IMAGE[:, :, :1], GRID * 1.4),
            {"mode": m, "padding_mode": p, "align_corners": a},
        )
        for m in ("linear", "nearest", "cubic")
        for p in ("zeros", "border", "reflection")
        for a in (0, 1)
    ),
    *(
        Case("GridSample", 20, (X[None, :1], CUBE), {"mode": m, "padding_mode": p, "align_corners": a})
        for m in ("linear", "nearest")
        for p in ("zeros", "border", "reflection")
        for a in (0, 1)
    ),
    *(
        Case("NonMaxSuppression", 11, (OVERLAPPING, SCORES, *limits))
        for limits in (
            (np.array(4), np.array(0.4, np.float32), np.array(0.2, np.float32)),
            (np.array(4), np.array(0.4, np.float32)),
            (np.array(2),),
        )
    ),
    *(
        Case("NonMaxSuppression", 11, (OVERLAPPING, SCORES, *more))
        for more in ((), (np.array([0]),), (np.array([4]),), (np.array([4]), np.array([0.4], np.float32)))
    ),
    *(
        Case("MaxPool", version, (IMAGE,), {"kernel_shape": k, "auto_pad": p, "strides": [2, 2]})
        for version in (8, 12)
        for k in ([2, 3], [3, 2])
        for p in ("SAME_UPPER", "SAME_LOWER", "VALID")
    ),
    *(
        Case("Pad", 19, (X[0], np.array(pads), *more), {"mode": m})
        for m in ("constant", "reflect", "edge", "wrap")
        for pads, more in (
            ([1, 0, 2, 0, 1, 1], ()),
            ([1, -1, 0, -1, 2, 1], ()),
            ([2, -1, 1, -2], (LEFT_OUT, np.array([2, -2]))),
        )
    ),
    *(
        Case("Pad", 2, (X[0],), {"mode": m, "pads": pads, **more})
        for m, more in (("constant", {}), ("constant", {"value": 1.5}), ("reflect", {}), ("edge", {}))
        for pads in ([1, 0, 2, 0, 1, 1], [1, -1, 0, -1, 2, -1])
    ),
    *(
        Case(operator, 11, (np.arange(-6, 6, dtype=element).reshape(3, 4),), {"axes": [-1], "keepdims": k})
        for operator in ("ReduceL1", "ReduceMax", "ReduceProd", "ReduceSum", "ReduceSumSquare")
        for element in (np.int32, np.float32)
        for k in (0, 1)
    ),
    *(Case("LRN", version, (CHANNELS,), {"size": size}) for version in (1, 13) for size in (3, 5)),
    *(Case("LpNormalization", 1, (X,), {"axis": axis, "p": p}) for axis in (1, -1) for p in (1, 2)),
    *(
        Case("OneHot", 11, (np.array([1, -1, 3]), depth, X[0, 0, 0, :2]), {"axis": axis})
        for depth in (np.array([4]), np.array(4))
        for axis in (0, -1)
    ),
    Case("Mean", 8, (X[0, 0, :, :1], X[0, 0, 0])),
    Case("Mean", 13, (X, X[0], X[0, 0])),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_operator_of_a_set(tmp_path: Path, case: Case) -> None:
    named = {f"i{index}": values for index, values in enumerate(case.inputs) if values is not LEFT_OUT}
    inputs = [f"i{index}" if f"i{index}" in named else "" for index in range(len(case.inputs))]
    graph = helper.make_graph(
        [helper.make_node(case.operator, inputs, ["y"], **case.attributes)],
        "one",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
            for name, values in named.items()
        ],
        [helper.make_empty_tensor_value_info("y")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", case.version)])
    model.ir_version = 8
    onnx.save(model, tmp_path / "one.onnx")
    (wanted,) = run(model, named)
    node = read_source(tmp_path / "one.onnx", all_inputs_are_data=True).body.nodes[0]
    evaluate = evaluator_of(node)
    assert evaluate is not None
    (got,) = evaluate([named.get(name) for name in inputs])
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("values", [[0.0, 0.0], [-0.0], [1.0, 3.0], [-2.0, -1.0], [-1.0, 2.0]])
def test_dynamic_codes(tmp_path: Path, values: list[float]) -> None:
    """Codes, scale and zero point; of zeros alone the scale is 1."""
    x = np.array(values, np.float32)
    names = ["codes", "scale", "zero"]
    graph = helper.make_graph(
        [helper.make_node("DynamicQuantizeLinear", ["x"], names)],
        "one",
        [helper.make_tensor_value_info("x", 1, x.shape)],
        [helper.make_empty_tensor_value_info(name) for name in names],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    onnx.save(model, tmp_path / "one.onnx")
    node = read_source(tmp_path / "one.onnx", all_inputs_are_data=True).body.nodes[0]
    evaluate = evaluator_of(node)
    assert evaluate is not None
    for got, wanted in zip(evaluate([x]), run(model, {"x": x}), strict=True):
        assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("mode", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("length", [2, 3, 4, 5, 6])
def test_transposed_convolution_to_a_given_length(tmp_path: Path, mode: str, length: int) -> None:
    """Two places in steps of 3 with a filter of 1 reach 4: fewer are cut off, two more are zeros behind."""
    x, weights = np.array([[[1, 2]]], np.float32), np.array([[[1]]], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node(
                "ConvTranspose", ["x", "w"], ["y"], strides=[3], output_shape=[length], auto_pad=mode
            )
        ],
        "one",
        [helper.make_tensor_value_info("x", 1, x.shape)],
        [helper.make_tensor_value_info("y", 1, [1, 1, length])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    onnx.save(model, tmp_path / "one.onnx")
    got = execute_outputs(load_model(tmp_path / "one.onnx"), {"x": x}, float32_product, ("y",))["y"]
    np.testing.assert_array_equal(got, run(model, {"x": x})[0])


def test_a_length_that_no_place_reaches_is_refused(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[3], output_shape=[7])],
        "one",
        [helper.make_tensor_value_info("x", 1, [1, 1, 2])],
        [helper.make_tensor_value_info("y", 1, [1, 1, 7])],
        [onnx.numpy_helper.from_array(np.ones((1, 1, 1), np.float32), "w")],
    )
    onnx.save(helper.make_model(graph, ir_version=8), tmp_path / "one.onnx")
    with pytest.raises(UserError, match="a stride or more beyond what the products reach"):
        load_model(tmp_path / "one.onnx")
