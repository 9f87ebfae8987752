"""Reading back what a store has of a sweep; `simulator/report/sweep_summary.py` shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulator.foundation import UserError
from simulator.report.point_figures import PointFigures
from simulator.report.sweep_summary import SweepEntry, SweepSummary, summary_of
from simulator.result import Result
from simulator.sweep.runner import Keyed
from simulator.sweep.spec import SweepPoint
from simulator.sweep.store import SweepStore

DEFAULT_OBJECTIVES = ("energy_pj", "area_um2", "top1")


def summarize(
    points: Sequence[SweepPoint],
    jobs: Sequence[Keyed | UserError],
    store: SweepStore,
    failures: Mapping[str, str],
    objectives: Sequence[str] = DEFAULT_OBJECTIVES,
) -> SweepSummary:
    """Read back what a store has of a sweep, and find the Pareto front of each network.

    Args:
        points: the sweep's points.
        jobs: what they were planned as, in the same order; a point that cannot be is an error.
        store: where their results are.
        failures: by key, why a job has no result.
        objectives: metric keys; one that some result has no data for is left out, and so is a figure that
            no result has a price for. Points without a price are on no front.

    Raises:
        UserError: a corrupted store, or an unknown objective.
    """
    entries = []
    first: dict[tuple[str, int | None], Result] = {}
    known: dict[str, PointFigures] = {}
    for point, job in zip(points, jobs, strict=True):
        if isinstance(job, UserError):
            entries.append(SweepEntry(point, None, str(job)))
            continue
        # A result is large, and only its figures are kept; that of a group's first point is compared with.
        if job.key not in known and store.finished(job.key):
            result = store.result(job.key)
            reference = first.setdefault((point.network, point.batch), result)
            known[job.key] = PointFigures.of(result, reference)
        figures = known.get(job.key)
        entries.append(SweepEntry(point, figures, failures.get(job.key)))
    return summary_of(entries, objectives)
