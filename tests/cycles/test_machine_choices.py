"""What is chosen by which objective, what the reason says, and what is refused: choices around the tiling."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.arch import load_arch
from simulator.foundation import UserError
from simulator.system import simulate_network
from simulator.system.layer_work import END
from simulator.system.nest import NEST_NAMES
from simulator.system.tiling import choose_tiling
from simulator.system.tiling_candidates import NEST
from simulator.system.tiling_search import Search
from simulator.workload.layer import Convolution, Layer, Network, convolution_layer, matrix_layer
from tests.cycles.tiling_laws import PRICES, energy_of
from tests.cycles.tiling_player import cost_of, simulate


def test_times_are_those_of_the_counts() -> None:
    run = simulate(matrix_layer("l", "fc", m=40, n=50, k=60), load_arch("int8_32x32"))
    assert run.played.times.end == run.counts.cycles.total


def test_a_result_that_leaves_its_reader_no_room_is_not_kept() -> None:
    """The reader's 32 x 96 results of a byte fill 3 quarters of the buffer; its input would take half."""
    first = matrix_layer("first", "fc", m=32, n=32, k=32)
    second = matrix_layer("second", "fc", m=32, n=96, k=32, inputs=("first",))
    fields = {
        "sram.ofmap.capacity_kib": 4,
        "layers": {"second": {"tiling": {"tile_m": 32, "tile_n": 96, "tile_k": 32}}},
    }
    network = Network("n", (first, second))
    never = simulate_network(load_arch("int8_32x32", fields), network)
    asked = simulate_network(load_arch("int8_32x32", {**fields, "tiling.keep_ofmap_on_chip": True}), network)
    assert asked.layers[0].counts.dram["ofmap"].write_bytes == 32 * 32
    assert asked.cycles == never.cycles


def test_cycles_decide_what_stays_on_chip_though_moves_have_prices() -> None:
    """Kept, the first result saves traffic and energy, but the second layer then has half a buffer."""
    first = matrix_layer("first", "fc", m=16, n=4, k=8)
    second = matrix_layer("second", "fc", m=16, n=256, k=4, inputs=("first",))
    network = Network("n", (first, second))
    fields = {
        "sram.ofmap.capacity_kib": 0.5,
        "dram.latency_ns": 20,
        "dram.bandwidth_gbyte_per_s": 0.5,
        "tiling.keep_ofmap_on_chip": True,
    }
    kept = {"first": {"tiling": {"keep_ofmap_on_chip": True}}}
    forced = simulate_network(load_arch("int8_32x32", {**fields, "layers": kept}), network)
    never = simulate_network(load_arch("int8_32x32", {**fields, "tiling.keep_ofmap_on_chip": False}), network)
    asked = simulate_network(load_arch("int8_32x32", fields), network, move_prices=PRICES)
    assert forced.cycles > never.cycles
    assert sum(map(energy_of, forced.layers)) < sum(map(energy_of, never.layers))
    assert asked.cycles == never.cycles
    least = load_arch("int8_32x32", {**fields, "tiling.objective": "energy"})
    by_energy = simulate_network(least, network, move_prices=PRICES)
    assert by_energy.layers[0].counts.dram["ofmap"].write_bytes == 0


def test_under_scalesim_timing_the_least_traffic_is_taken() -> None:
    """Its cycles are the same for every tiling; each operand of the product fits once, 2 MB in all bytes."""
    layer = matrix_layer("l", "fc", m=784, n=512, k=256)
    reference, least, scalesim = (
        cost_of(simulate(layer, load_arch("int8_32x32", fields)))[1]
        for fields in ({}, {"tiling.objective": "traffic"}, {"array.timing": "scalesim"})
    )
    assert scalesim == least == 784 * 256 + 512 * 256 + 784 * 512
    assert reference > least


@pytest.mark.parametrize("field", ["tile_rows", "tile_columns", "tile_images"])
def test_with_any_side_of_a_block_fixed_a_convolution_is_no_product(field: str) -> None:
    layer = convolution_layer("l", Convolution(2, 16, 16, (12, 12), (1, 1)))
    assert simulate(layer, load_arch("int8_32x32")).tiling.is_product
    fixed = simulate(layer, load_arch("int8_32x32", {f"tiling.{field}": 1})).tiling
    assert not fixed.is_product
    assert fixed.fixed()[field] == 1


