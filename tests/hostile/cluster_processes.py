"""A Dask scheduler and its workers as processes of their own, which can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.command import ROOT

Process = subprocess.Popen[bytes]


@dataclass
class Cluster:
    """A scheduler, the file in which it says where it is, and its workers."""

    scheduler: Process
    file: Path
    workers: list[Process]


@contextmanager
def cluster(file: Path, *, workers: int) -> Iterator[Cluster]:
    """A cluster whose workers are there, until the block ends."""
    found = Cluster(start_scheduler(file), file, [])
    try:
        until(file.exists)
        found.workers = [start_worker(file) for _ in range(workers)]
        if workers:
            until(lambda: threads_at(file) == workers)
        yield found
    finally:
        for process in (found.scheduler, *found.workers):
            kill(process)


def kill(process: Process) -> None:
    """End a process, stopped ones too, and wait for its end."""
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()


def start_scheduler(file: Path) -> Process:
    """A scheduler that says in a file where it is."""
    return _start(
        "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
        "--scheduler-file", str(file),
    )  # fmt: skip


def start_worker(file: Path, path: Path = ROOT) -> Process:
    """A worker of one thread, with the package in `path`."""
    return _start(
        "distributed.cli.dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard",
        "--no-nanny", path=path,
    )  # fmt: skip


def _start(*module: str, path: Path = ROOT) -> Process:
    environment = {**os.environ, "PYTHONPATH": str(path)}
    return subprocess.Popen(
        [sys.executable, "-m", *module],
        cwd=path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def until(there: Callable[[], bool], timeout_s: float = 240) -> None:
    """Wait for something. Raises AssertionError where it does not happen in time."""
    ends_s = time.monotonic() + timeout_s
    while not there():
        assert time.monotonic() < ends_s, "it did not happen in time"
        time.sleep(0.05)


def threads_at(file: Path) -> int:
    """How many threads the scheduler's workers have, asked in a process of its own: clients have threads."""
    script = (
        "import sys, distributed\n"
        "with distributed.Client(scheduler_file=sys.argv[1], timeout=60) as client:\n"
        "    print(sum(client.ncores().values()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, check=False)
    return int(done.stdout or b"0")
