"""Do big and odd layers take their cycles, in time and memory that do not grow with their tiles?"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

import pytest

from simulator.arch import ArchConfig, load_arch
from simulator.foundation import UserError
from simulator.system.layer_work import PLAYED, STEPS
from simulator.workload.layer import Convolution, convolution_layer, matrix_layer
from tests.cycles.tiling_player import cost_of, simulate

DATAFLOWS = ("os", "ws", "is")
REFRESHED = {"dram.refresh_interval_ns": 3900, "dram.refresh_duration_ns": 210}


def bundled(dataflow: str = "os", **fields: object) -> ArchConfig:
    given = {name.replace("__", "."): value for name, value in fields.items()}
    return load_arch("int8_32x32", {"array.dataflow": dataflow, **given})


@contextmanager
def within(megabytes: float) -> Iterator[None]:
    """Memory on top of what the process has."""
    tracemalloc.start()
    try:
        yield
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most <= megabytes * 10**6


BIG = {
    "a large GEMM": (131072, 49152, 12288),
    "a cube": (100_000, 100_000, 100_000),
    "a long reduction": (64, 64, 10**9),
    "many pixels": (10**9, 64, 64),
    "many channels": (64, 10**9, 64),
    "primes": (1_000_003, 65_537, 10_007),
}


@pytest.mark.parametrize("name", BIG)
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_a_big_product_takes_little_time_and_memory(name: str, dataflow: str) -> None:
    """Cycles are those of all multiplications at least, and of all bytes; no more than either twice over."""
    m, n, k = BIG[name]
    simulate(
        matrix_layer("l", "fc", m=100, n=100, k=100), bundled(dataflow)
    )  # compiled, or read from a cache
    with within(400):
        run = simulate(matrix_layer("l", "fc", m=m, n=n, k=k), bundled(dataflow))
    cycles, moved = cost_of(run)
    assert moved >= m * k + n * k + m * n
    work, channel = m * n * k / 1024, moved / 51.2
    assert max(work, channel) <= cycles <= 2.6 * max(work, channel)
    assert run.tiling.totals[PLAYED] <= 20_000 < run.tiling.totals[STEPS]


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_refresh_costs_a_big_product_its_share(dataflow: str) -> None:
    """Blocked for 105 of 1,950 cycles: at most 5.7 % more."""
    layer = matrix_layer("l", "fc", m=131072, n=49152, k=12288)
    without, _ = cost_of(simulate(layer, bundled(dataflow)))
    with within(400):
        refreshed, _ = cost_of(simulate(layer, load_arch(bundled(dataflow), REFRESHED)))
    assert without <= refreshed <= without * 1950 / (1950 - 105) * 1.01


def test_a_big_fixed_tiling_ends_in_its_cycle() -> None:
    """Every term by hand: 4,096 x 1,536 tiles of one fold, filters streaming past.

    A fold takes 12,288 + 2 x 32 + 32 - 2 = 12,382 cycles. At 20,000 bytes a cycle a tile of 32 x 12,288 bytes
    has the channel for 20; both first ones come before the first step, the last 1,024 results leave in one.
    """
    room = {f"sram.{name}.capacity_kib": 1024 for name in ("ifmap", "filter", "ofmap")}
    fixed = {"tiling.tile_m": 32, "tiling.tile_n": 32, "tiling.tile_k": 12288, "tiling.loops": "mkn"}
    arch = load_arch("int8_32x32", {**room, **fixed, "dram.bandwidth_gbyte_per_s": 10000})
    run = simulate(matrix_layer("l", "fc", m=131072, n=49152, k=12288), arch)
    first = 2 * ceil(32 * 12288 / 20_000) + 30
    steps = 4096 * 1536
    assert run.tiling.steps == steps
    assert run.counts.cycles.total == first + steps * 12_382 + 4 + 1
    assert run.counts.dram["ifmap"].read_bytes == 131072 * 12288
    assert run.counts.dram["filter"].read_bytes == 4096 * 49152 * 12288
    assert run.counts.dram["ofmap"].write_bytes == 131072 * 49152


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_a_big_convolution_is_near_its_roofline(dataflow: str) -> None:
    layer = convolution_layer("l", Convolution(64, 512, 1024, (2160, 4096), (3, 3), padding=(1, 1, 1, 1)))
    simulate(matrix_layer("l", "fc", m=100, n=100, k=100), bundled(dataflow))
    with within(400):
        cycles, moved = cost_of(simulate(layer, bundled(dataflow)))
    work, channel = layer.macs / 1024, moved / 51.2
    assert max(work, channel) <= cycles <= 1.5 * max(work, channel)


@pytest.mark.parametrize(
    ("fields", "steps"),
    [({}, "each step"), ({"tiling.tile_m": 1, "tiling.tile_n": 1, "tiling.tile_k": 1}, "10,000,000,000,000")],
)
def test_steps_of_a_big_layer_are_refused_with_their_number(fields: dict[str, object], steps: str) -> None:
    arch = load_arch("int8_32x32", {"array.dataflow": "os", **fields})
    size = {"each step": (131072, 49152, 12288)}.get(steps, (10**4, 10**4, 10**5))
    run = simulate(matrix_layer("l", "fc", m=size[0], n=size[1], k=size[2]), arch)
    with pytest.raises(UserError) as caught:
        _ = run.played.lowered
    assert f"{run.tiling.steps:,} steps" in str(caught.value)
    assert steps == "each step" or steps in str(caught.value)
    assert "at most 250,000 steps" in str(caught.value)


@pytest.mark.parametrize(
    ("size", "field"),
    [
        ((10**6, 10**6, 10**6), "big.macs:"),
        ((10**13, 1, 1), "big.m:"),
        ((1, 10**13, 1), "big.n:"),
        ((1, 1, 10**13), "big.k:"),
        ((10**7, 1, 10**6), "big.ifmap_elements:"),
        ((1, 10**7, 10**6), "big.filter_elements:"),
        ((10**7, 10**6, 1), "big.ofmap_elements:"),
        ((10**30, 10**30, 10**30), "big.m:"),
    ],
)
def test_a_size_beyond_the_range_is_refused_with_what_is_allowed(
    size: tuple[int, int, int], field: str
) -> None:
    m, n, k = size
    with pytest.raises(UserError) as caught:
        simulate(matrix_layer("big", "fc", m=m, n=n, k=k), bundled())
    message = str(caught.value)
    assert message.startswith(field)
    assert "allowed: at most 1" in message


def test_times_beyond_the_range_are_refused() -> None:
    """Each of 10^17 tiles may wait 50,000 cycles for the DRAM and 320,000 for 64 bytes of 0.0002 a cycle.

    Cycles are counted up to 2^60.
    """
    slow = {"dram.latency_ns": 10000, "clock_mhz": 5000, "dram.bandwidth_gbyte_per_s": 0.001}
    single = {"tiling.tile_m": 1, "tiling.tile_n": 1, "tiling.tile_k": 1, "array.rows": 1, "array.columns": 1}
    with pytest.raises(UserError) as caught:
        simulate(
            matrix_layer("l", "fc", m=464158, n=464158, k=464158), load_arch("int8_32x32", slow | single)
        )
    assert 464158**3 * 370_000 > 2**60
    assert "dram.bandwidth_gbyte_per_s: layer 'l' may take more cycles than" in str(caught.value)


def test_tiles_are_counted_along_every_loop() -> None:
    """Two images in blocks of 3 x 7 of 50,000 x 50,000 pixels, 200 channels singly, 140 inputs by twos."""
    layer = convolution_layer("l", Convolution(2, 140, 200, (50_000, 50_000), (1, 1)))
    slow = {"dram.latency_ns": 10000, "clock_mhz": 5000, "dram.bandwidth_gbyte_per_s": 0.001}
    tile = {"images": 1, "rows": 3, "columns": 7, "n": 1, "k": 2}
    arch = bundled("ws", **slow, **{f"tiling.tile_{name}": size for name, size in tile.items()})
    with pytest.raises(UserError) as caught:
        simulate(layer, arch)
    assert 2 * 16_667 * 7_143 * 200 * 70 * 370_000 > 2**60
    assert "dram.bandwidth_gbyte_per_s: layer 'l' may take more cycles than" in str(caught.value)
