"""Results as rows of plain values, for CSV files, JSON and data frames; units are in the column names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from simulator.foundation.csv_text import csv_text
from simulator.foundation.paired import PairedDifference
from simulator.report.comparison import Comparison, Metric
from simulator.report.components import in_order
from simulator.report.intervals import FIGURE_OF_METRIC, difference
from simulator.report.pareto import pareto_front
from simulator.report.unpriced import reasons
from simulator.result import LayerResult, OperandTraffic, Result

Row = dict[str, Any]

COMPARISON_SCHEMA_VERSION = 1
_OBJECTIVES = ("top1", "agreement_with_float32", "energy_pj", "area_um2")


def layer_rows(result: Result) -> list[Row]:
    """One row a layer in execution order; every row has the same columns.

    Energies that are not priced are None, and the column `not_priced`, which is there only then, says why.
    """
    components = in_order(result.totals.energy_by_component_pj)
    causes = list(dict.fromkeys(cause for layer in result.layers for cause in layer.stalls))
    with_accuracy = any(each.accuracy for each in result.layers)
    rows = [_layer_row(layer, components, causes, with_accuracy=with_accuracy) for layer in result.layers]
    if result.not_priced:
        for row, layer in zip(rows, result.layers, strict=True):
            row["not_priced"] = _reasons(result, [p for p, pj in layer.energy_pj.items() if pj is None])
    return rows


def layers_csv(result: Result) -> str:
    """The text of `layers.csv`."""
    return rows_csv(layer_rows(result))


def comparison_rows(comparison: Comparison) -> list[Row]:
    """One row a variant: figures, ratios to the first (points for accuracies), energy by component, front.

    Figures that are not priced are None, and `not_priced` says why.
    """
    components = in_order(
        part for variant in comparison.variants for part in variant.result.totals.energy_by_component_pj
    )
    rows = []
    for variant, on_front in zip(comparison.variants, comparison_front(comparison), strict=True):
        result = variant.result
        row: Row = {
            "variant": variant.name,
            "network": result.network.name,
            "batch": result.network.batch,
            "arch": result.arch.get("name", "unnamed"),
            "mac": result.mac,
            "policy": None if result.accuracy is None else result.accuracy.policy,
            "images": None if result.accuracy is None else result.accuracy.images,
        }
        for metric, cell in zip(comparison.metrics, variant.cells, strict=True):
            row[metric.key] = cell.value
            if metric.is_accuracy:
                row |= points_columns(metric.key, cell.difference)
            else:
                row[f"{metric.key}_relative"] = cell.relative
            row |= _half_width(metric.key, result, comparison.variants[0].result)
        for part in components:
            row[f"energy_{part}_pj"] = result.totals.energy_by_component_pj.get(part, 0.0)
        row["best_in"] = " ".join(
            metric.key for metric, cell in zip(comparison.metrics, variant.cells, strict=True) if cell.best
        )
        row["mac_is_estimated"] = variant.estimated
        row["on_pareto_front"] = on_front
        row["not_priced"] = why_not_priced(result)
        rows.append(row)
    return rows


def _half_width(key: str, result: Result, first: Result) -> Row:
    """How well the ratio of energies or areas is known: the half-width of its interval."""
    if key not in FIGURE_OF_METRIC:
        return {}
    found = difference(result, first, FIGURE_OF_METRIC[key])
    return {f"{key}_relative_half_width": None if found is None else found.half_width}


def points_columns(key: str, difference: PairedDifference | None) -> Row:
    """How far an accuracy is above that of the first variant or point, with its 95 % interval, in points."""
    return {
        f"{key}_points": None if difference is None else difference.points,
        f"{key}_points_low": None if difference is None else difference.low,
        f"{key}_points_high": None if difference is None else difference.high,
    }


def comparison_objectives(comparison: Comparison) -> list[Metric]:
    """What the Pareto front is taken over: energy and area, and accuracy when every variant has it."""
    metrics = [metric for metric in comparison.metrics if metric.key in _OBJECTIVES]
    results = [variant.result for variant in comparison.variants]
    return usable_objectives({metric: [metric.read(result) for result in results] for metric in metrics})


def usable_objectives(figures: Mapping[Metric, Sequence[float | None]]) -> list[Metric]:
    """Those of some metrics that results can be compared by, whose figures stand beside them.

    A figure that follows prices is one as long as some result has it: results without a price take no part
    in a front. Others are one only when every result has them.
    """
    return [
        metric
        for metric, values in figures.items()
        if (any if metric.follows_prices else all)(value is not None for value in values)
    ]


def why_not_priced(result: Result) -> str | None:
    """Every reason why a figure is not priced, in one text; None where all are priced."""
    return "; ".join(reasons(result)) or None


def comparison_front(comparison: Comparison) -> list[bool]:
    """Which variants are on the Pareto front of `comparison_objectives`."""
    objectives = comparison_objectives(comparison)
    points = [[metric.read(variant.result) for metric in objectives] for variant in comparison.variants]
    return pareto_front(points, [metric.better for metric in objectives])


def comparison_json(comparison: Comparison, failures: Mapping[str, str] | None = None) -> str:
    """The comparison as JSON text; `failures` names the variants that gave no result, and why."""
    document = {
        "schema_version": COMPARISON_SCHEMA_VERSION,
        "networks": list(comparison.networks),
        "variants": comparison_rows(comparison),
        "failures": dict(failures or {}),
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def rows_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV text with a header line; missing values are empty fields."""
    return rows_csv_of(list(dict.fromkeys(column for row in rows for column in row)), rows)


