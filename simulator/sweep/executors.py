"""Where jobs run: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Final

from simulator.foundation import UserError
from simulator.foundation.code_version import code_version
from simulator.foundation.messages import cut
from simulator.foundation.reading.json_documents import load_json
from simulator.foundation.whole_numbers import is_whole
from simulator.numerics.engines.threads import available_cores
from simulator.sweep.main_module import script_stays_here

_CONNECT_TIMEOUT_S: Final = 10
_CLOSE_TIMEOUT_S: Final = 2

_ASK_EVERY_S: Final = 2
_ANSWER_TIMEOUT_S: Final = 3
_ASK_AGAIN_AFTER_S: Final = 0.5
_LONGEST_SILENCE_S: Final = 9
"""A scheduler that has not answered for so long is gone: noticed within 15 s, asking included. A busy one may
take some seconds."""

LONGEST_WITHOUT_WORKERS_S: Final = 60
"""A cluster that has lost its workers gets new ones in that time, or is told to have none."""

_MOST_NAMED: Final = 3

_MOST_PROCESSES: Final = 1024


@dataclass(frozen=True, slots=True)
class Workers:
    """An executor, how many jobs it can work on at once, and a check that it still does.

    `require_alive` raises UserError once the executor is lost; whoever waits for jobs calls it every second
    or so. `share` makes a text in a file an argument that jobs can be handed again and again: they get the
    path or, where workers may not see this machine's files, the text, which is sent to each of them once.
    """

    executor: Executor
    count: int
    require_alive: Callable[[], None] = field(default=lambda: None)
    share: Callable[[Path, str], Any] = field(default=lambda path, _text: path)


class _Processes(ProcessPoolExecutor):
    """A pool whose processes do not hear Ctrl-C: it is for the process that started them, which ends them."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand over a call. Processes that it starts inherit the mask of signals, from their first moment."""
        with script_stays_here():
            if not hasattr(signal, "pthread_sigmask"):
                return super().submit(fn, *args, **kwargs)
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                return super().submit(fn, *args, **kwargs)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def kill(self) -> None:
        """End every process at once; what they work on is lost."""
        processes: dict[int, Any] = getattr(self, "_processes", None) or {}
        for process in list(processes.values()):
            with suppress(OSError, ValueError):
                process.kill()
        self.shutdown(wait=False, cancel_futures=True)


def process_count(jobs: int | None) -> int:
    """How many local processes: `jobs`, or one a core. Raises UserError: fewer than one, or over 1,024."""
    count = available_cores() if jobs is None else jobs
    if not is_whole(count) or not 1 <= count <= _MOST_PROCESSES:
        raise UserError(
            "cannot run on that many processes",
            source="--jobs",
            value=count,
            allowed=f"1 to {_MOST_PROCESSES:,}",
        )
    return count


def _track_in_silence() -> None:
    """Start the process that removes semaphores which killed processes leave, without its warning of them."""
    if os.name != "posix":
        return
    before = sys.warnoptions[:]
    sys.warnoptions.append(f"ignore::UserWarning:{resource_tracker.__name__}")
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions[:] = before


@contextmanager
def local_processes(jobs: int | None = None) -> Iterator[Workers]:
    """Processes of this machine, as many as it has cores unless said otherwise.

    They are spawned, not forked, so that no thread's lock is copied in a locked state; they end when this
    process ends, even when it is killed, and at once when the block ends with an error.

    Raises:
        UserError: fewer than one process, or more than 1,024.
    """
    count = process_count(jobs)
    context = multiprocessing.get_context("spawn")
    _track_in_silence()
    executor = _Processes(count, mp_context=context, initializer=_end_with_parent)
    try:
        yield Workers(executor, count)
    except BaseException:
        executor.kill()
        raise
    executor.shutdown(wait=True, cancel_futures=True)


def workers_at(jobs: int | None, dask: str | None) -> AbstractContextManager[Workers]:
    """Local processes, or the workers of a Dask cluster where its address is given.

    Raises:
        UserError: both are given; when entered, as `local_processes` and `dask_cluster`.
    """
    if dask is None:
        return local_processes(jobs)
    if jobs is not None:
        raise UserError(
            "is for local processes: a Dask cluster has its own number", source="--jobs", value=jobs
        )
    return dask_cluster(dask)


@contextmanager
def dask_cluster(address: str) -> Iterator[Workers]:
    """The workers of an existing Dask cluster, which need this package installed, with the same code.

    Args:
        address: `tcp://HOST:PORT` or any other address that Dask takes, `HOST:PORT`, or the path of a
            scheduler file (`--scheduler-file`, .json).

    Raises:
        UserError: `distributed` is not installed, no scheduler answers at the address, it has no workers, or
            some of them have other code.
    """
    try:
        import distributed
    except ImportError as error:
        raise UserError(
            "--dask needs the extra `dask`; install it with `pip install systolic-simulator[dask]`"
        ) from error
    connect: Any = distributed.Client
    target = _scheduler_of(address)
    with _silent():
        try:
            _require_address(target)
            client = connect(target, timeout=_CONNECT_TIMEOUT_S, set_as_default=False)
        except Exception as error:  # whatever the parts of a wrong address make a library raise
            raise UserError(
                "no Dask scheduler answers at this address",
                source="--dask",
                value=address,
                allowed="tcp://HOST:PORT, HOST:PORT, or a scheduler file",
            ) from error
        try:
            scheduler = _Scheduler(client, address)
            count = scheduler.first_threads()
            if not count:
                raise UserError("the Dask cluster has no workers", source="--dask", value=address)
            scheduler.require_same_code()
            # The scheduler runs the jobs of a lost worker again; `retries` covers what fails in transfer.
            executor = client.get_executor(pure=False, retries=3)
            yield Workers(executor, count, scheduler.require_alive, partial(_sent, client))
        finally:
            with suppress(Exception):
                client.close(timeout=_CLOSE_TIMEOUT_S)


