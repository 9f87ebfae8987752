"""A network on images by several workers: blocks computed anywhere, kept, and added up in their order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, NoReturn, Protocol, TypeVar

from simulator.foundation import UserError
from simulator.foundation.callbacks import Progress
from simulator.foundation.defects import DefectError
from simulator.foundation.reading.content import read_text
from simulator.inference.blocks import Block, BlockRun, blocks_of
from simulator.inference.images import Fingerprint
from simulator.inference.output_sink import OutputSink
from simulator.inference.run_inference import InferenceResult, result_of
from simulator.inference.tally import Tally
from simulator.spread_inference.block_document import Keeps
from simulator.spread_inference.block_groups import Limits, groups_of_blocks, most_plans
from simulator.spread_inference.block_jobs import BlockJob, block_job, run_block_jobs
from simulator.spread_inference.inference_store import InferenceStore
from simulator.spread_inference.opened_source import InferenceSource, OpenedSource
from simulator.spread_inference.planning import Arithmetic, keep_plan, plan_key
from simulator.spread_inference.spread_options import Spread
from simulator.sweep.executors import Workers, local_processes, process_count, workers_at
from simulator.sweep.jobs import DEFECT, JobOutcome
from simulator.sweep.runner import AfterFailure, Keyed, run_kept

_GROUPS_PER_WORKER: Final = 2
"""Plans share blocks as long as each worker has so many groups to compute."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How a run was shared out: blocks of images in all, those that a store had, and workers for the rest."""

    blocks: int
    resumed: int
    workers: int
    unused: int

    def describe(self) -> str:
        """The figures in a sentence."""
        blocks = f"{self.blocks} block{'s' * (self.blocks > 1)} of images"
        computed = f"{self.blocks - self.resumed} computed"
        if self.workers:
            computed += f" by {self.workers} worker{'s' * (self.workers > 1)}"
        text = f"{blocks}: {self.resumed} from the store, {computed}"
        if not self.unused:
            return text
        parts = "1 part of the store is" if self.unused == 1 else f"{self.unused} parts of the store are"
        return f"{text}; {parts} not of this run"


def infer_spread(
    source: InferenceSource,
    arithmetic: Arithmetic,
    spread: Spread,
    *,
    keeps: Keeps = "judged",
    sink: OutputSink | None = None,
    progress: Progress | None = None,
) -> tuple[OpenedSource, InferenceResult, Shares]:
    """Run images through a network in a MAC's formats and in float32, by several workers.

    Every bit of the result is that of `simulator.inference.infer`, whatever the number of workers, and
    however often the run was interrupted.

    Args:
        source: the network and its data, which must be there wherever blocks are computed.
        arithmetic: MACs and policies.
        spread: where blocks are computed and kept.
        keeps: what blocks keep of outputs: `judged` without a sink, `outputs` for one that takes them.
        sink: takes all outputs of each chunk of images in order; None: the judged output is in the result.
        progress: called after every block.

    Raises:
        UserError: as `infer`, workers that cannot be had or are lost, or a store that cannot be used.
        DefectError: a defect in a worker; its notes have the worker's traceback.
    """
    with spread_run(source, spread) as run:
        planned, shares = run.compute([arithmetic], keeps=keeps, progress=progress)
        return run.opened, run.result(planned[0], sink=sink), shares


@contextmanager
def spread_run(source: InferenceSource, spread: Spread) -> Iterator[SpreadRun]:
    """Network, data, store and workers, the last two until the block ends.

    Raises:
        UserError: one of them cannot be had.
    """
    if spread.dask is None:
        process_count(spread.jobs)
    with ExitStack() as stack:
        # Workers that are not there are told of before anything is computed.
        cluster = None if spread.dask is None else stack.enter_context(workers_at(spread.jobs, spread.dask))
        opened = OpenedSource.of(source)
        store = stack.enter_context(_opened_store(spread.store, opened))
        yield SpreadRun(opened, store, cluster, spread)


@contextmanager
def _opened_store(folder: Path | None, opened: OpenedSource) -> Iterator[InferenceStore]:
    """The store in a folder, or one that is gone at the end of the block. Raises UserError."""
    if folder is not None:
        with InferenceStore(folder, opened) as store:
            yield store
        return
    with (
        tempfile.TemporaryDirectory(prefix="systolic-") as temporary,
        InferenceStore(Path(temporary), opened) as store,
    ):
        yield store


@dataclass(frozen=True, slots=True)
class PlannedBlocks:
    """The blocks of one plan in the order of the images, and by label what went wrong with any."""

    plan_key: str
    jobs: tuple[BlockJob, ...]
    problems: list[tuple[str, str]]


class OnPlan(Keyed, Protocol):
    """Work that needs a plan of the store."""

    @property
    def plan_key(self) -> str:
        """The key of the plan."""
        ...


Work = TypeVar("Work", bound=OnPlan)


class Ran(NamedTuple):
    """What came of jobs: by key why some have no outcome, how many the store had, workers for the rest."""

    failures: dict[str, str]
    resumed: int
    workers: int


