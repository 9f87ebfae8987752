"""Schedulers and workers that die, hang, or run other code: one sentence in time, finished points kept."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.foundation import UserError
from simulator.foundation.code_version import code_version
from simulator.result import load_result
from simulator.sweep.executors import Workers, _Scheduler, dask_cluster, local_processes
from simulator.sweep.jobs import DEFECT, Job, plan, run_job
from simulator.sweep.runner import run_stored
from simulator.sweep.spec import SweepSpec, sweep_points
from simulator.sweep.store import SweepStore
from tests.command import ROOT, run
from tests.hostile.cluster_processes import Cluster, Process, cluster, kill, start_worker, threads_at, until

NETWORK = "{name: one, source: written for this test, layers: [{name: fc1, fc: {k: 64, n: 10}}]}"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A sweep of 2,000 points, which nobody finishes here."""
    (tmp_path / "one.yaml").write_text(NETWORK)
    path = tmp_path / "spec.yaml"
    rows, columns = list(range(4, 54)), list(range(4, 44))
    path.write_text(
        f"networks: [{tmp_path / 'one.yaml'}]\ngrid: {{array.rows: {rows}, array.columns: {columns}}}\n"
    )
    return path


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster without workers."""
    pytest.importorskip("distributed")
    with cluster(tmp_path / "scheduler.json", workers=0) as found:
        yield found


@pytest.fixture
def worker(scheduler: Cluster) -> Process:
    scheduler.workers.append(start_worker(scheduler.file))
    until(lambda: threads_at(scheduler.file) == 1)
    return scheduler.workers[0]


def sweep(spec: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "simulator", "sweep", str(spec), "-q", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def points(spec: Path) -> list[Path]:
    return list(spec.with_suffix(".store").glob("points/[0-9a-f]*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGSTOP])
def test_a_scheduler_that_dies_or_hangs_is_noticed_within_15_s(
    way: signal.Signals,
    spec: Path,
    scheduler: Cluster,
    worker: Process,
) -> None:
    assert worker.poll() is None
    process = sweep(spec, "--dask", str(scheduler.file))
    until(lambda: len(points(spec)) > 5 or process.poll() is not None)
    scheduler.scheduler.send_signal(way)
    began_s = time.monotonic()
    out, error = process.communicate(timeout=240)
    assert time.monotonic() - began_s < 15 + 3  # the last is for a process to end on a busy machine
    assert process.returncode == 2
    assert out == ""
    assert error.count("\n") == 1
    assert "what is finished is kept" in error
    kept = points(spec)
    assert len(kept) > 5
    for file in kept:
        load_result(file)


@pytest.mark.slow
def test_a_cluster_that_has_lost_its_workers_is_told(
    spec: Path,
    scheduler: Cluster,
    worker: Process,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would be waited for without end."""
    monkeypatch.setattr("simulator.sweep.executors.LONGEST_WITHOUT_WORKERS_S", 3.0)

    def end() -> None:
        until(lambda: len(points(spec)) > 5)
        kill(worker)

    killer = threading.Thread(target=end)
    killer.start()
    outcome = run(capsys, "sweep", spec, "--dask", scheduler.file, "-q")
    killer.join()
    outcome.must_refuse("the Dask cluster has had no workers for 3 s; what is finished is kept")
    assert outcome.stderr.count("\n") == 1
    assert len(points(spec)) > 5


@pytest.mark.slow
def test_workers_that_come_back_in_time_go_on(
    tmp_path: Path,
    scheduler: Cluster,
    worker: Process,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "one.yaml").write_text(NETWORK)
    path = tmp_path / "spec.yaml"
    path.write_text(f"networks: [{tmp_path / 'one.yaml'}]\ngrid: {{array.rows: {list(range(4, 300))}}}\n")

    def replace() -> None:
        until(lambda: len(points(path)) > 5)
        kill(worker)
        time.sleep(4)
        scheduler.workers.append(start_worker(scheduler.file))

    replacer = threading.Thread(target=replace)
    replacer.start()
    run(capsys, "sweep", path, "--dask", scheduler.file, "-q").must_succeed()
    replacer.join()
    assert len(points(path)) == 296


