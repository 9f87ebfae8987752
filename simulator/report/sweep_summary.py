"""What a sweep found, as data that pages show: a row a point, and the Pareto front of each network."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from simulator.foundation import UserError
from simulator.report.comparison import METRICS, Metric
from simulator.report.comparison_figures import pareto_scatters
from simulator.report.figures import Figure
from simulator.report.pareto import pareto_front
from simulator.report.point_figures import PointFigures
from simulator.report.price_origin import marked
from simulator.report.tabular import Row, points_columns, usable_objectives

SUMMARY_SCHEMA_VERSION = 1


class NamedPoint(Protocol):
    """A point of a sweep, by its names."""

    @property
    def network(self) -> str:
        """Its network's name or file."""
        ...

    @property
    def batch(self) -> int | None:
        """Inferences at once; None: the network's own."""
        ...

    @property
    def short_label(self) -> str:
        """The point without its network."""
        ...

    @property
    def label(self) -> str:
        """The point in one line."""
        ...

    @property
    def coordinates(self) -> Mapping[str, Any]:
        """What tells the point from the others, by column name."""
        ...


@dataclass(frozen=True, slots=True)
class SweepEntry:
    """A point with the figures of its result, or with the reason why it has none.

    Attributes:
        point: its names.
        figures: of its result; None where there is none.
        problem: why there is none.
        on_front: whether it is on its network's Pareto front.
    """

    point: NamedPoint
    figures: PointFigures | None
    problem: str | None
    on_front: bool = False

    @property
    def group(self) -> tuple[str, int | None]:
        """Network and batch: points of a group are compared with each other."""
        return self.point.network, self.point.batch


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
        return [entry for entry in self.entries if entry.figures is None]

    @property
    def front(self) -> list[SweepEntry]:
        """Points on the front of their network."""
        return [entry for entry in self.entries if entry.on_front]

    @property
    def not_priced(self) -> dict[str, int]:
        """Each reason why something is not priced, and in how many points."""
        told = Counter(line for entry in self.entries if entry.figures for line in entry.figures.reasons)
        return dict(told)

    def rows(self) -> Iterator[Row]:
        """Coordinates, figures and place of every point, one after the other; missing values are None.

        Accuracies also have the points above that of the network's first point with a result, with the 95 %
        interval on the same images.
        """
        return map(_row, self.entries)

    @property
    def columns(self) -> list[str]:
        """Columns of all rows: those of the first, then coordinates that only later points have."""
        names = dict.fromkeys(_row(self.entries[0]) if self.entries else ())
        return list(names | dict.fromkeys(name for e in self.entries for name in e.point.coordinates))

    @property
    def warnings(self) -> dict[str, int]:
        """Each warning of points that ran tensors, and of how many points it is."""
        ran = [entry.figures for entry in self.entries if entry.figures and entry.figures.has_accuracy]
        return dict(Counter(warning for figures in ran for warning in figures.warnings))

    def json_pieces(self, name: str) -> Iterator[str]:
        """The summary as JSON text, a point after the other; the same results give the same text."""
        head = {
            "schema_version": SUMMARY_SCHEMA_VERSION,
            "name": name,
            "objectives": [metric.key for metric in self.objectives],
            "points": [],
        }
        yield json.dumps(head, indent=1, ensure_ascii=False).removesuffix("]\n}")
        for place, row in enumerate(self.rows()):
            text = json.dumps(row, indent=1, ensure_ascii=False).replace("\n", "\n  ")
            yield f"{',' if place else ''}\n  {text}"
        yield f"{chr(10) + ' ' if self.entries else ''}]\n}}\n"

    def to_json(self, name: str) -> str:
        """The whole of `json_pieces`."""
        return "".join(self.json_pieces(name))

    def figures(self) -> dict[str, list[Figure]]:
        """By network, a figure for every pair of objectives."""
        figures: dict[str, list[Figure]] = {}
        for network in dict.fromkeys(entry.point.network for entry in self.entries):
            found = [
                (entry, entry.figures)
                for entry in self.entries
                if entry.figures is not None and entry.point.network == network
            ]
            figures[network] = pareto_scatters(
                [marked(e.point.short_label, "estimate" if f.is_estimated else None) for e, f in found],
                [each for _, each in found],
                self.objectives,
                [entry.on_front for entry, _ in found],
            )
        return figures


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
    found = [entry.figures for entry in entries if entry.figures]
    chosen = tuple(usable_objectives({metric: [each.value(metric) for each in found] for metric in wanted}))
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
    groups: dict[tuple[str, int | None], list[int]] = {}
    for place, entry in enumerate(entries):
        groups.setdefault(entry.group, []).append(place)
    for places in groups.values():
        values = [_values(entries[place].figures, objectives) for place in places]
        flags |= dict(zip(places, pareto_front(values, [m.better for m in objectives]), strict=True))
    return [
        replace(entry, on_front=flags[place] and entry.figures is not None)
        for place, entry in enumerate(entries)
    ]


def _values(figures: PointFigures | None, objectives: Sequence[Metric]) -> list[float | None]:
    return [None if figures is None else figures.value(metric) for metric in objectives]


def _row(entry: SweepEntry) -> Row:
    found = entry.figures
    row: Row = dict(entry.point.coordinates)
    row["policy"] = None if found is None else found.policy
    row["images"] = None if found is None else found.images
    for metric in METRICS:
        value = row[metric.key] = None if found is None else found.value(metric)
        if metric.is_accuracy:
            row |= points_columns(metric.key, None if found is None or value is None else found.above_first)
    row["utilization"] = None if found is None else found.utilization
    row["mac_is_estimated"] = None if found is None else found.is_estimated
    row["on_pareto_front"] = entry.on_front
    row["not_priced"] = None if found is None else "; ".join(found.reasons) or None
    row["warnings"] = "; ".join(found.warnings) if found is not None and found.has_accuracy else None
    row["problem"] = entry.problem
    return row
