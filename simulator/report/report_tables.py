"""Tables for people, as data: what the HTML report prints and what stands behind each chart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from simulator.report import units
from simulator.report.comparison import Comparison
from simulator.report.figures import Figure, HeatMap, Scatter, StackedBars
from simulator.report.price_origin import standing, uncertainty_note
from simulator.result import TOTAL, PriceSource, Result, sum_known

_NO_NUMBER = ("", units.NO_DATA, units.NOT_PRICED)
"""What a column of numbers may hold instead of one."""

_MOST_ROWS = 2000
"""Rows of a table of a page; browsers grow slow beyond."""

_LEAST_INEXACT = 2**53
"""Floats from here on are whole numbers that need not be the one that was meant."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure or word as shown; numbers keep the value that they sort by."""

    text: str
    value: float | None = None
    note: str = ""
    emphasis: str = ""


@dataclass(frozen=True, slots=True)
class TableView:
    """A table with its heading line; a column is numeric when its cells have values.

    A column sorts by what it shows. `left_out` says which rows are not there; empty where all are.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left_out: str = ""

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold numbers, and are set right-aligned."""
        return tuple(
            bool(cells) and all(cell.value is not None or cell.text in _NO_NUMBER for cell in cells)
            for cells in (tuple(row[column] for row in self.rows) for column in range(len(self.columns)))
        )


def bounded(table: TableView) -> TableView:
    """A table that a page can hold: its first 2,000 rows, and how many it lacks."""
    lacking = len(table.rows) - _MOST_ROWS
    if lacking <= 0:
        return table
    told = f"The first {_MOST_ROWS:,} rows of {len(table.rows):,}; result.json and layers.csv have all."
    return TableView(table.caption, table.columns, table.rows[:_MOST_ROWS], told)


def figure_table(figure: Figure) -> TableView:
    """The numbers behind a chart."""
    match figure:
        case StackedBars():
            return _bars_table(figure)
        case Scatter():
            rows = (
                (
                    Cell(point.name),
                    _number(point.x),
                    _number(point.y),
                    Cell(figure.filled_name if point.filled else figure.open_name),
                )
                for point in figure.points
            )
            return TableView(figure.title, ("name", figure.x_axis, figure.y_axis, ""), tuple(rows))
        case HeatMap():
            columns = (figure.y_axis, *(f"{column}" for column in range(len(figure.values[0]))))
            grid = (
                (Cell(str(index), index), *(Cell(f"{100 * share:.0f}", share) for share in row))
                for index, row in enumerate(figure.values)
            )
            return TableView(f"{figure.title} in percent, PE columns across", columns, tuple(grid))


def layers_table(result: Result) -> TableView:
    """Every layer: shape, cycles, utilization, traffic, energy."""
    scale = units.energy_scale(layer.energy_pj[TOTAL] for layer in result.layers)
    columns = ("#", "layer", "kind", "MAC", "M", "N", "K", "MACs", "folds", "cycles", "stall", "util.")
    rows = []
    for index, layer in enumerate(result.layers, 1):
        dram = sum(
            operand.read + operand.write
            for operand in (layer.dram_bytes.ifmap, layer.dram_bytes.filter, layer.dram_bytes.ofmap)
        )
        cycles = layer.cycles.total
        rows.append(
            (
                Cell(str(index), index),
                Cell(layer.name),
                Cell(layer.kind),
                Cell(layer.mac),
                *(Cell(units.whole(size), size) for size in (layer.m, layer.n, layer.k)),
                Cell(units.quantity(layer.macs, 3), layer.macs),
                Cell(units.whole(layer.folds), layer.folds),
                Cell(units.whole(cycles), cycles),
                _share(layer.cycles.stall / cycles),
                _share(layer.utilization),
                Cell(units.data_size(dram), dram),
                Cell(scale.show(layer.energy_pj[TOTAL]), layer.energy_pj[TOTAL]),
                Cell(units.power(layer.power_mw), layer.power_mw),
            )
        )
    energy = f"energy [{scale.unit}]" if scale.unit else "energy"
    return TableView("Layers", (*columns, "DRAM", energy, "power"), tuple(rows))