@pytest.mark.slow
def test_workers_with_other_code_are_refused(tmp_path: Path, scheduler: Cluster) -> None:
    other = tmp_path / "other"
    shutil.copytree(ROOT / "simulator", other / "simulator", ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "simulator" / "result.py").open("a") as file:
        file.write("# another line\n")
    process = start_worker(scheduler.file, other)
    try:
        time.sleep(3)
        with pytest.raises(UserError) as caught, dask_cluster(str(scheduler.file)):
            pass
        assert "1 of 1 workers of the Dask cluster run other code: tcp://127.0.0.1:" in str(caught.value)
        assert f"workers with {code_version()}" in str(caught.value)
    finally:
        process.kill()
        process.wait()


class _Answers:
    """A client in place of Dask's, whose workers answer this."""

    def __init__(self, answers: dict[str, object]) -> None:
        self._answers = answers

    def run(self, *_: object, **__: object) -> dict[str, object]:
        return self._answers


class _Broken:
    """A client in place of Dask's, with which asking fails so often because a connection is lost."""

    def __init__(self, failures: int) -> None:
        self.left = failures

    def run(self, *_: object, **__: object) -> dict[str, object]:
        self.left -= 1
        if self.left >= 0:
            raise ConnectionResetError("in <TCP (closed) ConnectionPool.broadcast>")
        return {"tcp://a:1": code_version()}


def test_workers_are_asked_again_where_a_connection_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.sweep.executors._ASK_AGAIN_AFTER_S", 0.01)
    broken = _Broken(3)
    _Scheduler(broken, "x").require_same_code()
    assert broken.left == -1
    monkeypatch.setattr("simulator.sweep.executors._LONGEST_SILENCE_S", 0.1)
    with pytest.raises(UserError, match="workers of the Dask cluster cannot run this package"):
        _Scheduler(_Broken(10**6), "x").require_same_code()


class _Busy:
    """A client in place of Dask's, whose scheduler answers only when it has been asked so often."""

    def __init__(self, asked: int) -> None:
        self.left, self.scheduler = asked, self

    def ncores(self) -> None:
        """What is asked."""

    def sync(self, *_: object, **__: object) -> dict[str, int]:
        self.left -= 1
        if self.left > 0:
            raise TimeoutError
        return {"tcp://a:1": 4}


def test_a_scheduler_that_is_busy_at_first_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.sweep.executors._ASK_AGAIN_AFTER_S", 0.01)
    assert _Scheduler(_Busy(3), "x").first_threads() == 4
    monkeypatch.setattr("simulator.sweep.executors._LONGEST_SILENCE_S", 0.1)
    with pytest.raises(UserError, match="the Dask scheduler does not answer any more"):
        _Scheduler(_Busy(10**6), "x").first_threads()


