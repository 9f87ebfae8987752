"""Does an access trace show the words that switch, as many as are counted, when each port can move them?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simulator.arch import ArchConfig, load_arch
from simulator.foundation import UserError
from simulator.system import LayerRun, MachineRun, simulate_network
from simulator.system.access_trace import count_accesses, layer_accesses, write_access_trace
from simulator.system.accesses import Kind
from simulator.system.chrome_trace import write_trace
from simulator.system.footprint import StorageBits
from simulator.system.mac_traits import MacTraits
from simulator.workload.layer import (
    Convolution,
    Layer,
    Network,
    PostOperation,
    convolution_layer,
    matrix_layer,
)


class Access(NamedTuple):
    kind: Kind
    cycle: int
    address: int
    bytes: int
    moved: int


def accesses_of(run: LayerRun) -> Iterator[Access]:
    for _, kinds, (numbers, accesses) in layer_accesses(run):
        columns = (numbers, accesses.cycles, accesses.addresses, accesses.bytes, accesses.moved)
        for number, *sizes in zip(*(column.tolist() for column in columns), strict=True):
            yield Access(kinds[number], *sizes)


def run_one(layer: Layer, **overrides: object) -> LayerRun:
    fields = {name.replace("__", "."): value for name, value in overrides.items()}
    return simulate_network(load_arch("int8_32x32", fields), Network("n", (layer,))).layers[0]


def sizes(run: LayerRun, operand: str, purpose: str, direction: str = "read") -> list[tuple[int, int]]:
    wanted = ("sram", operand, direction, purpose)
    return [(access.bytes, access.moved) for access in accesses_of(run) if access.kind == wanted]


def test_of_a_wide_word_only_the_touched_macros_switch() -> None:
    """Four codes of a byte, out of words of 1,024 bits: one macro word of 256 bits a vector."""
    layer = matrix_layer("l", "fc", m=4, n=4, k=5)
    wide = {f"sram__{name}__word_bits": 1024 for name in ("ifmap", "filter", "ofmap")}
    run = run_one(layer, array__rows=4, array__columns=4, **wide)
    assert sizes(run, "ifmap", "operands") == [(4, 32)] * 5
    assert sizes(run, "filter", "operands") == [(4, 32)] * 5
    assert sizes(run, "ofmap", "results", "write") == [(4, 32)] * 4
    assert sizes(run, "filter", "transfer", "write") == [(20, 32)]
    assert (run.counts.sram["filter"].read_bytes, run.counts.sram["filter"].moved_read_bytes) == (20, 160)
    assert (run.counts.dram["filter"].read_bytes, run.counts.dram["filter"].moved_read_bytes) == (20, 64)


@pytest.mark.parametrize(
    ("word_bits", "ports", "apart"), [(512, 1, 0), (256, 2, 0), (256, 1, 1), (320, 1, 0)]
)
def test_a_vector_takes_as_many_cycles_as_its_words_and_ports(word_bits: int, ports: int, apart: int) -> None:
    """40 weights of a byte are 320 bits: two macro words, of 32 and 8 useful bytes."""
    run = run_one(
        matrix_layer("l", "fc", m=2, n=40, k=3),
        array__columns=40,
        sram__filter__word_bits=word_bits,
        sram__filter__ports=ports,
    )
    read = [access for access in accesses_of(run) if access.kind == ("sram", "filter", "read", "operands")]
    assert [(access.bytes, access.moved) for access in read] == [(32, 32), (8, 32)] * 3
    start = run.played.times.steps[0].start
    pace = 1 + apart
    assert [access.cycle - start for access in read] == [
        cycle for k in range(3) for cycle in (k * pace, k * pace + apart)
    ]
    assert [access.address for access in read] == [place for k in range(3) for place in (40 * k, 40 * k + 32)]


def test_words_of_no_whole_bytes_are_counted_in_whole_bytes() -> None:
    """Four codes of a byte in words of 36 bits: 4 useful bytes of 4.5 that switch; 5 words are 22.5."""
    run = run_one(
        matrix_layer("l", "fc", m=4, n=4, k=5), array__rows=4, array__columns=4, sram__filter__word_bits=36
    )
    assert sizes(run, "filter", "operands") == [(4, moved) for moved in (5, 4, 5, 4, 5)]
    assert run.counts.sram["filter"].moved_read_bytes == 23


def test_pooled_results_pass_as_packed_words_with_the_results_that_begin_them() -> None:
    """64 pixels x 8 channels, pooled to 128 codes of a byte: four words of 32, one for 128 results each."""
    first = convolution_layer(
        "first", Convolution(1, 3, 8, (8, 8), (1, 1)), post_operations=(PostOperation("pool", 8 * 64),)
    )
    second = convolution_layer("second", Convolution(1, 8, 8, (4, 4), (1, 1)), inputs=("first",))
    arch = load_arch("int8_32x32", {"tiling.tile_m": 64, "output_path.latency_cycles": 3})
    run = simulate_network(arch, Network("n", (first, second))).layers[0]
    written = [access for access in accesses_of(run) if access.kind.purpose == "results"]
    assert [(access.address, access.bytes, access.moved) for access in written] == [
        (32 * word, 32, 32) for word in range(4)
    ]
    # Two folds of 32 pixels, K + 2R + C - 2 = 97 cycles each; results begin to leave K + R + C - 2 = 65
    # cycles in, a vector of 8 a cycle: words begin with vectors 0 and 16 of each fold.
    start = run.played.times.steps[0].start
    leaving = [start + fold * 97 + 65 + vector + 3 for fold in (0, 1) for vector in (0, 16)]
    assert [access.cycle for access in written] == leaving


def test_the_last_fold_of_a_reduction_reads_sums_and_writes_results_through_one_port() -> None:
    """K = 8 on 4 rows: the first fold writes 128 bits a vector, the second reads 128 and writes 32."""
    run = run_one(
        matrix_layer("l", "fc", m=6, n=4, k=8),
        array__rows=4,
        array__columns=4,
        array__dataflow="ws",
        sram__ofmap__word_bits=32,
        output_path__latency_cycles=0,
    )
    start = run.played.times.steps[0].start
    passed = {
        purpose + direction: [
            access.cycle - start
            for access in accesses_of(run)
            if access.kind == ("sram", "ofmap", direction, purpose)
        ]
        for purpose, direction in (("partial sums", "write"), ("partial sums", "read"), ("results", "write"))
    }
    # First fold: a vector every 128 / 32 = 4 cycles, sums out R - 1 cycles behind the first preload of R and
    # its own. It takes 6 + 2R + C - 2 = 16 cycles and 6 x 3 for the port. Second: (128 + 32) / 32 = 5 cycles.
    first, second = 4, 16 + 18 + 4
    assert passed["partial sumswrite"] == [first + 3 + 4 * m + word for m in range(6) for word in range(4)]
    assert passed["partial sumsread"] == [second + 5 * m + word for m in range(6) for word in range(4)]
    assert passed["resultswrite"] == [second + 3 + 5 * m for m in range(6)]
    assert run.played.times.steps[0].end - start == 16 + 18 + 16 + 6 * 4


@pytest.mark.parametrize(("overlap", "apart"), [("none", 6 + 4 + 3 + 3 + 4 - 1), ("full", 6)])
def test_partial_sums_come_back_when_the_adder_takes_them(overlap: str, apart: int) -> None:
    """A product takes 4 cycles, the sum joins in the last: 3 cycles behind the operands of its vector."""
    layer = matrix_layer("l", "fc", m=6, n=4, k=8)
    fields = {"array.rows": 4, "array.columns": 4, "array.dataflow": "ws", "array.overlap": overlap}
    mac = MacTraits("m", StorageBits(8, 8, 32), pipeline_depth=4)
    run = simulate_network(
        load_arch("int8_32x32", fields), Network("n", (layer,)), traits_of=lambda _: mac
    ).layers[0]
    start = run.played.times.steps[0].start
    # First fold: 4 cycles of preload, sums out R - 1 + d - 1 cycles behind their operands. The second one's
    # stream follows T + R - 1 + d - 1 + C - 1 + R cycles later, or T with fold overlap.
    for direction, first in (("write", 4 + 3 + 3), ("read", 4 + apart + 3)):
        kind = ("sram", "ofmap", direction, "partial sums")
        cycles = [access.cycle - start for access in accesses_of(run) if access.kind == kind]
        assert cycles == [first + m for m in range(6)]


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """A layer, and one that reads it: pooled, added to, grouped or depthwise."""
    groups, kernel = draw(st.sampled_from([1, 2, 8])), draw(st.integers(1, 3))
    size, stride = draw(st.integers(4, 9)), draw(st.integers(1, 2))
    first = convolution_layer(
        "first",
        Convolution(
            draw(st.integers(1, 2)),
            8,
            8 * draw(st.integers(1, 3)),
            (size, size + 3),
            (kernel, kernel),
            stride=(stride, stride),
            padding=(draw(st.integers(0, 1)),) * 4,
            groups=groups,
        ),
    )
    posts: list[PostOperation] = []
    if draw(st.booleans()):
        elements = first.m * first.n // draw(st.sampled_from([1, 1, 2]))
        posts.append(PostOperation("add", elements))
    height, width = first.convolution.ofmap if first.convolution is not None else (1, 1)
    if draw(st.booleans()) and min(height, width) > 1:
        posts.append(PostOperation("pool", first.m * first.n))
        height, width = height // 2, width // 2
    batch = first.convolution.batch if first.convolution is not None else 1
    second = convolution_layer(
        "second", Convolution(batch, first.n, 5, (height, width), (1, 1)), inputs=("first",)
    )
    return Network("n", (replace(first, post_operations=tuple(posts)), second))


@st.composite
def odd_machines(draw: st.DrawFn) -> ArchConfig:
    fields: dict[str, object] = {
        "array.rows": draw(st.integers(1, 8)),
        "array.columns": draw(st.integers(1, 40)),
        "array.dataflow": draw(st.sampled_from(["os", "ws", "is"])),
        "array.overlap": draw(st.sampled_from(["none", "drain", "full"])),
        "tiling.keep_ofmap_on_chip": draw(st.booleans()),
        "tiling.objective": draw(st.sampled_from(["latency", "traffic"])),
        "dram.burst_bytes": draw(st.sampled_from([1, 48, 64])),
        "dram.latency_ns": draw(st.sampled_from([0, 60])),
        "output_path.values_per_cycle": draw(st.sampled_from([None, 1, 3])),
    }
    for name in ("ifmap", "filter", "ofmap"):
        fields[f"sram.{name}.word_bits"] = draw(st.sampled_from([8, 12, 36, 256, 300, 1024]))
        fields[f"sram.{name}.ports"] = draw(st.integers(1, 2))
        fields[f"sram.{name}.capacity_kib"] = draw(st.sampled_from([0.5, 2, 16]))
        fields[f"sram.{name}.double_buffered"] = draw(st.booleans())
    return load_arch("int8_32x32", fields)


@st.composite
def odd_macs(draw: st.DrawFn) -> MacTraits:
    activation, weight = draw(st.integers(1, 17)), draw(st.integers(1, 17))
    depth = draw(st.integers(1, 4))
    return MacTraits(
        "m",
        StorageBits(activation, weight, draw(st.integers(8, 40))),
        pipeline_depth=depth,
        accumulation_interval=draw(st.integers(1, depth)),
    )


@settings(max_examples=60, deadline=None)
@given(networks(), odd_machines(), odd_macs())
def test_every_counted_word_and_burst_is_shown_once(
    network: Network, arch: ArchConfig, mac: MacTraits
) -> None:
    """`layer_accesses` itself refuses bytes that do not sum up to the counts and cycles outside the layer."""
    run: MachineRun | None = None
    try:
        run = simulate_network(arch, network, traits_of=lambda _: mac)
    except UserError:
        assume(False)
    assert run is not None
    for layer in run.layers:
        shown = list(accesses_of(layer))
        assert len(shown) == count_accesses(layer)
        in_a_cycle = Counter((access.kind, access.cycle) for access in shown if access.kind.memory == "sram")
        for (kind, _), count in in_a_cycle.items():
            buffer = arch.sram[kind.operand]
            if kind.purpose != "transfer":
                assert count <= -(-buffer.word_bits * buffer.ports // min(256, buffer.word_bits))
        for access in shown:
            # Words of 12, 36 or 300 bits are counted out in whole bytes, and so are their useful bits.
            assert access.moved + 1 >= access.bytes >= 0
            if access.kind.memory == "sram":
                capacity = arch.sram[access.kind.operand].capacity_bytes
                assert 0 <= access.address < capacity


def test_traces_of_too_many_steps_are_refused_with_their_number(tmp_path: Path) -> None:
    layers = (
        matrix_layer("small", "fc", m=32, n=32, k=64),
        matrix_layer("long", "fc", m=320_000, n=1024, k=64),
    )
    arch = load_arch("int8_32x32", {"tiling.tile_m": 32, "tiling.tile_n": 32, "tiling.tile_k": 64})
    run = simulate_network(arch, Network("n", layers))
    # 10,000 x 32 tiles, and the one of the other layer.
    message = "a trace of 320,001 steps is too long to be written; layer 'long' has 320,000 of them"
    with pytest.raises(UserError, match=message):
        write_trace(run, tmp_path / "trace.json")
    with pytest.raises(UserError, match=message):
        write_access_trace(run, tmp_path / "accesses.csv")
    assert list(tmp_path.iterdir()) == []
    assert write_access_trace(run, tmp_path / "accesses.csv", ["small"]) > 64


def test_traces_of_too_many_rows_are_refused_with_their_number(tmp_path: Path) -> None:
    """K = 500,000,000: for each, two vectors of a word, fetched into words of 32 bytes as half bursts."""
    run = simulate_network(
        load_arch("int8_32x32", {"tiling.tile_k": 4000}),
        Network("n", (matrix_layer("deep", "fc", m=32, n=32, k=500_000_000),)),
    )
    rows = 2 * 500_000_000 + 2 * 500_000_000 + 2 * 250_000_000
    # 1,024 results of a byte: 32 vectors in, 32 words and 16 bursts out.
    rows += 32 + 32 + 16
    with pytest.raises(UserError, match=f"a trace of {rows:,} rows is too long .* layer 'deep' has {rows:,}"):
        write_access_trace(run, tmp_path / "accesses.csv")
    assert list(tmp_path.iterdir()) == []
