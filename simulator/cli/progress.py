"""Progress of long work: a bar with the time left on a terminal, silence in a pipe or on request."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from simulator.cli.streams import say
from simulator.foundation.callbacks import Progress
from simulator.foundation.memory_use import peak_bytes_with_workers

KERNEL_LOG = "simulator.kernels"
"""The logger that names each kernel as it is compiled."""


_LOOKED_AT_AFTER_S: Final = 5.0
_LONG_S: Final = 60.0
"""Work that takes longer is told how long beforehand, once its beginning shows it."""


_LEAST_SINCE_FIRST_S: Final = 2.0
_OTHERS_START_WITHIN_S: Final = 1.0
_FIRST_TELLS_AFTER_S: Final = 60.0


@dataclass(slots=True)
class _First:
    """When the first piece of work was seen to be done, and how many were then.

    `held` is how many were done when all workers had begun, and the most memory till then.
    """

    at_s: float
    done: int
    held: tuple[int, int | None]


@dataclass(slots=True)
class LaterMemory:
    """Memory that is taken only later, which what was done so far does not show.

    bytes_each: at the end, for each of what the result is of: layers or points.
    count: how many of them there are, 0 before it is known.
    further_bytes: on the way, for pieces that are larger than all so far.
    """

    bytes_each: int
    count: int = 0
    further_bytes: int = 0

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.bytes_each * self.count + self.further_bytes


class Estimate:
    """Says once, in a line on stderr, what the rest of some work will take, where it takes over a minute.

    Time and memory are judged by what the work's first seconds did, so that they hold for any machine. The
    first piece counts for little: workers start and kernels are compiled while it is made.
    """

    def __init__(
        self,
        clock_s: Callable[[], float] = time.monotonic,
        peak_bytes: Callable[[], int | None] = peak_bytes_with_workers,
        tell: Callable[[str], None] = say,
        *,
        later: LaterMemory | None = None,
    ) -> None:
        """`clock_s` gives the time in seconds, `peak_bytes` the most memory so far, None where unknown.

        later: what is taken when all is done.
        """
        self._later = later or LaterMemory(0)
        self._clock_s, self._peak_bytes, self._tell, self._said = clock_s, peak_bytes, tell, False
        self._what, self._began_s, self._before = "", 0.0, 0
        self._first: _First | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Look at how far the work is; a callback as commands take it.

        What is done at the first look at a kind of work may be from an earlier run, and counts for nothing.
        """
        if self._said:
            return
        if what != self._what:
            self._what, self._began_s, self._before, self._first = what, self._clock_s(), done, None
        now_s = self._clock_s()
        took_s, here = now_s - self._began_s, done - self._before
        if here >= 1 and self._first is None:
            self._first = _First(now_s, done, (done, self._peak_bytes()))  # with what even the first needs
        elif self._first is not None and now_s - self._first.at_s < _OTHERS_START_WITHIN_S:
            self._first.held = done, self._peak_bytes()
        if took_s < _LOOKED_AT_AFTER_S or self._first is None:
            return
        seconds_each = self._seconds_each(now_s, done, self._first)
        if seconds_each is None:
            return
        self._said = True
        left_s = seconds_each * (total - done)
        if left_s > _LONG_S:
            self._tell(
                f"{done:,} of {total:,} ({what}) are done; the rest will take about {_time(left_s)}"
                f"{self._memory(done, total, self._first)}"
            )

    def _seconds_each(self, now_s: float, done: int, first: _First) -> float | None:
        """Seconds for a piece of work after the first; None where too little is known."""
        if done > first.done:
            since_s = now_s - first.at_s
            return None if since_s < _LEAST_SINCE_FIRST_S else since_s / (done - first.done)
        took_s, here = now_s - self._began_s, done - self._before
        return took_s / here if here > 1 or took_s > _FIRST_TELLS_AFTER_S else None

    def _memory(self, done: int, total: int, first: _First) -> str:
        """The most memory at the end, if what was done since the first piece goes on taking more."""
        now, (before, held) = self._peak_bytes(), first.held
        if now is None or held is None:
            return ""
        grown = max(0, now - held) / (done - before) if done > before else 0.0
        mib = (now + grown * (total - done) + self._later.bytes) / 2**20
        return f" and {float(f'{mib:.2g}'):,.0f} MiB of memory in all"


def _time(seconds: float) -> str:
    """A duration to one or two digits: `7 min`, `3 h`."""
    minutes = seconds / 60
    if minutes < 90:
        return f"{minutes:.0f} min"
    hours = minutes / 60
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:,.0f} days"


@contextmanager
def progress_bar(*, quiet: bool = False, later: LaterMemory | None = None) -> Iterator[Progress | None]:
    """A callback that draws a bar on stderr, or in a pipe is silent, and says what long work will take.

    None where quiet. later: as of `Estimate`.
    """
    if quiet:
        yield None
        return
    if not sys.stderr.isatty():
        yield Estimate(later=later)
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
        estimate = Estimate(
            tell=lambda text: console.print(text, markup=False, highlight=False),
            later=later,
        )

        def advance(what: str, done: int, total: int) -> None:
            estimate(what, done, total)
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
