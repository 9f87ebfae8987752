"""Sizes of inputs, the batch, control flow on data, and what results say of them."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from simulator.foundation import UserError
from simulator.inference import infer, load_images, load_model
from simulator.inference.arithmetic import float32_product
from simulator.inference.coverage import coverage
from simulator.inference.execute import execute, execute_outputs
from simulator.workload import load_network
from simulator.workload.onnx import Sizes, parse_sizes, read_onnx
from tests.command import run, run_process
from tests.onnx_models import CASES, integers, node, real, scalar
from tests.reference.onnx_counts import run as run_onnx_runtime


def save(
    folder: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[Any]],
    weights: dict[str, np.ndarray],
    *,
    kind: int = TensorProto.FLOAT,
    outputs: tuple[str, ...] = ("y",),
    opset: int = 17,
) -> Path:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = min(10, model.ir_version)
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def convolution(folder: Path, *shape: int | str | None) -> Path:
    return save(folder, [node("Conv", "x w")], {"x": [*shape]}, {"w": real(4, 3, 3, 3)})


def test_sizes_of_open_dimensions(tmp_path: Path) -> None:
    path = convolution(tmp_path, "n", 3, "height", "width")
    # (10 - 2) x (12 - 2) pixels of 4 filters x 27 weights.
    by_symbol = read_onnx(path, sizes=Sizes(dims={"height": 10, "width": 12}))
    by_shape = read_onnx(path, sizes=Sizes({"x": (2, 3, 10, 12)}))
    assert (by_symbol.batch, by_symbol.macs) == (1, 8 * 10 * 4 * 27)
    assert (by_shape.batch, by_shape.macs) == (2, 2 * 8 * 10 * 4 * 27)


def test_a_shape_overrides_one_that_the_file_fixes(tmp_path: Path) -> None:
    path = convolution(tmp_path, 1, 3, 8, 8)
    assert read_onnx(path, sizes=Sizes({"x": (1, 3, 18, 18)})).macs == 16 * 16 * 4 * 27


@pytest.mark.parametrize(
    ("shape", "axis", "batch", "words"),
    [
        (("n", 3, 8, 8), None, 1, "batch along dimension 0 of 'x', left open as 'n'"),
        ((5, 3, 8, 8), None, 5, "batch along dimension 0 of 'x', an image of rank 4"),
        ((5, 3, 8, 8), "none", 1, "no batch in 'x': as given"),
        ((5, 3, 8, 8), "2", 8, "batch along dimension 2 of 'x', as given"),
    ],
)
def test_the_batch_is_said(
    tmp_path: Path, shape: tuple[int | str, ...], axis: str | None, batch: int, words: str
) -> None:
    network = read_onnx(convolution(tmp_path, *shape), sizes=parse_sizes(None, None, axis))
    assert network.batch == batch
    assert words in network.source


def test_inputs_without_a_batch(tmp_path: Path) -> None:
    path = save(tmp_path, [node("MatMul", "x w")], {"x": [6, 4]}, {"w": real(4, 5)})
    network = read_onnx(path)
    assert (network.batch, network.macs) == (1, 6 * 4 * 5)
    assert "no batch in 'x': sizes are fixed and it is no image of rank 4" in network.source


def test_the_source_says_nothing_of_a_batch_that_was_changed(tmp_path: Path) -> None:
    network = load_network(convolution(tmp_path, 2, 3, 8, 8), batch=6)
    assert network.batch == 6
    assert "batch along dimension 0 of 'x', an image of rank 4" in network.source
    assert "batch 2" not in network.source


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"input_shapes": ["y=1,3,8,8"]}, "the network has no such input"),
        ({"dims": ["hight=8"]}, "did you mean 'height'?"),
        ({"input_shapes": ["x=1,3,8"]}, "another number of dimensions"),
        ({"input_shapes": ["x=1,3,8,8"], "dims": ["height=9"]}, "dimension 'height' has two sizes, 9 and 8"),
        ({"dims": ["height=0"]}, "positive whole numbers"),
        ({"dims": ["height=8", "width=8", "height=9"]}, "--dim: height is given twice"),
        ({"input_shapes": ["x=1,3,8,8", "x=1,3,9,9"]}, "--input-shape: x is given twice"),
        ({"dims": ["height"]}, "must look like NAME=SIZE"),
        ({"dims": ["height=8", "width=8"], "batch_axis": "4"}, "0 to 3, or none"),
        ({"dims": ["height=8", "width=8"], "batch_axis": "first"}, "a number, none or auto"),
        ({"dims": ["height=8"]}, "left open: x[3] (width)"),
        ({"dims": ["height=8", "width=8"], "batch_axis": "none"}, "left open: x[0] (n)"),
    ],
)
def test_sizes_that_do_not_fit(tmp_path: Path, sizes: dict[str, Any], words: str) -> None:
    path = convolution(tmp_path, "n", 3, "height", "width")
    given = {"input_shapes": None, "dims": None, "batch_axis": None} | sizes
    with pytest.raises(UserError) as caught:
        read_onnx(path, sizes=parse_sizes(**given))
    assert words in str(caught.value)


def test_sizes_are_for_onnx_files() -> None:
    with pytest.raises(UserError, match="are for ONNX files"):
        load_network("alexnet", sizes=Sizes(dims={"n": 2}))


def test_commands_take_sizes_and_results_remember_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = convolution(tmp_path, "n", 3, "height", "width")
    shown = run(capsys, "networks", "show", path, "--dim", "height=10", "--dim", "width=10", "--json")
    assert json.loads(shown.stdout)["macs"] == 64 * 4 * 27
    sizes = ("--input-shape", "x=1,3,10,10", "--batch-axis", "none")
    result = json.loads(run(capsys, "simulate", path, *sizes, "--json").stdout)
    assert result["totals"]["macs"] == 64 * 4 * 27
    made_from = result["made_from"]
    assert (made_from["input_shapes"], made_from["batch_axis"]) == ({"x": [1, 3, 10, 10]}, "none")
    run(capsys, "simulate", path).must_refuse("left open", "--dim NAME=SIZE")


def test_an_output_is_chosen_where_the_data_give_the_sizes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path, [node("MatMul", "x w")], {"x": ["n", "rows", 6]}, {"w": real(6, 5)})
    np.save(tmp_path / "x.npy", np.ones((2, 3, 6), np.float32))
    np.save(tmp_path / "wide.npy", np.ones((2, 3, 7), np.float32))
    options = ("infer", path, "--mac", "fp32", "--json", "--data")
    output = load_model(path).output
    run(capsys, *options, tmp_path / "x.npy", "--output", output).must_succeed()
    run(capsys, *options, tmp_path / "wide.npy").must_refuse("allowed: N x any x 6")


def branches(name: str) -> dict[str, Any]:
    empty = [helper.make_empty_tensor_value_info("z")]
    return {
        key: helper.make_graph([node("Conv", f"{name} {weights}", "z")], key, [], empty)
        for key, weights in (("then_branch", "a"), ("else_branch", "b"))
    }


def test_an_if_on_data_is_named_and_skipping_it_keeps_its_shape(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("ReduceMax", "x", "top", keepdims=0),
        node("Greater", "top zero", "is_bright"),
        helper.make_node("If", ["is_bright"], ["chosen"], name="fork", **branches("c")),
        node("Conv", "chosen v"),
    ]
    weights = {
        "w": real(4, 3, 3, 3), "a": real(5, 4, 3, 3), "b": real(5, 4, 3, 3), "v": real(2, 5, 1, 1),
        "zero": scalar(0),
    }  # fmt: skip
    path = save(tmp_path, nodes, {"x": [1, 3, 10, 10]}, weights)
    with pytest.raises(UserError, match=r"If \(fork\): its condition depends on data"):
        read_onnx(path)
    network = read_onnx(path, skip_unsupported=True)
    # 8 x 8 pixels of the first convolution, 6 x 6 of the last one, which both branches leave.
    assert [layer.macs for layer in network.layers] == [64 * 4 * 27, 36 * 2 * 5]
    assert network.skipped_operators == ("If (fork): its condition depends on data",)
    assert "MACs of 1 operators that were left out are unknown" in network.source


def test_skipping_an_operator_nobody_knows_keeps_the_shape_that_the_file_declares(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("Mystery", "c", "m", domain="custom"),
        node("Conv", "m v"),
    ]
    path = save(tmp_path, nodes, {"x": ["n", 3, 10, 10]}, {"w": real(4, 3, 3, 3), "v": real(2, 5, 3, 3)})
    model = onnx.load(path)
    model.graph.value_info.append(helper.make_tensor_value_info("m", TensorProto.FLOAT, ["n", 5, 6, 6]))
    onnx.save(model, path)
    with pytest.raises(UserError, match=r"custom\.Mystery \(n_m\)"):
        read_onnx(path)
    network = read_onnx(path, skip_unsupported=True)
    assert [layer.macs for layer in network.layers] == [64 * 4 * 27, 16 * 2 * 45]
    assert network.skipped_operators == ("custom.Mystery (n_m)",)


def test_a_product_of_constants_is_folded_and_the_result_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(CASES["product_of_constants"].model(), path)
    result = json.loads(run(capsys, "simulate", path, "--json").stdout)
    assert result["totals"]["macs"] == 3 * 4 * 5
    assert any("not counted: MatMul (n_w)" in warning for warning in result["warnings"])
    assert coverage(load_model(path)).folded == ("MatMul (n_w)",)
    feeds = CASES["product_of_constants"].feeds
    np.savez(tmp_path / "data.npz", **feeds)  # type: ignore[arg-type]  # numpy's stub takes allow_pickle
    on_data = ("--data", tmp_path / "data.npz", "--json")
    inferred = json.loads(run(capsys, "infer", path, *on_data, "--mac", "fp32").must_succeed().stdout)
    measured = json.loads(run(capsys, "simulate", path, *on_data).must_succeed().stdout)
    for document in (inferred, measured):
        assert sum("not counted: MatMul (n_w)" in warning for warning in document["warnings"]) == 1


def test_trace_takes_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The batch is dimension 1: five rows of 4 give 5 x 3 results of one inference each.
    path = save(tmp_path, [node("MatMul", "x w")], {"x": ["n", "rows", 4]}, {"w": real(4, 3)})
    np.savez(tmp_path / "data.npz", x=real(2, 5, 4))
    command = ("trace", path, "--input", tmp_path / "data.npz", "--images", "2", "-o", tmp_path / "trace")
    run(capsys, *command, "--dim", "rows=5").must_succeed()
    manifest = json.loads((tmp_path / "trace" / "trace.json").read_text(encoding="utf-8"))
    assert [each["layer"]["m"] for each in manifest["layers"]] == [10]
    refused = run(capsys, *command, "--dim", "columns=5")
    assert refused.exit_code == 2
    assert "no such dimension" in refused.stderr


def test_steps_of_a_recurrent_layer_wait_for_each_other_and_share_weights(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(CASES["lstm"].model(), path)
    inputs, *steps = read_onnx(path).layers
    assert (inputs.m, inputs.n, inputs.k) == (5 * 2, 24, 3)
    assert [(layer.m, layer.n, layer.k) for layer in steps] == [(2, 24, 6)] * 5
    assert {layer.weights for layer in steps} == {steps[0].weights} != {""}
    for before, after in pairwise(steps):
        assert before.name in after.inputs


@pytest.mark.parametrize(
    ("operator", "more", "attributes", "elements"),
    [
        ("Erf", "", {}, 144),
        ("Det", "", {}, 144),
        ("GridSample", "grid", {}, 144),
        ("LpPool", "", {"kernel_shape": [2, 2]}, 144),
        ("CumSum", "axis", {}, 144),
        ("RoiAlign", "rois batches", {"output_height": 2, "output_width": 2}, 144),
        ("HardSwish", "", {}, 144),
        ("Hardmax", "", {}, 144),
        ("BlackmanWindow", None, {}, 0),
    ],
)
def test_operators_that_compute_no_product_are_elementwise_work(
    tmp_path: Path, operator: str, more: str | None, attributes: dict[str, Any], elements: int
) -> None:
    """What reads the 144 results of a convolution is work on 144 elements; what reads none is none."""
    last = node(operator, "size" if more is None else f"c {more}".strip(), **attributes)
    weights = {
        "w": real(4, 3, 3, 3), "grid": real(1, 5, 5, 2), "axis": scalar(1, np.int64), "rois": real(2, 4),
        "batches": integers(0, 0), "size": scalar(9, np.int64),
    }  # fmt: skip
    path = save(tmp_path, [node("Conv", "x w", "c"), last], {"x": [1, 3, 8, 8]}, weights)
    (layer,) = read_onnx(path).layers
    assert layer.macs == 36 * 4 * 27
    assert sum(post.elements for post in layer.post_operations) == elements


def test_operators_of_classical_learning_are_elementwise_work(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("Flatten", "c", "f"),
        node("Scaler", "f", domain="ai.onnx.ml", offset=[0.0], scale=[2.0]),
    ]
    path = save(tmp_path, nodes, {"x": [1, 3, 8, 8]}, {"w": real(4, 3, 3, 3)})
    (layer,) = read_onnx(path).layers
    assert [(post.kind, post.elements) for post in layer.post_operations] == [("other", 144)]


def test_external_data_that_is_missing_is_no_matter_where_only_shapes_are_needed(tmp_path: Path) -> None:
    path = convolution(tmp_path, "n", 3, 8, 8)
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    weights = tmp_path / "weights.bin"
    assert execute(load_model(path), real(1, 3, 8, 8), float32_product).shape == (1, 4, 6, 6)
    weights.unlink()
    assert read_onnx(path).macs == 36 * 4 * 27
    with pytest.raises(UserError, match="external data are missing"):
        load_model(path)


# -- inference ----------------------------------------------------------------------------------------------


def test_inference_takes_sizes_from_the_data(tmp_path: Path) -> None:
    path = convolution(tmp_path, "n", 3, "height", "width")
    images = real(3, 3, 9, 7)
    (wanted,) = run_onnx_runtime(onnx.load(path), {"x": images})
    np.savez(tmp_path / "images.npz", images=images)
    result = infer(load_model(path), load_images(tmp_path / "images.npz"), "fp32")
    assert result.logits == pytest.approx(wanted, rel=1e-4, abs=1e-5)


def test_a_batch_that_a_reshape_fixes_goes_through_one_by_one(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "c"), node("Reshape", "c target", "flat"), node("MatMul", "flat v")]
    weights = {"w": real(4, 3, 3, 3), "target": integers(1, 144), "v": real(144, 5)}
    path = save(tmp_path, nodes, {"x": ["n", 3, 8, 8]}, weights)
    model = load_model(path)
    assert model.run_size == 1
    images = real(4, 3, 8, 8)
    wanted = [run_onnx_runtime(onnx.load(path), {"x": image[None]})[0] for image in images]
    assert execute(model, images, float32_product) == pytest.approx(
        np.concatenate(wanted), rel=1e-4, abs=1e-4
    )


def test_a_batch_that_the_file_states_but_does_not_need_is_any_batch(tmp_path: Path) -> None:
    model = load_model(convolution(tmp_path, 1, 3, 8, 8))
    assert model.run_size is None
    assert execute(model, real(7, 3, 8, 8), float32_product).shape == (7, 4, 6, 6)


def test_a_batch_whose_double_no_file_can_state(tmp_path: Path) -> None:
    """Whether the batch is fixed is seen from the graph for twice as many, which has 2**63."""
    model = load_model(convolution(tmp_path, 2**62, 3, 8, 8))
    assert model.run_size == 2**62
    with pytest.raises(UserError, match="takes 4,611,686,018,427,387,904 inferences at once"):
        execute(model, real(2, 3, 8, 8), float32_product)


def test_a_last_part_that_is_not_full(tmp_path: Path) -> None:
    nodes = [node("Reshape", "x target", "r"), node("MatMul", "r v", "p"), node("Reshape", "p back")]
    weights = {"target": integers(2, 192), "v": real(192, 5), "back": integers(2, 5)}
    path = save(tmp_path, nodes, {"x": [2, 3, 8, 8]}, weights)
    model = load_model(path)
    assert model.run_size == 2
    images = real(5, 3, 8, 8)
    wanted = images.reshape(5, -1).astype(np.float64) @ weights["v"]
    assert execute(model, images, float32_product) == pytest.approx(wanted, rel=1e-4, abs=1e-3)


def test_several_inputs_one_of_them_of_integers(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [node("Gather", "table ids", "e"), node("Add", "e x", "s"), node("MatMul", "s w")],
        "graph",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", 3]),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 4]),
        ],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(real(6, 4), "table"), numpy_helper.from_array(real(4, 5), "w")],
    )
    path = tmp_path / "two.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    feeds = {"ids": np.array([[0, 5, 2], [1, 1, 3]]), "x": real(2, 3, 4)}
    (wanted,) = run_onnx_runtime(model, feeds)
    outputs = execute_outputs(load_model(path), feeds, float32_product, ("y", "s"))
    assert outputs["y"] == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    with pytest.raises(UserError, match="the file has no values for them: x"):
        execute(load_model(path), {"ids": feeds["ids"]}, float32_product)


def sequences(folder: Path, *shape: int | str) -> Path:
    weights = {"w": real(1, 16, 3), "r": real(1, 16, 4)}
    return save(folder, [node("LSTM", "x w r", hidden_size=4)], {"x": [*shape]}, weights)


@pytest.mark.parametrize("axis", ["1", "none"])
def test_sequences_first_are_never_cut_into_chunks(tmp_path: Path, axis: str) -> None:
    path = sequences(tmp_path, "steps", "n", 3)
    model = load_model(path, sizes=parse_sizes(None, None, axis))
    signal = real(70, 2, 3)
    model.learn_sizes({"x": signal.shape})
    assert model.run_size == 70
    (wanted,) = run_onnx_runtime(onnx.load(path), {"x": signal})
    assert execute(model, signal, float32_product) == pytest.approx(wanted, rel=1e-4, abs=1e-5)


def test_steps_that_would_be_taken_for_a_batch_are_refused(tmp_path: Path) -> None:
    model = load_model(sequences(tmp_path, "steps", 2, 3))
    with pytest.raises(UserError, match="dimension 0 of 'x' is no batch: layers make a step for each"):
        execute(model, real(7, 2, 3), float32_product)


def test_a_single_step_is_told_of(tmp_path: Path) -> None:
    (note,) = read_onnx(sequences(tmp_path, "steps", 2, 3)).notes
    assert "makes a single step" in note


def test_half_precision_runs_in_float32(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "c"), node("Cast", "c", "d", to=TensorProto.FLOAT16), node("Relu", "d")]
    weights = {"w": real(4, 3, 3, 3).astype(np.float16)}
    path = save(tmp_path, nodes, {"x": ["n", 3, 8, 8]}, weights, kind=TensorProto.FLOAT16)
    images = real(2, 3, 8, 8).astype(np.float16)
    (wanted,) = run_onnx_runtime(onnx.load(path), {"x": images})
    got = execute(load_model(path), images, float32_product)
    assert got.dtype == np.float32
    # Half precision has 11 bits.
    assert got == pytest.approx(wanted.astype(np.float32), rel=2**-9, abs=2**-9)


def test_every_product_of_a_network_is_covered(tmp_path: Path) -> None:
    for name in ("conv_transpose_2d_grouped", "lstm", "conv_3d", "packed_attention", "einsum_attention"):
        path = tmp_path / f"{name}.onnx"
        onnx.save(CASES[name].model(), path)
        covered = coverage(load_model(path))
        assert covered.share == 1
        assert covered.macs == read_onnx(path).macs


def test_the_command_says_what_is_covered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(CASES["conv_1d_grouped_then_normalized"].model(), path)
    np.save(tmp_path / "x.npy", CASES["conv_1d_grouped_then_normalized"].feeds["x"])
    output = run(capsys, "infer", path, "--data", tmp_path / "x.npy", "--mac", "fp32", "--json").stdout
    document = json.loads(output)
    # 16 places of 8 filters over 2 channels x 5, for 2 sequences; batch normalization is folded.
    assert document["coverage"]["macs"] == 2 * 16 * 8 * 10
    assert document["coverage"]["share"] == 1
    assert document["coverage"]["float32"] == {"Unsqueeze": 1, "Squeeze": 1, "Relu": 1}


def test_weights_beyond_two_gibibytes_are_never_read_where_shapes_are_enough(tmp_path: Path) -> None:
    # Three layers of 1 GiB each in a sparse file; only a process of its own knows its peak of memory.
    # `ru_maxrss` would count the process that started it.
    size, layers = 16384, 3
    with (tmp_path / "weights.bin").open("wb") as stream:
        stream.truncate(layers * size * size * 4)
    nodes = [node("MatMul", f"x{index} w{index}", f"x{index + 1}") for index in range(layers)]
    path = save(tmp_path, nodes, {"x0": ["n", size]}, {}, outputs=(f"x{layers}",))
    model = onnx.load(path)
    for index in range(layers):
        tensor = model.graph.initializer.add(
            name=f"w{index}",
            dims=[size, size],
            data_type=TensorProto.FLOAT,
            data_location=TensorProto.EXTERNAL,
        )
        for key, value in (("location", "weights.bin"), ("offset", index << 30), ("length", 1 << 30)):
            tensor.external_data.add(key=key, value=str(value))
    onnx.save(model, path)
    program = (
        "import re, sys; from simulator.workload import load_network; macs = load_network(sys.argv[1]).macs;"
        "print(macs, re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    macs, peak_kib = map(int, done.stdout.split())
    assert macs == layers * size * size
    assert peak_kib < 500 * 1024  # half of one layer's weights


@pytest.fixture
def two_rates(tmp_path: Path) -> Path:
    """x [n, len] times a matrix of 4 x 3 at rate 16000 and of 2 x 3 at any other one, chosen by an `If`."""

    def branch(weights: str) -> onnx.GraphProto:
        made = helper.make_empty_tensor_value_info(f"y_{weights}")
        return helper.make_graph([node("MatMul", f"x {weights}", made.name)], weights, [], [made])

    nodes = [
        node("Equal", "sr high", "is_high"),
        node("If", "is_high", "y", then_branch=branch("w4"), else_branch=branch("w2")),
    ]
    weights = {"high": np.array(16000), "w4": real(4, 3), "w2": real(2, 3)}
    path = save(tmp_path, nodes, {"x": ["n", 4]}, weights)
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("sr", TensorProto.INT64, []))
    onnx.save(model, path)
    return path


def test_a_branch_that_does_not_fit_leaves_the_refusal_as_it_is(two_rates: Path) -> None:
    with pytest.raises(UserError, match=r"If \(n_y\): its condition depends on data"):
        read_onnx(two_rates)


def test_an_input_of_one_value_decides_a_branch(
    tmp_path: Path, two_rates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--input-value", "sr=16000")
    result = json.loads(run(capsys, "simulate", two_rates, *given, "--json").must_succeed().stdout)
    assert result["totals"]["macs"] == 4 * 3
    assert "input sr = 16000 as given" in result["network"]["source"]
    assert result["made_from"]["input_values"] == {"sr": 16000.0}
    shown = run(capsys, "networks", "show", two_rates, "--json", "--input-value", "sr=8000")
    shown.must_refuse("n_y")  # four values times a matrix of two rows
    x = real(5, 4)
    np.savez(tmp_path / "data.npz", x=x)
    saved = tmp_path / "saved"
    command = ("infer", two_rates, "--data", tmp_path / "data.npz", "--mac", "fp32", "--save", saved)
    run(capsys, *command, *given).must_succeed()
    (stored,) = (each for each in onnx.load(two_rates).graph.initializer if each.name == "w4")
    wanted = x @ numpy_helper.to_array(stored)  # ONNX Runtime refuses the branch of another length
    np.testing.assert_allclose(np.load(saved / "y.npy"), wanted, rtol=1e-5)


@pytest.mark.parametrize("sizes", [("--input-shape", "gain=2,3"), ("--dim", "n=2")])
def test_an_input_of_open_size_has_one_value_for_all_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sizes: tuple[str, str]
) -> None:
    """x [5, 2] times a gain [n, 3] of 0.5 everywhere: a product with a constant, half of each row's sum."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "gain"], ["y"])],
        "gain",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, 2]),
            helper.make_tensor_value_info("gain", TensorProto.FLOAT, ["n", 3]),
        ],
        [helper.make_empty_tensor_value_info("y")],
    )
    onnx.save(helper.make_model(graph, ir_version=8), tmp_path / "gain.onnx")
    given = ("--input-value", "gain=0.5", *sizes)
    result = run(capsys, "simulate", tmp_path / "gain.onnx", *given, "--json").must_succeed()
    assert json.loads(result.stdout)["totals"]["macs"] == 5 * 2 * 3
    x = real(5, 2)
    np.savez(tmp_path / "data.npz", x=x)
    command = ("infer", tmp_path / "gain.onnx", "--data", tmp_path / "data.npz", "--mac", "fp32")
    run(capsys, *command, *given, "--save", tmp_path / "saved").must_succeed()
    wanted = np.repeat(x.sum(axis=1, keepdims=True) / 2, 3, axis=1)
    np.testing.assert_allclose(np.load(tmp_path / "saved" / "y.npy"), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("sr=16000.5", "is no int64"),
        ("sr=many", "is no number"),
        ("rate=1", "no such input"),
        ("sr", "NAME=NUMBER"),
        ("x=0", "sizes are open"),
    ],
)
def test_values_of_inputs_that_cannot_be(
    two_rates: Path, capsys: pytest.CaptureFixture[str], value: str, words: str
) -> None:
    run(capsys, "simulate", two_rates, "--input-value", value).must_refuse(words)


