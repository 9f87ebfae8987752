"""Under which conditions figures hold, in words: batch, machine, images, policy; and where runs differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from simulator.dataflow import DATAFLOWS
from simulator.report import units
from simulator.result import Result

Named = Sequence[tuple[str, Result]]

_MOST_TOLD = 4
"""Differing values of one condition that are written out."""


def of_what(result: Result) -> str:
    """What the totals of a run are of: `for one inference`, or `for a batch of 8 inferences`."""
    batch = result.network.batch
    return "for one inference" if batch == 1 else f"for a batch of {batch:,} inferences"


def conditions_of(results: Named) -> list[tuple[str, str]]:
    """Every condition that is known, with its value; where results differ, with that of each."""
    told = []
    for name, read in _CONDITIONS.items():
        values = [(variant, read(result)) for variant, result in results]
        if any(value for _, value in values):
            told.append((name, _joined(values)))
    return told


def cautions(results: Named) -> list[str]:
    """What makes some results hard to compare: other images, policies, or no tensors at all."""
    return [line for line in (_tensors(results), *_of_accuracies(results)) if line]


def _tensors(results: Named) -> str:
    without = [name for name, result in results if result.accuracy is None]
    if not without or len(without) == len(results):
        return ""
    return (
        f"Only some variants ran tensors. {_listed(without)} did not: no accuracy there, and the switching"
        " activity is that of the price tables, not that of the data."
    )


def _of_accuracies(results: Named) -> Iterator[str]:
    measured = [(name, result.accuracy) for name, result in results if result.accuracy is not None]
    images = {(accuracy.images_hash, accuracy.images, accuracy.data) for _, accuracy in measured}
    if len(images) > 1:
        counts = [
            (name, f"{accuracy.images:,} of {accuracy.data or 'unnamed data'}") for name, accuracy in measured
        ]
        yield (
            f"Accuracies are on different images ({_joined(counts)}); differences between them are not"
            " those of the formats alone."
        )
    policies = [(name, accuracy.policy or "none") for name, accuracy in measured]
    if len({policy for _, policy in policies}) > 1:
        yield (
            f"Policies differ ({_joined(policies)}); differences are those of formats and policies together."
        )


def _joined(values: Sequence[tuple[str, str]]) -> str:
    """A value that all share, or each with the names of those that have it, where it is not their name."""
    by_value: dict[str, list[str]] = {}
    for name, value in values:
        by_value.setdefault(value or units.NO_DATA, []).append(name)
    if len(by_value) == 1:
        return next(iter(by_value))
    told = [
        value if names == [value] else f"{_listed(names)}: {value}"
        for value, names in list(by_value.items())[:_MOST_TOLD]
    ]
    more = len(by_value) - _MOST_TOLD
    return "; ".join(told) + (f"; and {more} more" if more > 0 else "")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_TOLD
    return ", ".join(names[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")


def _part(result: Result, name: str) -> Mapping[str, Any]:
    part = result.arch.get(name)
    return part if isinstance(part, Mapping) else {}


def _array(result: Result) -> str:
    array = _part(result, "array")
    if not {"rows", "columns"} <= array.keys():
        return ""
    titles = [flow.title for name, flow in DATAFLOWS.items() if name == array.get("dataflow")]
    return ", ".join([f"{array['rows']} × {array['columns']} PEs", *titles])


def _clock(result: Result) -> str:
    return f"{result.arch['clock_mhz']:g} MHz" if "clock_mhz" in result.arch else ""


def _process(result: Result) -> str:
    process = _part(result, "process")
    told = (("node_nm", "nm"), ("voltage_v", "V"), ("temperature_c", "°C"))
    parts = [f"{process[key]:g} {unit}" for key, unit in told if isinstance(process.get(key), int | float)]
    return ", ".join([*parts, *([str(process["corner"])] if process.get("corner") else [])])


def _sram(result: Result) -> str:
    parts = []
    for name, memory in _part(result, "sram").items():
        if isinstance(memory, Mapping) and isinstance(memory.get("capacity_kib"), int | float):
            parts.append(f"{name.replace('_', ' ')} {memory['capacity_kib']:g} KiB")
    return ", ".join(parts)


def _dram(result: Result) -> str:
    dram = _part(result, "dram")
    parts = [str(dram["type"])] if dram.get("type") else []
    if "bandwidth_gbyte_per_s" in dram:
        parts.append(f"{dram['bandwidth_gbyte_per_s']:g} GB/s")
    return ", ".join(parts)


def _policy(result: Result) -> str:
    return "no tensors were run" if result.accuracy is None else result.accuracy.policy or "none"


def _images(result: Result) -> str:
    if result.accuracy is None:
        return ""
    accuracy = result.accuracy
    return f"{accuracy.images:,}" + (f" of {accuracy.data}" if accuracy.data else "")


_CONDITIONS: dict[str, Callable[[Result], str]] = {
    "Architecture": lambda result: str(result.arch.get("name", "unnamed")),
    "MAC": lambda result: result.mac,
    "Array": _array,
    "Clock": _clock,
    "SRAM": _sram,
    "DRAM": _dram,
    "Process": _process,
    "Batch": lambda result: f"{result.network.batch:,}",
    "Policy": _policy,
    "Images": _images,
    "Totals are": lambda result: of_what(result),
}