def rows_csv_of(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """Rows as CSV text with a header line of these columns; missing values are empty fields."""
    return csv_text(columns, ([row.get(column, "") for column in columns] for row in rows))


def _layer_row(
    layer: LayerResult, components: Iterable[str], causes: Iterable[str], *, with_accuracy: bool
) -> Row:
    row: Row = {
        "name": layer.name,
        "kind": layer.kind,
        "mac": layer.mac,
        "m": layer.m,
        "n": layer.n,
        "k": layer.k,
        "groups": layer.groups,
        "macs": layer.macs,
        "folds": layer.folds,
        "start_cycle": layer.start_cycle,
        "compute_cycles": layer.cycles.compute,
        "fill_cycles": layer.cycles.fill,
        "drain_cycles": layer.cycles.drain,
        "stall_cycles": layer.cycles.stall,
        "total_cycles": layer.cycles.total,
    }
    row |= {f"stall_{cause}_cycles": layer.stalls.get(cause, 0) for cause in causes}
    row["utilization"] = layer.utilization
    row |= _traffic("sram", layer.sram_bytes) | _traffic("dram", layer.dram_bytes)
    row |= {f"energy_{part}_pj": layer.energy_pj.get(part, 0.0) for part in components}
    row["energy_total_pj"] = layer.energy_pj["total"]
    row["static_energy_pj"] = layer.static_energy_pj
    row["power_mw"] = layer.power_mw
    if with_accuracy:
        row["sqnr_db"] = layer.accuracy.sqnr_db if layer.accuracy else None
        row["cosine"] = layer.accuracy.cosine if layer.accuracy else None
    return row


def _reasons(result: Result, components: Sequence[str]) -> str | None:
    """Why the energy of some components is not priced; None where there are none."""
    missing = [m for m in result.not_priced if m.figure == "energy" and m.component in components]
    return "; ".join(dict.fromkeys(each.reason for each in missing)) or None


def _traffic(memory: str, traffic: OperandTraffic) -> Row:
    return {
        f"{memory}_{operand}_{way}_bytes": getattr(getattr(traffic, operand), way)
        for operand in ("ifmap", "filter", "ofmap")
        for way in ("read", "write")
    }