def test_a_worker_that_is_lost_while_it_is_asked_has_no_other_code() -> None:
    lost, own = ConnectionResetError("closed"), code_version()
    _Scheduler(_Answers({"tcp://a:1": own, "tcp://b:1": lost}), "x").require_same_code()
    with pytest.raises(
        UserError, match=r"1 of 2 workers of the Dask cluster run other code: tcp://c:1 has 0\.0"
    ):
        _Scheduler(
            _Answers({"tcp://a:1": own, "tcp://b:1": lost, "tcp://c:1": "0.0"}), "x"
        ).require_same_code()
    broken = ModuleNotFoundError("No module named 'simulator'")
    with pytest.raises(UserError, match="run other code: tcp://d:1 has No module named 'simulator'"):
        _Scheduler(_Answers({"tcp://d:1": broken}), "x").require_same_code()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:1", "tcp://127.0.0.1:1", "tcp://", "://", "nothing://a:1", "tcp://[::1",
        "tcp://127.0.0.1:99999999", "http://127.0.0.1:1", "inproc://1/2/3", "a b c",
    ],
)  # fmt: skip
def test_an_address_of_any_form_is_refused_in_one_line(
    address: str, spec: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("simulator.sweep.executors._CONNECT_TIMEOUT_S", 0.5)
    outcome = run(capsys, "sweep", spec, "--dask", address, "-q")
    outcome.must_refuse("no Dask scheduler answers at this address", address)
    assert outcome.stderr.count("\n") == 1


@pytest.mark.parametrize("address", ["foo", "tcp://", "xyz://a:1", "a:b", "a:1:2", "inproc://1/2/3"])
def test_no_client_is_made_of_what_is_no_address(
    address: str, spec: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a client would wait 20 s at its end and print a traceback."""
    distributed = pytest.importorskip("distributed")
    made: list[str] = []

    def note(target: str, **_: object) -> None:
        made.append(target)
        raise OSError

    monkeypatch.setattr(distributed, "Client", note)
    run(capsys, "sweep", spec, "--dask", address, "-q").must_refuse("no Dask scheduler answers", address)
    assert made == []


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (None, "No such file"),
        ("{", "is not a scheduler file"),
        ("[1]", "it has no address"),
        ('{"address": 7}', "it has no address"),
        ('{"address": "tcp://127.0.0.1:1"}', "no Dask scheduler answers at this address"),
    ],
)
def test_a_scheduler_file_that_leads_nowhere_is_refused(
    text: str | None,
    part: str,
    spec: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("simulator.sweep.executors._CONNECT_TIMEOUT_S", 0.5)
    file = tmp_path / "scheduler.json"
    if text is not None:
        file.write_text(text)
    run(capsys, "sweep", spec, "--dask", file, "-q").must_refuse(part, "scheduler.json")


def test_a_killed_local_worker_is_told_and_what_is_finished_is_kept(spec: Path) -> None:
    process = sweep(spec, "--jobs", "2")
    until(lambda: len(points(spec)) > 5 or process.poll() is not None)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [
        int(child)
        for child in children
        if "resource_tracker" not in Path(f"/proc/{child}/cmdline").read_text()
    ]
    os.kill(workers[0], signal.SIGKILL)
    out, error = process.communicate(timeout=240)
    assert process.returncode == 2
    assert out == ""
    assert error.count("\n") == 1
    assert "a worker process ended early: killed" in error
    for file in points(spec):
        load_result(file)


def test_a_defect_in_a_worker_keeps_its_traceback(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Job) -> None:
        raise KeyError("it")

    monkeypatch.setattr("simulator.sweep.jobs._simulated", broken)
    (job,) = [
        job
        for job in plan(sweep_points(SweepSpec(networks=(str(tmp_path / "one.yaml"),))))
        if isinstance(job, Job)
    ]
    outcome = run_job(job)
    assert outcome.problem == f"{DEFECT}: KeyError: 'it'"
    assert outcome.traceback is not None
    assert "in broken" in outcome.traceback

    from concurrent.futures import ThreadPoolExecutor

    with SweepStore(tmp_path / "store") as store, ThreadPoolExecutor(1) as threads:
        failures = run_stored([job], store, Workers(threads, 1))
        assert failures == {job.key: outcome.problem}
        assert "in broken" in store.defects.read_text()
    SweepStore(tmp_path / "store").close()  # the log is no foreign file


def test_processes_end_at_once_when_a_block_fails() -> None:
    began_s = time.monotonic()
    with pytest.raises(RuntimeError), local_processes(1) as workers:
        hand_over_and_fail(workers)
    assert time.monotonic() - began_s < 20


def hand_over_and_fail(workers: Workers) -> None:
    workers.executor.submit(time.sleep, 0.01).result()
    workers.executor.submit(time.sleep, 600)
    raise RuntimeError
