"""Under SCALE-Sim timing the buffers are read by the folds of the whole layer, as its cycles are counted.

The counts are those that SCALE-Sim reports (2.0.2 and 3.0.0, the same): a fold reads each streamed operand
once, a stationary one once per preload, and every fold along the reduction writes its sums. They depend on
the layer and the array alone, so no buffer size and no tiling may change them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from simulator.arch import load_arch
from simulator.system import simulate_network
from simulator.system.counts import ActionCounts
from simulator.workload.layer import Convolution, Layer, Network, convolution_layer, matrix_layer

DATAFLOWS = ("os", "ws", "is")
ACCUMULATOR_BYTES = 4  # int8 products are summed in 32 bits; operands and results are one byte


class Reads(NamedTuple):
    """Elements through the array's edges."""

    ifmap: int
    filter: int
    ofmap_writes: int


def scalesim_reads(
    dataflow: str, m: int, n_per_group: int, k: int, groups: int, *, rows: int, columns: int
) -> Reads:
    """Elements by walking over the folds of every group, one by one."""
    across, down = {
        "os": (n_per_group, m),
        "ws": (n_per_group, k),
        "is": (m, k),
    }[dataflow]
    ifmap = filters = writes = 0
    for first_column in range(0, across, columns):
        used_columns = min(columns, across - first_column)
        for first_row in range(0, down, rows):
            used_rows = min(rows, down - first_row)
            if dataflow == "os":  # both operands stream for k cycles, each PE gives one result
                ifmap += used_rows * k
                filters += used_columns * k
                writes += used_rows * used_columns
            elif dataflow == "ws":  # one preload, then m rows of activations, m rows of sums
                filters += used_rows * used_columns
                ifmap += used_rows * m
                writes += used_columns * m
            else:  # one preload, then the weights of every output channel
                ifmap += used_rows * used_columns
                filters += used_rows * n_per_group
                writes += used_columns * n_per_group
    return Reads(ifmap * groups, filters * groups, writes * groups)


def random_layer(random: np.random.Generator, number: int) -> Layer:
    """A product, a batch of products, or a convolution: plain, grouped, depthwise; sizes seldom fit."""

    def size(largest: int) -> int:
        return int(random.integers(1, largest + 1))

    kind = number % 5
    name = f"layer{number}"
    if kind == 0:
        return matrix_layer(name, "matmul", m=size(90), n=size(90), k=size(200))
    if kind == 1:
        return matrix_layer(name, "matmul", m=size(40), n=size(40), k=size(60), products=size(4))
    kernel = (size(3), size(3))
    groups = {2: 1, 3: size(3) + 1, 4: size(20) + 1}[kind]
    channels = groups * (1 if kind == 4 else size(12))
    return convolution_layer(
        name,
        Convolution(
            batch=size(2),
            channels=channels,
            filters=channels * size(2) if kind == 4 else groups * size(30),
            ifmap=(kernel[0] + size(12), kernel[1] + size(12)),
            kernel=kernel,
            stride=(size(2), size(2)),
            padding=(size(2) - 1, 0, size(2) - 1, 0),
            groups=groups,
        ),
    )


def counts(layer: Layer, dataflow: str, rows: int, columns: int, kib: int) -> ActionCounts:
    fields: dict[str, object] = {
        "array.rows": rows,
        "array.columns": columns,
        "array.dataflow": dataflow,
        "array.timing": "scalesim",
        "sram.ifmap.capacity_kib": kib,
        "sram.filter.capacity_kib": kib,
        "sram.ofmap.capacity_kib": kib,
    }
    run = simulate_network(load_arch("int8_32x32", fields), Network("one", (layer,)))
    return run.layers[0].counts


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_the_reference_walk_gives_the_published_closed_forms(dataflow: str) -> None:
    """R = 8, C = 4, M = 20, N = 10, K = 27, worked out by hand: ceilings of 20/8, 10/4, 27/8, 20/4."""
    walked = scalesim_reads(dataflow, 20, 10, 27, 1, rows=8, columns=4)
    assert (
        walked
        == {
            "os": Reads(20 * 27 * 3, 10 * 27 * 3, 20 * 10),
            "ws": Reads(20 * 27 * 3, 10 * 27, 20 * 10 * 4),
            "is": Reads(20 * 27, 10 * 27 * 5, 20 * 10 * 4),
        }[dataflow]
    )


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_buffers_are_read_by_the_folds_of_the_whole_layer(dataflow: str) -> None:
    random = np.random.default_rng(20261126)
    sums_held_on_chip = 0
    for number in range(150):
        layer = random_layer(random, number)
        rows, columns = int(random.integers(2, 17)), int(random.integers(1, 17))
        expected = scalesim_reads(
            dataflow, layer.m, layer.n_per_group, layer.k, layer.groups, rows=rows, columns=columns
        )
        for kib in (4, 256):
            counted = counts(layer, dataflow, rows, columns, kib)
            where = f"{layer} on {rows}x{columns}, {kib} KiB"
            assert counted.sram["ifmap"].read_bytes == expected.ifmap, where
            assert counted.sram["filter"].read_bytes == expected.filter, where
            assert counted.activation_codes + counted.weight_codes == expected.ifmap + expected.filter, where
            if counted.dram["ofmap"].read_bytes == 0:  # else partial sums also come back from the DRAM
                sums_held_on_chip += 1
                results = layer.m * layer.n
                sums = expected.ofmap_writes - results
                assert counted.sram["ofmap"].write_bytes == results + sums * ACCUMULATOR_BYTES, where
    assert sums_held_on_chip > 150


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_no_tiling_changes_them(dataflow: str) -> None:
    """One layer under tilings that cut every dimension at places where no fold ends.

    Output stationary sums stay in the PEs, so a shorter reduction needs a tile of one fold.
    """
    layer = matrix_layer("fc", "fc", m=37, n=29, k=53)
    expected = scalesim_reads(dataflow, 37, 29, 53, 1, rows=8, columns=8)
    pieces = ((5, 7, 7), (8, 8, 17)) if dataflow == "os" else ((37, 29, 7), (11, 13, 17))
    for tile_m, tile_n, tile_k in ((37, 29, 53), (5, 29, 53), (37, 3, 53), *pieces):
        arch = load_arch(
            "int8_32x32",
            {
                "array.rows": 8,
                "array.columns": 8,
                "array.dataflow": dataflow,
                "array.timing": "scalesim",
                "tiling.tile_m": tile_m,
                "tiling.tile_n": tile_n,
                "tiling.tile_k": tile_k,
            },
        )
        sram = simulate_network(arch, Network("one", (layer,))).layers[0].counts.sram
        assert sram["ifmap"].read_bytes == expected.ifmap, (tile_m, tile_n, tile_k)
        assert sram["filter"].read_bytes == expected.filter, (tile_m, tile_n, tile_k)
