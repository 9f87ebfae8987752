"""Does a network on the machine take the cycles, and move the bytes, that it must?"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.arch import ArchConfig, load_arch
from simulator.system import MachineRun, simulate_network
from simulator.system.footprint import StorageBits, compulsory_ifmap_bytes
from simulator.system.mac_traits import MacTraits
from simulator.system.machine import play
from simulator.system.programme import IDEAL_MEMORY
from simulator.workload.layer import (
    Convolution,
    Layer,
    Network,
    PostOperation,
    convolution_layer,
    matrix_layer,
)

GENEROUS = {"output_path.latency_cycles": 0, "dram.latency_ns": 0, "dram.bandwidth_gbyte_per_s": 10000}


def arch_of(**overrides: object) -> ArchConfig:
    return load_arch("int8_32x32", {name.replace("__", "."): value for name, value in overrides.items()})


def run_layer(layer: Layer, arch: ArchConfig) -> MachineRun:
    return simulate_network(arch, Network("n", (layer,)))


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    if draw(st.booleans()):
        m, n, k = (draw(st.integers(1, 120)) for _ in range(3))
        return matrix_layer("l", "matmul", m=m, n=n, k=k, products=draw(st.integers(1, 5)))
    size, kernel = draw(st.integers(3, 14)), draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 2, 8]))
    channels, filters = (draw(st.sampled_from([8, 16, 40])) for _ in range(2))
    stride, padding = draw(st.integers(1, 2)), draw(st.integers(0, kernel - 1))
    convolution = Convolution(
        draw(st.integers(1, 2)),
        channels,
        filters,
        (size, size),
        (kernel, kernel),
        stride=(stride, stride),
        padding=(padding,) * 4,
        groups=groups,
    )
    return convolution_layer("l", convolution)


@st.composite
def machines(draw: st.DrawFn) -> ArchConfig:
    return arch_of(
        array__rows=draw(st.sampled_from([4, 8])),
        array__columns=draw(st.sampled_from([4, 8])),
        array__dataflow=draw(st.sampled_from(["os", "ws", "is"])),
        array__overlap=draw(st.sampled_from(["none", "drain", "full"])),
        array__partial_folds=draw(st.sampled_from(["full", "trimmed"])),
        sram__ifmap__capacity_kib=draw(st.sampled_from([2, 4, 16])),
        sram__filter__capacity_kib=draw(st.sampled_from([2, 4, 16])),
        sram__ofmap__capacity_kib=draw(st.sampled_from([2, 4, 16])),
        sram__ifmap__double_buffered=draw(st.booleans()),
        sram__ofmap__double_buffered=draw(st.booleans()),
        sram__ofmap__word_bits=draw(st.sampled_from([16, 64, 512])),
        output_path__values_per_cycle=draw(st.sampled_from([1, 4, 8])),
        dram__bandwidth_gbyte_per_s=draw(st.sampled_from([0.7, 4, 25.6])),
        dram__refresh_interval_ns=draw(st.sampled_from([0, 3900])),
        dram__refresh_duration_ns=draw(st.sampled_from([0, 210])),
    )


@settings(max_examples=80, deadline=None)
@given(layers(), machines())
def test_cycles_and_bytes_close(layer: Layer, arch: ArchConfig) -> None:
    run = run_layer(layer, arch)
    counts = run.layers[0].counts
    pe_count = arch.array.rows * arch.array.columns
    assert counts.cycles.total == run.cycles
    assert counts.pe_cycles.total == pe_count * run.cycles
    assert counts.pe_cycles.holding == pe_count * counts.cycles.stall
    assert counts.converter_operations == layer.m * layer.n
    # Whatever comes from DRAM is written to a buffer once, whatever goes there is read from one.
    for operand in ("ifmap", "filter"):
        assert counts.sram[operand].write_bytes == counts.dram[operand].read_bytes
        assert counts.dram[operand].write_bytes == 0
    assert counts.sram["ofmap"].read_bytes >= counts.dram["ofmap"].write_bytes
    # At least the compulsory traffic, at least one edge access per stored element in use.
    assert counts.dram["ifmap"].read_bytes >= compulsory_ifmap_bytes(layer, 8)
    assert counts.dram["filter"].read_bytes >= layer.filter_elements
    assert counts.dram["ofmap"].write_bytes >= layer.m * layer.n
    assert counts.activation_codes + counts.weight_codes >= layer.filter_elements
    assert sum(counts.dram[name].total_bytes for name in counts.dram) == (
        run.layers[0].tiling.total_dram_bytes
    )


@settings(max_examples=40, deadline=None)
@given(layers(), machines(), st.integers(2, 5))
def test_a_faster_memory_never_makes_a_layer_slower(layer: Layer, arch: ArchConfig, times: int) -> None:
    slow = run_layer(layer, arch).layers[0].played.lowered.programme
    faster = tuple(replace(transfer, cycles=ceil(transfer.cycles / times)) for transfer in slow.transfers)
    memory = slow.memory._replace(latency=slow.memory.latency // times)
    assert play(replace(slow, transfers=faster, memory=memory)).end <= play(slow).end


def with_wide_ports(arch: ArchConfig) -> ArchConfig:
    """The same machine with an output path and buffer words that take a fold's results as they come."""
    wide = {
        name: arch.sram[name].model_copy(update={"word_bits": 2**20}) for name in ("ifmap", "filter", "ofmap")
    }
    path = arch.output_path.model_copy(update={"values_per_cycle": None})
    return arch.model_copy(update={"sram": arch.sram.with_memories(wide), "output_path": path})


