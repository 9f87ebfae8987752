"""Inference over processes and Dask: interrupted, killed, without workers, on stores of something else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator import api
from simulator.foundation import UserError
from simulator.measured_runs import Tensors
from simulator.spread_inference.opened_source import InferenceSource, OpenedSource
from simulator.spread_inference.planning import Arithmetic
from simulator.spread_inference.spread_options import Spread
from simulator.spread_inference.spread_run import infer_spread
from tests.command import ROOT, run

LENET = ("lenet5_fashion", "--data", "fashion_mnist_1000", "--images", "110")
"""Three blocks."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a scheduler with two workers, which are threads of this process."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=50,
    ) as local:
        yield local.scheduler_address


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """The command, which hears Ctrl-C also where this process runs in the background and does not."""
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", "infer", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_interrupts,
    )


def _hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def parts(store: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in store.glob("parts/[0-9a-f]*.json")}


def once_there_are(count: int, store: Path, process: subprocess.Popen[str]) -> None:
    ends_s = time.monotonic() + 240
    while len(parts(store)) < count and process.poll() is None:
        assert time.monotonic() < ends_s, "it did not happen in time"
        time.sleep(0.01)


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if "resource_tracker" not in Path(f"/proc/{child}/cmdline").read_text()
    ]


@pytest.mark.slow
def test_interrupted_killed_and_shared_it_ends_with_the_bytes_of_an_undisturbed_run(tmp_path: Path) -> None:
    """Ctrl-C, a killed worker, a killed run, then two runs on the store at a time."""
    command = ("resnet8_fashion", "--mac", "elma8", "--images", "960", "--json")
    undisturbed, store = tmp_path / "undisturbed", tmp_path / "store"
    fresh = start(*command, "--jobs", "1", "--store", undisturbed)
    expected, _ = fresh.communicate(timeout=240)
    assert len(parts(undisturbed)) == 21  # the plan and twenty blocks

    interrupted = start(*command, "--jobs", "1", "--store", store)
    once_there_are(2, store, interrupted)
    interrupted.send_signal(signal.SIGINT)
    out, error = interrupted.communicate(timeout=240)
    assert (interrupted.returncode, out, error) == (130, "", "systolic: interrupted\n")
    before = parts(store)
    assert 2 <= len(before) < 21

    robbed = start(*command, "--jobs", "2", "--store", store)
    once_there_are(len(before) + 1, store, robbed)
    os.kill(workers_of(robbed)[0], signal.SIGKILL)
    out, error = robbed.communicate(timeout=240)
    assert (robbed.returncode, out, error.count("\n")) == (2, "", 1)
    assert "a worker process ended early: killed" in error
    assert "what is finished is kept" in error
    after = parts(store)
    assert len(before) < len(after) < 21

    killed = start(*command, "--jobs", "1", "--store", store)
    once_there_are(len(after) + 1, store, killed)
    killed.kill()
    killed.communicate(timeout=240)
    rest = len(parts(store))
    assert len(after) < rest < 21

    pair = [start(*command, "--jobs", "1", "--store", store) for _ in range(2)]
    told = [process.communicate(timeout=240) for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert [out for out, _ in told] == [expected, expected]
    assert all(f"20 blocks of images: {rest - 1} from the store" in error for _, error in told)
    assert parts(store) == parts(undisturbed)


def test_a_dask_cluster_gives_the_bytes_of_one_process(
    cluster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("infer", *LENET, "--mac", "elma8", "--json")
    alone = run(capsys, *command, "--save", tmp_path / "alone").must_succeed()
    over = run(capsys, *command, "--save", tmp_path / "over", "--dask", cluster).must_succeed()
    assert over.stdout == alone.stdout.replace(str(tmp_path / "alone"), str(tmp_path / "over"))
    assert over.stderr == "systolic: 3 blocks of images: 0 from the store, 3 computed by 2 workers\n"
    files = [(tmp_path / where / "logits.npy").read_bytes() for where in ("alone", "over")]
    assert files[0] == files[1]


def test_a_comparison_is_that_of_one_process_and_goes_on_from_its_store(
    cluster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three MACs, one of them on two architectures, which share its blocks; then a MAC more."""
    macs = ("--mac", "int8", "--mac", "elma8", "--mac", "fp8")
    command = ("compare", *LENET, "--json")
    over = ("--dask", cluster, "--store", tmp_path / "store")
    alone = run(capsys, *command, *macs, "--out", tmp_path / "alone").must_succeed()
    first = run(capsys, *command, *macs[:4], *over).must_succeed()
    assert "6 blocks of images: 0 from the store, 6 computed by 2 workers" in first.stderr
    second = run(capsys, *command, *macs, *over, "--out", tmp_path / "over").must_succeed()
    assert second.stdout == alone.stdout
    assert "9 blocks of images: 6 from the store, 3 computed by 2 workers" in second.stderr
    for file in sorted((tmp_path / "alone").iterdir()):
        assert file.read_bytes() == (tmp_path / "over" / file.name).read_bytes()
    archs = ("--mac", "fp8", "--arch", "int8_32x32", "--arch", "elma8_32x32")
    third = run(capsys, *command, *archs, *over).must_succeed()
    assert "3 blocks of images: 3 from the store, 0 computed" in third.stderr
    assert third.stdout == run(capsys, *command, *archs).must_succeed().stdout


def test_a_variant_that_cannot_be_is_told_and_the_others_are_shown(
    cluster: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("compare", *LENET, "--mac", "int8", "--mac", "nothing8", "--json")
    alone, over = run(capsys, *command), run(capsys, *command, "--dask", cluster)
    assert (alone.exit_code, over.exit_code) == (1, 1)
    assert over.stdout == alone.stdout
    assert over.stderr.endswith(alone.stderr)
    assert "unknown MAC (got 'nothing8')" in over.stderr


def test_python_gives_the_logits_too(cluster: str, tmp_path: Path) -> None:
    names, store = ("lenet5_fashion", "fashion_mnist_1000"), tmp_path / "store"
    alone = api.infer(*names, mac="fp16", images=110)
    over = api.infer(*names, mac="fp16", images=110, dask=cluster, store=store)
    assert (over.logits == alone.logits).all()
    assert (over.float32_logits == alone.float32_logits).all()
    assert over.accuracy == alone.accuracy
    assert over.layers == alone.layers
    assert over.sums == alone.sums
    tensors = Tensors(names[1], images=110)
    compared = api.compare(names[0], macs=["fp16"], tensors=tensors)
    again = api.compare(names[0], macs=["fp16"], tensors=tensors, dask=cluster, store=store)
    assert [each.to_json() for each in again] == [each.to_json() for each in compared]


@pytest.fixture(scope="module")
def filled(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 60 images of LeNet-5 in elma8: a plan and two blocks."""
    folder = tmp_path_factory.mktemp("filled") / "store"
    source = InferenceSource("lenet5_fashion", "fashion_mnist_1000", 60)
    infer_spread(source, Arithmetic.of("elma8", None), Spread(dask=cluster, store=folder), keeps="figures")
    assert len(parts(folder)) == 3
    return folder


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lenet5_fashion", "--mac", "int8"), "is the store of other MACs or policies (got 'int8 (max)');"
         " allowed: elma8 (drop_in), others beside one of them, or another folder"),
        (("lenet5_fashion", "--mac", "elma8", "-p", "mse"), "is the store of other MACs or policies"),
        (("resnet8_fashion", "--mac", "elma8"), "network: is the store of another network (got"
         " 'resnet8_fashion'); allowed: lenet5_fashion, as it was, or another folder"),
        (("lenet5_fashion", "--mac", "elma8", "--preprocess", "unit"), "prepared in another way"),
        (("lenet5_fashion", "--mac", "elma8", "--labels", "none"), "labels from elsewhere"),
    ],
)  # fmt: skip
def test_a_store_of_something_else_is_refused_in_a_sentence(
    arguments: tuple[str, ...], said: str, filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = parts(filled)
    outcome = run(capsys, "infer", *arguments, "--images", "60", "--jobs", "1", "--store", filled)
    outcome.must_refuse(str(filled), said)
    assert outcome.stderr.count("\n") == 1
    assert parts(filled) == before


def test_a_store_of_other_data_is_refused(
    filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "fashion_mnist_1000.npz", images=np.zeros((60, 1, 28, 28), np.float32))
    data = tmp_path / "fashion_mnist_1000.npz"
    command = ("infer", "lenet5_fashion", "--mac", "elma8", "--data", data, "--jobs", "1", "--store", filled)
    run(capsys, *command).must_refuse(str(filled), "is the store of other data")


def test_every_flipped_bit_of_a_part_is_noticed(
    filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("infer", "lenet5_fashion", "--mac", "elma8", "--images", "60", "--jobs", "1")
    draw = np.random.default_rng(3)
    for name in parts(filled):
        store = tmp_path / name
        shutil.copytree(filled, store)
        file = store / "parts" / name
        content = bytearray(file.read_bytes())
        content[draw.integers(len(content))] ^= 1 << draw.integers(8)
        file.write_bytes(content)
        outcome = run(capsys, *command, "--store", store)
        outcome.must_refuse(name, "the store is corrupted", "delete this file to compute its part again")
        assert outcome.stderr.count("\n") == 1


def test_a_folder_that_is_no_store_is_refused(
    filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("infer", "lenet5_fashion", "--images", "20", "--jobs", "1", "--store")
    (tmp_path / "notes.txt").write_text("")
    run(capsys, *command, tmp_path).must_refuse("is a folder with other files (notes.txt)")
    store = tmp_path / "store"
    shutil.copytree(filled, store)
    (store / "parts" / "notes.txt").write_text("")
    run(capsys, *command, store).must_refuse("notes.txt", "is no part of an inference")
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    (sweep / "store.json").write_text('{"format": "systolic sweep store", "version": 2}')
    run(capsys, *command, sweep).must_refuse("this does not mark a store of inference")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--jobs", "0"), "--jobs"),
        (("--jobs", "-2"), "--jobs"),
        (("--jobs", "two"), "--jobs"),
        (("--jobs", "1025"), "--jobs: cannot run on that many processes (got 1025); allowed: 1 to 1,024"),
        (("--jobs", "2", "--dask", "127.0.0.1:1"), "--jobs: is for local processes"),
        (("--dask", "127.0.0.1:1"), "--dask: no Dask scheduler answers at this address"),
        (("--jobs", "2", "--check"), "--check runs in one process: leave out --jobs"),
        (("--jobs", "1", "--images", "1001"), "cannot take that many images"),
        (("--jobs", "1", "--mac", "int9"), "unknown MAC"),
        (("--jobs", "1", "--policy", "least"), "unknown policy"),
    ],
)
def test_workers_that_cannot_be_are_refused(
    arguments: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("simulator.sweep.executors._CONNECT_TIMEOUT_S", 0.5)
    outcome = run(capsys, "infer", "lenet5_fashion", *arguments)
    outcome.must_refuse(said)
    assert outcome.stderr.count("\n") == 1


def test_spreading_is_for_images(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for option in ("--dask", "--store"):
        outcome = run(capsys, "compare", "lenet5_fashion", option, tmp_path / "store")
        outcome.must_refuse(f"{option} is for networks that run on images: give --data")
    with pytest.raises(UserError, match="give tensors"):
        api.compare("lenet5_fashion", store=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_worker_with_other_files_refuses_the_block(
    cluster: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The identity that the run was planned with is never that of what the worker reads."""
    monkeypatch.setattr(OpenedSource, "identity", property(_new_each_time))
    outcome = run(capsys, "infer", *LENET, "--mac", "int8", "--dask", cluster)
    outcome.must_refuse("lenet5_fashion and fashion_mnist_1000: are not, where a block was computed,")


def _new_each_time(opened: OpenedSource) -> str:
    return f"{id(opened)} {time.monotonic_ns()}"


def test_a_defect_in_a_worker_has_its_traceback(
    cluster: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("it")

    monkeypatch.setattr("simulator.spread_inference.block_jobs.run_block", broken)
    outcome = run(capsys, "infer", *LENET, "--mac", "int8", "--dask", cluster)
    assert outcome.exit_code == 70
    assert "images 0 to 49 in int8 (max): KeyError: 'it'" in outcome.stderr
    file = Path(outcome.stderr.rpartition("the traceback in ")[2].strip())
    assert "in broken" in file.read_text()
    file.unlink()
    json.loads(run(capsys, "infer", *LENET, "--json").must_succeed().stdout)