def test_refresh_is_in_the_cycles_though_tilings_are_chosen_without() -> None:
    """The channel stops for 210 of every 3,900 ns; 4096 x 4096 weights at 6.4 bytes a cycle wait for it."""
    layer = matrix_layer("l", "fc", m=1, n=4096, k=4096)
    slow = {"dram.bandwidth_gbyte_per_s": 3.2}
    calm = simulate(layer, load_arch("int8_32x32", slow)).counts.cycles.total
    refresh = {"dram.refresh_interval_ns": 3900, "dram.refresh_duration_ns": 210}
    slowed = simulate(layer, load_arch("int8_32x32", slow | refresh)).counts.cycles.total
    assert calm == pytest.approx(4096 * 4096 / 6.4, rel=0.01)
    assert slowed / calm == pytest.approx(3900 / (3900 - 210), rel=0.002)


LAYERS = [
    matrix_layer("l", "fc", m=m, n=n, k=k)
    for m, n, k in ((700, 40, 900), (64, 2000, 300), (1500, 1500, 64), (90, 90, 3000))
]


def test_the_reason_names_the_fastest_tiling_of_another_order() -> None:
    differ = 0
    for layer in LAYERS:
        for dataflow in ("ws", "is"):
            arch = load_arch("int8_32x32", {"array.dataflow": dataflow})
            played = simulate(layer, arch).played
            search = Search("l", played.work, played.limits, arch.tiling, None)
            assert search.run()
            chosen, nests = search.rows[search.chosen, NEST], search.rows[:, NEST]
            others = np.nonzero(nests != chosen)[0]
            cycles = search.totals[others, END]
            name = NEST_NAMES[int(nests[others[cycles.argmin()]])][0]
            slowest = NEST_NAMES[int(nests[others[cycles.argmax()]])][0]
            differ += name != slowest
            reason = choose_tiling("l", played.work, played.limits, arch.tiling, memories=arch.sram).reason
            assert f"; {name} would take {cycles.min():,} and move" in reason
    assert differ


def test_the_smallest_tile_that_does_not_fit_is_named() -> None:
    layer: Layer = matrix_layer("l", "fc", m=64, n=64, k=4096)
    arch = load_arch("int8_32x32", {"sram.ifmap.capacity_kib": 1, "tiling.tile_k": 4096})
    with pytest.raises(UserError) as caught:
        simulate(layer, arch)
    assert "its smallest tile (1 x 1 x 4096 of m x n x k) needs 4096 bytes, it holds 1024" in str(
        caught.value
    )
    assert "3072 bytes are missing" in str(caught.value)


def test_bytes_that_are_missing_are_rounded_up() -> None:
    """4097 codes of 4 bits fill 2048.5 bytes."""
    layer: Layer = matrix_layer("l", "fc", m=64, n=64, k=4097)
    fields = {"array.mac": "int4 x int8", "sram.ifmap.capacity_kib": 1, "tiling.tile_k": 4097}
    with pytest.raises(UserError, match="needs 2049 bytes, it holds 1024; 1025 bytes are missing"):
        simulate(layer, load_arch("int8_32x32", fields))


def test_buffers_with_and_without_halves_hold_two_tiles_and_one() -> None:
    layer: Layer = matrix_layer("l", "fc", m=512, n=512, k=256)
    sizes = {"tiling.tile_m": 32, "tiling.tile_n": 32, "tiling.loops": "mnk"}
    for whole in ("ifmap", "filter", "ofmap"):
        arch = load_arch("int8_32x32", {f"sram.{whole}.double_buffered": False, **sizes})
        slots = simulate(layer, arch).tiling.slots
        assert slots == {name: 1 if name == whole else 2 for name in ("ifmap", "filter", "ofmap")}
        alone = simulate(layer, load_arch("int8_32x32", {"tiling.single_buffered": whole, **sizes})).tiling
        assert alone.fixed()["single_buffered"] == [whole]
        assert alone.slots == slots
