"""`python -m tests.hostile.killing_clusters N [SEED]`: schedulers and workers of Dask killed at any moment.

What is compared is what the same command leaves that runs without Dask and is not disturbed.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import pytest

from simulator.sweep import executors
from tests.hostile.cluster_processes import cluster, kill
from tests.hostile.disturbed import (
    Command,
    Disturb,
    Running,
    Undisturbed,
    files_in,
    main_of_trials,
    prepared,
)

Victims = Literal["scheduler", "a worker", "all workers", "scheduler and workers"]

SWEEP: Final = """networks: [n.yaml]
grid: {array.rows: [4, 5, 6, 7, 8, 9, 10, 11], array.columns: [4, 5, 6, 7, 8, 9, 10, 11]}
"""
WITHOUT_WORKERS_S: Final = 4.0
LONGEST_END_S: Final = 15 + 5.0
"""A lost scheduler is noticed within 15 s; the rest is for a process to end on a busy machine."""


def _seconds_over_dask(command: Command, expected: Undisturbed, known: dict[tuple[str, ...], float]) -> float:
    """How long the command takes on a cluster that nobody disturbs, which must give the expected bytes."""
    if command.arguments not in known:
        with tempfile.TemporaryDirectory() as scratch:
            folder = prepared(Path(scratch), SWEEP)
            with cluster(folder / "scheduler.json", workers=2):
                began_s = time.monotonic()
                process = Running(command.arguments, folder)
                out, error = process.communicate()
                known[command.arguments] = time.monotonic() - began_s
            assert process.returncode == 0, error
            assert out == expected.stdout
            assert files_in(folder, command.writes) == expected.files
    return known[command.arguments]


def _kill(victims: Victims) -> Disturb:
    """Kills these at a moment of the command, which must end in time: whole, or in one line that says why."""
    known: dict[tuple[str, ...], float] = {}

    def disturb(command: Command, folder: Path, expected: Undisturbed, draw: random.Random) -> bool:
        seconds = _seconds_over_dask(command, expected, known)
        with cluster(folder / "scheduler.json", workers=2) as running:
            began_s = time.monotonic()
            process = Running(command.arguments, folder)
            moment_s = draw.random() * seconds
            while process.poll() is None and time.monotonic() < began_s + moment_s:
                time.sleep(0.002)
            in_time = process.poll() is None
            dead = {
                "scheduler": [running.scheduler],
                "a worker": [running.workers[0]],
                "all workers": running.workers,
                "scheduler and workers": [running.scheduler, *running.workers],
            }[victims]
            for each in dead:
                kill(each)
            killed_s = time.monotonic()
            _, error = process.communicate()
            ended_s = time.monotonic()
            if victims == "a worker":
                assert process.returncode == 0, error
            else:
                assert process.returncode in (0, 2), error
                assert ended_s - killed_s < LONGEST_END_S, f"it took {ended_s - killed_s} s: {error!r}"
            if process.returncode == 2:
                told = error.splitlines()[-1]
                assert any(part in told for part in _TOLD), error
                assert all(b"from the store" in line for line in error.splitlines()[:-1]), error
        (folder / "scheduler.json").unlink(missing_ok=True)
        return in_time

    return disturb


_TOLD: Final = (
    b"what is finished is kept",
    b"no Dask scheduler answers at this address",
    b"the Dask cluster has no workers",
)

_SWEEP: Final = ("sweep", "s.yaml", "--json")
_INFER: Final = ("infer", "lenet5_fashion", "--json", "--images", "400", "--save", "out", "--store", "st")
_COMPARE: Final = (
    *("compare", "lenet5_fashion", "--data", "fashion_mnist_1000", "--images", "200", "--json"),
    *("--mac", "int8", "--mac", "elma8", "--out", "out", "--store", "st"),
)


def _over_dask(arguments: tuple[str, ...], writes: tuple[str, ...], victims: Victims) -> Command:
    return Command(
        (*arguments, "--dask", "scheduler.json"), writes, _kill(victims), finish=(*arguments, "--jobs", "1")
    )


COMMANDS: Final[Mapping[str, Command]] = {
    "sweep, scheduler": _over_dask(_SWEEP, ("s.store",), "scheduler"),
    "sweep, a worker": _over_dask(_SWEEP, ("s.store",), "a worker"),
    "sweep, all workers": _over_dask(_SWEEP, ("s.store",), "all workers"),
    "sweep, scheduler and workers": _over_dask(_SWEEP, ("s.store",), "scheduler and workers"),
    "infer, scheduler": _over_dask(_INFER, ("st", "out"), "scheduler"),
    "infer, a worker": _over_dask(_INFER, ("st", "out"), "a worker"),
    "compare, scheduler and workers": _over_dask(_COMPARE, ("st", "out"), "scheduler and workers"),
    "compare, a worker": _over_dask(_COMPARE, ("st", "out"), "a worker"),
}


def main() -> None:
    with pytest.MonkeyPatch.context() as patch:  # forked commands have it too
        patch.setattr(executors, "LONGEST_WITHOUT_WORKERS_S", WITHOUT_WORKERS_S)
        main_of_trials(COMMANDS, tuple(COMMANDS), sweep=SWEEP, loaded=("distributed",))


if __name__ == "__main__":
    main()
