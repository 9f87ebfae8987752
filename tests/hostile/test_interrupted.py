"""Errors that come of Ctrl-C, and what killed workers leave behind, are told in no second line."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

import simulator.cli.commands
from simulator.cli import exit_code
from tests.command import ROOT


def _as_python_311_does(_arguments: object) -> int:
    """An interruption inside `__set_name__`."""
    raise RuntimeError("Error calling __set_name__ on 'x' instance 'y' in 'Z'") from KeyboardInterrupt()


def test_an_interruption_that_python_wraps_is_no_defect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulator.cli.commands, "run", _as_python_311_does)
    assert exit_code(["networks"]) == 130
    assert capsys.readouterr().err == "systolic: interrupted\n"


DROPPED = """
import os, signal, sys, time, weakref
from simulator.cli.interruption import heed
class Thing: pass
heed()
thing = Thing()
def interrupted(_):
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000): pass  # the exception is raised in here
watched = weakref.ref(thing, interrupted)
began_s = time.monotonic()
try:
    del thing
    time.sleep(30)
except KeyboardInterrupt:
    print("caught", time.monotonic() - began_s < 4, flush=True)
class Broken:
    def __del__(self): raise ValueError("told as before")
Broken()
os._exit(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
def test_an_interruption_that_python_drops_comes_again_in_silence() -> None:
    """In a callback of a weak reference, as imports have them, exceptions are told of and dropped."""
    done = subprocess.run(
        [sys.executable, "-c", DROPPED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert done.stdout == "caught True\n"
    assert "KeyboardInterrupt" not in done.stderr
    assert "ValueError: told as before" in done.stderr


SCRIPT = """
import multiprocessing, os
{silence}
kept = multiprocessing.get_context("spawn").Lock()
os._exit(3)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no tracker there")
@pytest.mark.parametrize("is_silent", [False, True])
def test_semaphores_that_a_killed_process_leaves_are_removed_in_silence(is_silent: bool) -> None:
    silence = "from simulator.sweep.executors import _track_in_silence; _track_in_silence()"
    script = SCRIPT.format(silence=silence if is_silent else "")
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 3
    assert done.stdout == b""
    assert (b"leaked semaphore" in done.stderr) is not is_silent
    assert not is_silent or done.stderr == b""
