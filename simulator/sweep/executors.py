"""Where jobs run: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from simulator.foundation import UserError

_CONNECT_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Workers:
    """An executor and how many jobs it can work on at once."""

    executor: Executor
    count: int


@contextmanager
def local_processes(jobs: int | None = None) -> Iterator[Workers]:
    """Processes of this machine, as many as it has cores unless said otherwise.

    They are spawned, not forked, so that no thread's lock is copied in a locked state; they end when this
    process ends, even when it is killed.
    """
    count = jobs or available_cores()
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent)
    try:
        yield Workers(executor, count)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def dask_cluster(address: str) -> Iterator[Workers]:
    """The workers of an existing Dask cluster, which need this package installed.

    Raises:
        UserError: `distributed` is not installed, no scheduler answers at the address, or it has no workers.
    """
    try:
        import distributed
    except ImportError as error:
        raise UserError(
            "--dask needs the extra `dask`; install it with `pip install systolic-simulator[dask]`"
        ) from error
    try:
        connect: Any = distributed.Client
        client = connect(address, timeout=_CONNECT_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(
            "no Dask scheduler answers at this address",
            source="--dask",
            value=address,
            allowed="tcp://HOST:PORT",
        ) from error
    try:
        count = sum(client.nthreads().values())
        if not count:
            raise UserError("the Dask cluster has no workers", source="--dask", value=address)
        # The scheduler runs the jobs of a lost worker again; `retries` covers what fails in transfer.
        yield Workers(client.get_executor(pure=False, retries=3), count)
    finally:
        client.close()


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _end_with_parent() -> None:
    """In a worker: end at once when the process that started it is gone, instead of waiting forever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
