"""How much of its time each PE of the grid multiplies, read off the folds that a layer was cut into."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.dataflow import DATAFLOWS, SUMS_MOVE, SUMS_STAY, Dataflow
from simulator.foundation.cuts import cut
from simulator.report import units
from simulator.report.figures import HeatMap
from simulator.result import LayerResult, Result


class _Side(NamedTuple):
    """One dimension of a product laid over one side of the grid."""

    covered: NDArray[np.int64]
    folds: int


_MOST_PES = 2**24
"""PEs of the largest array of which there is a map."""


def pe_utilization(result: Result) -> HeatMap | None:
    """The share of all cycles in which each PE multiplies operands of the network.

    None where it cannot be read off the result: no grid in the configuration or one of more than 16 million
    PEs, an unknown dataflow, columns with MACs of their own, or a layer whose folds are not the plain cut of
    its tiles.
    """
    array = result.arch.get("array", {})
    if array.get("column_blocks") or not {"rows", "columns", "dataflow"} <= array.keys():
        return None
    if array["rows"] * array["columns"] > _MOST_PES:
        return None
    useful = np.zeros((array["rows"], array["columns"]))  # floats, as the sum over layers may exceed 64 bits
    for layer in result.layers:
        own = result.arch.get("layers", {}).get(layer.name, {}).get("dataflow")
        flow = DATAFLOWS.get(own or array["dataflow"])
        cycles = None if flow is None else _useful_cycles(layer, array, flow)
        if cycles is None:
            return None
        useful += cycles
    shares = useful / float(result.totals.cycles)
    return HeatMap(
        "pe_utilization",
        "PE utilization",
        f"Share of all cycles in which each PE multiplies: {units.percent(shares.mean())} on average, "
        f"{units.percent(shares.max())} at best, {units.percent(shares.min())} at worst.",
        "PE column",
        "PE row",
        tuple(tuple(float(share) for share in row) for row in shares),
    )


def _useful_cycles(layer: LayerResult, array: dict[str, Any], flow: Dataflow) -> NDArray[np.int64] | None:
    """Cycles in which each PE multiplies for a layer; None when the layer's folds or MACs do not come out."""
    sizes = {"m": layer.m, "n": layer.n // layer.groups, "k": layer.k}
    if layer.macs > np.iinfo(np.int64).max:
        return None
    rows = _lay(sizes[flow.rows], _tile(layer, flow.rows, sizes), array["rows"])
    columns = _lay(sizes[flow.columns], _tile(layer, flow.columns, sizes), array["columns"])
    # Outputs that stay wait in the PEs for the next piece of the reduction; other folds end with their tile.
    pieces = sum(run.count for run in cut(sizes[flow.time], _tile(layer, flow.time, sizes)))
    passes = {SUMS_STAY: 1, SUMS_MOVE: pieces}[flow.circuit]
    useful = np.outer(rows.covered, columns.covered) * sizes[flow.time] * layer.groups
    if rows.folds * columns.folds * passes * layer.groups != layer.folds or int(useful.sum()) != layer.macs:
        return None
    return useful


def _tile(layer: LayerResult, dimension: str, sizes: dict[str, int]) -> int:
    return min(int(layer.tiling.get(f"tile_{dimension}") or sizes[dimension]), sizes[dimension])


def _lay(length: int, tile: int, places: int) -> _Side:
    """How often each place of a side is covered when a length is cut into tiles and each tile into folds."""
    covered = np.zeros(places, np.int64)
    folds = 0
    for tiles in cut(length, tile):
        for within in cut(tiles.size, places):
            covered[: within.size] += tiles.count * within.count
            folds += tiles.count * within.count
    return _Side(covered, folds)
