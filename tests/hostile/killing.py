"""`python -m tests.hostile.killing N [SEED]`: commands killed at random moments, and run again."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.hostile.disturbed import Command, Running, Undisturbed, files_in, main_of_trials


def _kill_all(command: Command, folder: Path, expected: Undisturbed, draw: random.Random) -> bool:
    """Start every process, and kill each at a moment of its own; whether one was still running."""
    processes = [Running(command.arguments, folder) for _ in range(command.processes)]
    moments_s = sorted(draw.random() * expected.seconds for _ in processes)
    began_s, in_time = time.monotonic(), False
    for process, moment_s in zip(processes, moments_s, strict=True):
        while process.poll() is None and time.monotonic() < began_s + moment_s:
            time.sleep(0.002)
        in_time |= process.poll() is None
        process.kill()
    for process in processes:
        process.communicate()
    return in_time


def _kill_worker(command: Command, folder: Path, expected: Undisturbed, draw: random.Random) -> bool:
    """Kill a worker of the command, which must then say so in one line or, where it had none yet, go on."""
    process = Running(command.arguments, folder)
    time.sleep(draw.random() * expected.seconds)
    workers = _children(process.pid)
    if workers:
        os.kill(draw.choice(workers), signal.SIGKILL)
    _, error = process.communicate()
    assert process.returncode in (0, 2), error
    if process.returncode == 2:
        assert error.count(b"\n") == 1, error
        assert b"what is finished is kept" in error, error
    return process.returncode == 2


def _children(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(n) for n in found if b"resource_tracker" not in Path(f"/proc/{n}/cmdline").read_bytes()]
    except OSError:
        return []


def _fill_disk(command: Command, folder: Path, expected: Undisturbed, draw: random.Random) -> bool:
    """Let no file grow beyond a random size, in place of a disk that is full; the command must say so."""
    largest = max(map(len, expected.files.values()))
    process = Running(command.arguments, folder, limit_bytes=draw.randrange(largest))
    out, error = process.communicate()
    assert process.returncode == 2, error
    assert out == b"", out
    assert error.count(b"\n") == 1, error
    assert b"cannot be written" in error, error
    assert files_in(folder, ("out",)) == {}
    return True


_SWEEP: Final = ("sweep", "s.yaml", "--jobs", "1", "--json")
_SIMULATE: Final = ("simulate", "n.yaml", "--json", "--out", "out")
_INFER: Final = ("infer", "lenet5_fashion", "--json", "--images", "150", "--save", "out")

COMMANDS: Final[Mapping[str, Command]] = {
    "sweep": Command(_SWEEP, ("s.store",), _kill_all),
    "sweep, two processes on one store": Command(_SWEEP, ("s.store",), _kill_all, processes=2),
    "sweep, four processes on one store": Command(_SWEEP, ("s.store",), _kill_all, processes=4),
    "sweep, worker killed": Command(("sweep", "s.yaml", "--jobs", "2", "--json"), ("s.store",), _kill_worker),
    "simulate --out": Command(_SIMULATE, ("out",), _kill_all),
    "infer --save": Command(_INFER, ("out",), _kill_all),
    "full disk": Command(_SIMULATE, ("out",), _fill_disk),
}
ORDER: Final = (
    *("sweep", "sweep, two processes on one store", "simulate --out", "sweep, four processes on one store"),
    *("infer --save", "sweep", "full disk", "sweep, two processes on one store", "infer --save"),
    "sweep, worker killed",
)  # fmt: skip
"""Which commands the trials take by turns."""


if __name__ == "__main__":
    main_of_trials(COMMANDS, ORDER)
