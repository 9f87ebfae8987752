"""Whose turn it is to compile a kernel, among processes that start together with an empty cache."""

from __future__ import annotations

import os
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: every process compiles for itself
    fcntl = None  # type: ignore[assignment]

_LOOK_AGAIN_S = 0.05
_PATIENCE_S = 300.0
"""A kernel compiles in seconds; one that takes longer hangs, and waiting is no use."""


class Turn:
    """A lock on one kernel of one cache folder, held by at most one process; it ends with the process."""

    def __init__(self) -> None:
        self._file: int | None = None

    def take(self, folder: str | Path, kernel: str) -> bool:
        """Wait until no other process compiles the kernel.

        Returns:
            Whether to look for a result again: another process may have left one since the last look.
        """
        if fcntl is None or self._file is not None:
            return False
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            file = os.open(Path(folder) / f"{kernel}.lock", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:  # a folder that cannot be written keeps no results either
            return False
        waited, deadline = False, time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waited = True
            except OSError:  # a file system without locks
                break
            else:
                self._file = file
                return True
            if time.monotonic() > deadline:
                break
            time.sleep(_LOOK_AGAIN_S)
        os.close(file)
        return waited

    def give_back(self) -> None:
        """Let others take their turn; nothing happens without one."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
