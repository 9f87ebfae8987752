"""Variants side by side: the figures compared, each relative to the first variant, and which is best."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from simulator.foundation import UserError
from simulator.report import units
from simulator.report.provenance import mac_is_estimated
from simulator.report.units import Scale
from simulator.result import Result


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that variants are compared by.

    `key` carries the unit, `read` gives None where there is no figure, `absent` says what that means, and
    `scale` chooses the unit of a column.
    """

    key: str
    label: str
    better: Literal["lower", "higher"]
    read: Callable[[Result], float | None]
    scale: Callable[[Iterable[float | None]], Scale]
    absent: str = units.NO_DATA

    @property
    def follows_prices(self) -> bool:
        """Whether the figure is missing where a price is; it has its column all the same."""
        return self.absent == units.NOT_PRICED

    def column_scale(self, results: Iterable[Result]) -> Scale:
        """The unit that suits the figures of all results."""
        return self.scale(map(self.read, results))

    def show(self, scale: Scale, value: float | None) -> str:
        """A figure of a column, or why there is none."""
        return self.absent if value is None else scale.show(value)


def _top1(result: Result) -> float | None:
    return None if result.accuracy is None else result.accuracy.top1


def _agreement(result: Result) -> float | None:
    return None if result.accuracy is None else result.accuracy.agreement_with_float32


METRICS: tuple[Metric, ...] = (
    Metric("cycles", "cycles", "lower", lambda r: r.totals.cycles, units.whole_scale),
    Metric("latency_ms", "latency", "lower", lambda r: r.totals.latency_ms, units.time_scale),
    Metric(
        "energy_pj", "energy", "lower", lambda r: r.totals.energy_pj, units.energy_scale, units.NOT_PRICED
    ),
    Metric("power_mw", "power", "lower", lambda r: r.totals.power_mw, units.power_scale, units.NOT_PRICED),
    Metric("area_um2", "area", "lower", lambda r: r.totals.area_um2, units.area_scale, units.NOT_PRICED),
    Metric(
        "tops_per_w", "TOPS/W", "higher", lambda r: r.totals.tops_per_w, units.plain_scale, units.NOT_PRICED
    ),
    Metric("top1", "top-1", "higher", _top1, units.percent_scale),
    Metric("agreement_with_float32", "as float32", "higher", _agreement, units.percent_scale),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A variant's figure: its value, its ratio to the first variant's, and whether no other is better.

    Where a figure is not priced, its ratio and those to it are None, and only the others are compared.
    """

    value: float | None
    relative: float | None
    best: bool


@dataclass(frozen=True, slots=True)
class Variant:
    """A result among others, under the shortest name that tells it from them."""

    name: str
    result: Result
    cells: tuple[Cell, ...]
    estimated: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Variants and the metrics for which at least one has data; `variant.cells` runs along `metrics`.

    Figures that follow prices are always among them, so that one that is not priced is seen. Agreement
    with float32 stands in for top-1 accuracy where no result has labels.
    """

    variants: tuple[Variant, ...]
    metrics: tuple[Metric, ...]

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks compared; more than one only when mixing them was asked for."""
        return tuple(dict.fromkeys(variant.result.network.name for variant in self.variants))

    @property
    def named_results(self) -> list[tuple[str, Result]]:
        """Every variant's name and result."""
        return [(variant.name, variant.result) for variant in self.variants]

    @property
    def rules(self) -> str:
        """What the marks and ratios mean here, as far as prices are missing."""
        cells = [
            [variant.cells[place] for variant in self.variants]
            for place, metric in enumerate(self.metrics)
            if metric.follows_prices
        ]
        rules = []
        if any(None in (cell.value for cell in column) for column in cells):
            rules.append("the best is that of the priced variants")
        if any(column[0].value is None for column in cells):
            rules.append("no ratio to a first variant that is not priced")
        return "; ".join(rules)


def compare_results(results: Sequence[Result], *, mixed: bool = False) -> Comparison:
    """Results side by side, the first one being what the others are measured against.

    Args:
        results: at least one.
        mixed: allow results of different networks (or batches), whose totals do not answer the same question.

    Raises:
        UserError: no results, or results of different networks without `mixed`.
    """
    if not results:
        raise UserError("there is no result to compare")
    if not mixed:
        _require_one_network(results)
    metrics = tuple(
        m for m in METRICS if m.follows_prices or any(m.read(result) is not None for result in results)
    )
    if any(metric.key == "top1" for metric in metrics):
        metrics = tuple(metric for metric in metrics if metric.key != "agreement_with_float32")
    columns = [_column(metric, results) for metric in metrics]
    variants = (
        Variant(name, result, cells, mac_is_estimated(result))
        for name, result, cells in zip(
            variant_names(results), results, zip(*columns, strict=True), strict=True
        )
    )
    return Comparison(tuple(variants), metrics)


def variant_names(results: Sequence[Result]) -> list[str]:
    """The shortest names that tell results apart: architecture, MAC, both, with the network, numbered."""
    makers: tuple[Callable[[Result], str], ...] = (
        lambda r: str(r.arch.get("name", "unnamed")),
        lambda r: r.mac,
        lambda r: f"{r.arch.get('name', 'unnamed')} · {r.mac}",
        lambda r: r.network.name,
        lambda r: f"{r.network.name} · {r.arch.get('name', 'unnamed')}",
        lambda r: f"{r.network.name} · {r.mac}",
        lambda r: f"{r.network.name} · {r.arch.get('name', 'unnamed')} · {r.mac}",
    )
    several_networks = len({result.network.name for result in results}) > 1
    for maker in makers[3 if several_networks else 0 :]:
        names = [maker(result) for result in results]
        if len(set(names)) == len(names):
            return names
    names = [makers[6 if several_networks else 2](result) for result in results]
    return [
        f"{name} #{names[: i + 1].count(name)}" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def _column(metric: Metric, results: Sequence[Result]) -> list[Cell]:
    values = [metric.read(result) for result in results]
    known = [value for value in values if value is not None]
    best = (min if metric.better == "lower" else max)(known, default=None)
    differ = len(set(known)) > 1
    first = values[0]
    return [
        Cell(
            value,
            None if value is None or not first else value / first,
            best=differ and value == best,
        )
        for value in values
    ]


def _require_one_network(results: Sequence[Result]) -> None:
    first = results[0]
    for other in results[1:]:
        if (other.network.name, other.network.batch, other.network.macs) != (
            first.network.name,
            first.network.batch,
            first.network.macs,
        ):
            raise UserError(
                f"results are of different networks: {_describe(first)} and {_describe(other)}",
                allowed="results of one network, or --mixed to put different ones side by side",
            )


def _describe(result: Result) -> str:
    network = result.network
    return f"{network.name} (batch {network.batch}, {units.quantity(network.macs)} MACs)"
