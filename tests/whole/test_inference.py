"""Does a trained network run from images to accuracy, and from a trace back to the same results?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simulator.inference import (
    infer,
    load_images,
    load_model,
    load_trace,
    plan_network,
    record_trace,
)
from simulator.numerics import get_mac, multiply
from simulator.workload import load_network
from tests.command import ROOT, run

FINGERPRINT = """
import hashlib, os, sys
if sys.argv[1] == "1":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from simulator.inference import infer, load_images, load_model
result = infer(load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(60), "elma8")
digest = hashlib.sha256(result.logits.tobytes() + result.float32_logits.tobytes())
digest.update(repr(result.layers).encode())
print(digest.hexdigest())
"""


@pytest.mark.parametrize(("mac", "most_lost"), [("int8", 0.01), ("elma8", 0.02), ("bf16", 0.005)])
def test_lenet_keeps_its_accuracy(mac: str, most_lost: float) -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(300)
    accuracy = infer(model, data, mac).accuracy
    assert accuracy.top1 is not None
    assert accuracy.top1_float32 is not None
    assert accuracy.top1_float32 > 0.88
    assert accuracy.top1 >= accuracy.top1_float32 - most_lost
    assert accuracy.agreement_with_float32 is not None
    assert accuracy.agreement_with_float32 > 0.95


def test_float32_as_a_mac_changes_nothing() -> None:
    result = infer(load_model("vit_fashion"), load_images("fashion_mnist_1000").first(20), "fp32")
    assert result.accuracy.agreement_with_float32 == 1
    assert all(
        layer.largest_error is not None and layer.largest_error < 1e-4 for layer in result.layers.values()
    )


def test_layers_may_have_macs_of_their_own() -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(50)
    low, high = (
        infer(model, data, "int4 x int4", "max", layer_macs=macs).layers["fc3"].sqnr_db
        for macs in ({}, {"conv1": "int8", "conv2": "int8", "fc1": "int8"})
    )
    assert low is not None
    assert high is not None
    assert high > low


def test_progress_counts_images() -> None:
    seen: list[tuple[int, int]] = []
    data = load_images("fashion_mnist_1000").first(120)
    infer(load_model("lenet5_fashion"), data, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(50, 120), (100, 120), (120, 120)]


@pytest.mark.slow
def test_the_same_bits_whatever_the_number_of_threads() -> None:
    def fingerprint(threads: int) -> str:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, str(threads))}
        finished = subprocess.run(
            [sys.executable, "-c", FINGERPRINT, str(threads)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return finished.stdout

    assert fingerprint(1) == fingerprint(2)


@pytest.mark.parametrize(
    ("name", "mac"), [("lenet5_fashion", "elma8"), ("vit_fashion", "fp8"), ("lenet5_fashion", "fp16")]
)
def test_a_trace_holds_what_went_through_the_array(tmp_path: Path, name: str, mac: str) -> None:
    model, data = load_model(name), load_images("fashion_mnist_1000").first(2)
    plan = plan_network(model, data, mac)
    _, result = record_trace(model, data, plan, tmp_path)
    trace = load_trace(tmp_path)
    assert trace.network.layers == load_network(str(model.path), batch=2).layers
    for layer in trace.network.layers:
        left, right = trace.operands(layer.name)
        assert left.shape == (layer.groups, layer.m, layer.k)
        assert right.shape == (layer.groups, layer.k, layer.n_per_group)
        spec = trace.mac(layer.name)
        assert spec is not None
        sums = [multiply(get_mac(spec), a, w).accumulators for a, w in zip(left, right, strict=True)]
        assert (np.stack(sums) == trace.tensor(layer.name, "accumulators")).all()
    assert (trace.tensor(model.last_product, "outputs") == result.logits).all()


def test_a_trace_of_real_values(tmp_path: Path) -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(1)
    record_trace(model, data, plan_network(model, data, "int8"), tmp_path, encoding="floats")
    trace = load_trace(tmp_path)
    left, right = trace.operands("fc3")
    assert left.dtype == np.float32
    assert trace.mac("fc3") is None
    bias = model.products[-1].bias
    assert bias is not None
    assert (left[0] @ right[0]) + bias == pytest.approx(np.asarray(trace.tensor("fc3", "outputs")), abs=1e-3)


def test_the_same_run_writes_the_same_bytes(tmp_path: Path) -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(1)
    for name in ("one", "two"):
        record_trace(model, data, plan_network(model, data, "int8"), tmp_path / name)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two")
    )
    assert one == two


def test_the_command_prints_tables_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "infer", "lenet5_fashion", "--mac", "fp8", "-n", "40", "--layers").must_succeed()
    assert "top-1" in shown.stdout
    assert "e4m3 x" in shown.stdout
    printed = run(capsys, "infer", "lenet5_fashion", "-n", "40", "--json").must_succeed()
    document = json.loads(printed.stdout)
    assert document["accuracy"]["images"] == 40
    assert set(document["layers"]) == {"conv1", "conv2", "fc1", "fc2", "fc3"}


def test_the_commands_check_and_trace(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shown = run(capsys, "infer", "lenet5_fashion", "--mac", "elma8", "-n", "2", "--check").must_succeed()
    assert "checked 5 layers" in shown.stdout
    run(capsys, "trace", "lenet5_fashion", "--mac", "elma8", "-o", tmp_path / "trace").must_succeed()
    assert load_trace(tmp_path / "trace").network.batch == 1


def test_outputs_are_saved_as_arrays(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "outputs"
    command = ("infer", "lenet5_fashion", "--mac", "elma8", "-n", "53", "--save", folder, "--json")
    document = json.loads(run(capsys, *command).must_succeed().stdout)
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(53)
    (path,) = folder.iterdir()
    assert path.name == f"{model.output}.npy"
    assert document["saved"] == {model.output: str(path)}
    saved = np.load(path)
    assert saved.dtype == np.float32
    assert (saved == infer(model, data, "elma8").logits).all()
    assert document["accuracy"]["outputs"][model.output]["shape"] == [53, 10]


def test_a_tensor_inside_the_network_is_judged(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    inner = load_model("lenet5_fashion").operators[0].outputs[0]
    command = ("infer", "lenet5_fashion", "-n", "2", "--output", inner, "--save", tmp_path, "--json")
    document = json.loads(run(capsys, *command).must_succeed().stdout)
    accuracy, layer = document["accuracy"], document["layers"]["conv1"]
    assert accuracy["judged"] == inner
    assert accuracy["top1"] is None
    assert document["warnings"][0].startswith(f"labels are not used: output {inner} of shape [2, 6, 28, 28]")
    assert set(document["saved"]) == {inner, load_model("lenet5_fashion").output}
    # The first layer's figures and those of its output tensor are of the same numbers.
    for figure in ("sqnr_db", "cosine", "largest_error"):
        assert accuracy["outputs"][inner][figure] == layer[figure]
    assert np.load(document["saved"][inner]).shape == (2, 6, 28, 28)


def test_an_output_that_there_is_not_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    output = load_model("lenet5_fashion").output
    run(capsys, "infer", "lenet5_fashion", "--output", f"{output}s").must_refuse(
        "computes no such tensor", f"did you mean '{output}'?"
    )


def test_nothing_is_left_of_outputs_where_a_run_fails(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    images = load_images("fashion_mnist_1000").images[:2]
    np.savez(tmp_path / "data.npz", images=images, labels=np.array([0, 10]))
    folder = tmp_path / "outputs"
    command = ("infer", "lenet5_fashion", "--data", tmp_path / "data.npz", "--save", folder)
    run(capsys, *command).must_refuse("labels", "(got 10)", "0 to 9")
    assert not folder.exists()
