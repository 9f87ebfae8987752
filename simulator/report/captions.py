"""What was simulated, in one line: the architecture, and the accuracy on data."""

from __future__ import annotations

from simulator.dataflow import DATAFLOWS
from simulator.report import units
from simulator.result import Result

_TITLES = {name: flow.title for name, flow in DATAFLOWS.items()}


def describe_array(result: Result) -> str:
    """The architecture in one line: name, MAC, grid, dataflow and clock, as far as the result says."""
    array = result.arch.get("array", {})
    parts = [str(result.arch.get("name", "unnamed")), result.mac]
    if "rows" in array and "columns" in array:
        parts.append(f"{array['rows']}×{array['columns']}")
    if "dataflow" in array:
        name = str(array["dataflow"])
        parts.append(_TITLES.get(name, name))
    if "clock_mhz" in result.arch:
        parts.append(f"{result.arch['clock_mhz']:g} MHz")
    if result.network.batch != 1:
        parts.append(f"batch {result.network.batch}")
    return " · ".join(parts)


def describe_accuracy(result: Result) -> str:
    """Images, policy, top-1 and agreement with float32 in one line; empty without data."""
    accuracy = result.accuracy
    if accuracy is None:
        return ""
    parts = [f"{units.whole(accuracy.images)} images"]
    if accuracy.policy:
        parts.append(f"policy {accuracy.policy}")
    if accuracy.top1 is not None:
        beside = "" if accuracy.top1_float32 is None else f" (float32 {units.percent(accuracy.top1_float32)})"
        parts.append(f"top-1 {units.percent(accuracy.top1)}{beside}")
    if accuracy.agreement_with_float32 is not None:
        parts.append(f"agrees with float32 on {units.percent(accuracy.agreement_with_float32)}")
    return " · ".join(parts)
