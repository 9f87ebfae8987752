"""Networks that cannot be used: one message with file, place, value and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import NodeProto, TensorProto, helper, numpy_helper

from simulator.foundation import UserError
from simulator.workload import Network, load_network
from tools.import_networks import onnx_folder


def error_of(path: Path | str, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        load_network(str(path), **options)
    return str(caught.value)


def error_in(text: str, name: str, folder: Path) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    message = error_of(path)
    assert message.startswith(str(path))
    return message


def test_an_unknown_name_suggests_the_nearest_one() -> None:
    message = error_of("resnet51")
    assert "unknown network (got 'resnet51')" in message
    assert "did you mean 'resnet50'?" in message or "did you mean 'resnet18'?" in message
    bundled = (Path(__file__).parents[2] / "workloads").iterdir()
    others = sum(path.suffix in {".yaml", ".onnx"} for path in bundled) - 3
    assert f"allowed: alexnet, bert_base, convnext_tiny and {others} more" in message


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "cannot be found" in error_of(tmp_path / "missing.onnx")
    (tmp_path / "network.txt").write_text("x")
    assert "allowed: .yaml, .yml, .csv (SCALE-Sim topology), .onnx" in error_of(tmp_path / "network.txt")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80")
    assert "is not UTF-8 text" in error_of(tmp_path / "binary.csv")


@pytest.mark.parametrize("batch", [0, -4])
def test_a_batch_must_be_positive(batch: int) -> None:
    assert f"batch: must be positive (got {batch})" in error_of("resnet18", batch=batch)


START = "name: n\nsource: me\nlayers:\n"


@pytest.mark.parametrize(
    ("document", "parts"),
    [
        ("", ["must be a mapping"]),
        ("name: n\nlayers: [{name: a, fc: {k: 1, n: 1}}]", ["source: is required but missing"]),
        (START[:-8], ["layers: is required but missing"]),
        (START.replace("layers:", "layers: []"), ["layers", "at least 1"]),
        (START + "  - {name: a, fc: {k: 0, n: 1}}", ["layers.0.fc.k", "got 0", "greater than or equal to 1"]),
        (START + "  - {name: a, fc: {k: -3, n: 1}}", ["layers.0.fc.k", "got -3"]),
        (START + "  - {name: a, fc: {k: 1.5, n: 1}}", ["layers.0.fc.k", "got 1.5", "integer"]),
        (START + "  - {name: a, fc: {k: true, n: 1}}", ["layers.0.fc.k", "got True", "integer"]),
        (START + "  - {name: a, fc: {k: 1}}", ["layers.0.fc.n: is required but missing"]),
        (START + "  - {name: a, fc: {k: 1, n: 1}, matmul: {k: 1, n: 1}}", ["layers.0", "exactly one of"]),
        (START + "  - {name: a}", ["layers.0", "'a'", "exactly one of: conv, fc, matmul"]),
        (START + "  - {name: a, name: b, fc: {k: 1, n: 1}}", ["line 4", "given twice", "'name'"]),
        (START + "  - {name: a, fc: {k: 1, n: 1}, post: [rleu]}", ["layers.0.post.0", "'rleu'", "'relu'"]),
        (START + "  - {name: a, fc: {k: 1, n: 1}, inputs: [b]}", ["a.inputs", "'b'", "before this one"]),
        (START + "  - {name: a, fc: {k: 1, n: 1}}\n" * 2, ["given twice", "'a'"]),
        (
            START + "  - {name: c, conv: {ifmap: 4, channels: 1, filters: 1, kernel: 7, padding: 1}}",
            ["layers.0 (c)", "kernel: is larger than the padded input (6, 6)", "(7, 7)"],
        ),
        (
            START + "  - {name: c, conv: {ifmap: 4, channels: 3, filters: 4, kernel: 1, groups: 2}}",
            ["layers.0 (c)", "channels: must be a multiple of groups = 2", "got 3"],
        ),
        (
            START + "  - {name: c, conv: {ifmap: 4, chanels: 3, filters: 4, kernel: 1}}",
            ["layers.0.conv.chanels", "did you mean 'channels'?"],
        ),
        (
            START + "  - {name: c, conv: {ifmap: [1, 2, 3], channels: 3, filters: 4, kernel: 1}}",
            ["layers.0.conv.ifmap", "at most 2 items", "got [1, 2, 3]"],
        ),
        (
            START + "  - {name: c, conv: {ifmap: 0, channels: 3, filters: 4, kernel: 1}}",
            ["layers.0.conv.ifmap", "greater than or equal to 1", "got 0"],
        ),
        (
            START + "  - {name: c, conv: {ifmap: 4, channels: 3, filters: 4, kernel: 1, padding: -1}}",
            ["layers.0.conv.padding", "greater than or equal to 0", "got -1"],
        ),
    ],
)  # fmt: skip
def test_network_files(document: str, parts: list[str], tmp_path: Path) -> None:
    message = error_in(document, "network.yaml", tmp_path)
    assert "\n" not in message
    for part in parts:
        assert part in message


HEADER = (
    "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
)


@pytest.mark.parametrize(
    ("document", "parts"),
    [
        ("", ["has no layers", "one line a layer"]),
        ("\n\n \n", ["has no layers"]),
        (HEADER, ["has no layers"]),
        (HEADER + "c,224,224,7,7,3,64,2,\nd,224,22", ["line 3", "'d'", "7 or 8 numbers", "got 2"]),
        (HEADER + "c,4,4,7,3,3,64,2,", ["line 2, filter height", "larger than the ifmap", "got 7", "1 to 4"]),
        (HEADER + "c,4,4,3,5,3,64,2,", ["line 2, filter width", "got 5", "1 to 4"]),
        (HEADER + "\n\nc,4,4,3,3,0,64,2,", ["line 4, channels", "got '0'", "allowed: 1, 2, 3"]),
        (HEADER + "c,4,4,3,3,3,-64,2,", ["line 2, filters", "got '-64'"]),
        (HEADER + "c,4,4,3,3,3,64,0,", ["line 2, stride height", "got '0'"]),
        (HEADER + "c,4,4,3,3,3.5,64,1,", ["line 2, channels", "got '3.5'"]),
        (HEADER + "c,4,4,3,three,3,64,1,", ["line 2, filter width", "got 'three'"]),
        (HEADER + "c,4,,3,3,3,64,1,", ["line 2, ifmap width", "got ''"]),
        (HEADER + ",4,4,3,3,3,64,1,", ["line 2", "layer name is missing"]),
        ("c,4,4,3,x,3,64,1,", ["line 1, filter width", "got 'x'"]),
        ("l,M,N,K\ng,1,2,3\nc,4,4,3,3,3,64,1", ["line 3", "'c'", "3 numbers", "got 7"]),
        ("l,M,N,K\ng,1,0,3", ["line 2, N", "got '0'"]),
        (
            HEADER + "c,4,4,3,3,3,64,99999999999999999999,",
            ["stride height (column 8)", "at most 1,000,000,000,000"],
        ),
        (HEADER + "c,4,4,3,3,3,64,1e99,", ["line 2, stride height (column 8)", "at most 1,000,000,000,000"]),
        (HEADER + '"c,4,4,3,3,3,64,1', ["line 2", "quotation mark is not closed"]),
        (
            HEADER.replace("Height, IFMAP", "Heigth, IFMAP") + "c,4,4,3,3,3,64,1",
            ["line 1, column 2", "got 'IFMAP Heigth'", "did you mean 'IFMAP Height'?"],
        ),
        (HEADER.replace("Channels, ", "") + "c,4,4,3,3,64,1", ["line 1", "no column for channels"]),
        (HEADER.rstrip("\n") + " Flavour\nc,4,4,3,3,3,64,1,7", ["line 2, column 9", "got 'Flavour'"]),
        (HEADER.rstrip("\n") + " Batch\nc,4,4,3,3,3,64,1,1,7", ["line 2, column 10", "no title", "got '7'"]),
        (HEADER.rstrip("\n") + " Batch\nc,4,4,3,3,3,64,1,x", ["line 2, batch size (column 9)", "got 'x'"]),
        ("l,M,K,N\ng,1,2", ["line 2, N (column 4)", "has no value"]),
        ("l,M,N\ng,1,2", ["line 1", "no column for K"]),
        ("l,M,N,Q\ng,1,2,3", ["line 1, column 4", "got 'Q'"]),
        ("M,N,K\n1,2,3", ["line 1", "no column for layer name"]),
        ("l,M,M,N,K\ng,1,2,3,4", ["line 1, M (column 3)", "stands in the header twice"]),
        ("l,M,,N,K\ng,1,7,2,3", ["line 2, column 3", "no title", "got '7'"]),
        ("l,M,IFMAP Height,N,K\ng,1,7,2,3", ["line 1, M (column 2)", "also names 'IFMAP Height'"]),
        ("l,C,H,W,K,R,S,stride\nc,3,9,9,8,3,3,1", ["line 1, column 5", "several things", "got 'K'"]),
        ("l,Type,M,N,K\ng,gemm,1,2,3", ["line 2, column 2", "got 'Type'"]),
        ("a 1 2 3\nb 4 5 6", ["has no layers", "separated by commas"]),
    ],
)
def test_scalesim_topologies(document: str, parts: list[str], tmp_path: Path) -> None:
    message = error_in(document, "topology.csv", tmp_path)
    assert "\n" not in message
    for part in parts:
        assert part in message


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from('DP1290,.:-+\n\r \u00b2\ufeffx"')))
def test_any_text_is_a_topology_or_a_message(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("csv") / "topology.csv"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        outcome: object = load_network(str(path))
    except UserError as error:
        outcome = error
    assert isinstance(outcome, Network) or str(outcome).startswith(str(path))


def tensor(name: str, *sizes: int | str | None) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(sizes))


def save(
    folder: Path, nodes: list[NodeProto], inputs: list[Any], constants: dict[str, tuple[int, ...]]
) -> Path:
    graph = helper.make_graph(
        nodes,
        "graph",
        inputs,
        [helper.make_empty_tensor_value_info(nodes[-1].output[0])],
        [numpy_helper.from_array(np.zeros(sizes, np.float32), name) for name, sizes in constants.items()],
    )
    path = folder / "model.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(model.SerializeToString())
    return path


def test_unsupported_operators_are_all_listed_at_once(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])], "b", [], [helper.make_empty_tensor_value_info("z")]
    )
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["s"], ["t"])],
        "b",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []), tensor("s", 1, 4, 8, 8)],
        [helper.make_empty_tensor_value_info("on"), helper.make_empty_tensor_value_info("t")],
    )  # fmt: skip
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0),
        helper.make_node("Cast", ["top"], ["condition"], to=TensorProto.BOOL),
        helper.make_node("If", ["condition"], ["a"], name="fork", then_branch=branch, else_branch=branch),
        helper.make_node("Loop", ["", "condition", "a"], ["b"], name="round", body=body),
        helper.make_node("Mystery", ["b"], ["y"], name="who", domain="custom"),
    ]
    path = save(tmp_path, nodes, [tensor("x", 1, 4, 8, 8)], {})
    message = error_of(path)
    assert (
        "If (fork): its condition depends on data, Loop (round): its trip count depends on data,"
        " custom.Mystery (who)"
    ) in message
    assert "--skip-unsupported" in message
    assert "has no layers that an array can compute" in error_of(path, skip_unsupported=True)


@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
def test_a_recurrent_layer_with_an_activation_nobody_knows(operator: str, tmp_path: Path) -> None:
    gates, functions = {"LSTM": (4, 3), "GRU": (3, 2), "RNN": (1, 1)}[operator]
    cell = helper.make_node(
        operator, ["x", "w", "r"], ["y"], name="cell", hidden_size=5, activations=["Frob"] * functions
    )
    path = save(tmp_path, [cell], [tensor("x", 3, 1, 2)], {"w": (1, 5 * gates, 2), "r": (1, 5 * gates, 5)})
    assert f"cannot be simulated: {operator} (cell): activation 'Frob'" in error_of(path)


def test_a_volume_convolution_whose_weights_are_flat(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="volume")]
    path = save(tmp_path, nodes, [tensor("x", 1, 2, 5, 5, 5)], {"w": (3, 2, 3, 3)})
    assert "cannot be simulated: Conv (volume): 3-D with weights of rank 4" in error_of(path)


def test_an_operator_without_its_operands(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gemm", ["x"], ["y"], name="half")]
    message = error_of(save(tmp_path, nodes, [tensor("x", 1, 2)], {}))
    assert "Gemm (half) is not as ONNX defines it" in message


def test_open_dimensions_are_named(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"])]
    path = save(tmp_path, nodes, [tensor("x", "N", 3, "height", None)], {"w": (4, 3, 3, 3)})
    message = error_of(path)
    assert "input dimensions are left open: x[2] (height), x[3]" in message
    assert "only the batch may be; --dim NAME=SIZE or --input-shape" in message


def test_a_kernel_larger_than_its_input(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])]
    path = save(tmp_path, nodes, [tensor("x", 1, 3, 4, 4)], {"w": (4, 3, 7, 7)})
    message = error_of(path)
    assert message.startswith(str(path))
    assert "larger than the padded input (6, 6)" in message or "shapes cannot be inferred" in message


def test_sizes_that_do_not_fit(tmp_path: Path) -> None:
    conv = [helper.make_node("Conv", ["x", "w"], ["y"], name="c")]
    path = save(tmp_path, conv, [tensor("x", 1, 3, 8, 8)], {"w": (4, 5, 3, 3)})
    assert "Conv (c): weights (4, 5, 3, 3) in 1 groups do not fit input (1, 3, 8, 8)" in error_of(path)
    product = [helper.make_node("MatMul", ["x", "w"], ["y"], name="p")]
    message = error_of(save(tmp_path, product, [tensor("x", 2, 3)], {"w": (4, 5)}))
    assert "shapes cannot be inferred" in message or "inner sizes of the product differ" in message


def test_a_batch_that_the_file_fixes_otherwise(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "s"], ["r"]), helper.make_node("MatMul", ["r", "w"], ["y"])]
    shape = numpy_helper.from_array(np.array([5, 4], np.int64), "s")
    graph = helper.make_graph(
        nodes, "g", [tensor("x", 2, 10, 1, 1)], [helper.make_empty_tensor_value_info("y")],
        [shape, numpy_helper.from_array(np.zeros((4, 3), np.float32), "w")],
    )  # fmt: skip
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    assert load_network(str(path)).layers[0].m == 5
    assert "M = 5" in error_of(path, batch=4)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 100, b"PK\x03\x04" + bytes(range(256))])
def test_files_that_are_not_onnx(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert "is not an ONNX file" in error_of(path)


SQUEEZENET = (onnx_folder() / "light_squeezenet.onnx").read_bytes()


@settings(max_examples=60, deadline=None)
@given(end=st.integers(0, len(SQUEEZENET) - 1))
def test_a_truncated_onnx_file_is_never_half_a_network(
    tmp_path_factory: pytest.TempPathFactory, end: int
) -> None:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    path.write_bytes(SQUEEZENET[:end])
    with pytest.raises(UserError):
        load_network(str(path))


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, len(SQUEEZENET) - 1), byte=st.integers(0, 255))
def test_a_damaged_onnx_file_is_a_network_or_a_message(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    """Whatever one wrong byte does, no other exception gets out."""
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    path.write_bytes(SQUEEZENET[:position] + bytes([byte]) + SQUEEZENET[position + 1 :])
    try:
        outcome: object = load_network(str(path), skip_unsupported=True)
    except UserError as error:
        outcome = error
    assert isinstance(outcome, Network) or str(outcome).startswith(str(path))