@pytest.mark.parametrize("name", ["?", "-1", ""])
def test_open_sizes_without_a_name_are_independent(tmp_path: Path, name: str) -> None:
    path = save(tmp_path, [node("Conv", "x w")], {"x": ["n", 3, name, name]}, {"w": real(4, 3, 3, 3)})
    assert read_onnx(path, sizes=Sizes({"x": (1, 3, 10, 12)})).macs == 8 * 10 * 4 * 27


def test_a_folder_of_compared_results_can_be_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, page = tmp_path / "results", tmp_path / "page.html"
    run(capsys, "compare", "lenet5_fashion", "-m", "int8", "-m", "fp8", "--out", folder).must_succeed()
    run(capsys, "report", folder, "-o", page).must_succeed()
    text = page.read_text(encoding="utf-8")
    assert "int8" in text
    assert "fp8" in text
    again = json.loads(run(capsys, "compare", folder, "--json").must_succeed().stdout)
    assert len(again["variants"]) == 2
    run(capsys, "report", tmp_path, "-o", page).must_refuse("result.json")


def fixed_inside(folder: Path, target: list[int], *shape: int | str, features: int) -> Path:
    nodes = [
        node("Conv", "x w", "c"),
        node("Reshape", "c target", "r"),
        node("MatMul", "r v"),
    ]
    weights = {"w": real(2, 3, 3, 3), "target": integers(*target), "v": real(features, 5)}
    return save(folder, nodes, {"x": [*shape]}, weights)


