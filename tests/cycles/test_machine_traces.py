"""Does the timeline show exactly what the run did?"""

from __future__ import annotations

import json
import tracemalloc
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from simulator.arch import load_arch
from simulator.foundation import UserError
from simulator.system import simulate_network
from simulator.system.chrome_trace import write_trace
from simulator.workload.layer import Network, matrix_layer
from tests.cycles.small_machine import run_small


def test_the_timeline_opens_as_json_and_ends_with_the_run(tmp_path: Path) -> None:
    run = run_small()
    count = write_trace(run, tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert trace["otherData"]["time_unit"] == "cycle"
    assert len(trace["traceEvents"]) == count
    spans = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert max(event["ts"] + event["dur"] for event in spans) == run.cycles
    layers = [event for event in spans if event["tid"] == 0]
    assert [(event["name"], event["ts"]) for event in layers] == [
        (layer.layer.name, layer.start_cycle) for layer in run.layers
    ]


def test_no_part_of_the_machine_does_two_things_at_once(tmp_path: Path) -> None:
    write_trace(run_small(), tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X" and names[event["tid"]] != "output path":
            track = "DRAM" if names[event["tid"]].startswith("DMA") else names[event["tid"]]
            spans[track].append((event["ts"], event["ts"] + event["dur"]))
    assert set(spans) == {"layers", "array", "DRAM"}
    for times in spans.values():
        times.sort()
        assert all(end <= start for (_, end), (start, _) in pairwise(times))


def test_writing_the_timeline_takes_bounded_memory(tmp_path: Path) -> None:
    network = Network("wide", (matrix_layer("fc", "fc", m=64, n=32768, k=64),))
    run = simulate_network(
        load_arch("int8_32x32", {"sram.filter.capacity_kib": 4, "sram.ofmap.capacity_kib": 4}), network
    )
    assert len(run.layers[0].played.times.steps) >= 1000  # listed before, 2 kB a step
    tracemalloc.start()
    try:
        events = write_trace(run, tmp_path / "trace.json")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert events > 3000
    assert peak < (tmp_path / "trace.json").stat().st_size / 4


def test_scalesim_timing_has_no_timeline(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"array\.timing"):
        write_trace(run_small(array__timing="scalesim"), tmp_path / "trace.json")
    assert list(tmp_path.iterdir()) == []
