"""Mixed widths: are the smallest ones really the smallest? Every pair is run on its own and counted."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from simulator.inference import Images, Model, get_policy, infer
from simulator.inference.policies import mixed
from simulator.inference.policies.mixed import WeightKind, smallest_widths
from simulator.numerics import get_format
from tests.small_network import linear_network

SAME_AS_MIXED = "mse+per_tensor+power_of_two"


def problem(folder: Path, seed: int, images: int = 60) -> tuple[Model, Images]:
    """Two layers that separate four noisy classes, and labelled images to calibrate with."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(4, 6))
    labels = random.integers(4, size=images)
    inputs = (centres[labels] + 0.5 * random.normal(size=(images, 6))).astype(np.float32)
    first = random.normal(size=(6, 16)) / 2
    hidden = np.maximum(centres @ first, 0)
    second = np.linalg.pinv(hidden) @ np.eye(4)
    model = linear_network(folder / f"{seed}.onnx", [first, second], [np.zeros(16), np.zeros(4)])
    return model, Images("four", inputs[:4], labels[:4], inputs, labels)


def weight_formats(bits: int, kind: WeightKind) -> list[str]:
    if kind == "fixed":
        return [f"int{bits}"]
    return [f"e{exponent}m{bits - 1 - exponent}" for exponent in range(1, 6) if bits - 1 - exponent >= 0]


def right(model: Model, data: Images, mac: str) -> int:
    """Calibration images that a MAC has right, by inference on them."""
    alone = Images("calibration", data.for_calibration, data.calibration_labels, data.for_calibration)
    top1 = infer(model, alone, mac, "drop_in" if mac == "fp32" else SAME_AS_MIXED).accuracy.top1
    assert top1 is not None
    return round(top1 * len(alone.images))


@pytest.mark.parametrize(
    ("kind", "seed", "loss"),
    [("float", 1, 0), ("float", 2, 5), ("float", 3, 20), ("fixed", 1, 0), ("fixed", 2, 5), ("fixed", 3, 20)],
)
def test_no_smaller_pair_keeps_the_accuracy(kind: WeightKind, seed: int, loss: float, tmp_path: Path) -> None:
    model, data = problem(tmp_path, seed)
    found = smallest_widths(model, data, get_policy(f"mixed+loss={loss}"), weights=kind)
    assert found.exhaustive
    images = len(data.for_calibration)
    needed = right(model, data, "fp32") - int(loss / 100 * images)
    best: tuple[int, int] | None = None
    for weight_bits in range(3 if kind == "float" else 2, 9):
        for activation_bits in range(2, 9):
            scores = {
                spec: right(model, data, f"int{activation_bits} x {spec}")
                for spec in weight_formats(weight_bits, kind)
            }
            if max(scores.values()) >= needed:
                best = weight_bits, activation_bits
                assert found.weight == max(scores, key=lambda spec: scores[spec])
                assert found.accuracy == pytest.approx(100 * max(scores.values()) / images, abs=1e-3)
                break
        if best:
            break
    assert best == (found.weight_bits, int(found.activation.removeprefix("int")))
    assert found.weight_bits == get_format(found.weight).bits
    for pair, accuracy in found.tried.items():
        if accuracy is not None and pair != "float32":
            assert accuracy == pytest.approx(100 * right(model, data, pair) / images, abs=1e-3)
            assert pair == f"{found.activation} x {found.weight}" or accuracy <= found.accuracy


def test_what_was_found_is_what_runs(tmp_path: Path) -> None:
    model, data = problem(tmp_path, 4)
    found = smallest_widths(model, data, get_policy("mixed+loss=5"))
    widths = found.plan.choices["widths"]
    macs = {layer.mac.name for layer in found.plan.layers.values()}
    assert macs == {f"{found.activation} x {found.weight}"}
    assert widths["activation"] == found.activation.replace("int", "fix")
    assert widths["weight"] == found.weight
    assert widths["weight_storage_saved_against_8_bits"] == 1 - found.weight_bits / 8
    assert widths["keeps_accuracy"] is True
    scales = [layer.activation_scale for layer in found.plan.layers.values()]
    assert all(np.log2(scale) == round(np.log2(scale)) for scale in scales)


def test_the_noise_of_the_calibration_set_is_stated(tmp_path: Path) -> None:
    model, data = problem(tmp_path, 5)
    found = smallest_widths(model, data, get_policy("mixed+loss=10"))
    widths = found.plan.choices["widths"]
    share = found.float32_accuracy / 100
    assert widths["calibration_images"] == 60
    assert widths["standard_error_points"] == pytest.approx(100 * sqrt(share * (1 - share) / 60), abs=0.005)
    points, low, high = widths["above_float32_points"]
    assert points == pytest.approx(found.accuracy - found.float32_accuracy, abs=0.01)
    assert low < points < high
    assert high - low == pytest.approx(2 * found.above_float32.margin, abs=0.011)
    assert widths["accuracy_by_widths"]["float32"] == found.float32_accuracy