@pytest.mark.parametrize("target", [[4, 8], [4, -1]])
def test_a_batch_that_only_a_reshape_fixes(tmp_path: Path, target: list[int]) -> None:
    path = fixed_inside(tmp_path, target, "n", 3, 4, 4, features=8)
    network = read_onnx(path)
    # 4 images of 2 x 2 pixels, 2 filters of 27 weights; then 8 features to 5.
    assert (network.batch, network.macs) == (4, 4 * (4 * 2 * 27 + 8 * 5))
    assert any("the batch is 4" in note for note in network.notes)
    images = real(6, 3, 4, 4)
    got = execute_outputs(load_model(path), {"x": images}, float32_product, ["y"])["y"]
    padded = np.concatenate([images, images[:2]])
    parts = [run_onnx_runtime(onnx.load(path), {"x": part})[0] for part in (padded[:4], padded[4:])]
    assert np.allclose(got, np.concatenate(parts)[:6], rtol=1e-5, atol=1e-5)


def test_heads_of_a_fixed_batch_are_not_mixed(tmp_path: Path) -> None:
    # For one inference the Reshape is valid too, and makes two of one: 3 tokens each in place of 6.
    nodes = [
        node("MatMul", "x w", "q"),
        node("Reshape", "q target", "h"),
        node("Transpose", "h", "t", perm=[0, 2, 1, 3]),
        node("Transpose", "h", "u", perm=[0, 2, 3, 1]),
        node("MatMul", "t u"),
    ]
    weights = {"w": real(8, 8), "target": integers(2, -1, 2, 4)}
    path = save(tmp_path, nodes, {"x": ["n", "s", 8]}, weights)
    network = read_onnx(path, sizes=Sizes(dims={"s": 6}))
    # 2 inferences: 6 tokens of 8 x 8; then 2 heads of 6 x 4 times 4 x 6.
    assert (network.batch, network.macs) == (2, 2 * (6 * 64 + 2 * 36 * 4))
    tokens = real(2, 6, 8)
    model = load_model(path)
    model.learn_sizes({"x": tokens.shape})
    got = execute_outputs(model, {"x": tokens}, float32_product, ["y"])["y"]
    (want,) = run_onnx_runtime(onnx.load(path), {"x": tokens})
    assert got.shape == want.shape == (2, 2, 6, 6)
    assert np.allclose(got, want, rtol=1e-5, atol=1e-5)


