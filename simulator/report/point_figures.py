"""What fronts, charts and tables read of a result, without the result: a sweep keeps it of every point."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from simulator.foundation.paired import PairedDifference
from simulator.foundation.proportion import wilson_interval
from simulator.report.accuracy import above
from simulator.report.comparison import METRICS, Metric
from simulator.report.intervals import FIGURE_OF_METRIC, ends_of
from simulator.report.price_origin import mac_is_estimated
from simulator.report.unpriced import reasons
from simulator.result import Result

Ends = tuple[float, float]

_PLACES = {metric.key: place for place, metric in enumerate(METRICS)}


@dataclass(frozen=True, slots=True)
class PointFigures:
    """The figures of a result.

    Attributes:
        values: one for each of `METRICS`; None where the result has none.
        intervals: one for each of them, in the unit of the metric; None where it has none.
        utilization: of the PEs, 0 to 1.
        is_estimated: whether the MAC has no published price.
        reasons: why figures are not priced.
        has_accuracy: whether the network ran on images.
        policy: how it got its formats; None where it ran on no images.
        images: how many; None where it ran on none.
        warnings: of the run.
        above_first: how far its accuracy is above that of another result; None where that cannot be told.
    """

    values: tuple[float | None, ...]
    intervals: tuple[Ends | None, ...]
    utilization: float
    is_estimated: bool
    reasons: tuple[str, ...]
    has_accuracy: bool
    policy: str | None
    images: int | None
    warnings: tuple[str, ...]
    above_first: PairedDifference | None

    @staticmethod
    def of(result: Result, first: Result | None = None) -> PointFigures:
        """Those of a result; `first` is the one that its accuracy is compared with."""
        accuracy = result.accuracy
        return PointFigures(
            tuple(metric.read(result) for metric in METRICS),
            tuple(_interval(metric, result) for metric in METRICS),
            result.totals.utilization,
            mac_is_estimated(result),
            _shared(reasons(result)),
            accuracy is not None,
            None if accuracy is None else accuracy.policy,
            None if accuracy is None else accuracy.images,
            _shared(result.warnings),
            None if first is None else above(result, first),
        )

    def value(self, metric: Metric) -> float | None:
        """The figure of a metric; None where there is none."""
        return self.values[_PLACES[metric.key]]

    def interval(self, metric: Metric) -> Ends | None:
        """Both ends of the interval of a figure; None where there is none."""
        return self.intervals[_PLACES[metric.key]]


def _shared(texts: Sequence[str]) -> tuple[str, ...]:
    """The texts, of which equal ones of many points are one object."""
    return tuple(sys.intern(text) for text in texts)


def _interval(metric: Metric, result: Result) -> Ends | None:
    if metric.key in FIGURE_OF_METRIC:
        return ends_of(result, FIGURE_OF_METRIC[metric.key])
    if metric.is_accuracy and result.accuracy is not None and result.accuracy.outcomes:
        right = result.accuracy.outcomes
        return wilson_interval(sum(right) / len(right), len(right))
    return None