def test_a_search_that_would_take_too_long_says_so(tmp_path: Path) -> None:
    model, data = problem(tmp_path, 3)
    policy = get_policy("mixed+loss=20")
    whole = smallest_widths(model, data, policy)
    quick = smallest_widths(model, data, policy, exhaustive_seconds=0)
    assert (whole.exhaustive, quick.exhaustive) == (True, False)
    assert "every narrower pair" in whole.plan.choices["widths"]["search"]
    assert "one width after the other" in quick.plan.choices["widths"]["search"]
    needed = right(model, data, "fp32") - int(0.2 * 60)
    assert right(model, data, f"{quick.activation} x {quick.weight}") >= needed
    # One step further fails: a bit less of weights beside 8-bit activations, or a bit less of activations.
    bits = int(quick.activation.removeprefix("int"))
    if quick.weight_bits > 3:
        narrower = weight_formats(quick.weight_bits - 1, "float")
        assert max(right(model, data, f"int8 x {spec}") for spec in narrower) < needed
    if bits > 2:
        assert right(model, data, f"int{bits - 1} x {quick.weight}") < needed


def test_narrowing_one_width_after_the_other_may_stop_too_early(tmp_path: Path) -> None:
    """Accuracy does not fall steadily with the width: here a pair four bits narrower keeps it as well."""
    model, data = problem(tmp_path, 7)
    policy = get_policy("mixed+loss=0")
    whole = smallest_widths(model, data, policy)
    quick = smallest_widths(model, data, policy, exhaustive_seconds=0)
    assert whole.accuracy >= whole.float32_accuracy
    assert (whole.weight_bits, whole.activation) == (4, "int4")
    assert (quick.weight_bits, quick.activation) == (6, "int7")


def test_the_estimate_decides_by_pairs_images_and_macs(tmp_path: Path) -> None:
    # 24 formats of weights (2 + 3 + 4 + 3 * 5) x 7 widths of activations x 60 images x 160 MACs
    # (6 * 16 + 16 * 4), at 2 s a GMAC.
    model, data = problem(tmp_path, 6)
    seconds = 24 * 7 * 60 * 160 * 2e-9
    policy = get_policy("mixed+loss=30")
    assert smallest_widths(model, data, policy, exhaustive_seconds=seconds * 1.001).exhaustive
    assert not smallest_widths(model, data, policy, exhaustive_seconds=seconds * 0.999).exhaustive
    fixed = 7 * 7 * 60 * 160 * 2e-9
    assert smallest_widths(model, data, policy, weights="fixed", exhaustive_seconds=fixed * 1.001).exhaustive
    assert not smallest_widths(
        model, data, policy, weights="fixed", exhaustive_seconds=fixed * 0.999
    ).exhaustive


def test_where_eight_bits_lose_too_much_eight_bits_are_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = problem(tmp_path, 7)
    assert data.calibration_labels is not None
    # Every image that float32 has right needs more than the narrow formats of this test can give.
    monkeypatch.setattr(mixed, "WIDEST", 3)
    monkeypatch.setattr(mixed, "NARROWEST", {"float": 3, "fixed": 2})
    for seconds in (mixed.EXHAUSTIVE_SECONDS, 0):
        found = smallest_widths(model, data, get_policy("mixed+loss=0"), exhaustive_seconds=seconds)
        assert found.accuracy < found.float32_accuracy
        assert found.plan.choices["widths"]["keeps_accuracy"] is False
        scores = {spec: right(model, data, f"int3 x {spec}") for spec in weight_formats(3, "float")}
        assert (found.activation, found.weight) == ("int3", max(scores, key=lambda spec: scores[spec]))
        assert found.accuracy == pytest.approx(100 * max(scores.values()) / 60, abs=1e-3)


def test_without_labels_agreement_with_float32_counts(tmp_path: Path) -> None:
    model, data = problem(tmp_path, 8)
    unlabelled = replace(data, calibration_labels=None)
    found = smallest_widths(model, unlabelled, get_policy("mixed+loss=5"))
    assert found.float32_accuracy == 100
    alone = Images("calibration", data.for_calibration, None, data.for_calibration)
    agreement = infer(model, alone, f"{found.activation} x {found.weight}", SAME_AS_MIXED).accuracy
    assert agreement.agreement_with_float32 is not None
    assert found.accuracy == pytest.approx(100 * agreement.agreement_with_float32, abs=1e-3)