def _sent(client: Any, _path: Path, text: str) -> Any:
    """A future of a text, which workers get from each other, and again from here where all are lost."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the text is large
        return client.submit(_same, text, pure=False, retries=3)


def _same(text: str) -> str:
    return text


def _scheduler_of(address: str) -> str:
    """The scheduler's own address. Raises UserError for a scheduler file that cannot be read.

    Dask would wait for a file that is not there, without end.
    """
    if not address.endswith(".json"):
        return address if "://" in address else f"tcp://{address}"
    document = load_json(Path(address), what="a scheduler file")
    found = document.get("address") if isinstance(document, dict) else None
    if not isinstance(found, str):
        raise UserError("is no scheduler file of Dask: it has no address", source=address)
    return found


def _require_address(target: str) -> None:
    """Refuse what is no address: a client made of it waits long for its own end, then prints a traceback.

    Raises:
        ValueError: whose message the caller replaces.
    """
    from distributed.comm.addressing import get_address_host_port, parse_address

    scheme, place = parse_address(target)
    if scheme != "inproc":
        get_address_host_port(target, strict=True)
    elif place.split("/")[1:2] != [str(os.getpid())]:  # HOST/PROCESS/NUMBER
        raise ValueError("of another process")


class _Scheduler:
    """Asks a scheduler whether it is there, at most every two seconds."""

    def __init__(self, client: Any, address: str) -> None:
        self._client = client
        self._address = address
        self._asked_s = self._answered_s = time.monotonic()
        self._without_workers_since_s: float | None = None

    def threads(self) -> int:
        """Threads of all workers. Raises UserError where the scheduler does not answer."""
        try:
            answer: dict[str, int] = self._client.sync(
                self._client.scheduler.ncores, callback_timeout=_ANSWER_TIMEOUT_S
            )
        except Exception as error:  # what a broken connection raises differs from one kind to another
            raise self._gone() from error
        return sum(answer.values())

    def first_threads(self) -> int:
        """As `threads`, asked again for some seconds: a scheduler that has just begun may be busy."""
        while True:
            try:
                return self.threads()
            except UserError:
                if time.monotonic() - self._answered_s > _LONGEST_SILENCE_S:
                    raise
            time.sleep(_ASK_AGAIN_AFTER_S)

    def require_alive(self) -> None:
        """Refuse to go on where the scheduler has not answered, or has had no workers, for long.

        Raises:
            UserError: either of them.
        """
        now_s = time.monotonic()
        if now_s - self._asked_s < _ASK_EVERY_S:
            return
        try:
            threads = self.threads()
        except UserError:
            if time.monotonic() - self._answered_s > _LONGEST_SILENCE_S:
                raise
            threads = None
        self._asked_s = time.monotonic()
        if threads is None:
            return
        self._answered_s = self._asked_s
        if threads:
            self._without_workers_since_s = None
        elif self._without_workers_since_s is None:
            self._without_workers_since_s = self._asked_s
        elif self._asked_s - self._without_workers_since_s > LONGEST_WITHOUT_WORKERS_S:
            raise UserError(
                f"the Dask cluster has had no workers for {LONGEST_WITHOUT_WORKERS_S:.0f} s; what is"
                " finished is kept",
                source="--dask",
                value=self._address,
                allowed="running again, once workers are there",
            )

    def require_same_code(self) -> None:
        """Refuse workers that run other code than this process. Raises UserError, which names them."""
        # Workers that are lost while they are asked are no matter: others do their jobs, or there are none.
        answers = {worker: got for worker, got in self._versions().items() if not isinstance(got, OSError)}
        others = sorted(
            f"{worker} has {version}" for worker, version in answers.items() if version != code_version()
        )
        if others:
            raise UserError(
                f"{len(others)} of {len(answers)} workers of the Dask cluster run other code:"
                f" {'; '.join(cut(other, 150) for other in others[:_MOST_NAMED])}",
                source="--dask",
                allowed=f"workers with {code_version()}",
            )

    def _versions(self) -> dict[str, Any]:
        """What each worker says its code is; asked again where one was lost meanwhile. Raises UserError."""
        ends_s = time.monotonic() + _LONGEST_SILENCE_S
        while True:
            try:
                found: dict[str, Any] = self._client.run(code_version, on_error="return")
                return found
            except Exception as error:  # a worker without this package cannot even read the question
                if not isinstance(error, OSError) or time.monotonic() > ends_s:
                    raise UserError(
                        "workers of the Dask cluster cannot run this package",
                        source="--dask",
                        value=cut(str(error), 100),
                        allowed=f"workers with {code_version()}",
                    ) from error
            time.sleep(_ASK_AGAIN_AFTER_S)

    def _gone(self) -> UserError:
        return UserError(
            "the Dask scheduler does not answer any more; what is finished is kept",
            source="--dask",
            value=self._address,
            allowed="running again, once a scheduler is there",
        )


@contextmanager
def _silent() -> Iterator[None]:
    """Keep libraries from telling on stderr, in many lines, what is told in one sentence here."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _end_with_parent() -> None:
    """In a worker: end at once when the process that started it is gone, instead of waiting forever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
