"""Is what simulation prices what is executed, and what inference computes? Against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from simulator.inference import load_model
from simulator.inference.arithmetic import float32_product
from simulator.inference.execute import execute_outputs
from simulator.inference.layer_products import Product
from simulator.workload.onnx import read_onnx
from tests.onnx_models import CASES, Case
from tests.reference.onnx_counts import count_macs, run

Tensor = NDArray[Any]


def saved(folder: Path, case: Case) -> Path:
    path = folder / "model.onnx"
    onnx.save(case.model(), path)
    return path


@pytest.mark.parametrize("name", CASES)
def test_simulation_counts_what_is_executed(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    expected = count_macs(case.model(), case.feeds) if case.macs is None else case.macs
    assert expected > 0
    assert read_onnx(saved(tmp_path, case)).macs == expected


@pytest.mark.parametrize("name", CASES)
def test_inference_computes_what_is_executed_with_every_product_in_the_mac(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    path = saved(tmp_path, case)
    macs: dict[str, int] = {}

    def counted(product: Product, activations: Tensor, second: Tensor | None) -> Tensor:
        left = product.lower(activations)
        right = product.weights if second is None else product.lower_second(second, activations.shape)
        assert right is not None
        macs[product.name] = macs.get(product.name, 0) + left.size * right.shape[2]
        return float32_product(product, activations, second)

    outputs = execute_outputs(load_model(path), case.feeds, counted, case.outputs)
    layers = read_onnx(path).layers
    assert sum(macs.values()) == sum(layer.macs for layer in layers)
    assert {layer.name.partition("/step_")[0] for layer in layers} == {
        name.partition("/step_")[0] for name in macs
    }
    for name, wanted in zip(case.outputs, run(case.model(), case.feeds), strict=True):
        got = outputs[name]
        assert got.shape == wanted.shape
        assert got.dtype == wanted.dtype
        largest = np.abs(np.where(np.isfinite(wanted), wanted, 0)).max()
        assert np.allclose(got, wanted, rtol=case.tolerance, atol=case.tolerance * largest)
