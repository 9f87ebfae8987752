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


class StoredFigures:
    """The figures of a sweep's points that are in its store, each of which is read once.

    Attributes:
        known: by key.
        read: keys of all that have been read, and are as they were written. Those of them that are not
            `known` have an accuracy and are read again when that of their group's first point is there.
    """

    def __init__(
        self, points: Sequence[SweepPoint], jobs: Sequence[Keyed | UserError], store: SweepStore
    ) -> None:
        """Of `points`, planned as `jobs` in the same order. Nothing is read yet."""
        self.known: dict[str, PointFigures] = {}
        self.read: set[str] = set()
        self._planned = [
            (job.key, (point.network, point.batch))
            for point, job in zip(points, jobs, strict=True)
            if not isinstance(job, UserError)
        ]
        self._store = store
        self._first: dict[tuple[str, int | None], Result] = {}

    def read_before(self) -> None:
        """Read what is finished while other points are yet to be computed. Raises UserError: corrupted."""
        self._read(is_all=False)

    def read_all(self) -> None:
        """Read what is finished, once nothing more is computed. Raises UserError: corrupted."""
        self._read(is_all=True)

    def _read(self, *, is_all: bool) -> None:
        waits: set[tuple[str, int | None]] = set()  # groups whose first point is yet to be computed
        for key, group in self._planned:
            if key in self.known:
                continue
            if not self._store.finished(key):
                if not is_all and group not in self._first:
                    waits.add(group)
                continue
            result = self._store.result(key)
            self.read.add(key)
            if group in waits and result.accuracy is not None:
                continue
            # A result is large: only its figures are kept, but of a group's first point, to compare with.
            first = None if group in waits else self._first.setdefault(group, result)
            self.known[key] = PointFigures.of(result, first)


def summarize(
    points: Sequence[SweepPoint],
    jobs: Sequence[Keyed | UserError],
    store: SweepStore,
    failures: Mapping[str, str],
    objectives: Sequence[str] = DEFAULT_OBJECTIVES,
    *,
    figures: StoredFigures | None = None,
) -> SweepSummary:
    """Read back what a store has of a sweep, and find the Pareto front of each network.

    Args:
        points: the sweep's points.
        jobs: what they were planned as, in the same order; a point that cannot be is an error.
        store: where their results are.
        failures: by key, why a job has no result.
        objectives: metric keys; one that some result has no data for is left out, and so is a figure that
            no result has a price for. Points without a price are on no front.
        figures: what has been read of the store already.

    Raises:
        UserError: a corrupted store, or an unknown objective.
    """
    stored = figures or StoredFigures(points, jobs, store)
    stored.read_all()
    entries = []
    for point, job in zip(points, jobs, strict=True):
        if isinstance(job, UserError):
            entries.append(SweepEntry(point, None, str(job)))
        else:
            entries.append(SweepEntry(point, stored.known.get(job.key), failures.get(job.key)))
    return summary_of(entries, objectives)