def test_a_reshape_that_begins_with_another_length_fixes_no_batch(tmp_path: Path) -> None:
    # The target's 2 are channels: a batch of 2 would contradict it.
    nodes = [node("Conv", "x w", "c"), node("Reshape", "c target", "r"), node("MatMul", "r v")]
    weights = {"w": real(2, 3, 3, 3), "target": integers(2, 4), "v": real(4, 5)}
    network = read_onnx(save(tmp_path, nodes, {"x": ["n", 3, 4, 4]}, weights))
    assert (network.batch, network.macs) == (1, 4 * 2 * 27 + 2 * 4 * 5)


def test_a_batch_that_constants_beside_data_fix(tmp_path: Path) -> None:
    nodes = [node("Expand", "class target", "c"), node("Concat", "c x", "t", axis=1), node("MatMul", "t w")]
    weights = {"class": real(1, 1, 8), "target": integers(4, 1, 8), "w": real(8, 3)}
    network = read_onnx(save(tmp_path, nodes, {"x": ["n", 5, 8]}, weights))
    # 4 inferences of 5 tokens and the class token.
    assert (network.batch, network.macs) == (4, 4 * 6 * 8 * 3)
    (tmp_path / "b").mkdir()
    nodes = [node("Concat", "class x", "t", axis=1), node("MatMul", "t w")]
    weights = {"class": real(2, 1, 8), "w": real(8, 3)}
    network = read_onnx(save(tmp_path / "b", nodes, {"x": ["n", 5, 8]}, weights))
    assert (network.batch, network.macs) == (2, 2 * 6 * 8 * 3)


