"""Does a module give through a MAC what its file gives, and in float32 what PyTorch computes?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'systolic-simulator[torch]'")

from simulator import api
from simulator.foundation import UserError
from simulator.inference import load_images
from simulator.pytorch import infer, simulate
from tests.pytorch.modules import (
    AttentionBlock,
    FixedBatch,
    Rows,
    SmallCnn,
    StackedCells,
    Tagger,
    seeded,
    trained_lenet5,
)

IMAGES = torch.randn(7, 3, 12, 12, generator=torch.Generator().manual_seed(3))


def forward(module: Any, *inputs: Any) -> Any:
    with torch.no_grad():
        return module.eval()(*inputs).numpy()


def inputs_of(kind: Any) -> tuple[Any, ...]:
    random = torch.Generator().manual_seed(5)
    if kind is SmallCnn:
        return (IMAGES,)
    if kind is Tagger:
        return (torch.randint(0, 50, (7, 4), generator=random),)
    return (torch.randn(7, 6, 16, generator=random), torch.randn(7, 6, generator=random))


@pytest.mark.parametrize("kind", [SmallCnn, Tagger, AttentionBlock])
def test_float32_is_what_pytorch_computes(kind: Any) -> None:
    """To 1e-5 of the largest output: sums of at most 64 terms in another order, each off by 2**-24."""
    module, inputs = seeded(kind), inputs_of(kind)
    expected = forward(module, *inputs)
    result = infer(module, inputs if len(inputs) > 1 else inputs[0], mac="fp32")
    for found in (result.logits, result.float32_logits):
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert result.accuracy.images == 7
    assert not any("batch is fixed" in note for note in result.warnings)


def test_results_are_those_of_the_file_with_the_same_weights() -> None:
    """The bundled file was written by another exporter; 60 images, and scales from the same 256 others."""
    images = load_images("fashion_mnist_1000")
    assert images.labels is not None
    of_file = api.infer("lenet5_fashion", "fashion_mnist_1000", mac="e3m2 x e3m2", policy="mse", images=60)
    of_module = infer(
        trained_lenet5(),
        torch.from_numpy(images.images[:60]),
        mac="e3m2 x e3m2",
        policy="mse",
        labels=images.labels[:60],
        calibration=images.calibration,
    )
    np.testing.assert_array_equal(of_module.logits, of_file.logits)
    assert of_module.accuracy.top1 == of_file.accuracy.top1
    assert list(of_module.layers) == list(of_file.layers) == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    by_name = infer(trained_lenet5(), "fashion_mnist_1000", mac="fp32", images=60)
    assert by_name.accuracy.top1_float32 == of_file.accuracy.top1_float32


@pytest.mark.slow
def test_data_come_in_many_forms() -> None:
    module = seeded(SmallCnn)
    best = forward(module, IMAGES).argmax(1)
    labels = np.where(np.arange(7) < 5, best, (best + 1) % 10)
    whole = infer(module, IMAGES, labels=labels)
    assert whole.accuracy.top1_float32 == pytest.approx(5 / 7)

    def pairs() -> Iterator[tuple[Any, Any]]:
        for start in range(0, 7, 3):
            yield IMAGES[start : start + 3], torch.from_numpy(labels[start : start + 3])

    forms = [
        IMAGES.numpy(),
        (IMAGES,),
        {"image": IMAGES},
    ]
    for form in forms:
        np.testing.assert_array_equal(
            infer(module, form, labels=torch.from_numpy(labels)).logits, whole.logits
        )
    loader = torch.utils.data.DataLoader(Rows(IMAGES, labels.tolist()), batch_size=2)
    for form in (pairs(), loader, Rows(IMAGES, labels.tolist()), list(pairs())):
        result = infer(module, form)
        np.testing.assert_array_equal(result.logits, whole.logits)
        assert result.accuracy.top1_float32 == whole.accuracy.top1_float32
    first = infer(module, loader, images=3)
    assert first.accuracy.images == 3


def test_a_loader_is_asked_for_no_more_than_is_wanted() -> None:
    asked = []

    def batches() -> Iterator[Any]:
        for index in range(100):
            asked.append(index)
            yield IMAGES[:2] + index

    assert infer(seeded(SmallCnn), batches(), mac="fp32", images=5).accuracy.images == 5
    assert asked == [0, 1, 2]


def test_one_row_alone() -> None:
    module = seeded(SmallCnn)
    result = infer(module, IMAGES[:1], mac="fp32")
    np.testing.assert_allclose(result.logits, forward(module, IMAGES[:1]), rtol=1e-4, atol=1e-6)


def test_a_module_that_fixes_its_batch_runs_part_by_part() -> None:
    module, rows = FixedBatch().eval(), torch.randn(6, 3)
    result = infer(module, rows, mac="fp32")
    with torch.no_grad():
        np.testing.assert_allclose(result.logits, module.inner(rows).numpy(), rtol=1e-4, atol=1e-6)
    assert sum("rows go through 2 at a time, as the batch is fixed" in note for note in result.warnings) == 1


def test_rows_that_are_no_multiple_of_a_fixed_batch_are_refused_by_number() -> None:
    with pytest.raises(UserError, match=r"got \(5, 3\)\); allowed: a multiple of 2 along axis 0"):
        infer(FixedBatch(), torch.randn(5, 3), mac="fp32")


def test_half_precision_weights_are_widened() -> None:
    """Every float16 value is a float32 value, so that float32 sums of them are PyTorch's float32 module."""
    module = seeded(SmallCnn).half()
    result = infer(module, IMAGES.half(), mac="fp32")
    wide = forward(module.float(), IMAGES.half().float())
    assert np.abs(result.float32_logits - wide).max() <= 2e-3 * np.abs(wide).max()


