"""What a sweep found, as data that pages show: a row a point, and the Pareto front of each network."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from simulator.foundation import UserError
from simulator.report.accuracy import above
from simulator.report.comparison import METRICS, Metric
from simulator.report.comparison_figures import pareto_scatters
from simulator.report.figures import Figure
from simulator.report.pareto import pareto_front
from simulator.report.price_origin import mac_is_estimated, marked
from simulator.report.tabular import Row, points_columns, usable_objectives, why_not_priced
from simulator.report.unpriced import reasons
from simulator.result import Result

SUMMARY_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class SweepEntry:
    """A point with its result, or with the reason why it has none.

    Attributes:
        network: its name or file.
        batch: inferences at once; None: the network's own.
        name: the point without its network.
        label: the point in one line.
        coordinates: what tells the point from the others, by column name.
        result: None where there is none.
        problem: why there is none.
        on_front: whether it is on its network's Pareto front.
    """

    network: str
    batch: int | None
    name: str
    label: str
    coordinates: Mapping[str, Any]
    result: Result | None
    problem: str | None
    on_front: bool = False


@dataclass(frozen=True, slots=True)
class SweepSummary:
    """Every point in the order of the specification.

    `objectives` are what fronts are taken over, `left_out` those asked for that points have no figures for.
    """

    entries: tuple[SweepEntry, ...]
    objectives: tuple[Metric, ...]
    left_out: tuple[Metric, ...] = ()

    @property
    def failures(self) -> list[SweepEntry]:
        """Points without a result."""
        return [entry for entry in self.entries if entry.result is None]

    @property
    def front(self) -> list[SweepEntry]:
        """Points on the front of their network."""
        return [entry for entry in self.entries if entry.on_front]

    @property
    def not_priced(self) -> dict[str, int]:
        """Each reason why something is not priced, and in how many points."""
        told = Counter(line for entry in self.entries if entry.result for line in reasons(entry.result))
        return dict(told)

    def rows(self) -> list[Row]:
        """Coordinates, figures and place of every point; missing values are None.

        Accuracies also have the points above that of the network's first point with a result, with the 95 %
        interval on the same images.
        """
        first: dict[tuple[str, int | None], Result] = {}
        rows = []
        for entry in self.entries:
            key = (entry.network, entry.batch)
            if entry.result is not None:
                first.setdefault(key, entry.result)
            rows.append(_row(entry, first.get(key)))
        return rows

    @property
    def warnings(self) -> dict[str, int]:
        """Each warning of points that ran tensors, and of how many points it is."""
        ran = [entry.result for entry in self.entries if entry.result and entry.result.accuracy]
        return dict(Counter(warning for result in ran for warning in result.warnings))

    def to_json(self, name: str) -> str:
        """The summary as JSON text; the same results give the same text."""
        document = {
            "schema_version": SUMMARY_SCHEMA_VERSION,
            "name": name,
            "objectives": [metric.key for metric in self.objectives],
            "points": self.rows(),
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"

    def figures(self) -> dict[str, list[Figure]]:
        """By network, a figure for every pair of objectives."""
        figures: dict[str, list[Figure]] = {}
        for network in dict.fromkeys(entry.network for entry in self.entries):
            found = [e for e in self.entries if e.result is not None and e.network == network]
            figures[network] = pareto_scatters(
                [_marked_name(entry) for entry in found],
                [entry.result for entry in found if entry.result is not None],
                self.objectives,
                [entry.on_front for entry in found],
            )
        return figures


def _marked_name(entry: SweepEntry) -> str:
    estimated = entry.result is not None and mac_is_estimated(entry.result)
    return marked(entry.name, "estimate" if estimated else None)


def summary_of(entries: Sequence[SweepEntry], objectives: Sequence[str]) -> SweepSummary:
    """Find the Pareto front of each network.

    Args:
        entries: every point, in the order of the specification.
        objectives: metric keys; one that some result has no data for is left out, and so is a figure that
            no result has a price for. Points without a price are on no front.

    Raises:
        UserError: an unknown objective.
    """
    wanted = find_metrics(objectives)
    chosen = tuple(usable_objectives(wanted, [entry.result for entry in entries if entry.result]))
    left_out = tuple(metric for metric in wanted if metric not in chosen)
    return SweepSummary(tuple(_with_fronts(entries, chosen)), chosen, left_out)


def find_metrics(keys: Sequence[str]) -> list[Metric]:
    """The metrics of some keys. Raises UserError for an unknown one."""
    known = {metric.key: metric for metric in METRICS}
    for key in keys:
        if key not in known:
            raise UserError("unknown objective", source="--objective", value=key, candidates=known)
    return [known[key] for key in keys]


def _with_fronts(entries: Sequence[SweepEntry], objectives: Sequence[Metric]) -> list[SweepEntry]:
    """Each network has a front of its own: totals of different networks answer different questions."""
    flags: dict[int, bool] = {}
    for network in dict.fromkeys((entry.network, entry.batch) for entry in entries):
        places = [i for i, e in enumerate(entries) if (e.network, e.batch) == network]
        values = [_values(entries[place].result, objectives) for place in places]
        flags |= dict(zip(places, pareto_front(values, [m.better for m in objectives]), strict=True))
    return [
        replace(entry, on_front=flags[place] and entry.result is not None)
        for place, entry in enumerate(entries)
    ]


def _values(result: Result | None, objectives: Sequence[Metric]) -> list[float | None]:
    return [None if result is None else metric.read(result) for metric in objectives]


def _row(entry: SweepEntry, first: Result | None) -> Row:
    result = entry.result
    row: Row = dict(entry.coordinates)
    accuracy = None if result is None else result.accuracy
    row["policy"] = None if accuracy is None else accuracy.policy
    row["images"] = None if accuracy is None else accuracy.images
    for metric in METRICS:
        row[metric.key] = None if result is None else metric.read(result)
        if metric.is_accuracy:
            difference = None
            if result is not None and first is not None and metric.read(result) is not None:
                difference = above(result, first)
            row |= points_columns(metric.key, difference)
    row["utilization"] = None if result is None else result.totals.utilization
    row["mac_is_estimated"] = None if result is None else mac_is_estimated(result)
    row["on_pareto_front"] = entry.on_front
    row["not_priced"] = None if result is None else why_not_priced(result)
    row["warnings"] = None if accuracy is None or result is None else "; ".join(result.warnings)
    row["problem"] = entry.problem
    return row
