"""Rows of a result shared out among threads; every element is computed whole by one of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_CHUNKS_PER_THREAD = 4


def available_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def for_row_ranges(rows: int, work: Callable[[int, int], object], *, threads: int | None = None) -> None:
    """Call `work(first, last)` on ranges that make up `rows`, on all cores; for work without the GIL."""
    threads = min(threads or available_cores(), rows)
    if threads <= 1:
        work(0, rows)
        return
    step = max(1, -(-rows // (threads * _CHUNKS_PER_THREAD)))
    starts = range(0, rows, step)
    with ThreadPoolExecutor(threads) as pool:
        for finished in [pool.submit(work, start, min(start + step, rows)) for start in starts]:
            finished.result()
