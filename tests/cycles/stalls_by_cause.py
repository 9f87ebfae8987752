"""Why the array waited, from the times of every step and transfer: the slow twin of the machine's counts.

docs/machine.md gives the rules. Of what a step waits for, the requirement that is met last is to blame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simulator.system.counts import StallCause
from simulator.system.machine import Times
from simulator.system.programme import Programme, Stream

_BLAMED: dict[Stream, StallCause] = {
    "ifmap": "ifmap",
    "filter": "filter",
    "ofmap_load": "ofmap_space",
    "ofmap_store": "ofmap_space",
}


@dataclass(frozen=True, slots=True)
class _Requirement:
    """A transfer someone waits for: enabled, begun, and met at these cycles."""

    stream: Stream
    enabled: int
    start: int
    met: int

    def blame(self, first: int, stop: int) -> Iterator[tuple[StallCause, int]]:
        """The causes of the cycles from `first` to `stop`, by which it is met."""
        not_enabled = _overlap(first, stop, 0, self.enabled)
        queued = _overlap(first, stop, self.enabled, self.start)
        yield "output_path" if self.stream == "ofmap_store" else "ofmap_space", not_enabled
        yield "dram", queued
        yield _BLAMED[self.stream], stop - first - not_enabled - queued


def _overlap(first: int, stop: int, begin: int, end: int) -> int:
    return max(0, min(stop, end) - max(first, begin))


def stalls_by_cause(programme: Programme, times: Times) -> dict[StallCause, int]:
    """Cycles of a layer that are neither compute nor fill nor drain, by cause; causes of none left out."""
    found: dict[StallCause, int] = {}

    def add(cause: StallCause, cycles: int) -> None:
        if cycles:
            found[cause] = found.get(cause, 0) + cycles

    requirements = _requirements(programme, times)
    for step, when in zip(programme.steps, times.steps, strict=True):
        add("sram_port", step.port_cycles)
        add("output_path", step.output_cycles)
        if when.start > when.free:
            wanted = (
                requirements.get(("ifmap", step.ifmap)),
                requirements.get(("filter", step.filter)),
                requirements.get(("ofmap_load", step.ofmap)),
                requirements.get(("ofmap_store", step.ofmap - programme.ofmap_slots)),
            )
            last = next(r for r in wanted if r is not None and r.met == when.start)
            for cause, cycles in last.blame(when.free, when.start):
                add(cause, cycles)
    _blame_the_end(programme, times, requirements, add)
    return found


def _blame_the_end(
    programme: Programme,
    times: Times,
    requirements: dict[tuple[Stream, int], _Requirement],
    add: Callable[[StallCause, int], None],
) -> None:
    """After the last step: its results pass the output path and are written back."""
    last = programme.steps[-1]
    results_out = times.steps[-1].end + last.tail_cycles + programme.output_latency
    add("output_path", last.tail_cycles + programme.output_latency)
    store = requirements.get(("ofmap_store", last.ofmap))
    if store is not None:
        for cause, cycles in store.blame(results_out, times.end):
            add(cause, cycles)


def _requirements(programme: Programme, times: Times) -> dict[tuple[Stream, int], _Requirement]:
    requirements: dict[tuple[Stream, int], _Requirement] = {}
    pairs = zip(programme.transfers, times.transfers, strict=True)
    for transfer, when in sorted(pairs, key=lambda pair: pair[0].stream == "ofmap_load"):
        if transfer.stream == "ofmap_store":
            step = programme.steps[transfer.enabled_by]
            enabled = times.steps[transfer.enabled_by].end + step.tail_cycles + programme.output_latency
        elif transfer.stream == "ofmap_load":
            store = requirements.get(("ofmap_store", transfer.index - programme.ofmap_slots))
            ended = times.steps[transfer.enabled_by].end if transfer.enabled_by >= 0 else 0
            enabled = max(ended, store.met if store is not None else 0)
        else:
            enabled = times.steps[transfer.enabled_by].end if transfer.enabled_by >= 0 else 0
        requirements[transfer.stream, transfer.index] = _Requirement(
            transfer.stream, enabled, when.start, when.arrived
        )
    return requirements
