"""Does an access trace, played back byte by byte, give the array the operands of its convolution?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simulator.arch import ArchConfig, load_arch
from simulator.arch.config import LayerConfig, TilingConfig
from simulator.foundation import UserError
from simulator.system import LayerRun, simulate_network
from simulator.system.access_trace import layer_accesses
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
from tests.reference.replay import Problem, Replay, Row, Tiles, Widths

BURST = 16


def rows_of(run: LayerRun) -> Iterator[Row]:
    for _, kinds, (numbers, accesses) in layer_accesses(run):
        rows = zip(numbers.tolist(), accesses.addresses.tolist(), accesses.bytes.tolist(), strict=True)
        for number, address, size in rows:
            kind = kinds[number]
            yield Row(kind.memory, kind.operand, kind.direction, kind.purpose, address, size)


def turned(p: Problem) -> Problem:
    """The same problem with height and width exchanged."""
    pairs = {name: getattr(p, name)[::-1] for name in ("ifmap", "ofmap", "kernel", "stride", "dilation")}
    return replace(p, padding=p.padding[::-1], **pairs)


def problem_of(layer: Layer, arch: ArchConfig) -> Problem:
    """A convolution whose windows share nothing is a product, unless rows, columns or images are fixed."""
    c, fixed = layer.convolution, arch.tiling
    one = (1, 1)
    plain = Problem(
        images=1,
        ifmap=(1, layer.m),
        ofmap=(1, layer.m),
        kernel=one,
        stride=one,
        dilation=one,
        padding=(0, 0),
        channels=layer.k,
        n=layer.n_per_group,
        groups=layer.groups,
        dataflow=arch.array.dataflow,
        array=(arch.array.rows, arch.array.columns),
    )
    if c is None:
        return plain
    free = fixed.tile_rows is None and fixed.tile_columns is None and fixed.tile_images is None
    meet = any(
        (c.stride[i] < c.kernel[i] and c.ofmap[i] > 1) or (c.dilation[i] > 1 and c.kernel[i] > 1)
        for i in (0, 1)
    )
    if free and not meet and not any(c.padding):
        return plain
    return replace(
        plain,
        images=c.batch,
        ifmap=c.ifmap,
        ofmap=c.ofmap,
        kernel=c.kernel,
        stride=c.stride,
        dilation=c.dilation,
        padding=c.padding[:2],
        channels=c.channels // c.groups,
    )


def tiles_of(run: LayerRun) -> Tiles:
    chosen: dict[str, Any] = run.tiling.summary()
    rows, columns = chosen.get("tile_rows", 1), chosen.get("tile_columns", chosen["tile_m"])
    by_columns = chosen["image_order"] == "columns" and "tile_rows" in chosen  # else one run of pixels
    return Tiles(
        loops=chosen["loops"],
        pixels=(chosen.get("tile_images", 1), *((columns, rows) if by_columns else (rows, columns))),
        n=chosen["tile_n"],
        k=chosen["tile_k"],
        groups=chosen["tile_groups"],
        whole_k=chosen["whole_reduction"],
    )


@st.composite
def small_layers(draw: st.DrawFn) -> Layer:
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    if draw(st.integers(0, 3)) == 0:
        m, n, k = (draw(st.integers(1, 11)) for _ in range(3))
        layer = matrix_layer("l", "matmul", m=m, n=n, k=k, products=groups)
    else:
        kernel = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        dilation = draw(st.integers(1, 2)), draw(st.integers(1, 3))
        widest = draw(st.sampled_from([0, 1, 2]))
        padding = tuple(draw(st.integers(0, widest)) for _ in range(4))
        smallest = [dilation[i] * (kernel[i] - 1) + 1 for i in (0, 1)]
        convolution = Convolution(
            draw(st.integers(1, 2)),
            groups * draw(st.integers(1, 3)),
            groups * draw(st.integers(1, 4)),
            (draw(st.integers(smallest[0], 7)), draw(st.integers(smallest[1], 8))),
            kernel,
            stride=(draw(st.integers(1, 4)), draw(st.integers(1, 3))),
            padding=(padding[0], padding[1], padding[2], padding[3]),
            dilation=dilation,
            groups=groups,
        )
        layer = convolution_layer("l", convolution)
    if draw(st.booleans()):
        layer = replace(layer, post_operations=(PostOperation("add", layer.m * layer.n),))
    return layer


@st.composite
def byte_machines(draw: st.DrawFn) -> ArchConfig:
    """Machines whose buffers have words of one byte, with tilings fixed in part."""
    dataflow, overlap = (
        draw(st.sampled_from(["os", "ws", "is"])),
        draw(st.sampled_from(["none", "drain", "full"])),
    )
    # Where folds follow without a bubble, a tile's last vectors are read up to R cycles after its place
    # counts as free (docs/machine.md, Traces): with latency, what is fetched then comes after them.
    latencies = [60] if overlap == "full" and dataflow != "os" else [0, 60]
    fields: dict[str, object] = {
        "array.rows": draw(st.integers(1, 4)),
        "array.columns": draw(st.integers(1, 4)),
        "array.dataflow": dataflow,
        "array.overlap": overlap,
        "array.partial_folds": draw(st.sampled_from(["full", "trimmed"])),
        "output_path.latency_cycles": draw(st.sampled_from([0, 4])),
        "output_path.values_per_cycle": draw(st.sampled_from([None, 1, 2])),
        "dram.latency_ns": draw(st.sampled_from(latencies)),
        "dram.bandwidth_gbyte_per_s": draw(st.sampled_from([0.7, 25.6, 1000])),
        "dram.burst_bytes": BURST,
        "tiling.image_order": draw(st.sampled_from(["auto", "rows", "columns"])),
        "tiling.loops": draw(st.sampled_from(["auto", "mkn", "nkm", "mnk", "nmk"])),
        "tiling.whole_reduction": draw(st.sampled_from(["auto", "auto", "neither", "ifmap", "filter"])),
    }
    for buffer in ("ifmap", "filter", "ofmap"):
        fields[f"sram.{buffer}.word_bits"] = 8
        fields[f"sram.{buffer}.ports"] = draw(st.sampled_from([1, 3, 8]))
        fields[f"sram.{buffer}.capacity_kib"] = draw(st.sampled_from([0.0625, 0.25, 1, 4]))
        fields[f"sram.{buffer}.double_buffered"] = draw(st.booleans())
    for name in ("rows", "columns", "images", "n", "k", "groups"):
        if draw(st.booleans()):
            fields[f"tiling.tile_{name}"] = draw(st.integers(1, 5))
    if draw(st.booleans()):
        fields["dram.refresh_interval_ns"], fields["dram.refresh_duration_ns"] = 100, 20
    return load_arch("int8_32x32", fields)


@st.composite
def macs(draw: st.DrawFn) -> MacTraits:
    depth = draw(st.integers(1, 4))
    bits = [8 * draw(st.integers(1, 3)) for _ in range(3)]
    return MacTraits(
        "m", StorageBits(*bits), pipeline_depth=depth, accumulation_interval=draw(st.integers(1, depth))
    )


def replayed(arch: ArchConfig, mac: MacTraits, layer: Layer, reader: Layer, wanted: int | None) -> Replay:
    """A layer played back whose results another layer reads, in codes of `wanted` bits (None: of its own)."""
    wide = replace(mac, bits=StorageBits(wanted or mac.bits.activation, 8, 32))
    own = arch.model_copy(update={"layers": {reader.name: LayerConfig(mac="elma8")}})
    try:
        run = simulate_network(
            own, Network("n", (layer, reader)), traits_of=lambda choice: wide if choice == "elma8" else mac
        ).layers[0]
    except UserError:
        assume(False)
    bits = mac.bits
    problem = problem_of(layer, arch)
    replay = Replay(
        turned(problem) if run.tiling.turned else problem,
        tiles_of(run),
        Widths(
            ifmap=bits.activation // 8,
            filter=bits.weight // 8,
            sums=bits.accumulator // 8,
            result=wide.bits.activation // 8,
            residual=bits.activation // 8 if layer.post_operations else 0,
            burst=BURST,
        ),
    )
    replay.play(rows_of(run))
    return replay


def reader_of(layer: Layer) -> Layer:
    return matrix_layer("reader", "fc", m=layer.m, n=2, k=layer.n, inputs=("l",))


@settings(max_examples=120, deadline=None)
@given(small_layers(), byte_machines(), macs(), st.sampled_from([8, 16, 24]))
def test_the_array_finds_what_a_convolution_needs(
    layer: Layer, arch: ArchConfig, mac: MacTraits, wanted: int
) -> None:
    """Operands, sums and residuals are read where they were brought, before anything replaces them."""
    replay = replayed(arch, mac, layer, reader_of(layer), wanted)
    stored = {token for token in replay.dram["ofmap"].values() if token[0] == "result"}
    assert stored == {(*token, byte) for token in replay.results for byte in range(wanted // 8)}
    if layer.post_operations:
        residuals = layer.m * layer.n * mac.bits.activation // 8
        assert len(replay.residuals) == len(set(replay.residuals)) == residuals
        assert {token[0] for token in replay.residuals} == {"initial"}


@settings(max_examples=40, deadline=None)
@given(small_layers(), byte_machines(), macs())
def test_results_that_stay_are_whole_in_one_half(layer: Layer, arch: ArchConfig, mac: MacTraits) -> None:
    sram = {
        name: arch.sram[name].model_copy(update={"double_buffered": True, "capacity_kib": 4})
        for name in ("ifmap", "filter", "ofmap")
    }
    # Partial sums would pass the buffer where the reduction is longer than the rows.
    dataflow = arch.array.dataflow if layer.k <= arch.array.rows else "os"
    kept = arch.model_copy(
        update={
            "array": arch.array.model_copy(update={"dataflow": dataflow}),
            "tiling": TilingConfig(keep_ofmap_on_chip=True, objective="traffic", tile_n=arch.tiling.tile_n),
            "sram": arch.sram.with_memories(sram),
        }
    )
    replay = replayed(kept, mac, layer, reader_of(layer), None)
    width = mac.bits.activation // 8
    wanted = {(*token, byte) for token in replay.results for byte in range(width)}
    assume(not any(token[0] == "result" for token in replay.dram["ofmap"].values()))
    half = {place: token for place, token in replay.buffers["ofmap"].items() if token[0] == "result"}
    assert set(half.values()) == wanted
    assert sorted(half) == list(range(len(wanted)))
    assert max(replay.buffers["ofmap"]) < 2048