@settings(max_examples=40, deadline=None)
@given(layers(), machines())
def test_a_memory_that_takes_no_time_leaves_the_closed_form(layer: Layer, arch: ArchConfig) -> None:
    """Without overlap: results that are still on their way out hold back loads behind them in the list."""
    arch = load_arch(arch, {"array.overlap": "none"})
    run = run_layer(layer, with_wide_ports(arch)).layers[0]
    programme, cycles = run.played.lowered.programme, run.counts.cycles
    at_once = replace(
        programme,
        transfers=tuple(replace(transfer, cycles=0) for transfer in programme.transfers),
        steps=tuple(replace(step, port_cycles=0, output_cycles=0) for step in programme.steps),
        memory=IDEAL_MEMORY,
        ofmap_slots=len(programme.steps),
        output_latency=0,
    )
    assert play(at_once).end == cycles.compute + cycles.fill + cycles.drain


@pytest.mark.parametrize(("m", "n", "k"), [(32, 32, 128), (64, 96, 50), (49, 33, 7)])
def test_with_room_and_bandwidth_only_the_first_and_last_transfers_wait(m: int, n: int, k: int) -> None:
    arch = arch_of(**{name.replace(".", "__"): value for name, value in GENEROUS.items()})
    fixed = arch.model_copy(update={"tiling": arch.tiling.model_copy(update={"tile_m": m, "tile_n": n})})
    cycles = run_layer(matrix_layer("l", "fc", m=m, n=n, k=k), fixed).layers[0].counts.cycles
    folds = ceil(m / 32) * ceil(n / 32)
    assert cycles.compute + cycles.fill + cycles.drain == folds * (k + 2 * 32 + 32 - 2)
    # One cycle each: the ifmap tile, the filter tile behind it, the results on their way back.
    assert cycles.stall == 3


