"""Outputs of the float32 reference that serve one run after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulator.foundation import UserError
from simulator.inference import load_images, load_model, plan_network, run_plan
from simulator.inference.calibration import Calibrations
from simulator.inference.float32_outputs import Float32Outputs, float32_outputs


def test_a_kept_reference_gives_the_result_of_one_that_runs_beside(tmp_path: Path) -> None:
    model, data = load_model("resnet8_fashion"), load_images("fashion_mnist_1000").first(61)
    float32_outputs(model, data).save(tmp_path / "float32.npz")
    reference = Float32Outputs.load(tmp_path / "float32.npz")
    for mac in ("int8", "elma8"):
        plan = plan_network(model, data, mac)
        beside, kept = run_plan(model, data, plan), run_plan(model, data, plan, reference=reference)
        assert kept.accuracy == beside.accuracy
        assert (kept.logits == beside.logits).all()
        assert (kept.float32_logits == beside.float32_logits).all()
        for name, layer in kept.layers.items():
            assert (layer.sqnr_db, layer.cosine) == (None, None)
            assert (layer.saturated, layer.underflowed, layer.elements) == (
                beside.layers[name].saturated,
                beside.layers[name].underflowed,
                beside.layers[name].elements,
            )


def test_a_reference_of_other_images_is_refused() -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(20)
    reference = float32_outputs(model, data)
    data.images[3, 0, 4, 5] += np.float32(0.25)
    with pytest.raises(UserError, match="other images"):
        run_plan(model, data, plan_network(model, data, "int8"), reference=reference)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "float32.npz"
    path.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(UserError, match="is not a zip archive, or is truncated or damaged"):
        Float32Outputs.load(path)


def test_calibrations_serve_many_plans() -> None:
    model, data = load_model("resnet8_fashion"), load_images("fashion_mnist_1000").first(24)
    shared = Calibrations(model, data.for_calibration[:12])
    alone = data.__class__(data.source, data.images, data.labels, data.for_calibration[:12])
    for mac, policy in (
        ("int8", "max"),
        ("int8", "mse"),
        ("int4 x int4", "mse+bias_correction"),
        ("int4 x int4", "max+gptq"),
        ("int8", "mse"),
        ("e4m3 x e4m3", "percentile+percentile=99"),
    ):
        together = plan_network(model, alone, mac, policy, calibrations=shared)
        separate = plan_network(model, alone, mac, policy)
        for name, layer in separate.layers.items():
            assert together.layers[name].activation_scale == layer.activation_scale
            assert np.array_equal(together.layers[name].weight_scale, layer.weight_scale)
            for field in ("weight_codes", "bias"):
                one, other = (np.asarray(getattr(each.layers[name], field)) for each in (together, separate))
                assert np.array_equal(one, other)
    assert set(shared.by_extent) == {"extremes", "distributions", "means", "values"}
