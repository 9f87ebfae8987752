"""Running jobs: each once, in any order, whoever dies; finished ones are kept before they are counted."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Generic, Literal, Protocol, TypeVar

from simulator.foundation import UserError
from simulator.foundation.callbacks import Advance, Progress
from simulator.sweep.executors import Workers, local_processes, process_count
from simulator.sweep.jobs import Job, JobOutcome, KeyedPoint, run_job
from simulator.sweep.store import PointStore, SweepStore

_GROUPS_IN_HAND_PER_WORKER = 2
"""One computed, one waiting: workers do not idle, and a kill loses little."""

_LOOK_AGAIN_S = 0.1

_ASK_AGAIN_S = 1.0
"""How often the workers are asked whether they are there."""

Outcome = Future[JobOutcome]
Outcomes = Future[list[JobOutcome]]


class Keyed(Protocol):
    """Work that a store can keep the outcome of."""

    @property
    def key(self) -> str:
        """A hash of all that decides the outcome."""
        ...

    @property
    def label(self) -> str:
        """What it is, for people."""
        ...


Work = TypeVar("Work", bound=Keyed)
Found = TypeVar("Found")

AfterFailure = Literal["go on", "stop"]
"""Whether other jobs still run once one has failed; those in hand are always finished."""


def run_stored(
    jobs: Sequence[Job | KeyedPoint],
    store: SweepStore,
    workers: Workers,
    *,
    sound: Collection[str] = (),
    progress: Progress | None = None,
) -> dict[str, str]:
    """Simulate every job that the store has no result of; see `run_kept`."""
    return run_kept(
        [[job] for job in jobs],
        store,
        workers,
        lambda group: workers.executor.submit(
            _run_each, [job.job() if isinstance(job, KeyedPoint) else job for job in group]
        ),
        what="points",
        sound=sound,
        progress=progress,
    )


def _run_each(jobs: Sequence[Job]) -> list[JobOutcome]:
    return [run_job(job) for job in jobs]


def run_kept(
    groups: Iterable[Sequence[Work]],
    store: PointStore,
    workers: Workers,
    submit: Callable[[Sequence[Work]], Outcomes],
    *,
    what: str,
    after_failure: AfterFailure = "go on",
    sound: Collection[str] = (),
    progress: Progress | None = None,
) -> dict[str, str]:
    """Compute every job that the store has no outcome of, and keep the outcomes there.

    Jobs that another process on the same store has claimed are waited for, and taken over when it ends
    without finishing them.

    Args:
        groups: what to compute, in groups of jobs that have work in common; of equal keys one.
        store: where outcomes are kept.
        workers: how many groups they take, and whether they are there.
        submit: hands what is left of a group to a worker; outcomes come in the order of the jobs.
        what: the jobs, as progress names them.
        after_failure: of a job.
        sound: keys of finished jobs that have been read and are as they were written.
        progress: called after every job.

    Returns:
        Why a job has no result, by key, for those that failed.

    Raises:
        UserError: the store cannot be written, a worker process was killed, or the cluster's scheduler is
            gone; what is finished is kept.
    """
    known: dict[str, None] = {}
    waiting: deque[Sequence[Work]] = deque()
    for group in groups:
        unique = {job.key: job for job in group if job.key not in known}
        known |= dict.fromkeys(unique)
        if left := [job for job in unique.values() if not store.finished(job.key)]:
            waiting.append(left)
    if waiting:  # what is damaged is told before anything is computed; a store that has all is read next
        store.require_sound(key for key in known if key not in sound)
    done = len(known) - sum(map(len, waiting))
    tell = None if progress is None else partial(progress, what)
    run = _Run(store, workers, submit, total=len(known), done=done, tell=tell)
    run.tell()
    elsewhere: deque[Sequence[Work]] = deque()
    while waiting or elsewhere or run.in_hand:
        while waiting and not run.full:
            if others := run.start(waiting.popleft()):
                elsewhere.append(others)
        if run.in_hand:
            run.collect()
            if run.failures and after_failure == "stop":
                waiting.clear()
                elsewhere.clear()
        elif elsewhere:
            time.sleep(_LOOK_AGAIN_S)
            waiting, elsewhere = elsewhere, deque()
    return run.failures


def run_locally(
    calls: Sequence[Callable[[], JobOutcome]], jobs: int | None, progress: Progress | None
) -> list[JobOutcome]:
    """Compute jobs by `jobs` processes of this machine, one a core where None; see `run_all`."""
    count = min(process_count(jobs), len(calls))
    if count <= 1:  # a process of its own would only cost its start
        return [call() for call in calls]
    with local_processes(count) as workers:
        return run_all(calls, workers, progress=progress)


def run_all(
    calls: Sequence[Callable[[], JobOutcome]], workers: Workers, *, progress: Progress | None = None
) -> list[JobOutcome]:
    """Compute jobs side by side without a store, a call each; outcomes are in the order of the calls.

    Raises:
        UserError: a worker process was killed, or the workers are lost.
    """
    futures = [workers.executor.submit(call) for call in calls]
    pending: set[Outcome] = set(futures)
    while pending:
        _, pending = _some(pending, workers)
        if progress is not None:
            progress("variants", len(futures) - len(pending), len(futures))
    return [_outcome_of(future, workers) for future in futures]


def _some(
    pending: Iterable[Future[Found]], workers: Workers
) -> tuple[set[Future[Found]], set[Future[Found]]]:
    """Finished futures, at least one, and the others; looks every second whether the workers are there."""
    while True:
        finished, others = wait(pending, timeout=_ASK_AGAIN_S, return_when=FIRST_COMPLETED)
        if finished:
            return set(finished), set(others)
        workers.require_alive()


class _Run(Generic[Work]):
    """Jobs in hand and what came of them."""

    def __init__(
        self,
        store: PointStore,
        workers: Workers,
        submit: Callable[[Sequence[Work]], Outcomes],
        *,
        total: int,
        done: int,
        tell: Advance | None,
    ) -> None:
        self.in_hand: dict[Outcomes, Sequence[Work]] = {}
        self.failures: dict[str, str] = {}
        self._store = store
        self._workers = workers
        self._submit = submit
        self._total = total
        self._done = done
        self._tell = tell

    @property
    def full(self) -> bool:
        """Whether the workers have enough to do."""
        return len(self.in_hand) >= _GROUPS_IN_HAND_PER_WORKER * self._workers.count

    def start(self, group: Sequence[Work]) -> list[Work]:
        """Hand a group to the workers, but for the jobs that another process has claimed: those come back."""
        elsewhere, claimed = [], []
        for job in group:
            if not self._store.claim(job.key):
                elsewhere.append(job)
            elif self._store.finished(job.key):  # by another process, since we last looked
                self._store.release(job.key)
                self._count()
            else:
                claimed.append(job)
        if claimed:
            self.in_hand[self._submit(claimed)] = claimed
        return elsewhere

    def collect(self) -> None:
        """Keep what is finished, waiting for at least one group."""
        finished, _ = _some(self.in_hand, self._workers)
        for future in finished:
            group = self.in_hand.pop(future)
            for job, outcome in zip(group, _outcomes(future, len(group), self._workers), strict=True):
                self._keep(job, outcome)

    def _keep(self, job: Work, outcome: JobOutcome) -> None:
        if outcome.text is not None:
            self._store.write(job.key, outcome.text)
        else:
            self.failures[job.key] = outcome.problem or "no result"
            if outcome.traceback is not None:
                self._store.log_defect(job.label, outcome.traceback)
        self._store.release(job.key)
        self._count()

    def tell(self) -> None:
        """Report how far the run is."""
        if self._tell is not None:
            self._tell(self._done, self._total)

    def _count(self) -> None:
        self._done += 1
        self.tell()


def _outcome_of(future: Outcome, workers: Workers) -> JobOutcome:
    found = _found(future, workers)
    return JobOutcome(None, found) if isinstance(found, str) else found


def _outcomes(future: Outcomes, jobs: int, workers: Workers) -> list[JobOutcome]:
    found = _found(future, workers)
    return [JobOutcome(None, found)] * jobs if isinstance(found, str) else found


def _found(future: Future[Found], workers: Workers) -> Found | str:
    """What came of a call. Jobs tell what is wrong with them as text, so what is raised is of the workers.

    Returns what the call gave, or in words why it cannot be had.
    """
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process ended early: killed, or out of memory; what is finished is kept",
            allowed="running again, with fewer jobs",
        ) from error
    except (CancelledError, OSError, TimeoutError) as error:
        raise UserError(
            f"the workers are lost ({type(error).__name__}); what is finished is kept",
            allowed="running again",
        ) from error
    except Exception as error:
        workers.require_alive()
        return f"{type(error).__name__}: {error}"
