"""Does the access trace show every access, when it happens and where, and nothing else?"""

from __future__ import annotations

import csv
import tracemalloc
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from simulator.arch import ArchConfig, load_arch
from simulator.foundation import UserError
from simulator.system import simulate_network
from simulator.system.access_trace import layer_accesses, write_access_trace
from simulator.system.addresses import DRAM_BASE, Addresses
from simulator.workload.layer import (
    Convolution,
    Layer,
    Network,
    convolution_layer,
    matrix_layer,
)
from tests.cycles.small_machine import run_small
from tests.cycles.test_machine_network import layers, machines


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        return list(csv.DictReader(path.read_text().splitlines()))
    parquet = pytest.importorskip("pyarrow.parquet")
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_bytes_sum_to_the_counts_and_time_never_goes_back(tmp_path: Path, dataflow: str, suffix: str) -> None:
    run = run_small(array__dataflow=dataflow)
    path = tmp_path / f"accesses{suffix}"
    count = write_access_trace(run, path, ["second", "last"])
    rows = rows_of(path)
    assert len(rows) == count
    moved: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for row in rows:
        moved[row["layer"], row["memory"], row["operand"], row["direction"]] += int(row["bytes"])
    for layer in run.layers[1:]:
        for memory, counted in (("sram", layer.counts.sram), ("dram", layer.counts.dram)):
            for operand, traffic in counted.items():
                key = layer.layer.name, memory, operand
                assert moved.get((*key, "read"), 0) == traffic.read_bytes
                assert moved.get((*key, "write"), 0) == traffic.write_bytes
    cycles = [int(row["cycle"]) for row in rows]
    assert all(before <= after for before, after in pairwise(cycles))
    assert run.layers[1].start_cycle <= cycles[0]
    assert cycles[-1] < run.cycles