def test_the_mode_is_said_and_kept() -> None:
    module = seeded(SmallCnn).train()
    result = infer(module, IMAGES)
    assert module.training
    assert module.features[6].training
    assert sum("taken in evaluation mode" in note for note in result.warnings) == 1
    np.testing.assert_array_equal(result.logits, infer(module.eval(), IMAGES).logits)


@pytest.mark.parametrize(
    ("data", "choices", "message"),
    [
        (object(), {}, "data: cannot be run through a module (got 'object')"),
        ([], {}, "data: has no rows"),
        (torch.zeros(0, 3, 12, 12), {}, "have not one row for each inference"),
        ((torch.zeros(3, 3, 12, 12), torch.zeros(2)), {}, "have not one row for each inference"),
        (IMAGES, {"labels": [1, 2]}, "labels: must be one integer for each row (got 'int64[2]')"),
        (IMAGES, {"labels": [0.5] * 7}, "labels: must be one integer for each row (got 'float64[7]')"),
        (IMAGES, {"labels": [10] * 7}, "labels: do not match the network (got 10)"),
        (IMAGES, {"images": 8}, "images: cannot take that many rows (got 8); allowed: 1 to 7"),
        (IMAGES * np.nan, {}, "image: holds NaN or infinity"),
        ([(IMAGES, 1, 2)], {}, "neither inputs nor pairs of inputs and labels (got '3 parts')"),
        ([IMAGES[:2], IMAGES[:2, :, :3]], {}, "batches that do not go together"),
        (
            [(IMAGES[:2], torch.zeros(2, dtype=torch.int64)), IMAGES[:2]],
            {},
            "labels for some of its batches only",
        ),
        ([(IMAGES[:2], torch.zeros(2, dtype=torch.int64))], {"labels": [1, 1]}, "brings labels of its own"),
        ({"picture": IMAGES}, {}, "cannot be called with these inputs: missing a required argument: 'image'"),
        (IMAGES, {"mac": "imt8"}, "did you mean 'int8'?"),
        (IMAGES, {"policy": "mox"}, "did you mean 'max'?"),
    ],
)
def test_mistakes_are_named(data: Any, choices: Any, message: str) -> None:
    with pytest.raises(UserError) as raised:
        infer(seeded(SmallCnn), data, **choices)
    assert message in str(raised.value)


def test_files_of_arrays_are_taken(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", images=IMAGES.numpy(), labels=np.zeros(7, int))
    result = infer(seeded(SmallCnn), tmp_path / "rows.npz", mac="fp32")
    assert result.accuracy.images == 7
    assert result.accuracy.data == "rows"


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_layers_of_one_recurrent_module_keep_their_own_weights(kind: str) -> None:
    """Both operators have the name of the module; 2 x 4 rows of 3 inputs, 5 states, steps of 2 rows."""
    torch.manual_seed(0)

    module = StackedCells(kind).eval()
    rows = torch.randn(2, 4, 3)
    expected = module(rows).detach().numpy()
    result = infer(module, rows, mac="fp32")
    assert np.abs(result.logits - expected).max() <= 1e-5 * np.abs(expected).max()
    gates = {"GRU": 3, "LSTM": 4}[kind]
    of_inputs, of_states = 2 * 4 * gates * 5 * (3 + 10), 2 * 4 * gates * 5 * (5 + 5)
    assert simulate(module, rows).totals.macs == 2 * (of_inputs + of_states)


def test_something_that_is_no_module_is_refused() -> None:
    with pytest.raises(UserError, match=r"module: is no PyTorch module \(got 'NoneType'\)"):
        infer(None, torch.zeros(2, 3))
