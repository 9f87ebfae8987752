"""`python -m tests.hostile.interrupting N [SEED]`: Ctrl-C at random moments ends in one line and exit 130.

The moment is drawn over the time that a command takes undisturbed, from the start of the interpreter on.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.command import ROOT
from tests.hostile.disturbed import LONGEST_S, NETWORK, SWEEP

COMMANDS: Final = {
    "simulate": ("simulate", "n.yaml", "--out", "out"),
    "infer": ("infer", "lenet5_fashion", "--images", "150", "--save", "out"),
    "sweep": ("sweep", "s.yaml", "--jobs", "2"),
    "report": ("report", "made", "-o", "out/r.html"),
}


_BEFORE_THE_COMMAND: Final = (
    b"init_import_site: Failed to import the site module",
    b"Could not import runpy module",
)
"""What Python itself says of Ctrl-C before it runs the first line of the command."""


def main() -> None:
    """Try N moments, the commands by turns, and print what came of them."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs have it ignored
    tried, ended, failures = trials(count, seed=seed)
    if not ended.total():
        failures.append("no command was interrupted")
    rows = [f"| {name} | {tried[name]} | {ended[name]} |" for name in COMMANDS]
    head = ["| command | trials | exit 130 (others had ended) |", "|---|---:|---:|"]
    sys.stdout.write("\n".join([*head, *rows, *failures]) + "\n")
    sys.exit(bool(failures))


def trials(count: int, *, seed: int) -> tuple[Counter[str], Counter[str], list[str]]:
    """Trials and interrupted ones by command, and what went wrong."""
    tried, ended, failures = Counter[str](), Counter[str](), list[str]()
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "n.yaml").write_text(NETWORK)
        (folder / "s.yaml").write_text(SWEEP)
        _timed(folder, ("simulate", "n.yaml", "--out", "made", "-q"))
        for number in range(count):
            name = list(COMMANDS)[number % len(COMMANDS)]
            if name not in seconds:
                _timed(folder, COMMANDS[name])
                seconds[name] = _timed(folder, COMMANDS[name])
            moment_s = random.Random(f"{seed}:{number}").random() * seconds[name]
            code, out, error = _interrupted(folder, COMMANDS[name], moment_s)
            tried[name] += 1
            ended[name] += code == 130
            problem = _problem(code, error)
            left = [path.name for path in (folder / "out").glob(".*")] if (folder / "out").is_dir() else []
            if problem or left:
                what = (
                    f"{name} after {moment_s:.3f} s: exit {code}, {problem or left}, stderr {error[:400]!r}"
                )
                failures.append(f"trial {number}, {what}, {len(out)} bytes on stdout")
    return tried, ended, failures


def _problem(code: int, error: bytes) -> str:
    """What is wrong with how a command ended, or nothing."""
    if code == 0:
        return ""
    if code != 130:
        return "" if any(what in error for what in _BEFORE_THE_COMMAND) else "not 130"
    lines = error.splitlines()
    # Before the interpreter runs the first line of the command nobody can say anything.
    last = lines.pop() if lines else b"systolic: interrupted"
    told = [line for line in lines if b"the rest will take about" not in line and b"overwrote" not in line]
    return "" if last == b"systolic: interrupted" and not told else "more than a line"


def _forget_points(folder: Path) -> None:
    """Let a sweep begin anew."""
    for point in folder.glob("*.store/points/*"):
        point.unlink()


def _timed(folder: Path, arguments: tuple[str, ...]) -> float:
    _forget_points(folder)
    began_s = time.monotonic()
    process = _start(folder, arguments)
    _, error = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, error
    return time.monotonic() - began_s


def _interrupted(folder: Path, arguments: tuple[str, ...], moment_s: float) -> tuple[int, bytes, bytes]:
    _forget_points(folder)
    process = _start(folder, arguments)
    time.sleep(moment_s)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    out, error = process.communicate(timeout=LONGEST_S)
    return process.returncode, out, error


def _start(folder: Path, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


if __name__ == "__main__":
    main()
