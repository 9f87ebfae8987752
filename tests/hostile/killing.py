"""`python -m tests.hostile.killing N [SEED]`: commands killed at random moments, and run again.

Each trial runs a command, ends it or what it needs at a moment drawn over the time that it takes undisturbed,
looks at what it has written, and runs it again to its end. Files must then be the bytes of a run that nothing
disturbed; before, each must be whole or not be there.
"""

from __future__ import annotations

import importlib
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn, TextIO

from simulator.cli import main as main_of_the_command

NETWORK: Final = """{name: two, source: written for this trial, layers: [
  {name: conv1, conv: {ifmap: 12, channels: 3, filters: 8, kernel: 3}}, {name: fc1, fc: {k: 800, n: 10}}]}
"""
SWEEP: Final = """networks: [n.yaml]
grid: {array.rows: [4, 5, 6, 7], array.columns: [4, 8]}
"""
LONGEST_S: Final = 900

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Command:
    """A command, the folder or store that it writes, and how many of it run side by side."""

    arguments: tuple[str, ...]
    writes: str
    processes: int = 1


COMMANDS: Final[Mapping[str, Command]] = {
    "sweep": Command(("sweep", "s.yaml", "--jobs", "1", "--json"), "s.store"),
    "sweep, two processes on one store": Command(("sweep", "s.yaml", "--jobs", "1", "--json"), "s.store", 2),
    "sweep, four processes on one store": Command(("sweep", "s.yaml", "--jobs", "1", "--json"), "s.store", 4),
    "sweep, worker killed": Command(("sweep", "s.yaml", "--jobs", "2", "--json"), "s.store"),
    "simulate --out": Command(("simulate", "n.yaml", "--json", "--out", "out"), "out"),
    "infer --save": Command(("infer", "lenet5_fashion", "--json", "--images", "150", "--save", "out"), "out"),
    "full disk": Command(("simulate", "n.yaml", "--json", "--out", "out"), "out"),
}
ORDER: Final = (
    *("sweep", "sweep, two processes on one store", "simulate --out", "sweep, four processes on one store"),
    *("infer --save", "sweep", "full disk", "sweep, two processes on one store", "infer --save"),
    "sweep, worker killed",
)  # fmt: skip
"""Which commands the trials take by turns."""

_LOADED: Final = ("simulator.inference", "simulator.sweep.runner", "simulator.simulation")


@dataclass
class Undisturbed:
    """What a command writes where nothing disturbs it, what it prints, and how long it takes."""

    files: Files
    stdout: bytes
    seconds: float


