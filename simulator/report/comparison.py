"""Variants side by side: the figures compared, each relative to the first variant, and which is best."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from simulator.foundation import UserError
from simulator.foundation.paired import PairedDifference
from simulator.foundation.resources import bundled_names, data_folder
from simulator.report import units
from simulator.report.accuracy import NOT_THE_SAME_IMAGES, RULE, above, conditions, in_points, is_best
from simulator.report.price_origin import mac_is_estimated, marked
from simulator.report.units import Scale
from simulator.result import Result


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that variants are compared by.

    `key` carries the unit, `read` gives None where there is no figure, `absent` says what that means, and
    `scale` chooses the unit of a column. An `is_accuracy` is compared by points and their noise. An
    `of_chip` leaves the DRAM out; pages of text show it in a table of its own.
    """

    key: str
    label: str
    better: Literal["lower", "higher"]
    read: Callable[[Result], float | None]
    scale: Callable[[Iterable[float | None]], Scale]
    absent: str = units.NO_DATA
    is_accuracy: bool = False
    of_chip: bool = False

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
    Metric(
        "chip_energy_pj",
        "chip energy",
        "lower",
        lambda r: r.totals.chip_energy_pj,
        units.energy_scale,
        units.NOT_PRICED,
        of_chip=True,
    ),
    Metric(
        "chip_power_mw",
        "chip power",
        "lower",
        lambda r: r.totals.chip_power_mw,
        units.power_scale,
        units.NOT_PRICED,
        of_chip=True,
    ),
    Metric(
        "chip_tops_per_w",
        "chip TOPS/W",
        "higher",
        lambda r: r.totals.chip_tops_per_w,
        units.plain_scale,
        units.NOT_PRICED,
        of_chip=True,
    ),
    Metric("top1", "top-1", "higher", _top1, units.percent_scale, is_accuracy=True),
    Metric(
        "agreement_with_float32", "as float32", "higher", _agreement, units.percent_scale, is_accuracy=True
    ),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A variant's figure: its value, its ratio to the first variant's, and whether no other is better.

    Where a figure is not priced, its ratio and those to it are None, and only the others are compared. An
    accuracy has no ratio but a `difference` from the first variant's, where both are of the same images,
    and is the best only where it exceeds all others by more than their noise.
    """

    value: float | None
    relative: float | None
    best: bool
    difference: PairedDifference | None = None

    @property
    def beside_first(self) -> str:
        """The ratio to the first variant's figure, or the points above it."""
        return units.ratio(self.relative) if self.relative is not None else in_points(self.difference)


@dataclass(frozen=True, slots=True)
class Variant:
    """A result among others, under the shortest name that tells it from them."""

    name: str
    result: Result
    cells: tuple[Cell, ...]
    estimated: bool

    @property
    def shown_name(self) -> str:
        """The name with the mark of an estimate."""
        return marked(self.name, "estimate" if self.estimated else None)

    @property
    def conditions(self) -> str:
        """The policy and the number of images of its accuracy; empty without one."""
        return conditions(self.result)


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
        """What marks, ratios and differences mean here, beyond the best of a column."""
        cells = [
            [variant.cells[place] for variant in self.variants]
            for place, metric in enumerate(self.metrics)
            if metric.follows_prices
        ]
        rules = []
        accuracies = [place for place, metric in enumerate(self.metrics) if metric.is_accuracy]
        if accuracies and len(self.variants) > 1:
            rules.append(RULE)
            cells_with_accuracy = [variant.cells[place] for variant in self.variants for place in accuracies]
            if any(cell.value is not None and cell.difference is None for cell in cells_with_accuracy):
                rules.append(NOT_THE_SAME_IMAGES)
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
    """The shortest names that tell results apart: architecture, MAC, policy, with the network, numbered.

    An architecture alone never stands for a MAC that the bundled one of its name does not have.
    """
    several_networks = len({result.network.name for result in results}) > 1
    makers: tuple[Sequence[Callable[[Result], str]], ...] = (
        (_arch,),
        (_mac,),
        (_arch, _mac),
        (_policy,),
        (_mac, _policy),
        (_arch, _mac, _policy),
    )
    for maker in makers if not several_networks else [(), *makers]:
        parts = (_network, *maker) if several_networks else maker
        names = _joined(results, parts)
        if all(names) and len(set(names)) == len(names):
            return _joined(results, (*parts, _other_mac)) if maker == (_arch,) else names
    parts = (_network, _arch, _mac) if several_networks else (_arch, _mac)
    names = [" · ".join(part(result) for part in parts) for result in results]
    return [
        f"{name} #{names[: i + 1].count(name)}" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def _joined(results: Sequence[Result], parts: Sequence[Callable[[Result], str]]) -> list[str]:
    return [" · ".join(filter(None, (part(result) for part in parts))) for result in results]


def _arch(result: Result) -> str:
    return str(result.arch.get("name", "unnamed"))


def _other_mac(result: Result) -> str:
    """The MAC, where the bundled architecture of the same name has another one; else empty."""
    own = _mac_of_bundled(_arch(result))
    return "" if own in (None, result.mac) else result.mac


@cache
def _mac_of_bundled(arch: str) -> str | None:
    """The MAC that a bundled architecture names; None for a name that is not bundled."""
    from simulator.foundation.documents import load_yaml

    if arch not in bundled_names("arch_configs"):
        return None
    return str(load_yaml(data_folder("arch_configs") / f"{arch}.yaml")["array"]["mac"])


def _mac(result: Result) -> str:
    return result.mac


def _network(result: Result) -> str:
    return result.network.name


def _policy(result: Result) -> str:
    return "" if result.accuracy is None else result.accuracy.policy


def _column(metric: Metric, results: Sequence[Result]) -> list[Cell]:
    if metric.is_accuracy:
        return [_accuracy_cell(metric, results, place) for place in range(len(results))]
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


def _accuracy_cell(metric: Metric, results: Sequence[Result], place: int) -> Cell:
    value = metric.read(results[place])
    if value is None:
        return Cell(None, None, best=False)
    others = [other for i, other in enumerate(results) if i != place and metric.read(other) is not None]
    difference = None if metric.read(results[0]) is None else above(results[place], results[0])
    return Cell(value, None, is_best(results[place], others), difference)


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
