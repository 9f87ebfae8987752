"""What once ended in a traceback on data, sizes, traces and results, told in one line ever since."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from PIL import Image

from tests.command import run
from tests.hostile.fuzzing.models import models
from tests.onnx_models import Case, node

DIGITS = "9" * 5000
INFER = ["infer", "m.onnx", "--data", "images"]


def image_folder(folder: Path, *names: str, size: tuple[int, int] = (6, 6)) -> Path:
    for name in names:
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, 7).save(path)
    return folder / "images"


def labelled(row: str) -> Callable[[Path], object]:
    return lambda folder: (image_folder(folder, "0.png") / "labels.csv").write_text(row)


def graph(change: Callable[[Any], object]) -> Callable[[Path], object]:
    """The model of convolutions with something in its graph changed, beside one image."""

    def make(folder: Path) -> None:
        image_folder(folder, "0.png")
        model = onnx.load_model_from_string(models()["convolution"])
        change(model.graph)
        (folder / "m.onnx").write_bytes(model.SerializeToString())

    return make


def turned_by_types(graph: Any) -> None:
    """A Transpose before everything, whose order is said to be a list of types: it has none."""
    turn = helper.make_node("Transpose", [graph.input[0].name], ["turned"], name="turn", perm=[0, 1, 2, 3])
    turn.attribute[0].type = onnx.AttributeProto.TYPE_PROTOS
    graph.node[0].input[0] = "turned"
    graph.node.insert(0, turn)


def one_image(folder: Path) -> None:
    image_folder(folder, "0.png")


PREPROCESS = [*INFER, "--preprocess"]
CORPUS: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "--input-shape of 5,000 digits": (
        one_image, [*INFER, "--input-shape", f"x=1,1,6,{DIGITS}"], "--input-shape",
    ),
    "--dim of 5,000 digits": (one_image, [*INFER, "--dim", f"N={DIGITS}"], "--dim"),
    "--dim beyond any layer": (one_image, [*INFER, "--dim", f"N={10**12 + 1}"], "1 to 1,000,000,000,000"),
    "--batch-axis of 5,000 digits": (one_image, [*INFER, "--batch-axis", DIGITS], "--batch-axis"),
    "scale beyond floats": (one_image, [*PREPROCESS, f"scale={'9' * 400}/1"], "--preprocess scale"),
    "scale of 5,000 digits": (one_image, [*PREPROCESS, f"scale={DIGITS}/1"], "--preprocess scale"),
    "values beyond float32": (one_image, [*PREPROCESS, "std=1e-300"], "beyond float32"),
    "resize beyond memory": (one_image, [*PREPROCESS, "resize=99999x99999"], "100,000,000 pixels"),
    "crop beyond memory": (one_image, [*PREPROCESS, "crop=99999"], "100,000,000 pixels"),
    "crop_fraction of almost nothing": (one_image, [*PREPROCESS, "crop_fraction=1e-300"], "too many pixels"),
    "resize of a long image": (
        lambda folder: image_folder(folder, "0.png", size=(20_000, 1)),
        [*PREPROCESS, "resize=9999"], "too many pixels",
    ),
    "resize to less than a pixel": (
        lambda folder: image_folder(folder, "0.png", size=(100, 1)),
        [*PREPROCESS, "resize=6x1"], "too small for the cut",
    ),
    "label of 5,000 digits": (labelled(f"0.png,{DIGITS}\n"), INFER, "must be the number of a class"),
    "label beyond 64 bits": (labelled(f"0.png,{2**63}\n"), INFER, "must be the number of a class"),
    "class folder beyond 64 bits": (
        lambda folder: image_folder(folder, f"{2**64}/a.png", "1/b.png"), INFER, "class folders",
    ),
    "output that nothing gives": (
        graph(lambda g: setattr(g.output[0], "name", "absent")), INFER, "absent: no operator gives this",
    ),
    "an array of no dimensions": (
        lambda folder: np.save(folder / "a.npy", np.float32(3)),
        ["trace", "m.onnx", "--input", "a.npy", "--out", "t"], "a.npy: images: is a single number (got 3.0)",
    ),
    "an attribute of types in place of integers": (
        graph(turned_by_types), INFER, "m.onnx: has operators that cannot be executed",
    ),
    "input of a later node": (
        graph(lambda g: g.node.insert(0, helper.make_node("Relu", ["j"], ["early"]))), INFER, "m.onnx",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CORPUS)
def test_what_once_failed_is_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, arguments, part = CORPUS[name]
    (tmp_path / "m.onnx").write_bytes(models()["convolution"])
    make(tmp_path)
    monkeypatch.chdir(tmp_path)
    outcome = run(capsys, *arguments).must_refuse(part)
    assert outcome.stderr.count("\n") == 1
    assert outcome.stderr[:-1].isprintable()


@pytest.mark.parametrize("axis", [".", "9" * 5000, "-1", "first"])
def test_a_result_with_an_odd_batch_axis_is_not_run_again(
    axis: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network = "{name: one, source: written for this test, layers: [{name: fc1, fc: {k: 64, n: 10}}]}"
    (tmp_path / "one.yaml").write_text(network)
    run(capsys, "simulate", "one.yaml", "--out", "out", "-q").must_succeed()
    path = tmp_path / "out" / "result.json"
    document = json.loads(path.read_text())
    document["made_from"]["batch_axis"] = axis
    path.write_text(json.dumps(document))
    run(capsys, "reproduce", "out").must_refuse("--batch-axis")


def _recorded(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """A recorded trace of the model of convolutions on two images; its manifest."""
    (folder / "m.onnx").write_bytes(models()["convolution"])
    np.savez(folder / "data.npz", images=np.ones((2, 1, 6, 6), np.float32))
    out = folder / "trace"
    run(capsys, "trace", folder / "m.onnx", "--input", folder / "data.npz", "-o", out).must_succeed()
    manifest: dict[str, Any] = json.loads((folder / "trace" / "trace.json").read_text())
    return manifest


@pytest.mark.parametrize(
    ("field", "value"),
    [("batch", 7), ("padding", [0, 0, 0, 0]), ("stride", [2, 1]), ("kernel", [1, 3]), ("filters", 8)],
)
def test_a_traced_layer_has_the_sizes_of_its_convolution(
    field: str, value: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = _recorded(tmp_path, capsys)
    manifest["layers"][0]["layer"]["convolution"][field] = value
    (tmp_path / "trace" / "trace.json").write_text(json.dumps(manifest))
    run(capsys, "simulate", str(tmp_path / "trace")).must_refuse("its sizes are not those of its convolution")


def test_a_traced_layer_has_tensors_of_the_shapes_that_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same elements in another order of axes are other operands."""
    manifest = _recorded(tmp_path, capsys)
    weights = manifest["layers"][0]["tensors"]["weights"]
    assert weights["shape"] == [1, 9, 4]
    path = tmp_path / "trace" / weights["file"]
    np.save(path, np.load(path).reshape(1, 4, 9))
    import hashlib

    weights |= {"shape": [1, 4, 9], "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (tmp_path / "trace" / "trace.json").write_text(json.dumps(manifest))
    run(capsys, "simulate", str(tmp_path / "trace")).must_refuse("weights do not fit layer", "1 x 9 x 4")


@pytest.mark.parametrize("elements", [-1, -(2**63), 10**12 + 1])
def test_a_traced_layer_has_post_operations_on_elements_that_can_be(
    elements: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fewer than none once gave a negative energy."""
    manifest = _recorded(tmp_path, capsys)
    manifest["layers"][0]["layer"]["post_operations"] = [{"kind": "relu", "elements": elements}]
    (tmp_path / "trace" / "trace.json").write_text(json.dumps(manifest))
    run(capsys, "simulate", str(tmp_path / "trace")).must_refuse("post_operations.0.elements", str(elements))


def test_a_traced_product_has_all_of_its_operands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without its convolution the layer is a product of 2 x 16 rows and 9 columns: 288, not 72 pixels."""
    manifest = _recorded(tmp_path, capsys)
    manifest["layers"][0]["layer"]["convolution"] = None
    (tmp_path / "trace" / "trace.json").write_text(json.dumps(manifest))
    layer = manifest["layers"][0]["layer"]
    expected = f"{layer['m'] * layer['k']} elements"
    run(capsys, "simulate", str(tmp_path / "trace")).must_refuse("activations do not fit layer", expected)


def test_biases_are_corrected_of_an_output_that_is_one_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its one class is that of float32."""
    weights = np.linspace(-1, 1, 36, dtype=np.float32).reshape(4, 1, 3, 3)
    nodes = [node("Conv", "x w", "c"), node("ReduceMean", "c", "y", keepdims=0)]
    case = Case(nodes, {"x": np.ones((1, 1, 6, 6), np.float32)}, {"w": weights})
    (tmp_path / "m.onnx").write_bytes(case.model().SerializeToString())
    np.save(tmp_path / "data.npy", np.linspace(0, 1, 36, dtype=np.float32).reshape(1, 1, 6, 6))
    arguments = ("infer", tmp_path / "m.onnx", "--data", tmp_path / "data.npy", "-p", "max+bias_correction")
    document = json.loads(run(capsys, *arguments, "--json").must_succeed().stdout)
    assert document["accuracy"]["images"] == 1
    assert document["accuracy"]["agreement_with_float32"] in (None, 1.0)
