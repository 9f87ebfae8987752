"""A copy of the tree in which one changed module is tried at a time; the tree itself is never touched."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.mutants.imports import dependents
from tools.mutants.settings import ModuleSettings
from tools.mutants.sites import Mutant

_OUTPUTS: Final = frozenset({"build", "dist", "out"})
"""Folders at the top of a tree that hold what was made from it."""

_ENVIRONMENT_LEFT_OUT: Final = ("COV_", "COVERAGE_", "NUMBA_", "PYTEST_", "PYTHON")
"""Settings of other runs, which could move caches out of the copy."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run of tests ended; `exit_code` is None after a timeout, negative for a signal."""

    exit_code: int | None
    seconds: float
    output: str


class Processes:
    """The processes that are running now, so that all can be ended at once."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(
        self, command: Sequence[str], folder: Path, environment: dict[str, str], timeout_s: float
    ) -> Finished:
        """Run a command, and end it with everything it started when its time is over."""
        began = time.monotonic()
        with self._lock:
            if self._stopped:
                return Finished(None, 0.0, "stopped")
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process)
        try:
            output, _ = process.communicate(timeout=timeout_s)
            exit_code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            _end(process)
            output, _ = process.communicate()
            exit_code = None
        finally:
            with self._lock:
                self._running.discard(process)
        return Finished(exit_code, time.monotonic() - began, output)

    def stop(self) -> None:
        """End all processes and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


class Workplace:
    """One copy of the tree.

    Args:
        root: the tree.
        folder: where its copy is made; must not exist.
        processes: what runs here is registered there.

    Nothing compiled outlives a change. Python recognises a changed source by its size and whole seconds, and
    numba looks only at the file that a kernel stands in, not at the files of the functions compiled into it.
    So before and after each change the bytecode of the changed module is removed, and the machine code of every
    module that takes names from it, directly or through others.
    """

    def __init__(self, root: Path, folder: Path, processes: Processes) -> None:
        def left_out(path: str, names: list[str]) -> set[str]:
            made = _OUTPUTS if Path(path) == root else frozenset()
            return {name for name in names if name.startswith(".") or name == "__pycache__" or name in made}

        shutil.copytree(root, folder, ignore=left_out, symlinks=True)
        self.folder = folder
        self._processes = processes
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(_ENVIRONMENT_LEFT_OUT)
        }
        fixed = {"PYTHONPATH": str(folder), "PYTHONHASHSEED": "0", "HYPOTHESIS_PROFILE": "mutants"}
        self._environment = {**kept, **fixed}

    def imports_from_here(self, module: str) -> bool:
        """Whether a process that is started here imports the copy of `module`, not an installed one."""
        dotted = ".".join(Path(module).with_suffix("").parts)
        program = f"import importlib.util; print(importlib.util.find_spec({dotted!r}).origin)"
        run = self._processes.run([sys.executable, "-c", program], self.folder, self._environment, 60)
        return run.exit_code == 0 and Path(run.output.strip()).resolve() == (self.folder / module).resolve()

    def run_tests(self, settings: ModuleSettings, timeout_s: float) -> Finished:
        """Run a module's fast tests until one fails."""
        options = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "--no-header", "--tb=line"]
        command = [sys.executable, "-m", "pytest", *options, *settings.tests]
        environment = self._environment
        if settings.kernels == "interpreted":
            environment = {**environment, "NUMBA_DISABLE_JIT": "1"}
        return self._processes.run(command, self.folder, environment, timeout_s)

    def source(self, module: str) -> str:
        """A module's text, line ends as they are."""
        return (self.folder / module).read_bytes().decode()

    @contextmanager
    def changed(self, mutant: Mutant) -> Iterator[None]:
        """The copy with a mutant in it, which is gone when the block ends."""
        path, source = self.folder / mutant.module, self.source(mutant.module)
        affected = dependents(self.folder, mutant.module)
        forget(path, affected)
        path.write_bytes(mutant.apply(source).encode())
        try:
            yield
        finally:
            path.write_bytes(source.encode())
            forget(path, affected)


def forget(changed: Path, affected: set[Path]) -> None:
    """Remove the bytecode of a changed file and the machine code of all `affected` ones."""
    for cached in (changed.parent / "__pycache__").glob(f"{changed.stem}.*.pyc"):
        cached.unlink()
    for path in affected:
        for pattern in (f"{path.stem}.*.nbi", f"{path.stem}.*.nbc"):
            for cached in (path.parent / "__pycache__").glob(pattern):
                cached.unlink()