def configuration_table(arch: Mapping[str, object]) -> TableView:
    """The resolved architecture, one dotted field a row."""
    rows = (
        (Cell(field), Cell("–" if value in (None, "", [], {}) else str(value)))
        for field, value in _flat(arch)
    )
    return TableView("Configuration", ("field", "value"), tuple(rows))


def prices_table(prices: Iterable[PriceSource]) -> TableView:
    """Every price that was used, and where it comes from."""
    rows = tuple(
        (
            Cell(price.component),
            Cell(price.action),
            Cell(units.significant(price.value), price.value),
            Cell(price.unit),
            Cell(price.status, note=uncertainty_note(price), emphasis=standing(price)),
            Cell(price.source, note=f"{price.table}: {price.row}"),
            Cell(
                _conditions(price),
                note="; ".join(filter(None, [price.activity, price.formula, *price.scaling])),
            ),
        )
        for price in prices
    )
    return TableView(
        "Prices and where they come from",
        ("component", "action", "price", "unit", "status", "source", "conditions"),
        rows,
    )


def comparison_table(comparison: Comparison) -> TableView:
    """Variants down, figures across, each with its ratio to the first variant."""
    results = [variant.result for variant in comparison.variants]
    scales = [metric.column_scale(results) for metric in comparison.metrics]
    rows = []
    for variant in comparison.variants:
        row = [Cell(variant.shown_name, note=variant.conditions)]
        for metric, cell, scale in zip(comparison.metrics, variant.cells, scales, strict=True):
            if cell.value is None:
                row.append(Cell(metric.absent))
            else:
                best = "best" if cell.best else ""
                row.append(Cell(scale.show(cell.value), cell.value, cell.beside_first, best))
        rows.append(tuple(row))
    heads = (
        f"{metric.label} [{scale.unit}]" if scale.unit else metric.label
        for metric, scale in zip(comparison.metrics, scales, strict=True)
    )
    return TableView("Variants side by side", ("variant", *heads), tuple(rows))


def _bars_table(figure: StackedBars) -> TableView:
    one_each = figure.is_one_part_each
    if one_each:
        rows = tuple(
            (Cell(name), _number(sum_known(series.values[index] for series in figure.series)))
            for index, name in enumerate(figure.categories)
        )
        return TableView(figure.title, ("", figure.axis), rows)
    names = tuple(series.name for series in figure.series)
    several = len(names) > 1 and not figure.beside
    rows = tuple(
        (
            Cell(name),
            *(_number(series.values[index]) for series in figure.series),
            *((_number(sum_known(series.values[index] for series in figure.series)),) if several else ()),
        )
        for index, name in enumerate(figure.categories)
    )
    return TableView(f"{figure.title}: {figure.axis}", ("", *names, *(("total",) if several else ())), rows)


def _share(share: float) -> Cell:
    return Cell(units.percent(share), share)


def _number(value: float | None) -> Cell:
    if value is None:
        return Cell(units.NOT_PRICED)
    if isinstance(value, int):
        return Cell(units.whole(value), value)
    exact = value.is_integer() and abs(value) < _LEAST_INEXACT
    return Cell(units.whole(int(value)) if exact else units.significant(value), value)


def _flat(document: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, object]]:
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _conditions(price: PriceSource) -> str:
    parts = (
        (price.node_nm, "nm"),
        (price.voltage_v, "V"),
        (price.temperature_c, "°C"),
        (price.corner, ""),
        (price.clock_mhz, "MHz"),
    )
    return ", ".join(
        f"{value:g} {unit}" if isinstance(value, float) else str(value)
        for value, unit in parts
        if value is not None
    )
