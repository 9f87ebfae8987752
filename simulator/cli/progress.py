"""Progress of long work: a bar with the time left on a terminal, silence in a pipe or on request."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from simulator.foundation.callbacks import Progress

KERNEL_LOG = "simulator.kernels"
"""The logger that names each kernel as it is compiled."""


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Progress | None]:
    """A callback that draws a bar on stderr, or None where nobody would see it."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Bars(*columns, console=console, transient=True) as bars, compilation_announced(console.print):
        tasks: dict[str, int] = {}

        def advance(what: str, done: int, total: int) -> None:
            task = tasks.get(what)
            if task is None:
                task = tasks[what] = bars.add_task(what, total=total)
            bars.update(task, completed=done, total=total)  # type: ignore[arg-type]  # TaskID is an int

        yield advance


class _Announcement(logging.Handler):
    """Says once that kernels are being compiled."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say, self._said = say, False

    def emit(self, _record: logging.LogRecord) -> None:
        """Say it when the first kernel is compiled."""
        if not self._said:
            self._said = True
            self._say("Compiling kernels: once after an installation or an update, for up to a minute.")


@contextmanager
def compilation_announced(say: Callable[[str], None]) -> Iterator[None]:
    """Say once, while inside, that kernels are being compiled, if any are."""
    log = logging.getLogger(KERNEL_LOG)
    handler, level = _Announcement(say), log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
