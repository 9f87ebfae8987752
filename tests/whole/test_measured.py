"""Real tensors in a simulation: accuracy, exact toggles and recorded sums in the same result as cycles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.arch import load_arch
from simulator.inference import load_trace
from simulator.measured_runs import Tensors, measure_on_images
from simulator.numerics import get_mac, multiply
from simulator.result import Result, priced
from simulator.result_assembly import assemble
from simulator.simulation import run_machine, simulate
from tests.command import run


def simulated(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Result:
    outcome = run(capsys, "simulate", *arguments, "--json").must_succeed()
    return Result.model_validate(json.loads(outcome.stdout))


@pytest.fixture
def on_images(capsys: pytest.CaptureFixture[str]) -> Result:
    return simulated(
        capsys, "lenet5_fashion", "--data", "fashion_mnist_1000", "--images", "64", "--mac", "elma8"
    )


def test_one_run_gives_cycles_energy_and_accuracy(on_images: Result) -> None:
    assert on_images.accuracy is not None
    assert on_images.accuracy.images == 64
    assert on_images.totals.cycles > 0
    for layer in on_images.layers:
        assert layer.accuracy is not None
        assert layer.activity["accumulator"] > 0


def test_measured_toggles_change_energy_but_not_cycles(
    on_images: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    unmeasured = simulated(capsys, "lenet5_fashion", "--mac", "elma8")
    assert on_images.totals.cycles == unmeasured.totals.cycles
    assert on_images.totals.energy_pj != unmeasured.totals.energy_pj
    for component in ("dram_ifmap", "sram_filter", "leakage_sram"):
        measured_pj = on_images.totals.energy_by_component_pj[component]
        assert measured_pj == unmeasured.totals.energy_by_component_pj[component]


def test_zero_operands_save_energy_where_they_are_gated(
    on_images: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fashion-MNIST images are half black and ReLU makes more zeros; their share of the logic is saved."""
    gated = simulated(
        capsys,
        "lenet5_fashion",
        "--data",
        "fashion_mnist_1000",
        "--images",
        "64",
        "--mac",
        "elma8",
        "--set",
        "array.zero_gating=true",
    )
    assert gated.totals.cycles == on_images.totals.cycles
    for layer, plain in zip(gated.layers, on_images.layers, strict=True):
        zeros = int(layer.activity["zero_operand_macs"])
        assert 0 < zeros < layer.macs
        for part in ("pe_multiply", "pe_table", "pe_shift"):
            saved_fj = priced(plain.energy_fj[part]) * zeros / layer.macs
            assert priced(layer.energy_fj[part]) == pytest.approx(
                priced(plain.energy_fj[part]) - saved_fj, abs=1
            )


def test_images_never_change_the_arrays_own_mac() -> None:
    """`ffp8` gives every layer a format of its own; the array keeps its MAC, layers what else they state."""
    arch = load_arch("int8_32x32", {"array.mac": "fp8", "layers": {"conv1": {"tiling": {"tile_k": 5}}}})
    ready = measure_on_images(arch, "lenet5_fashion", Tensors("fashion_mnist_1000", policy="ffp8", images=8))
    assert ready.arch.array == arch.array
    own = {name: config.mac for name, config in ready.arch.layers.items()}
    assert len(own) == len(ready.network.layers)
    assert len(set(map(str, own.values()))) > 1
    tiling = ready.arch.layers["conv1"].tiling
    assert tiling is not None
    assert tiling.tile_k == 5
    measured = assemble(ready.arch, run_machine(ready.arch, ready.network), ready.measured)
    plain = simulate("lenet5_fashion", arch)
    assert measured.mac == plain.mac == "fp8"
    assert measured.area_um2 == plain.area_um2
    assert any("area is that of the array's own MAC" in note for note in measured.sources.notes)


def test_zero_operand_macs_are_counted_one_by_one() -> None:
    arch = load_arch("int8_32x32", {"array.mac": "elma8"})
    ready = measure_on_images(arch, "lenet5_fashion", Tensors("fashion_mnist_1000", images=1))
    first = ready.network.layers[0]
    activity = ready.measured.layers[first.name].activity
    assert activity is not None
    assert 0 < activity.zero_operand_macs < first.macs


def test_a_trace_gives_the_recorded_sums_without_the_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "trace"
    run(
        capsys, "trace", "lenet5_fashion", "--out", folder, "--mac", "elma8", "--images", "2", "--quiet"
    ).must_succeed()
    result = simulated(capsys, folder, "--out", tmp_path / "out")
    assert result.mac == "elma8"
    assert any("equal to the recorded ones" in note for note in result.sources.notes)
    trace = load_trace(folder)
    for layer in trace.network.layers:
        written: Any = np.load(tmp_path / "out" / "outputs" / f"{layer.name}.npy")
        activations, weights = trace.operands(layer.name)
        assert np.array_equal(written[0], multiply(get_mac("elma8"), activations[0], weights[0]).accumulators)


def test_variants_are_compared_on_accuracy_too(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--mac", "int8", "--mac", "e2m1 x e2m1", "--data", "fashion_mnist_1000", "--images", "64"]
    outcome = run(capsys, "compare", "lenet5_fashion", *arguments, "--json").must_succeed()
    variants = json.loads(outcome.stdout)["variants"]
    assert len(variants) == 2
    assert all(0 <= variant["top1"] <= 1 for variant in variants)


def test_a_sweep_keeps_accuracy_and_asks_for_it_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    spec = tmp_path / "formats.yaml"
    spec.write_text("networks: [lenet5_fashion]\nmacs: [int8, elma8]\ndata: fashion_mnist_1000\nimages: 32\n")
    first = run(capsys, "sweep", spec, "--json", "--jobs", "1").must_succeed()
    assert all(point["top1"] is not None for point in json.loads(first.stdout)["points"])
    assert run(capsys, "sweep", spec, "--json", "--jobs", "1").must_succeed().stdout == first.stdout
    spec.write_text(spec.read_text().replace("images: 32", "images: 16"))
    fewer = run(capsys, "sweep", spec, "--json", "--jobs", "1").must_succeed()
    assert fewer.stdout != first.stdout


def test_a_trace_for_another_mac_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(
        capsys, "trace", "lenet5_fashion", "--out", tmp_path, "--mac", "elma8", "--images", "1", "--quiet"
    ).must_succeed()
    run(capsys, "simulate", tmp_path, "--mac", "int8").must_refuse("another MAC", "elma8")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["resnet50", "--data", "fashion_mnist_1000"], ["unknown trained network"]),
        (["lenet5_fashion", "--data", "nothing.npz"], ["nothing.npz", "cannot be found"]),
        (["lenet5_fashion", "--data", "fashion_mnist_1000", "--policy", "drop_inn"], ["drop_inn"]),
        (
            ["lenet5_fashion", "--data", "fashion_mnist_1000", "--images", "2", "--batch", "3"],
            ["fewer images than one batch", "3 or more"],
        ),
    ],
)
def test_unusable_data_is_one_message(
    arguments: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "simulate", *arguments).must_refuse(*parts)
