"""The `systolic` command as a user meets it: exit code, stdout and stderr."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from simulator.cli import exit_code

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    exit_code: int
    stdout: str
    stderr: str

    def must_succeed(self) -> Outcome:
        assert self.exit_code == 0, self.stderr
        return self

    def must_refuse(self, *parts: str) -> Outcome:
        """One message on stderr with all `parts`, exit code 2, no traceback, nothing on stdout."""
        assert self.exit_code == 2, self.stderr or self.stdout
        assert "Traceback" not in self.stderr
        assert self.stdout == ""
        for part in parts:
            assert part in self.stderr
        return self


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Outcome:
    """Run the command in this process."""
    capsys.readouterr()
    code = exit_code([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return Outcome(code, captured.out, captured.err)


def run_process(*arguments: str | Path, cwd: Path | None = None) -> Outcome:
    """Run the command in a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-m", "simulator", *map(str, arguments)],
        cwd=cwd or ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(finished.returncode, finished.stdout, finished.stderr)
