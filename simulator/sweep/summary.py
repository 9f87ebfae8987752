"""Reading back what a store has of a sweep; `simulator/report/sweep_summary.py` shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulator.foundation import UserError
from simulator.report.sweep_summary import SweepEntry, SweepSummary, summary_of
from simulator.result import Result
from simulator.sweep.jobs import Job
from simulator.sweep.spec import SweepPoint
from simulator.sweep.store import SweepStore

DEFAULT_OBJECTIVES = ("energy_pj", "area_um2", "top1")


def summarize(
    points: Sequence[SweepPoint],
    jobs: Sequence[Job | UserError],
    store: SweepStore,
    failures: Mapping[str, str],
    objectives: Sequence[str] = DEFAULT_OBJECTIVES,
) -> SweepSummary:
    """Read back what a store has of a sweep, and find the Pareto front of each network.

    Args:
        points: the sweep's points.
        jobs: what they were planned as, in the same order.
        store: where their results are.
        failures: by key, why a job has no result.
        objectives: metric keys; one that some result has no data for is left out, and so is a figure that
            no result has a price for. Points without a price are on no front.

    Raises:
        UserError: a corrupted store, or an unknown objective.
    """
    results = {
        job.key: store.result(job.key) for job in jobs if isinstance(job, Job) and store.finished(job.key)
    }
    entries = [
        _entry(point, None, str(job))
        if isinstance(job, UserError)
        else _entry(point, results.get(job.key), failures.get(job.key))
        for point, job in zip(points, jobs, strict=True)
    ]
    return summary_of(entries, objectives)


def _entry(point: SweepPoint, result: Result | None, problem: str | None) -> SweepEntry:
    return SweepEntry(
        point.network, point.batch, point.short_label, point.label, point.coordinates, result, problem
    )
