"""Does an access trace, played back byte by byte, give the array the operands of the convolution it computes?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simulator.arch import ArchConfig, load_arch
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
            yield Row(*kinds[number], address, size)


def problem_of(layer: Layer, arch: ArchConfig) -> Problem:
    """A convolution whose windows share nothing is a product, unless rows, columns or images are fixed."""
    array, c, fixed = arch.array, layer.convolution, arch.tiling
    plain = Problem(
        1, (1, layer.m), (1, layer.m), (1, 1), (1, 1), (1, 1), (0, 0), layer.k, layer.n_per_group, layer.groups,
        array.dataflow, (array.rows, array.columns),
    )  # fmt: skip
    if c is None:
        return plain
    apart = all(
        c.stride[i] > c.dilation[i] * (c.kernel[i] - 1) and c.stride[i] >= c.kernel[i] for i in (0, 1)
    )
    if apart and c.dilation == (1, 1) and not any(c.padding):
        if (fixed.tile_rows, fixed.tile_columns, fixed.tile_images) == (None, None, None):
            return plain
    return replace(
        plain, images=c.batch, ifmap=c.ifmap, ofmap=c.ofmap, kernel=c.kernel, stride=c.stride,
        dilation=c.dilation, padding=c.padding[:2], channels=c.channels // c.groups,
    )  # fmt: skip


def tiles_of(run: LayerRun) -> Tiles:
    chosen: dict[str, Any] = run.tiling.summary()
    pixels = chosen["tile_images"], chosen["tile_rows"], chosen["tile_columns"]
    return Tiles(
        chosen["loops"], pixels, chosen["tile_n"], chosen["tile_k"], chosen["tile_groups"],
        chosen["whole_reduction"],
    )  # fmt: skip


@st.composite
def small_layers(draw: st.DrawFn) -> Layer:
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    if draw(st.integers(0, 3)) == 0:
        m, n, k = (draw(st.integers(1, 11)) for _ in range(3))
        layer = matrix_layer("l", "matmul", m=m, n=n, k=k, products=groups)
    else:
        kernel = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        dilation = draw(st.integers(1, 2)), draw(st.integers(1, 3))
        padding = tuple(draw(st.integers(0, 2)) for _ in range(4))
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
    # Where folds follow without a bubble, a tile's last vectors are read up to R cycles after its place counts
    # as free (docs/machine.md, Traces): with latency, what is fetched then comes after them.
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
            fields[f"tiling.tile_{name}"] = draw(st.integers(1, 7))
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


def replayed(layer: Layer, arch: ArchConfig, mac: MacTraits) -> Replay:
    try:
        run = simulate_network(arch, Network("n", (layer,)), traits_of=lambda _: mac).layers[0]
    except UserError:
        assume(False)
    bits = mac.bits
    residual = bits.activation // 8 if layer.post_operations else 0
    widths = Widths(
        bits.activation // 8, bits.weight // 8, bits.accumulator // 8, bits.activation // 8, residual, BURST
    )
    replay = Replay(problem_of(layer, arch), tiles_of(run), widths)
    replay.play(rows_of(run))
    return replay


@settings(max_examples=3000, deadline=None)
@given(small_layers(), byte_machines(), macs())
def test_the_array_finds_what_a_convolution_needs(layer: Layer, arch: ArchConfig, mac: MacTraits) -> None:
    """Every operand, partial sum and residual is read where it was brought, before anything takes its place."""
    replay = replayed(layer, arch, mac)
    width = mac.bits.activation // 8
    stored = sorted(replay.dram["ofmap"].items())
    wanted = {(*token, byte) for token in replay.results for byte in range(width)}
    assert wanted <= {token for _, token in stored}
    if layer.post_operations:
        assert len(replay.residuals) == len(set(replay.residuals)) == layer.m * layer.n * width
        assert {token[0] for token in replay.residuals} == {"initial"}
