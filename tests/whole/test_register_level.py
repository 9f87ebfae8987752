"""Whole networks through the register-level grid, and the waveform of one fold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pytest

from simulator.arch import load_arch
from simulator.array import ArrayTiming, schedule_product
from simulator.foundation import UserError
from simulator.register_level import GridMismatchError, GridProduct, dump_fold, verify_on_grid
from simulator.workload import Convolution, Network, convolution_layer, load_network, matrix_layer
from tests.command import run

SMALL = Network(
    "small",
    (
        convolution_layer("conv", Convolution(1, 3, 9, (7, 7), (3, 3), (2, 2), (1, 1, 1, 1))),
        convolution_layer("depthwise", Convolution(1, 4, 4, (5, 5), (3, 3), groups=4)),
        matrix_layer("heads", "matmul", m=5, n=6, k=7, products=2, weights_are_activations=True),
    ),
)


@pytest.mark.parametrize("mac", ["int8", "elma8", "fp16"])
@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize("overlap", ["none", "full"])
def test_grid_closed_form_and_matrix_product_agree(mac: str, dataflow: str, overlap: str) -> None:
    array = {"rows": 4, "columns": 4, "mac": mac, "dataflow": dataflow, "overlap": overlap}
    arch = load_arch("int8_32x32", {f"array.{field}": value for field, value in array.items()})
    layers = list(verify_on_grid(arch, SMALL))
    assert [layer.name for layer in layers] == ["conv", "depthwise", "heads"]
    for done, layer in zip(layers, SMALL.layers, strict=True):
        assert done.outputs == layer.m * layer.n


def test_the_grids_cycles_are_the_results_cycles_without_stalls(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(capsys, "simulate", "lenet5_fashion", "--engine", "grid", "--json").must_succeed()
    cycles = json.loads(outcome.stdout)["totals"]["cycles_by_cause"]
    busy = cycles["compute"] + cycles["fill"] + cycles["drain"]
    assert f"{busy:,} cycles as in the closed form" in outcome.stderr


def test_a_wrong_sum_stops_with_its_coordinates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault is planted: the operands that the matrix product sees differ from the grid's in one code."""
    true_compare = GridProduct.require_equal_sums

    def disturbed(product: GridProduct, sums: npt.NDArray[Any]) -> None:
        activations = product.activations.copy()
        activations[0, 2, 0] ^= 1
        true_compare(replace(product, activations=activations), sums)

    monkeypatch.setattr(GridProduct, "require_equal_sums", disturbed)
    arch = load_arch("int8_32x32", {"array.rows": 4, "array.columns": 4})
    with pytest.raises(GridMismatchError, match="conv: group 0, output pixel 2, channel 0"):
        list(verify_on_grid(arch, SMALL))


def test_a_fold_becomes_a_waveform(tmp_path: Path) -> None:
    arch = load_arch("int8_32x32", {"array.rows": 4, "array.columns": 4})
    layer = SMALL.layers[0]
    first, last = dump_fold(arch, layer, tmp_path / "fold.vcd", fold=1)
    schedule = schedule_product(ArrayTiming(rows=4, columns=4), m=layer.m, n=layer.n, k=layer.k)
    phases = schedule.phases_of(1)
    assert (first, last) == (phases.first_cycle, phases.last_cycle)
    assert "$enddefinitions" in (tmp_path / "fold.vcd").read_text()


def test_a_fold_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    arch = load_arch("int8_32x32", {"array.rows": 4, "array.columns": 4})
    with pytest.raises(UserError, match="fold"):
        dump_fold(arch, SMALL.layers[0], tmp_path / "fold.vcd", fold=1000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_resnet18_runs_whole_on_the_grid() -> None:
    arch, network = load_arch("int8_32x32"), load_network("resnet18")
    layers = list(verify_on_grid(arch, network))
    assert len(layers) == len(network.layers)
    assert sum(layer.outputs for layer in layers) == sum(layer.m * layer.n for layer in network.layers)
