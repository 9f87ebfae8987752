"""Every size at its bound and one beyond: counted without overflow and in little memory, or refused."""

from __future__ import annotations

import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from simulator.foundation import UserError
from simulator.simulation import configure, simulate
from simulator.system.nest_machine import MOST_PLAYED
from simulator.system.tiling_trials import MOST_SEARCHED
from simulator.workload.layer import (
    LARGEST_LENGTH,
    LARGEST_MACS,
    Convolution,
    Network,
    convolution_layer,
    matrix_layer,
)
from tests.command import run
from tests.hostile.fuzzing.laws import require_laws

AT_THE_BOUND = {"m": 10**6, "n": 10**5, "k": 10**6}
"""10^17 MACs, the most that a layer may have."""


def one_layer(*, m: int, n: int, k: int, products: int = 1) -> Network:
    layer = matrix_layer("l", "fc" if products == 1 else "matmul", m=m, n=n, k=k, products=products)
    return Network("one", (layer,))


@pytest.mark.parametrize(
    ("m", "n", "k", "products"),
    [
        (10**6, 10**5, 10**6, 1),
        (LARGEST_LENGTH, 1, 1, 1),
        (1, LARGEST_LENGTH, 1, 1),
        (1, 1, LARGEST_LENGTH, 1),
        (10, 10, 10, 10**10),
    ],
)
def test_the_largest_layers_are_counted_in_little_memory(m: int, n: int, k: int, products: int) -> None:
    """No array is as long as a dimension of a layer: 10^12 bytes would not fit anywhere."""
    arch = configure("int8_32x32", {})
    simulate(one_layer(m=1, n=1, k=1), arch)  # loads modules, kernels and tables
    tracemalloc.start()
    result = simulate(one_layer(m=m, n=n, k=k, products=products), arch)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    require_laws(result)
    assert result.totals.macs == m * n * k * products <= LARGEST_MACS
    # At least every MAC on the 32 x 32 PEs, and fewer cycles than 64 bits hold.
    assert result.totals.macs / 1024 <= result.totals.cycles < 2**63
    assert peak_bytes < 100 * 2**20


@pytest.mark.parametrize(
    ("m", "n", "k", "field"),
    [
        (LARGEST_LENGTH + 1, 1, 1, "l.m"),
        (1, LARGEST_LENGTH + 1, 1, "l.n"),
        (1, 1, LARGEST_LENGTH + 1, "l.k"),
        (464_159, 464_159, 464_159, "l.macs"),
        (10**7, 10**6, 1, "l.ofmap_elements"),
    ],
)
def test_a_layer_beyond_the_range_is_refused(m: int, n: int, k: int, field: str) -> None:
    with pytest.raises(UserError, match=f"{field}: is beyond the simulator's range"):
        one_layer(m=m, n=n, k=k)


@pytest.mark.parametrize(
    "overrides",
    [
        {"dram.bandwidth_gbyte_per_s": 0.001},
        {"dram.bandwidth_gbyte_per_s": 0.001, "clock_mhz": 5000, "dram.burst_bytes": 4096},
        {"clock_mhz": 5000, "dram.latency_ns": 10000, "sram.ifmap.capacity_kib": 0.125,
         "sram.filter.capacity_kib": 0.125, "sram.ofmap.capacity_kib": 0.125, "dram.burst_bytes": 4096,
         "array.rows": 1, "array.columns": 1},
    ],
)  # fmt: skip
def test_cycles_that_64_bits_may_not_hold_are_refused(overrides: dict[str, object]) -> None:
    """Once a count that had wrapped around was taken for the best tiling, or the search had no end."""
    with pytest.raises(UserError, match="may take more cycles than the simulator counts"):
        simulate(one_layer(**AT_THE_BOUND), configure("int8_32x32", overrides))


def test_a_slow_memory_is_no_reason_to_refuse_what_can_be_counted() -> None:
    """1,000 x 1,000 x 1,000 at 1 MB/s: 2 x 10^6 bytes of operands and 10^6 of results, 1 in 500 cycles."""
    arch = configure("int8_32x32", {"dram.bandwidth_gbyte_per_s": 0.001})
    result = simulate(one_layer(m=1000, n=1000, k=1000), arch)
    require_laws(result)
    # 0.001 GB/s at 500 MHz are 0.002 bytes a cycle.
    assert result.totals.cycles >= 3 * 10**6 / 0.002


