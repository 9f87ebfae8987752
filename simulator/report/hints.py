"""What would shorten a network most, where waits take at least half of its cycles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulator.operands import OPERANDS
from simulator.report.units import percent
from simulator.result import LayerResult, Result

DOMINATES: Final = 0.5
"""The share of all cycles from which on a cause, or all of them together, are worth a hint."""

_MOST_CAUSES: Final = 2
"""Causes that are named where none dominates alone."""

_ARRAY_SIDE: Final = {"ifmap": "moved_read", "filter": "moved_read", "ofmap": "moved_write"}
"""The bytes, in whole words, that the array moves through each memory's port."""

_BANDWIDTH: Final = "raise dram.bandwidth_gbyte_per_s"
_LATENCY: Final = "lower dram.latency_ns"


@dataclass(frozen=True, slots=True)
class _Cause:
    """Cycles that are lost, what happens in them, and the field to change."""

    cycles: int
    what: str
    remedy: str


def hint(result: Result) -> str:
    """One sentence: the cause that takes half of all cycles or more, and the field to change.

    Where no cause does, but all that is no computation takes half together, the two largest causes with the
    share of each. Else empty. Shares are of all cycles of the result.

    Which port slows the array is not in a result: in each layer it is taken to be the one that moves the most
    words. Waits for a moving tile are the DRAM's latency as far as they last longer than its bytes need on
    the channel; the larger part decides what is advised.
    """
    total = result.totals.cycles
    lost = {cause: n for cause, n in result.totals.cycles_by_cause.items() if cause != "compute" and n}
    causes = [named for cause, cycles in lost.items() for named in _named(result, cause, cycles)]
    causes.sort(key=lambda cause: -cause.cycles)
    if not causes or sum(lost.values()) < DOMINATES * total:
        return ""
    told = causes[: 1 if causes[0].cycles >= DOMINATES * total else _MOST_CAUSES]
    first, *others = (f"{percent(cause.cycles / total, 0)} of cycles {cause.what}" for cause in told)
    remedies = dict.fromkeys(cause.remedy for cause in told)
    return f"{', '.join([first, *others])}: {'; '.join(remedies)}"


def _named(result: Result, cause: str, cycles: int) -> list[_Cause]:
    """What a cause of the totals is called; ports are told apart, and an unknown cause has no name."""
    name = cause.removeprefix("stall_")
    if name == "sram_port":
        return [
            _Cause(waits, f"wait for the {port} port", f"widen sram.{_section(result, port)}.word_bits")
            for port, waits in _port_waits(result).items()
        ]
    if name in ("fill", "drain"):
        return [_Cause(cycles, f"{name} the array", _longer_folds(result))]
    if name == "output_path":
        return [_Cause(cycles, "wait for the output path", "raise output_path.values_per_cycle")]
    if name == "dram":
        return [
            _Cause(cycles, "wait for the DRAM channel", f"{_BANDWIDTH} or sram capacities (larger tiles)")
        ]
    if name == "ofmap_space":
        return [
            _Cause(cycles, "wait for a place in the ofmap buffer", _remedy(result, name, "ofmap", OPERANDS))
        ]
    if name in OPERANDS:
        return [_Cause(cycles, f"wait for {name} tiles from DRAM", _remedy(result, name, name, (name,)))]
    return []


def _longer_folds(result: Result) -> str:
    if result.arch.get("array", {}).get("overlap", "none") != "full":
        return "let folds overlap (array.overlap=full)"
    return "give it longer folds (a larger batch, fewer rows)"


def _remedy(result: Result, cause: str, tensor: str, moving: tuple[str, ...]) -> str:
    """What shortens waits for a tensor's tiles while the bytes of the `moving` tensors are on their way."""
    memory = f"sram.{_section(result, tensor)}"
    settings = _memories(result).get(_section(result, tensor), {})
    capacity = f"shares_kib.{tensor}" if settings.get("shares_kib") else "capacity_kib"
    both_halves = f" or set {memory}.double_buffered=true" if settings.get("double_buffered") is False else ""
    if _is_latency(result, cause, moving):
        return _LATENCY + both_halves
    return f"{_BANDWIDTH} or {memory}.{capacity} (larger tiles){both_halves}"


def _is_latency(result: Result, cause: str, moving: tuple[str, ...]) -> bool:
    """Whether at least half of a cause's cycles are too many for the channel to be busy in."""
    dram: Mapping[str, Any] = result.arch.get("dram", {})
    rate, clock_mhz = dram.get("bandwidth_gbyte_per_s"), result.arch.get("clock_mhz")
    if not rate or not clock_mhz or not dram.get("latency_ns"):
        return False
    interval_ns, refresh_ns = dram.get("refresh_interval_ns") or 0, dram.get("refresh_duration_ns") or 0
    free = 1 - refresh_ns / interval_ns if interval_ns else 1
    bytes_per_cycle = rate * 1000 / clock_mhz * free
    waited = beyond = 0.0
    for layer in result.layers:
        wait = layer.stalls.get(cause, 0)
        waited += wait
        beyond += max(0.0, wait - _dram_bytes(layer, moving) / bytes_per_cycle)
    return waited > 0 and beyond >= waited / 2


def _dram_bytes(layer: LayerResult, tensors: tuple[str, ...]) -> int:
    """Bytes of some tensors that a layer moves over the DRAM channel; of whole bursts where known."""
    sides = [getattr(layer.dram_bytes, tensor) for tensor in tensors]
    return sum((side.moved_read or side.read) + (side.moved_write or side.write) for side in sides)


def _port_waits(result: Result) -> dict[str, int]:
    """Cycles in which the array waits for ports, by the tensor whose port moves the most words of a layer."""
    waits: dict[str, int] = {}
    for layer in result.layers:
        stalled = layer.stalls.get("sram_port", 0)
        words = _port_words(result, layer) if stalled else {}
        if words:
            busiest = max(words, key=lambda tensor: words[tensor])
            waits[busiest] = waits.get(busiest, 0) + stalled
    return waits


def _port_words(result: Result, layer: LayerResult) -> dict[str, float]:
    words: dict[str, float] = {}
    for tensor, side in _ARRAY_SIDE.items():
        moved = getattr(getattr(layer.sram_bytes, tensor), side) or 0
        width = _memories(result).get(_section(result, tensor), {}).get("word_bits")
        if isinstance(width, int) and width > 0:
            words[tensor] = 8 * moved / width
    return words


def _memories(result: Result) -> Mapping[str, Mapping[str, Any]]:
    found = result.arch.get("sram", {})
    return {name: memory for name, memory in found.items() if isinstance(memory, Mapping)}


def _section(result: Result, tensor: str) -> str:
    """The name of the memory that holds a tensor."""
    holders = (name for name, memory in _memories(result).items() if tensor in (memory.get("holds") or ()))
    return next(holders, tensor)