@dataclass
class Report:
    """Trials of each command, those in which it was still running when it was killed, and what went wrong."""

    trials: Counter[str] = field(default_factory=Counter)
    in_time: Counter[str] = field(default_factory=Counter)
    left_over: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Figures as Markdown."""
        lines = ["| what | trials | killed before the end | left `.part` behind |", "|---|---:|---:|---:|"]
        lines += [f"| {n} | {c} | {self.in_time[n]} | {self.left_over[n]} |" for n, c in self.trials.items()]
        return "\n".join(lines)


def run(count: int, *, seed: int, only: str | None = None, told: TextIO | None = None) -> Report:
    """Do so many trials; trial number n of a seed draws the same moment, as a share of the time."""
    report = Report()
    known: dict[tuple[str, str], Undisturbed] = {}
    for number in range(count):
        name = only or ORDER[number % len(ORDER)]
        command, draw = COMMANDS[name], random.Random(f"{seed}:{number}")
        key = (command.arguments[0], command.writes)
        if key not in known:
            known[key] = _undisturbed(command)
        expected = known[key]
        with tempfile.TemporaryDirectory() as scratch:
            folder = _prepared(Path(scratch))
            disturb = _DISTURB.get(name, _kill_all)
            report.in_time[name] += disturb(command, folder, expected, draw)
            problems = _broken(folder, command, expected)
            report.left_over[name] += any(path.name.endswith(".part") for path in folder.rglob(".*"))
            code, out, error = _run(command, folder)
            after = _files(folder / command.writes)
            if code != 0:
                problems.append(f"the second run ends with {code}: {error[:300]!r}")
            if after != expected.files:
                problems.append(f"files differ after the second run: {_difference(after, expected.files)}")
            if out != expected.stdout:
                problems.append("the second run prints something else")
        report.trials[name] += 1
        if told is not None:
            told.write(f"trial {number}, {name}: {problems or 'as undisturbed'}\n")
            told.flush()
        report.failures += [f"trial {number}, {name}: {problem}" for problem in problems]
    return report


def _prepared(folder: Path) -> Path:
    (folder / "n.yaml").write_text(NETWORK)
    (folder / "s.yaml").write_text(SWEEP)
    return folder


class _Running:
    """A command in a forked process, whose modules are loaded already: what is killed is its work."""

    def __init__(self, arguments: tuple[str, ...], folder: Path, limit_bytes: int | None) -> None:
        self._streams = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115 - closed at the end
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            _become(arguments, folder, limit_bytes, *(stream.fileno() for stream in self._streams))

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def communicate(self) -> tuple[bytes, bytes]:
        """Wait for its end; stdout and stderr."""
        ends_s = time.monotonic() + LONGEST_S
        while self.poll() is None:
            assert time.monotonic() < ends_s, "the command does not end"
            time.sleep(0.01)
        found = []
        for stream in self._streams:
            stream.seek(0)
            found.append(stream.read())
            stream.close()
        return found[0], found[1]


def _become(
    arguments: tuple[str, ...], folder: Path, limit_bytes: int | None, out: int, error: int
) -> NoReturn:
    """In the forked process: be the command."""
    code: int | str | None = 0
    try:
        os.chdir(folder)
        os.dup2(out, 1)
        os.dup2(error, 2)
        if limit_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing then fails as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
        sys.argv = ["systolic", *arguments]
        main_of_the_command()
        sys.stdout.flush()
    except SystemExit as end:
        code = end.code
    finally:
        os._exit(code if isinstance(code, int) else 0)


def _start(command: Command, folder: Path, limit_bytes: int | None = None) -> _Running:
    return _Running(command.arguments, folder, limit_bytes)


def _run(command: Command, folder: Path) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of a run to its end."""
    process = _start(command, folder)
    out, error = process.communicate()
    assert process.returncode is not None
    return process.returncode, out, error


def _undisturbed(command: Command) -> Undisturbed:
    """A second run is timed: kernels are compiled in the first."""
    for _ in range(2):
        with tempfile.TemporaryDirectory() as scratch:
            folder = _prepared(Path(scratch))
            began_s = time.monotonic()
            code, out, error = _run(command, folder)
            took_s = time.monotonic() - began_s
            assert code == 0, error
            found = Undisturbed(_files(folder / command.writes), out, took_s)
    return found


def _files(folder: Path) -> dict[str, bytes]:
    """Files by path, those that begin with a dot left out: they are half written."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def _broken(folder: Path, command: Command, expected: Undisturbed) -> list[str]:
    """Files that are there, and are not what they will be in the end."""
    found = _files(folder / command.writes)
    return [f"{name} is half written" for name in found if found[name] != expected.files.get(name)]


def _difference(found: Files, expected: Files) -> str:
    names = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    return ", ".join(names[:5])


def _kill_all(command: Command, folder: Path, expected: Undisturbed, draw: random.Random) -> bool:
    """Start every process, and kill each at a moment of its own; whether one was still running."""
    processes = [_start(command, folder) for _ in range(command.processes)]
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
    process = _start(command, folder)
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
    process = _start(command, folder, limit_bytes=draw.randrange(largest))
    out, error = process.communicate()
    assert process.returncode == 2, error
    assert out == b"", out
    assert error.count(b"\n") == 1, error
    assert b"cannot be written" in error, error
    assert _files(folder / "out") == {}
    return True


_DISTURB: Final[Mapping[str, Callable[[Command, Path, Undisturbed, random.Random], bool]]] = {
    "sweep, worker killed": _kill_worker,
    "full disk": _fill_disk,
}


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for module in _LOADED:
        importlib.import_module(module)
    report = run(count, seed=seed, told=sys.stderr)
    sys.stdout.write("\n".join([report.table(), *report.failures]) + "\n")
    sys.exit(bool(report.failures))


if __name__ == "__main__":
    main()