@pytest.mark.parametrize(
    ("field", "least", "below", "most", "beyond"),
    [
        ("array.rows", 1, 0, 4096, 4097),
        ("array.columns", 1, 0, 4096, 4097),
        ("clock_mhz", 0.001, 0.0009, 5000, 5001),
        ("dram.bandwidth_gbyte_per_s", 0.001, 0.0009, 10000, 10001),
        ("dram.latency_ns", 0, -1, 10000, 10001),
        ("dram.burst_bytes", 1, 0, 4096, 4097),
        ("dram.refresh_interval_ns", 0, -1, 10**9, 10**9 + 1),
        ("sram.ifmap.capacity_kib", 4, 0, 1048576, 1048577),
        ("sram.filter.word_bits", 8, 7, 1048576, 1048577),
        ("output_path.latency_cycles", 0, -1, 1000, 1001),
        ("tiling.tile_m", 1, 0, 10**12, 10**12 + 1),
        ("tiling.tile_k", 1, 0, 10**12, 10**12 + 1),
    ],
)
def test_fields_of_an_architecture_have_bounds(
    field: str, least: float, below: float, most: float, beyond: float
) -> None:
    network = one_layer(m=40, n=40, k=40)
    for value in (least, most):
        require_laws(simulate(network, configure("int8_32x32", {field: value})))
    for value in (below, beyond):
        with pytest.raises(UserError, match=field):
            configure("int8_32x32", {field: value})


HUGE = "{name: huge, source: a test, layers: [{name: l, fc: {m: 1000000, n: 100000, k: 1000000}}]}"


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--trace", "t.json"), "steps is too long to be written"),
        (("--access-trace", "t.csv"), "steps is too long to be written"),
        (("--vcd", "t.vcd", "--rows", "4", "--cols", "4"), "too large for the register-level grid"),
        (("--engine", "grid"), "too large for the register-level grid"),
    ],
)
def test_what_is_written_step_by_step_is_refused_before_memory_is_taken(
    options: tuple[str, ...],
    part: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "n.yaml").write_text(HUGE)
    monkeypatch.chdir(tmp_path)
    tracemalloc.start()
    run(capsys, "simulate", "n.yaml", "-q", *options).must_refuse(part)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 200 * 2**20
    assert [path.name for path in tmp_path.iterdir()] == ["n.yaml"]


def test_a_batch_beyond_the_range_says_how_many_inferences_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("simulate", "resnet50", "--json", "-q", "--batch")
    # 10^12 stored values of the largest tensor: 112 x 112 x 64 = 802,816 of each image.
    assert 10**12 // 802_816 == 1_245_615
    run(capsys, *arguments, "1245616").must_refuse("at most 1,245,615")
    result = json.loads(run(capsys, *arguments, "1245615").must_succeed().stdout)
    assert result["network"]["batch"] == 1_245_615


def test_refresh_of_a_layer_with_too_many_steps_is_refused() -> None:
    """The phase of the refresh makes tiles differ that repeat without it."""
    layer = one_layer(m=10**5, n=10**6, k=10**5)
    refresh = {"dram.refresh_interval_ns": 7800, "dram.refresh_duration_ns": 350}
    require_laws(simulate(layer, configure("int8_32x32", {})))
    with pytest.raises(UserError, match=f"layer 'l' takes more than {MOST_PLAYED:,} steps that differ"):
        simulate(layer, configure("int8_32x32", refresh))


def test_a_search_that_ends_early_says_so() -> None:
    """Single pixels and taps, most of them near padding: no two tiles in a row are alike."""
    convolution = Convolution(1, 3, 1000, (40, 40), (20, 20), padding=(19, 19, 19, 19))
    fields = {"array.rows": 1, "array.dataflow": "ws", "tiling.tile_k": 1, "tiling.tile_rows": 1}
    fields |= {"sram.filter.capacity_kib": 1, "tiling.objective": "energy", "tiling.tile_columns": 1}
    network = Network("one", (convolution_layer("l", convolution),))
    result = simulate(network, configure("int8_32x32", fields))
    require_laws(result)
    assert f"the search for a better one ended after {MOST_SEARCHED:,} steps" in str(result.layers[0].tiling)


def test_tilings_of_too_many_tiles_are_left_out_and_counted() -> None:
    """In buffers of 1 KiB, tiles near the padding of a large image are few and all different."""
    convolution = Convolution(8, 3, 400, (400, 400), (20, 20), padding=(19, 19, 19, 19))
    fields: dict[str, Any] = {f"sram.{name}.capacity_kib": 1 for name in ("ifmap", "filter", "ofmap")}
    fields |= {"array.rows": 1, "array.dataflow": "ws", "tiling.objective": "energy"}
    network = Network("one", (convolution_layer("l", convolution),))
    result = simulate(network, configure("int8_32x32", fields))
    require_laws(result)
    said = re.search(
        r"; ([\d,]+) others that take over 2,000,000 steps were not tried", str(result.layers[0].tiling)
    )
    assert said is not None
    assert int(said[1].replace(",", "")) >= 1
