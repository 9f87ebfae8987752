"""`infer --save` writes all outputs or none, under names that file systems take."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simulator.foundation import UserError
from simulator.inference.output_sink import saved_outputs
from tests.command import ROOT


def test_outputs_appear_together_when_the_block_ends(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    first, second = np.arange(6.0).reshape(3, 2), np.arange(3)
    with saved_outputs(out) as sink:
        for part in (slice(0, 2), slice(2, 3)):
            sink.take({"y": first[part], "a/b": second[part]})
        files = sink.finish()
        assert not any(path.suffix == ".npy" for path in out.iterdir())
    assert files == {"y": out / "y.npy", "a/b": out / "a_b.npy"}
    np.testing.assert_array_equal(np.load(out / "y.npy"), first)
    np.testing.assert_array_equal(np.load(out / "a_b.npy"), second)
    assert sorted(path.name for path in out.iterdir()) == ["a_b.npy", "y.npy"]


@pytest.mark.parametrize(("times", "shape"), [(1, ()), (3, (3,))])
def test_a_number_stays_a_number_and_several_are_a_row(
    tmp_path: Path, times: int, shape: tuple[int, ...]
) -> None:
    with saved_outputs(tmp_path / "out") as sink:
        for number in range(times):
            sink.take({"scale": np.array(number + 0.5, np.float32)})
        sink.finish()
    values = np.load(tmp_path / "out" / "scale.npy")
    assert (values.shape, values.dtype) == (shape, np.float32)
    assert values.reshape(-1).tolist() == [number + 0.5 for number in range(times)]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "y.npy").write_bytes(b"before")
    parts = [{"x": np.zeros((2, 2)), "y": np.zeros((2, length))} for length in (2, 3)]
    with pytest.raises(UserError, match="different shapes"), saved_outputs(tmp_path) as sink:
        any(map(sink.take, parts))
    assert [path.name for path in tmp_path.iterdir()] == ["y.npy"]
    assert (tmp_path / "y.npy").read_bytes() == b"before"


def test_long_and_equal_names_stay_apart(tmp_path: Path) -> None:
    names = ["n" * 900 + "1", "n" * 900 + "2", "a/b", "a:b", "..", "\u202e"]
    with saved_outputs(tmp_path) as sink:
        sink.take({name: np.full(1, place) for place, name in enumerate(names)})
        files = sink.finish()
    assert len(set(files.values())) == len(names)
    for place, name in enumerate(names):
        assert np.load(files[name]) == [place]
        assert len(os.fsencode(files[name].name)) <= 120


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    """150 images of 10 outputs are 6,000 bytes and a header of 128."""

    def limited() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing then fails as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    finished = subprocess.run(
        [sys.executable, "-m", "simulator", "infer", "lenet5_fashion", "--images", "150", "--save", "out"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False,
        preexec_fn=limited,
    )  # fmt: skip
    assert finished.returncode == 2, finished.stderr
    assert finished.stdout == b""
    assert finished.stderr.count(b"\n") == 1
    assert b"cannot be written: File too large" in finished.stderr
    assert list(tmp_path.iterdir()) == []
