"""Does a sweep compute every point once, lose none when it is killed, and say the same however it was run?"""

from __future__ import annotations

import csv
import io
import itertools
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.report.sweep_summary import find_metrics
from simulator.result import load_result
from simulator.simulation import simulate
from simulator.sweep.executors import local_processes
from simulator.sweep.jobs import Job, plan
from simulator.sweep.runner import run_stored
from simulator.sweep.spec import SweepPoint, SweepSpec, sweep_points
from simulator.sweep.store import SweepStore
from simulator.sweep.summary import summarize
from tests.command import ROOT, run

NETWORK = """
name: tiny
source: made up for tests
layers:
  - {name: one, fc: {k: 40, n: 30}}
  - {name: two, fc: {k: 30, n: 10}, inputs: [one]}
"""


@pytest.fixture
def network(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(NETWORK)
    return file


def _spec(folder: Path, network: Path, grid: dict[str, list[Any]], **more: object) -> Path:
    file = folder / "spec.yaml"
    file.write_text(json.dumps({"name": "test", "networks": [str(network)], "grid": grid, **more}))
    return file


def _files(store: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((store / "points").iterdir())}


def _jobs(spec: SweepSpec) -> list[Job]:
    return [job for job in plan(sweep_points(spec)) if isinstance(job, Job)]


def test_points_are_every_combination_then_those_written_out() -> None:
    spec = SweepSpec(
        networks=("a", "b"),
        macs=("int8", "elma8"),
        grid={"array.rows": [8, 16], "array.columns": [4]},
        points=({"array.rows": 2},),
    )
    points = sweep_points(spec)
    expected = [
        SweepPoint(network, "int8_32x32", mac, None, settings)
        for network, mac, settings in itertools.product(
            ("a", "b"),
            ("int8", "elma8"),
            (
                {"array.rows": 8, "array.columns": 4},
                {"array.rows": 16, "array.columns": 4},
                {"array.rows": 2},
            ),
        )
    ]
    assert points == expected
    assert spec.size == len(points)


def test_a_sweep_without_fields_is_its_networks_and_macs() -> None:
    spec = SweepSpec(networks=("a",), macs=("int8", "elma8"), batches=(1, 2))
    assert spec.size == len(sweep_points(spec)) == 4


def test_a_key_changes_with_whatever_decides_the_result_and_only_then(tmp_path: Path, network: Path) -> None:
    def key(**settings: Any) -> str:
        (job,) = plan([SweepPoint(str(network), "int8_32x32", None, None, settings)])
        assert isinstance(job, Job)
        return job.key

    assert key() == key() == key(**{"array.rows": 32})
    assert len({key(), key(**{"array.rows": 16}), key(clock_mhz=400)}) == 3
    before = key()
    network.write_text(NETWORK.replace("n: 10", "n: 11"))
    assert key() != before


def test_the_command_shows_front_and_keeps_results(
    tmp_path: Path, network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = _spec(tmp_path, network, {"array.rows": [8, 16, 32]})
    outcome = run(capsys, "sweep", spec, "--jobs", "1", "--csv", tmp_path / "out.csv").must_succeed()
    assert "test: 3 of 3 points have results" in outcome.stdout
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [row["array.rows"] for row in rows] == ["8", "16", "32"]
    alone = simulate(str(network), overrides={"array.rows": 16})
    assert float(rows[1]["energy_pj"]) == alone.totals.energy_pj
    files = _files(tmp_path / "spec.store")
    wanted = alone.model_dump_json().removesuffix("}").encode()
    assert [content.rpartition(b',"sealed":')[0] for content in files.values()].count(wanted) == 1
    again = run(capsys, "sweep", spec, "--json").must_succeed()
    assert len(json.loads(again.stdout)["points"]) == 3
    assert _files(tmp_path / "spec.store") == files


def test_a_point_that_cannot_be_is_reported_and_loses_no_other(
    tmp_path: Path, network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = _spec(tmp_path, network, {"array.rows": [8, 0]})
    outcome = run(capsys, "sweep", spec, "--jobs", "1", "--json")
    assert outcome.exit_code == 1
    assert "array.rows" in outcome.stderr
    good, bad = json.loads(outcome.stdout)["points"]
    assert good["energy_pj"] > 0
    assert bad["energy_pj"] is None
    assert "array.rows" in bad["problem"]


def test_finished_points_are_never_computed_again(tmp_path: Path, network: Path) -> None:
    jobs = _jobs(SweepSpec(networks=(str(network),), grid={"array.rows": [8, 16, 32]}))
    told: list[tuple[int, int]] = []

    def progress(_: str, done: int, total: int) -> None:
        told.append((done, total))

    with SweepStore(tmp_path / "store") as store, local_processes(1) as workers:
        assert run_stored(jobs[:2], store, workers) == {}
        stamps = {job.key: store.path(job.key).stat().st_mtime_ns for job in jobs[:2]}
        assert run_stored(jobs, store, workers, progress=progress) == {}
        assert {key: store.path(key).stat().st_mtime_ns for key in stamps} == stamps
    assert told == [(2, 3), (3, 3)]


def test_each_network_has_its_own_front_over_the_objectives_chosen(tmp_path: Path, network: Path) -> None:
    spec = SweepSpec(networks=(str(network), "alexnet"), grid={"array.rows": [8, 32]})
    points, planned = sweep_points(spec), plan(sweep_points(spec))
    with SweepStore(tmp_path / "store") as store, local_processes(2) as workers:
        run_stored([job for job in planned if isinstance(job, Job)], store, workers)
        summary = summarize(points, planned, store, {}, ["latency_ms", "area_um2"])
    assert [metric.key for metric in summary.objectives] == ["latency_ms", "area_um2"]
    for name in spec.networks:
        entries = [entry for entry in summary.entries if entry.point.network == name]
        found = [entry.figures for entry in entries if entry.figures]
        metrics = find_metrics(["latency_ms", "area_um2"])
        best = {min(range(2), key=lambda i: found[i].value(metric) or 0) for metric in metrics}
        chosen = {
            i for i, e in enumerate(e for e in summary.entries if e.point.network == name) if e.on_front
        }
        assert best <= chosen
    assert set(summary.figures()) == {str(network), "alexnet"}


def _claim_and_wait(folder: str, key: str, claimed: Any) -> None:
    with SweepStore(Path(folder)) as store:
        assert store.claim(key)
        claimed.set()
        time.sleep(600)


def test_a_claim_keeps_other_processes_out_and_ends_with_its_owner(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    claimed = context.Event()
    key = "ab" * 32
    with SweepStore(tmp_path / "store") as store:
        half_written = store.path(key).with_name(f".{key}.json.1.part")
        owner = context.Process(target=_claim_and_wait, args=(str(store.folder), key, claimed))
        owner.start()
        assert claimed.wait(60)
        assert not store.claim(key)
        assert store.claim("cd" * 32)
        half_written.write_text("{")
        with SweepStore(store.folder):
            assert half_written.exists()
        assert owner.pid is not None
        os.kill(owner.pid, signal.SIGKILL)
        owner.join()
        assert store.claim(key)
        store.release(key)
    SweepStore(tmp_path / "store").close()
    assert not half_written.exists()


def _sweep_process(spec: Path, store: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", "sweep", str(spec), "--store", str(store), "--jobs", "2", "-q"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, int]:
    """A sweep of 500 points run undisturbed: its specification, its store, its size."""
    folder = tmp_path_factory.mktemp("large")
    network = folder / "tiny.yaml"
    network.write_text(NETWORK)
    spec = _spec(
        folder,
        network,
        {
            "array.rows": [8, 12, 16, 24, 32],
            "array.columns": [8, 12, 16, 24, 32],
            "sram.ifmap.capacity_kib": [16, 32, 64, 128, 256],
        },
        macs=["int8", "elma8", "posit8", "fp8"],
    )
    assert _sweep_process(spec, folder / "undisturbed").wait() == 0
    return spec, folder / "undisturbed", 500


@pytest.mark.slow
def test_five_hundred_points(large: tuple[Path, Path, int]) -> None:
    _, store, size = large
    files = list((store / "points").iterdir())
    assert len(files) == size
    for file in files[::50]:
        assert load_result(file).network.name == "tiny"


@pytest.mark.slow
def test_killed_ten_times_and_resumed_it_ends_with_the_same_bytes(
    large: tuple[Path, Path, int], tmp_path: Path
) -> None:
    spec, undisturbed, size = large
    store = tmp_path / "store"
    draw = random.Random(7)
    kills = 0
    grown = 0
    while kills < 10:
        process = _sweep_process(spec, store)
        target = min(size - 30, grown + draw.randrange(1, 45))
        while process.poll() is None and len(list(store.glob("points/[0-9a-f]*.json"))) < target:
            time.sleep(0.01)
        assert process.poll() is None, "the sweep ended before it could be killed"
        process.kill()
        process.wait()
        kills += 1
        grown = len(list(store.glob("points/[0-9a-f]*.json")))
        assert grown < size
    assert _sweep_process(spec, store).wait() == 0
    assert _files(store) == _files(undisturbed)


@pytest.mark.slow
def test_two_processes_share_a_store(large: tuple[Path, Path, int], tmp_path: Path) -> None:
    spec, undisturbed, _ = large
    store = tmp_path / "store"
    processes = [_sweep_process(spec, store) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert _files(store) == _files(undisturbed)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers on loopback, each a process of its own."""
    pytest.importorskip("distributed")
    address_file = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    processes = [_quiet([*command, "--no-dashboard", "--scheduler-file", str(address_file)])]
    try:
        address = _address(address_file)
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
        options = ["--no-dashboard", "--no-nanny", "--local-directory", str(tmp_path)]
        processes += [_quiet([*worker, *options]) for _ in range(2)]
        yield address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _quiet(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _address(file: Path) -> str:
    for _ in range(600):
        if file.is_file() and file.read_text():
            return str(json.loads(file.read_text())["address"])
        time.sleep(0.1)
    raise TimeoutError("the scheduler did not start")


@pytest.mark.slow
def test_a_dask_cluster_that_loses_a_worker_gives_the_same_bytes(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path, network: Path
) -> None:
    import distributed

    connect: Any = distributed.Client
    address, workers = cluster
    with connect(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    spec = _spec(tmp_path, network, {"dram.latency_ns": list(range(1, 41))})
    command = [sys.executable, "-m", "simulator", "sweep", str(spec), "-q", "--dask", address]
    sweep = subprocess.Popen([*command, "--store", str(tmp_path / "dask")], cwd=ROOT)
    while len(list((tmp_path / "dask").glob("points/*.json"))) < 5:
        assert sweep.poll() is None
        time.sleep(0.01)
    workers[0].kill()
    assert sweep.wait(timeout=120) == 0
    jobs = _jobs(SweepSpec(networks=(str(network),), grid={"dram.latency_ns": list(range(1, 41))}))
    with SweepStore(tmp_path / "local") as store, local_processes(2) as local:
        run_stored(jobs, store, local)
    assert _files(tmp_path / "dask") == _files(tmp_path / "local")
    assert len(_files(tmp_path / "local")) == 40
