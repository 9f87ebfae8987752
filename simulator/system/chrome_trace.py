"""A run's timeline as Chrome trace JSON, which Perfetto opens; one microsecond stands for a cycle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from simulator.foundation.files import whole_text_file
from simulator.system.run_network import MachineRun
from simulator.system.timeline import TRACKS, layer_events, require_steps

_LAYER_TRACK = 0


def write_trace(run: MachineRun, path: Path) -> int:
    """Write the timeline of a run; returns the number of events.

    Events are written as they are produced; memory grows with the steps of the layers (2 kB each). Time
    stamps are cycles: the format counts microseconds, so a viewer's "1 us" is one cycle, which the file says
    in `otherData`.

    Raises:
        UserError: the file cannot be written, the run has no timeline (`timing: scalesim`), or it has too
            many steps (gives their number).
    """
    require_steps(run.layers)
    count = 0
    with whole_text_file(path) as file:
        file.write('{"displayTimeUnit": "ms",\n "otherData": ')
        unit = {"time_unit": "cycle", "shown_as": "1 us", "network": run.network.name, "cycles": run.cycles}
        json.dump(unit, file)
        file.write(',\n "traceEvents": [\n')
        for event in _events(run):
            _write(file, event, first=count == 0)
            count += 1
        file.write("\n]}\n")
    return count


def _write(file: IO[str], event: dict[str, Any], *, first: bool) -> None:
    file.write(("" if first else ",\n") + json.dumps(event, separators=(",", ":")))


def _events(run: MachineRun) -> Iterator[dict[str, Any]]:
    yield _named("process_name", _LAYER_TRACK, run.network.name)
    for number, track in enumerate(("layers", *TRACKS)):
        yield _named("thread_name", number, track)
    threads = {track: number for number, track in enumerate(TRACKS, start=1)}
    for layer in run.layers:
        arguments: dict[str, Any] = {"mac": layer.mac, "tiling": layer.tiling.reason}
        yield _span(layer.layer.name, _LAYER_TRACK, layer.start_cycle, layer.end_cycle, arguments)
        for event in layer_events(layer):
            arguments = {"layer": layer.layer.name, "tile": event.tile}
            if event.bytes:
                arguments["bytes"] = event.bytes
            yield _span(event.name, threads[event.track], event.start_cycle, event.end_cycle, arguments)


def _named(kind: str, thread: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": 1, "tid": thread, "args": {"name": name}}


def _span(name: str, thread: int, start: int, end: int, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "ph": "X",
        "pid": 1,
        "tid": thread,
        "ts": start,
        "dur": end - start,
        "args": arguments,
    }