def test_a_damaged_constant_is_named_where_the_batch_is_looked_for(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["target"]),
        node("Reshape", "x target", "r"),
        node("MatMul", "r w"),
    ]
    path = save(tmp_path, nodes, {"x": ["n", 8]}, {"w": real(8, 5)})
    with pytest.raises(UserError, match="Constant has no value"):
        read_onnx(path)


def test_a_batch_in_a_target_of_several_parts(tmp_path: Path) -> None:
    nodes = [
        node("Unsqueeze", "three zero", "u"),
        node("Concat", "u rest", "target", axis=0),
        node("Relu", "x", "z"),
        node("Reshape", "z target", "r"),
        node("MatMul", "r w"),
    ]
    weights = {"three": scalar(3), "zero": integers(0), "rest": integers(-1), "w": real(8, 5)}
    weights["three"] = weights["three"].astype(np.int64)
    network = read_onnx(save(tmp_path, nodes, {"x": ["n", 2, 4]}, weights))
    assert (network.batch, network.macs) == (3, 3 * 8 * 5)


def test_notes_of_a_network_fit_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    path = fixed_inside(tmp_path, [4, 8], "n", 3, 4, 4, features=8)
    shown = run_process("networks", "show", path).must_succeed().stdout
    assert "note: the batch is 4" in shown
    assert max(len(line) for line in shown.splitlines() if "/" not in line) <= 60
