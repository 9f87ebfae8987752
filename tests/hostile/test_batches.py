"""Batches, and the chunks in which images go through a network, have nothing to do with each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.inference import chunks
from tests.command import run
from tests.hostile.fuzzing.models import models

IMAGES = 104


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network of convolutions, and 104 images: more than two chunks of 50."""
    (tmp_path / "m.onnx").write_bytes(models()["convolution"])
    draw = np.random.default_rng(3)
    images = draw.normal(size=(IMAGES, 1, 6, 6)).astype(np.float32)
    np.savez(tmp_path / "d.npz", images=images, labels=draw.integers(0, 5, IMAGES))
    return tmp_path


def simulated(folder: Path, capsys: pytest.CaptureFixture[str], batch: int) -> dict[str, Any]:
    arguments = ("simulate", folder / "m.onnx", "--data", folder / "d.npz", "--batch", str(batch))
    small = ("--rows", "4", "--cols", "4", "--json", "-q")
    result: dict[str, Any] = json.loads(run(capsys, *arguments, *small).must_succeed().stdout)
    return result


def test_every_batch_up_to_all_images_has_the_same_accuracy_and_its_own_work(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = simulated(folder, capsys, 1)
    assert one["accuracy"]["images"] == IMAGES
    for batch in (2, 49, 50, 51, 99, 100, 101, IMAGES):
        result = simulated(folder, capsys, batch)
        assert result["accuracy"] == one["accuracy"], batch
        assert result["network"]["batch"] == batch
        assert result["totals"]["macs"] == batch * one["totals"]["macs"]


@pytest.mark.parametrize("batch", [IMAGES + 1, 1000, 10**6])
def test_a_batch_of_more_images_than_there_are_is_refused(
    batch: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("simulate", folder / "m.onnx", "--data", folder / "d.npz", "--batch", str(batch), "-q")
    run(capsys, *arguments).must_refuse("fewer images than one batch", f"{batch} or more")


@pytest.mark.parametrize("together", [1, 7, 51, 1000])
def test_chunks_of_any_size_give_the_same_toggles_and_accuracy(
    together: int, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of 51 is put together from chunks, whatever their size."""
    usual = simulated(folder, capsys, 51)
    monkeypatch.setattr(chunks, "MOST_IMAGES", together)
    other = simulated(folder, capsys, 51)
    assert other["accuracy"]["top1"] == usual["accuracy"]["top1"]
    for one, two in zip(other["layers"], usual["layers"], strict=True):
        assert one["activity"] == two["activity"]
        assert one["overflowed_sums"] == two["overflowed_sums"]
        assert one["energy_fj"] == two["energy_fj"]


@pytest.mark.parametrize("seed", range(12))
def test_any_batch_of_any_images_in_chunks_of_any_size(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to 8 images in batches of up to 8 and chunks of up to 5; one more than there are is refused."""
    draw = np.random.default_rng(seed)
    count = int(draw.integers(1, 9))
    batch, together = int(draw.integers(1, count + 1)), int(draw.integers(1, 6))
    (tmp_path / "m.onnx").write_bytes(models()["convolution"])
    images = draw.normal(size=(count, 1, 6, 6)).astype(np.float32)
    np.savez(tmp_path / "d.npz", images=images, labels=draw.integers(0, 5, count))
    usual = simulated(tmp_path, capsys, batch)
    monkeypatch.setattr(chunks, "MOST_IMAGES", together)
    other = simulated(tmp_path, capsys, batch)
    assert other["accuracy"]["images"] == usual["accuracy"]["images"]
    assert other["accuracy"]["top1"] == usual["accuracy"]["top1"]
    for one, two in zip(other["layers"], usual["layers"], strict=True):
        for field in ("activity", "overflowed_sums", "energy_fj", "cycles"):
            assert one[field] == two[field]
    arguments = (
        "simulate",
        tmp_path / "m.onnx",
        "--data",
        tmp_path / "d.npz",
        "--batch",
        str(count + 1),
        "-q",
    )
    run(capsys, *arguments).must_refuse("fewer images than one batch")
