"""Do the timeline and the access trace show exactly what the run counted?"""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from simulator.arch import load_arch
from simulator.foundation import UserError
from simulator.system import MachineRun, simulate_network
from simulator.system.access_trace import write_access_trace
from simulator.system.trace import write_trace
from simulator.workload.layer import Convolution, Network, PostOperation, convolution_layer, matrix_layer

NETWORK = Network(
    "small",
    (
        convolution_layer("first", Convolution(1, 3, 16, (24, 24), (3, 3), padding=(1, 1, 1, 1))),
        convolution_layer(
            "second",
            Convolution(1, 16, 16, (24, 24), (3, 3), padding=(1, 1, 1, 1)),
            inputs=("first",),
            post_operations=(PostOperation("add", 16 * 24 * 24),),
        ),
        matrix_layer("last", "fc", m=1, n=10, k=9216, inputs=("second",)),
    ),
)


def run_small(**overrides: object) -> MachineRun:
    fields: dict[str, object] = {"sram.ifmap.capacity_kib": 8, "sram.filter.capacity_kib": 8}
    fields.update({name.replace("__", "."): value for name, value in overrides.items()})
    return simulate_network(load_arch("int8_32x32", fields), NETWORK)


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


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_access_bits_sum_to_the_counts(tmp_path: Path, dataflow: str, suffix: str) -> None:
    run = run_small(array__dataflow=dataflow)
    path = tmp_path / f"accesses{suffix}"
    count = write_access_trace(run, path, ["second", "last"])
    if suffix == ".csv":
        rows = list(csv.DictReader(path.read_text().splitlines()))
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        rows = parquet.read_table(path).to_pylist()
    assert len(rows) == count
    bits: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for row in rows:
        bits[row["layer"], row["memory"], row["operand"], row["direction"]] += int(row["bits"])
    for layer in run.layers[1:]:
        for memory, counted in (("sram", layer.counts.sram), ("dram", layer.counts.dram)):
            for operand, traffic in counted.items():
                key = layer.layer.name, memory, operand
                assert bits.get((*key, "read"), 0) == 8 * traffic.read_bytes
                assert bits.get((*key, "write"), 0) == 8 * traffic.write_bytes


def test_writing_traces_takes_bounded_memory(tmp_path: Path) -> None:
    network = Network("wide", (matrix_layer("fc", "fc", m=64, n=32768, k=64),))
    run = simulate_network(
        load_arch("int8_32x32", {"sram.filter.capacity_kib": 4, "sram.ofmap.capacity_kib": 4}), network
    )
    assert len(run.layers[0].played.lowered.programme.steps) >= 1000
    tracemalloc.start()
    try:
        rows = write_access_trace(run, tmp_path / "accesses.csv")
        events = write_trace(run, tmp_path / "trace.json")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    written = (tmp_path / "accesses.csv").stat().st_size + (tmp_path / "trace.json").stat().st_size
    assert rows > 5000
    assert events > 3000
    assert peak < written / 4


def test_an_unknown_layer_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'first'"):
        write_access_trace(run_small(), tmp_path / "accesses.csv", ["frist"])
    assert list(tmp_path.iterdir()) == []


def test_scalesim_timing_has_no_timeline(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"array\.timing"):
        write_trace(run_small(array__timing="scalesim"), tmp_path / "trace.json")
    assert list(tmp_path.iterdir()) == []
