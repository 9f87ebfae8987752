"""Has every tensor one width, and are the bytes that move those of the words and bursts that are touched?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from simulator.arch import load_arch
from simulator.system import MachineRun, simulate_network
from simulator.system.tile_work import HELD_ROWS
from simulator.workload.layer import (
    Convolution,
    Layer,
    Network,
    PostOperation,
    convolution_layer,
    matrix_layer,
)


def run(*layers: Layer, **overrides: Any) -> MachineRun:
    fields = {name.replace("__", "."): value for name, value in overrides.items()}
    return simulate_network(load_arch("int8_32x32", fields), Network("n", layers))


def depthwise(**overrides: Any) -> MachineRun:
    """Eight channels of 10 x 10, kernel 3 x 3: every group is 100 x 9 times 9 x 1."""
    geometry = Convolution(1, 8, 8, (10, 10), (3, 3), padding=(1, 1, 1, 1), groups=8)
    return run(convolution_layer("d", geometry), tiling__tile_m=100, tiling__loops="mkn", **overrides)


@pytest.mark.parametrize(("tile_groups", "filter_bursts"), [(8, 2), (4, 2), (1, 8)])
def test_depthwise_reads_whole_words_and_fetches_neighbouring_filters_together(
    tile_groups: int, filter_bursts: int
) -> None:
    counts = depthwise(tiling__tile_groups=tile_groups).layers[0].counts
    # 100 pixels are 4 folds of at most 32; 8 groups x 4 folds x 9 steps of the reduction are 288 vectors.
    assert counts.sram["filter"].read_bytes == 288
    assert counts.sram["filter"].moved_read_bytes == 288 * 32
    assert counts.sram["ifmap"].read_bytes == 8 * 100 * 9
    assert counts.sram["ifmap"].moved_read_bytes == 288 * 32
    # Every pixel's result is a vector of one code, and a word of its own.
    assert counts.sram["ofmap"].write_bytes == 800
    assert counts.sram["ofmap"].moved_write_bytes == 800 * 32
    # 9 bytes a filter: 72 bytes are two bursts of 64, 36 bytes one (twice), 9 bytes one (eight times).
    assert counts.dram["filter"].read_bytes == 72
    assert counts.dram["filter"].moved_read_bytes == filter_bursts * 64


@pytest.mark.parametrize(("n", "words"), [(64, 2), (33, 2), (32, 1), (10, 1)])
def test_of_a_wide_word_only_the_touched_macros_switch(n: int, words: int) -> None:
    """64 columns of 8 bits make a filter word of 512 bits: two macros of 256."""
    layer = matrix_layer("l", "fc", m=32, n=n, k=50)
    counts = run(layer, array__columns=64, tiling__tile_m=32).layers[0].counts
    assert counts.sram["filter"].read_bytes == 50 * n
    assert counts.sram["filter"].moved_read_bytes == 50 * words * 32
    assert counts.sram["ifmap"].moved_read_bytes == 50 * 32


def test_weight_stationary_sums_are_charged_by_their_words() -> None:
    """K = 96 on 32 rows: 3 folds; two read sums and two write them, the last one writes results."""
    layer = matrix_layer("l", "fc", m=40, n=20, k=96)
    counts = run(layer, array__dataflow="ws", tiling__tile_m=40, tiling__tile_k=96).layers[0].counts
    # 20 sums of 32 bits are 640 bits: three words of 256. 20 results of 8 bits are one.
    sums, results = 40 * 3 * 32, 40 * 32
    assert counts.sram["ofmap"].read_bytes == 2 * 40 * 20 * 4 + 800  # and the results on their way to DRAM
    assert counts.sram["ofmap"].moved_read_bytes == 2 * sums + 800
    assert counts.sram["ofmap"].write_bytes == 2 * 40 * 20 * 4 + 800
    assert counts.sram["ofmap"].moved_write_bytes == 2 * sums + results
    # 32 streamed codes are one word, 40 vectors a fold; 20 weights are one word, 32 rows a fold.
    assert counts.sram["ifmap"].moved_read_bytes == 3 * 40 * 32
    assert counts.sram["filter"].moved_read_bytes == 96 * 32


def test_transfers_touch_whole_words_and_bursts() -> None:
    layer = matrix_layer("l", "fc", m=5, n=7, k=11)
    counts = run(layer, tiling__tile_m=5, tiling__tile_n=7, tiling__tile_k=11).layers[0].counts
    assert (counts.dram["ifmap"].read_bytes, counts.dram["ifmap"].moved_read_bytes) == (55, 64)
    assert (counts.dram["filter"].read_bytes, counts.dram["filter"].moved_read_bytes) == (77, 128)
    assert (counts.dram["ofmap"].write_bytes, counts.dram["ofmap"].moved_write_bytes) == (35, 64)
    assert (counts.sram["ifmap"].write_bytes, counts.sram["ifmap"].moved_write_bytes) == (55, 64)
    assert (counts.sram["filter"].write_bytes, counts.sram["filter"].moved_write_bytes) == (77, 96)


def test_an_attention_operand_is_fetched_as_wide_as_it_was_written() -> None:
    """int8 activations, int4 weights: what a layer computed is read as both, so it is stored in 8 bits."""
    project = matrix_layer("project", "fc", m=32, n=64, k=16)
    scores = matrix_layer(
        "scores", "matmul", m=8, n=64, k=32, weights_are_activations=True, inputs=("project",)
    )
    written, read = run(project, scores, array__mac="int8 x int4").layers
    assert written.counts.dram["ofmap"].write_bytes == 2048
    assert read.counts.dram["filter"].read_bytes == 2048
    assert written.counts.dram["filter"].read_bytes == 16 * 64 // 2


@pytest.mark.parametrize(("mac", "stored"), [("int4 x int4", 1024), ("int8", 2048), ("int16 x int8", 4096)])
def test_a_result_is_stored_in_its_readers_codes(mac: str, stored: int) -> None:
    first = matrix_layer("first", "fc", m=32, n=64, k=16)
    second = matrix_layer("second", "fc", m=32, n=8, k=64, inputs=("first",))
    overrides = {"layers": {"second": {"mac": mac}}}
    written, read = run(first, second, **overrides).layers
    assert written.counts.dram["ofmap"].write_bytes == stored
    assert read.counts.dram["ifmap"].read_bytes == stored


def test_readers_of_several_widths_share_the_widest() -> None:
    first = matrix_layer("first", "fc", m=32, n=64, k=16)
    narrow = matrix_layer("narrow", "fc", m=32, n=8, k=64, inputs=("first",))
    wide = matrix_layer("wide", "fc", m=32, n=8, k=64, inputs=("first",))
    overrides = {"layers": {"narrow": {"mac": "int4 x int4"}, "wide": {"mac": "int16 x int8"}}}
    runs = run(first, narrow, wide, **overrides).layers
    assert runs[0].counts.dram["ofmap"].write_bytes == 4096
    assert [layer.counts.dram["ifmap"].read_bytes for layer in runs[1:]] == [4096, 4096]


@pytest.mark.parametrize("adds", [True, False])
def test_nothing_is_read_that_was_not_written(adds: bool) -> None:
    """y = f(x) + x: x is read from DRAM for the addition, so it has to be there."""
    posts = (PostOperation("add", 32 * 32, ("x",)),) if adds else ()
    x = matrix_layer("x", "fc", m=32, n=32, k=32)
    y = matrix_layer("y", "fc", m=32, n=32, k=32, inputs=("x",), post_operations=posts)
    written, read = run(x, y, tiling__keep_ofmap_on_chip=True).layers
    if adds:
        assert written.counts.dram["ofmap"].write_bytes == 1024
        assert read.counts.dram["ofmap"].read_bytes == 1024
        assert read.counts.dram["ifmap"].read_bytes == 1024
    else:
        assert written.counts.dram["ofmap"].write_bytes == 0
        assert read.counts.dram["ifmap"].read_bytes == 0


def test_a_result_stays_on_chip_only_where_that_pays() -> None:
    """The layer that reads it then has half a buffer for its own results."""
    first = matrix_layer("first", "fc", m=2, n=4, k=8)
    second = matrix_layer("second", "fc", m=2, n=512, k=4, inputs=("first",))
    fields: dict[str, Any] = {
        "sram__ofmap__capacity_kib": 64 / 1024,
        "dram__latency_ns": 0,
        "dram__bandwidth_gbyte_per_s": 0.5,
    }
    asked = run(first, second, tiling__keep_ofmap_on_chip=True, **fields)
    never = run(first, second, **fields)
    forced = run(
        first,
        second,
        tiling__keep_ofmap_on_chip=True,
        layers={"first": {"tiling": {"keep_ofmap_on_chip": True}}},
        **fields,
    )
    assert forced.layers[0].counts.dram["ofmap"].write_bytes == 0
    assert asked.cycles == min(never.cycles, forced.cycles)


@pytest.mark.parametrize(
    ("dataflow", "m", "n", "rows"),
    [("ws", 10, 70, 120), ("is", 70, 10, 120), ("is", 10, 70, 40), ("os", 10, 70, 0)],
)
def test_rows_that_are_loaded_are_those_of_the_reduction_in_every_fold(
    dataflow: str, m: int, n: int, rows: int
) -> None:
    """K = 40 is a fold of 32 rows and one of 8, for each fold across, of which 70 columns take 3."""
    tile = {"tiling__tile_m": m, "tiling__tile_n": n, "tiling__tile_k": 40}
    layer = run(matrix_layer("l", "fc", m=m, n=n, k=40), array__dataflow=dataflow, **tile).layers[0]
    assert layer.tiling.totals[HELD_ROWS] == rows


def test_residual_operands_are_read_word_by_word() -> None:
    """128 vectors of 32 codes of 8 bits, a macro word each, beside what comes from and goes to the DRAM."""
    layer = replace(
        matrix_layer("l", "fc", m=64, n=64, k=32), post_operations=(PostOperation("add", 64 * 64),)
    )
    ofmap = simulate_network(load_arch("int8_32x32"), Network("n", (layer,))).layers[0].counts.sram["ofmap"]
    assert (ofmap.moved_read_bytes, ofmap.moved_write_bytes) == (2 * 128 * 32, 2 * 128 * 32)
