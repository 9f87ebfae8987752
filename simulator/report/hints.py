"""What would shorten a network most, where one cause takes at least half of its cycles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from simulator.report.units import percent
from simulator.result import LayerResult, Result

DOMINATES: Final = 0.5
"""The share of all cycles from which on a cause is worth a hint."""

_WAITS: Final[Mapping[str, tuple[str, str]]] = {
    "fill": ("fill the array", "give it longer folds (a larger batch, fewer rows)"),
    "drain": ("drain the array", "give it longer folds (a larger batch, fewer rows)"),
    "dram": ("wait for the DRAM channel", "raise dram.bandwidth_gbyte_per_s"),
    "ifmap": ("wait for ifmap tiles from DRAM", "raise dram.bandwidth_gbyte_per_s or {ifmap}.capacity_kib"),
    "filter": (
        "wait for filter tiles from DRAM",
        "raise dram.bandwidth_gbyte_per_s or {filter}.capacity_kib",
    ),
    "ofmap_space": (
        "wait for a place in the ofmap buffer",
        "raise {ofmap}.capacity_kib or dram.bandwidth_gbyte_per_s",
    ),
    "output_path": ("wait for the output path", "raise output_path.values_per_cycle"),
}
_WITHOUT_OVERLAP: Final = "let folds overlap (array.overlap=full)"
_ARRAY_SIDE: Final = {"ifmap": "moved_read", "filter": "moved_read", "ofmap": "moved_write"}
"""The bytes, in whole words, that the array moves through each memory's port."""


def hint(result: Result) -> str:
    """One sentence: the cause that takes half of all cycles or more, and the field to change; else empty.

    The share is that cause's cycles by all cycles of the result. Which port slows the array is not in a
    result: it is taken to be the one that moves the most words in the layers that wait for ports.
    """
    causes = {cause: cycles for cause, cycles in result.totals.cycles_by_cause.items() if cause != "compute"}
    if not causes or not result.totals.cycles:
        return ""
    cause, cycles = max(causes.items(), key=lambda item: item[1])
    share = cycles / result.totals.cycles
    if share < DOMINATES:
        return ""
    name = cause.removeprefix("stall_")
    if name == "sram_port":
        port, field = _busiest_port(result)
        told = (f"wait for the {port} port", f"widen {field}.word_bits") if port else None
    else:
        told = _WAITS.get(name)
    if told is None:
        return ""
    what, remedy = told
    array: Mapping[str, Any] = result.arch.get("array", {})
    if name in ("fill", "drain") and array.get("overlap", "none") != "full":
        remedy = _WITHOUT_OVERLAP
    fields = {tensor: f"sram.{_section(result, tensor)}" for tensor in _ARRAY_SIDE}
    return f"{percent(share, 0)} of cycles {what}: {remedy.format(**fields)}"


def _busiest_port(result: Result) -> tuple[str, str]:
    """The tensor whose port moves the most words where the array waits for ports, and its section's field."""
    words: dict[str, float] = {}
    for layer in result.layers:
        if _port_stall(layer):
            for tensor, side in _ARRAY_SIDE.items():
                moved = getattr(getattr(layer.sram_bytes, tensor), side) or 0
                width = _memories(result).get(_section(result, tensor), {}).get("word_bits")
                if isinstance(width, int) and width > 0:
                    words[tensor] = words.get(tensor, 0.0) + 8 * moved / width
    if not words:
        return "", ""
    busiest = max(words, key=lambda tensor: words[tensor])
    return busiest, f"sram.{_section(result, busiest)}"


def _port_stall(layer: LayerResult) -> int:
    return layer.stalls.get("sram_port", 0)


def _memories(result: Result) -> Mapping[str, Mapping[str, Any]]:
    found = result.arch.get("sram", {})
    return {name: memory for name, memory in found.items() if isinstance(memory, Mapping)}


def _section(result: Result, tensor: str) -> str:
    """The name of the memory that holds a tensor."""
    holders = (name for name, memory in _memories(result).items() if tensor in (memory.get("holds") or ()))
    return next(holders, tensor)
