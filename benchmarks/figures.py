"""A measured figure beside what bounds it or what it is compared with, both from the same run."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
ONE_THREAD: Final = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
LIBRARIES: Final = ("numpy", "numba", "pydantic", "typer", "onnx", "onnxruntime")


@dataclass(frozen=True, slots=True)
class Spread:
    """Medians of repeated measurements, and the lowest and highest of them."""

    median: float
    lowest: float
    highest: float
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    def rates(self, amount: float) -> Spread:
        """How much is done in a unit of time, where each run took these times for an amount."""
        return Spread(amount / self.median, amount / self.highest, amount / self.lowest, self.runs)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a table.

    peer: what was measured beside it, in the same unit; `per_peer` is the figure divided by the peer's.
    goal: what `per_peer`, or the figure where there is no peer, should be: ("at most", 2.8).
    """

    name: str
    unit: str
    measured: Spread
    peer_name: str = ""
    peer: Spread | None = None
    goal: tuple[str, float] | None = None

    @property
    def per_peer(self) -> float | None:
        """The figure as a multiple of what it is compared with."""
        return None if self.peer is None else self.measured.median / self.peer.median

    @property
    def meets_goal(self) -> bool | None:
        """Whether the goal is met; None without one."""
        if self.goal is None:
            return None
        word, number = self.goal
        value = self.measured.median if self.per_peer is None else self.per_peer
        return value <= number if word == "at most" else value >= number


@dataclass(slots=True)
class Section:
    """What one benchmark has to say: figures, sentences below them, and what it left out and why."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def document(self, seconds: float, load: float) -> dict[str, Any]:
        """The section as plain data, with when and where it was measured."""
        return {
            **asdict(self),
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "seconds": round(seconds),
            "load_before": round(load, 1),
            "load_after": round(os.getloadavg()[0], 1),
            "machine": machine(),
            "versions": versions(),
        }


def cpu_spread(work: Callable[[], object], runs: int) -> Spread:
    """CPU seconds of this process, all threads, for some work, after a run that compiles and fills caches."""
    work()
    seconds = []
    for _ in range(runs):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return Spread.of(seconds)


def interleaved(commands: Mapping[str, Sequence[str]], runs: int, **variables: str) -> dict[str, Spread]:
    """CPU seconds (user and system) of whole Python processes, all commands in turn, one run uncounted.

    Bytecode is written before, as an installation does; BLAS and numba have one thread in every process.
    """
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT), **variables}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, arguments in commands.items():
            before = _children_s()
            command = [sys.executable, *arguments]
            subprocess.run(command, stdout=subprocess.DEVNULL, env=environment, check=True)
            if run:
                seconds[name].append(_children_s() - before)
    return {name: Spread.of(values) for name, values in seconds.items()}


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def machine() -> str:
    """Processor, cores that this process may use, operating system."""
    name = platform.processor() or platform.machine()
    lines = Path("/proc/cpuinfo")
    if lines.exists():
        models = [line for line in lines.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, {platform.system()}"


def versions() -> dict[str, str]:
    """Python's version and those of the libraries that take part; what is not installed is left out."""
    found = {"Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