@pytest.mark.parametrize("dataflow", ["os", "ws"])
def test_results_that_stay_are_copied_from_the_other_half(dataflow: str) -> None:
    layers = tuple(
        convolution_layer(name, Convolution(1, 16, 16, (12, 12), (1, 1)), inputs=inputs)
        for name, inputs in (("a", ()), ("b", ("a",)), ("c", ("b",)))
    )
    fields = {
        "array.dataflow": dataflow,
        "tiling.keep_ofmap_on_chip": True,
        "dram.refresh_interval_ns": 500,
        "dram.refresh_duration_ns": 100,
    }
    run = simulate_network(load_arch("int8_32x32", fields), Network("chain", layers))
    halves = []
    for layer in run.layers:
        for _, kinds, (numbers, accesses) in layer_accesses(layer):
            for number, kind in enumerate(kinds):
                if kind[1:] == ("ofmap", "read", "transfer"):
                    halves += [
                        layer.layer.name + str(place // (128 * 1024))
                        for place in accesses.addresses[numbers == number].tolist()
                    ]
    assert set(halves) == {"b1", "c1", "c0"}


@settings(max_examples=25, deadline=None)
@given(layers(), machines())
def test_any_layer_on_any_machine_is_traced_completely(layer: Layer, arch: ArchConfig) -> None:
    """`layer_accesses` itself refuses bytes that do not sum up and cycles outside of the layer."""
    run = simulate_network(arch, Network("n", (layer,))).layers[0]
    last = -1
    for _, kinds, (numbers, accesses) in layer_accesses(run):
        assert accesses.cycles[0] >= last
        assert np.all(np.diff(accesses.cycles) >= 0)
        last = int(accesses.cycles[-1])
        for number, kind in enumerate(kinds):
            if kind.memory == "sram":
                places = accesses.addresses[numbers == number]
                buffer = getattr(arch.sram, kind.operand)
                assert places.size == 0 or (places.min() >= 0 and places.max() < buffer.capacity_bytes)


@settings(max_examples=15, deadline=None)
@given(layers(), machines())
def test_buffers_are_read_where_they_were_written_before(layer: Layer, arch: ArchConfig) -> None:
    """The array reads no byte of an operand that a transfer has not brought earlier."""
    run = simulate_network(arch, Network("n", (layer,))).layers[0]
    written: dict[str, dict[int, int]] = {"ifmap": {}, "filter": {}}
    for _, kinds, (numbers, accesses) in layer_accesses(run):
        rows = zip(
            numbers.tolist(),
            accesses.cycles.tolist(),
            accesses.addresses.tolist(),
            accesses.bytes.tolist(),
            strict=True,
        )
        for number, cycle, address, size in rows:
            kind = kinds[number]
            if kind.memory == "sram" and kind.operand in written:
                if kind.direction == "write":
                    written[kind.operand].update(dict.fromkeys(range(address, address + size), cycle))
                else:
                    assert written[kind.operand].get(address, cycle) < cycle


@pytest.mark.parametrize(("stride", "dilation", "batch"), [(1, 1, 1), (2, 1, 2), (3, 1, 1), (1, 2, 2)])
def test_activations_are_read_where_the_input_rows_put_them(stride: int, dilation: int, batch: int) -> None:
    """Rows of the tile are collected one output pixel at a time, and laid out channel by channel."""
    geometry = Convolution(
        batch,
        2,
        3,
        (9, 7),
        (2, 3),
        stride=(stride, 1),
        dilation=(dilation, 1),
        padding=(1, 1, 1, 1),
    )
    layer = convolution_layer("c", geometry)
    arch = load_arch("int8_32x32", {"array.rows": 4, "array.columns": 4, "tiling.tile_m": 12})
    run = simulate_network(arch, Network("n", (layer,))).layers[0]
    addresses = Addresses.of(run.played.lowering, run.played.lowered)
    out_height, out_width = geometry.ofmap
    seen = 0
    for visit in run.played.lowered.visits:
        pixels = range(visit.origin.m, visit.origin.m + visit.tile.m)
        stored: list[tuple[int, int]] = []
        for pixel in pixels:
            image, inside = divmod(pixel, out_height * out_width)
            top = inside // out_width * stride - 1
            window = range(max(0, top), min(9, top + dilation + 1))
            stored += [(image, row) for row in window if (image, row) not in stored]
        stored.sort()
        for number, pixel in enumerate(pixels):
            image, inside = divmod(pixel, out_height * out_width)
            for k in range(12):
                channel, tap = divmod(k, 6)
                row = inside // out_width * stride - 1 + tap // 3 * dilation
                column = inside % out_width - 1 + tap % 3
                if 0 <= row < 9 and 0 <= column < 7:
                    place = addresses.elements(
                        "ifmap", visit, 0, {"m": np.array([number]), "k": np.array([k])}
                    )
                    expected = (channel * len(stored) + stored.index((image, row))) * 7 + column
                    assert place.tolist() == [expected]
                    seen += 1
    assert seen > 100


def test_the_reference_fold_reads_its_vectors_cycle_by_cycle(tmp_path: Path) -> None:
    """K + 2R + C - 2 cycles a fold: a vector of each operand a cycle, then results bottom row first."""
    layer = matrix_layer("l", "fc", m=4, n=4, k=5)
    arch = load_arch("int8_32x32", {"array.rows": 4, "array.columns": 4, "output_path.latency_cycles": 3})
    run = simulate_network(arch, Network("n", (layer,)))
    write_access_trace(run, tmp_path / "accesses.csv")
    rows = rows_of(tmp_path / "accesses.csv")
    times = run.layers[0].played.times
    assert times is not None
    start = times.steps[0].start

    def shown(memory: str, operand: str, purpose: str) -> list[tuple[int, int, int]]:
        return [
            (int(row["cycle"]), int(row["address"]), int(row["bytes"]))
            for row in rows
            if (row["memory"], row["operand"], row["purpose"]) == (memory, operand, purpose)
        ]

    vectors = [(start + k, 4 * k, 4) for k in range(5)]
    assert shown("sram", "ifmap", "operands") == vectors
    assert shown("sram", "filter", "operands") == vectors
    leaving = start + 5 + 4 + 4 - 2
    assert shown("sram", "ofmap", "results") == [
        (leaving + 3 + order, 4 * row, 4) for order, row in enumerate((3, 2, 1, 0))
    ]
    assert [access[1:] for access in shown("dram", "filter", "transfer")] == [(DRAM_BASE["filter"], 20)]


def test_memory_does_not_grow_with_the_layer(tmp_path: Path) -> None:
    peaks, rows = [], []
    for n in (4096, 12288):
        network = Network("wide", (matrix_layer("fc", "fc", m=64, n=n, k=64),))
        run = simulate_network(
            load_arch("int8_32x32", {"sram.filter.capacity_kib": 4, "sram.ofmap.capacity_kib": 4}), network
        )
        tracemalloc.start()
        try:
            rows.append(write_access_trace(run, tmp_path / "accesses.csv"))
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert rows[0] > 40_000
    assert rows[1] > 2.9 * rows[0]
    assert peaks[1] < 1.3 * peaks[0]


def test_an_unknown_layer_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'first'"):
        write_access_trace(run_small(), tmp_path / "accesses.csv", ["frist"])
    assert list(tmp_path.iterdir()) == []
