"""What once ended in a traceback, a crash, a hang or a wrong number, told in one line ever since."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.command import run

NETWORK = "{name: one, source: written for this test, layers: [{name: fc1, fc: {k: 64, n: 10}}]}"
IMPORT = [
    *("tables", "import", "--source", "s", "--status", "model", "--activity", "random", "--node-nm", "28"),
    *("--voltage-v", "0.9", "--temperature-c", "25", "--clock-mhz", "500", "--out", "t.yaml"),
]
BOMB = "".join(f"  w{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))


def model(folder: Path, *, location: str | None = None, is_sequence: bool = False, weights: int = 12) -> None:
    tensor = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    if location is not None:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", str(4 * weights))):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
        [tensor],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    if is_sequence:
        made.graph.input[0].type.Clear()
        made.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1
    made.ir_version = 8
    (folder / "m.onnx").write_bytes(made.SerializeToString())


def npy(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def archive(folder: Path, *, encrypted: bool = False, damaged: bool = False) -> None:
    path = folder / "a.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("images.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,"))
    content = bytearray(path.read_bytes())
    if encrypted:
        content[6] |= 1
        content[content.rindex(b"PK\x01\x02") + 8] |= 1
    if damaged:
        del content[20:30]
    path.write_bytes(content)


def file(name: str, text: str | bytes) -> Callable[[Path], object]:
    content = text if isinstance(text, bytes) else text.encode()
    return lambda folder: (folder / name).write_bytes(content)


ARCH = ["simulate", "one.yaml", "--arch", "a.yaml"]

CORPUS: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "unhashable key": (file("a.yaml", "? [a]\n: 1"), ARCH, "a.yaml: line 1: a key must be text"),
    "impossible date": (file("a.yaml", "name: 2024-13-45\nclock_mhz: -1"), ARCH, "clock_mhz"),
    "tag": (file("a.yaml", "name: !!timestamp x"), ARCH, "a tag that no value has"),
    "tag of Python": (file("a.yaml", "!!python/object/new:os.system [id]"), ARCH, "a tag that no value has"),
    "thousands of digits": (file("a.yaml", f"clock_mhz: {'9' * 5000}"), ARCH, "more than 300 digits"),
    "100,000 brackets": (file("a.yaml", "[" * 100_000), ARCH, "nested deeper than 64 levels"),
    "alias bomb": (file("a.yaml", f"macs:\n  w0: &a0 [x, x]\n{BOMB}"), ARCH, "its aliases stand for more than"),
    "alias in itself": (file("a.yaml", "macs: &a {x: *a}"), ARCH, "refers to what it stands in"),
    "infinite clock": (file("a.yaml", "clock_mhz: .inf"), ARCH, "clock_mhz"),
    "control character": (file("a.yaml", 'name: "\\e[2J"'), ARCH, "control character"),
    "damaged archive": (
        lambda folder: archive(folder, damaged=True), ["infer", "lenet5_fashion", "--data", "a.npz"], "a.npz",
    ),
    "encrypted archive": (
        lambda folder: archive(folder, encrypted=True),
        ["infer", "lenet5_fashion", "--data", "a.npz"], "images.npy: is encrypted",
    ),
    "header of an array": (archive, ["infer", "lenet5_fashion", "--data", "a.npz"], "images.npy: is not an .npy"),
    "sequence as input": (
        lambda folder: model(folder, is_sequence=True), ["simulate", "m.onnx"], "m.onnx",
    ),
    "external data above": (
        lambda folder: model(folder, location="../w"), ["infer", "m.onnx"], "outside the folder of the ONNX file",
    ),
    "external data at a path": (
        lambda folder: model(folder, location="/etc/passwd"), ["infer", "m.onnx"], "outside the folder",
    ),
    "external data of another size": (
        lambda folder: model(folder, location="m.onnx", weights=10**9), ["infer", "m.onnx"], "another size",
    ),
    "missing external data": (
        lambda folder: model(folder, location="w"), ["infer", "m.onnx"], "external data are missing",
    ),
    "Accelergy action that is text": (
        file("e.yaml", "ERT: {tables: [{name: system.pe.x, actions: [operate]}]}"), [*IMPORT, "e.yaml"], "actions",
    ),
    "Accelergy actions that are a number": (
        file("e.yaml", "ERT: {tables: [{name: system.pe.x, actions: 1.5}]}"), [*IMPORT, "e.yaml"], "actions",
    ),
    "Infinity in a result": (
        file("r.json", '{"schema_version": 2, "totals": {"tops": Infinity}}'), ["explain", "r.json"], "Infinity",
    ),
    "1e999 in a result": (
        file("r.json", '{"schema_version": 2, "totals": {"tops": 1e999}}'), ["explain", "r.json"], "1e999",
    ),
    "layer with a name of 1,001 letters": (
        file("n.yaml", NETWORK.replace("fc1", "n" * 1001)), ["simulate", "n.yaml"], "name is too long",
    ),
    "100,000 brackets in a result": (
        file("r.json", "[" * 100_000), ["report", "r.json"], "nested deeper than 64 levels",
    ),
    "schema version of another type": (
        file("r.json", json.dumps({"schema_version": True})), ["explain", "r.json"], "schema_version",
    ),
    "result that is a list": (file("r.json", "[]"), ["explain", "r.json"], "is not a result"),
    "nothing": (file("r.json", ""), ["explain", "r.json"], "is not JSON, or is truncated"),
    "zero bytes": (file("n.csv", b"\0" * 1000), ["simulate", "n.csv"], "control character"),
    "UTF-16": (file("n.yaml", NETWORK.encode("utf-16")), ["simulate", "n.yaml"], "line 1: is not UTF-8 text"),
    "folder as a network": (
        lambda folder: (folder / "n.yaml").mkdir(), ["simulate", "n.yaml"], "is not a trace",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CORPUS)
def test_what_once_failed_is_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, arguments, part = CORPUS[name]
    (tmp_path / "one.yaml").write_text(NETWORK)
    make(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    outcome = run(capsys, *arguments).must_refuse(part)
    assert outcome.stderr.count("\n") == 1
    assert outcome.stderr[:-1].isprintable()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_good_model_with_external_data_is_read(tmp_path: Path) -> None:
    from simulator.inference import load_model
    from simulator.workload.onnx import read_source

    (tmp_path / "w.bin").write_bytes(np.arange(12, dtype="<f4").tobytes())
    model(tmp_path, location="w.bin")
    load_model(tmp_path / "m.onnx")
    weights = read_source(tmp_path / "m.onnx", all_inputs_are_data=True).body.constants["w"].values()
    np.testing.assert_array_equal(weights, np.arange(12, dtype=np.float32).reshape(4, 3))
    (tmp_path / "out").mkdir()
    (tmp_path / "w.bin").rename(tmp_path / "out" / "w.bin")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "w.bin").symlink_to(tmp_path / "out" / "w.bin")
    (tmp_path / "m.onnx").rename(tmp_path / "in" / "m.onnx")
    with pytest.raises(
        Exception, match="outside the folder"
    ):  # a link that leads out is followed and refused
        load_model(tmp_path / "in" / "m.onnx")
    assert onnx.load(tmp_path / "in" / "m.onnx", load_external_data=False).graph.node
