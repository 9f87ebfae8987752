"""Commands that are disturbed at a random moment, and run again: files are those of an undisturbed run.

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
from collections.abc import Callable, Mapping, Sequence
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

_LOADED: Final = ("simulator.inference", "simulator.sweep.runner", "simulator.simulation")

Files = Mapping[str, bytes]


@dataclass
class Undisturbed:
    """What a command writes where nothing disturbs it, what it prints, and how long it takes."""

    files: Files
    stdout: bytes
    seconds: float


Disturb = Callable[["Command", Path, Undisturbed, random.Random], bool]
"""Runs a command in a folder and disturbs it; whether it still ran. Asserts how it must have ended."""


@dataclass(frozen=True)
class Command:
    """A command, the folders or stores that it writes, and how it is disturbed.

    Attributes:
        arguments: of the command.
        writes: folders whose files are compared.
        disturb: ends it, or what it needs, at a moment of its own.
        processes: how many of it run side by side.
        finish: arguments of the runs that must not be disturbed, where they are others.
    """

    arguments: tuple[str, ...]
    writes: tuple[str, ...]
    disturb: Disturb
    processes: int = 1
    finish: tuple[str, ...] | None = None

    @property
    def to_its_end(self) -> tuple[str, ...]:
        """Arguments of a run that nothing disturbs."""
        return self.arguments if self.finish is None else self.finish


@dataclass
class Report:
    """Trials of each command, those in which it was still running when it was killed, and what went wrong."""

    trials: Counter[str] = field(default_factory=Counter)
    in_time: Counter[str] = field(default_factory=Counter)
    left_over: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Figures as Markdown."""
        lines = ["| what | trials | disturbed before the end | left `.part` behind |", "|---|---:|---:|---:|"]
        lines += [f"| {n} | {c} | {self.in_time[n]} | {self.left_over[n]} |" for n, c in self.trials.items()]
        return "\n".join(lines)


def trials(
    commands: Mapping[str, Command],
    order: Sequence[str],
    count: int,
    *,
    seed: int,
    sweep: str = SWEEP,
    told: TextIO | None = None,
) -> Report:
    """Do so many trials by turns; trial number n of a seed draws the same moment, as a share of the time."""
    report = Report()
    known: dict[tuple[str, ...], Undisturbed] = {}
    for number in range(count):
        name = order[number % len(order)]
        command, draw = commands[name], random.Random(f"{seed}:{number}")
        if command.to_its_end not in known:
            known[command.to_its_end] = undisturbed(command, sweep)
        expected = known[command.to_its_end]
        with tempfile.TemporaryDirectory() as scratch:
            folder = prepared(Path(scratch), sweep)
            report.in_time[name] += command.disturb(command, folder, expected, draw)
            problems = _broken(folder, command, expected)
            report.left_over[name] += any(path.name.endswith(".part") for path in folder.rglob(".*"))
            code, out, error = run_to_its_end(command, folder)
            after = files_in(folder, command.writes)
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


def prepared(folder: Path, sweep: str = SWEEP) -> Path:
    """The folder, with what the commands read."""
    (folder / "n.yaml").write_text(NETWORK)
    (folder / "s.yaml").write_text(sweep)
    return folder


class Running:
    """A command in a forked process, whose modules are loaded already: what is killed is its work."""

    def __init__(self, arguments: tuple[str, ...], folder: Path, limit_bytes: int | None = None) -> None:
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


def run_to_its_end(command: Command, folder: Path) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of a run that nothing disturbs."""
    process = Running(command.to_its_end, folder)
    out, error = process.communicate()
    assert process.returncode is not None
    return process.returncode, out, error


def undisturbed(command: Command, sweep: str = SWEEP) -> Undisturbed:
    """A second run is timed: kernels are compiled in the first."""
    for _ in range(2):
        with tempfile.TemporaryDirectory() as scratch:
            folder = prepared(Path(scratch), sweep)
            began_s = time.monotonic()
            code, out, error = run_to_its_end(command, folder)
            took_s = time.monotonic() - began_s
            assert code == 0, error
            found = Undisturbed(files_in(folder, command.writes), out, took_s)
    return found


def files_in(folder: Path, written: Sequence[str]) -> dict[str, bytes]:
    """Files by path, those that begin with a dot left out: they are half written."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for name in written
        for path in sorted((folder / name).rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def _broken(folder: Path, command: Command, expected: Undisturbed) -> list[str]:
    """Files that are there, and are not what they will be in the end."""
    found = files_in(folder, command.writes)
    return [f"{name} is half written" for name in found if found[name] != expected.files.get(name)]


def _difference(found: Files, expected: Files) -> str:
    names = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    return ", ".join(names[:5])


def main_of_trials(
    commands: Mapping[str, Command], order: Sequence[str], *, sweep: str = SWEEP, loaded: Sequence[str] = ()
) -> None:
    """Do as many trials as the command line says, with its seed, and print what came of them."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for module in (*_LOADED, *loaded):
        importlib.import_module(module)
    report = trials(commands, order, count, seed=seed, sweep=sweep, told=sys.stderr)
    sys.stdout.write("\n".join([report.table(), *report.failures]) + "\n")
    sys.exit(bool(report.failures))
