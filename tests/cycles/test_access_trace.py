"""Does the access trace show every access, when it happens and where, and nothing else?"""

from __future__ import annotations

import csv
import tracemalloc
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from simulator.arch import ArchConfig, load_arch
from simulator.dataflow import Axis
from simulator.foundation import UserError
from simulator.system import simulate_network
from simulator.system.access_trace import layer_accesses, write_access_trace
from simulator.system.addresses import DRAM_BASE, Addresses
from simulator.system.footprint import Integers
from simulator.system.layer_steps import Visit
from simulator.workload.layer import (
    Convolution,
    Layer,
    Network,
    PostOperation,
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
    shown: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        sizes = shown[row["layer"], row["memory"], row["operand"], row["direction"]]
        sizes[0] += int(row["bytes"])
        sizes[1] += int(row["moved"])
    for layer in run.layers[1:]:
        for memory, counted in (("sram", layer.counts.sram), ("dram", layer.counts.dram)):
            for operand, traffic in counted.items():
                key = layer.layer.name, memory, operand
                assert shown[*key, "read"] == [traffic.read_bytes, traffic.moved_read_bytes]
                assert shown[*key, "write"] == [traffic.write_bytes, traffic.moved_write_bytes]
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
        "tiling.objective": "traffic",
        "dram.refresh_interval_ns": 500,
        "dram.refresh_duration_ns": 100,
    }
    run = simulate_network(load_arch("int8_32x32", fields), Network("chain", layers))
    half, size = 128 * 1024, 16 * 12 * 12
    copied: dict[str, set[int]] = defaultdict(set)
    stored: dict[str, set[int]] = defaultdict(set)
    for layer in run.layers:
        for _, kinds, (numbers, accesses) in layer_accesses(layer):
            for number, kind in enumerate(kinds):
                places = accesses.addresses[numbers == number].tolist()
                if kind[1:] == ("ofmap", "read", "transfer"):
                    copied[layer.layer.name] |= set(places)
                elif kind[1:] == ("ofmap", "write", "results"):
                    stored[layer.layer.name] |= set(places)
    # 256-bit words: copies and results that stay take every word of a result of 2,304 bytes once.
    words = set(range(0, size, 32))
    assert copied["a"] == set()
    assert copied["b"] == {half + word for word in words}
    assert {place for place in copied["c"] if place >= half} == {half + word for word in words}
    assert {place // half for place in copied["c"]} == {0, 1}
    for name in ("a", "b"):
        assert min(stored[name]) == 0
        assert size - 32 <= max(stored[name]) < size


def test_a_layer_that_adds_more_than_it_stores_writes_its_result_back() -> None:
    """8 x 8 x 8 operands come in for 4 x 4 x 8 pooled results: the result's place has no room for them."""
    plain = convolution_layer("a", Convolution(1, 3, 8, (8, 8), (1, 1)))
    reader = convolution_layer("b", Convolution(1, 8, 8, (4, 4), (1, 1)), inputs=("a",))
    pool, add = PostOperation("pool", 512), PostOperation("add", 512)
    arch = load_arch("int8_32x32", {"tiling.keep_ofmap_on_chip": True, "tiling.objective": "traffic"})
    written = [
        simulate_network(arch, Network("n", (replace(plain, post_operations=posts), reader)))
        .layers[0]
        .counts.dram["ofmap"]
        .write_bytes
        for posts in ((pool,), (add, pool))
    ]
    assert written == [0, 128]


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
                buffer = arch.sram[kind.operand]
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


def addresses_of(layer: Layer, arch: ArchConfig) -> tuple[Addresses, tuple[Visit, ...]]:
    run = simulate_network(arch, Network("n", (layer,))).layers[0]
    return Addresses.of(run), run.played.lowered.visits


def test_a_block_holds_the_inputs_of_its_own_windows() -> None:
    """3 x 3 kernel, stride 2, padding 1 on 8 x 8, blocks of 2 x 2: rows and columns 0 to 3, then 3 to 7."""
    geometry = Convolution(1, 2, 3, (8, 8), (3, 3), stride=(2, 2), padding=(1, 1, 1, 1))
    fixed = {"tiling.tile_rows": 2, "tiling.tile_columns": 2}
    addresses, visits = addresses_of(convolution_layer("c", geometry), load_arch("int8_32x32", fixed))
    assert [visit.pixels for visit in visits] == [(1, 2, 2)] * 4

    def place(visit: Visit, pixel: int, k: int) -> int:
        at: dict[Axis, Integers] = {"m": np.array([pixel]), "k": np.array([k])}
        return int(addresses.elements("ifmap", visit, 0, at)[0])

    # First block, outputs (0, 0) to (1, 1): 4 x 4 inputs of each channel. Tap (0, 0) of output (0, 0) is
    # padding beside input (0, 0); the middle tap is that input; tap (2, 1) of output (1, 1) is input (3, 2).
    assert [place(visits[0], 0, k) for k in (0, 4)] == [0, 0]
    assert place(visits[0], 3, 7) == 3 * 4 + 2
    assert place(visits[0], 3, 9 + 7) == 16 + 3 * 4 + 2
    # Last block, outputs (2, 2) to (3, 3): inputs 3 to 7 both ways, 5 x 5.
    assert place(visits[3], 0, 0) == 0
    assert place(visits[3], 3, 8) == 4 * 5 + 4
    assert place(visits[3], 1, 9 + 3) == 25 + 1 * 5 + 2
    # Second block, outputs (0, 2) to (1, 3): rows 0 to 3, columns 3 to 7.
    assert place(visits[1], 2, 5) == 2 * 5 + 2


def test_inputs_that_a_long_stride_jumps_over_have_no_place() -> None:
    """2 x 2 kernel, stride 5 x 4, padding 1: windows are apart, and the first ones begin in the padding."""
    geometry = Convolution(1, 1, 3, (7, 9), (2, 2), stride=(5, 4), padding=(1, 1, 1, 1))
    addresses, (visit,) = addresses_of(convolution_layer("c", geometry), load_arch("int8_32x32"))
    assert visit.pixels == (1, 2, 3)
    m, k = np.divmod(np.arange(24), 4)
    places = addresses.elements("ifmap", visit, 0, {"m": m, "k": k}).reshape(2, 3, 4)
    # Input rows 0, 4, 5 and columns 0, 3, 4, 7, 8 are stored: 3 x 5.
    assert places[0].tolist() == [[0, 0, 0, 0], [1, 2, 1, 2], [3, 4, 3, 4]]
    assert places[1].tolist() == [[5, 5, 10, 10], [6, 7, 11, 12], [8, 9, 13, 14]]


def test_the_reference_fold_reads_its_vectors_cycle_by_cycle(tmp_path: Path) -> None:
    """K + 2R + C - 2 cycles a fold: a vector of each operand a cycle, then results bottom row first."""
    layer = matrix_layer("l", "fc", m=4, n=4, k=5)
    arch = load_arch("int8_32x32", {"array.rows": 4, "array.columns": 4, "output_path.latency_cycles": 3})
    run = simulate_network(arch, Network("n", (layer,)))
    write_access_trace(run, tmp_path / "accesses.csv")
    rows = rows_of(tmp_path / "accesses.csv")
    start = run.layers[0].played.times.steps[0].start

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
    # The bottom row leaves first, and lies first.
    assert shown("sram", "ofmap", "results") == [(leaving + 3 + order, 4 * order, 4) for order in range(4)]
    assert [access[1:] for access in shown("dram", "filter", "transfer")] == [(DRAM_BASE["filter"], 20)]


def test_memory_does_not_grow_with_the_layer(tmp_path: Path) -> None:
    peaks, rows = [], []
    for n in (4096, 12288):
        network = Network("wide", (matrix_layer("fc", "fc", m=64, n=n, k=64),))
        run = simulate_network(
            load_arch("int8_32x32", {"sram.filter.capacity_kib": 4, "sram.ofmap.capacity_kib": 4}), network
        )
        assert len(run.layers[0].played.times.steps) > 100  # listed before, 2 kB a step
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
