"""Work shared out among threads; every element is computed whole by one of them.

One pool serves the whole process. Work that itself runs in the pool does not wait for other work there: it
is done at once, by the thread that asks for it.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

FEW_MACS = 1 << 20
"""Below this many multiply-accumulates of a compiled convolution threads cost more than they save."""

_CHUNKS_PER_THREAD = 4

Part = TypeVar("Part")
Done = TypeVar("Done")


def available_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Pool:
    """The process's threads, started when first used; a forked process starts its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._mine = threading.local()

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread is one of the pool's."""
        return getattr(self._mine, "yes", False)

    def submit(self, work: Callable[..., Done], *arguments: object) -> Future[Done]:
        """Queue work."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(available_cores(), "systolic", self._enter)
            return self._threads.submit(work, *arguments)

    def forget(self) -> None:
        """Leave the threads of another process behind."""
        self._lock = threading.Lock()
        self._threads = None
        self._mine = threading.local()

    def claim(self, *, mine: bool) -> None:
        """Count the calling thread as one of the pool's, or not."""
        self._mine.yes = mine

    def _enter(self) -> None:
        self.claim(mine=True)


_POOL = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.forget)


def in_pool() -> bool:
    """Whether the calling thread is of the pool; libraries should then start no threads of theirs."""
    return _POOL.is_mine


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, the calling thread does all of its work itself, as a thread of the pool does."""
    before = _POOL.is_mine
    _POOL.claim(mine=True)
    try:
        yield
    finally:
        _POOL.claim(mine=before)


def for_row_ranges(rows: int, work: Callable[[int, int], object], *, threads: int | None = None) -> None:
    """Call `work(first, last)` on ranges that make up `rows`, on all cores; for work without the GIL.

    `threads` is how many ranges may run at a time; inside the pool one range is all rows.
    """
    threads = min(threads or available_cores(), rows)
    if threads <= 1 or _POOL.is_mine:
        work(0, rows)
        return
    step = max(1, -(-rows // (threads * _CHUNKS_PER_THREAD)))
    for _ in in_order(range(0, rows, step), lambda at: work(at, min(at + step, rows)), threads=threads):
        pass


def in_order(parts: Iterable[Part], work: Callable[[Part], Done], *, threads: int) -> Iterator[Done]:
    """The results of `work` in the order of `parts`, from up to `threads` threads at a time.

    Parts are taken one by one as threads become free, so that few are in memory at a time. The first
    exception ends the work.
    """
    if threads <= 1 or _POOL.is_mine:
        yield from map(work, parts)
        return
    waiting: deque[Future[Done]] = deque()
    try:
        for part in parts:
            waiting.append(_POOL.submit(work, part))
            if len(waiting) >= threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        for future in waiting:
            if not future.cancelled():
                future.exception()
