"""The roofline: what every layer reaches, under what the array and the DRAM allow."""

from __future__ import annotations

from simulator.dataflow import DATAFLOWS
from simulator.report.figures import Point, Scatter
from simulator.result import LayerResult, Result

_NAMED = 8
"""Layers whose names are drawn: those that take the most cycles."""


def roofline(result: Result) -> Scatter | None:
    """Every layer's MACs per second over its MACs per DRAM byte, under the machine's roof.

    Where sums stay in the PEs, a PE adds once in an accumulation interval, and the peak is that of all PEs
    divided by the interval. Where sums move, a PE adds to another sum in every cycle. Bytes are
    those of whole bursts where the result knows them. None when the configuration gives no grid, clock or
    DRAM rate, or no layer touches DRAM.
    """
    array, dram = result.arch.get("array", {}), result.arch.get("dram", {})
    try:
        clock_ghz = result.arch["clock_mhz"] / 1000
        adds_each_cycle = array["rows"] * array["columns"] * clock_ghz
        bandwidth = float(dram["bandwidth_gbyte_per_s"])
    except KeyError:
        return None
    points, cycles = [], []
    for layer in result.layers:
        moved = _dram_bytes(layer)
        if moved and layer.cycles.total:
            intensity = layer.macs / moved
            reached = layer.macs / layer.cycles.total * clock_ghz
            ridge = adds_each_cycle / _interval(result, layer) / bandwidth
            points.append(Point(layer.name, intensity, reached, filled=intensity >= ridge))
            cycles.append(layer.cycles.total)
    if not points:
        return None
    intervals = sorted({_interval(result, layer) for layer in result.layers})
    peak = adds_each_cycle / intervals[0]
    left = min([point.x for point in points] + [peak / bandwidth]) / 2
    right = max([point.x for point in points] + [peak / bandwidth]) * 2
    return Scatter(
        "roofline",
        "Roofline",
        f"Peak {peak:,.1f} GMAC/s{_of_intervals(intervals)}, DRAM {bandwidth:g} GB/s; "
        f"below {peak / bandwidth:.1f} MACs a byte DRAM sets the limit.",
        "MACs per DRAM byte",
        "GMAC/s",
        tuple(points),
        ((left, left * bandwidth), (peak / bandwidth, peak), (right, peak)),
        "roof",
        "under the peak",
        "under the DRAM's rate",
        logarithmic=True,
        named=tuple(sorted(range(len(points)), key=lambda place: -cycles[place])[:_NAMED]),
    )


def _interval(result: Result, layer: LayerResult) -> int:
    """Cycles between two additions of a PE."""
    own = result.arch.get("layers", {}).get(layer.name, {}).get("dataflow")
    flow = DATAFLOWS.get(own or result.arch["array"].get("dataflow", ""))
    return 1 if flow is None else flow.circuit.cycles_between_additions(layer.accumulation_interval)


def _dram_bytes(layer: LayerResult) -> int:
    operands = (layer.dram_bytes.ifmap, layer.dram_bytes.filter, layer.dram_bytes.ofmap)
    return sum(each.moved_read + each.moved_write or each.read + each.write for each in operands)


def _of_intervals(intervals: list[int]) -> str:
    """What the peak owes to the accumulation interval; empty where a PE adds in every cycle."""
    if intervals == [1]:
        return ""
    least = f" with one addition a PE in {intervals[0]} cycle{'s' if intervals[0] != 1 else ''}"
    others = ", ".join(map(str, intervals[1:]))
    return least + (f" (other layers: in {others})" if others else "")
