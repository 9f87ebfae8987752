"""Do results not depend on how many images go through a network together, and is memory bounded?"""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest

from simulator.inference import Images, infer, load_images, load_model, plan_network
from simulator.inference import chunks as chunk_sizes
from simulator.inference import kept as kept_tensors
from simulator.inference.arithmetic import float32_product
from simulator.inference.calibration import calibrate
from simulator.inference.chunks import chunk_size, chunks
from simulator.measured_runs import Tensors
from simulator.result_accuracy import LayerAccuracy
from simulator.simulation import simulate
from tests.image_data import save_channel_network


def test_large_images_go_through_alone(tmp_path: Path) -> None:
    small, large = (load_model(save_channel_network(tmp_path, side=side)) for side in (8, 512))
    images = np.zeros((60, 3, 8, 8), np.float32)
    assert chunk_size(small, images[:1]) == 50
    assert [len(part) for part in chunks(small, images)] == [50, 10]
    # 3 x 512 x 512 values are not seen by a product here: the layer takes means of 3.
    assert chunk_size(large, np.zeros((1, 3, 512, 512), np.float32)) == 50


def test_values_of_the_largest_layer_decide() -> None:
    model = load_model("resnet8_fashion")
    images = load_images("fashion_mnist_1000").images
    products = calibrate(model, images[:1])
    outputs = [float32_product(seen.product, seen.activations, seen.second) for seen in products.values()]
    largest = max(each.size for each in [*outputs, *(seen.activations for seen in products.values())])
    assert chunk_size(model, images[:1]) == min(50, (1 << 21) // largest)


@pytest.mark.parametrize(("name", "mac"), [("lenet5_fashion", "elma8"), ("vit_fashion", "int8")])
def test_any_number_of_images_at_a_time_gives_the_same_bits(
    name: str, mac: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = load_model(name), load_images("fashion_mnist_1000").first(11)
    data = Images(data.source, data.images, data.labels, data.for_calibration[:9])
    results = []
    for most in (50, 4, 1):
        monkeypatch.setattr(chunk_sizes, "MOST_IMAGES", most)
        results.append(infer(model, data, mac))
    for other in results[1:]:
        assert (other.logits == results[0].logits).all()
        assert (other.float32_logits == results[0].float32_logits).all()
        assert other.sums == results[0].sums
        for layer, figures in results[0].layers.items():
            # Errors are added up in another order.
            assert asdict_of(other.layers[layer]) == pytest.approx(asdict_of(figures), rel=1e-12)


def asdict_of(figures: LayerAccuracy) -> dict[str, float]:
    return {name: value for name, value in figures.model_dump().items() if value is not None}


@pytest.mark.parametrize("policy", ["max", "mse", "max+bias_correction", "mse+gptq"])
def test_tensors_in_files_give_the_same_plan(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = load_model("lenet5_fashion"), load_images("fashion_mnist_1000").first(3)
    data = Images(data.source, data.images, data.labels, data.for_calibration[:70])
    plans = []
    for memory in (1 << 28, 100_000, 0):
        monkeypatch.setattr(kept_tensors, "MEMORY_BYTES", memory)
        plans.append(plan_network(model, data, "int4 x int4", policy))
    for other in plans[1:]:
        for name, layer in plans[0].layers.items():
            got = asdict(other.layers[name])
            compared = {field.name for field in fields(layer) if field.compare}
            for field, value in asdict(layer).items():
                if field not in compared:  # prepared weights, which follow from the plan
                    continue
                assert np.array_equal(got[field], value), (name, field)


def test_extremes_are_those_of_all_values() -> None:
    model, data = load_model("vit_fashion"), load_images("fashion_mnist_1000").first(60)
    whole, extremes = (calibrate(model, data.images, extent=each) for each in ("values", "extremes"))
    for name, seen in whole.items():
        for role in seen.kept:
            values, ends = seen.kept[role].array(), extremes[name].kept[role].array()
            assert (values.min(), values.max()) == (ends.min(), ends.max())


@pytest.mark.parametrize("batch", [1, 3, 51, 60])
def test_batches_larger_than_a_chunk_are_counted(batch: int) -> None:
    tensors = Tensors("fashion_mnist_1000", images=61)
    result = simulate("lenet5_fashion", "int8_32x32", batch=batch, tensors=tensors)
    assert result.network.batch == batch
    assert result.accuracy is not None
    assert result.accuracy.images == 61
    counted = min(8, 61 // batch)
    assert any(f"over the first {counted} batches" in each for each in result.sources.notes)


def test_toggles_do_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = Tensors("fashion_mnist_1000", images=12)
    energies = set()
    for most in (50, 5, 1):
        monkeypatch.setattr(chunk_sizes, "MOST_IMAGES", most)
        for name in ("lenet5_fashion", "vit_fashion"):
            energies.add((name, simulate(name, "elma8_32x32", batch=3, tensors=tensors).totals.energy_pj))
    assert len(energies) == 2