@dataclass(frozen=True, slots=True)
class SpreadRun:
    """One network and its data, a store, and where jobs run; `cluster` are the workers of Dask, if any."""

    opened: OpenedSource
    store: InferenceStore
    cluster: Workers | None
    spread: Spread

    def compute(
        self,
        arithmetics: Sequence[Arithmetic],
        *,
        keeps: Keeps,
        after_failure: AfterFailure = "stop",
        progress: Progress | None = None,
    ) -> tuple[list[PlannedBlocks], Shares]:
        """Have plans and blocks of all arithmetics in the store; those of each in its place.

        What goes wrong with a plan or a block is in its `problems`. Raises UserError as `infer_spread` for
        workers and store.
        """
        opened, store = self.opened, self.store
        keys = [plan_key(opened, each) for each in arithmetics]
        store.require_plans({key: each.label for key, each in zip(keys, arithmetics, strict=True)})
        blocks = blocks_of(opened.model, opened.data)
        planned = [
            self._planned(key, each, blocks, keeps) for key, each in zip(keys, arithmetics, strict=True)
        ]
        jobs = [job for each in planned for job in each.jobs]
        together = groups_of_blocks([each.jobs for each in planned if each.jobs], self._limits())
        ran = self.run_jobs(
            together, run_block_jobs, what="blocks of images", after_failure=after_failure, progress=progress
        )
        for each in planned:
            each.problems.extend(
                (job.label, ran.failures[job.key]) for job in each.jobs if job.key in ran.failures
            )
        total = len({job.key for job in jobs})
        unused = store.unused([*keys, *(job.key for job in jobs)])
        return planned, Shares(total, ran.resumed, ran.workers, unused)

    def run_jobs(
        self,
        groups: Sequence[Sequence[Work]],
        run: Callable[[Sequence[Work], Sequence[Path | str]], list[JobOutcome]],
        *,
        what: str,
        after_failure: AfterFailure = "go on",
        progress: Progress | None = None,
    ) -> Ran:
        """Have the outcomes of all jobs in the store, where their plans are.

        `run` gets a group of jobs and their plans as `Workers.share` has them; the other arguments are those
        of `run_kept`. Raises UserError as `infer_spread` for workers and store.
        """
        store = self.store
        plans = {job.key: job.plan_key for group in groups for job in group}
        missing = [key for key in plans if not store.finished(key)]
        with self._workers(min(len(missing), len(groups))) as workers:
            shared = {
                key: workers.share(store.path(key), store.text(key))
                for key in {plans[key] for key in missing}
            }
            failures = run_kept(
                groups,
                store,
                workers,
                lambda group: workers.executor.submit(run, group, [shared[job.plan_key] for job in group]),
                what=what,
                after_failure=after_failure,
                progress=progress,
            )
            return Ran(failures, len(plans) - len(missing), workers.count if missing else 0)

    def _planned(
        self, key: str, arithmetic: Arithmetic, blocks: Sequence[Block], keeps: Keeps
    ) -> PlannedBlocks:
        alive = _always if self.cluster is None else self.cluster.require_alive
        label = arithmetic.label
        problem = keep_plan(key, self.opened, arithmetic, self.store, alive=alive)
        if problem is not None:
            return PlannedBlocks(key, (), [(label, problem)])
        jobs = tuple(block_job(self.opened, key, block, label, keeps) for block in blocks)
        return PlannedBlocks(key, jobs, [])

    def result(self, planned: PlannedBlocks, *, sink: OutputSink | None = None) -> InferenceResult:
        """Finished blocks added up in the order of the images.

        Raises:
            UserError: what went wrong with the first of them that has a problem.
            DefectError: likewise, where it is a defect of this package.
        """
        opened, store = self.opened, self.store
        for label, problem in planned.problems:
            self._raise(label, problem)
        tally = Tally(opened.model, opened.data, sink)
        fingerprint = Fingerprint(opened.data.images.shape)
        for job in planned.jobs:
            block = store.block(job.key)
            tally.add_block(block.figures)
            fingerprint.add_digests(block.digests)
            for about, note in block.data_notes.items():
                opened.data.facts.notes.setdefault(about, note)
            _hand_over(block, tally, sink)
        return result_of(tally, store.plan(planned.plan_key), fingerprint.finish(opened.data.labels))

    def _limits(self) -> Limits:
        workers = process_count(self.spread.jobs) if self.cluster is None else self.cluster.count
        return Limits(_GROUPS_PER_WORKER * workers, most_plans(self.opened.model))

    @contextmanager
    def _workers(self, most: int) -> Iterator[Workers]:
        """The cluster, or processes of this machine, no more than there are jobs. Raises UserError."""
        if self.cluster is not None:
            yield self.cluster
            return
        with local_processes(min(process_count(self.spread.jobs), max(most, 1))) as workers:
            yield workers

    @property
    def tracebacks(self) -> str:
        """Of all defects in workers so far; there must have been one."""
        return read_text(self.store.defects)

    def _raise(self, label: str, problem: str) -> NoReturn:
        if not problem.startswith(DEFECT):
            raise UserError(problem)
        error = DefectError(f"{label}: {problem.removeprefix(DEFECT).lstrip(': ')}")
        error.add_note(self.tracebacks)
        raise error


def _always() -> None:
    """Nobody can be lost."""


def _hand_over(block: BlockRun, tally: Tally, sink: OutputSink | None) -> None:
    """Outputs of a block, chunk by chunk, to where outputs go."""
    if sink is None:
        tally.logits += block.judged[0]
        tally.float32_logits += block.judged[1]
        return
    for parts in zip(*block.outputs.values(), strict=True):
        sink.take(dict(zip(block.outputs, parts, strict=True)))