def test_identical_layers_are_played_once_and_follow_without_gaps() -> None:
    layers = tuple(matrix_layer(name, "fc", m=40, n=40, k=40) for name in ("a", "b", "c"))
    run = simulate_network(arch_of(), Network("n", layers))
    assert len({id(layer.played) for layer in run.layers}) == 1
    assert [layer.start_cycle for layer in run.layers] == [0, run.cycles // 3, 2 * run.cycles // 3]


def test_progress_is_told_after_every_layer() -> None:
    layers = tuple(matrix_layer(name, "fc", m=4, n=4, k=4) for name in ("a", "b"))
    told: list[tuple[int, int, str]] = []
    simulate_network(arch_of(), Network("n", layers), progress=lambda *step: told.append(step))
    assert told == [(1, 2, "a"), (2, 2, "b")]


def test_a_narrow_port_is_blamed_for_the_cycles_it_takes() -> None:
    layer = matrix_layer("l", "fc", m=32, n=32, k=100)
    wide = run_layer(layer, arch_of()).layers[0].counts.cycles
    narrow = run_layer(layer, arch_of(sram__ifmap__word_bits=64)).layers[0].counts.cycles
    # 32 one-byte activations over a port of 8 bytes: four cycles a vector instead of one.
    assert narrow.stalls["sram_port"] - wide.stalls["sram_port"] == 3 * 100


def test_a_slow_output_path_is_blamed_for_the_cycles_it_takes() -> None:
    layer = matrix_layer("l", "fc", m=32, n=32, k=100)
    fast = run_layer(layer, arch_of()).layers[0].counts.cycles
    slow = run_layer(layer, arch_of(output_path__values_per_cycle=8)).layers[0].counts.cycles
    assert slow.stalls["output_path"] - fast.stalls["output_path"] == 32 * 3


def test_partial_sums_pass_the_ofmap_buffer_at_full_width() -> None:
    layer = matrix_layer("l", "fc", m=10, n=32, k=96)
    counts = run_layer(layer, arch_of(array__dataflow="ws")).layers[0].counts
    # Three folds along K: two write 32-bit sums, two read them back, the last one gives 8-bit results.
    assert counts.sram["ofmap"].write_bytes == 2 * 320 * 4 + 320
    assert counts.sram["ofmap"].read_bytes == 2 * 320 * 4 + 320  # the last 320 go to DRAM
    assert counts.dram["ofmap"].total_bytes == 320


def test_a_residual_addition_reads_its_other_operand_beside_the_results() -> None:
    plain = matrix_layer("l", "fc", m=32, n=32, k=32)
    added = replace(plain, post_operations=(PostOperation("add", 32 * 32),))
    before, after = (run_layer(layer, arch_of()).layers[0].counts for layer in (plain, added))
    assert after.dram["ofmap"].read_bytes - before.dram["ofmap"].read_bytes == 32 * 32
    assert after.sram["ofmap"].total_bytes - before.sram["ofmap"].total_bytes == 2 * 32 * 32
    assert after.output_path_operations == {"add": 32 * 32}


def test_a_pooled_layer_stores_what_its_reader_fetches() -> None:
    first = convolution_layer(
        "first", Convolution(1, 3, 8, (8, 8), (1, 1)), post_operations=(PostOperation("pool", 8 * 64),)
    )
    second = convolution_layer("second", Convolution(1, 8, 8, (4, 4), (1, 1)), inputs=("first",))
    run = simulate_network(arch_of(), Network("n", (first, second)))
    assert run.layers[0].counts.dram["ofmap"].write_bytes == 8 * 16
    assert run.layers[1].counts.dram["ifmap"].read_bytes == 8 * 16


def test_a_result_kept_on_chip_never_sees_the_dram() -> None:
    first = matrix_layer("first", "fc", m=64, n=64, k=64)
    second = matrix_layer("second", "fc", m=64, n=32, k=64, inputs=("first",))
    network = Network("n", (first, second))
    away, kept = (
        simulate_network(arch_of(tiling__keep_ofmap_on_chip=keep), network).layers for keep in (False, True)
    )
    assert away[0].counts.dram["ofmap"].write_bytes == 64 * 64
    assert kept[0].counts.dram["ofmap"].write_bytes == 0
    assert kept[1].counts.dram["ifmap"].read_bytes == 0
    assert kept[1].counts.sram["ifmap"].write_bytes == 64 * 64
    assert kept[1].end_cycle < away[1].end_cycle


def test_a_result_with_two_readers_is_not_kept() -> None:
    first = matrix_layer("first", "fc", m=64, n=64, k=64)
    others = tuple(matrix_layer(name, "fc", m=64, n=32, k=64, inputs=("first",)) for name in ("a", "b"))
    run = simulate_network(arch_of(tiling__keep_ofmap_on_chip=True), Network("n", (first, *others)))
    assert run.layers[0].counts.dram["ofmap"].write_bytes == 64 * 64


def test_stored_widths_are_those_of_the_mac() -> None:
    def traits_of(choice: object) -> MacTraits:
        return MacTraits(str(choice), StorageBits(6, 3, 20))

    run = simulate_network(
        arch_of(), Network("n", (matrix_layer("l", "fc", m=5, n=7, k=9),)), traits_of=traits_of
    )
    dram = run.layers[0].counts.dram
    assert dram["ifmap"].read_bytes == ceil(5 * 9 * 6 / 8)
    assert dram["filter"].read_bytes == ceil(7 * 9 * 3 / 8)
    assert dram["ofmap"].write_bytes == ceil(5 * 7 * 6 / 8)
