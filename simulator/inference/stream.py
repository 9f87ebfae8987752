"""Work on a stream of parts by several threads, in order, with few parts in memory at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
Done = TypeVar("Done")


def stream(parts: Iterable[Part], work: Callable[[Part], Done], *, threads: int) -> Iterator[Done]:
    """The results of `work` in the order of `parts`.

    Parts are taken one by one as threads become free: at most one more than there are threads is held. The
    first exception ends the stream.
    """
    if threads <= 1:
        yield from map(work, parts)
        return
    waiting: deque[Future[Done]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for part in parts:
                waiting.append(pool.submit(work, part))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
